"""How much error each node may make, so that the total meets a tolerance with few pieces."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from splinegraph.core.operator import Operator
from splinegraph.errors import DomainError, SplineGraphError
from splinegraph.splines.approximating import approximate
from splinegraph.splines.certifying import certify
from splinegraph.splines.piecewise import PiecewiseAffine
from splinegraph.splines.univariate import Univariate
from splinegraph.transforms.spline.functions import edges, function_on
from splinegraph.transforms.spline.sweep import SQUARED, Chosen, Site, located

__all__ = ["Allotment", "Splines", "allot"]

PROBED = 6
"""Pieces of the spline that tells how much error a function makes by number of pieces."""

NARROWEST = 1e-6
"""Relative width of the narrowest interval that a function is approximated on."""

LOOSE = 1.03
"""How much wider than a range the interval of a spline that serves it may be."""

NEAR = 0.01
"""How much more than the least error a spline may have, relative to it."""

SQUARE = Univariate(
    lambda x: x * x, lambda x: 2 * x, values=(math.inf, math.inf), slopes=(-math.inf, math.inf)
)  # fmt: skip


class Splines:
    """The splines that nodes are replaced by. Those made stay, as the ranges that they serve hardly change.

    Parameters
    ----------
    max_pieces : int
        More than these are refused.
    """

    def __init__(self, max_pieces: int) -> None:
        self.max_pieces = max_pieces
        self._made: dict[tuple[str, int], Chosen] = {}

    def __call__(self, site: Site, pieces: int) -> Chosen:
        """Return the spline of a node, or of the squares that it becomes.

        Raises
        ------
        SplineGraphError
            If it has more than `max_pieces`, or the function has no bound on the site's range.
        """
        if pieces > self.max_pieces:
            raise SplineGraphError(
                f"{site.operator.label} needs {pieces} pieces", where=site.node.where,
                why=f"max_pieces is {self.max_pieces}", remedy="give a larger tol, a smaller domain or more max_pieces",
            )  # fmt: skip
        low, high = _apart(site.operator, *site.interval)
        known = self._made.get((site.node.name, pieces))
        if known is not None:
            start, end = known.spline.interval
            if start <= low and high <= end and (end - start <= LOOSE * (high - low) or math.isinf(high - low)):
                return known
            low, high = (min(low, start), max(high, end)) if end - start <= LOOSE * (high - low) else (low, high)
        with located(site.node, (low, high)):
            found = _of_square(pieces) if site.factors is not None else _of_function(site, (low, high), pieces)
        self._made[site.node.name, pieces] = found
        return found


def _of_function(site: Site, interval: tuple[float, float], pieces: int) -> Chosen:
    function = function_on(site.operator, interval)
    return Chosen(function, approximate(function, interval, pieces=pieces, precision=NEAR))


def _of_square(pieces: int) -> Chosen:
    """Return the best spline of the squares of a product: knots at equal distances, as x^2 bends equally everywhere."""
    knots = np.linspace(-SQUARED, SQUARED, pieces + 1)
    gap = (2 * SQUARED / pieces) ** 2 / 4
    values, slopes = knots**2 - gap / 2, knots[1:] + knots[:-1]
    if pieces > 1:
        spline = PiecewiseAffine.through(knots[1:-1], values[1:-1], float(slopes[0]), float(slopes[-1]))
    else:
        spline = PiecewiseAffine(np.zeros(0), np.zeros(1), SQUARED**2 / 2)
    below, above = certify(SQUARE, spline, (-SQUARED, SQUARED))
    return Chosen(SQUARE, replace(spline, interval=(-SQUARED, SQUARED), below=below, above=above))


def _apart(operator: Operator, low: float, high: float) -> tuple[float, float]:
    """Return an interval that is not too narrow for slopes to be told, and stays where the function is defined."""
    least = NARROWEST * (1 + max(abs(low), abs(high)))
    missing = max(least - (high - low), 0.0) / 2 if math.isfinite(high - low) else 0.0
    room = [max(low - edge, edge - high) / 2 for edge in edges(operator) if not low <= edge <= high]
    missing = min(missing, *room) if room else missing
    return low - missing, high + missing


@dataclass(frozen=True, eq=False)
class _Course:
    """How the error of a site's spline falls: about `scale` / pieces^2, and `straight` for the fewest pieces.

    One piece, or two where both asymptotes count and their slopes differ.
    """

    scale: float
    straight: float
    fewest: int

    @classmethod
    def of(cls, site: Site, splines: Splines) -> _Course:
        """Return what two splines tell."""
        some = splines(site, min(PROBED, splines.max_pieces)).spline
        try:
            few, fewest = splines(site, 1).spline, 1
        except DomainError:
            few, fewest = splines(site, 2).spline, 2
        return cls(max(some.error * some.pieces**2, 1e-300), few.error, fewest)

    def pieces(self, error: float) -> int:
        """Return how many pieces make about this error."""
        return self.fewest if error >= self.straight else max(math.ceil(math.sqrt(self.scale / error) - 1e-9), 2)


@dataclass(frozen=True, eq=False)
class Allotment:
    """The errors that sites may make for a multiplier: pieces c / sqrt(E), so E ~ (units c / gain)^(2/3).

    By Lagrange: this makes the sum of all units' pieces smallest for a given sum of gains times errors.
    """

    courses: Mapping[str, _Course]
    ideal: Mapping[str, float]

    def pieces(self, site: Site, multiplier: float) -> int:
        """Return the pieces of a site's spline for a multiplier."""
        return self.courses[site.node.name].pieces(multiplier * self.ideal[site.node.name])

    @property
    def straight(self) -> float:
        """The multiplier from which on each spline has its fewest pieces."""
        marks = [self.courses[name].straight / e for name, e in self.ideal.items() if 0 < e < math.inf]
        return max(marks, default=math.inf)

    def multiplier(self, weights: Mapping[str, Tensor], tol: float) -> float:
        """Return the multiplier for which the total is `tol`, by bisection; infinite if the fewest pieces do."""

        def meets(multiplier: float) -> bool:
            errors = {name: min(multiplier * e, self.courses[name].straight) for name, e in self.ideal.items()}
            return bool(torch.stack([weights[name] * e for name, e in errors.items()]).sum(0).max() <= tol)

        if meets(math.inf):
            return math.inf
        low, high = -700.0, 700.0
        for _ in range(80):
            middle = (low + high) / 2
            low, high = (middle, high) if meets(math.exp(middle)) else (low, middle)
        return math.exp(low)


def allot(sites: Mapping[str, Site], weights: Mapping[str, Tensor], splines: Splines) -> Allotment:
    """Return how errors are allotted to sites.

    Parameters
    ----------
    sites : mapping from name to Site
    weights : mapping from name to Tensor of shape (entries of the outputs, cells)
        What an error of one unit of its spline is at the outputs.
    splines : Splines
    """
    courses = {name: _Course.of(site, splines) for name, site in sites.items()}
    ideal = {}
    for name, site in sites.items():
        gain = float(weights[name].max())
        ideal[name] = (site.units * math.sqrt(courses[name].scale) / gain) ** (2 / 3) if gain > 0 else math.inf
    return Allotment(courses, ideal)
