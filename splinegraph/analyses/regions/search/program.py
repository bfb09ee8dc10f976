"""A network on a domain as a program of arrays that compiled code can walk."""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from splinegraph.analyses.batches import widest
from splinegraph.analyses.codes import Layer
from splinegraph.analyses.regions.cells import code_layers
from splinegraph.analyses.regions.reach import reach
from splinegraph.analyses.regions.search import tables as at
from splinegraph.analyses.regions.search.stretches import Stretches
from splinegraph.analyses.regions.search.tables import Floats, Integers, Tables
from splinegraph.analyses.regions.tolerances import ON_BOUNDARY, ROUNDING
from splinegraph.core.domains.chart import Chart
from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.operator import SplineOperator
from splinegraph.core.switching import Breaks, Contest, Switching
from splinegraph.errors import DomainError, UnsupportedOperatorError

__all__ = ["Program", "compile_program"]

MOST_NONZEROS = 2e8
"""Weights beyond which a network is not written out (1.6 GB)."""

MOST_WORK = 2e12
"""Entries beyond which its affine stretches are not pushed through: hours."""

CANCELED = ROUNDING / ON_BOUNDARY
"""What terms count that cancel at the center: their rounding errors stay, in the constant that is left."""

SPARSE = 0.25
"""Blocks filled less than this are stored as sparse ones."""


@dataclass(frozen=True, eq=False)
class Program:
    """A network restricted to the D coordinates of a domain; picklable.

    Parameters
    ----------
    layers : tuple of Layer
        Where the codes lie; one per switching node.
    tables : Tables
    lower, upper : array of float64, shape (D,)
        Bounds of the coordinates.
    G, h : array of float64, shape (m, D) and (m,)
        Further constraints G t <= h.
    center : array of float64, shape (D,)
        The chart's coordinates where those of the program are zero.
    """

    layers: tuple[Layer, ...]
    tables: Tables
    lower: Floats
    upper: Floats
    G: Floats
    h: Floats
    center: Floats

    @property
    def dim(self) -> int:
        """D, the number of coordinates."""
        return len(self.lower)

    @property
    def width(self) -> int:
        """Bytes of a packed code."""
        return max((layer.stop for layer in self.layers), default=0)

    @property
    def units(self) -> int:
        """Number of units that switch."""
        return sum(layer.units for layer in self.layers)

    @functools.cached_property
    def contests(self) -> bool:
        """Whether some unit is the largest or smallest of several."""
        return bool((self.tables.node[:, at.KIND] == at.CONTEST).any())

    @functools.cached_property
    def hash(self) -> str:
        """SHA-256 of all numbers: the same for the same weights on the same domain."""
        digest = hashlib.sha256()
        for layer in self.layers:
            digest.update(f"{layer.name} {layer.shape} {layer.alphabet} {layer.bits}".encode())
        for array in (*self.tables, self.lower, self.upper, self.G, self.h, self.center):
            digest.update(f"{array.dtype}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def __hash__(self) -> int:
        return hash(self.hash)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Program) and self.hash == other.hash


def compile_program(graph: SplineGraph, chart: Chart, layers: Sequence[Layer] | None = None) -> Program:
    """Return the program of a network on a domain.

    Parameters
    ----------
    graph : SplineGraph
    chart : Chart
        Bounded.
    layers : sequence of Layer, optional
        The layout of codes, where it is known.

    Raises
    ------
    UnsupportedOperatorError
        If a node is not piecewise affine, its switches cannot be listed, or the network is too large.
    DomainError
        If the domain is unbounded.

    Notes
    -----
    Pushes one direction per coordinate and per unit that switches through the network, in float64; keeps the
    weights between switching nodes, dense or sparse, as float64.
    """
    if not chart.bounded:
        raise DomainError("the domain is unbounded", remedy="give finite bounds")
    layers = code_layers(graph) if layers is None else tuple(layers)
    _check_size(graph, layers)
    lower, upper, G, h = (a.detach().double().cpu().numpy() for a in (chart.lower, chart.upper, chart.G, chart.h))
    center = _center(lower, upper)
    lower, upper, h = lower - center, upper - center, h - G @ center
    stretches = Stretches(graph, [layer.name for layer in layers], chart, center)
    writer = _Writer(np.maximum(np.abs(lower), np.abs(upper)), center)
    switches = _switchings(graph, chart, stretches, layers)
    from_inputs = stretches.from_inputs() if chart.dim else {}
    for layer, switching in zip(layers, switches, strict=True):
        constant = stretches.constants[layer.name].numpy()
        linear = from_inputs.get(layer.name)
        writer.node(layer, switching, constant, None if linear is None else linear.numpy(), stretches)
    for layer in layers:
        writer.blocks(graph[layer.name], stretches)
    return Program(layers, writer.tables(), lower, upper, G.copy(), h, center)


