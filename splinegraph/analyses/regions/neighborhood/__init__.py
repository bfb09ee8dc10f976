"""The cells around a point, breadth-first over shared facets, in any dimension."""
