"""Convex sets of inputs that analyses look at: boxes, planes, segments, polytopes."""
