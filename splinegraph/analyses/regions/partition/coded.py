"""Pushing cells through a graph by their codes: values and tangents of the pieces that the codes name."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from splinegraph.analyses.batches import widest
from splinegraph.analyses.codes import Layer
from splinegraph.analyses.packing import Bytes, unpack
from splinegraph.analyses.regions.cells import Floats
from splinegraph.core.domains.chart import Chart
from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.operator import Operator, SplineOperator
from splinegraph.core.walk import walk

__all__ = ["Coded", "Seen", "chunk_rows", "push"]

ENTRIES = 2**22
"""Entries of the widest value and its tangents in one pass: larger ones do not fit a cache."""


class Seen(NamedTuple):
    """A switching node, its layer, and its arguments: values (N, *arg) and tangents (D, N, *arg)."""

    node: Node
    layer: Layer
    values: tuple[Tensor, ...]
    tangents: tuple[Tensor, ...]
    code: Tensor


class Coded(NamedTuple):
    """Outputs, flattened and put one behind the other: values (N, out) and tangents (D, N, out)."""

    values: Tensor
    tangents: Tensor


def chunk_rows(graph: SplineGraph, columns: int, count: int) -> Iterator[slice]:
    """Yield slices of `count` cells that fit one pass with so many columns each; one by one if unbatched."""
    step = max(1, ENTRIES // (widest(graph) * columns)) if graph.batched else 1
    for start in range(0, count, step):
        yield slice(start, min(start + step, count))


def push(
    graph: SplineGraph,
    chart: Chart,
    layers: Sequence[Layer],
    packed: Bytes,
    points: Floats,
    look: Callable[[Seen], None] | None = None,
) -> Coded:
    """Push points and the chart's directions through the pieces that codes name.

    Parameters
    ----------
    packed : array of uint8, shape (N, bytes)
    points : array of float64, shape (N, D)
        Where values are taken; near the cells, to keep rounding small.
    look : callable, optional
        Called at every switching node.

    Notes
    -----
    D + 1 columns a cell. The codes decide, not the values: a unit that rounding would put on the wrong side
    is on the side that its code says.
    """
    by_name = {layer.name: layer for layer in layers}

    def visit(node: Node, op: Operator, args: tuple[tuple[Tensor, Tensor], ...]) -> tuple[Tensor, Tensor]:
        xs, vs = tuple(a[0] for a in args), tuple(a[1] for a in args)
        layer = by_name.get(node.name)
        if layer is None:
            value, piece = op.value_and_piece(*xs)
            return value, piece.tangent(*vs)
        assert isinstance(op, SplineOperator)
        code = codes_of(node, layer, packed)
        if look is not None:
            look(Seen(node, layer, xs, vs, code))
        piece = op.piece(code, [x.shape for x in xs])
        return piece.apply(*xs), piece.tangent(*vs)

    with torch.no_grad():
        operators = graph.resolved(torch.float64, torch.device("cpu"), len(points))
        xs = chart.lift(torch.from_numpy(points))
        vs = (b[:, None].expand(-1, *x.shape) for b, x in zip(chart.basis(), xs, strict=True))
        outputs, _ = walk(graph, tuple(zip(xs, vs, strict=True)), visit, operators=operators)
    values = torch.cat([y.reshape(len(points), -1) for y, _ in outputs], dim=1)
    sizes = [y[0].numel() for y, _ in outputs]
    tangents = torch.cat(
        [v.reshape(chart.dim, len(points), n) for (_, v), n in zip(outputs, sizes, strict=True)], dim=2
    )
    return Coded(values, tangents)


def codes_of(node: Node, layer: Layer, packed: Bytes) -> Tensor:
    """Return the codes of a node as its operator has them, batch axis and all."""
    flat = unpack(packed[:, layer.start : layer.stop], layer.units, layer.bits, layer.dtype)
    code = flat.reshape(len(packed), *layer.shape)
    return node.layout.samples_back(code) if node.layout else code[0]


def flat_width(shapes: Sequence[Sequence[int]]) -> int:
    """Return the number of entries of several tensors of one sample each."""
    return sum(math.prod(shape) for shape in shapes)
