"""One walk over a graph that cuts segments wherever a unit switches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from splinegraph.analyses.codes import Layer
from splinegraph.analyses.packing import Bytes, pack
from splinegraph.analyses.regions.cells import code_layers
from splinegraph.analyses.regions.chords.resolving import Resolved
from splinegraph.analyses.regions.chords.subdivision import Held, Subdivision
from splinegraph.analyses.regions.chords.switches import Snaps, cut
from splinegraph.analyses.regions.requests import require_exact
from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.operator import Operator, SplineOperator
from splinegraph.core.switching import Switching
from splinegraph.core.values import Box
from splinegraph.core.walk import walk
from splinegraph.errors import UnsupportedOperatorError

__all__ = ["ChordWalk"]


class ChordWalk:
    """Cuts segments, given by the network's inputs at their vertices.

    Parameters
    ----------
    graph : SplineGraph
    device : torch.device
    """

    def __init__(self, graph: SplineGraph, device: torch.device) -> None:
        require_exact(graph)
        self.graph, self.device = graph, device
        self.layers: dict[str, Layer] = {layer.name: layer for layer in code_layers(graph)}
        self.operators = Resolved(graph, torch.float64, device)
        self._switching: dict[str, Switching] = {}

    def run(self, line: Subdivision, inputs: Sequence[Tensor]) -> Bytes:
        """Cut the segments of `line`, in place, and return the packed codes of all pieces.

        Parameters
        ----------
        inputs : sequence of Tensor of shape (V, *in)
            At the vertices of `line`.

        Raises
        ------
        Overflow
            If there are more vertices than `line` may have.
        """
        codes: dict[str, tuple[int, Bytes]] = {}

        def visit(node: Node, _: Operator, args: tuple[Held, ...]) -> Held:
            held = [line.current(arg) for arg in args]
            operator = self.operators.of(node, len(line.t))
            if node.name not in self.layers:
                return Held(self._each(operator.forward, [h.value for h in held]), self._layout(node), line.stage)
            assert isinstance(operator, SplineOperator)
            return self._switch(line, node, operator, held, codes)

        if not self.graph.batched:  # which takes batches of one
            inputs = [x[:, None] for x in inputs]
        held = [Held(x, self._layout(self.graph[n]), 0) for n, x in zip(self.graph.inputs, inputs, strict=True)]
        with torch.no_grad():
            walk(self.graph, held, visit)
        if not codes:
            return np.zeros((len(line.left), 0), dtype=np.uint8)
        columns = [found[line.ancestors(stage).cpu().numpy()] for stage, found in codes.values()]
        return columns[0] if len(columns) == 1 else np.concatenate(columns, axis=1)

    def _layout(self, node: Node) -> Any:
        return node.layout if self.graph.batched else None

    def _switch(
        self,
        line: Subdivision,
        node: Node,
        operator: SplineOperator,
        held: list[Held],
        codes: dict[str, tuple[int, Bytes]],
    ) -> Held:
        """Cut at one switching operator, keep its codes and return its value."""
        now = list(held)

        def rows() -> Tensor:
            now[:] = [line.current(h) for h in now]
            flat = [h.rows().reshape(len(line.t), -1) for h in now]
            return flat[0] if len(flat) == 1 else torch.cat([f.double() for f in flat], 1)

        switching = self._switching_of(node, operator, held)
        sizes = [math.prod(self.graph[arg].shape) for arg in node.args]
        code, snaps = cut(line, switching, rows, sizes)
        layer = self.layers[node.name]
        codes[node.name] = line.stage, pack(code.to(layer.dtype), layer.bits)
        if not operator.continuous:
            return self._jump(line, node, operator, now, code)
        rows()
        if snaps is not None:
            now[0] = self._snapped(now[0], snaps)
        operator_now = self.operators.of(node, len(line.t))
        return Held(self._each(operator_now.forward, [h.value for h in now]), self._layout(node), line.stage)

    @staticmethod
    def _snapped(held: Held, snaps: Snaps) -> Held:
        """Return a value with some entries set: those that rounding keeps from a level that they are at."""
        rows = held.rows()
        flat = rows.reshape(len(rows), -1).clone()
        vertex, unit, level = snaps
        flat[vertex, unit] = level
        rows = flat.reshape(rows.shape)
        return Held(held.layout.samples_back(rows) if held.layout else rows, held.layout, held.stage)

    def _jump(self, line: Subdivision, node: Node, operator: SplineOperator, held: list[Held], code: Tensor) -> Held:
        """Return the value of an operator that jumps: from the piece on each side."""
        line.split()
        layer, layout = self.layers[node.name], self._layout(node)
        units = code.to(layer.dtype).repeat_interleave(2, 0).reshape(-1, *layer.shape)
        units = layout.samples_back(units) if layout else units
        xs = [line.current(h).value for h in held]

        def apply(code: Tensor, *args: Tensor) -> Tensor:
            return operator.piece(code, [a.shape for a in args]).apply(*args)

        return Held(self._each(apply, [units, *xs]), layout, line.stage)

    def _each(self, function: Any, xs: Sequence[Tensor]) -> Tensor:
        """Apply a function to a batch, or to each sample where the graph takes one at a time."""
        if self.graph.batched:
            value: Tensor = function(*xs)
            return value
        return torch.stack([function(*(x[i] for x in xs)) for i in range(len(xs[0]))])

    def _switching_of(self, node: Node, operator: SplineOperator, held: list[Held]) -> Switching:
        """Return how the units of a node switch; it may depend on the range of the argument."""
        known = self._switching.get(node.name)
        if known is not None:
            return known
        shapes = [self.graph[arg].shape for arg in node.args]
        found = operator.switching(shapes)
        if found is not None:
            self._switching[node.name] = found
            return found
        boxes = []
        for h, shape in zip(held, shapes, strict=True):
            flat = h.rows().reshape(len(h.rows()), -1)
            if flat.is_floating_point():
                boxes.append(Box(flat.amin(0).reshape(shape).cpu(), flat.amax(0).reshape(shape).cpu()))
        found = operator.switching(shapes, boxes) if len(boxes) == len(held) else None
        if found is None:
            raise UnsupportedOperatorError(
                f"cannot say where the units of {operator.label} switch",
                where=node.where,
                remedy="ask sg.codes or sg.sample_regions, which need points alone",
            )
        return found
