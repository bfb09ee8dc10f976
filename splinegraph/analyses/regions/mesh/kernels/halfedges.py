"""What splits an edge or a face of a mesh, and nothing that knows why.

An edge that is split gets its vertex on both sides at once, so faces always meet edge to edge.

Arrays are passed one by one, since taking them out of a tuple costs an atomic operation each time.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.regions.kernels.jit import part
from splinegraph.analyses.regions.mesh.net import (
    DOUBT,
    FACES,
    FIRST,
    HALVES,
    MARK,
    NEXT,
    ORIGIN,
    PENDING,
    ROOT,
    STACK,
    TURN,
    TWIN,
    VERTICES,
)

__all__ = ["full", "link", "push", "split_edge", "take", "turns"]

Ints = NDArray[np.int32]
Counts = NDArray[np.int64]
Floats = NDArray[np.float64]


@part
def full(half: Ints, face: Ints, place: Floats, count: Counts, rows: int) -> bool:
    """Return whether one more cut may not fit; `rows` is the room for values at vertices."""
    vertices, faces = count[VERTICES] + 2, len(face)
    if vertices > rows or vertices > len(place) or count[HALVES] + 6 > len(half):
        return True
    return bool(count[FACES] + 1 > faces or count[PENDING] + 2 > faces)


@part
def take(face: Ints, count: Counts) -> int:
    """Return the face to look at next: from the stack, or else the next one of before this pass."""
    f: int = count[TURN]
    if count[PENDING]:
        count[PENDING] -= 1
        f = face[count[PENDING], STACK]
    else:
        face[f, ROOT] = f
        count[TURN] += 1
    return f


@part
def push(face: Ints, count: Counts, f: int) -> None:
    """Put a face on the stack."""
    face[count[PENDING], STACK] = f
    count[PENDING] += 1


@part
def turns(half: Ints, begin: int, found: Counts) -> int:
    """Return how often the sign changes around a face; its half-edges are marked with the signs where they start.

    One at least must be positive. The first change from + to - is left in ``found[:2]``, that back in
    ``found[2:]``: the half-edge that leads to it, and the one that starts there if it is at a vertex, else -1.
    Zeros between equal signs are no change.
    """
    h = begin
    while half[h, MARK] <= 0:
        h = half[h, NEXT]
    start = before = h
    changes, last, zero, to_zero = 0, 1, -1, -1
    while True:
        h = half[before, NEXT]
        sign = half[h, MARK]
        if sign == 0:
            if zero < 0:
                zero, to_zero = h, before
        else:
            if sign != last:
                if changes < 2:
                    found[2 * changes], found[2 * changes + 1] = to_zero if zero >= 0 else before, zero
                changes += 1
                last = sign
            zero = -1
        if h == start:
            return changes
        before = h


@part
def split_edge(half: Ints, place: Floats, ends: Ints, count: Counts, h: int, share: float) -> int:
    """Put a new vertex on half-edge h (and its twin); return the half-edge that starts there."""
    after, t = half[h, NEXT], half[h, TWIN]
    a, b = half[h, ORIGIN], half[after, ORIGIN]
    v = count[VERTICES]
    new: int = count[HALVES]
    place[v, 0] = place[a, 0] + share * (place[b, 0] - place[a, 0])
    place[v, 1] = place[a, 1] + share * (place[b, 1] - place[a, 1])
    place[v, 2] = share
    ends[v, 0], ends[v, 1] = a, b
    half[new, ORIGIN], half[new, NEXT], half[new, TWIN] = v, after, t
    half[h, NEXT] = new
    count[VERTICES] += 1
    count[HALVES] += 1
    if t >= 0:
        back = new + 1
        half[back, ORIGIN], half[back, NEXT], half[back, TWIN] = v, half[t, NEXT], h
        half[t, NEXT], half[t, TWIN] = back, new
        half[h, TWIN] = back
        count[HALVES] += 1
    return new


@part
def link(half: Ints, face: Ints, count: Counts, f: int, before1: int, after1: int, before2: int, after2: int) -> int:
    """Cut a face from the start of half-edge `after1` to that of `after2`; return the new face, that of `after1`.

    `before1` and `before2` are the half-edges that lead to the two vertices.
    """
    kept, cut = count[HALVES], count[HALVES] + 1
    new: int = count[FACES]
    half[kept, ORIGIN], half[kept, NEXT], half[kept, TWIN] = half[after1, ORIGIN], after2, cut
    half[cut, ORIGIN], half[cut, NEXT], half[cut, TWIN] = half[after2, ORIGIN], after1, kept
    half[before1, NEXT] = kept
    half[before2, NEXT] = cut
    face[f, FIRST] = kept
    face[new, FIRST], face[new, ROOT], face[new, DOUBT] = cut, face[f, ROOT], 0
    count[HALVES] += 2
    count[FACES] += 1
    return new
