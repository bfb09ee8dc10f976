"""What counts as adversarial: linear inequalities on the logits, and the first point found where they hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from splinegraph.analyses.affine_map import affine_map
from splinegraph.analyses.regions.geometry.polytopes import Floats
from splinegraph.analyses.regions.neighborhood.distance import nearest
from splinegraph.analyses.robustness.classes import Classifier
from splinegraph.core.domains.chart import Chart
from splinegraph.core.functionals import combinations
from splinegraph.core.graph import SplineGraph

__all__ = ["Goal", "Point"]

NUDGES = (0.0, 1e-12, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6)
"""By how much a nearest point is moved on, relative to its distance, until the goal is met strictly."""


@dataclass(frozen=True, eq=False)
class Point:
    """An adversarial point.

    Parameters
    ----------
    t : array of shape (D,)
        In the chart's coordinates.
    length : float
        Its distance from the input.
    label : int
        Its class, as the graph says.
    """

    t: Floats
    length: float
    label: int


@dataclass(frozen=True, eq=False)
class Goal:
    """Be of another class than `c`, or of class `target`.

    Parameters
    ----------
    graph : SplineGraph
        Of the combinations of logits that have to be nonnegative, shape (B, m).
    problems : tuple of tuple of int
        Sets of combinations; the goal is met where all of one set are nonnegative.
    """

    classifier: Classifier
    graph: SplineGraph
    problems: tuple[tuple[int, ...], ...]
    c: int
    target: int | None
    chart: Chart
    at: Floats
    norm: float

    @classmethod
    def of(cls, classifier: Classifier, c: int, target: int | None, chart: Chart, at: Floats, norm: float) -> Goal:
        """Return the goal for an input at coordinates `at`."""
        others = [k for k in range(classifier.count) if k != (c if target is None else target)]
        problems: tuple[tuple[int, ...], ...]
        if target is None:
            rows = torch.eye(classifier.count, dtype=torch.float64)[others]
            rows[:, c] = -1.0
            problems = tuple((i,) for i in range(len(others)))
        else:
            rows = -torch.eye(classifier.count, dtype=torch.float64)[others]
            rows[:, target] = 1.0
            problems = (tuple(range(len(others))),)
        return cls(classifier, combinations(classifier.graph, rows), problems, c, target, chart, at, norm)

    def length(self, t: Floats) -> float:
        """Return the distance of a point from the input."""
        return float(np.linalg.norm(t - self.at, 2 if self.norm == 2 else np.inf)) if len(t) else 0.0

    def forms(self, t: Floats) -> tuple[Floats, Floats]:
        """Return the combinations near t, as A (s - at) + b: A of shape (m, D), b of shape (m,)."""
        xs = self.chart.lift(torch.from_numpy(t)[None])
        found = affine_map(self.graph, *xs)
        rows = found.rows(range(self.graph.output_shapes[0][0]))
        parts = rows if isinstance(rows, tuple) else (rows,)
        A = self.chart.pullback([p[0] for p in parts]).numpy()
        return A, found.value[0].numpy() - A @ (t - self.at)

    def check(self, t: Floats) -> Point | None:
        """Return a point at t if the goal is met there, strictly, as the graph of the logits itself says."""
        t = np.clip(t, self.chart.lower.numpy(), self.chart.upper.numpy())
        y, off = self.classifier.logits(*self.chart.lift(torch.from_numpy(t)[None]))
        label = int(y[0].argmax())
        ahead = y[0, label] > y[0, self.c] + 2 * off[0] if self.target is None else label == self.target
        return Point(t, self.length(t), label) if bool(ahead) else None

    def tie(self, t: Floats) -> Point | None:
        """Return a point at t if the goal is met there to rounding."""
        y, off = self.classifier.logits(*self.chart.lift(torch.from_numpy(t)[None]))
        ahead = y[0].clone()
        ahead[self.c] = -math.inf
        k = int(ahead.argmax()) if self.target is None else self.target
        tied = y[0, k] >= y[0].max() - 2 * off[0]
        return Point(t, self.length(t), k) if bool(tied) else None

    def beyond(self, t: Floats) -> Point | None:
        """Return an adversarial point at t, or a hair farther."""
        if not np.isfinite(t).all():
            return None
        points = (self.check(self.at + (1 + nudge) * (t - self.at)) for nudge in NUDGES)
        return next((p for p in points if p is not None), None)

    def attack(self, over: Callable[[], bool], rounds: int = 30) -> Point | None:
        """Return the nearest adversarial point that a few projections find, until it is over.

        Notes
        -----
        From each point on, the input is projected onto where the local map there meets the goal (as DeepFool, but
        of the input itself, so that the point found is not only adversarial but near); then the segment to the
        input is halved. Proves nothing of nearer points.

        References
        ----------
        .. [1] S. Moosavi-Dezfooli et al., "DeepFool", CVPR 2016.
        """
        best: Point | None = None
        here = self.forms(self.at)
        for rows in self.problems:
            t, (A, b) = self.at, here
            for _ in range(rounds):
                _, length, step = nearest(-A[list(rows)], b[list(rows)], self.norm)
                if not math.isfinite(length) or (best is not None and length > 4 * best.length):
                    break
                before, t = t, self.at + step * 1.0001
                t = np.clip(t, self.chart.lower.numpy(), self.chart.upper.numpy())
                found = self.check(t)
                if found is not None:
                    found = self._nearer(found)
                    best = found if best is None or found.length < best.length else best
                if over():
                    return best
                if np.allclose(before, t, rtol=1e-9, atol=0):
                    break
                A, b = self.forms(t)
        return best

    def _nearer(self, found: Point) -> Point:
        """Return an adversarial point on the segment from the input, by halving."""
        low, high = 0.0, 1.0
        best = found
        for _ in range(30):
            middle = (low + high) / 2
            nearer = self.check(self.at + middle * (found.t - self.at))
            low, high = (low, middle) if nearer is not None else (middle, high)
            best = nearer or best
        return best

    def inputs(self, t: Floats) -> tuple[Tensor, ...]:
        """Return the inputs at t, each of shape (*in)."""
        return tuple(x[0] for x in self.chart.lift(torch.from_numpy(t)[None]))


def solve(goal: Goal, rows: Sequence[int], A: Floats, b: Floats, G: Floats, h: Floats) -> tuple[float, float, Floats]:
    """Return bounds of the distance to where a cell G s <= h, s from the input, meets one of the goal's sets."""
    chosen = list(rows)
    sizes = np.linalg.norm(A[chosen], axis=1)
    sizes[sizes == 0] = 1.0
    G = np.concatenate([G, -A[chosen] / sizes[:, None]])
    h = np.concatenate([h, b[chosen] / sizes])
    return nearest(G, h, goal.norm)
