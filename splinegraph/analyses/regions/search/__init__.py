"""Depth-first search of all cells in any number of dimensions, by small linear programs."""
