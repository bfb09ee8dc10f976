"""Merging the parts of a face that have the same code: they make up a convex face again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.regions.kernels.jit import inner, outer, part
from splinegraph.analyses.regions.mesh.net import ANOMALIES, DOUBT, FACES, FIRST, HALVES, MARK, NEXT, ROOT, TWIN

__all__ = ["merge_faces"]

Counts = NDArray[np.int64]
Ints = NDArray[np.int32]
Places = NDArray[np.int16]


def merge_faces(half: Ints, face: Ints, count: Counts, codes: Places, units: Counts) -> int:
    """Merge neighbors that are parts of one face and agree on `units`; return how many faces went.

    The faces that stay keep their order; their codes move with them.
    """
    faces, halves = int(count[FACES]), int(count[HALVES])
    group, sides, following = np.arange(faces, dtype=np.int32), np.zeros(faces, np.int64), np.empty(halves, np.int64)
    return _merge(half, face, count, codes, units, group, sides, following)


@part
def _mark(half: Ints, face: Ints, halves: int, faces: int) -> None:
    """Mark each half-edge with its face; those of none with -1."""
    for h in range(halves):
        half[h, MARK] = -1
    for f in range(faces):
        begin = face[f, FIRST]
        h = begin
        while True:
            half[h, MARK] = f
            h = half[h, NEXT]
            if h == begin:
                break


@part
def _same(codes: Places, units: Counts, f: int, g: int) -> bool:
    for i in range(len(units)):
        if codes[f, units[i]] != codes[g, units[i]]:
            return False
    return True


@inner
def _find(group: Ints, face: int) -> int:
    """Return the face that stands for a group: its lowest."""
    while group[face] != face:
        group[face] = group[group[face]]
        face = group[face]
    return face


@part
def _groups(half: Ints, face: Ints, codes: Places, units: Counts, group: Ints, halves: int) -> int:
    """Group neighbors that are parts of one face and have one code; return how many faces go."""
    gone = 0
    for h in range(halves):
        t, f = half[h, TWIN], half[h, MARK]
        if f < 0 or t < h:
            continue
        g = half[t, MARK]
        if face[f, ROOT] != face[g, ROOT]:
            continue
        a, b = _find(group, f), _find(group, g)
        if a != b and _same(codes, units, f, g):
            group[max(a, b)] = min(a, b)
            gone += 1
    for i in range(len(group)):
        group[i] = group[group[i]]  # what stands for the lower one is known already
    return gone


@inner
def _inside(half: Ints, group: Ints, h: int) -> bool:
    """Return whether both sides of a half-edge belong to one group."""
    t = half[h, TWIN]
    return bool(t >= 0 and group[half[h, MARK]] == group[half[t, MARK]])


@part
def _rewire(half: Ints, face: Ints, count: Counts, group: Ints, sides: Counts, following: Counts) -> None:
    """Take out the edges inside of groups: what follows a side of a group is the next side of it."""
    for h in range(len(following)):
        following[h] = half[h, NEXT]
    for h in range(len(following)):
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


@outer
def _merge(
    half: Ints, face: Ints, count: Counts, codes: Places, units: Counts, group: Ints, sides: Counts, following: Counts
) -> int:
    """Merge faces; `group` counts them, `sides` is zero."""
    _mark(half, face, len(following), len(group))
    gone = _groups(half, face, codes, units, group, len(following))
    if not gone:
        return 0
    _rewire(half, face, count, group, sides, following)
    kept = 0
    for f in range(len(group)):
        if group[f] == f:
            face[kept, FIRST], face[kept, ROOT] = face[f, FIRST], face[f, ROOT]
            for u in range(codes.shape[1]):
                codes[kept, u] = codes[f, u]
            kept += 1
    count[FACES] = kept
    return gone
