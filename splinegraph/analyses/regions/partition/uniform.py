"""Uniform random points of a domain."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from splinegraph.analyses.regions.cells import Floats
from splinegraph.core.domains.chart import Chart

__all__ = ["Sampled", "sample_domain"]

TRIES = 64
"""Points drawn in the bounding box per point wanted, before another way is taken."""

STEPS = 32
"""Steps of a hit-and-run walk between two points that are kept, per dimension."""


class Sampled(NamedTuple):
    """Points, shape (K, D), and whether they are independent and exactly uniform."""

    points: Floats
    uniform: bool


def sample_domain(chart: Chart, count: int, inside: Floats, *, seed: int = 0) -> Sampled:
    """Return random points of a bounded domain.

    Parameters
    ----------
    inside : array of float64, shape (D,)
        A point of it.

    Notes
    -----
    A box is sampled directly, a polytope by rejection from its box; where less than one in `TRIES` points
    would be kept, by a hit-and-run walk, whose points are only nearly uniform and independent.
    """
    random = np.random.default_rng(seed)
    lower, upper = chart.lower.numpy(), chart.upper.numpy()

    def draw(n: int) -> Floats:
        return np.asarray(lower + random.random((n, chart.dim)) * (upper - lower))

    if not len(chart.h):
        return Sampled(draw(count), True)
    if chart.bounded:
        kept: list[Floats] = []
        found = 0
        for _ in range(TRIES):
            points = draw(count)
            points = points[chart.contains(torch.from_numpy(points)).numpy()]
            kept.append(points)
            found += len(points)
            if found >= count:
                return Sampled(np.concatenate(kept)[:count], True)
    return Sampled(_walk(chart, count, inside, random), False)


def _walk(chart: Chart, count: int, inside: Floats, random: np.random.Generator) -> Floats:
    G, h = (a.numpy() for a in chart.constraints())
    chains = min(count, 256)
    t = np.repeat(inside[None], chains, axis=0)
    kept = []
    for _ in range(-(-count // chains)):
        for _ in range(STEPS * chart.dim):
            v = random.standard_normal(t.shape)
            rate, slack = v @ G.T, np.maximum(h - t @ G.T, 0.0)
            with np.errstate(divide="ignore", invalid="ignore"):
                ratio = slack / rate
            ahead = np.where(rate > 0, ratio, np.inf).min(axis=1)
            behind = np.where(rate < 0, ratio, -np.inf).max(axis=1)
            t = t + (behind + random.random(chains) * (ahead - behind))[:, None] * v
        kept.append(t)
    return np.concatenate(kept)[:count]
