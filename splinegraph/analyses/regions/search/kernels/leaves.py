"""A cell that is found: a point inside it, and how far the point is from its boundary."""

from __future__ import annotations

import numpy as np

from splinegraph.analyses.regions.search import state as st
from splinegraph.analyses.regions.search.kernels.jit import fast, part
from splinegraph.analyses.regions.search.kernels.simplex import NOWHERE, STALLED, reach, steps
from splinegraph.analyses.regions.search.state import State

F0, C1, DIM, FREE = st.F0, st.C1, st.DIM, st.FREE
LEAST, SIZE = st.LEAST, st.SIZE
FALLBACKS = st.FALLBACKS

NARROW = 1e-6
"""A ball with a radius below this, relative to the domain's size, is worth the search for a larger one."""


@fast
def simplex_point(R: np.ndarray, D: int, X: int, c1: int, scratch: np.ndarray, point: np.ndarray) -> float:
    """Write the mean of the vertex and its D neighbors; return its distance to the boundary."""
    work, C0, corner = scratch[0], X + D, R[D, X:c1]
    values = scratch[1, : c1 - X]
    for i in range(len(values)):
        values[i] = corner[i]
    for q in range(D):
        weight = steps(R, D, q, C0, c1, work) / (D + 1)
        if weight >= 1e200:
            return -1.0
        row = R[q, X:c1]
        for i in range(len(values)):
            values[i] += weight * row[i]
    for d in range(D):
        point[d] = values[d]
    least, slacks = 1e300, values[D:]
    for i in range(len(slacks)):
        least = min(least, slacks[i])
    return least


@part
def mean_point(state: State, point: np.ndarray) -> float:
    """Write the mean of vertices, each the farthest from the side that the mean so far is closest to."""
    s, R, D = state.s, state.R, state.s[DIM]
    X, C0, c1 = s[FREE], s[FREE] + s[DIM], s[C1]
    total, best = state.work[1], -1.0
    for i in range(X, c1):
        total[i - X] = R[D, i]
    for count in range(1, 4 * (D + 1)):
        worst, least = C0, 1e300
        for i in range(C0, c1):
            if total[i - X] / count < least:
                worst, least = i, total[i - X] / count
        if least > best:
            best = least
            for d in range(D):
                point[d] = total[d] / count
        how = reach(state, worst, 1.0, 1e300, 0.0, NOWHERE)
        if how == STALLED:
            break
        for i in range(X, c1):
            total[i - X] += R[D, i]
    return best


@part
def inner_ball(state: State, point: np.ndarray) -> float:
    """Write a point inside of the cell at hand; return the radius of a ball around it that lies in the cell."""
    s = state.s
    radius = simplex_point(state.R, s[DIM], s[FREE], s[C1], state.work, point)
    if radius <= NARROW * state.scale[SIZE]:
        state.stats[FALLBACKS] += 1
        other = state.work[2]
        wider = mean_point(state, other)
        if wider > radius:
            radius = wider
            for d in range(len(point)):
                point[d] = other[d]
    return float(radius)
