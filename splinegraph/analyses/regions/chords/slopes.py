"""How fast the output moves along each piece of a segment: a tangent pass through the pieces that the codes name."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from splinegraph.analyses.batches import ENTRIES, widest
from splinegraph.analyses.codes import Layer
from splinegraph.analyses.packing import Bytes, unpack
from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.operator import Operator, SplineOperator
from splinegraph.core.walk import walk

__all__ = ["slopes"]


def slopes(
    graph: SplineGraph, layers: Sequence[Layer], packed: Bytes, directions: Sequence[Tensor], owner: Tensor
) -> Tensor:
    """Return A d on each piece, all outputs flattened side by side, shape (P, out).

    Parameters
    ----------
    packed : array of uint8, shape (P, bytes)
        Codes of the pieces.
    directions : sequence of Tensor of shape (S, *in), float64
        The directions of segments.
    owner : Tensor of shape (P,)
        The segment of each piece.

    Notes
    -----
    Exact however short a piece is: nothing is divided by its length. One forward-sized pass.
    """
    named = {layer.name: layer for layer in layers}
    step = max(1, ENTRIES // 16 // widest(graph)) if graph.batched else 1
    found = []
    for start in range(0, len(packed), step):
        rows = slice(start, start + step)
        found.append(_pass(graph, named, packed[rows], [d[owner[rows].to(d.device)] for d in directions]))
    size = sum(torch.Size(shape).numel() for shape in graph.output_shapes)
    return torch.cat(found) if found else torch.zeros(0, size, dtype=torch.float64)


def _pass(graph: SplineGraph, layers: dict[str, Layer], packed: Bytes, directions: Sequence[Tensor]) -> Tensor:
    def visit(node: Node, operator: Operator, vs: tuple[Tensor, ...]) -> Tensor:
        layer = layers.get(node.name)
        assert isinstance(operator, SplineOperator)
        if layer is None:
            return operator.linearize(*vs).tangent(*vs)  # one piece, the same everywhere
        code = unpack(packed[:, layer.start : layer.stop], layer.units, layer.bits, layer.dtype)
        units = code.reshape(-1, *layer.shape).to(vs[0].device)
        units = node.layout.samples_back(units) if node.layout else units[0]
        return operator.piece(units, [v.shape for v in vs]).tangent(*vs)

    with torch.no_grad():
        operators = graph.resolved(torch.float64, directions[0].device, len(packed))
        outputs, _ = walk(graph, tuple(directions), visit, operators=operators)
    return torch.cat([y.reshape(len(packed), -1) for y in outputs], 1)