def _center(lower: Floats, upper: Floats) -> Floats:
    """Return where to put zero: in the middle of a domain that is far from it, so that little of a sum cancels."""
    middle = lower + 0.5 * (upper - lower)
    return np.asarray(np.where(np.abs(middle) > upper - lower, middle, 0.0))


def _check_size(graph: SplineGraph, layers: Sequence[Layer]) -> None:
    units = sum(layer.units for layer in layers)
    if units * float(widest(graph)) * len(graph.operators) > MOST_WORK:
        raise UnsupportedOperatorError(
            f"{graph.name} is too large to search: {units} units that switch",
            remedy="take a Plane (a mesh is made of it), sg.local_region, or sg.sample_regions",
        )


def _switchings(
    graph: SplineGraph, chart: Chart, stretches: Stretches, layers: Sequence[Layer]
) -> list[Breaks | Contest]:
    """Return how each node switches; bounds are worked out only if a node asks for them."""
    boxes = None
    found: list[Breaks | Contest] = []
    for layer in layers:
        operator, shapes = stretches.operators[layer.name], stretches.shapes[layer.name]
        assert isinstance(operator, SplineOperator)
        switching: Switching | None = operator.switching(shapes)
        if switching is None:
            boxes = reach(graph, chart) if boxes is None else boxes
            switching = operator.switching(shapes, boxes[layer.name])
        if switching is None:
            raise UnsupportedOperatorError(
                f"the switches of {operator.label} cannot be listed",
                where=graph[layer.name].where,
                why="it is none of the kinds that the search knows, or has too many pieces on this domain",
                remedy="replace it by a spline with sg.spline, take a smaller domain, or look at the part before "
                "with graph.between",
            )
        found.append(switching)
    return found


