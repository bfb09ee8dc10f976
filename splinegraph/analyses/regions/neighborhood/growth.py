"""The search itself: waves of cells, each found behind a facet of the wave before."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.batches import widest
from splinegraph.analyses.codes import Layer, codes
from splinegraph.analyses.packing import Bytes
from splinegraph.analyses.regions.cells import Cells, Floats
from splinegraph.analyses.regions.geometry.hrep import hrep, size_of
from splinegraph.analyses.regions.neighborhood.distance import distance
from splinegraph.analyses.regions.neighborhood.walls import Walls, balls, thin, walls
from splinegraph.analyses.regions.tolerances import ON_BOUNDARY
from splinegraph.core.domains.chart import Chart
from splinegraph.core.graph import SplineGraph
from splinegraph.errors import DomainError

__all__ = ["Growth", "Request"]

ROWS = 2**16
"""Inequalities of the cells that are looked at together."""

TRIES = 64
"""Directions tried from a point that lies on a boundary, for a cell that it belongs to."""


@dataclass(frozen=True, eq=False)
class Request:
    """What is asked for; see `neighborhood`."""

    graph: SplineGraph
    chart: Chart
    layers: tuple[Layer, ...]
    at: Floats
    hops: int | None
    radius: float | None
    norm: float
    limit: int
    deadline: float | None


@dataclass(eq=False)
class Growth:
    """A neighborhood under way."""

    request: Request
    packed: list[Bytes] = field(default_factory=list)
    points: list[Floats] = field(default_factory=list)
    radii: list[float] = field(default_factory=list)
    hops: list[int] = field(default_factory=list)
    expanded: list[bool] = field(default_factory=list)
    distances: list[tuple[float, float]] = field(default_factory=list)
    unsure: list[int] = field(default_factory=list)
    pairs: set[tuple[bytes, bytes]] = field(default_factory=set)
    number: dict[bytes, int] = field(default_factory=dict)
    """Of each cell met, -1 for those left out or not looked at yet."""
    thin: int = 0
    left: int = 0
    complete: bool = True
    rate: float = 0.0
    """Cells looked at per second, of late."""

    def __post_init__(self) -> None:
        chart, graph = self.request.chart, self.request.graph
        self.size = size_of(chart)
        units = sum(layer.units * max(layer.alphabet - 1, 1) for layer in self.request.layers)
        units += len(chart.constraints()[1]) if chart.dim < 4096 else 2 * chart.dim
        fit = 2**24 // ((chart.dim + 1) * max(widest(graph), units, 1))
        self.step = max(1, min(ROWS // max(units, 1), fit))
        self.metric = None if chart.directions is None else np.linalg.qr(chart.directions.numpy().T)[1]

    def run(self) -> None:
        """Find all cells asked for, or as many as limit and deadline allow."""
        packed, points = self._first()
        hop = 0
        while len(packed):
            found: list[tuple[Bytes, Floats]] = []
            start = 0
            while start < len(packed):
                if self._stopped(len(packed) - start):
                    self.left += sum(len(f[0]) for f in found)
                    return
                stop = min(start + self._together(), len(packed))
                began = time.monotonic()
                found += self._look(packed[start:stop], points[start:stop], hop)
                self.rate = (stop - start) / max(time.monotonic() - began, 1e-6)
                start = stop
            if self.request.hops is not None and hop >= self.request.hops:
                return
            packed = np.concatenate([f[0] for f in found]) if found else packed[:0]
            points = np.concatenate([f[1] for f in found]) if found else points[:0]
            hop += 1

    def _together(self) -> int:
        """Return how many cells to look at before the next look at limit and clock."""
        fit = min(self.step, self.request.limit - len(self.packed))
        if self.request.deadline is None:
            return fit
        rest = self.request.deadline - time.monotonic()
        return max(1, min(fit, int(self.rate * rest / 4)))

    def _stopped(self, waiting: int) -> bool:
        late = self.request.deadline is not None and time.monotonic() >= self.request.deadline
        if len(self.packed) < self.request.limit and not (late and self.packed):
            return False
        self.left += waiting
        self.complete = False
        return True

    def _first(self) -> tuple[Bytes, Floats]:
        """Return the cell of the point; if that is flat, one that has the point on its boundary."""
        import torch

        from splinegraph.analyses.regions.partition.beyond import codes_beyond

        request, at = self.request, self.request.at[None]
        packed = codes(request.graph, *request.chart.lift(torch.from_numpy(at))).packed
        if thin(self._walls(packed, at, walled=False).radii, self.size)[0]:
            directions = np.random.default_rng(0).normal(size=(TRIES, len(request.at)))
            directions /= np.linalg.norm(directions, axis=1, keepdims=True)
            near = at.repeat(TRIES, axis=0)
            beyond = codes_beyond(request.graph, request.chart, request.layers, near, directions, self.size)
            rows = np.sort(np.unique(beyond, axis=0, return_index=True)[1])
            for row in rows:
                if not thin(self._walls(beyond[[row]], at, walled=False).radii, self.size)[0]:
                    packed = beyond[[row]]
                    break
            else:
                raise DomainError(
                    "no cell with an interior was found at the point",
                    why="the domain or the cells there are flat to rounding",
                    remedy="move the point a little, or give a domain with an interior",
                )
        self.number[packed[0].tobytes()] = -1
        return packed, at

    def _walls(self, packed: Bytes, points: Floats, *, walled: bool = True) -> Walls:
        polytopes = hrep(self.request.graph, self.request.chart, packed, points)
        return (walls if walled else balls)(polytopes, points)

    def _look(self, packed: Bytes, points: Floats, hop: int) -> list[tuple[Bytes, Floats]]:
        """Look at cells of one wave; return the new ones behind their facets."""
        request = self.request
        last = request.hops is not None and hop >= request.hops
        found = self._walls(packed, points, walled=not last or request.radius is not None)
        flat = thin(found.radii, self.size)
        self.thin += int((flat & ~found.unsure).sum())
        kept = []
        for i in np.flatnonzero(~flat):
            bounds = self._distance(found, int(i))
            if request.radius is not None and bounds[0] > request.radius + ON_BOUNDARY * self.size:
                continue
            self._accept(packed[i], found, int(i), hop, bounds)
            kept.append(i)
        self.complete &= not bool(found.unsure.any())
        return [] if last else self._cross(packed, found, np.array(kept, dtype=np.int64))

    def _accept(self, packed: Bytes, found: Walls, i: int, hop: int, bounds: tuple[float, float]) -> None:
        number = self.number[packed.tobytes()] = len(self.packed)
        if found.unsure[i]:
            self.unsure.append(number)
        self.packed.append(packed)
        self.points.append(found.centers[i])
        self.radii.append(float(found.radii[i]))
        self.hops.append(hop)
        self.expanded.append(False)
        self.distances.append(bounds)

    def _distance(self, found: Walls, i: int) -> tuple[float, float]:
        """Return bounds of how far the point is from a cell."""
        if self.request.radius is None:
            return np.nan, np.nan
        mine = found.of(i)
        G, h = found.normals[mine], found.rhs[mine] - found.normals[mine] @ self.request.at
        if self.metric is not None:
            G = np.linalg.solve(self.metric.T, G.T).T
            norms = np.linalg.norm(G, axis=1)
            G, h = G / norms[:, None], h / norms
        return distance(G, h, self.request.norm)

    def _cross(self, packed: Bytes, found: Walls, kept: NDArray[np.int64]) -> list[tuple[Bytes, Floats]]:
        """Step across all facets of some cells; return the cells that are new."""
        from splinegraph.analyses.regions.partition.beyond import codes_beyond

        request = self.request
        rows = np.flatnonzero(found.inner & np.isin(found.cell, kept))
        beyond = codes_beyond(
            request.graph, request.chart, request.layers, found.points[rows], found.normals[rows], self.size
        )
        for i in kept:
            self.expanded[self.number[packed[i].tobytes()]] = True
        fresh = []
        for k, row in enumerate(rows):
            key, mine = beyond[k].tobytes(), packed[found.cell[row]].tobytes()
            self.pairs.add((mine, key) if mine < key else (key, mine))
            if key not in self.number:
                self.number[key] = -1
                fresh.append(k)
        return [(beyond[fresh], found.points[rows[fresh]])] if fresh else []

    def cells(self) -> Cells:
        """Return the cells found."""
        return Cells(np.stack(self.packed), np.stack(self.points), np.array(self.radii))

    def edges(self) -> NDArray[np.int64]:
        """Return the pairs of cells found that share a facet."""
        both = [(self.number[a], self.number[b]) for a, b in self.pairs]
        known: Sequence[tuple[int, int]] = sorted((min(p), max(p)) for p in both if min(p) >= 0 and p[0] != p[1])
        return np.array(known, dtype=np.int64).reshape(-1, 2)
