"""Families of paths through a network: by number of residual branches, by branch, by time step, by layer."""
