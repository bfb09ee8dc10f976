"""When a condition counts as met with equality. All algorithms on regions use these, so that they decide alike.

Inputs, weights and sums are float64: a condition's value carries an error of some units in the last place of the
largest terms that it is a sum of, times how far later layers magnify it. Where a domain is small beside its distance
from the origin, inputs themselves are rounded by more than that: see `blur`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from splinegraph.core.domains.chart import Chart

__all__ = ["DOUBTFUL", "ON_BOUNDARY", "ROUNDING", "SAME_MAP", "THIN", "allowance", "blur", "blurred", "reach_of"]

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

ROUNDING = 2.0**-48
"""Rounding of an input and of what the first layers make of it, relative to its largest entry: sixteen units."""


def reach_of(chart: Chart) -> float:
    """Return how far a bounded domain reaches from the origin, in its own coordinates; 0 if it is unbounded."""
    if not chart.bounded:
        return 0.0
    low, high = chart.lower.numpy(), chart.upper.numpy()
    reach = max(float(np.abs(end).max(initial=0.0)) for end in (low, high))
    if chart.whole:
        return reach
    unit = 1.0 if chart.directions is None else float(chart.directions.norm(dim=1).min())
    inputs = chart.lift(torch.stack([chart.lower, chart.upper]))
    return max(reach, *(float(x.abs().max()) / unit for x in inputs if x.numel()))


def blur(chart: Chart) -> float:
    """Return by how much to multiply tolerances relative to a domain's size: 1 unless it is far from the origin.

    Examples
    --------
    >>> from splinegraph.core.values import Box
    >>> import torch
    >>> near, far = (Box(c - torch.ones(2).double(), c + torch.ones(2).double()).chart for c in (0, 1e6))
    >>> blur(near), round(blur(far))
    (1.0, 1776)
    """
    if not chart.bounded:
        return 1.0
    size = (chart.upper.numpy() - chart.lower.numpy()).max(initial=0.0)
    return blurred(reach_of(chart), float(size))


def blurred(reach: float, size: float) -> float:
    """Return the same for a domain of a size that reaches so far from the origin."""
    return max(1.0, ROUNDING / ON_BOUNDARY * reach / size) if size > 0 else 1.0


def allowance(chart: Chart, share: float, largest: float, variation: float) -> float:
    """Return by how much a value may miss another one that it should equal.

    Parameters
    ----------
    chart : Chart
    share : float
        Tolerance relative to the values, with the factor `blur` where it is to grow with the distance.
    largest : float
        Of the absolute values at the node.
    variation : float
        By how much values there change across the domain.

    Notes
    -----
    Far from the origin values may be as large as inputs, which `blur` counts already: there only what varies is
    multiplied by it, and of the values themselves it is their rounding that is allowed.
    """
    if blur(chart) == 1:
        return share * largest
    return share * min(variation, largest) + ROUNDING * largest
