"""Units that are the largest or smallest of several candidates."""

from __future__ import annotations

import numpy as np

from splinegraph.analyses.regions.search import state as st
from splinegraph.analyses.regions.search import tables as at
from splinegraph.analyses.regions.search.kernels.cuts import constrain_to, look
from splinegraph.analyses.regions.search.kernels.jit import fast, part, plain
from splinegraph.analyses.regions.search.kernels.simplex import NOWHERE, store
from splinegraph.analyses.regions.search.kernels.stack import END_, NEXT_, RIVALS_, drop, push
from splinegraph.analyses.regions.search.state import State
from splinegraph.analyses.regions.search.tables import Tables

LAYER, F0, C1, PATH, DEPTH = st.LAYER, st.F0, st.C1, st.PATH, st.DEPTH
FLOATS, PLACE, DIM, FREE = st.FLOATS, st.PLACE, st.DIM, st.FREE
TIED, LEAST = st.TIED, st.LEAST
MIDDLE = st.MIDDLE
PRE, UNIT, UNITS, WIDTH, MEMBER, AFTER, SIGN = at.PRE, at.UNIT, at.UNITS, at.WIDTH, at.MEMBER, at.AFTER, at.SIGN

BEHIND, AHEAD, OPEN = -1, 1, 0


@fast
def compare(net: Tables, state: State, n: int, u: int, a: int, b: int) -> tuple[int, float, float]:
    """Say whether place a of unit u is ahead of place b on the whole box: (answer, norm of the difference, tolerance).

    Places that are equal are ranked by their number.
    """
    node, A, D, box = net.node, state.A, state.s[DIM], state.box[n + 1]
    start, pre, sign = node[n, MEMBER] + u * node[n, WIDTH], node[n, PRE], float(node[n, SIGN])
    i, j = pre + net.links[start + a], pre + net.links[start + b]
    norm, middle, radius = 0.0, sign * (A[D, i] - A[D, j]), 0.0
    for d in range(D):
        slope = sign * (A[d, i] - A[d, j])
        norm += slope * slope
        middle += 0.5 * slope * (box[0, d] + box[1, d])
        radius += 0.5 * abs(slope) * (box[1, d] - box[0, d])
    norm = np.sqrt(norm)
    level = state.scale[TIED] * (A[D + 1, i] + A[D + 1, j])
    slack = max(state.scale[LEAST], level / max(norm, 1e-300))
    if 2.0 * radius <= max(level, slack * norm):  # the same up to a constant
        if abs(middle) <= level:
            return AHEAD if a < b else BEHIND, norm, slack
        return AHEAD if middle > 0.0 else BEHIND, norm, slack
    if middle - radius > slack * norm:
        return AHEAD, norm, slack
    return BEHIND if middle + radius < -slack * norm else OPEN, norm, slack


@plain
def taken(net: Tables, state: State, n: int, u: int, place: int) -> bool:
    """Return whether a unit ahead of u in the ranking has taken this place."""
    node = net.node
    v = net.links[node[n, AFTER] + u]
    while v >= 0:
        if state.code[node[n, UNIT] + v] == place:
            return True
        v = net.links[node[n, AFTER] + v]
    return False


@plain
def candidates(net: Tables, state: State, n: int, u: int) -> int:
    """Write the places that may win unit u to `pick`, in order; return how many."""
    node, sign = net.node, float(net.node[n, SIGN])
    start, width, pre = node[n, MEMBER] + u * node[n, WIDTH], node[n, WIDTH], node[n, PRE]
    leader, best = NOWHERE, 0.0
    for place in range(width):
        member = net.links[start + place]
        if member < 0 or taken(net, state, n, u, place):
            continue
        value = sign * state.range[MIDDLE, pre + member]
        if leader < 0 or value > best:
            leader, best = place, value
    for place in range(leader):  # of those equal to the leader the first leads
        member = net.links[start + place]
        if member >= 0 and not taken(net, state, n, u, place) and compare(net, state, n, u, place, leader)[0] == AHEAD:
            leader = place
            break
    count = 0
    for place in range(width):
        if net.links[start + place] < 0 or taken(net, state, n, u, place):
            continue
        if place == leader or compare(net, state, n, u, place, leader)[0] != BEHIND:
            state.pick[count] = place
            count += 1
    return count


@plain
def beats(net: Tables, state: State, n: int, u: int, a: int, b: int) -> bool:
    """Restrict the cell to where place a beats place b; return False if that is nowhere."""
    s, R, A, D = state.s, state.R, state.A, state.s[DIM]
    answer, norm, slack = compare(net, state, n, u, a, b)
    if answer != OPEN:
        return bool(answer == AHEAD)
    node, sign = net.node, float(net.node[n, SIGN])
    start, pre, X, col = node[n, MEMBER] + u * node[n, WIDTH], node[n, PRE], s[FREE], s[FREE] - 1
    i, j = pre + net.links[start + a], pre + net.links[start + b]
    row = state.rows[s[PATH]]
    for d in range(D + 1):
        row[d] = sign * (A[d, i] - A[d, j]) / norm
    for q in range(D + 1):
        R[q, col] = row[D] if q == D else 0.0
        for d in range(D):
            R[q, col] += row[d] * R[q, X + d]
    s[F0] = col
    won = R[D, col] > slack or look(state, col, 1.0, slack, NOWHERE)
    s[F0] = X
    if won:
        constrain_to(state, col, 1.0)
    return bool(won)


@plain
def open_contest(net: Tables, state: State) -> bool:
    """Settle the next contest if one candidate is left, else put its candidates on the stack; False in that case."""
    s, n = state.s, state.s[LAYER]
    u = s[PLACE]
    count = candidates(net, state, n, u)
    if count == 1:
        state.code[net.node[n, UNIT] + u] = state.pick[0]
        s[PLACE] += 1
        return True
    store(state.R, state.nb, s[DIM], s[F0], s[C1], state.floats, s[FLOATS])
    push(state, count)
    return False


@part
def next_candidate(net: Tables, state: State) -> bool:
    """Try the next candidate of the contest just loaded; return whether it wins anywhere."""
    s, n, ints = state.s, state.s[LAYER], state.integers
    record = state.records[s[DEPTH] - 1]
    place, rivals = ints[record + NEXT_], ints[record + RIVALS_]
    first, u = ints[record + END_] - rivals, s[PLACE]
    ints[record + NEXT_] += 1
    if place + 1 == rivals:  # what the record holds is read before it is written over
        drop(state)
    winner = ints[first + place]
    for j in range(rivals):
        if j != place and not beats(net, state, n, u, winner, ints[first + j]):
            return False
    state.code[net.node[n, UNIT] + u] = winner
    s[PLACE] += 1
    return True
