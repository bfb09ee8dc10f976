"""Cutting faces where the winner of a contest changes.

A candidate wins at a vertex if no other is better by more than the tolerance, and on a face if it wins at all of its
vertices. A face without such a candidate is split where two of them are equal: one that wins at most vertices, and
the best at a vertex where that one does not win. The line may run on where both lose; such faces are merged again
(`merging`), so that the order of losers is no cut.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.regions.kernels.jit import inner, outer, part
from splinegraph.analyses.regions.mesh.kernels.halfedges import full, link, push, split_edge, take, turns
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

__all__ = ["decide_faces"]

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]
Ints = NDArray[np.int32]
Places = NDArray[np.int16]
Table = NDArray[np.int64]

SURE = 0.1
"""Of the tolerance: candidates closer than this are equal, whoever wins; far above what rounding makes of equals."""


@inner
def _wins(value: Floats, v: int, candidates: Table, u: int, c: int, tol: float) -> bool:
    """Return whether no candidate of unit u is better than column c at vertex v."""
    most = value[v, c] + tol
    for p in range(candidates.shape[1]):
        q = candidates[u, p]
        if q >= 0 and value[v, q] > most:
            return False
    return True


@part
def _count(half: Ints, begin: int, value: Floats, candidates: Table, u: int, c: int, tol: float) -> tuple[int, int]:
    """Return at how many vertices of a face a candidate wins, and one where it does not."""
    wins, lost = 0, -1
    h = begin
    while True:
        v = half[h, ORIGIN]
        if _wins(value, v, candidates, u, c, tol):
            wins += 1
        else:
            lost = v
        h = half[h, NEXT]
        if h == begin:
            return wins, lost


@part
def _everywhere(half: Ints, begin: int, value: Floats, candidates: Table, u: int, tol: float) -> int:
    """Return the lowest place that wins at all vertices of a face, or -1."""
    for p in range(candidates.shape[1]):
        c, h = candidates[u, p], begin
        while c >= 0 and _wins(value, half[h, ORIGIN], candidates, u, c, tol):
            h = half[h, NEXT]
            if h == begin:
                return p
    return -1


@part
def _winner(half: Ints, begin: int, value: Floats, candidates: Table, u: int, tol: float) -> tuple[int, int, int]:
    """Return the lowest place that wins all over a face, or -1, and two that win at different vertices."""
    p = _everywhere(half, begin, value, candidates, u, tol)
    if p >= 0:
        return p, p, p
    most, first, where = 0, -1, 0
    for p in range(candidates.shape[1]):
        c = candidates[u, p]
        if c >= 0:
            wins, lost = _count(half, begin, value, candidates, u, c, tol)
            if wins > most:
                most, first, where = wins, p, lost
    best, second = -np.inf, -1
    for p in range(candidates.shape[1]):
        c = candidates[u, p]
        if c >= 0 and value[where, c] > best:
            best, second = value[where, c], p
    return -1, first, second


@part
def _mark(half: Ints, begin: int, value: Floats, candidates: Table, u: int, c: int, d: int, tol: float) -> bool:
    """Mark a face's half-edges where column c is ahead (1) or behind d (-1); return whether there are both."""
    ahead = behind = False
    h = begin
    while True:
        v = half[h, ORIGIN]
        gap = value[v, c] - value[v, d]
        sign = 0
        if abs(gap) > SURE * tol:
            mine, other = _wins(value, v, candidates, u, c, tol), _wins(value, v, candidates, u, d, tol)
            if mine != other or (abs(gap) > tol and not mine):
                sign = 1 if gap > 0 else -1
        half[h, MARK] = sign
        ahead, behind = ahead or sign > 0, behind or sign < 0
        h = half[h, NEXT]
        if h == begin:
            return ahead and behind


