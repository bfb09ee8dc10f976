"""Finding the cells of inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from splinegraph.analyses.batches import promote
from splinegraph.analyses.codes import codes
from splinegraph.analyses.regions.cells import Floats
from splinegraph.analyses.regions.geometry.hrep import size_of
from splinegraph.analyses.regions.partition.beyond import codes_beyond
from splinegraph.core.linearization import boundary

if TYPE_CHECKING:
    from splinegraph.analyses.regions.partition.partition import Partition

__all__ = ["Located", "find_points", "locate"]

OFF_CHART = 1e-9
"""How far from the chart's plane an input may be to belong to it, relative to its largest entry: float64 inputs
made by arithmetic of their own miss it by rounding."""

DIRECTIONS = 2
"""Directions tried from a point whose own code names no cell: at a corner of the domain some lead out of it."""


@dataclass(frozen=True, eq=False)
class Located:
    """Where inputs are.

    Parameters
    ----------
    cells : array of int64, shape (B,)
        Their cells; -1 outside of the domain and where no known cell is.
    inside : array of bool, shape (B,)
        Whether they belong to the domain.
    boundary : array of bool, shape (B,)
        Whether they lie on a boundary between cells, within rounding; the cell is then one of them.
    """

    cells: NDArray[np.int64]
    inside: NDArray[np.bool_]
    boundary: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.cells)


def locate(partition: Partition, inputs: tuple[Tensor, ...]) -> Located:
    """Return the cells of inputs (B, *in); see `Partition.locate`."""
    graph, chart = partition.graph, partition.chart
    graph.check_inputs(inputs)
    xs = promote(inputs, torch.float64)
    t = chart.coordinates(xs)
    flat = chart.flatten(xs)
    off = (flat - chart.flatten(chart.lift(t))).abs().amax(1)
    slack = OFF_CHART * (1 + float(np.max(partition.extent, initial=0.0)))
    inside = (off <= OFF_CHART * (1 + flat.abs().amax(1))) & chart.contains(t, slack=slack)
    ties = boundary(graph, xs) if graph.batched else torch.cat([boundary(graph, one) for one in _single(xs)])
    found = np.full(len(t), -1, dtype=np.int64)
    found[inside.numpy()] = find_points(partition, t[inside].numpy())
    return Located(found, inside.numpy(), ties.numpy())


def _single(xs: tuple[Tensor, ...]) -> list[tuple[Tensor, ...]]:
    return [tuple(x[i : i + 1] for x in xs) for i in range(len(xs[0]))]


def find_points(partition: Partition, points: Floats) -> NDArray[np.int64]:
    """Return the cells of points of the chart, shape (N,); -1 where no known cell is.

    By the network's own code; where that names no cell, by the code an infinitely small step away in a fixed
    random direction: a unit that is identically at a breakpoint on a whole cell is then on its left piece, as in
    the cell's code, whatever rounding says, and a point on a boundary is in one of the cells beside it.
    """
    graph, chart = partition.graph, partition.chart
    if not len(points):
        return np.zeros(0, dtype=np.int64)
    found = partition.index.find(codes(graph, *chart.lift(torch.from_numpy(points))).packed)
    directions = np.random.default_rng(0).standard_normal((DIRECTIONS if partition.dim else 0, partition.dim))
    for direction in directions / np.linalg.norm(directions, axis=1, keepdims=True):
        lost = np.flatnonzero(found < 0)
        if not len(lost):
            break
        ways = np.tile(direction, (len(lost), 1))
        size = size_of(chart)
        found[lost] = partition.index.find(codes_beyond(graph, chart, partition.layers, points[lost], ways, size))
    return found
