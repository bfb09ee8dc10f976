"""Loops compiled with numba; imported only where they run."""
