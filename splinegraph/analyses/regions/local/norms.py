"""Upper bounds of the norms of all conditions' rows, from one pass over the graph."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from splinegraph.analyses.regions.local.rows import CellRows
from splinegraph.core.affine import AffineOperator
from splinegraph.core.graph import Node
from splinegraph.core.operator import Operator, SplineOperator
from splinegraph.core.switching import Breaks, Contest
from splinegraph.core.walk import walk

__all__ = ["row_bounds"]

ROUNDING = 1.0 + 1e-9
"""Bounds are sums of positive numbers; this is far more than what rounding can take from them."""


class _Size(NamedTuple):
    """How large the gradient of a node's value is: per entry in the l1 norm (so in l2 as well), and as a whole."""

    entry: Tensor
    whole: float


def row_bounds(rows: CellRows) -> tuple[Tensor, Tensor]:
    """Return upper bounds of the l2 and of the l1 norm of every row, shape (rows,) each.

    Entry by entry |A| b, with b the bounds of the entries ahead, holds in both norms. In l2 a product of operator
    norms along the graph holds too, for the gradient of a whole value.
    """
    graph = rows.graph

    def visit(node: Node, operator: Operator, sizes: tuple[_Size, ...]) -> _Size:
        shapes = [graph[arg].shape for arg in node.args]
        constants = [
            operator.lipschitz(2, i, shapes=shapes) * size.whole if size.whole else 0.0 for i, size in enumerate(sizes)
        ]
        whole = operator.join(constants, 2) if all(map(math.isfinite, constants)) else math.inf
        return _Size(_entries(rows, node, operator, [s.entry for s in sizes]), whole)

    device = rows.inputs[0].device
    with torch.no_grad():
        operators = graph.resolved(torch.float64, device, 1)
        starts = [_Size(torch.ones_like(x), 1.0) for x in rows.inputs]
        outputs, _ = walk(graph, starts, visit, operators=operators)
    sizes = dict(zip(graph.outputs, outputs, strict=True))
    first, second = torch.zeros(len(rows), dtype=torch.float64), torch.zeros(len(rows), dtype=torch.float64)
    for origin in rows.origins:
        c, part = origin.conditions, slice(origin.start, origin.stop)
        norm = torch.zeros(len(c), dtype=torch.float64)
        for i, name in enumerate(origin.node.args):
            mine = c.argument == i
            size, coefficient = sizes[name], c.coefficient[mine].double().abs()
            first[part].index_add_(0, c.row[mine], coefficient * size.entry.reshape(-1).cpu()[c.position[mine]])
            square = torch.zeros_like(norm).index_add_(0, c.row[mine], coefficient.square())
            norm += torch.where(square > 0, square.sqrt() * size.whole, 0.0)
        second[part] = norm
    return torch.minimum(first, second) * ROUNDING, first * ROUNDING


def _entries(rows: CellRows, node: Node, operator: Operator, sizes: list[Tensor]) -> Tensor:
    """Return |A| b for the piece of a node."""
    piece = rows.linearization.pieces[node.name]
    if isinstance(operator, AffineOperator):
        parts = [part.linear(*sizes) for part in operator.split() if part is not None]
        found = torch.stack(parts).sum(0) if parts else piece.tangent(*sizes).abs()
        return found.nan_to_num(math.inf, math.inf)  # 0 * inf
    if isinstance(operator, SplineOperator):
        shapes = [rows.graph[arg].shape for arg in node.args]
        if isinstance(operator.switching(shapes), Breaks | Contest):
            return piece.tangent(*sizes).abs()  # diagonal, or one entry each
    unknown = piece.tangent(*sizes)
    return torch.full_like(unknown, math.inf) if unknown.is_floating_point() else torch.zeros_like(sizes[0])
