"""Bounds on a domain by linear relaxation: of what units see, and of the network's Jacobian."""
