"""Entering a node: the box of the cell, constraints that no longer matter, and the units that stay open."""

from __future__ import annotations

from splinegraph.analyses.regions.search import state as st
from splinegraph.analyses.regions.search import tables as at
from splinegraph.analyses.regions.search.kernels.forms import assemble, measure_node
from splinegraph.analyses.regions.search.kernels.jit import fast, part, plain
from splinegraph.analyses.regions.search.kernels.simplex import NONE, NOWHERE, STALLED, entering, reach
from splinegraph.analyses.regions.search.state import State
from splinegraph.analyses.regions.search.tables import Tables

LAYER, F0, C1, PLACE, DIM, FREE = st.LAYER, st.F0, st.C1, st.PLACE, st.DIM, st.FREE
TIED, LEAST = st.TIED, st.LEAST
NORM, SLACK, MIDDLE, RADIUS = st.NORM, st.SLACK, st.MIDDLE, st.RADIUS
PROGRAMS, BOXED, STALLS, ENTERED = st.PROGRAMS, st.BOXED, st.STALLS, st.ENTERED
KIND, CONTEST = at.KIND, at.CONTEST
PRE, UNIT, UNITS, AFTER, SIGN, WIDTH, MEMBER = at.PRE, at.UNIT, at.UNITS, at.AFTER, at.SIGN, at.WIDTH, at.MEMBER
BREAK, BREAKPOINTS, CLOSED, FIRST = at.BREAK, at.BREAKPOINTS, at.CLOSED, at.FIRST

GAP = 0.02
"""How far a side of a bounding box may lie from the cell, relative to the box of the node before."""

BOX_FROM = 3
"""Open units from which on it pays to work out the cell's bounding box."""


@part
def bound_box(state: State, n: int) -> None:
    """Shrink node n's box to the cell: two small linear programs per coordinate."""
    s, R, D = state.s, state.R, state.s[DIM]
    X = s[FREE]
    for d in range(D):
        for side in range(2):
            sign = 1.0 if side else -1.0
            gap = GAP * (state.box[n + 1, 1, d] - state.box[n + 1, 0, d])
            how = reach(state, X + d, sign, 1e300, gap, NOWHERE)
            state.stats[PROGRAMS] += 1
            if how == STALLED:
                state.stats[STALLS] += 1
            else:
                most = entering(R, state.nb, D, X + d, sign, NONE)[1]
                state.box[n + 1, side, d] = R[D, X + d] + sign * most
    state.stats[BOXED] += 1


@fast
def drop_constraints(state: State, n: int) -> None:
    """Drop the constraints that hold on the whole box with room to spare, and tighten the others' upper bounds."""
    s, R, D = state.s, state.R, state.s[DIM]
    C0, c1 = s[FREE] + D, s[C1]
    kept = C0
    for i in range(C0, c1):
        row = state.rows[state.cid[i]]
        middle, radius = row[D], 0.0
        for d in range(D):
            low, high = state.box[n + 1, 0, d], state.box[n + 1, 1, d]
            middle += 0.5 * row[d] * (low + high)
            radius += 0.5 * abs(row[d]) * (high - low)
        R[D + 1, i] = min(R[D + 1, i], middle + radius + state.scale[LEAST])
        if middle - radius > 1e3 * state.scale[LEAST]:
            held = False
            for q in range(D):
                held = held or state.nb[0, q] == i
            if not held:
                continue
        if kept < i:
            for q in range(D + 2):
                R[q, kept] = R[q, i]
            state.cid[kept] = state.cid[i]
            for q in range(D):
                if state.nb[0, q] == i:
                    state.nb[0, q] = kept
        kept += 1
    s[C1] = kept


@plain
def pieces_met(net: Tables, state: State, n: int, u: int) -> tuple[int, int]:
    """Return the first and last piece that unit u can be on in the node's box."""
    node, i = net.node, net.node[n, PRE] + u
    low, high = state.range[MIDDLE, i] - state.range[RADIUS, i], state.range[MIDDLE, i] + state.range[RADIUS, i]
    slack = state.range[SLACK, i] * state.range[NORM, i]
    first, last = 0, node[n, BREAKPOINTS]
    level = state.A[state.s[DIM] + 1, i] * state.scale[TIED]
    constant = high - low <= max(slack, level)
    for j in range(node[n, BREAKPOINTS]):
        b = net.data[node[n, BREAK] + j]
        if constant:
            value = state.range[MIDDLE, i] - b
            if value > level or (abs(value) <= level and not net.links[node[n, CLOSED] + j]):
                first = j + 1
            else:
                return first, first
        elif low - b > slack:
            first = j + 1
        elif high - b < -slack:
            return first, j
    return first, last


@plain
def open_units(net: Tables, state: State, n: int) -> int:
    """Settle the units that the box decides; list the others in `pick`; return how many."""
    node, unit = net.node, net.node[n, UNIT]
    count = 0
    for u in range(node[n, UNITS]):
        first, last = pieces_met(net, state, n, u)
        state.code[unit + u] = node[n, FIRST] + first
        if first < last:
            state.pick[count] = u
            count += 1
    return count


@plain
def open_column(net: Tables, state: State, n: int, col: int, u: int, first: int, last: int) -> None:
    """Write an open unit's column: its distance to the breakpoint in the middle of its range."""
    s, R, A, D = state.s, state.R, state.A, state.s[DIM]
    i, X = net.node[n, PRE] + u, s[FREE]
    inverse = 1.0 / state.range[NORM, i]
    state.free[0, col], state.free[1, col], state.free[2, col] = u, first, last
    b = net.data[net.node[n, BREAK] + (first + last - 1) // 2]
    for q in range(D + 1):
        total = 0.0
        for d in range(D):
            total += A[d, i] * R[q, X + d]
        R[q, col] = total * inverse
    R[D, col] += (A[D, i] - b) * inverse
    R[D + 1, col] = 0.0


@plain
def rank(net: Tables, state: State, n: int, count: int) -> None:
    """Sort the open units, those first whose breakpoint lies farthest out: the later many cut, the smaller the tree."""
    pre, key, pick = net.node[n, PRE], state.work[0], state.pick
    for j in range(count):
        u = pick[j]
        first, last = pieces_met(net, state, n, u)
        b = net.data[net.node[n, BREAK] + (first + last - 1) // 2]
        out = abs(state.range[MIDDLE, pre + u] - b) / state.range[RADIUS, pre + u]
        at = j
        while at > 0 and key[at - 1] < out:
            key[at], pick[at] = key[at - 1], pick[at - 1]
            at -= 1
        key[at], pick[at] = out, u


@part
def enter(net: Tables, state: State, n: int) -> None:
    """Begin node n."""
    s, D = state.s, state.s[DIM]
    state.stats[ENTERED] += 1
    s[LAYER], s[PLACE], s[F0] = n, 0, s[FREE]
    for d in range(D):
        state.box[n + 1, 0, d], state.box[n + 1, 1, d] = state.box[n, 0, d], state.box[n, 1, d]
    assemble(net, state, n)
    measure_node(net, state, n)
    contest = net.node[n, KIND] == CONTEST
    count = 0 if contest else open_units(net, state, n)
    if n > 0 and (contest or count >= BOX_FROM):
        bound_box(state, n)
        drop_constraints(state, n)
        measure_node(net, state, n)
        count = 0 if contest else open_units(net, state, n)
    s[F0] = s[FREE] - count
    rank(net, state, n, count)
    for j in range(count):
        u = state.pick[j]
        first, last = pieces_met(net, state, n, u)
        open_column(net, state, n, s[F0] + j, u, first, last)
