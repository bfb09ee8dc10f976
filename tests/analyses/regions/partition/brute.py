"""Partitions of small networks by brute force: codes of many random points, polygons from their inequalities."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from splinegraph.analyses.codes import codes
from splinegraph.analyses.regions.cells import Cells, Mesh, code_layers
from splinegraph.analyses.regions.geometry.chebyshev import chebyshev
from splinegraph.analyses.regions.geometry.hrep import hrep
from splinegraph.analyses.regions.geometry.polytopes import Polytopes
from splinegraph.analyses.regions.partition.partition import Partition
from splinegraph.analyses.regions.partition.storage import edges_of
from splinegraph.core.domains.chart import chart_of
from splinegraph.core.graph import SplineGraph
from splinegraph.core.values import Box
from splinegraph.tracers.tracing import trace

__all__ = ["brute", "function", "graph_of", "mlp"]


class Function(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *xs: Tensor) -> Any:
        return self.function(*xs)


def graph_of(model: nn.Module, *shapes: tuple[int, ...]) -> SplineGraph:
    return trace(model.double().eval(), tuple(torch.zeros(1, *shape, dtype=torch.float64) for shape in shapes))


def function(f: Callable[..., Any], *shapes: tuple[int, ...]) -> SplineGraph:
    return graph_of(Function(f), *shapes)


@functools.cache
def mlp(*sizes: int, seed: int = 0, activation: type[nn.Module] = nn.ReLU) -> SplineGraph:
    """Return the graph of Linear and activation layers; shared by all who ask, so nobody may change it."""
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(sizes):
        layers += [nn.Linear(before, after), activation()]
    net = nn.Sequential(*layers[:-1])
    with torch.no_grad():
        net[-1].bias -= net(torch.zeros(1, sizes[0]))[0]  # so that classes meet
    return graph_of(net, (sizes[0],))


def brute(graph: SplineGraph, on: Any = None, *, samples: int = 20_000, seed: int = 0) -> Partition:
    """Return the cells that random points find; whoever asks knows that they are all."""
    shape = graph.input_shapes[0]
    on = Box(-torch.ones(shape), torch.ones(shape)) if on is None else on
    chart = chart_of(graph, on)
    u = torch.rand(samples, chart.dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    t = chart.lower + u * (chart.upper - chart.lower)
    packed = codes(graph, *chart.lift(t)).packed
    _, first = np.unique(packed, axis=0, return_index=True)
    first = np.sort(first)
    polytopes = hrep(graph, chart, packed[first], t.numpy()[first])
    centers, radii = chebyshev(polytopes, t.numpy()[first])
    mesh = polygons(polytopes, centers) if chart.dim == 2 else None
    return Partition.of(
        graph, chart, on, code_layers(graph), Cells(packed[first], centers, radii), mesh, method="brute force"
    )


def polygons(polytopes: Polytopes, centers: np.ndarray) -> Mesh:
    """Return the mesh of cells in the plane, with vertices known by their coordinates to 9 digits."""
    from scipy.spatial import HalfspaceIntersection

    loops, points = [], []
    for (G, h), center in zip(polytopes, centers, strict=True):
        corners = HalfspaceIntersection(np.hstack([G, -h[:, None]]), center).intersections
        corners = corners[np.isfinite(corners).all(axis=1)]
        corners = corners[np.unique(np.round(corners, 9), axis=0, return_index=True)[1]]
        corners = corners[np.argsort(np.arctan2(*(corners - center).T[::-1]))]
        loops.append(len(corners))
        points.append(corners)
    everything = np.concatenate(points)
    _, first, inverse = np.unique(np.round(everything, 9) + 0.0, axis=0, return_index=True, return_inverse=True)
    vertices = everything[first]
    corners, offsets = _with_touching(vertices, inverse.ravel(), np.cumsum([0, *loops]))
    return Mesh(vertices, offsets, corners, *edges_of(corners, offsets))


def _with_touching(vertices: np.ndarray, corners: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Put vertices of others that lie on a side into the loop, so that faces meet edge to edge."""
    found, ends = [], [0]
    for face in range(len(offsets) - 1):
        loop = corners[offsets[face] : offsets[face + 1]]
        for a, b in zip(loop, np.roll(loop, -1), strict=True):
            side = vertices[b] - vertices[a]
            length = np.linalg.norm(side)
            away = vertices - vertices[a]
            off = np.abs(away[:, 0] * side[1] - away[:, 1] * side[0]) / length
            along = away @ side / length**2
            on = np.flatnonzero((off < 1e-9) & (along > 1e-9) & (along < 1 - 1e-9))
            found += [a, *on[np.argsort(along[on])]]
        ends.append(len(found))
    return np.array(found, dtype=np.int32), np.array(ends, dtype=np.int64)
