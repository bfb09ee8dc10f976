"""The dictionary of a cell: always feasible, so that no linear program needs a first phase.

Every row of `R` but the last two belongs to a variable that is zero at the current vertex ('nonbasic'); a column is an
affine form: ``R[q, i]`` its coefficient of variable q, ``R[D, i]`` its value at the vertex. The columns are, from left
to right, the units that are still open, the coordinates, and the constraints that hold the cell; the variables are
slacks of constraints, and ``R[D + 1, i]`` is an upper bound of the slack of constraint i on the whole cell.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from splinegraph.analyses.regions.search import state as st
from splinegraph.analyses.regions.search.kernels.jit import fast, larger, smaller
from splinegraph.analyses.regions.search.state import State

F0, C1, DIM, FREE, PIVOTS = st.F0, st.C1, st.DIM, st.FREE, st.PIVOTS

OPTIMAL, FOUND, STALLED = 0, 1, 2
"""How `reach` ends: the goal cannot be reached, it is reached, or no end was found."""

NOWHERE: Any = np.int64(-1)
NONE: Any = np.int64(0)
"""Arguments; a literal instead would have the function compiled again for its type."""

PRICE = 1e-12
"""Coefficients of the goal below this are rounding."""

PIVOT = 1e-11
"""Slacks that fall more slowly than this along an edge do not stop it."""

TIE = 1e-13
"""Steps that differ by less are equal; of those the slack that falls fastest leaves."""

NEVER = 1e300
"""Steps as long as this are not stopped by any slack."""

LARGEST_STEP_PIVOTS, MOST_PIVOTS = 60, 2000
"""Pivots by the largest gain, then by the smallest index, which cannot cycle; and the end of patience."""


@fast
def pivot(R: np.ndarray, nb: np.ndarray, D: int, k: int, r: int, f0: int, c1: int) -> None:
    """Exchange variable k with the slack in column r."""
    inverse, lead = 1.0 / R[k, r], R[k, f0:c1]
    for i in range(len(lead)):  # indices that start at zero: only such loops are vectorized
        lead[i] *= inverse
    for q in range(D + 1):
        factor = R[q, r]
        if q == k or factor == 0.0:
            continue
        row = R[q, f0:c1]
        for i in range(len(lead)):
            row[i] -= factor * lead[i]
        row[r - f0] = 0.0
    lead[r - f0] = 1.0
    nb[0, k] = r


@fast
def steps(R: np.ndarray, D: int, k: int, C0: int, c1: int, work: np.ndarray) -> float:
    """Return how far variable k can rise; `work` gets how far each slack lets it."""
    along, value = R[k, C0:c1], R[D, C0:c1]
    least = NEVER
    for i in range(len(along)):  # without a branch: it is vectorized
        fall = larger(-along[i], PIVOT)
        step = larger(value[i], 0.0) / fall + (NEVER if fall <= PIVOT else 0.0)
        work[i] = step
        least = smaller(least, step)
    return least


@fast
def leaving(R: np.ndarray, k: int, C0: int, c1: int, work: np.ndarray, least: float) -> int:
    """Return the slack that stops variable k: of those that tie, the one that falls fastest."""
    limit = least + TIE * (1.0 + least)
    found, best = -1, 0.0
    along = R[k, C0:c1]
    for i in range(len(along)):
        if work[i] <= limit and -along[i] > best:
            found, best = i, -along[i]
    return C0 + found


@fast
def entering(R: np.ndarray, nb: np.ndarray, D: int, col: int, sign: float, count: int) -> tuple[int, float]:
    """Return the variable to raise after `count` pivots (-1 at a maximum), and the most that raising all could add."""
    found, best, most = -1, 0.0, 0.0
    for q in range(D):
        gain = sign * R[q, col]
        if gain > PRICE:
            reach = gain * R[D + 1, nb[0, q]]
            most += reach
            if count >= LARGEST_STEP_PIVOTS:
                if found < 0 or nb[0, q] < nb[0, found]:
                    found = q
            elif reach > best:
                found, best = q, reach
    return found, most


@fast
def store(R: np.ndarray, nb: np.ndarray, D: int, f0: int, c1: int, arena: np.ndarray, start: int) -> None:
    """Copy the dictionary into the arena."""
    width = c1 - f0
    for q in range(D + 2):
        row, copy = R[q, f0:c1], arena[start + q * width : start + (q + 1) * width]
        for i in range(len(row)):
            copy[i] = row[i]
    for q in range(D):
        nb[1, q] = nb[0, q]


@fast
def restore(R: np.ndarray, D: int, f0: int, c1: int, arena: np.ndarray, start: int) -> None:
    """Copy a dictionary back from the arena."""
    width = c1 - f0
    for q in range(D + 2):
        row, copy = R[q, f0:c1], arena[start + q * width : start + (q + 1) * width]
        for i in range(len(row)):
            row[i] = copy[i]


@fast
def reach(state: State, col: int, sign: float, goal: float, gap: float, start: int) -> int:
    """Move to a vertex where ``sign * column`` exceeds the goal.

    With ``gap >= 0`` there is no goal: stop where at most the gap is missing from the maximum.
    With ``start >= 0`` the dictionary of the last vertex that did not is left in the arena.
    """
    s, R, nb, work = state.s, state.R, state.nb, state.work[0]
    D, C0, f0, c1 = s[DIM], s[FREE] + s[DIM], s[F0], s[C1]
    for count in range(MOST_PIVOTS):
        value = sign * R[D, col]
        if value > goal:
            return FOUND
        k, most = entering(R, nb, D, col, sign, count)
        if k < 0 or most <= gap or (gap < 0.0 and value + most <= goal):
            return OPTIMAL
        step = steps(R, D, k, C0, c1, work)
        if step >= NEVER:
            return STALLED
        r = leaving(R, k, C0, c1, work, step)
        if start >= 0 and value + sign * R[k, col] * step > 0.5 * goal:
            store(R, nb, D, f0, c1, state.floats, start)
        pivot(R, nb, D, k, r, f0, c1)
        state.stats[PIVOTS] += 1
    return STALLED
