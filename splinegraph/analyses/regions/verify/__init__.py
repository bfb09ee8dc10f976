"""Checks of a partition against the network itself."""
