"""Continuous piecewise affine functions of one variable, with a certified distance from another function."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

from splinegraph.splines.univariate import Array

__all__ = ["PiecewiseAffine"]


@dataclass(frozen=True, eq=False)
class PiecewiseAffine:
    """A continuous piecewise affine function p, and how far a function f is from it.

    Parameters
    ----------
    knots : array of shape (k,), increasing
    slopes : array of shape (k + 1,)
        Of the pieces; the first and the last are rays.
    anchor : float
        p(knots[0]), or p(0) if there is no knot.
    interval : pair of floats
        Where the bounds hold.
    below, above : float
        Certified: ``below <= f(x) - p(x) <= above`` on the interval.

    Examples
    --------
    >>> hat = PiecewiseAffine(np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0, -1.0, 0.0]), 0.0)
    >>> hat(np.array([-1.0, 0.5, 1.0, 1.5])), hat.pieces
    (array([0. , 0.5, 1. , 0.5]), 4)
    """

    knots: Array
    slopes: Array
    anchor: float
    interval: tuple[float, float] = (-math.inf, math.inf)
    below: float = -math.inf
    above: float = math.inf

    @property
    def pieces(self) -> int:
        """The number of affine pieces."""
        return len(self.slopes)

    @property
    def error(self) -> float:
        """The certified bound of ``|f(x) - p(x)|`` on the interval."""
        return max(abs(self.below), abs(self.above))

    @cached_property
    def values(self) -> Array:
        """The values at the knots, shape (k,): exact sums, rounded once."""
        exact, found = Fraction(self.anchor), [self.anchor] if len(self.knots) else []
        knots, slopes = self.knots.tolist(), self.slopes.tolist()
        for left, right, slope in zip(knots, knots[1:], slopes[1:], strict=False):
            exact += Fraction(slope) * (Fraction(right) - Fraction(left))
            found.append(float(exact))
        return np.array(found)

    def __call__(self, x: Array) -> Array:
        """Return p at x, any shape: within a few units in the last place of the terms added."""
        x = np.asarray(x, dtype=np.float64)
        if not len(self.knots):
            return np.asarray(self.anchor + self.slopes[0] * x)
        piece = np.searchsorted(self.knots, x)
        base = np.maximum(piece - 1, 0)
        return np.asarray(self.values[base] + self.slopes[piece] * (x - self.knots[base]))

    def __repr__(self) -> str:
        """Return the pieces, the interval and the error."""
        lower, upper = self.interval
        return f"PiecewiseAffine({self.pieces} pieces on [{lower:g}, {upper:g}], error {self.error:.6g})"

    @classmethod
    def through(cls, knots: Array, values: Array, first: float, last: float) -> PiecewiseAffine:
        """Return the function through the k >= 1 points, with the slopes of its two rays.

        Each slope makes up for the rounding of those before it, so that values do not drift.
        """
        exact, slopes = Fraction(float(values[0])), [first]
        points = [float(x) for x in knots]
        for left, right, goal in zip(points, points[1:], values[1:].tolist(), strict=False):
            width = Fraction(right) - Fraction(left)
            slopes.append(float((Fraction(goal) - exact) / width))
            exact += Fraction(slopes[-1]) * width
        return cls(np.asarray(knots, dtype=np.float64), np.array([*slopes, last]), float(values[0]))
