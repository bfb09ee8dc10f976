"""From the codes of cells to their inequalities, in the domain's own coordinates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from splinegraph.analyses.batches import widest
from splinegraph.analyses.codes import Layer, codes
from splinegraph.analyses.packing import Bytes, unpack
from splinegraph.analyses.regions.cells import code_layers
from splinegraph.analyses.regions.geometry.polytopes import Floats, Polytopes
from splinegraph.analyses.regions.tolerances import ON_BOUNDARY, blur
from splinegraph.core.domains.chart import Chart
from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.layout import BatchLayout
from splinegraph.core.operator import Conditions, Operator, SplineOperator
from splinegraph.core.switching import Breaks
from splinegraph.core.walk import walk
from splinegraph.errors import ShapeError, UnsupportedOperatorError

__all__ = ["hrep", "hreps", "size_of"]

ENTRIES = 2**22
"""Entries of one operator's value with its tangents in one pass (32 MiB): larger ones only leave the cache."""

ROUNDING = 8 * np.finfo(np.float64).eps
"""What is left of a sum that cancels, relative to the largest one of the same operator."""


def size_of(chart: Chart) -> float:
    """Return the unit of tolerances: a domain's longest finite side, 1 if there is none; more far from the origin."""
    sides = (chart.upper - chart.lower).numpy()
    sides = sides[np.isfinite(sides) & (sides > 0)]
    return float(sides.max()) * blur(chart) if len(sides) else 1.0


def hrep(graph: SplineGraph, chart: Chart, packed: Bytes | None = None, points: Floats | None = None) -> Polytopes:
    """Return the inequalities of cells, all at once; see `hreps`."""
    parts = [part for _, part in hreps(graph, chart, packed, points)]
    return Polytopes.concat(parts) if len(parts) != 1 else parts[0]


