"""The regions into which a piecewise affine network cuts a domain."""
