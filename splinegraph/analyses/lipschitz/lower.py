"""Lower bounds: the norm of the local map at a point, and a climb from cell to cell towards larger ones."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from splinegraph.analyses.lipschitz.domain import Domain
from splinegraph.analyses.lipschitz.jacobians import local_norms, together
from splinegraph.core.graph import SplineGraph

__all__ = ["Witness", "climb"]

SCALES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
"""Lengths of steps, relative to the size of the domain or of the points."""

CHEAP = 2**21
"""Entries of all values in all passes that take next to no time: as many points are looked at in any case."""

ENOUGH = 16
"""Points on boundaries after which no other one is looked at when time is up."""


@dataclass(frozen=True, eq=False)
class Witness:
    """A point inside a cell whose map has a large norm.

    Parameters
    ----------
    inputs : tuple of Tensor of shape (*in,)
    value : float
        The norm of the map there, less a margin for rounding.
    """

    inputs: tuple[Tensor, ...]
    value: float


def climb(
    graph: SplineGraph,
    norm: float,
    domain: Domain,
    *,
    starts: Sequence[Tensor] | None = None,
    count: int = 64,
    rounds: int = 30,
    deadline: float | None = None,
    seed: int = 0,
) -> Witness | None:
    """Return the best point that a climb from many starts finds; None if every point lies on a boundary.

    Parameters
    ----------
    graph : SplineGraph
    norm : {1, 2, inf}
    domain : Domain
        Where points must lie; norms are those of the map's columns of inputs that can move there.
    starts : sequence of Tensor of shape (S, *in), optional
        Points to start from, besides random ones.
    count : int
        Random starts.
    rounds : int
        Steps per start.
    deadline : float, optional
        Of `time.monotonic`.
    seed : int

    Notes
    -----
    Each round moves every start by a random step of a random length, across whatever facets lie between, and
    keeps it where the norm grew: two passes per output and round. Points on a boundary are no witnesses. Within a
    deadline there are as many points and rounds as time allows, a few at least.
    """
    draw = torch.Generator().manual_seed(seed)
    sizes, points = _starts(graph, domain, starts, count, draw)
    measure = _Measure(graph, norm, domain.free, deadline)
    values = measure(points)
    points = tuple(x[: len(values)] for x in points)
    for _ in range(rounds):
        if measure.late:
            break
        scale = torch.tensor(SCALES, dtype=torch.float64)[torch.randint(len(SCALES), (len(values),), generator=draw)]
        moved = tuple(
            x + _spread(scale, x) * s * torch.randn(x.shape, generator=draw, dtype=torch.float64)
            for x, s in zip(points, sizes, strict=True)
        )
        moved = _inside(domain, moved)
        found = measure(moved)
        found = torch.cat([found, found.new_full((len(values) - len(found),), -1.0)])
        better = found > values
        points = tuple(torch.where(_spread(better, x), y, x) for x, y in zip(points, moved, strict=True))
        values = torch.where(better, found, values)
    best = int(values.argmax())
    if not float(values[best]) >= 0:
        return None
    return Witness(tuple(x[best].clone() for x in points), float(values[best]))


def _starts(
    graph: SplineGraph, domain: Domain, starts: Sequence[Tensor] | None, count: int, draw: torch.Generator
) -> tuple[list[Tensor | float], tuple[Tensor, ...]]:
    """Return the size of a step per input, and the points to start from."""
    sizes: list[Tensor | float] = []
    points = []
    for i, shape in enumerate(graph.input_shapes):
        if domain.boxes is None or not domain.boxes[i].bounded:
            scale = 10 ** (2 * torch.rand(count, generator=draw, dtype=torch.float64) - 1)
            x = torch.randn(count, *shape, generator=draw, dtype=torch.float64)
            x = x * _spread(scale, x)
            sizes.append(1.0)
        else:
            low, high = (side.detach().cpu().double() for side in domain.boxes[i])
            x = low + torch.rand(count, *shape, generator=draw, dtype=torch.float64) * (high - low)
            sizes.append((high - low) / 2)
        if starts is not None:
            x = torch.cat([starts[i].detach().cpu().double(), x])
        points.append(x)
    return sizes, _inside(domain, tuple(points))


class _Measure:
    """The norms of local maps at points, of as many as a deadline leaves time for."""

    def __init__(self, graph: SplineGraph, norm: float, free: Tensor | None, deadline: float | None) -> None:
        self.graph, self.norm, self.free, self.deadline = graph, norm, free, deadline
        self.pace = 0.0 if deadline is None else math.inf  # seconds per point
        sizes = [sum(map(math.prod, shapes)) for shapes in (graph.input_shapes, graph.output_shapes)]
        self.first = max(1, CHEAP // (min(sizes) * sum(math.prod(node.shape) for node in graph.nodes) or 1))

    @property
    def late(self) -> bool:
        """Whether the time that is left is too short for a point."""
        return self._room() < 1

    def __call__(self, points: tuple[Tensor, ...]) -> Tensor:
        """Return the norms at the first points, one inside a cell if possible; -1 on boundaries."""
        found: list[Tensor] = []
        start = 0
        while start < len(points[0]):
            room = self._room()
            if room < 1 and (start >= ENOUGH or any(bool((part >= 0).any()) for part in found)):
                break
            step = min(max(room, 1 if start else self.first), together(self.graph))
            before = time.monotonic()
            part = tuple(x[start : start + step] for x in points)
            found.append(local_norms(self.graph, self.norm, part, self.free))
            if self.deadline is not None:
                self.pace = (time.monotonic() - before) / len(part[0])
            start += step
        return torch.cat(found)

    def _room(self) -> int:
        """Return for how many points there is time."""
        if self.deadline is None:
            return sys.maxsize
        return int(max(self.deadline - time.monotonic(), 0.0) / self.pace) if self.pace > 0 else sys.maxsize


def _inside(domain: Domain, points: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Return the nearest points of the domain."""
    if domain.boxes is None:
        return points
    together = torch.cat([x.reshape(len(x), -1) for x in points], dim=1)
    parts = torch.from_numpy(domain.nearest(together.numpy())).split([x[0].numel() for x in points], dim=1)
    return tuple(part.reshape(x.shape) for part, x in zip(parts, points, strict=True))


def _spread(values: Tensor, x: Tensor) -> Tensor:
    """Return values of shape (B,) so that they broadcast to x."""
    return values.reshape(-1, *(1,) * (x.dim() - 1))
