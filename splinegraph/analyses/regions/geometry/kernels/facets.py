"""Which rows a polytope needs: Clarkson's method.

All in coordinates centered at the largest ball and measured by its radius, so that every slack is at least one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from splinegraph.analyses.regions.geometry.kernels.simplex import ENOUGH, OPTIMAL, UNBOUNDED, maximize
from splinegraph.analyses.regions.kernels.jit import inner, part

UNKNOWN, REDUNDANT, KEPT = 0, 1, 2

FAR = 1e3
"""Where a polytope has no end, rows count as equal if they agree this far from its center, in inscribed radii."""


class Work(NamedTuple):
    """Arrays that all polytopes share: of m rows and D coordinates. Few of them, so that it compiles fast."""

    T: np.ndarray  # (D + 2, D + 1 + m), the dictionary
    V: np.ndarray  # vectors of m numbers, or D, named below
    K: np.ndarray  # vectors of m indices, named below
    sub: np.ndarray  # (m, D), rows inside of a facet


SLACK, GAP, Y, Z, GOAL, LOWER, UPPER = range(7)
"""Rows of V: slacks at the center, those inside of a facet, a point, one inside of a facet, what to maximize, and a
bounding box."""

NAME, ROW, STATE = range(3)
"""Rows of K: names of the dictionary's variables, rows found necessary, and what is known of each row."""


def work(dim: int, offsets: np.ndarray) -> Work:
    """Return the arrays for polytopes of the given rows."""
    most = max(int(np.diff(offsets).max(initial=0)), dim + 1)
    T, V, K = np.empty((dim + 2, dim + 1 + most)), np.empty((7, most)), np.empty((3, most), dtype=np.int64)
    return Work(T, V, K, np.empty((most, dim)))


@inner
def shoot(G: np.ndarray, w: Work, rows: int) -> int:
    """Return the row that a ray from the center along Y meets first, or -1."""
    steepest, found = 0.0, -1
    for i in range(rows):
        fall = 0.0
        for q in range(G.shape[1]):
            fall += G[i, q] * w.V[Y, q]
        if fall > steepest * w.V[SLACK, i]:
            steepest, found = fall / w.V[SLACK, i], i
    return found


@inner
def dictionary(G: np.ndarray, w: Work, count: int) -> int:
    """Write the dictionary of the `count` rows kept, at the center; return its last column."""
    dim = G.shape[1]
    for q in range(dim + 1):
        for d in range(dim + 1):
            w.T[q, d] = 0.0
    for q in range(dim):
        w.T[q, q] = 1.0
        w.K[NAME, q] = -1 - q
    for a in range(count):
        i = w.K[ROW, a]
        for q in range(dim):
            w.T[q, dim + 1 + a] = -G[i, q]
        w.T[dim, dim + 1 + a] = w.V[SLACK, i]
    last: int = dim + 1 + count
    return last


@inner
def rise(w: Work, dim: int, last: int, enough: float) -> tuple[int, int]:
    """Maximize GOAL . y over the dictionary."""
    for q in range(dim + 1):
        total = 0.0
        for d in range(dim):
            total += w.V[GOAL, d] * w.T[q, d]
        w.T[q, dim] = total
    end: tuple[int, int] = maximize(w.T, w.K[NAME], dim, dim, dim + 1, last, enough)
    return end


@part
def bound(w: Work, dim: int, last: int) -> None:
    """Write the bounding box of the rows kept; infinite where it has none."""
    for d in range(dim):
        w.V[GOAL, d] = 0.0
    for d in range(dim):
        for side in range(2):
            w.V[GOAL, d] = 2.0 * side - 1.0
            end, _ = rise(w, dim, last, np.inf)
            w.V[LOWER + side, d] = w.V[GOAL, d] * (w.T[dim, dim] if end == OPTIMAL else np.inf)
        w.V[GOAL, d] = 0.0


@part
def reach(G: np.ndarray, w: Work, i: int) -> float:
    """Return the largest value of row i on the box."""
    total = 0.0
    for d in range(G.shape[1]):
        if G[i, d] != 0.0:
            total += G[i, d] * w.V[UPPER if G[i, d] > 0.0 else LOWER, d]
    return total


@inner
def add(w: Work, i: int, count: int) -> int:
    """Keep row i; return how many are kept now."""
    if i < 0 or w.K[STATE, i] == KEPT:
        return count
    w.K[STATE, i] = KEPT
    w.K[ROW, count] = i
    return count + 1


