"""Functions at sampled points: where tangents are looked for first, and values that are asked for again."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Self

import numpy as np

from splinegraph.splines.univariate import CONVEX, Stretch, Univariate

__all__ = ["Remembered", "sampled"]

_HALF = np.concatenate([[0.0], np.geomspace(1e-9, 0.5, 400)])
GRID = np.unique(np.concatenate([_HALF, 1 - _HALF]))
"""Points of an arch, denser near its ends."""

FINE = np.unique(np.concatenate([GRID, np.linspace(0.0, 1.0, 1025)]))
"""Points of an arch where no other ones are looked for."""


def sampled(function: Univariate, arch: Stretch, fine: bool) -> tuple[list[float], list[float]]:
    """Return points of an arch, and the slopes there, times -1 if it is concave."""
    x = arch.lower + (arch.upper - arch.lower) * (FINE if fine else GRID)
    x[-1] = arch.upper
    x = np.unique(x)
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
