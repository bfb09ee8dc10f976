"""How far a spline is from its function on many intervals at once."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from splinegraph.splines.certifying import slope_points
from splinegraph.splines.piecewise import PiecewiseAffine
from splinegraph.splines.univariate import AFFINE, CONVEX, Array, Univariate

__all__ = ["local_errors"]

ULPS = 8 * np.finfo(float).eps
"""Rounding allowed to each value, in units of the terms that make it."""


def local_errors(function: Univariate, p: PiecewiseAffine, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
    """Return certified bounds of p - f on each interval [lower, upper] inside ``p.interval``.

    Parameters
    ----------
    function : Univariate
    p : PiecewiseAffine
        With its bounds on all of its interval.
    lower, upper : Tensor of equal shape

    Returns
    -------
    least, most : Tensor of that shape

    Notes
    -----
    Between neighbours among knots, inflections and kinks g = f - p keeps its curvature: where it is convex its largest
    value is at an end, and its tangent at any point bounds it from below. Intervals that are infinite, or meet more
    than `FEW` pieces, get the bounds of the whole.
    """
    low, high = (side.reshape(-1).numpy() for side in torch.broadcast_tensors(lower, upper))
    least, most = np.full(len(low), -p.above), np.full(len(low), -p.below)
    marks = {*function.inflections, *(kink[0] for kink in function.kinks), *p.knots.tolist()}
    cuts = np.array(sorted(marks), dtype=np.float64)
    first, last = np.searchsorted(cuts, low, side="right"), np.searchsorted(cuts, high, side="left")
    count = np.maximum(last - first, 0) + 1
    some = np.flatnonzero(np.isfinite(low) & np.isfinite(high) & (count <= FEW))
    if len(some):
        owner = np.repeat(some, count[some])
        place = np.arange(len(owner)) - np.repeat(np.cumsum(count[some]) - count[some], count[some]) + first[owner]
        ends = np.concatenate([[-np.inf], cuts, [np.inf]])
        a, b = np.maximum(low[owner], ends[place]), np.minimum(high[owner], ends[place + 1])
        below, above = _on_stretches(function, p, a, np.maximum(a, b))
        found_least, found_most = np.full(len(low), np.inf), np.full(len(low), -np.inf)
        np.minimum.at(found_least, owner, -above)
        np.maximum.at(found_most, owner, -below)
        least[some] = np.maximum(least[some], found_least[some])
        most[some] = np.minimum(most[some], found_most[some])
    shape = torch.broadcast_shapes(lower.shape, upper.shape)
    return torch.from_numpy(np.minimum(least, most)).reshape(shape), torch.from_numpy(most).reshape(shape)


FEW = 8
"""Pieces that an interval may meet for a bound of its own."""


def _on_stretches(function: Univariate, p: PiecewiseAffine, a: Array, b: Array) -> tuple[Array, Array]:
    """Return bounds of f - p on [a, b], on each of which f has one curvature and p is a line."""
    middle = (a + b) / 2
    slope = p.slopes[np.searchsorted(p.knots, middle)]
    bends = np.array(function.curvatures)[np.searchsorted(np.array(function.inflections), middle)]
    sign = np.where(bends == CONVEX, 1.0, -1.0)
    x = slope_points(function, slope, a, b, sign)
    gaps = []
    for point in (a, b, x):
        value, bent = function(point), p(point)
        margin = ULPS * (np.abs(point) + np.abs(value) + _terms(p, point))
        gaps.append((value - bent - margin, value - bent + margin))
    ends = np.minimum(gaps[0][0], gaps[1][0]), np.maximum(gaps[0][1], gaps[1][1])
    tangent = np.where(x == b, function.derivative(x, -1), function.derivative(x, 1))
    excess, steep = tangent - slope, np.abs(tangent) + np.abs(slope)
    drop = np.maximum(sign * excess * (x - a), -sign * excess * (b - x)).clip(min=0.0) + ULPS * (1 + steep) * (b - a)
    straight = bends == AFFINE
    below = np.where((sign > 0) & ~straight, gaps[2][0] - drop, ends[0])
    above = np.where((sign < 0) & ~straight, gaps[2][1] + drop, ends[1])
    return np.nan_to_num(below, nan=-np.inf, neginf=-np.inf), np.nan_to_num(above, nan=np.inf, posinf=np.inf)


def _terms(p: PiecewiseAffine, x: Array) -> Array:
    """Return the sizes of the terms that make p(x)."""
    slope = p.slopes[np.searchsorted(p.knots, x)]
    far = np.abs(p.values).max() if len(p.knots) else abs(p.anchor)
    return np.asarray(far + np.abs(slope) * (np.abs(x) + np.abs(p.knots).max(initial=0.0)))
