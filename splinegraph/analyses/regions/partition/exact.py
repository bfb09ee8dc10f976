"""The affine map and the inequalities of one cell as exact rational numbers, from its code and the float weights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from splinegraph.analyses.regions.partition.coded import codes_of
from splinegraph.core.domains.chart import Chart
from splinegraph.core.exact.dyadic import Dyadic, dyadic
from splinegraph.core.exact.evaluation import ExactGraph
from splinegraph.core.exact.switches import margins
from splinegraph.core.graph import Node
from splinegraph.core.operator import Operator, SplineOperator

if TYPE_CHECKING:
    from splinegraph.analyses.regions.partition.partition import Partition

__all__ = ["ExactCell", "exact_cell", "exact_cells"]


class ExactCell(NamedTuple):
    """f(t) = A t + b where G t <= h, in the chart's coordinates; lists of `Fraction`.

    Rows that do not depend on t are left out where they hold; `empty` tells if one does not.
    """

    A: list[list[Fraction]]
    b: list[Fraction]
    G: list[list[Fraction]]
    h: list[Fraction]
    empty: bool


def exact_cell(partition: Partition, i: int) -> ExactCell:
    """Return the map and the inequalities of cell i, the domain's among them; see `exact_cells`."""
    return next(exact_cells(partition, [i]))


def exact_cells(partition: Partition, cells: Iterable[int]) -> Iterator[ExactCell]:
    """Yield the maps and the inequalities of cells, the domain's among them.

    Notes
    -----
    See `core.exact.ExactGraph` for what is exact. Cost: products of as many integers as the network has weights,
    times D + 1, per cell; for small networks.
    """
    network = ExactGraph(partition.graph)
    for i in cells:
        yield _cell(network, partition, i)


def _cell(network: ExactGraph, partition: Partition, i: int) -> ExactCell:
    chart, packed = partition.chart, partition.packed[i : i + 1]
    layers = {layer.name: layer for layer in partition.layers}
    unit = np.array([1, *(0,) * chart.dim], dtype=object)
    G, h = (a.tolist() for a in chart.constraints())
    # constant first; nonnegative on the cell
    rows = [[Fraction(r), *(-Fraction(g) for g in row)] for row, r in zip(G, h, strict=True)]

    def visit(node: Node, op: Operator, args: tuple[Dyadic, ...]) -> Dyadic:
        layer = layers.get(node.name)
        code = None if layer is None else codes_of(node, layer, packed)
        if code is not None:
            assert isinstance(op, SplineOperator)
            rows.extend(margins(op.conditions(code, network.shapes(node)), args, unit).fractions())
        return network.piece(node, op, code).apply(args, unit)

    forms = [row for output in network.walk(_inputs(chart), visit) for row in output.fractions()]
    moving = [row for row in rows if any(row[1:])]
    return ExactCell(
        [row[1:] for row in forms],
        [row[0] for row in forms],
        [[-c for c in row[1:]] for row in moving],
        [row[0] for row in moving],
        any(row[0] < 0 for row in rows if not any(row[1:])),
    )


def _inputs(chart: Chart) -> list[Dyadic]:
    """Return the inputs as forms in t: the constant, then the coefficients."""
    ways = chart.flatten(chart.basis()) if chart.dim else torch.zeros(0, chart.entries, dtype=torch.float64)
    table = torch.cat([chart.flatten([x[None] for x in chart.split(chart.origin)]), ways]).T
    if chart.index is not None:  # free coordinates are the entries themselves
        table[chart.index, 0] = 0.0
    sizes = [x[0].numel() for x in chart.lift(torch.zeros(1, chart.dim, dtype=torch.float64))]
    return [dyadic(part) for part in table.split(sizes)]
