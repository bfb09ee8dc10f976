"""A continuous function of one variable: values, slopes, where its curvature changes, and its ends."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from splinegraph.errors import DomainError

__all__ = ["AFFINE", "CONCAVE", "CONVEX", "Array", "Asymptote", "Kink", "Stretch", "Univariate"]

Array = NDArray[np.float64]

CONVEX, CONCAVE, AFFINE = 1, 2, 3
"""Curvatures: the two flags that `core.values.Curvature` has, and both of them."""


class Kink(NamedTuple):
    """A point where the slope jumps from `left` to `right`."""

    at: float
    left: float
    right: float


class Asymptote(NamedTuple):
    """The line slope x + intercept, which the function approaches at an end."""

    slope: float
    intercept: float


class Stretch(NamedTuple):
    """An interval on which a function keeps its curvature, and its slopes at the two ends, from inside."""

    lower: float
    upper: float
    curvature: int
    slopes: tuple[float, float]


@dataclass(frozen=True)
class Univariate:
    """A continuous function of one variable whose curvature changes at finitely many known points.

    Parameters
    ----------
    value, slope : callable
        The function and its derivative on float64 arrays of any shape, each within a few units in the
        last place of the larger of `abs(x)` and `abs(value)` (of 1 and the steepest slope).
    inflections : tuple of k floats, increasing
        Where the curvature changes.
    curvatures : tuple of k + 1 ints
        Between those: 1 convex, 2 concave, 3 affine.
    domain : pair of floats
        Where it is defined.
    values, slopes : pair of floats
        Limits at the two ends of the domain.
    kinks : tuple of (at, left, right)
        Where the slope jumps; these points need not be inflections.
    asymptotes : pair of (slope, intercept) or None
        The lines approached at the ends of an infinite domain. A finite limit of the values implies one.

    Examples
    --------
    >>> square = Univariate(lambda x: x * x, lambda x: 2 * x, values=(np.inf, np.inf), slopes=(-np.inf, np.inf))
    >>> square.stretches(0.0, 1.0)
    [Stretch(lower=0.0, upper=1.0, curvature=1, slopes=(0.0, 2.0))]
    """

    value: Callable[[Array], Array]
    slope: Callable[[Array], Array]
    inflections: tuple[float, ...] = ()
    curvatures: tuple[int, ...] = (CONVEX,)
    domain: tuple[float, float] = (-math.inf, math.inf)
    values: tuple[float, float] = (math.nan, math.nan)
    slopes: tuple[float, float] = (math.nan, math.nan)
    kinks: tuple[tuple[float, float, float], ...] = ()
    asymptotes: tuple[tuple[float, float] | None, tuple[float, float] | None] = (None, None)

    def __post_init__(self) -> None:
        """Refuse facts that do not fit together."""
        marks = np.asarray(self.inflections, dtype=float)
        if len(self.curvatures) != len(marks) + 1 or not bool(np.all(np.diff(marks) > 0)):
            raise DomainError(
                "no univariate function",
                why=f"{len(self.curvatures)} curvatures for the inflections {self.inflections}",
                remedy="give increasing inflections and one curvature more",
            )

    def __call__(self, x: Array) -> Array:
        """Return the values at x, those at the ends of the domain by their limits."""
        with np.errstate(all="ignore"):
            y: Array = np.asarray(self.value(x), dtype=np.float64)
        for end, limit in zip(self.domain, self.values, strict=True):
            if not math.isnan(limit):
                y = np.where(x == end, limit, y)
        return y

    def derivative(self, x: Array, side: int = 1) -> Array:
        """Return the slopes at x; at kinks and ends those of the right side, or of the left if `side` is -1."""
        with np.errstate(all="ignore"):
            s: Array = np.asarray(self.slope(x), dtype=np.float64)
        for end, limit in zip(self.domain, self.slopes, strict=True):
            if not math.isnan(limit):
                s = np.where(x == end, limit, s)
        for at, left, right in self.kinks:
            s = np.where(x == at, right if side > 0 else left, s)
        return s

    def at(self, x: float) -> float:
        """Return the value at one point."""
        for end, limit in zip(self.domain, self.values, strict=True):
            if x == end and not math.isnan(limit):
                return limit
        return float(self.value(np.array([x], dtype=np.float64))[0])

    def slope_at(self, x: float, side: int = 1) -> float:
        """Return the slope at one point."""
        for at, left, right in self.kinks:
            if x == at:
                return right if side > 0 else left
        for end, limit in zip(self.domain, self.slopes, strict=True):
            if x == end and not math.isnan(limit):
                return limit
        return float(self.slope(np.array([x], dtype=np.float64))[0])

    def asymptote(self, end: int) -> Asymptote | None:
        """Return the line approached at the left (0) or right (1) end."""
        given, limit = self.asymptotes[end], self.values[end]
        if given is not None:
            return Asymptote(*given)
        return Asymptote(0.0, limit) if math.isinf(self.domain[end]) and math.isfinite(limit) else None

    def stretches(self, lower: float, upper: float) -> list[Stretch]:
        """Return the stretches between the inflections and kinks inside [lower, upper], from left to right."""
        marks = sorted({*self.inflections, *(kink[0] for kink in self.kinks)})
        cuts = [lower, *(x for x in marks if lower < x < upper), upper]
        found = []
        for left, right in itertools.pairwise(cuts):
            curvature = self.curvatures[sum(x <= left for x in self.inflections)]
            found.append(Stretch(left, right, curvature, (self.slope_at(left), self.slope_at(right, -1))))
        return found
