"""A line above and a line below a function of one variable on an interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.lipschitz.functions import Elementwise

__all__ = ["Lines", "chords", "curved", "kinked"]

Floats = NDArray[np.float64]

CELLS = 16
"""Parts of an interval on which a function is bounded by its values and slopes."""

SEARCHED = 24
"""Steps of the search for the slope of a line; each leaves two thirds of the range."""

ROUNDING = 1e-14
"""Relative margin of values of lines at the ends of intervals."""

FUNCTION_ROUNDING = 1e-12
"""Margin of a function's values and slopes, which carry the rounding of torch's kernels: relative to them and to
`FLOOR` times what kernels work with on the way, which is about 1 or the argument (the error function of GELU)."""

FLOOR = 0.1


@dataclass(frozen=True, eq=False)
class Lines:
    """Of e as a function of u: below * u + bottom <= e <= above * u + top, and the range of e.

    Parameters
    ----------
    below, bottom, above, top, low, high : array of one shape
    """

    below: Floats
    bottom: Floats
    above: Floats
    top: Floats
    low: Floats
    high: Floats


def chords(low: Floats, high: Floats, left: Floats, right: Floats) -> tuple[Floats, Floats]:
    """Return slope and height of a line that is above a function of one kink, at zero, where it is convex.

    On [low, high], of slopes `left` and `right`; where there is no kink inside it is the function.
    """
    inside = (low < 0) & (high > 0)
    width = np.where(inside, high - low, 1.0)
    at_low, at_high = left * low, right * high
    slope = np.where(inside, (at_high - at_low) / width, np.where(low >= 0, right, left))
    top = np.maximum(at_low - slope * low, at_high - slope * high)
    size = np.maximum(np.abs(left), np.abs(right)) * np.maximum(np.abs(low), np.abs(high))
    return slope, np.where(inside, top + ROUNDING * size, 0.0)


def kinked(low: Floats, high: Floats, left: Floats, right: Floats, lean: float) -> Lines:
    """Return lines of functions of one kink, at zero.

    Parameters
    ----------
    low, high : array of shape (n,)
        Where u is.
    left, right : array of shape (n,)
        Slopes.
    lean : float
        The line through the kink takes the right slope where high > -lean * low, the left one otherwise: 1 for
        the one nearest in area, 0 and inf for one of both everywhere.
    """
    inside = (low < 0) & (high > 0)
    with np.errstate(invalid="ignore"):
        through = np.where(np.where(inside, high + lean * low, low) >= 0, right, left)
    above, top = chords(low, high, left, right)
    below, bottom = chords(low, high, -left, -right)
    convex = right >= left
    at_low, at_high = np.where(low > 0, right, left) * low, np.where(high > 0, right, left) * high
    zero = np.where(inside, 0.0, at_low)
    size = ROUNDING * np.maximum(np.abs(at_low), np.abs(at_high))
    return Lines(
        np.where(convex, through, -below), np.where(convex, 0.0, -bottom),
        np.where(convex, above, through), np.where(convex, top, 0.0),
        np.minimum(np.minimum(at_low, at_high), zero) - size, np.maximum(np.maximum(at_low, at_high), zero) + size,
    )  # fmt: skip


def curved(function: Elementwise, low: Floats, high: Floats) -> tuple[Lines, Floats, Floats]:
    """Return lines of any function with bounded slopes on intervals, and the least and the largest slope there.

    Notes
    -----
    On each of some cells the function is below the line that leaves its left end with the largest slope, and below
    the one that enters its right end with the least. The line above is, up to the width of a cell, the one that is
    lowest in the middle of the interval: its height there is a convex function of its slope.
    """
    share = np.linspace(0.0, 1.0, CELLS + 1)[:, None]
    t = np.clip(low + share * (high - low), low, high)
    t[0], t[-1] = low, high
    f = function.values(t)
    least, most = function.slopes(t[:-1], t[1:])
    margin = 0.0 if function.exact else FUNCTION_ROUNDING * (np.maximum(np.abs(least), np.abs(most)) + FLOOR)
    cells = _Cells(t, f, least - margin, most + margin)
    above, top = cells.line()
    below, bottom = cells.flipped().line()
    none = np.zeros_like(low)
    found = Lines(-below, -bottom, above, top, -cells.flipped().top(none), cells.top(none))
    return found, cells.least.min(axis=0), cells.most.max(axis=0)


@dataclass(frozen=True, eq=False)
class _Cells:
    """Values of functions at points t of shape (cells + 1, n), and ranges of slopes between, of shape (cells, n)."""

    t: Floats
    f: Floats
    least: Floats
    most: Floats

    def flipped(self) -> _Cells:
        """Return the same of -f."""
        return _Cells(self.t, -self.f, -self.most, -self.least)

    def top(self, slope: Floats) -> Floats:
        """Return upper bounds of f(u) - slope * u, of shape (n,)."""
        g = self.f - slope * self.t
        width = np.diff(self.t, axis=0)
        rise, fall = np.maximum(self.most - slope, 0.0), np.minimum(self.least - slope, 0.0)
        bend = rise - fall
        with np.errstate(invalid="ignore", divide="ignore"):
            at = np.clip(np.where(bend > 0, (g[1:] - g[:-1] - fall * width) / bend, 0.0), 0.0, width)
        # the lower of both lines is at most the larger of their values at any one point between
        found = np.maximum(g[:-1] + rise * at, g[1:] - fall * (width - at)).max(axis=0)
        far = np.abs(self.t).max(axis=0)
        size = np.abs(self.f).max(axis=0) + np.abs(slope) * far + FLOOR * (1 + far)
        return np.asarray(found + FUNCTION_ROUNDING * size)

    def line(self) -> tuple[Floats, Floats]:
        """Return slopes and heights of lines above."""
        middle = (self.t[0] + self.t[-1]) / 2
        low, high = self.least.min(axis=0), self.most.max(axis=0)
        for _ in range(SEARCHED):
            one, two = low + (high - low) / 3, high - (high - low) / 3
            first = one * middle + self.top(one) <= two * middle + self.top(two)
            low, high = np.where(first, low, one), np.where(first, two, high)
        slope = (low + high) / 2
        return slope, self.top(slope)
