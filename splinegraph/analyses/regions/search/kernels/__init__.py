"""The compiled parts of the search; imported inside functions only, since they need numba."""
