"""Which rows of a polytope are facets: Clarkson's method, and the largest ball in each facet.

All in coordinates centered at the largest ball and measured by its radius, so that every slack is at least one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from splinegraph.analyses.regions.geometry.kernels.chebyshev import ball_in
from splinegraph.analyses.regions.geometry.kernels.simplex import ENOUGH, OPTIMAL, UNBOUNDED, maximize

UNKNOWN, REDUNDANT, KEPT = 0, 1, 2

PARALLEL = 1e-14
"""Sine of the angle between two rows below which they are the same up to rounding."""


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


@njit(cache=True)
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


@njit(cache=True)
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


@njit(cache=True)
def rise(w: Work, dim: int, last: int, enough: float) -> tuple[int, int]:
    """Maximize GOAL . y over the dictionary."""
    for q in range(dim + 1):
        total = 0.0
        for d in range(dim):
            total += w.V[GOAL, d] * w.T[q, d]
        w.T[q, dim] = total
    end: tuple[int, int] = maximize(w.T, w.K[NAME], dim, dim, dim + 1, last, enough)
    return end


@njit(cache=True)
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


@njit(cache=True)
def reach(G: np.ndarray, w: Work, i: int) -> float:
    """Return the largest value of row i on the box."""
    total = 0.0
    for d in range(G.shape[1]):
        if G[i, d] != 0.0:
            total += G[i, d] * w.V[UPPER if G[i, d] > 0.0 else LOWER, d]
    return total


@njit(cache=True)
def add(w: Work, i: int, count: int) -> int:
    """Keep row i; return how many are kept now."""
    if i < 0 or w.K[STATE, i] == KEPT:
        return count
    w.K[STATE, i] = KEPT
    w.K[ROW, count] = i
    return count + 1


@njit(cache=True)
def seeds(G: np.ndarray, w: Work, rows: int) -> int:
    """Keep the rows met along the axes, and the nearest one."""
    dim, nearest = G.shape[1], 0
    for i in range(rows):
        w.K[STATE, i] = UNKNOWN
        if w.V[SLACK, i] < w.V[SLACK, nearest]:
            nearest = i
    count: int = add(w, nearest, 0)
    for d in range(dim):
        w.V[Y, d] = 0.0
    for d in range(dim):
        for sign in (-1.0, 1.0):
            w.V[Y, d] = sign
            count = add(w, shoot(G, w, rows), count)
        w.V[Y, d] = 0.0
    return count


@njit(cache=True)
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


@njit(cache=True)
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


@njit(cache=True)
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


@njit(cache=True)
def necessary(G: np.ndarray, w: Work, rows: int, slack: float) -> int:
    """Keep all rows that the polytope needs (and maybe some that only touch it); return how many."""
    dim = G.shape[1]
    count = seeds(G, w, rows)
    last = dictionary(G, w, count)
    bound(w, dim, last)
    known, left = count, prune(G, w, rows, slack)
    for i in range(rows):
        if w.K[STATE, i] != UNKNOWN:
            continue
        count, last = settle(G, w, rows, i, count, last, slack)
        left -= 1
        if 2 * count >= 3 * known:
            known = count
            last = dictionary(G, w, count)  # afresh, free of the rounding of many pivots
            if left > 4 * dim:
                bound(w, dim, last)
                left = prune(G, w, rows, slack)
    return count


@njit(cache=True)
def twins(G: np.ndarray, w: Work, i: int, j: int, slack: float) -> bool:
    """Return whether two rows agree on the whole polytope within `slack`."""
    apart = abs(w.V[SLACK, i] - w.V[SLACK, j])
    for d in range(G.shape[1]):
        change = abs(G[i, d] - G[j, d])
        if change > 0.0:
            apart += change * max(-w.V[LOWER, d], w.V[UPPER, d])
        if apart > slack:
            return False
    return True


@njit(cache=True)
def inside(G: np.ndarray, w: Work, f: int, count: int, slack: float) -> int:
    """Write the rows kept as seen in the plane of facet f; return how many, or -1 if it lies outside of one.

    The reflection I - v v^T / (1 + |g_0|) with v = g + sign(g_0) e_0 sends the first axis to the normal g of the
    facet, up to its sign, and the others into its plane: they are the coordinates there.
    """
    dim, rows, sign = G.shape[1], 0, 1.0 if G[f, 0] >= 0.0 else -1.0
    for a in range(count):
        j = w.K[ROW, a]
        if j == f:
            continue
        along, norm = 0.0, 0.0
        for d in range(dim):
            along += G[j, d] * G[f, d]
        fold = (along + sign * G[j, 0]) / (1.0 + abs(G[f, 0]))
        for q in range(1, dim):
            w.sub[rows, q - 1] = G[j, q] - fold * G[f, q]
            norm += w.sub[rows, q - 1] ** 2
        norm, gap = np.sqrt(norm), w.V[SLACK, j] - along * w.V[SLACK, f]
        if norm > PARALLEL:
            for q in range(dim - 1):
                w.sub[rows, q] /= norm
            w.V[GAP, rows] = gap / norm
            rows += 1
        elif gap < -slack:
            return -1
    return rows


@njit(cache=True)
def facet_ball(G: np.ndarray, w: Work, f: int, rows: int, count: int, slack: float) -> float:
    """Return the radius of the largest ball in facet f, its center in Y; at most zero if it is no facet."""
    dim, sign, fold = G.shape[1], 1.0 if G[f, 0] >= 0.0 else -1.0, 0.0
    found = inside(G, w, f, count, slack)
    if found < 0:
        return -1.0
    radius = ball_in(w.sub, w.V[GAP], found, dim - 1, w.T, w.K[NAME], w.V[Z], 1.0)
    for q in range(1, dim):
        fold += w.V[Z, q - 1] * G[f, q]
    fold /= 1.0 + abs(G[f, 0])
    w.V[Y, 0] = w.V[SLACK, f] * G[f, 0] - fold * (G[f, 0] + sign)
    for q in range(1, dim):
        w.V[Y, q] = w.V[SLACK, f] * G[f, q] + w.V[Z, q - 1] - fold * G[f, q]
    return clearance(G, w, f, rows, slack, radius)


@njit(cache=True)
def clearance(G: np.ndarray, w: Work, f: int, rows: int, slack: float, nearest: float) -> float:
    """Return `nearest`, or how far Y is from a row that is nearer, within the plane of facet f; no twin counts."""
    dim = G.shape[1]
    for i in range(rows):
        gap, along = w.V[SLACK, i], 0.0
        for d in range(dim):
            gap -= G[i, d] * w.V[Y, d]
        if gap >= nearest or i == f:  # the distance in the plane is no smaller
            continue
        for d in range(dim):
            along += G[i, d] * G[f, d]
        norm = np.sqrt(max(1.0 - along * along, 0.0))
        if norm > 1e-7:
            nearest = min(nearest, gap / norm)
        elif not twins(G, w, i, f, slack):
            norm = 0.0  # the difference above has cancelled
            for d in range(dim):
                norm += (G[i, d] - along * G[f, d]) ** 2
            if norm > 0.0:
                nearest = min(nearest, gap / np.sqrt(norm))
            elif gap < -slack:
                return -1.0
    return nearest


@njit(cache=True)
def group(G: np.ndarray, w: Work, rows: int, count: int, slack: float, owner: np.ndarray) -> None:
    """Write for every row that lies in the plane of a kept one the first row of that plane, -1 for the others."""
    for i in range(rows):
        owner[i] = -1
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


@njit(cache=True)
def facets_of(
    G: np.ndarray, rows: int, w: Work, slack: float, owner: np.ndarray, points: np.ndarray, radii: np.ndarray
) -> None:
    """Write owner of each row, and point and radius of the rows that own a facet, in scaled coordinates."""
    dim = G.shape[1]
    count = necessary(G, w, rows, slack)
    group(G, w, rows, count, slack, owner)
    for f in range(rows):
        if owner[f] == f:
            radii[f] = np.inf if dim == 1 else facet_ball(G, w, f, rows, count, slack)
            if dim == 1:
                w.V[Y, 0] = w.V[SLACK, f] * G[f, 0]
            for d in range(dim):
                points[f, d] = w.V[Y, d]


@njit(cache=True)
def all_facets(
    G: np.ndarray,
    h: np.ndarray,
    offsets: np.ndarray,
    centers: np.ndarray,
    sizes: np.ndarray,
    w: Work,
    slack: float,
    thin: float,
    owner: np.ndarray,
    points: np.ndarray,
    radii: np.ndarray,
) -> None:
    """Write owner, point and radius of each row, of polytopes of which center and size are known."""
    for c in range(len(sizes)):
        low, high, size = offsets[c], offsets[c + 1], sizes[c]
        if size <= thin or high == low:
            continue
        for i in range(low, high):
            gap = h[i]
            for d in range(G.shape[1]):
                gap -= G[i, d] * centers[c, d]
            w.V[SLACK, i - low] = gap / size
        facets_of(G[low:high], high - low, w, slack / size, owner[low:high], points[low:high], radii[low:high])
        for i in range(low, high):
            radii[i] *= size
            if owner[i] >= 0:
                owner[i] += low
                for d in range(G.shape[1]):
                    points[i, d] = centers[c, d] + size * points[i, d]
