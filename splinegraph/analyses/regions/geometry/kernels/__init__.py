"""Compiled loops; imported inside functions only, so that numba loads when it is needed."""
