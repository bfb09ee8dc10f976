"""Compiled parts: cutting convex polygons by the units of one switching operator."""
