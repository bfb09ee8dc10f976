"""The nearest adversarial point, exactly: cell by cell, the nearest first."""

from __future__ import annotations

import heapq
import itertools
import math
import time
from dataclasses import dataclass, field

import numpy as np
import torch

from splinegraph.analyses.codes import Layer, codes
from splinegraph.analyses.packing import Bytes
from splinegraph.analyses.regions.cells import Floats, code_layers
from splinegraph.analyses.regions.geometry.hrep import hrep, size_of
from splinegraph.analyses.regions.geometry.polytopes import Polytopes
from splinegraph.analyses.regions.neighborhood.distance import nearest
from splinegraph.analyses.regions.neighborhood.walls import thin, walls
from splinegraph.analyses.robustness.goal import Goal, Point, solve

__all__ = ["Search"]

FAR = 1e7
"""A set that is proved to be farther than this, relative to the input, and of which no point is found, is empty."""

SLACK = 1e-9
"""By how much, relative, a proved lower bound of a cell may miss the point found in it before it is doubtful."""


@dataclass(eq=False)
class Search:
    """A search under way.

    Parameters
    ----------
    goal : Goal
    tol : float
        Relative distance of both ends at which it is done.
    limit : int
        Most cells.
    deadline : float, optional
        Of `time.monotonic`.

    Notes
    -----
    Cells that meet a ball are connected over facets inside it. So once all cells nearer than r have been looked at,
    those that wait are the only ways on, and no cell nearer than the nearest of them is left.
    """

    goal: Goal
    tol: float
    limit: int
    deadline: float | None
    best: Point | None = None
    """The nearest adversarial point known."""
    upper: float = math.inf
    """Its distance."""
    cells: int = 0
    stopped: bool = False
    doubtful: float = math.inf
    """The least distance at which an answer was not confirmed."""
    waiting: list[tuple[float, int, Bytes, Floats]] = field(default_factory=list)
    met: set[bytes] = field(default_factory=set)
    current: float = math.inf

    def __post_init__(self) -> None:
        self.graph, self.chart = self.goal.graph, self.goal.chart
        self.layers: tuple[Layer, ...] = code_layers(self.graph)
        self.size = size_of(self.chart)
        self.order = itertools.count()
        at, low, high = self.goal.at, self.chart.lower.numpy(), self.chart.upper.numpy()
        farthest = self.goal.length(at + np.maximum(at - low, high - at)) * (1 + SLACK)
        self.far = min(FAR * max(1.0, float(np.abs(at).max(initial=0.0))), farthest)

    @property
    def lower(self) -> float:
        """A proved lower bound of the distance, given what was looked at so far."""
        ahead = self.waiting[0][0] if self.waiting else math.inf
        return min(self.upper, ahead, self.current, self.doubtful)

    @property
    def done(self) -> bool:
        """Whether both ends are as near as asked."""
        return self.lower >= self.upper * (1 - self.tol)

    def stop(self) -> None:
        """Stop at the next cell."""
        self.stopped = True

    @property
    def entries(self) -> int:
        """Entries of a cell's inequalities, about."""
        return sum(math.prod(layer.shape) for layer in self.layers) * self.chart.dim

    @property
    def over(self) -> bool:
        """Whether it was stopped, or its time is."""
        return self.stopped or (self.deadline is not None and time.monotonic() >= self.deadline)

    def attack(self) -> None:
        """Take the nearest point that an attack finds in the time."""
        self.best = self.goal.attack(lambda: self.over)
        self.upper = math.inf if self.best is None else self.best.length

    def run(self) -> None:
        """Look at cells until done, or for as long as allowed."""
        self.current = 0.0  # until the first cell waits, nothing is known
        self._meet(*self._first())
        self.current = math.inf
        while self.waiting and not self.done and not self.over and self.cells < self.limit:
            lower, _, packed, point = heapq.heappop(self.waiting)
            self.current = lower
            self._look(lower, packed, point)
            self.cells += 1
            self.current = math.inf

    def _first(self) -> tuple[Bytes, Floats]:
        """Return the cell that a random direction from the input leads into, and the input.

        Inside of a cell all directions lead into that one; on a kink the other cells are met across its facets.
        """
        from splinegraph.analyses.regions.partition.beyond import codes_beyond

        at, draw = self.goal.at[None], np.random.default_rng(0)
        d = draw.normal(size=at.shape)
        low, high = self.chart.lower.numpy(), self.chart.upper.numpy()
        d = np.where(at <= low, np.abs(d), np.where(at >= high, -np.abs(d), d))
        d /= np.linalg.norm(d, axis=1, keepdims=True)
        return codes_beyond(self.graph, self.chart, self.layers, at, d, self.size), at

    def _meet(self, packed: Bytes, points: Floats) -> None:
        """Put cells in the queue, with their distances; those farther than a known adversarial point are left out."""
        fresh = []
        for i, code in enumerate(packed):
            if code.tobytes() not in self.met:
                self.met.add(code.tobytes())
                fresh.append(i)
        if not fresh:
            return
        polytopes = hrep(self.graph, self.chart, packed[fresh], points[fresh])
        for place, i in enumerate(fresh):
            # one that was not met before is no nearer than the one looked at
            lower = self.current if self.over else nearest(*self._shifted(polytopes[[place]]), self.goal.norm)[0]
            if lower < self.upper:
                heapq.heappush(self.waiting, (lower, next(self.order), packed[i], points[i]))

    def _shifted(self, one: Polytopes) -> tuple[Floats, Floats]:
        """Return the inequalities of one cell, with the input as origin."""
        return one.G, one.h - one.G @ self.goal.at

    def _look(self, lower: float, packed: Bytes, point: Floats) -> None:
        """Find the nearest adversarial point of a cell, and the cells behind its facets."""
        one = hrep(self.graph, self.chart, packed[None], point[None])
        found = walls(one, point[None])
        if thin(found.radii, self.size)[0]:  # its facets are not known, and so not what lies behind
            self.doubtful = min(self.doubtful, lower)
            return
        center = found.centers[0]
        xs = self.chart.lift(torch.from_numpy(center)[None])
        if bool(found.unsure[0]) or (codes(self.graph, *xs).packed[0] != packed).any():
            self.doubtful = min(self.doubtful, lower)
        self._solve(lower, center, *self._shifted(one))
        self._cross(found.points[found.inner], found.normals[found.inner], found.rhs[found.inner])

    def _solve(self, nearest_of_cell: float, center: Floats, G: Floats, h: Floats) -> None:
        A, b = self.goal.forms(center)
        dual = np.linalg.norm(A, 2 if self.goal.norm == 2 else 1, axis=1)
        for rows in self.goal.problems:
            if self.over:  # many classes: what is left of this cell is not known
                self.doubtful = min(self.doubtful, nearest_of_cell)
                return
            some = list(rows)
            reach = np.multiply(self.upper, dual[some], out=np.zeros(len(some)), where=dual[some] > 0)
            if bool((-b[some] > reach).any()):  # not even on the map's whole space
                continue
            lower, upper, step = solve(self.goal, rows, A, b, G, h)
            if upper == math.inf and lower > self.far:  # empty
                continue
            if upper < self.upper:
                self._take(self.goal.at + step)
            if lower < self.upper * (1 - SLACK):  # a tie that goes no further, a solver's error, or a far witness
                self.doubtful = min(self.doubtful, lower)

    def _take(self, t: Floats) -> None:
        """Take a nearer point, if the graph agrees."""
        point = self.goal.beyond(t)
        if point is not None and point.length < self.upper:
            self.best, self.upper = point, point.length

    def _cross(self, points: Floats, normals: Floats, rhs: Floats) -> None:
        """Meet the cells behind facets whose planes are near enough."""
        from splinegraph.analyses.regions.partition.beyond import codes_beyond

        away = np.abs(rhs - normals @ self.goal.at)
        dual = np.linalg.norm(normals, 2 if self.goal.norm == 2 else 1, axis=1)
        near = away < self.upper * dual if math.isfinite(self.upper) else np.ones(len(away), dtype=bool)
        if near.any():
            points, normals = points[near], normals[near]
            self._meet(codes_beyond(self.graph, self.chart, self.layers, points, normals, self.size), points)
