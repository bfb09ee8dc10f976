"""Cutting a cell by one unit: at a breakpoint in two, at a contest into as many parts as can win."""

from __future__ import annotations

import numpy as np

from splinegraph.analyses.regions.search import state as st
from splinegraph.analyses.regions.search import tables as at
from splinegraph.analyses.regions.search.kernels.jit import fast, part
from splinegraph.analyses.regions.search.kernels.simplex import FOUND, NONE, NOWHERE, STALLED, reach
from splinegraph.analyses.regions.search.kernels.stack import push
from splinegraph.analyses.regions.search.state import State
from splinegraph.analyses.regions.search.tables import Tables

LAYER, F0, C1, PATH, FLOATS, DIM, FREE = st.LAYER, st.F0, st.C1, st.PATH, st.FLOATS, st.DIM, st.FREE
NORM, SLACK = st.NORM, st.SLACK
LEAST = st.LEAST
SIDE, CUT = st.SIDE, st.CUT
PROGRAMS, STALLS, FLAT = st.PROGRAMS, st.STALLS, st.FLAT
PRE, UNIT, BREAK, FIRST, CLOSED = at.PRE, at.UNIT, at.BREAK, at.FIRST, at.CLOSED


@fast
def add_constraint(
    s: np.ndarray,
    R: np.ndarray,
    nb: np.ndarray,
    cid: np.ndarray,
    row: np.ndarray,
    box: np.ndarray,
    least: float,
    col: int,
    side: float,
) -> None:
    """Keep only the part of the cell where ``side * column`` is positive, `row` in the domain's coordinates."""
    D, c1 = s[DIM], s[C1]
    most, bound = row[D], max(side * R[D, col], 0.0)
    for d in range(D):
        most += max(row[d] * box[0, d], row[d] * box[1, d])
    for q in range(D):
        R[q, c1] = side * R[q, col]
        bound += max(R[q, c1], 0.0) * R[D + 1, nb[0, q]]
    R[D, c1] = max(side * R[D, col], 0.0)
    R[D + 1, c1] = min(bound, most) + least
    cid[c1] = s[PATH]
    s[C1] += 1
    s[PATH] += 1


@part
def constrain_to(state: State, col: int, side: float) -> None:
    """Keep only the part of the cell where ``side * column`` is positive; its row of the path is written already."""
    s = state.s
    row, box = state.rows[s[PATH]], state.box[s[LAYER] + 1]
    add_constraint(s, state.R, state.nb, state.cid, row, box, state.scale[LEAST], col, side)


@part
def settle(net: Tables, state: State) -> None:
    """Put the unit of the first open column on one side of its breakpoint; the column stays if it has others."""
    side, cut = state.s[SIDE], state.s[CUT]
    s, R, D, n = state.s, state.R, state.s[DIM], state.s[LAYER]
    col = s[F0]
    u, first, last = state.free[0, col], state.free[1, col], state.free[2, col]
    i, j = net.node[n, PRE] + u, (first + last - 1) // 2
    start, norm = net.node[n, BREAK], state.range[NORM, i]
    if cut:
        row = state.rows[s[PATH]]
        for d in range(D + 1):
            row[d] = side * state.A[d, i] / norm
        row[D] -= side * net.data[start + j] / norm
        constrain_to(state, col, float(side))
    if side > 0:
        first = j + 1
    else:
        last = j
    if first == last:
        state.code[net.node[n, UNIT] + u] = net.node[n, FIRST] + first
        s[F0] += 1
    else:
        state.free[1, col], state.free[2, col] = first, last
        R[D, col] += (net.data[start + j] - net.data[start + (first + last - 1) // 2]) / norm


@part
def look(state: State, col: int, sign: float, goal: float, start: int) -> bool:
    """Return whether the cell reaches beyond the goal; the vertex moves there."""
    stats = state.stats
    stats[PROGRAMS] += 1
    how = reach(state, col, sign, goal, -1.0, start)
    if how == STALLED:
        stats[STALLS] += 1
    return bool(how == FOUND)


@part
def cut_at_breakpoint(net: Tables, state: State) -> None:
    """Decide how the first open column cuts the cell, and note the side to go on with."""
    s, n, col = state.s, state.s[LAYER], state.s[F0]
    u = state.free[0, col]
    goal = state.range[SLACK, net.node[n, PRE] + u]
    j = (state.free[1, col] + state.free[2, col] - 1) // 2
    value = state.R[s[DIM], col]
    side, other = 1, True
    if abs(value) > goal:
        side = 1 if value > 0.0 else -1
    elif not look(state, col, 1.0, goal, NOWHERE):
        other = False
        if look(state, col, -1.0, goal, NOWHERE):
            side = -1
        else:  # zero on the whole cell
            state.stats[FLAT] += 1
            side = -1 if net.links[net.node[n, CLOSED] + j] else 1
    s[SIDE], s[CUT] = side, 0
    if other and look(state, col, -float(side), goal, s[FLOATS]):
        push(state, NONE)
        s[SIDE], s[CUT] = -side, 1
