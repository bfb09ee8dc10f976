"""Every continuous piecewise affine network as a difference of two convex ones."""
