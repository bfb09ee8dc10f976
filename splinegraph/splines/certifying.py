"""A certified range of f - p, for a smooth f and a piecewise affine p.

Between two neighbours among knots, inflections, kinks and ends, f - p keeps its curvature. Where it is
convex its largest value is at an end, and its tangent at any point bounds it from below; the point is
chosen where the slopes agree, so the bound is as good as the slopes' rounding. The bound holds for any
choice of the point: nothing rests on the root finder.
"""

from __future__ import annotations

import math

import numpy as np

from splinegraph.splines.piecewise import PiecewiseAffine
from splinegraph.splines.univariate import AFFINE, CONCAVE, CONVEX, Array, Univariate

__all__ = ["certify", "slope_points"]

ULPS = 4 * np.finfo(float).eps
"""Rounding allowed to each value, in units of the terms that make it."""


def slope_points(
    function: Univariate, slope: Array, lower: Array, upper: Array, sign: Array, rounds: int = 80
) -> Array:
    """Return where f' = slope in each [lower, upper], where sign f' is nondecreasing; the nearer end if nowhere.

    Illinois' method and bisection by turns, vectorised.
    """
    left, right = lower.copy(), upper.copy()
    low = sign * (function.derivative(left) - slope)
    high = sign * (function.derivative(right, -1) - slope)
    point = np.where(low >= 0, left, right)
    active = np.flatnonzero((low < 0) & (high > 0))
    # slopes carry that much rounding
    enough = ULPS * np.abs(slope)
    stayed = np.zeros(len(point), dtype=np.int8)
    for turn in range(rounds):
        a, b, fa, fb = left[active], right[active], low[active], high[active]
        middle = 0.5 * (a + b)
        with np.errstate(all="ignore"):
            secant = b - fb * (b - a) / (fb - fa)
        x = np.where(np.isfinite(secant) & (secant > a) & (secant < b) & (turn % 5 < 4), secant, middle)
        found = sign[active] * (function.derivative(x) - slope[active])
        point[active] = x
        done = (np.abs(found) <= enough[active]) | (b - a <= 2e-16 * (np.abs(a) + np.abs(b)))
        up = found > 0
        # an end that stays twice is given half its weight, so that it moves
        again = np.where(up, stayed[active] > 0, stayed[active] < 0)
        right[active], left[active] = np.where(up, x, b), np.where(up, a, x)
        high[active] = np.where(up, found, np.where(again, 0.5 * fb, fb))
        low[active] = np.where(up, np.where(again, 0.5 * fa, fa), found)
        stayed[active] = np.where(up, 1, -1)
        active = active[~done]
        if not len(active):
            break
    return point


def certify(function: Univariate, p: PiecewiseAffine, interval: tuple[float, float]) -> tuple[float, float]:
    """Return (below, above) with below <= f - p <= above on the interval; infinite where a ray runs away.

    Notes
    -----
    Each value of f is taken to be within 4 eps of ``abs(x) + abs(f)``, each slope within 4 eps of the
    steepest one met, p within 4 eps of its terms; bounds are widened by that much. O(pieces) evaluations.
    """
    lower, upper = interval
    marks = {*function.inflections, *(kink[0] for kink in function.kinks)}
    cuts = np.array(sorted({x for x in (*marks, *p.knots.tolist()) if lower < x < upper}))
    if not len(cuts) and not (math.isfinite(lower) or math.isfinite(upper)):
        cuts = np.zeros(1)
    inner = np.concatenate([[e for e in (lower,) if math.isfinite(e)], cuts, [e for e in (upper,) if math.isfinite(e)]])
    value, bent = function(inner), p(inner)
    gap, margin = value - bent, ULPS * (np.abs(inner) + np.abs(value) + _terms(p, inner))
    below, above = float(np.min(gap - margin)), float(np.max(gap + margin))
    if len(inner) > 1:
        inside = _between(function, p, inner, gap, margin)
        below, above = min(below, inside[0]), max(above, inside[1])
    for end, at in ((0, lower), (1, upper)):
        if math.isinf(at):
            ray = _on_ray(function, p, end, float(inner[-end]))
            below, above = min(below, ray[0]), max(above, ray[1])
    return (-math.inf, math.inf) if math.isnan(below) or math.isnan(above) else (below, above)


def _terms(p: PiecewiseAffine, x: Array) -> Array:
    """Return the sizes of the terms that make p(x)."""
    if not len(p.knots):
        return np.asarray(abs(p.anchor) + np.abs(p.slopes[0] * x))
    piece = np.searchsorted(p.knots, x)
    base = np.maximum(piece - 1, 0)
    return np.asarray(np.abs(p.values[base]) + np.abs(p.slopes[piece] * (x - p.knots[base])))


def _between(function: Univariate, p: PiecewiseAffine, cuts: Array, gap: Array, margin: Array) -> tuple[float, float]:
    """Return bounds of f - p between neighbouring cuts, from the tangents of f."""
    left, right = cuts[:-1], cuts[1:]
    bends = np.array(function.curvatures)[np.searchsorted(np.array(function.inflections), left, side="right")]
    curved = bends != AFFINE
    left, right, bends = left[curved], right[curved], bends[curved]
    if not len(left):
        return math.inf, -math.inf
    slope = p.slopes[np.searchsorted(p.knots, left, side="right")]
    sign = np.where(bends == CONVEX, 1.0, -1.0)
    x = slope_points(function, slope, left, right, sign)
    value, tangent = function(x), function.derivative(x, 1)
    at_right = x == right
    tangent[at_right] = function.derivative(x[at_right], -1)
    # f - p is beyond the line through its value at x with slope `excess`
    excess = tangent - slope
    drop = np.maximum(sign * excess * (x - left), -sign * excess * (right - x)).clip(min=0.0)
    finite = np.abs(tangent[np.isfinite(tangent)])
    slack = ULPS * (float(finite.max(initial=0.0)) + np.abs(slope)) * (right - left)
    rounding = ULPS * (np.abs(x) + np.abs(value) + _terms(p, x)) + slack
    inside = value - p(x) - sign * (drop + rounding)
    convex, concave = inside[bends == CONVEX], inside[bends == CONCAVE]
    return float(convex.min(initial=math.inf)), float(concave.max(initial=-math.inf))


def _on_ray(function: Univariate, p: PiecewiseAffine, end: int, start: float) -> tuple[float, float]:
    """Return bounds of the limit of f - p at an infinite end, infinite if there is none.

    Beyond the last inflection f - p runs monotonously to it if the slopes agree: its curvature keeps one
    sign and its slope ends at 0.
    """
    line, slope = function.asymptote(end), float(p.slopes[-end])
    if line is None or slope != line.slope:
        return -math.inf, math.inf
    anchor = float(p(np.array([start]))[0])
    limit = line.intercept - (anchor - slope * start)
    margin = 2 * ULPS * (abs(line.intercept) + abs(anchor) + abs(slope * start))
    return limit - margin, limit + margin
