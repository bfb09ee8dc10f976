"""How codes and values of samples lie apart, layer by layer: classes, orbits, hyperplanes."""