def hreps(
    graph: SplineGraph,
    chart: Chart,
    packed: Bytes | None = None,
    points: Floats | None = None,
    *,
    batch_size: int | None = None,
) -> Iterator[tuple[slice, Polytopes]]:
    """Yield the inequalities of cells in the chart's coordinates, some cells at a time.

    Parameters
    ----------
    graph : SplineGraph
        Piecewise affine.
    chart : Chart
    packed : array of uint8, shape (N, bytes), optional
        Codes, as `ActivationPattern.packed`. Default: those at the points.
    points : array of shape (N, D), optional
        Points in or near the cells, where the forms are evaluated: they then are accurate there. Default: the
        middle of the domain.
    batch_size : int, optional
        Cells per pass. Default: as many as keep the widest operator under `ENTRIES` entries.

    Yields
    ------
    slice, Polytopes
        Which cells, and their rows: first the domain's own, as `Chart.constraints` has them (layer -1), then those
        of each switching operator in topological order. Nothing is dropped but conditions that do not depend on
        the point; among those, one that fails beyond rounding stays as a row 0 <= h with negative h.

    Raises
    ------
    UnsupportedOperatorError
        If a node is not piecewise affine; it is named.
    ShapeError
        If codes or points do not fit.

    Notes
    -----
    One forward pass of D + 1 columns per cell through the pieces that the codes name. Memory: R rows of D + 1.

    Examples
    --------
    >>> import torch, splinegraph as sg
    >>> from splinegraph.core.domains.chart import chart_of
    >>> graph = sg.trace(torch.nn.ReLU().eval(), torch.zeros(1, 2))
    >>> chart = chart_of(graph, sg.Box(-torch.ones(2), torch.ones(2)))
    >>> cell = hrep(graph, chart, points=np.array([[0.5, -0.5]]))
    >>> cell.G[4:].tolist(), cell.h[4:].tolist()  # behind those of the box: x_0 >= 0 and x_1 <= 0
    ([[-1.0, -0.0], [0.0, 1.0]], [0.0, 0.0])
    """
    layers = code_layers(graph)
    given = packed if points is None else points
    if given is None:
        raise ShapeError("no cells", remedy="give codes or points")
    _check(packed, points, layers, chart.dim)
    step = batch_size or max(1, ENTRIES // ((chart.dim + 1) * widest(graph)))
    step = step if graph.batched else 1
    for start in range(0, len(given), step):
        part = slice(start, min(start + step, len(given)))
        count = part.stop - part.start
        at = _middle(chart).expand(count, -1) if points is None else torch.from_numpy(np.asarray(points[part]))
        xs = chart.lift(at.double())
        mine = codes(graph, *xs).packed if packed is None else packed[part]
        with torch.no_grad():
            yield part, _Pass(graph, chart, layers, mine, at.double()).run(xs)


def _check(packed: Bytes | None, points: Floats | None, layers: Sequence[Layer], dim: int) -> None:
    width = max((layer.stop for layer in layers), default=0)
    if packed is not None and (packed.ndim != 2 or packed.shape[1] != width):
        raise ShapeError(f"codes of shape {packed.shape}, expected (N, {width})")
    if points is not None and (points.ndim != 2 or points.shape[1] != dim):
        raise ShapeError(f"points of shape {points.shape}, expected (N, {dim})")
    if packed is not None and points is not None and len(packed) != len(points):
        raise ShapeError(f"{len(packed)} codes for {len(points)} points")


def _middle(chart: Chart) -> Tensor:
    """Return a point between the bounds of a domain."""
    low, high = chart.lower.nan_to_num(neginf=-torch.inf), chart.upper
    both = low.isfinite() & high.isfinite()
    one = torch.where(low.isfinite(), low, torch.where(high.isfinite(), high, 0.0))
    return torch.where(both, (low.nan_to_num() + high.nan_to_num()) / 2, one)


@dataclass(frozen=True, eq=False)
class _Rows:
    """Rows of one operator: the value at the point, and the gradient, of what has to be nonnegative."""

    cell: Tensor
    unit: Tensor
    slack: Tensor  # (rows,), at the cell's point
    gradient: Tensor  # (rows, D), of the left side
    scale: Tensor  # (rows,), largest term of the slack


class _Pass:
    """One pass of values and tangents through the pieces of some cells."""

    def __init__(
        self, graph: SplineGraph, chart: Chart, layers: Sequence[Layer], packed: Bytes, points: Tensor
    ) -> None:
        self.graph, self.chart, self.packed, self.points = graph, chart, packed, points
        self.size = size_of(chart)
        self.layers = {layer.name: (i, layer) for i, layer in enumerate(layers)}
        self.found: list[tuple[int, _Rows]] = []

    def run(self, xs: Sequence[Tensor]) -> Polytopes:
        count = len(self.points)
        basis = [v[:, None].expand(len(v), count, *v.shape[1:]) for v in self.chart.basis()]
        operators = self.graph.resolved(torch.float64, xs[0].device, count)
        walk(self.graph, list(zip(xs, basis, strict=True)), self._visit, operators=operators)
        return self._assemble()

    def _visit(self, node: Node, operator: Operator, args: tuple[Any, ...]) -> tuple[Tensor, Tensor]:
        xs, vs = [a[0] for a in args], [a[1] for a in args]
        if not operator.piecewise_affine:
            raise UnsupportedOperatorError(
                f"{operator.label} is not piecewise affine",
                where=node.where,
                remedy="replace such operators by splines with sg.spline",
            )
        if node.name not in self.layers:
            value, piece = operator.value_and_piece(*xs)
            return value, piece.tangent(*vs)
        assert isinstance(operator, SplineOperator)
        index, layer = self.layers[node.name]
        shapes = [x.shape for x in xs]
        code, layout = self._code(layer, node.layout), node.layout
        piece = operator.piece(code, shapes)
        rows = self._breaks(node, operator, code, xs, vs)
        if rows is None:
            rows = _from_conditions(operator.conditions(code, shapes), layout, layer, xs, vs, len(self.points))
        self.found.append((index, rows))
        return piece.apply(*xs), piece.tangent(*vs)

    def _code(self, layer: Layer, layout: BatchLayout | None) -> Tensor:
        flat = unpack(self.packed[:, layer.start : layer.stop], layer.units, layer.bits, layer.dtype)
        code = flat.reshape(len(flat), *layer.shape)
        return layout.samples_back(code) if layout else code[0]

    def _breaks(
        self, node: Node, operator: SplineOperator, code: Tensor, xs: Sequence[Tensor], vs: Sequence[Tensor]
    ) -> _Rows | None:
        """Return the rows of a unit between two breakpoints, the usual case, without index lists."""
        if node.layout is None:
            return None
        switching = operator.switching([self.graph[name].shape for name in node.args])
        if not isinstance(switching, Breaks):
            return None
        x, c = (node.layout.samples_first(t)[..., None].flatten(1) for t in (xs[0], code))  # (N, units)
        layout = BatchLayout(node.layout.axis + 1, node.layout.outer, node.layout.inner)
        v = layout.samples_first(vs[0])[..., None].flatten(2)  # (N, D, units)
        place, limits = c.long() - switching.first, switching.breakpoints
        if len(limits) == 1:  # one row per unit
            sign = (1 - 2 * place).double()
            slack, gradient = (sign * (limits - x)).flatten(), (sign[:, None] * v).transpose(1, 2).flatten(0, 1)
            cell, unit = (t.flatten() for t in torch.meshgrid(*map(torch.arange, x.shape), indexing="ij"))
            return _Rows(cell, unit, slack, gradient, limits.abs() + x.abs().flatten())
        cell, unit, above = torch.nonzero(torch.stack([place < len(limits), place > 0], -1), as_tuple=True)
        at, end, sign = x[cell, unit], limits[place[cell, unit] - above], (1 - 2 * above).double()
        return _Rows(cell, unit, sign * (end - at), sign[:, None] * v[cell, :, unit], end.abs() + at.abs())

    def _assemble(self) -> Polytopes:
        """Return the domain's rows and those of all operators, cell by cell."""
        G, h = (t.numpy() for t in self.chart.constraints())
        count, own = len(self.points), len(h)
        points = self.points.numpy()
        cells = [np.repeat(np.arange(count), own)]
        rows, rhs = [np.tile(G, (count, 1))], [np.tile(h, count)]
        units, numbers = [np.tile(np.arange(own), count)], [np.full(count * own, -1)]
        for index, found in self.found:
            gradient, slack, scale = found.gradient.numpy(), found.slack.numpy(), found.scale.numpy()
            keep, gradient, slack = _moving(gradient, slack, scale, self.size)
            cell = found.cell.numpy()[keep]
            cells.append(cell)
            rows.append(gradient[keep])
            rhs.append(slack[keep] + np.einsum("rd,rd->r", gradient[keep], points[cell]))
            units.append(found.unit.numpy()[keep])
            numbers.append(np.full(len(cell), index))
        owner = np.concatenate(cells)
        order = np.argsort(owner, kind="stable")
        offsets = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=count))])
        unit, layer = np.concatenate(units)[order], np.concatenate(numbers)[order]
        return Polytopes.of(
            np.concatenate(rows)[order],
            np.concatenate(rhs)[order],
            offsets,
            unit=unit,
            layer=layer,
            size=self.size,
        )


