"""The values of a graph's nodes at the vertices of a mesh."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from splinegraph.analyses.regions.mesh.net import VERTICES, Net, larger
from splinegraph.analyses.regions.mesh.stages import Stage
from splinegraph.core.domains.chart import Chart
from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.layout import BatchLayout
from splinegraph.core.operator import Operator
from splinegraph.core.walk import walk
from splinegraph.errors import ParameterError

__all__ = ["Values", "room"]

Floats = NDArray[np.float64]

PLAIN = BatchLayout()

CHUNK = 2**18
"""Entries of the widest value that are worked out at a time (2 MiB): what is between two kept values stays in the
cache, and takes no memory that grows with the mesh."""

SPARE = 512
"""Vertices that there is room for beyond twice those that there are."""


def room(rows: int) -> int:
    """Return for how many vertices to allocate where there are `rows`; what is not used costs no memory."""
    return 2 * rows + SPARE


@dataclass(eq=False)
class Values:
    """What is kept of the values at all vertices: one row per vertex, and room for more.

    Parameters
    ----------
    graph : SplineGraph
    chart : Chart
    kept : dict from node name to array of shape (room, entries)
    """

    graph: SplineGraph
    chart: Chart
    kept: dict[str, Floats] = field(default_factory=dict)

    def run(self, stage: Stage, x: Floats) -> None:
        """Work out the new values of a stage at the vertices `x` of shape (V, 2).

        One pass of every operator between, over parts of the vertices.
        """
        part, count = stage.part, len(x)
        if part.outputs:
            made = {name: np.empty((room(count), size)) for name, size in stage.sizes.items()}
            step = max(1, CHUNK // stage.widest) if self.graph.batched else 1
            operators: Mapping[str, Operator] = {}
            size = 0
            for begin in range(0, count, step):
                stop = min(begin + step, count)
                if stop - begin != size:
                    size = stop - begin
                    operators = part.resolved(torch.float64, torch.device("cpu"), size)
                values = self._run(part, operators, x, begin, stop)
                for name, value in zip(part.outputs, values, strict=True):
                    made[name][begin:stop] = _packed(part[name], value)
            self.kept.update(made)  # not before: an input that is kept is read from the vertices until then
        for name in stage.before:
            del self.kept[name]

    def _run(
        self, part: SplineGraph, operators: Mapping[str, Operator], x: Floats, begin: int, stop: int
    ) -> tuple[Tensor, ...]:
        kept = self.kept
        lifted: tuple[Tensor, ...] = ()
        if not all(name in kept for name in part.inputs):
            lifted = self.chart.lift(torch.from_numpy(x[begin:stop]))
        inputs = [
            _unpacked(part[name], kept[name][begin:stop]) if name in kept else lifted[self.graph.inputs.index(name)]
            for name in part.inputs
        ]
        outputs, _ = walk(part, inputs, lambda _, op, xs: op.forward(*xs), operators=operators)
        return outputs

    def take(self, names: Sequence[str]) -> list[Floats]:
        """Return the rows of some values."""
        return [self.kept[name] for name in names]

    def joined(self, names: Sequence[str], count: int, sign: float) -> Floats:
        """Return some values times `sign`, one behind the other, for the `count` vertices there are: a copy."""
        rows = np.empty((room(count), sum(self.kept[name].shape[1] for name in names)))
        start = 0
        for name in names:
            stop = start + self.kept[name].shape[1]
            np.multiply(self.kept[name][:count], sign, out=rows[:count, start:stop])
            start = stop
        return rows

    def extend(self, net: Net, before: int, done: Sequence[str]) -> None:
        """Give every value rows for the vertices from `before` on; those of `done` have them."""
        from splinegraph.analyses.regions.mesh.kernels.faces import fill

        count = int(net.number[VERTICES])
        for name, rows in self.kept.items():
            if name not in done and count > before:
                self.kept[name] = rows if count <= len(rows) else larger(rows, before, room(count))
                fill(net.place, net.ends, self.kept[name], before, count)

    def bytes(self, count: int) -> int:
        """Return how much memory the values of `count` vertices take."""
        return 8 * count * sum(int(rows.shape[1]) for rows in self.kept.values())

    def finite(self, node: Node, fine: bool) -> None:
        """Raise if a value is NaN or infinite."""
        if not fine:
            raise ParameterError(
                "a value is NaN or infinite", where=node.where, remedy="look for such weights, or for a huge domain"
            )


def _packed(node: Node, value: Tensor) -> Floats:
    """Return a batch of a node's value as one row per sample."""
    flat: Floats = node.rows(value).numpy()
    return flat


def _unpacked(node: Node, rows: Floats) -> Tensor:
    """Undo `_packed`."""
    value = torch.from_numpy(rows)
    if node.layout == PLAIN:
        return value.reshape(len(rows), *node.shape[1:])
    if node.layout is None:
        return value.reshape(node.shape)
    first = node.layout.samples_first(torch.empty(node.shape, device="meta")).shape[1:]
    return node.layout.samples_back(value.reshape(len(rows), *first))
