"""The affine map and the inequalities of one cell as exact rational numbers, from its code and the float weights."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from splinegraph.analyses.regions.partition.coded import codes_of
from splinegraph.core.domains.chart import Chart
from splinegraph.core.graph import Node
from splinegraph.core.operator import Operator, Piece, SplineOperator
from splinegraph.core.switching import Breaks, Contest
from splinegraph.core.walk import walk
from splinegraph.errors import UnsupportedOperatorError

if TYPE_CHECKING:
    from splinegraph.analyses.regions.partition.partition import Partition

__all__ = ["ExactCell", "Forms", "exact_cell"]

BITS = 53
"""Of a float64's significand."""

Integers = NDArray[np.object_]


class Forms(NamedTuple):
    """Affine forms in t: entry e is (numbers[e, 0] + numbers[e, 1:] t) / 2**shift, numbers being Python integers."""

    numbers: Integers
    shift: int

    def fractions(self) -> list[list[Fraction]]:
        """Return the coefficients, the constant first."""
        one = 1 << self.shift
        return [[Fraction(int(v), one) for v in row] for row in self.numbers]


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
    """Return the map and the inequalities of cell i, the domain's among them.

    Raises
    ------
    UnsupportedOperatorError
        If the switches of a node cannot be listed.

    Notes
    -----
    Every weight is a dyadic rational. The matrix of each operator is read off unit vectors, which float
    arithmetic maps without rounding where an entry is one weight (an operator that adds up several weights in
    one entry, as reflect padding does before a convolution, is several operators here). All sums and products
    between operators are of integers. An average's 1/n is the float nearest to it. Cost: products of as many
    integers as the network has weights, times D + 1; for small networks.
    """
    return _Exact(partition, i).run()


class _Exact:
    def __init__(self, partition: Partition, i: int) -> None:
        self.partition, self.chart = partition, partition.chart
        self.packed = partition.packed[i : i + 1]
        self.layers = {layer.name: layer for layer in partition.layers}
        self.rows: list[list[Fraction]] = []  # constant first; nonnegative on the cell

    def run(self) -> ExactCell:
        graph = self.partition.graph
        with torch.no_grad():
            operators = graph.resolved(torch.float64, torch.device("cpu"), 1)
            outputs, _ = walk(graph, _inputs(self.chart), self._visit, operators=operators)
        forms = [row for output in outputs for row in output.fractions()]
        G, h = (a.tolist() for a in self.chart.constraints())
        rows = [[Fraction(r), *(-Fraction(g) for g in row)] for row, r in zip(G, h, strict=True)] + self.rows
        moving = [row for row in rows if any(row[1:])]
        return ExactCell(
            [row[1:] for row in forms],
            [row[0] for row in forms],
            [[-c for c in row[1:]] for row in moving],
            [row[0] for row in moving],
            any(row[0] < 0 for row in rows if not any(row[1:])),
        )

    def _visit(self, node: Node, op: Operator, args: tuple[Forms, ...]) -> Forms:
        shapes = [self.partition.graph[name].shape for name in node.args]
        zeros = [torch.zeros(tuple(shape), dtype=torch.float64) for shape in shapes]
        layer = self.layers.get(node.name)
        if layer is None:
            return _through(op.linearize(*zeros), zeros, args)
        assert isinstance(op, SplineOperator)
        code = codes_of(node, layer, self.packed)
        self._conditions(node, op, shapes, args)
        return _through(op.piece(code, shapes), zeros, args)

    def _conditions(
        self, node: Node, op: SplineOperator, shapes: Sequence[Sequence[int]], args: tuple[Forms, ...]
    ) -> None:
        layer = self.layers[node.name]
        switching = op.switching(shapes)
        if switching is None:
            raise UnsupportedOperatorError(
                f"{op.label} has no list of switches", where=node.where, remedy="use the float maps and inequalities"
            )
        code = codes_of(node, layer, self.packed)
        flat = node.rows(code).reshape(-1).tolist()
        forms = [row for arg in args for row in arg.fractions()]
        if isinstance(switching, Breaks):
            self.rows += _between(switching, forms, flat)
        else:
            self.rows += _ahead(switching, forms, flat, [len(arg.numbers) for arg in args])


