"""The pieces of cells with every weight and slope made positive: what can reach what, and how large sums may be."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from splinegraph.analyses.regions.partition.coded import codes_of
from splinegraph.analyses.regions.partition.partition import Partition
from splinegraph.core.affine import AffineOperator
from splinegraph.core.graph import Node
from splinegraph.core.operator import Operator, Piece, SplineOperator
from splinegraph.core.walk import walk, walk_back

__all__ = ["Paths"]


class Paths:
    """Sums over all paths of the absolute values of what lies on them, in some cells of a partition.

    Parameters
    ----------
    partition : Partition
    cells : array of int64, shape (N,)

    Notes
    -----
    Nothing cancels in such sums: one is 0 only if every path holds a factor 0, and rounding of the network's own
    sums is small beside it. Units must have one slope, or one winner, each.
    """

    def __init__(self, partition: Partition, cells: NDArray[np.int64]) -> None:
        self.partition, self._packed = partition, partition.packed[cells]
        self._layers = {layer.name: layer for layer in partition.layers}
        self._pieces: dict[str, Piece | tuple[AffineOperator, ...]] = {}
        self._shapes: dict[str, list[torch.Size]] = {}
        with torch.no_grad():
            operators = partition.graph.resolved(torch.float64, torch.device("cpu"), len(cells))
            starts = [b.abs()[:, None].expand(-1, len(cells), *b.shape[1:]) for b in partition.chart.basis()]
            self.outputs, _ = walk(partition.graph, starts, self._visit, operators=operators)
            """From the chart's coordinates to each output, shape (D, N, *out)."""

    def _visit(self, node: Node, op: Operator, vs: tuple[Tensor, ...]) -> Tensor:
        shapes, layer = [v.shape[1:] for v in vs], self._layers.get(node.name)
        self._shapes[node.name] = shapes
        if isinstance(op, AffineOperator):
            parts = self._pieces[node.name] = tuple(part for part in op.split() if part is not None)
            return sum((part.linear(*vs) for part in parts[1:]), parts[0].linear(*vs)) if parts else 0 * op.linear(*vs)
        if layer is None or not isinstance(op, SplineOperator):  # it has one piece
            piece = op.linearize(*(torch.zeros(shape, dtype=torch.float64) for shape in shapes))
        else:
            piece = op.piece(codes_of(node, layer, self._packed), shapes)
        self._pieces[node.name] = piece
        return piece.tangent(*vs).abs()

    def reaches(self, output: int) -> dict[str, NDArray[np.bool_]]:
        """Return which units of each layer one entry of the output depends on, shape (N, units); by node.

        `output` counts the entries of all outputs, one output behind the other.
        """
        found: dict[str, NDArray[np.bool_]] = {}
        graph = self.partition.graph

        def rule(node: Node, u: Tensor) -> tuple[Tensor | None, ...]:
            if node.name in self._layers:
                found[node.name] = (node.rows(u) > 0).numpy()
            piece = self._pieces[node.name]
            if isinstance(piece, Piece):
                return tuple(None if g is None else g.abs() for g in piece.adjoint(u))
            shapes = self._shapes[node.name]
            back = [part.adjoint(u, shapes) for part in piece]
            if not back:
                return (None,) * len(shapes)
            return tuple(torch.stack(gs).sum(0) for gs in zip(*back, strict=True))

        with torch.no_grad():
            walk_back(graph, self._seeds(output), rule, add=torch.add)
        return found

    def _seeds(self, output: int) -> list[Tensor | None]:
        seeds: list[Tensor | None] = []
        for shape in self.partition.graph.output_shapes:
            size, seed = math.prod(shape), None
            if 0 <= output < size:
                seed = torch.zeros(len(self._packed), size, dtype=torch.float64)
                seed[:, output] = 1.0
                seed = seed.reshape(len(self._packed), *shape)
            seeds.append(seed)
            output -= size
        return seeds