@part
def seeds(G: np.ndarray, w: Work, rows: int) -> int:
    """Keep the rows met along the axes, and the nearest one."""
    dim, nearest = G.shape[1], rows - 1
    none: Any = np.int64(0)  # no literal, for which `add` would be compiled anew
    for i in range(rows):
        w.K[STATE, i] = UNKNOWN
        if w.V[SLACK, i] < w.V[SLACK, nearest]:
            nearest = i
    count: int = add(w, nearest, none)
    for d in range(dim):
        w.V[Y, d] = 0.0
    for d in range(dim):
        for sign in (-1.0, 1.0):
            w.V[Y, d] = sign
            count = add(w, shoot(G, w, rows), count)
        w.V[Y, d] = 0.0
    return count


@part
def append(G: np.ndarray, w: Work, count: int, last: int) -> int:
    """Put the row kept last into the dictionary, moving to where it holds; return the last column."""
    dim, i = G.shape[1], w.K[ROW, count - 1]
    for d in range(dim):
        w.V[GOAL, d] = -G[i, d]
    end, _ = rise(w, dim, last, -w.V[SLACK, i])
    if end != ENOUGH and w.T[dim, dim] + w.V[SLACK, i] < 0.0:  # free coordinates are in the way: from the center again
        afresh: int = dictionary(G, w, count)
        return afresh
    for q in range(dim + 1):
        w.T[q, last] = w.T[q, dim]
    w.T[dim, last] += w.V[SLACK, i]
    return last + 1


@part
def settle(G: np.ndarray, w: Work, rows: int, i: int, count: int, last: int, slack: float) -> tuple[int, int]:
    """Decide row i, keeping what the search meets; return how many are kept, and the last column."""
    dim = G.shape[1]
    while True:
        for d in range(dim):
            w.V[GOAL, d] = G[i, d]
        end, ray = rise(w, dim, last, w.V[SLACK, i] + slack)
        if end == OPTIMAL:
            w.K[STATE, i] = REDUNDANT
            return count, last
        hit = i
        if end == ENOUGH or end == UNBOUNDED:
            for q in range(dim):
                w.V[Y, q] = w.T[dim if end == ENOUGH else ray, q]
            hit = shoot(G, w, rows)
            if hit < 0 or w.K[STATE, hit] == KEPT:  # by rounding
                hit = i
        count = add(w, hit, count)
        last = append(G, w, count, last)
        if hit == i:
            return count, last


@part
def prune(G: np.ndarray, w: Work, rows: int, slack: float) -> int:
    """Settle the rows that lie outside of the bounding box; return how many are left."""
    left = 0
    for i in range(rows):
        if w.K[STATE, i] == UNKNOWN:
            if reach(G, w, i) <= w.V[SLACK, i] + slack:
                w.K[STATE, i] = REDUNDANT
            else:
                left += 1
    return left


@part
def twins(G: np.ndarray, w: Work, i: int, j: int, slack: float) -> bool:
    """Return whether two rows agree on the whole polytope within `slack`."""
    apart = abs(w.V[SLACK, i] - w.V[SLACK, j])
    for d in range(G.shape[1]):
        far = max(-w.V[LOWER, d], w.V[UPPER, d])
        apart += abs(G[i, d] - G[j, d]) * (far if far < np.inf else FAR)
        if apart > slack:
            return False
    return True


@part
def group(G: np.ndarray, w: Work, count: int, slack: float, owner: np.ndarray) -> None:
    """Write for every row that lies in the plane of a kept one the first row of that plane."""
    rows = len(G)
    for a in range(count):
        if owner[w.K[ROW, a]] >= 0:
            continue
        first = w.K[ROW, a]
        for i in range(rows):
            if owner[i] < 0 and twins(G, w, i, w.K[ROW, a], slack):
                first = min(first, i)
                owner[i] = w.K[ROW, a]
        for i in range(rows):
            if owner[i] == w.K[ROW, a]:
                owner[i] = first


@part
def hold(w: Work, rows: int) -> int:
    """Keep all rows; return how many."""
    for i in range(rows):
        w.K[ROW, i] = i
        w.K[STATE, i] = KEPT
    return rows


@part
def kept(G: np.ndarray, w: Work, slack: float, box: bool) -> int:
    """Keep the rows that are needed, and some that only touch; return how many. With `box`, all and their box.

    Every search adds a row; when there are half as many again, the dictionary is made afresh, free of the rounding
    of many pivots, and with it the bounding box.
    """
    rows = len(G)
    count = hold(w, rows) if box else seeds(G, w, rows)
    known, left, last = 0, rows, 0
    for i in range(rows):
        if 2 * count >= 3 * known:
            last = dictionary(G, w, count)
            if known == 0 or left > 4 * G.shape[1]:
                bound(w, G.shape[1], last)
                if box:
                    break
                left = prune(G, w, rows, slack)
            known = count
        if w.K[STATE, i] == UNKNOWN:
            count, last = settle(G, w, rows, i, count, last, slack)
            left -= 1
    return count
