"""The affine stretches between switching nodes, found by pushing directions through the operators."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from splinegraph.analyses.batches import widest
from splinegraph.core.domains.chart import Chart
from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.operator import Operator, Piece
from splinegraph.core.walk import walk
from splinegraph.errors import UnsupportedOperatorError

__all__ = ["Stretches"]

CHUNK = 2**24
"""Entries of one node's value that are pushed at a time."""


class Stretches:
    """The affine parts of a network whose switching nodes are cut open.

    Parameters
    ----------
    graph : SplineGraph
    cut : names of the switching nodes
    chart : Chart
        Of the domain.
    center : array of float64, shape (D,)
        The coordinates where the constants are taken.
    """

    def __init__(self, graph: SplineGraph, cut: Sequence[str], chart: Chart, center: NDArray[np.float64]) -> None:
        self.graph, self.cut, self.chart = graph, frozenset(cut), chart
        self.operators: Mapping[str, Operator] = graph.resolved(torch.float64, torch.device("cpu"), 1)
        self.pieces: dict[str, Piece] = {}
        self.constants: dict[str, Tensor] = {}
        self.shapes: dict[str, list[tuple[int, ...]]] = {}
        self._after = {node.name: i for i, node in enumerate(graph.operators)}
        self._end = max((self._after[name] + 1 for name in cut), default=0)
        with torch.no_grad():
            walk(graph, chart.lift(torch.from_numpy(center)[None]), self._visit, operators=self.operators)

    def _visit(self, node: Node, operator: Operator, xs: tuple[Any, ...]) -> Tensor:
        """Note the piece of an affine node, and what reaches a switching one where all others give zero."""
        if node.name in self.cut:
            self.constants[node.name] = _flat(xs, 0)
            self.shapes[node.name] = [tuple(x.shape) for x in xs]
            return torch.zeros(node.shape, dtype=torch.float64)
        if not operator.piecewise_affine:
            raise UnsupportedOperatorError(
                f"{operator.label} is not piecewise affine",
                where=node.where,
                why="a search of all regions needs exact pieces",
                remedy="replace such operators by splines with sg.spline",
            )
        value, self.pieces[node.name] = operator.value_and_piece(*xs)
        return value

    def from_inputs(self) -> dict[str, Tensor]:
        """Return what the coordinates add to each switching node's arguments, shape (D, entries)."""
        given = {name: part.unsqueeze(1) for name, part in zip(self.graph.inputs, self.chart.basis(), strict=True)}
        return self._push(given, -1)

    def from_node(self, node: Node) -> Iterator[tuple[int, dict[str, Tensor]]]:
        """Yield (first unit, what the units from there on add to later switching nodes), some units at a time."""
        units = math.prod(node.shape)
        if self._after[node.name] + 1 == self._end:
            return
        step = max(1, CHUNK // max(widest(self.graph), 1))
        for start in range(0, units, step):
            count = min(step, units - start)
            eye = torch.zeros(count, units, dtype=torch.float64)
            eye[torch.arange(count), start + torch.arange(count)] = 1.0
            yield start, self._push({node.name: eye.reshape(count, *node.shape)}, self._after[node.name])

    def _push(self, values: dict[str, Tensor], after: int) -> dict[str, Tensor]:
        """Push directions, shape (K, *shape), through the nodes behind place `after`."""
        found: dict[str, Tensor] = {}
        count = len(next(iter(values.values())))
        with torch.no_grad():
            for node in self.graph.operators[after + 1 : self._end]:
                if not any(arg in values for arg in node.args):
                    continue
                vs = [values[a] if a in values else self._zeros(a, count) for a in node.args]
                if node.name in self.cut:
                    found[node.name] = _flat(vs, 1)
                else:
                    values[node.name] = self.pieces[node.name].tangent(*vs)
        return found

    def _zeros(self, name: str, count: int) -> Tensor:
        return torch.zeros(1, dtype=torch.float64).expand(count, *self.graph[name].shape)


def _flat(xs: Sequence[Tensor], leading: int) -> Tensor:
    """Return the arguments flattened, one behind the other."""
    return torch.cat([x.to(torch.float64).flatten(leading) for x in xs], dim=leading)
