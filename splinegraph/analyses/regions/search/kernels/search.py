"""The walk itself: depth first, node by node, unit by unit."""

from __future__ import annotations

import numpy as np

from splinegraph.analyses.regions.search import state as st
from splinegraph.analyses.regions.search import tables as at
from splinegraph.analyses.regions.search.kernels.contests import next_candidate, open_contest
from splinegraph.analyses.regions.search.kernels.cuts import constrain_to, cut_at_breakpoint, look, settle
from splinegraph.analyses.regions.search.kernels.entering import bound_box, enter
from splinegraph.analyses.regions.search.kernels.forms import assemble, measure_node, outputs, pack
from splinegraph.analyses.regions.search.kernels.jit import outer, part
from splinegraph.analyses.regions.search.kernels.leaves import inner_ball
from splinegraph.analyses.regions.search.kernels.reference import reference
from splinegraph.analyses.regions.search.kernels.simplex import NOWHERE
from splinegraph.analyses.regions.search.kernels.stack import KIND_, SIDE_, SPLIT, drop, load, room
from splinegraph.analyses.regions.search.state import State
from splinegraph.analyses.regions.search.tables import Tables

LAYER, F0, C1, PATH, DEPTH, MODE, PLACE = st.LAYER, st.F0, st.C1, st.PATH, st.DEPTH, st.MODE, st.PLACE
DIM, FREE, LEAST, SIDE, CUT = st.DIM, st.FREE, st.LEAST, st.SIDE, st.CUT
RUN, POP, SETTLE, OPEN, TRY = st.RUN, st.POP, st.SETTLE, st.OPEN, st.TRY
KIND, CONTEST, UNITS = at.KIND, at.CONTEST, at.UNITS

FULL, DONE = -1, -2
"""What `advance` says beside the number of an array that is too small."""


@outer
def constrain(whole: State, g: np.ndarray, h: float) -> bool:
    """Restrict the domain to ``g @ t <= h``, g of norm one; return False if nothing solid is left."""
    state = reference(whole)
    s, R, D = state.s, state.R, state.s[DIM]
    X, col, row = s[FREE], s[FREE] - 1, state.rows[s[PATH]]
    for d in range(D):
        row[d] = -g[d]
    row[D] = h
    for q in range(D + 1):
        R[q, col] = h if q == D else 0.0
        for d in range(D):
            R[q, col] -= g[d] * R[q, X + d]
    s[F0] = col
    inside = R[D, col] > state.scale[LEAST] or look(state, col, 1.0, state.scale[LEAST], NOWHERE)
    s[F0] = X
    if inside:
        constrain_to(state, col, 1.0)
    return bool(inside)


@outer
def shrink(whole: State) -> None:
    """Work out the bounding box of a domain with further constraints."""
    bound_box(reference(whole), -1)


@outer
def rebuild(tables: Tables, whole: State) -> None:
    """Work out again the forms that a state read from a task leaves out: they follow from the codes."""
    net, state = reference(tables), reference(whole)
    for n in range(state.s[LAYER] + 1):
        assemble(net, state, n)
        measure_node(net, state, n)
        if n < state.s[LAYER]:
            outputs(net, state, n)
            pack(net.node[n], state.code, state.packed)


@part
def resume(state: State) -> int:
    """Take the next branch from the stack; return what to do next."""
    record = load(state)
    if state.integers[record + KIND_] != SPLIT:
        return TRY
    state.s[SIDE], state.s[CUT] = state.integers[record + SIDE_], 1
    drop(state)
    return SETTLE


@part
def step(net: Tables, state: State) -> int:
    """Go on with the cell at hand by one unit or one node; return what to do next."""
    s = state.s
    n = s[LAYER]
    if n >= 0:
        if net.node[n, KIND] == CONTEST:
            if s[PLACE] < net.node[n, UNITS]:
                return OPEN
        elif s[F0] < s[FREE]:
            cut_at_breakpoint(net, state)
            return SETTLE
        outputs(net, state, n)
        pack(net.node[n], state.code, state.packed)
    enter(net, state, n + 1)
    return RUN


@part
def settled(net: Tables, state: State) -> bool:
    """Return whether all units of all nodes have their codes."""
    s, last = state.s, len(net.node) - 1
    if s[LAYER] < last:
        return False
    if last < 0:
        return True
    if net.node[last, KIND] == CONTEST:
        return bool(s[PLACE] == net.node[last, UNITS])
    return bool(s[F0] == s[FREE])


@outer
def advance(
    tables: Tables,
    whole: State,
    packed: np.ndarray,
    points: np.ndarray,
    radii: np.ndarray,
    count: int,
    contests: bool | None,
) -> tuple[int, int]:
    """Go on until all is done or an array is full; return which, and how many cells there are.

    With `contests` None, for networks without, the part for them is not compiled.
    """
    net, state = reference(tables), reference(whole)
    s, last = state.s, len(net.node) - 1
    while True:
        full = room(state)
        if full:
            return full, count
        mode = s[MODE]
        if mode == POP:
            if s[DEPTH] == 0:
                return DONE, count
            if count == len(radii):
                return FULL, count
            s[MODE] = resume(state)
        elif mode == SETTLE:
            settle(net, state)
            s[MODE] = RUN
        elif mode == OPEN or mode == TRY:
            if contests is not None:
                won = open_contest(net, state) if mode == OPEN else next_candidate(net, state)
                s[MODE] = RUN if won else POP
        elif not settled(net, state):
            s[MODE] = step(net, state)
        else:
            if last >= 0:
                pack(net.node[last], state.code, state.packed)
            for i in range(len(state.packed)):
                packed[count, i] = state.packed[i]
            radii[count] = inner_ball(state, points[count])
            count += 1
            s[MODE] = POP
