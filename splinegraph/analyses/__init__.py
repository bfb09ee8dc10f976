"""From a graph to answers, one module per question."""
