"""Affine forms of the units on the cell at hand, and what intervals tell of them."""

from __future__ import annotations

import numpy as np

from splinegraph.analyses.regions.search import state as st
from splinegraph.analyses.regions.search import tables as at
from splinegraph.analyses.regions.search.kernels.jit import fast, part, plain
from splinegraph.analyses.regions.search.state import State
from splinegraph.analyses.regions.search.tables import Tables

TIED, LEAST = st.TIED, st.LEAST
NORM, SLACK, MIDDLE, RADIUS = st.NORM, st.SLACK, st.MIDDLE, st.RADIUS
DIM, FREE = st.DIM, st.FREE
CONTEST = at.CONTEST
KIND, PRE, PRES, UNIT, UNITS = at.KIND, at.PRE, at.PRES, at.UNIT, at.UNITS
SLOPE, INTERCEPT, FIRST, WIDTH, MEMBER = at.SLOPE, at.INTERCEPT, at.FIRST, at.WIDTH, at.MEMBER
BYTE, BITS, BLOCK, BLOCKS = at.BYTE, at.BITS, at.BLOCK, at.BLOCKS
FROM, DENSE, DATA, START = at.FROM, at.DENSE, at.DATA, at.START


@fast
def add_dense(A: np.ndarray, y: np.ndarray, data: np.ndarray, offset: int, pre: int, count: int, D: int) -> None:
    """Add one unit's output, times its row of a dense block."""
    weights = data[offset : offset + count]
    for d in range(D + 1):
        factor, row = y[d], A[d, pre : pre + count]
        if factor != 0.0:
            for i in range(len(weights)):
                row[i] += factor * weights[i]
    factor, row = y[D + 1], A[D + 1, pre : pre + count]
    for i in range(len(weights)):
        row[i] += factor * abs(weights[i])


@fast
def add_sparse(
    A: np.ndarray, y: np.ndarray, data: np.ndarray, index: np.ndarray, first: int, last: int, shift: int, D: int
) -> None:
    """Add one unit's output, times its entries ``first`` to ``last`` of a sparse block."""
    for e in range(first, last):
        i, weight = index[e], data[e + shift]
        for d in range(D + 1):
            A[d, i] += weight * y[d]
        A[D + 1, i] += abs(weight) * y[D + 1]


@plain
def assemble(net: Tables, state: State, n: int) -> None:
    """Write the forms of node n's pre-activations, from the outputs of the nodes before."""
    node, A, Y, D = net.node, state.A, state.Y, state.s[DIM]
    pre, count = node[n, PRE], node[n, PRES]
    for d in range(D + 2):
        row, base = A[d, pre : pre + count], net.base[d, pre : pre + count]
        for i in range(len(row)):
            row[i] = base[i]
    y = state.work[1]
    local = A[:, pre : pre + count]
    for b in range(node[n, BLOCK], node[n, BLOCK] + node[n, BLOCKS]):
        source, data, start = net.block[b, FROM], net.block[b, DATA], net.block[b, START]
        unit, units = node[source, UNIT], node[source, UNITS]
        for p in range(units):
            if Y[D + 1, unit + p] == 0.0:
                continue
            for d in range(D + 2):
                y[d] = Y[d, unit + p]
            if net.block[b, DENSE]:
                add_dense(A, y, net.data, data + p * count, pre, count, D)
            else:
                entries = start + units + 1
                first, last = net.links[start + p], net.links[start + p + 1]
                add_sparse(local, y, net.data, net.links, entries + first, entries + last, data - entries, D)


@fast
def measure(A: np.ndarray, ranges: np.ndarray, box: np.ndarray, scale: np.ndarray, pre: int, count: int) -> None:
    """Work out norm, tolerance and range (over a box) of some pre-activations."""
    D, end = len(A) - 2, pre + count
    norm, slack, middle, radius = (
        ranges[NORM, pre:end],
        ranges[SLACK, pre:end],
        ranges[MIDDLE, pre:end],
        ranges[RADIUS, pre:end],
    )
    constant, size = A[D, pre:end], A[D + 1, pre:end]
    for i in range(len(norm)):
        norm[i], middle[i], radius[i] = 0.0, constant[i], 0.0
    for d in range(D):
        low, high = box[0, d], box[1, d]
        center, half, row = 0.5 * (low + high), 0.5 * (high - low), A[d, pre:end]
        for i in range(len(norm)):
            middle[i] += center * row[i]
            radius[i] += half * abs(row[i])
            norm[i] += row[i] * row[i]
    for i in range(len(norm)):
        norm[i] = np.sqrt(norm[i])
        slack[i] = max(scale[LEAST], scale[TIED] * size[i] / max(norm[i], 1e-300))


@part
def measure_node(net: Tables, state: State, n: int) -> None:
    """Work out norm, tolerance and range (over its box) of node n's pre-activations."""
    measure(state.A, state.range, state.box[n + 1], state.scale, net.node[n, PRE], net.node[n, PRES])


@plain
def outputs(net: Tables, state: State, n: int) -> None:
    """Write the forms of node n's outputs, all of whose codes are settled, and bounds of their size."""
    node, A, Y, D, code = net.node, state.A, state.Y, state.s[DIM], state.code
    pre, unit, units, width = node[n, PRE], node[n, UNIT], node[n, UNITS], node[n, WIDTH]
    middle, radius = state.range[MIDDLE], state.range[RADIUS]
    for u in range(units):
        if node[n, KIND] == CONTEST:
            i = pre + net.links[node[n, MEMBER] + u * width + code[unit + u]]
            slope, intercept = 1.0, 0.0
        else:
            i, piece = pre + u, code[unit + u] - node[n, FIRST]
            slope, intercept = (
                net.data[node[n, SLOPE] + piece * units + u],
                net.data[node[n, INTERCEPT] + piece * units + u],
            )
        for d in range(D + 1):
            Y[d, unit + u] = slope * A[d, i]
        Y[D, unit + u] += intercept
        Y[D + 1, unit + u] = abs(slope * middle[i] + intercept) + abs(slope) * radius[i]


@plain
def pack(node: np.ndarray, code: np.ndarray, packed: np.ndarray) -> None:
    """Write a node's codes as bit planes, the first unit in the highest bit; `node` is its row of the table."""
    unit, units, start = node[UNIT], node[UNITS], node[BYTE]
    width = (units + 7) // 8
    for plane in range(node[BITS]):
        for byte in range(width):
            value = 0
            for u in range(8 * byte, min(8 * byte + 8, units)):
                value |= ((code[unit + u] >> plane) & 1) << (7 - (u & 7))
            packed[start + plane * width + byte] = value
