"""Functions at sampled points: where tangents are looked for first, and values that are asked for again."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Self

import numpy as np

from splinegraph.splines.univariate import CONVEX, Array, Stretch, Univariate

__all__ = ["Remembered", "sampled"]

NEAREST = 1e-9
"""Distance of the first point from an end, in units of the arch's width or of the end's size, at least 1."""

PER_DECADE = 46
"""Points by which the distance from an end grows tenfold."""

EQUAL = 1025
"""Points at equal distances, where no other ones are looked for."""


def spread(lower: float, upper: float, fine: bool) -> Array:
    """Return points of an arch, denser near its ends, from one end to the other.

    Distances from the ends are as of numbers of size 1 or of the ends: an end that stands for infinity is far away.
    """
    width, parts = upper - lower, [np.array([lower, upper])]
    for end, side in ((lower, 1.0), (upper, -1.0)):
        least = max(NEAREST * min(width, max(1.0, abs(end))), np.finfo(float).tiny)
        if least >= width / 2:
            continue
        count = math.ceil(PER_DECADE * (2 if fine else 1) * math.log10(max(width / 2 / least, 10.0)))
        parts.append(end + side * np.geomspace(least, width / 2, count))
    if fine:
        parts.append(np.linspace(lower, upper, EQUAL))
    x = np.unique(np.concatenate(parts))
    return x[(x >= lower) & (x <= upper)]


def sampled(function: Univariate, arch: Stretch, fine: bool) -> tuple[list[float], list[float]]:
    """Return points of an arch, and the slopes there, times -1 if it is concave."""
    x = spread(arch.lower, arch.upper, fine)
    slopes = function.derivative(x)
    slopes[-1] = arch.slopes[1]
    slopes = np.maximum.accumulate(slopes if arch.curvature == CONVEX else -slopes)
    return x.tolist(), slopes.tolist()


@dataclass(frozen=True)
class Remembered(Univariate):
    """A function that keeps the values at single points that were asked for."""

    known: dict[float, float] = field(default_factory=dict)

    @classmethod
    def of(cls, function: Univariate, points: list[float]) -> Self:
        """Return a function that knows its values at `points`."""
        known = dict(zip(points, function(np.array(points)).tolist(), strict=True))
        return cls(**{part.name: getattr(function, part.name) for part in fields(function)}, known=known)

    def at(self, x: float) -> float:
        """Return the value at one point."""
        found = self.known.get(x)
        if found is None:
            found = self.known[x] = super().at(x)
        return found
