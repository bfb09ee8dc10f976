"""A point inside each of many convex polygons."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.regions.kernels.jit import outer, part

__all__ = ["centers"]

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]
Ints = NDArray[np.int32]


def centers(x: Floats, offsets: Counts, corners: Ints) -> tuple[Floats, Floats, Floats]:
    """Return a point inside each face, its distance from the rim (less rounding, at least 0), and the area.

    The corners of face i are ``x[corners[offsets[i] : offsets[i + 1]]]``, counterclockwise.
    """
    faces = len(offsets) - 1
    points, radii, areas = np.empty((faces, 2)), np.empty(faces), np.empty(faces)
    _centers(x, offsets, corners, points, radii, areas)
    return points, radii, areas


@part
def _middle(x: Floats, corners: Ints, begin: int, stop: int) -> tuple[float, float, float]:
    """Return area and centroid of a face; the middle of its longest diagonal if it has no area."""
    x0, y0 = x[corners[begin], 0], x[corners[begin], 1]
    area = cx = cy = 0.0
    far, fx, fy = -1.0, 0.0, 0.0
    for i in range(begin + 1, stop):
        ax, ay = x[corners[i], 0] - x0, x[corners[i], 1] - y0
        if ax * ax + ay * ay > far:
            far, fx, fy = ax * ax + ay * ay, ax, ay
        if i + 1 < stop:
            bx, by = x[corners[i + 1], 0] - x0, x[corners[i + 1], 1] - y0
            cross = ax * by - ay * bx
            area += cross
            cx += cross * (ax + bx)
            cy += cross * (ay + by)
    if area > 1e-14 * far:
        return 0.5 * area, x0 + cx / (3.0 * area), y0 + cy / (3.0 * area)
    return 0.5 * area, x0 + 0.5 * fx, y0 + 0.5 * fy


@part
def _distance(px: float, py: float, ax: float, ay: float, bx: float, by: float) -> float:
    """Return the distance of p from the segment ab; negative if p lies on its right."""
    dx, dy, qx, qy = bx - ax, by - ay, px - ax, py - ay
    length = dx * dx + dy * dy
    cross = dx * qy - dy * qx
    if length == 0.0:
        return math.sqrt(qx * qx + qy * qy)
    along = qx * dx + qy * dy
    if along < 0.0:
        return math.sqrt(qx * qx + qy * qy)
    if along > length:
        rx, ry = px - bx, py - by
        return math.sqrt(rx * rx + ry * ry)
    return cross / math.sqrt(length)


@outer
def _centers(x: Floats, offsets: Counts, corners: Ints, points: Floats, radii: Floats, areas: Floats) -> None:
    for face in range(len(radii)):
        begin, stop = offsets[face], offsets[face + 1]
        areas[face], px, py = _middle(x, corners, begin, stop)
        near = np.inf
        for i in range(begin, stop):
            a, b = corners[i], corners[i + 1] if i + 1 < stop else corners[begin]
            near = min(near, _distance(px, py, x[a, 0], x[a, 1], x[b, 0], x[b, 1]))
        points[face, 0], points[face, 1] = px, py
        radii[face] = max(near - 1e-15 * (abs(px) + abs(py)), 0.0)
