"""Convex polygons as loops of corners, counterclockwise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.regions.kernels.faces import centers
from splinegraph.analyses.regions.kernels.jit import inner, outer

__all__ = ["clip", "middle", "summarize", "values"]

Floats = NDArray[np.float64]


@inner
def values(form: Floats, corners: Floats, h: Floats) -> None:
    """Write ``form[0] + form[1] x + form[2] y`` at each corner into h."""
    for i in range(len(corners)):
        h[i] = form[0] + form[1] * corners[i, 0] + form[2] * corners[i, 1]


@inner
def middle(corners: Floats) -> tuple[float, float]:
    """Return the mean of the corners."""
    x = y = 0.0
    for i in range(len(corners)):
        x += corners[i, 0]
        y += corners[i, 1]
    return x / len(corners), y / len(corners)


@outer
def clip(corners: Floats, h: Floats, tolerance: float, out: Floats) -> int:
    """Write the part of a polygon where h >= 0 into `out`; return its number of corners, 0 if it is flat.

    The same edge gives the same crossing whichever side is kept.
    """
    m, n, top = len(corners), 0, 0.0
    for i in range(m):
        j = i + 1 if i + 1 < m else 0
        a, b = h[i], h[j]
        top = max(top, a)
        if a >= -tolerance:
            out[n, 0], out[n, 1] = corners[i, 0], corners[i, 1]
            n += 1
        if (a > tolerance and b < -tolerance) or (a < -tolerance and b > tolerance):
            t = a / (a - b)
            out[n, 0] = corners[i, 0] + t * (corners[j, 0] - corners[i, 0])
            out[n, 1] = corners[i, 1] + t * (corners[j, 1] - corners[i, 1])
            n += 1
    return n if top > tolerance and n >= 3 else 0


def summarize(corners: Floats, offsets: NDArray[np.int64]) -> tuple[Floats, Floats, Floats]:
    """Return a point inside each polygon, its distance from the rim, and the area."""
    return centers(corners, offsets, np.arange(len(corners), dtype=np.int32))
