"""Where a search stands: the arrays that its compiled part works on and carries on from."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.regions.search import tables as at
from splinegraph.analyses.regions.search.tables import Floats, Integers, Tables

__all__ = ["State", "begin", "grown", "new_state"]

LAYER, F0, C1, PATH, DEPTH, FLOATS, INTEGERS, MODE, PLACE, SPARE, DIM, FREE, SIDE, CUT = range(14)
"""Entries of `State.s`: the node at work, the first open column, the end of the constraints, cuts on the path, records
on the stack, their ends in both arenas, what comes next, the contest at work, and sizes: the most
candidates of a contest, D, and the columns for open units; the side of a breakpoint to go on with, and whether that
cuts the cell."""

RUN, POP, SETTLE, OPEN, TRY = range(5)
"""Values of ``s[MODE]``: go on, take a branch from the stack, put a unit on a side, open a contest, let a
candidate win."""

TIED, LEAST, SIZE = range(3)
"""Entries of `State.scale`: relative and absolute tolerance, and the extent of the domain."""

NORM, SLACK, MIDDLE, RADIUS = range(4)
"""Rows of `State.range`: of each pre-activation's form the norm, the tolerance as a distance, and its range."""

PIVOTS, PROGRAMS, BOXED, STALLS, FLAT, FALLBACKS, ENTERED = range(7)
"""Entries of `State.stats`."""


class State(NamedTuple):
    """All that a search works on; see the constants of this module.

    Parameters
    ----------
    s : array of int64
        Scalars.
    scale : array of float64
        Tolerances.
    R : array of float64, shape (D + 2, columns)
        The dictionary.
    nb : array of int64, shape (2, D)
        Which column each variable is; the second row goes with the dictionary last stored.
    free : array of int64, shape (3, F)
        Of each open column: the unit, and the range of its code.
    cid : array of int64, shape (columns,)
        Of each constraint: its row in `rows`.
    rows : array of float64, shape (paths, D + 1)
        The cuts on the path, in the domain's coordinates.
    A, Y : array of float64, shape (D + 2, pre-activations) and (D + 2, units)
        Affine forms of pre-activations and outputs, and bounds of their size.
    range : array of float64, shape (4, pre-activations)
    box : array of float64, shape (L + 1, 2, D)
        Bounding box of the cell on entering each node.
    code : array of int64, shape (units,)
    packed : array of uint8
    floats, integers : arrays
        Records of the stack.
    records : array of int64
        Where they start in `integers`.
    work : array of float64, shape (3, columns)
        Scratch.
    pick : array of int64
        Scratch: units or candidates.
    stats : array of int64
    """

    s: Integers
    scale: Floats
    R: Floats
    nb: Integers
    free: Integers
    cid: Integers
    rows: Floats
    A: Floats
    Y: Floats
    range: Floats
    box: Floats
    code: Integers
    packed: NDArray[np.uint8]
    floats: Floats
    integers: Integers
    records: Integers
    work: Floats
    pick: Integers
    stats: Integers


def new_state(tables: Tables, dim: int, width: int, constraints: int, scale: Floats) -> State:
    """Return an empty state with room for some constraints more than `constraints`."""
    node = tables.node
    breaks = node[node[:, at.KIND] == at.BREAKS]
    free = max(int(breaks[:, at.UNITS].max(initial=1)), 1)
    pres, units = int(node[:, at.PRES].sum()), int(node[:, at.UNITS].sum())
    columns = free + dim + 2 * dim + constraints + 64 + int(node[:, at.WIDTH].max(initial=0))
    s = np.zeros(16, dtype=np.int64)
    s[LAYER], s[DIM], s[FREE], s[F0], s[C1] = -1, dim, free, free, free + dim
    s[SPARE] = int(node[:, at.WIDTH].max(initial=0))

    def integers(*shape: int) -> Integers:
        return np.zeros(shape, dtype=np.int64)

    return State(
        s,
        scale,
        np.zeros((dim + 2, columns)),
        integers(2, dim),
        integers(3, free),
        integers(columns),
        np.zeros((128 + constraints + int(node[:, at.WIDTH].max(initial=0)), dim + 1)),
        np.zeros((dim + 2, pres)),
        np.zeros((dim + 2, units)),
        np.zeros((4, pres)),
        np.zeros((len(node) + 1, 2, dim)),
        integers(units),
        np.zeros(width, dtype=np.uint8),
        np.zeros(16 * (dim + 2) * columns),
        integers(64 * (columns + 3 * free)),
        integers(256),
        np.zeros((3, columns)),
        integers(max(units, int(node[:, at.WIDTH].max(initial=0)), 1)),
        integers(8),
    )


def begin(state: State, lower: Floats, upper: Floats) -> None:
    """Put the state at the lower corner of a box."""
    s, R, D = state.s, state.R, len(lower)
    x = int(s[FREE])
    low, high, each = x + D + np.arange(D), x + 2 * D + np.arange(D), np.arange(D)
    R[each, x + each], R[D, x : x + D] = 1.0, lower
    R[each, low], R[each, high], R[D, high] = 1.0, -1.0, upper - lower
    R[D + 1, low] = R[D + 1, high] = upper - lower
    state.nb[0] = low
    state.rows[each, each], state.rows[:D, D] = 1.0, -lower
    state.rows[D + each, each], state.rows[D : 2 * D, D] = -1.0, upper
    state.cid[low], state.cid[high] = each, D + each
    state.box[0] = lower, upper
    s[C1], s[PATH] = x + 3 * D, 2 * D


def grown(state: State, name: str) -> State:
    """Return the state with one array (the columns, or a stack) twice as large."""

    def longer(array: Any, axis: int) -> Any:
        padding = [(0, 0)] * array.ndim
        padding[axis] = (0, array.shape[axis])
        return np.pad(array, padding)

    if name == "columns":
        return state._replace(R=longer(state.R, 1), cid=longer(state.cid, 0), work=longer(state.work, 1))
    return state._replace(**{name: longer(getattr(state, name), 0)})
