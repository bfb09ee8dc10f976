"""Univariate piecewise polynomials, and the spaces of those with given knots and smoothness.

Orders count coefficients: order m is degree m - 1 (de Boor). A knot of multiplicity M leaves m - 1 - M
continuous derivatives: M = 1 is the smoothest spline, M = m allows a jump.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from splinegraph.errors import ShapeError
from splinegraph.splines.univariate import Array

if TYPE_CHECKING:
    from scipy.interpolate import BSpline, PPoly

__all__ = ["Spline1d", "SplineSpace"]

TOLERANCE = 1e-9
"""Jumps of a derivative below this, in units of the largest value of it, are rounding."""


@dataclass(frozen=True, eq=False)
class Spline1d:
    """A piecewise polynomial between breakpoints.

    Parameters
    ----------
    breaks : array of shape (R + 1,), increasing
        The R - 1 interior knots between the two ends. Beyond the ends the outer polynomials go on.
    coefficients : array of shape (m, R)
        Of each piece, highest power first, in the distance from its left break (as in `scipy.interpolate.PPoly`).

    Examples
    --------
    >>> hat = Spline1d(np.array([0.0, 1.0, 2.0]), np.array([[1.0, -1.0], [0.0, 1.0]]))
    >>> hat(np.array([0.5, 1.5])), hat.smoothness(), hat.multiplicities()
    (array([0.5, 0.5]), (0,), (1,))
    >>> hat.integrate(0.0, 2.0)
    1.0
    """

    breaks: Array
    coefficients: Array

    def __post_init__(self) -> None:
        """Refuse shapes that do not fit."""
        if np.ndim(self.coefficients) != 2 or len(self.breaks) != np.shape(self.coefficients)[1] + 1:
            shapes = f"breaks {np.shape(self.breaks)}, coefficients {np.shape(self.coefficients)}"
            raise ShapeError("no piecewise polynomial", why=shapes, remedy="give shapes (R + 1,) and (m, R)")
        if not bool(np.all(np.diff(self.breaks) > 0)):
            raise ShapeError("no piecewise polynomial", why="its breaks do not increase", remedy="sort them")

    @property
    def order(self) -> int:
        """The number m of coefficients per piece; the degree is m - 1."""
        return int(self.coefficients.shape[0])

    @cached_property
    def _ppoly(self) -> PPoly:
        from scipy.interpolate import PPoly

        return PPoly(self.coefficients, self.breaks, extrapolate=True)

    def to_ppoly(self) -> PPoly:
        """Return it as scipy's piecewise polynomial."""
        return self._ppoly

    @classmethod
    def from_bspline(cls, spline: BSpline) -> Spline1d:
        """Return a B-spline of scipy, between the ends of its base interval."""
        from scipy.interpolate import PPoly

        k, n = spline.k, len(spline.c)
        found = PPoly.from_spline((spline.t, spline.c, k))
        kept = (np.diff(found.x) > 0) & (found.x[:-1] >= spline.t[k]) & (found.x[1:] <= spline.t[n])
        breaks = np.append(found.x[:-1][kept], found.x[1:][kept][-1])
        return cls(breaks, found.c[:, kept])

    def __call__(self, x: Array) -> Array:
        """Return the values at x; at a break those of the piece to the right."""
        return np.asarray(self._ppoly(x))

    def derivative(self, times: int = 1) -> Spline1d:
        """Return a derivative, piece by piece: jumps are not part of it."""
        found = self._ppoly.derivative(times)
        return Spline1d(self.breaks, np.asarray(found.c))

    def integrate(self, lower: float, upper: float) -> float:
        """Return the integral from lower to upper."""
        return float(self._ppoly.integrate(lower, upper))

    def roots(self) -> Array:
        """Return where it is 0 between the ends, jumps across 0 included; NaN after the start of a zero piece."""
        return np.asarray(self._ppoly.roots(discontinuity=True, extrapolate=False))

    def jumps(self) -> Array:
        """Return the jumps at the R - 1 interior breaks, shape (m, R - 1): row j of the j-th derivative."""
        rows, taken = [], self._ppoly
        width = np.diff(self.breaks)[:-1]
        for _ in range(self.order):
            left = np.zeros(len(width))
            for c in taken.c[:, :-1]:
                left = left * width + c
            rows.append(taken.c[-1, 1:] - left)
            taken = taken.derivative()
        return np.array(rows)

    def smoothness(self) -> tuple[int, ...]:
        """Return, per interior break, how many derivatives are continuous; -1 where the value jumps."""
        jumps, taken, sizes = np.abs(self.jumps()), self._ppoly, []
        for _ in range(self.order):
            sizes.append(float(np.max(np.abs(taken(self.breaks)), initial=0.0)))
            taken = taken.derivative()
        broken = jumps > TOLERANCE * np.array(sizes)[:, None]
        first = np.where(broken.any(0), broken.argmax(0), self.order)
        return tuple(int(j) - 1 for j in first)

    def multiplicities(self) -> tuple[int, ...]:
        """Return the multiplicity of each interior break: 0 where there is no knot at all, `order` at a jump."""
        return tuple(self.order - 1 - s for s in self.smoothness())


