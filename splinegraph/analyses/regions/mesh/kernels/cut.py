"""Cutting faces where units meet their breakpoints.

A face is crossed by the zero line of a condition if some of its vertices are above and some below: two words per
64 units tell, for all of them at once. A crossed face is split along one such line, and its parts looked at again.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.regions.kernels.jit import outer, part
from splinegraph.analyses.regions.mesh.kernels.halfedges import full, link, push, split_edge, take, turns
from splinegraph.analyses.regions.mesh.kernels.signs import lowest, sign_vertex
from splinegraph.analyses.regions.mesh.net import (
    ANOMALIES,
    DONE,
    DOUBT,
    FIRST,
    FULL,
    MARK,
    NEXT,
    ORIGIN,
    PAUSED,
    PENDING,
    ROOT,
    TURN,
    VERTICES,
)

__all__ = ["cut_faces"]

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]
Ints = NDArray[np.int32]
Words = NDArray[np.uint64]


@part
def _crossed(half: Ints, signs: Words, begin: int, seen: Words) -> int:
    """Leave in `seen` the signs that a face's vertices have; return the first word with a crossing, or -1."""
    both = signs.shape[1]
    v = half[begin, ORIGIN]
    for k in range(both):
        seen[k] = signs[v, k]
    h = half[begin, NEXT]
    while h != begin:
        v = half[h, ORIGIN]
        for k in range(both):
            seen[k] |= signs[v, k]
        h = half[h, NEXT]
    words = both // 2
    for k in range(words):
        if seen[k] & seen[words + k]:
            return k
    return -1


@part
def _mark(half: Ints, signs: Words, begin: int, word: int, place: int) -> None:
    """Mark the half-edges of a face with the signs of one condition."""
    bit = np.uint64(1) << np.uint64(place)
    words = signs.shape[1] // 2
    h = begin
    while True:
        v = half[h, ORIGIN]
        half[h, MARK] = np.int32((signs[v, word] & bit) != 0) - np.int32((signs[v, words + word] & bit) != 0)
        h = half[h, NEXT]
        if h == begin:
            return


@part
def _meet(
    half: Ints,
    place: Floats,
    ends: Ints,
    count: Counts,
    value: Floats,
    signs: Words,
    breaks: Floats,
    tol: Floats,
    h: int,
    unit: int,
    b: float,
) -> int:
    """Put a vertex where a unit is b on half-edge h; return the half-edge that starts there."""
    v, a, e = count[VERTICES], half[h, ORIGIN], half[half[h, NEXT], ORIGIN]
    share = (value[a, unit] - b) / (value[a, unit] - value[e, unit])
    new = split_edge(half, place, ends, count, h, share)
    for j in range(value.shape[1]):
        value[v, j] = value[a, j] + share * (value[e, j] - value[a, j])
    value[v, unit] = b
    sign_vertex(value, v, breaks, tol, signs)
    return new


@outer
def cut_faces(
    half: Ints,
    face: Ints,
    place: Floats,
    ends: Ints,
    count: Counts,
    value: Floats,
    signs: Words,
    breaks: Floats,
    tol: Floats,
    codes: Words,
    seen: Words,
    found: Counts,
    roots: int,
    steps: int,
) -> int:
    """Cut faces 0..roots - 1 until no condition changes its sign inside of one; at most `steps` cuts at a time.

    The codes of the faces (the words that say what is above) go to `codes`. `seen` is room for a row of `signs`,
    `found` for four numbers. To be called again with more room, or
    as it is, until it returns DONE.
    """
    words, width = codes.shape[1], (value.shape[1] + 63) // 64
    while count[PENDING] or count[TURN] < roots:
        if full(half, face, place, count, len(value)):
            return FULL
        if steps <= 0:
            return PAUSED
        f = take(face, count)
        begin = face[f, FIRST]
        word = _crossed(half, signs, begin, seen)
        if word < 0:
            for k in range(words):
                codes[f, k] = seen[k]
            continue
        bit = lowest(seen[word] & seen[words + word])
        _mark(half, signs, begin, word, bit)
        if turns(half, begin, found) != 2:
            count[ANOMALIES] += 1
            face[face[f, ROOT], DOUBT] = 1
        unit, b = 64 * (word % width) + (bit ^ 7), breaks[word // width]
        for i in (1, 3):
            if found[i] < 0:
                found[i] = _meet(half, place, ends, count, value, signs, breaks, tol, found[i - 1], unit, b)
        new = link(half, face, count, f, found[0], found[1], found[2], found[3])
        push(face, count, new)
        push(face, count, f)
        steps -= 1
    return DONE
