"""Compiled loops; they import numba, and are imported late."""
