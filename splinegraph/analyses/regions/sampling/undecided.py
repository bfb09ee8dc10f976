"""Points at which rounding may have decided a unit, so that their pattern may be that of no cell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from splinegraph.analyses.regions.tolerances import ON_BOUNDARY
from splinegraph.analyses.regions.verify.slacks import rivals
from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.operator import Operator, SplineOperator
from splinegraph.core.switching import Breaks
from splinegraph.core.walk import walk

__all__ = ["undecided"]

COARSE = 64
"""Units in the last place, of the largest value on the way, that sums of some thousand terms are off by at most, as a
rule: what counts as near in other dtypes than float64."""

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]


def undecided(graph: SplineGraph, inputs: Sequence[Tensor]) -> Flags:
    """Return at which inputs some unit is not on a boundary, but so near that rounding may have put it on its side.

    Parameters
    ----------
    graph : SplineGraph
    inputs : sequence of Tensor of shape (B, *in)
        One per input, all of the dtype in which codes are decided.

    Returns
    -------
    array of bool, shape (B,)

    Notes
    -----
    A unit that is zero on a whole cell, as 0.1 x + 0.2 x - 0.3 x is but for rounding, gets either sign there: two
    patterns for one cell. Without such points the number of distinct patterns is a lower bound of the number of
    cells. Near means `ON_BOUNDARY`, relative to the largest value at the input on the way to the unit, in float64;
    `COARSE` units in the last place in other dtypes. Values that are equal count as decided: ties then go to one
    side everywhere, as those between zeros behind units that are off. One forward pass in which every value
    is looked at twice: for chosen points, such as the first of each pattern.
    """
    tolerance = max(ON_BOUNDARY, COARSE * torch.finfo(inputs[0].dtype).eps)
    count = len(inputs[0])
    reach, found = np.zeros((count, 1)), np.zeros(count, dtype=bool)

    def visit(node: Node, op: Operator, xs: tuple[Tensor, ...]) -> Tensor:
        if isinstance(op, SplineOperator) and op.alphabet([x.shape for x in xs]) != 1:
            found[:] |= _near(graph, node, op, xs, tolerance * reach)
        value = op.forward(*xs)
        _widen(reach, node.rows(value))
        return value

    with torch.no_grad():
        for name, x in zip(graph.inputs, inputs, strict=True):
            _widen(reach, graph[name].rows(x))
        operators = graph.resolved(inputs[0].dtype, inputs[0].device, count)
        walk(graph, inputs, visit, operators=operators)
    return found


def _widen(reach: Floats, rows: Tensor) -> None:
    """Raise `reach` to the largest entry of each row."""
    if rows.shape[1]:
        np.maximum(reach, rows.abs().amax(1, keepdim=True).double().cpu().numpy(), out=reach)


def _near(graph: SplineGraph, node: Node, op: SplineOperator, xs: Sequence[Tensor], slack: Floats) -> Flags:
    """Return at which samples a unit of one node is nearer to a boundary than `slack`, but not on it."""
    switching = op.switching([graph[name].shape for name in node.args])
    if switching is None:  # its pieces cannot be listed: see whether a small step changes the code
        step = torch.from_numpy(slack).to(xs[0])
        codes = [node.rows(op.code(*(_moved(graph[n], x, s * step) for n, x in zip(node.args, xs, strict=True))))
                 for s in (-1, 1)]  # fmt: skip
        return np.asarray((codes[0] != codes[1]).any(1).cpu().numpy())
    values = [graph[name].rows(x).double().cpu().numpy() for name, x in zip(node.args, xs, strict=True)]
    if isinstance(switching, Breaks):
        gaps = [np.abs(values[0] - b) for b in switching.breakpoints.tolist()]
        return np.asarray(np.any([((gap > 0) & (gap <= slack)).any(axis=1) for gap in gaps], axis=0))
    won, others = rivals(switching, values, node.rows(op.code(*xs)).cpu().numpy().astype(np.int64))
    gap = won[..., None] - others
    return np.asarray(((gap > 0) & (gap <= slack[..., None])).any(axis=(1, 2)))


def _moved(node: Node, x: Tensor, step: Tensor) -> Tensor:
    """Return a value moved by one number per sample."""
    rows = node.rows(x)
    moved = (rows + step).reshape(len(rows), *(node.layout.samples_first(x).shape[1:] if node.layout else x.shape))
    return node.layout.samples_back(moved) if node.layout else moved[0]
