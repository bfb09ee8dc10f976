"""The stack of cells that wait: records in two arenas, one of numbers, one of integers."""

from __future__ import annotations

from splinegraph.analyses.regions.search import state as st
from splinegraph.analyses.regions.search.kernels.jit import part
from splinegraph.analyses.regions.search.kernels.simplex import restore
from splinegraph.analyses.regions.search.state import State

LAYER, F0, C1, PATH, DEPTH = st.LAYER, st.F0, st.C1, st.PATH, st.DEPTH
FLOATS, INTEGERS, PLACE, SPARE, DIM, FREE, SIDE = st.FLOATS, st.INTEGERS, st.PLACE, st.SPARE, st.DIM, st.FREE, st.SIDE

HEADER = 12
KIND_, LAYER_, F0_, C1_, PATH_, PLACE_, SIDE_, FLOATS_, NEXT_, LAST_, RIVALS_, END_ = range(HEADER)
"""What a record begins with."""

SPLIT, CONTEST_ = 0, 1
"""Kinds of records: the other side of a cut; the candidates of a contest that are left."""


@part
def room(state: State) -> int:
    """Return 0 if any one step fits, else which array is full: 1 columns, 2 floats, 3 integers, 4 records, 5 rows."""
    s, D = state.s, state.s[DIM]
    spare = s[SPARE]
    width = s[C1] - s[F0] + 2
    if s[C1] + spare + 2 > state.R.shape[1]:
        return 1
    if s[FLOATS] + (D + 2) * width > len(state.floats):
        return 2
    if s[INTEGERS] + HEADER + D + s[C1] - s[FREE] + 3 * (s[FREE] - s[F0]) + spare > len(state.integers):
        return 3
    if s[DEPTH] + 1 >= len(state.records):
        return 4
    return 5 if s[PATH] + spare + 2 > len(state.rows) else 0


@part
def push(state: State, rivals: int) -> None:
    """Add a record: of a contest with so many candidates, or, with none, of a cut's ``s[SIDE]``.

    Its dictionary lies in the arena already, its variables in ``nb[1]``.
    """
    s, D, ints = state.s, state.s[DIM], state.integers
    at, X = s[INTEGERS], s[FREE]
    ints[at + KIND_] = CONTEST_ if rivals else SPLIT
    ints[at + LAYER_], ints[at + F0_], ints[at + C1_] = s[LAYER], s[F0], s[C1]
    ints[at + PATH_], ints[at + PLACE_], ints[at + SIDE_], ints[at + FLOATS_] = s[PATH], s[PLACE], s[SIDE], s[FLOATS]
    ints[at + NEXT_], ints[at + LAST_], ints[at + RIVALS_] = 0, rivals, rivals
    end = at + HEADER
    for q in range(D):
        ints[end + q] = state.nb[1, q]
    end += D
    for i in range(X + D, s[C1]):
        ints[end] = state.cid[i]
        end += 1
    for col in range(s[F0], X):
        ints[end], ints[end + 1], ints[end + 2] = state.free[0, col], state.free[1, col], state.free[2, col]
        end += 3
    for j in range(rivals):
        ints[end + j] = state.pick[j]
    end += rivals
    ints[at + END_] = end
    state.records[s[DEPTH]] = at
    s[DEPTH] += 1
    s[INTEGERS], s[FLOATS] = end, s[FLOATS] + (D + 2) * (s[C1] - s[F0])


@part
def load(state: State) -> int:
    """Make the record on top the state at hand; return where it is. It stays on the stack."""
    s, D, ints = state.s, state.s[DIM], state.integers
    at, X = state.records[s[DEPTH] - 1], s[FREE]
    s[LAYER], s[F0], s[C1] = ints[at + LAYER_], ints[at + F0_], ints[at + C1_]
    s[PATH], s[PLACE] = ints[at + PATH_], ints[at + PLACE_]
    end = at + HEADER
    for q in range(D):
        state.nb[0, q] = ints[end + q]
    end += D
    for i in range(X + D, s[C1]):
        state.cid[i] = ints[end]
        end += 1
    for col in range(s[F0], X):
        state.free[0, col], state.free[1, col], state.free[2, col] = ints[end], ints[end + 1], ints[end + 2]
        end += 3
    restore(state.R, D, s[F0], s[C1], state.floats, ints[at + FLOATS_])
    return int(at)


@part
def drop(state: State) -> None:
    """Take the top record off the stack."""
    s = state.s
    s[DEPTH] -= 1
    s[INTEGERS] = state.records[s[DEPTH]]
    s[FLOATS] = state.integers[s[INTEGERS] + FLOATS_]
