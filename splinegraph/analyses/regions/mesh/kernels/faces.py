"""From half-edges to loops of corners, edges, and a point inside each face."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.regions.mesh.kernels.jit import jit
from splinegraph.analyses.regions.mesh.net import FACES, FIRST, HALVES, MARK, NEXT, ORIGIN, TWIN, VERTICES

__all__ = ["centers", "edges", "fill", "loops"]

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]
Ints = NDArray[np.int32]


@jit
def loops(half: Ints, face: Ints, place: Floats, ends: Ints, count: Counts) -> tuple[Counts, Ints, Floats]:
    """Return offsets and corners of all faces, and the vertices that they use.

    Half-edges are marked with their faces; ``ends[v, 0]`` becomes the new number of vertex v.
    """
    offsets = np.empty(count[FACES] + 1, np.int64)
    corners = np.empty(count[HALVES], np.int32)
    half[: count[HALVES], MARK] = -1
    ends[: count[VERTICES], 0] = -1
    size = used = 0
    offsets[0] = 0
    for f in range(count[FACES]):
        begin = face[f, FIRST]
        h = begin
        while True:
            v = half[h, ORIGIN]
            if ends[v, 0] < 0:
                ends[v, 0] = used
                used += 1
            half[h, MARK] = f
            corners[size] = ends[v, 0]
            size += 1
            h = half[h, NEXT]
            if h == begin:
                break
        offsets[f + 1] = size
    vertices = np.empty((used, 2))
    for v in range(count[VERTICES]):
        if ends[v, 0] >= 0:
            vertices[ends[v, 0], 0], vertices[ends[v, 0], 1] = place[v, 0], place[v, 1]
    return offsets, corners[:size].copy(), vertices


@jit
def edges(half: Ints, ends: Ints, count: Counts) -> tuple[Ints, Ints]:
    """Return the ends of each edge, and the faces on both sides (-1: outside); after `loops`."""
    pairs, sides = np.empty((count[HALVES], 2), np.int32), np.empty((count[HALVES], 2), np.int32)
    found = 0
    for h in range(count[HALVES]):
        t = half[h, TWIN]
        if half[h, MARK] >= 0 and (t < 0 or t > h):
            pairs[found, 0] = ends[half[h, ORIGIN], 0]
            pairs[found, 1] = ends[half[half[h, NEXT], ORIGIN], 0]
            sides[found, 0], sides[found, 1] = half[h, MARK], half[t, MARK] if t >= 0 else -1
            found += 1
    return pairs[:found].copy(), sides[:found].copy()


@jit
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


@jit
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
        return math.sqrt((px - bx) ** 2 + (py - by) ** 2)
    return cross / math.sqrt(length)


@jit
def centers(x: Floats, offsets: Counts, corners: Ints) -> tuple[Floats, Floats, Floats]:
    """Return a point inside each face, its distance from the rim (less rounding, at least 0), and the area."""
    faces = len(offsets) - 1
    points, radii, areas = np.empty((faces, 2)), np.empty(faces), np.empty(faces)
    for face in range(faces):
        begin, stop = offsets[face], offsets[face + 1]
        areas[face], px, py = _middle(x, corners, begin, stop)
        near = np.inf
        for i in range(begin, stop):
            a, b = corners[i], corners[i + 1] if i + 1 < stop else corners[begin]
            near = min(near, _distance(px, py, x[a, 0], x[a, 1], x[b, 0], x[b, 1]))
        points[face, 0], points[face, 1] = px, py
        radii[face] = max(near - 1e-15 * (abs(px) + abs(py)), 0.0)
    return points, radii, areas


@jit
def fill(place: Floats, ends: Ints, rows: Floats, begin: int, stop: int) -> None:
    """Interpolate the rows of vertices begin..stop - 1 from those of the vertices that they lie between."""
    for v in range(begin, stop):
        a, b, share = ends[v, 0], ends[v, 1], place[v, 2]
        for j in range(rows.shape[1]):
            rows[v, j] = rows[a, j] + share * (rows[b, j] - rows[a, j])
