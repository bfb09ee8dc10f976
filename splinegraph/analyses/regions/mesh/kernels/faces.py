"""From half-edges to loops of corners, and edges; new rows between old ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.regions.kernels.jit import outer
from splinegraph.analyses.regions.mesh.net import FIRST, HALVES, MARK, NEXT, ORIGIN, TWIN

__all__ = ["edges", "fill", "loops"]

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]
Ints = NDArray[np.int32]


def loops(half: Ints, face: Ints, place: Floats, ends: Ints, count: Counts) -> tuple[Counts, Ints, Floats]:
    """Return offsets and corners of all faces, and the vertices that they use.

    Half-edges are marked with their faces; ``ends[v, 0]`` becomes the new number of vertex v.
    """
    known, halves, faces = count[:3].tolist()
    offsets, corners = np.empty(faces + 1, dtype=np.int64), np.empty(halves, dtype=np.int32)
    vertices = np.empty((known, 2))
    used = _loops(half, face, place, ends, offsets, corners, vertices)
    size = int(offsets[-1])
    return (
        offsets,
        corners if size == halves else corners[:size].copy(),
        vertices if used == known else vertices[:used].copy(),
    )


@outer
def _loops(half: Ints, face: Ints, place: Floats, ends: Ints, offsets: Counts, corners: Ints, vertices: Floats) -> int:
    for h in range(len(corners)):
        half[h, MARK] = -1
    for v in range(len(vertices)):
        ends[v, 0] = -1
    size = used = 0
    offsets[0] = 0
    for f in range(len(offsets) - 1):
        begin = face[f, FIRST]
        h = begin
        while True:
            v = half[h, ORIGIN]
            if ends[v, 0] < 0:
                ends[v, 0] = used
                vertices[used, 0], vertices[used, 1] = place[v, 0], place[v, 1]
                used += 1
            half[h, MARK] = f
            corners[size] = ends[v, 0]
            size += 1
            h = half[h, NEXT]
            if h == begin:
                break
        offsets[f + 1] = size
    return used


def edges(half: Ints, ends: Ints, count: Counts) -> tuple[Ints, Ints]:
    """Return the ends of each edge, and the faces on both sides (-1: outside); after `loops`."""
    halves = int(count[HALVES])
    pairs, sides = np.empty((halves, 2), dtype=np.int32), np.empty((halves, 2), dtype=np.int32)
    found = _edges(half, ends, pairs, sides)
    return pairs[:found].copy(), sides[:found].copy()


@outer
def _edges(half: Ints, ends: Ints, pairs: Ints, sides: Ints) -> int:
    found = 0
    for h in range(len(pairs)):
        t = half[h, TWIN]
        if half[h, MARK] >= 0 and (t < 0 or t > h):
            pairs[found, 0] = ends[half[h, ORIGIN], 0]
            pairs[found, 1] = ends[half[half[h, NEXT], ORIGIN], 0]
            sides[found, 0], sides[found, 1] = half[h, MARK], half[t, MARK] if t >= 0 else -1
            found += 1
    return found


@outer
def fill(place: Floats, ends: Ints, rows: Floats, begin: int, stop: int) -> None:
    """Interpolate the rows of vertices begin..stop - 1 from those of the vertices that they lie between."""
    for v in range(begin, stop):
        a, b, share = ends[v, 0], ends[v, 1], place[v, 2]
        for j in range(rows.shape[1]):
            rows[v, j] = rows[a, j] + share * (rows[b, j] - rows[a, j])