@part
def _tie(half: Ints, place: Floats, ends: Ints, count: Counts, value: Floats, h: int, c: int, d: int) -> int:
    """Put a vertex where two columns are equal on half-edge h; return the half-edge that starts there."""
    v, a, e = count[VERTICES], half[h, ORIGIN], half[half[h, NEXT], ORIGIN]
    here, there = value[a, c] - value[a, d], value[e, c] - value[e, d]
    share = here / (here - there)
    new = split_edge(half, place, ends, count, h, share)
    for j in range(value.shape[1]):
        value[v, j] = value[a, j] + share * (value[e, j] - value[a, j])
    middle = 0.5 * (value[v, c] + value[v, d])
    value[v, c] = value[v, d] = middle
    return new


@part
def _entrants(member: Table, units: Table, after: Table, codes: Places, root: int, candidates: Table) -> None:
    """Leave in `candidates` the columns that take part in each unit's contest, on the parts of one face."""
    for i in range(len(units)):
        for p in range(member.shape[1]):
            candidates[i, p] = member[units[i], p]
        ahead = after[units[i]]
        while ahead >= 0:
            gone = member[ahead, codes[root, ahead]]
            for p in range(member.shape[1]):
                if candidates[i, p] == gone:
                    candidates[i, p] = -1
            ahead = after[ahead]


@part
def _undecided(
    half: Ints, begin: int, value: Floats, candidates: Table, units: Table, tol: Floats, codes: Places, start: int
) -> tuple[int, int, int]:
    """Find the winners on a face, from unit `start` on; return the first unit that has none, or -1, and a pair."""
    for i in range(start, len(units)):
        winner, first, second = _winner(half, begin, value, candidates, i, tol[units[i]])
        if winner < 0:
            return i, first, second
        codes[units[i]] = winner
    return -1, 0, 0


@part
def _split(
    half: Ints,
    face: Ints,
    place: Floats,
    ends: Ints,
    count: Counts,
    value: Floats,
    f: int,
    c: int,
    d: int,
    found: Counts,
) -> int:
    """Split a face, whose half-edges are marked, where two columns are equal; return the new face."""
    if turns(half, face[f, FIRST], found) != 2:
        count[ANOMALIES] += 1
        face[face[f, ROOT], DOUBT] = 1
    for i in (1, 3):
        if found[i] < 0:
            found[i] = _tie(half, place, ends, count, value, found[i - 1], c, d)
    return link(half, face, count, f, found[0], found[1], found[2], found[3])


@outer
def decide_faces(
    half: Ints,
    face: Ints,
    place: Floats,
    ends: Ints,
    count: Counts,
    value: Floats,
    member: Table,
    after: Table,
    units: Table,
    tol: Floats,
    codes: Places,
    settled: Ints,
    candidates: Table,
    found: Counts,
    roots: int,
    steps: int,
) -> int:
    """Cut faces 0..roots - 1 until each of `units` has one winner on each; at most `steps` cuts at a time.

    `codes` gets the winners' places. `candidates` is room for the rows of `units` in `member`, `found` for four
    numbers. To be called again with more room, or as it is, until it returns DONE.
    """
    last = -1
    while count[PENDING] or count[TURN] < roots:
        if full(half, face, place, count, len(value)):
            return FULL
        if steps <= 0:
            return PAUSED
        if not count[PENDING]:
            settled[count[TURN]] = 0
        f = take(face, count)
        if face[f, ROOT] != last:
            last = face[f, ROOT]
            _entrants(member, units, after, codes, last, candidates)
        begin = face[f, FIRST]
        i, first, second = _undecided(half, begin, value, candidates, units, tol, codes[f], settled[f])
        if i < 0:
            continue
        settled[f] = i
        c, d = candidates[i, first], candidates[i, second]
        if _mark(half, begin, value, candidates, i, c, d, tol[units[i]]):
            new = _split(half, face, place, ends, count, value, f, c, d, found)
            for u in range(codes.shape[1]):
                codes[new, u] = codes[f, u]
            settled[new] = i
            push(face, count, new)
        else:  # closer than the tolerance can tell
            codes[f, units[i]] = first
            settled[f] = i + 1
            count[ANOMALIES] += 1
            face[last, DOUBT] = 1
        push(face, count, f)
        steps -= 1
    return DONE
