"""Merging the parts of a face that have the same code: they make up a convex face again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.regions.mesh.kernels.jit import jit
from splinegraph.analyses.regions.mesh.net import ANOMALIES, DOUBT, FACES, FIRST, HALVES, MARK, NEXT, ROOT, TWIN

__all__ = ["merge_faces"]

Counts = NDArray[np.int64]
Ints = NDArray[np.int32]
Places = NDArray[np.int16]


@jit
def _mark(half: Ints, face: Ints, count: Counts) -> None:
    """Mark each half-edge with its face, those of none with -1."""
    half[: count[HALVES], MARK] = -1
    for f in range(count[FACES]):
        begin = face[f, FIRST]
        h = begin
        while True:
            half[h, MARK] = f
            h = half[h, NEXT]
            if h == begin:
                break


@jit
def _same(codes: Places, units: Counts, f: int, g: int) -> bool:
    for u in units:
        if codes[f, u] != codes[g, u]:
            return False
    return True


@jit
def _find(group: Ints, face: int) -> int:
    """Return the face that stands for a group: its lowest."""
    while group[face] != face:
        group[face] = group[group[face]]
        face = group[face]
    return face


@jit
def _groups(half: Ints, face: Ints, count: Counts, codes: Places, units: Counts) -> tuple[int, Ints]:
    """Return how many faces go, and the group of each: neighbors that are parts of one face and have one code."""
    group = np.arange(count[FACES]).astype(np.int32)
    gone = 0
    for h in range(count[HALVES]):
        t, f = half[h, TWIN], half[h, MARK]
        if f < 0 or t < h:
            continue
        g = half[t, MARK]
        if face[f, ROOT] == face[g, ROOT] and _find(group, f) != _find(group, g) and _same(codes, units, f, g):
            f, g = _find(group, f), _find(group, g)
            group[max(f, g)] = min(f, g)
            gone += 1
    for f in range(len(group)):
        group[f] = _find(group, f)
    return gone, group


@jit
def _inside(half: Ints, group: Ints, h: int) -> bool:
    """Return whether both sides of a half-edge belong to one group."""
    t = half[h, TWIN]
    return bool(t >= 0 and group[half[h, MARK]] == group[half[t, MARK]])


@jit
def _rewire(half: Ints, face: Ints, count: Counts, group: Ints) -> None:
    """Take out the edges inside of groups: what follows a side of a group is the next side of it."""
    following = half[: count[HALVES], NEXT].copy()
    sides = np.zeros(len(group), np.int64)
    for h in range(count[HALVES]):
        if half[h, MARK] < 0 or _inside(half, group, h):
            continue
        new = following[h]
        while _inside(half, group, new):
            new = following[half[new, TWIN]]
        half[h, NEXT] = new
        f = group[half[h, MARK]]
        face[f, FIRST] = h
        sides[f] += 1
    for f in range(len(group)):
        if group[f] == f:
            begin = face[f, FIRST]
            h = begin
            while True:
                sides[f] -= 1
                h = half[h, NEXT]
                if h == begin:
                    break
            if sides[f]:  # a hole, or two parts that meet in a point
                count[ANOMALIES] += 1
                face[face[f, ROOT], DOUBT] = 1


@jit
def merge_faces(half: Ints, face: Ints, count: Counts, codes: Places, units: Counts) -> int:
    """Merge neighbors that are parts of one face and agree on `units`; return how many faces went.

    The faces that stay keep their order; their codes move with them.
    """
    _mark(half, face, count)
    gone, group = _groups(half, face, count, codes, units)
    if not gone:
        return 0
    _rewire(half, face, count, group)
    kept = 0
    for f in range(len(group)):
        if group[f] == f:
            face[kept, FIRST], face[kept, ROOT] = face[f, FIRST], face[f, ROOT]
            codes[kept] = codes[f]
            kept += 1
    count[FACES] = kept
    return gone
