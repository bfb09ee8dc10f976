"""The values of a graph's nodes at the vertices of a mesh, on a device."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from splinegraph.analyses.regions.mesh.stages import Stage
from splinegraph.analyses.regions.mesh_torch.net import Cut, Rows
from splinegraph.analyses.regions.mesh_torch.rules import entries
from splinegraph.core.domains.chart import Chart
from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.walk import walk

__all__ = ["Values"]


class Values:
    """What is kept of the values at all vertices: one row per vertex.

    Parameters
    ----------
    graph : SplineGraph
    chart : Chart
    device : torch.device
    """

    def __init__(self, graph: SplineGraph, chart: Chart, device: torch.device) -> None:
        self.graph, self.chart, self.device = graph, chart, device
        self.kept: dict[str, Tensor] = {}

    def run(self, stage: Stage, x: Tensor) -> None:
        """Work out the new values of a stage at the vertices `x`: one forward pass, over parts of the vertices."""
        part, count = stage.part, len(x)
        if part.outputs:
            widest = max(math.prod(node.shape) for node in part.nodes)
            step = max(1, 4 * entries(self.device) // widest) if self.graph.batched else 1
            found = [self._run(part, x, begin, min(begin + step, count)) for begin in range(0, count, step)]
            for name, values in zip(part.outputs, zip(*found, strict=True), strict=True):
                self.kept[name] = torch.cat(values) if len(values) > 1 else values[0]
        for name in stage.before:
            del self.kept[name]

    def _run(self, part: SplineGraph, x: Tensor, begin: int, stop: int) -> list[Tensor]:
        lifted: dict[str, Tensor] = {}
        if any(name in self.graph.inputs and name not in self.kept for name in part.inputs):
            lifted = dict(zip(self.graph.inputs, self.chart.lift(x[begin:stop]), strict=True))
        inputs = [
            _unpacked(part[name], self.kept[name][begin:stop]) if name in self.kept else lifted[name]
            for name in part.inputs
        ]
        operators = part.resolved(torch.float64, self.device, stop - begin)
        outputs, _ = walk(part, inputs, lambda _, op, xs: op.forward(*xs), operators=operators)
        return [part[name].rows(value) for name, value in zip(part.outputs, outputs, strict=True)]

    def extend(self, cuts: Sequence[Cut]) -> None:
        """Give every value rows for the vertices that were made, in the order in which they were."""
        count = cuts[-1].first + len(cuts[-1].start) if cuts else 0
        for name, values in self.kept.items():
            if len(values) < count:
                rows = Rows(values)
                for cut in cuts:
                    rows.append(cut.interpolate(rows.all))
                self.kept[name] = rows.all

    def keep(self, used: Tensor) -> None:
        """Drop the rows of vertices that are no corners any more."""
        self.kept = {name: rows[used] for name, rows in self.kept.items()}


def _unpacked(node: Node, rows: Tensor) -> Tensor:
    """Undo `_packed`."""
    if node.layout is None:
        return rows.reshape(node.shape)
    first = node.layout.samples_first(torch.empty(node.shape, device="meta")).shape[1:]
    return node.layout.samples_back(rows.reshape(len(rows), *first))
