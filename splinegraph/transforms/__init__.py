"""Graph to graph, with a proof of what the new one has to do with the old."""
