"""Compiled loops that several ways to find regions share, and how all such loops are compiled."""
