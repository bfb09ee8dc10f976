"""Train a traced network with few labels: cross entropy, reconstruction through its own inverse, entropy."""
