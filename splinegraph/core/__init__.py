"""Values, the operator contract, the graph and the one function that walks it."""
