"""Many small polytopes at a time: centers, facets, boxes, vertices, volumes; from codes to inequalities."""
