"""From a model to a graph: loading, exporting, lowering and checking."""
