"""Partitions of a polygon for networks of any size: depth-first, within a budget of memory."""