class _Writer:
    """Collects the tables."""

    def __init__(self, reach: Floats, center: Floats) -> None:
        self.dim, self.reach, self.center = len(reach), reach, center
        self.rows: list[list[int]] = []
        self.block_rows: list[list[tuple[int, int, int, int]]] = []
        self.place: dict[str, int] = {}
        self.data: list[Floats] = []
        self.links: list[Integers] = []
        self.base: list[Floats] = []
        self.sizes = {"data": 0, "links": 0, "pre": 0, "unit": 0}

    def _floats(self, values: Floats) -> int:
        """Append to `data`; return where."""
        start = self.sizes["data"]
        self.data.append(np.ascontiguousarray(values, dtype=np.float64).reshape(-1))
        self.sizes["data"] += values.size
        if self.sizes["data"] > MOST_NONZEROS:
            raise UnsupportedOperatorError(
                f"the network is too large to search: more than {MOST_NONZEROS:.0e} weights between its units",
                remedy="take a Plane (a mesh is made of it), sg.local_region, or sg.sample_regions",
            )
        return start

    def _integers(self, values: Integers) -> int:
        """Append to `links`; return where."""
        start = self.sizes["links"]
        self.links.append(np.ascontiguousarray(values, dtype=np.int64).reshape(-1))
        self.sizes["links"] += values.size
        return start

    def node(
        self, layer: Layer, switching: Switching, constant: Floats, linear: Floats | None, stretches: Stretches
    ) -> None:
        """Add one switching node."""
        row = [0] * 19
        pres, units = len(constant), switching.units
        row[at.PRE], row[at.PRES], row[at.UNIT], row[at.UNITS] = self.sizes["pre"], pres, self.sizes["unit"], units
        row[at.BYTE], row[at.BITS] = layer.start, layer.bits
        if isinstance(switching, Breaks):
            self._breaks(row, switching)
        else:
            self._contest(row, switching, stretches.shapes[layer.name])
        base = np.zeros((self.dim + 2, pres))
        if linear is not None:
            base[: self.dim] = linear
        base[self.dim] = constant
        far = np.abs(constant - self.center @ base[: self.dim]) + np.abs(self.center) @ np.abs(base[: self.dim])
        base[self.dim + 1] = np.abs(constant) + self.reach @ np.abs(base[: self.dim]) + CANCELED * far
        self.base.append(base)
        self.place[layer.name] = len(self.rows)
        self.rows.append(row)
        self.block_rows.append([])
        self.sizes["pre"] += pres
        self.sizes["unit"] += units

    def _breaks(self, row: list[int], switching: Breaks) -> None:
        row[at.KIND], row[at.FIRST], row[at.SIGN] = at.BREAKS, switching.first, 1
        row[at.BREAKPOINTS] = len(switching.breakpoints)
        row[at.BREAK] = self._floats(switching.breakpoints.numpy())
        row[at.CLOSED] = self._integers(switching.closed_left.numpy())
        row[at.SLOPE] = self._floats(_per_unit(switching.slopes, switching.units))
        row[at.INTERCEPT] = self._floats(_per_unit(switching.intercepts, switching.units))

    def _contest(self, row: list[int], switching: Contest, shapes: Sequence[tuple[int, ...]]) -> None:
        members = switching.columns([math.prod(shape) for shape in shapes]).numpy()
        row[at.KIND], row[at.SIGN] = at.CONTEST, 1 if switching.largest else -1
        row[at.WIDTH] = members.shape[1]
        row[at.MEMBER] = self._integers(members)
        row[at.AFTER] = self._integers(switching.after.numpy())

    def blocks(self, node: Node, stretches: Stretches) -> None:
        """Add what a node's outputs add to later ones."""
        source, units = self.place[node.name], self.rows[self.place[node.name]][at.UNITS]
        parts: dict[str, list[tuple[Integers, Integers, Floats]]] = {}
        for start, reached in stretches.from_node(node):
            for name, tensor in reached.items():
                values = tensor.numpy()
                unit, pre = np.nonzero(values)
                parts.setdefault(name, []).append((unit + start, pre, values[unit, pre]))
        for name, found in parts.items():
            unit, pre, weight = (np.concatenate(column) for column in zip(*found, strict=True))
            target = self.place[name]
            if len(weight):
                self.block_rows[target].append(
                    self._block(source, units, self.rows[target][at.PRES], unit, pre, weight)
                )

    def _block(
        self, source: int, units: int, pres: int, unit: Integers, pre: Integers, weight: Floats
    ) -> tuple[int, int, int, int]:
        if len(weight) >= SPARSE * units * pres:
            dense = np.zeros((units, pres))
            dense[unit, pre] = weight
            return source, 1, self._floats(dense), 0
        pointers = np.concatenate([[0], np.cumsum(np.bincount(unit, minlength=units))])
        start = self._integers(pointers)
        self._integers(pre)
        return source, 0, self._floats(weight), start

    def tables(self) -> Tables:
        """Return everything."""
        block: list[tuple[int, int, int, int]] = []
        for row, mine in zip(self.rows, self.block_rows, strict=True):
            row[at.BLOCK], row[at.BLOCKS] = len(block), len(mine)
            block += mine
        base = np.concatenate(self.base, axis=1) if self.base else np.zeros((self.dim + 2, 0))
        return Tables(
            np.array(self.rows, dtype=np.int64).reshape(-1, 19),
            np.array(block, dtype=np.int64).reshape(-1, 4),
            np.concatenate([np.zeros(0), *self.data]),
            np.concatenate([np.zeros(0, dtype=np.int64), *self.links]),
            np.ascontiguousarray(base),
        )


def _per_unit(values: torch.Tensor, units: int) -> Floats:
    """Return (k + 1, units); a single column stands for all."""
    return values.double().expand(len(values), units).contiguous().numpy()
