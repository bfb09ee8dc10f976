"""Runs of chords with one common gap on a convex or concave arch, all knots at once."""

from __future__ import annotations

import numpy as np

from splinegraph.splines.certifying import slope_points
from splinegraph.splines.univariate import CONVEX, Array, Stretch, Univariate

__all__ = ["chain"]

GRID = np.linspace(0.0, 1.0, 1025)
"""Where the slope is sampled to guess the knots."""

LONG = 100.0
"""Width beyond which they are sampled by their distance from the start too."""


ROUGH = 3e-3
"""Relative error of a gap that is put up with where speed counts."""


def chain(function: Univariate, arch: Stretch, start: float, gap: float, most: int, rough: bool = False) -> Array:
    """Return up to `most` knots right of `start` on the arch, each chord `gap` away from the function.

    The knots are guessed from the density ``sqrt(abs(f'') / (8 gap))`` and corrected by Newton's method: the
    gap of a chord depends on its two ends only, so that each correction is one pass over the knots. What
    does not settle (near an inflection, where the density ends) is left out.
    """
    width = arch.upper - start
    grid = start + width * GRID
    if width > LONG:
        grid = np.union1d(grid[:-1], start + np.geomspace(1e-3, width, 1024)[:-1])
        grid = np.append(grid[grid < arch.upper], arch.upper)
    slopes = function.derivative(grid)
    slopes[-1] = arch.slopes[1]
    rise = np.abs(np.diff(slopes))
    count = np.concatenate([[0.0], np.cumsum(np.sqrt(rise * np.diff(grid) / (8 * gap)))])
    wanted = min(most, int(count[-1]) - 1) if np.isfinite(count[-1]) else 0
    if wanted < 1:
        return np.zeros(0)
    knots = np.concatenate([[start], np.interp(np.arange(1.0, wanted + 1), count, grid)])
    sign = 1.0 if arch.curvature == CONVEX else -1.0
    previous = np.inf
    for _ in range(12):
        gaps, left, right = _gaps(function, knots, sign)
        wrong = np.abs(gaps / gap - 1)
        if not np.all(np.isfinite(wrong)) or float(wrong.max()) >= previous:
            break
        previous = float(wrong.max())
        if previous < (ROUGH if rough else 1e-12):
            break
        step = _forward(gap - gaps, left, right)
        moved = np.concatenate([[start], knots[1:] + step])
        good = (np.diff(moved) > 0) & (moved[1:] < arch.upper) & np.isfinite(moved[1:])
        stop = len(moved) if good.all() else int(np.argmin(good)) + 1
        knots = moved[:stop]
        if stop < 2:
            return np.zeros(0)
        if stop < len(moved):
            previous = np.inf
    gaps, _, _ = _gaps(function, knots, sign)
    settled = np.abs(gaps / gap - 1) < (ROUGH if rough else 1e-9)
    return knots[1:] if settled.all() else knots[1 : int(np.argmin(settled)) + 1]


def _gaps(function: Univariate, knots: Array, sign: float) -> tuple[Array, Array, Array]:
    """Return each chord's largest distance from the function, and its derivatives by the two ends."""
    a, b = knots[:-1], knots[1:]
    fa, fb = function(a), function(b)
    slope = (fb - fa) / (b - a)
    x = slope_points(function, slope, a, b, np.full_like(a, sign))
    share = (x - a) / (b - a)
    gaps = sign * (fa + slope * (x - a) - function(x))
    left = sign * (function.derivative(a) - slope) * (1 - share)
    right = sign * (function.derivative(b, -1) - slope) * share
    return gaps, left, right


def _forward(goal: Array, left: Array, right: Array) -> Array:
    """Return the steps s with left[i] s[i - 1] + right[i] s[i] = goal[i], from s[-1] = 0."""
    step, steps = 0.0, []
    for g, a, b in zip(goal.tolist(), left.tolist(), right.tolist(), strict=True):
        step = (g - a * step) / b if b else np.nan
        steps.append(step)
    return np.array(steps)