@dataclass(frozen=True)
class SplineSpace:
    """All splines of an order with given knots and multiplicities.

    Parameters
    ----------
    order : int
        m; the degree is m - 1.
    ends : pair of floats
    knots : sequence of floats
        The R - 1 interior knots, increasing.
    multiplicities : sequence of ints, optional
        Per knot, 1 to m; 1 if not given. M leaves C^(m - 1 - M).

    Notes
    -----
    The dimension is m + sum of the multiplicities of the *interior* knots. (Equation 94 of "A Spline Theory
    of Deep Learning" sums over as many knots as there are pieces, which is one too many.)

    Examples
    --------
    Continuous piecewise affine functions with two knots have the two ends and the two knots to choose:

    >>> space = SplineSpace(2, (0.0, 3.0), (1.0, 2.0))
    >>> space.dim, space.basis()[0](np.array([0.0, 1.0]))
    (4, array([1., 0.]))
    """

    order: int
    ends: tuple[float, float]
    knots: Sequence[float] = ()
    multiplicities: Sequence[int] | None = None

    def __post_init__(self) -> None:
        """Refuse knots that are out of order and multiplicities that mean nothing."""
        points = np.array([self.ends[0], *self.knots, self.ends[1]], dtype=float)
        fits = len(self._times) == len(self.knots) and all(1 <= t <= self.order for t in self._times)
        if self.order < 1 or not bool(np.all(np.diff(points) > 0)) or not fits:
            raise ShapeError(
                "no spline space",
                why=f"order {self.order}, ends {self.ends}, knots {self.knots}, multiplicities {self._times}",
                remedy="give increasing knots inside the ends, and multiplicities from 1 to the order",
            )

    @property
    def _times(self) -> tuple[int, ...]:
        return (1,) * len(self.knots) if self.multiplicities is None else tuple(self.multiplicities)

    @property
    def dim(self) -> int:
        """The dimension m + sum of multiplicities."""
        return self.order + sum(self._times)

    def basis(self) -> list[Spline1d]:
        """Return the B-splines, which are nonnegative and sum to 1."""
        from scipy.interpolate import BSpline

        inner = np.repeat(np.asarray(self.knots, dtype=float), self._times)
        knots = np.concatenate([np.full(self.order, self.ends[0]), inner, np.full(self.order, self.ends[1])])
        unit = np.eye(self.dim)
        return [Spline1d.from_bspline(BSpline(knots, row, self.order - 1)) for row in unit]

    def contains(self, spline: Spline1d) -> bool:
        """Return whether a spline is one of these: order, knots and smoothness, to rounding."""
        if spline.order > self.order and bool(np.any(np.abs(spline.coefficients[: -self.order]) > TOLERANCE)):
            return False
        if (spline.breaks[0], spline.breaks[-1]) != self.ends:
            return False
        allowed = dict(zip(map(float, self.knots), self._times, strict=True))
        for at, smooth in zip(spline.breaks[1:-1].tolist(), spline.smoothness(), strict=True):
            if smooth < spline.order - 1 and smooth < self.order - 1 - allowed.get(at, 0):
                return False
        return True
