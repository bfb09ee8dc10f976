"""A graph cut at its switching operators, and how each of them switches."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from splinegraph.analyses.codes import Layer
from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.operator import Operator, SplineOperator
from splinegraph.core.parameters import has_expressions
from splinegraph.core.switching import Breaks, Switching
from splinegraph.core.values import Box
from splinegraph.errors import UnsupportedOperatorError

__all__ = ["Plan", "Stage", "Table"]


@dataclass(frozen=True, eq=False)
class Table:
    """How the units of one operator switch, as arrays.

    Parameters
    ----------
    ends, closed : arrays of shape (k,)
        Breakpoints, and whether each belongs to the piece on its left; empty for a contest.
    first : int
        Code of the leftmost piece.
    position, after : int64 arrays of shape (units, width) and (units,)
        Places of a contest in the arguments, flattened and put one behind the other; the unit ahead or -1.
    sign : float
        -1 where the smallest wins.
    """

    ends: NDArray[np.float64]
    closed: NDArray[np.bool_]
    first: int
    position: NDArray[np.int64]
    after: NDArray[np.int64]
    sign: float = 1.0

    @property
    def contest(self) -> bool:
        """Whether units compare entries with one another."""
        return not len(self.ends)

    @classmethod
    def of(cls, switching: Switching, sizes: list[int]) -> Table:
        """Return the table of an operator whose arguments have `sizes` entries."""
        if isinstance(switching, Breaks):
            nothing = np.zeros((0, 1), dtype=np.int64)
            ends, closed = switching.breakpoints.double().numpy(), switching.closed_left.numpy()
            return cls(ends, closed, switching.first, nothing, nothing[:, 0])
        none = np.zeros(0)
        return cls(
            none, none.astype(bool), 0, switching.columns(sizes).contiguous().numpy(),
            switching.after.contiguous().numpy(), 1.0 if switching.largest else -1.0,
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Stage:
    """A switching operator and the affine stretch behind it, up to the next one.

    Parameters
    ----------
    node : Node or None
        None for the stretch at the inputs.
    layer : Layer or None
        Where its codes lie in a packed pattern.
    stretch : tuple of Node
        Further nodes to run, without codes.
    drop : tuple of frozenset of str
        Which values are not needed after `node` and after each node of the stretch.
    live : int
        Entries per face of the values that are kept at the end.
    widest : int
        Entries of the widest value on the way.
    """

    node: Node | None
    layer: Layer | None
    stretch: tuple[Node, ...]
    drop: tuple[frozenset[str], ...]
    live: int
    widest: int


@dataclass(eq=False)
class Plan:
    """The stages of a graph. The part behind the last switching operator is left out."""

    graph: SplineGraph
    layers: tuple[Layer, ...]
    stages: tuple[Stage, ...]
    _operators: dict[int, Mapping[str, Operator]] = field(default_factory=dict)
    _tables: dict[int, Table] = field(default_factory=dict)

    @classmethod
    def of(cls, graph: SplineGraph, layers: tuple[Layer, ...]) -> Plan:
        """Cut the graph.

        Raises
        ------
        UnsupportedOperatorError
            If a node is not piecewise affine.
        """
        for node in graph.obstacles:
            raise UnsupportedOperatorError(
                f"{node.op.label} is not piecewise affine", where=node.where, remedy="replace it with sg.spline"
            )
        return cls(graph, layers, _cut(graph, {layer.name: layer for layer in layers}))

    def operators(self, batch: int) -> Mapping[str, Operator]:
        """Return the operators in float64 for a batch of that size."""
        fixed = not any(has_expressions(node.op) for node in self.graph.operators)
        key = 1 if fixed else batch
        if key not in self._operators:
            self._operators.clear()  # casts of the weights are as large as the network
            self._operators[key] = self.graph.resolved(torch.float64, torch.device("cpu"), key)
        return self._operators[key]

    def table(self, stage: int, boxes: Callable[[], list[Box]]) -> Table:
        """Return how a stage's operator switches where its arguments lie in the boxes that `boxes` returns.

        Raises
        ------
        UnsupportedOperatorError
            If it cannot say.
        """
        if stage in self._tables:
            return self._tables[stage]
        node = self.stages[stage].node
        assert node is not None
        operator, shapes = self.operators(1)[node.name], [self.graph[arg].shape for arg in node.args]
        assert isinstance(operator, SplineOperator)
        unbounded = operator.alphabet(shapes) == 0
        switching = operator.switching(shapes, boxes() if unbounded else None)
        if switching is None:
            raise UnsupportedOperatorError(
                f"{operator.label} does not say how its units switch", where=node.where,
                remedy="use sg.local_region or sg.sample_regions",
            )  # fmt: skip
        table = Table.of(switching, [math.prod(shape) for shape in shapes])
        if not unbounded:
            self._tables[stage] = table
        return table

    def bytes_per_face(self, stage: int) -> int:
        """Return about how much memory one face takes while it goes through a stage."""
        here = self.stages[stage]
        units = here.layer.units if here.layer is not None else 0
        return 8 * 3 * (here.live + 3 * here.widest) + 4 * units


def _cut(graph: SplineGraph, layers: dict[str, Layer]) -> tuple[Stage, ...]:
    order = list(graph.operators)
    cuts = [i for i, node in enumerate(order) if node.name in layers]
    if not cuts:
        return (_stage(graph, None, None, [], set()),)
    order = order[: cuts[-1] + 1]
    last: dict[str, int] = {}
    for i, node in enumerate(order):
        for arg in node.args:
            last[arg] = i
    known, stages = set(graph.inputs), []
    for start, stop in zip([-1, *cuts[:-1]], cuts, strict=True):
        cut = None if start < 0 else order[start]
        layer = None if cut is None else layers[cut.name]
        stages.append(_stage(graph, cut, layer, order[start + 1 : stop], known, last, start))
    end = order[-1]
    stages.append(Stage(end, layers[end.name], (), (frozenset(),), 0, 0))
    return tuple(stages)


def _stage(
    graph: SplineGraph,
    node: Node | None,
    layer: Layer | None,
    stretch: list[Node],
    known: set[str],
    last: dict[str, int] | None = None,
    start: int = -1,
) -> Stage:
    """Return one stage; `known` are the values alive at its beginning, changed to those at its end."""
    drops, widest = [], 0
    for i, here in enumerate([node, *stretch], start=start):
        if here is not None:
            known.add(here.name)
            widest = max(widest, math.prod(here.shape))
        done = frozenset(name for name in known if last is not None and last.get(name, -1) <= i)
        known -= done
        drops.append(done)
    live = sum(math.prod(graph[name].shape) for name in known)
    return Stage(node, layer, tuple(stretch), tuple(drops), live, max(widest, live))
