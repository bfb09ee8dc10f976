"""The conditions of the cell around one input, as linear forms on the input that are never written out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.linearization import Linearization
from splinegraph.core.operator import Conditions, SplineOperator
from splinegraph.errors import UnsupportedOperatorError

__all__ = ["CellRows", "Origin", "up_to_switches"]


@dataclass(frozen=True, eq=False)
class Origin:
    """Where rows come from: a node, its conditions and the first of its rows."""

    node: Node
    conditions: Conditions
    start: int

    @property
    def stop(self) -> int:
        """One past its last row."""
        return self.start + len(self.conditions)


def up_to_switches(graph: SplineGraph) -> tuple[SplineGraph, tuple[Node, ...]]:
    """Return the part of a graph that decides its codes, with the arguments of its switching nodes as outputs.

    Raises
    ------
    UnsupportedOperatorError
        If an operator ahead of a switch is not piecewise affine: then cells are no polytopes.
    """
    switching = tuple(
        node
        for node in graph.operators
        if isinstance(node.op, SplineOperator) and node.op.alphabet([graph[a].shape for a in node.args]) != 1
    )
    needed = {arg for node in switching for arg in node.args}
    for node in reversed(graph.nodes):
        if node.name in needed:
            needed.update(node.args)
    ends = {node.name for node in switching}
    kept = tuple(node for node in graph.nodes if node.name in needed or node.name in ends or node.is_input)
    smooth = [node for node in kept if not node.is_input and not node.op.piecewise_affine]
    if smooth:
        raise UnsupportedOperatorError(
            f"{smooth[0].op.label} is not piecewise affine, and switches behind it depend on it",
            where=smooth[0].where,
            remedy="replace smooth operators by splines first: sg.spline(graph, on=..., tol=...)",
        )
    outputs = tuple(dict.fromkeys(arg for node in switching for arg in node.args))
    return replace(graph, nodes=kept, outputs=outputs, _cache={}), switching


class CellRows:
    """All conditions g (y - x) <= slack of the cell around x, over the nodes that switch.

    Parameters
    ----------
    graph : SplineGraph
    inputs : sequence of Tensor of shape (1, *in), float64
    """

    def __init__(self, graph: SplineGraph, inputs: Sequence[Tensor]) -> None:
        self.graph, switching = up_to_switches(graph)
        self.inputs = tuple(inputs)
        with torch.no_grad():
            self.linearization = Linearization(self.graph, inputs)
            values = dict(zip(self.graph.outputs, self.linearization.value, strict=True))
            operators = self.graph.resolved(torch.float64, inputs[0].device, 1)
        self.origins: list[Origin] = []
        self.codes: dict[str, Tensor] = {}
        slacks, start = [], 0
        for node in switching:
            operator = operators[node.name]
            assert isinstance(operator, SplineOperator)
            xs = [values[arg] for arg in node.args]
            with torch.no_grad():
                code = operator.code(*xs).cpu()
                conditions = operator.conditions(code, [x.shape for x in xs])
                slacks.append(conditions.margins(*(x.cpu() for x in xs)).double())
            self.codes[node.name] = code
            self.origins.append(Origin(node, conditions, start))
            start += len(conditions)
        # a condition that holds by rounding alone holds
        self.slack = torch.cat(slacks).clamp(min=0.0) if slacks else torch.zeros(0, dtype=torch.float64)

    def __len__(self) -> int:
        return len(self.slack)

    def origin(self, row: int) -> Origin:
        """Return where a row comes from."""
        return next(o for o in self.origins if o.start <= row < o.stop)

    def products(self, vs: Sequence[Tensor]) -> Tensor:
        """Return g v for all rows, shape (K, rows), for directions of shape (K, *in) per input: one tangent pass."""
        with torch.no_grad():
            moved = dict(zip(self.graph.outputs, self.linearization.tangent(*(v[:, None] for v in vs)), strict=True))
        count = len(vs[0])
        found = torch.zeros(count, len(self), dtype=torch.float64)
        for origin in self.origins:
            c = origin.conditions
            part = found[:, origin.start : origin.stop]
            for i, name in enumerate(origin.node.args):
                mine = c.argument == i
                if bool(mine.any()):
                    flat = moved[name].reshape(count, -1).cpu().double()
                    part.index_add_(1, c.row[mine], flat[:, c.position[mine]] * c.coefficient[mine].double())
        return found

    def forms(self, rows: Tensor) -> tuple[Tensor, ...]:
        """Return g of some rows, one tensor of shape (K, *in) per input: one adjoint pass."""
        seeds: dict[str, Tensor] = {}
        for origin in self.origins:
            places = ((rows >= origin.start) & (rows < origin.stop)).nonzero()[:, 0]
            if len(places):
                self._seed(seeds, origin, rows, places)
        us = [seeds.get(name) for name in self.graph.outputs]
        device = self.inputs[0].device
        with torch.no_grad():
            found = self.linearization.adjoint(*(None if u is None else u.to(device) for u in us))
        return tuple(g[:, 0].cpu() for g in found)

    def _seed(self, seeds: dict[str, Tensor], origin: Origin, rows: Tensor, places: Tensor) -> None:
        """Write the coefficients of some rows of one node into the seeds of its arguments."""
        c = origin.conditions
        place = torch.full((len(c),), -1, dtype=torch.int64)
        place[rows[places] - origin.start] = places
        entries = (place[c.row] >= 0).nonzero()[:, 0]
        for i, name in enumerate(origin.node.args):
            mine = entries[c.argument[entries] == i]
            shape = self.graph[name].shape
            if not len(mine):
                continue
            seed = seeds.setdefault(name, torch.zeros(len(rows), *shape, dtype=torch.float64))
            flat = seed.reshape(len(rows), math.prod(shape))
            index = place[c.row[mine]] * flat.shape[1] + c.position[mine]
            flat.reshape(-1).index_add_(0, index, c.coefficient[mine].double())
