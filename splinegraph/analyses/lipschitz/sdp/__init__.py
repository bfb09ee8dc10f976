"""Semidefinite bounds (LipSDP) on a network taken apart into units."""
