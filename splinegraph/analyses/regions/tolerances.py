"""When a condition counts as met with equality. All algorithms on regions use these, so that they decide alike.

Inputs, weights and sums are float64: a condition's value carries an error of some units in the last place of the
largest terms that it is a sum of, times how far later layers magnify it.
"""

from __future__ import annotations

__all__ = ["DOUBTFUL", "ON_BOUNDARY", "SAME_MAP", "THIN"]

ON_BOUNDARY = 1e-12
"""A condition holds with equality where its value is below this, relative to the largest value that it takes on the
domain (or to the norm of its row times the domain's size). A thousand rounding errors; a tenth of a sliver of 1e-9
across a domain of size one is a hundred times wider."""

THIN = 1e-11
"""A cell whose inscribed radius is below this, relative to the domain's size, counts as having no interior."""

DOUBTFUL = 100.0
"""Cells thinner than this many times `THIN` are doubtful, and checked again in exact arithmetic where asked."""

SAME_MAP = 1e-9
"""Two neighboring cells have the same affine map if both differ by less than this, relative to the larger."""
