"""The exact partition of a polygon of inputs: vertices that faces share, cut unit by unit."""
