"""Which outputs of a network are convex, concave or affine, with proofs."""
