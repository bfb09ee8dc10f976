"""The primal simplex method on a dense dictionary that is feasible from the start.

A dictionary writes affine forms as columns over n variables that are zero at the current vertex ('nonbasic'):
``T[q, i]`` is the coefficient of variable q in form i, ``T[n, i]`` its value at the vertex. The forms are the
coordinates, the goal, and the slacks, which stay nonnegative. A pivot exchanges a variable with a slack. Variables
that are still coordinates are free: they may move both ways, and once exchanged they never come back.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from splinegraph.analyses.regions.kernels.jit import fused, inner, part

OPTIMAL, ENOUGH, UNBOUNDED, STALLED = 0, 1, 2, 3
"""How `maximize` ends: at a maximum, above the value asked for, on a ray, or after too many pivots."""

PRICE = 1e-11
"""Coefficients of the goal below this are rounding."""

PIVOT = 1e-10
"""Slacks that fall more slowly than this along an edge do not stop it."""

TIE = 1e-13
"""Steps that differ by less are equal; of those the slack that falls fastest leaves."""

LARGEST_STEP_PIVOTS, MOST_PIVOTS = 100, 2000
"""Pivots by the largest coefficient, then by the smallest index, which cannot cycle; and the end of patience."""


@fused
def pivot(T: np.ndarray, n: int, k: int, r: int, columns: int) -> None:
    """Exchange variable k with the slack in column r."""
    inverse = 1.0 / T[k, r]
    for q in range(n + 1):
        factor = T[q, r] * inverse
        if q == k or factor == 0.0:
            continue
        for i in range(columns):
            T[q, i] -= factor * T[k, i]
        T[q, r] = 0.0
    for i in range(columns):
        T[k, i] *= inverse
    T[k, r] = 1.0


@part
def entering(T: np.ndarray, name: np.ndarray, n: int, goal: int, columns: int, careful: bool) -> int:
    """Return the variable to raise, or -1; a free one that should fall is turned around."""
    best = PRICE
    found: Any = np.int64(-1)  # no literal, for which `pivot` would be compiled anew
    for q in range(n):
        gain = T[q, goal]
        if name[q] < 0 and gain < 0.0:
            gain = -gain
        if gain <= PRICE:
            continue
        if careful:
            if found < 0 or name[q] < name[found]:
                found = q
        elif gain > best:
            best, found = gain, q
    if found >= 0 and name[found] < 0 and T[found, goal] < 0.0:
        for i in range(columns):
            T[found, i] = -T[found, i]
    return int(found)


@part
def leaving(T: np.ndarray, n: int, k: int, first: int, last: int, careful: bool) -> int:
    """Return the slack in columns [first, last) that vanishes first as variable k grows, or -1."""
    room, slope = np.inf, 1.0  # the step is room / slope
    found: Any = np.int64(-1)
    for i in range(first, last):
        fall = -T[k, i]
        if fall > PIVOT:
            mine = max(T[n, i], 0.0)
            later, alike = mine * slope - room * fall, TIE * slope * fall
            if later < -alike or (not careful and later < alike and fall > slope):
                room, slope, found = mine, fall, i
    return int(found)


@inner
def maximize(
    T: np.ndarray, name: np.ndarray, n: int, goal: int, first: int, last: int, enough: float
) -> tuple[int, int]:
    """Raise column `goal` as far as the slacks in columns [first, last) allow, or until above `enough`.

    `name[q]` is the column of the slack that variable q is, or -1 - d where it is still coordinate d. Returns how
    it ended, and the variable that can grow for ever if unbounded.
    """
    for count in range(MOST_PIVOTS):
        if T[n, goal] > enough:
            return ENOUGH, -1
        careful = count >= LARGEST_STEP_PIVOTS
        k = entering(T, name, n, goal, last, careful)
        if k < 0:
            return OPTIMAL, -1
        r = leaving(T, n, k, first, last, careful)
        if r < 0:
            return UNBOUNDED, k
        pivot(T, n, k, r, last)
        name[k] = r
    return STALLED, -1