def _between(breaks: Breaks, forms: list[list[Fraction]], code: list[int]) -> list[list[Fraction]]:
    ends = [Fraction(b) for b in breaks.breakpoints.tolist()]
    rows = []
    for form, piece in zip(forms, code, strict=True):
        place = piece - breaks.first
        if place > 0:
            rows.append([form[0] - ends[place - 1], *form[1:]])
        if place < len(ends):
            rows.append([ends[place] - form[0], *(-c for c in form[1:])])
    return rows


def _ahead(
    contest: Contest, forms: list[list[Fraction]], code: list[int], sizes: Sequence[int]
) -> list[list[Fraction]]:
    """Return winner - rival for all rivals that take part."""
    place = contest.columns(sizes).tolist()
    after, sign = contest.after.tolist(), 1 if contest.largest else -1
    winners = [place[unit][k] for unit, k in enumerate(code)]
    rows = []
    for unit, winner in enumerate(winners):
        gone, ahead = {winner}, after[unit]
        while ahead >= 0:
            gone.add(winners[ahead])
            ahead = after[ahead]
        for rival in place[unit]:
            if rival >= 0 and rival not in gone:
                rows.append([sign * (a - b) for a, b in zip(forms[winner], forms[rival], strict=True)])
    return rows


def _inputs(chart: Chart) -> list[Forms]:
    """Return the inputs as forms in t."""
    ways = chart.flatten(chart.basis()) if chart.dim else torch.zeros(0, chart.entries, dtype=torch.float64)
    table = torch.cat([chart.flatten([x[None] for x in chart.split(chart.origin)]), ways]).T
    if chart.index is not None:  # free coordinates are the entries themselves
        table[chart.index, 0] = 0.0
    sizes = [x[0].numel() for x in chart.lift(torch.zeros(1, chart.dim, dtype=torch.float64))]
    return [integers(part) for part in table.split(sizes)]


def integers(values: Tensor) -> Forms:
    """Return floats as integers over a power of two, exactly."""
    fraction, power = np.frexp(np.asarray(values.detach().double().numpy()))
    whole = (fraction * 2.0**BITS).astype(np.int64)
    down = BITS - power
    shift = max(int(down[whole != 0].max(initial=0)), 0)
    numbers = np.empty(whole.shape, dtype=object)
    for place, value in np.ndenumerate(whole):
        numbers[place] = int(value) << (shift - int(down[place])) if value else 0
    return Forms(numbers, shift)


def _through(piece: Piece, zeros: Sequence[Tensor], args: tuple[Forms, ...]) -> Forms:
    """Return a piece applied to exact forms: sum of M form over the arguments, plus the piece at zero."""
    constant = integers(piece.apply(*zeros).reshape(-1, 1))
    width = args[0].numbers.shape[1]
    start = np.zeros((len(constant.numbers), width), dtype=object)
    start[:, :1] = constant.numbers
    total = Forms(start, constant.shift)
    for k, form in enumerate(args):
        count = zeros[k].numel()
        unit = torch.eye(count, dtype=torch.float64).reshape(count, *zeros[k].shape)
        probes = [unit if j == k else z.expand(count, *z.shape) for j, z in enumerate(zeros)]
        matrix = integers(piece.tangent(*probes).reshape(count, -1).T)
        total = _added(total, _product(matrix, form))
    return total


def _product(matrix: Forms, form: Forms) -> Forms:
    numbers: Any = np.zeros((len(matrix.numbers), form.numbers.shape[1]), dtype=object)
    for e, row in enumerate(matrix.numbers):
        used = np.flatnonzero(row)
        if len(used):
            numbers[e] = row[used] @ form.numbers[used]
    return Forms(numbers, matrix.shift + form.shift)


def _added(a: Forms, b: Forms) -> Forms:
    if a.shift < b.shift:
        a, b = b, a
    return Forms(a.numbers + b.numbers * (1 << (a.shift - b.shift)), a.shift)