def _from_conditions(
    conditions: Conditions,
    layout: BatchLayout | None,
    layer: Layer,
    xs: Sequence[Tensor],
    vs: Sequence[Tensor],
    count: int,
) -> _Rows:
    """Return the rows of any operator's conditions, given for the whole batch."""
    dim, size = len(vs[0]), len(conditions)
    left = torch.zeros(size, dtype=torch.float64)
    scale = conditions.rhs.double().abs()
    gradient = torch.zeros(size, dim, dtype=torch.float64)
    for i, (x, v) in enumerate(zip(xs, vs, strict=True)):
        mine = conditions.argument == i
        row, position = conditions.row[mine], conditions.position[mine]
        coefficient = conditions.coefficient[mine].double()
        terms = coefficient * x.reshape(-1)[position].double()
        left.index_add_(0, row, terms)
        scale.index_add_(0, row, terms.abs())
        gradient.index_add_(0, row, coefficient[:, None] * v.reshape(dim, -1).T[position].double())
    samples = torch.arange(count).reshape(count, *(1,) * len(layer.shape)).expand(count, *layer.shape)
    units = torch.arange(layer.units).reshape(1, *layer.shape).expand(count, *layer.shape)
    cell, unit = ((layout.samples_back(t) if layout else t[0]).reshape(-1)[conditions.unit] for t in (samples, units))
    return _Rows(cell, unit, conditions.rhs.double() - left, gradient, scale)


def _moving(gradient: Floats, slack: Floats, scale: Floats, size: float) -> tuple[Any, Floats, Floats]:
    """Return which rows depend on the point; the others hold everywhere, or nowhere and then stay as 0 <= h < 0."""
    if not len(slack):
        return np.zeros(0, dtype=np.bool_), gradient, slack
    change = np.sqrt(np.einsum("rd,rd->r", gradient, gradient)) * size
    least = np.maximum(ON_BOUNDARY * scale, ROUNDING * max(float(change.max()), float(scale.max())))
    still = change <= least
    broken = still & (slack < -least)
    return ~still | broken, np.where(still[:, None], 0.0, gradient), slack
