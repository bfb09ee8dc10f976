"""Convex polygons as loops of corners, counterclockwise."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["clip", "middle", "summarize", "values"]

Floats = NDArray[np.float64]


@njit(cache=True)
def values(form: Floats, corners: Floats, h: Floats) -> None:
    """Write ``form[0] + form[1] x + form[2] y`` at each corner into h."""
    for i in range(len(corners)):
        h[i] = form[0] + form[1] * corners[i, 0] + form[2] * corners[i, 1]


@njit(cache=True)
def middle(corners: Floats) -> tuple[float, float]:
    """Return the mean of the corners."""
    x = y = 0.0
    for i in range(len(corners)):
        x += corners[i, 0]
        y += corners[i, 1]
    return x / len(corners), y / len(corners)


@njit(cache=True)
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


@njit(cache=True)
def _center(corners: Floats, point: Floats) -> float:
    """Write the centroid and return the area; the mean of the corners if the area is zero."""
    m, area = len(corners), 0.0
    x = y = 0.0
    for i in range(1, m - 1):
        ax, ay = corners[i, 0] - corners[0, 0], corners[i, 1] - corners[0, 1]
        bx, by = corners[i + 1, 0] - corners[0, 0], corners[i + 1, 1] - corners[0, 1]
        part = 0.5 * (ax * by - ay * bx)
        area += part
        x += part * (ax + bx) / 3
        y += part * (ay + by) / 3
    if area > 0:
        point[0], point[1] = corners[0, 0] + x / area, corners[0, 1] + y / area
    else:
        point[0], point[1] = middle(corners)
    return area


@njit(cache=True)
def _reach(corners: Floats, point: Floats) -> float:
    """Return the distance from a point inside to the nearest side."""
    m, nearest = len(corners), np.inf
    for i in range(m):
        j = i + 1 if i + 1 < m else 0
        ex, ey = corners[j, 0] - corners[i, 0], corners[j, 1] - corners[i, 1]
        length = math.sqrt(ex * ex + ey * ey)
        if length > 0:
            distance = (ex * (point[1] - corners[i, 1]) - ey * (point[0] - corners[i, 0])) / length
            nearest = min(nearest, distance)
    return max(nearest, 0.0)


@njit(cache=True)
def summarize(corners: Floats, offsets: NDArray[np.int64]) -> tuple[Floats, Floats, Floats]:
    """Return centroid, inscribed radius around it and area of each polygon."""
    count = len(offsets) - 1
    points, radii, areas = np.empty((count, 2)), np.empty(count), np.empty(count)
    for i in range(count):
        loop = corners[offsets[i] : offsets[i + 1]]
        areas[i] = _center(loop, points[i])
        radii[i] = _reach(loop, points[i])
    return points, radii, areas
