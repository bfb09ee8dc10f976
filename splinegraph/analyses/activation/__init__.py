"""The activation graph: which cells of which layer a set of inputs visits, and in which order (paper A.5.2)."""
