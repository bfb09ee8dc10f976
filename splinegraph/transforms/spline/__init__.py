"""Smooth networks as piecewise affine ones, with a certified bound of the difference."""
