"""Doing the doubtful part of a mesh again, by an algorithm that shares nothing with it."""
