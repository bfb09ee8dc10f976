"""All that is compiled for polytopes, behind one door: they share most of it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from splinegraph.analyses.regions.geometry.kernels.chebyshev import ball_in
from splinegraph.analyses.regions.geometry.kernels.facet_balls import balls_in_facets
from splinegraph.analyses.regions.geometry.kernels.facets import (
    LOWER,
    NAME,
    SLACK,
    UPPER,
    Work,
    Y,
    group,
    kept,
    work,
)
from splinegraph.analyses.regions.kernels.jit import inner, outer, part

__all__ = ["BALLS", "BOXES", "FACETS", "survey"]

BALLS, BOXES, FACETS = range(3)
"""What to find besides the largest ball: nothing, the smallest box, or the facets."""


class Found(NamedTuple):
    """Of N polytopes with R rows in all; empty where it was not asked for."""

    centers: np.ndarray  # (N, D), of the largest balls
    sizes: np.ndarray  # (N,), their radii
    owner: np.ndarray  # (R,), of each row that a polytope needs the first row in its plane, counted from its first one
    points: np.ndarray  # (R, D), center of the largest ball in the plane of each row that owns one
    radii: np.ndarray  # (R,), its radius, nan where a row owns none
    lower: np.ndarray  # (N, D), nan where a polytope has no such size
    upper: np.ndarray  # (N, D)


@inner
def slacks_at(G: np.ndarray, h: np.ndarray, center: np.ndarray, size: float, w: Work) -> None:
    """Write the slacks of the rows of a polytope at a point, in units of `size`."""
    for i in range(len(G)):
        gap = h[i]
        for d in range(G.shape[1]):
            gap -= G[i, d] * center[d]
        w.V[SLACK, i] = gap / size


@part
def largest_ball(G: np.ndarray, h: np.ndarray, start: np.ndarray, w: Work, center: np.ndarray) -> float:
    """Write the center of a largest ball in a polytope and return its radius; `start` is a point to begin at."""
    dim, largest = len(start), 1.0
    for d in range(dim):
        largest = max(largest, abs(start[d]))
    slacks_at(G, h, start, 1.0, w)
    radius = ball_in(G, w.V[SLACK], len(G), dim, w.T, w.K[NAME], w.V[Y], largest)
    for d in range(dim):
        center[d] = start[d] + w.V[Y, d]
    return radius


def survey(
    G: np.ndarray,
    h: np.ndarray,
    offsets: np.ndarray,
    starts: np.ndarray,
    goal: int,
    slack: float = 0.0,
    thin: float = 0.0,
) -> Found:
    """Return a largest ball in each polytope, and what `goal` says of those with a radius above `thin`.

    `starts` are points to begin at; rows that are no further apart than `slack` are one.
    """
    (N, D), boxed = starts.shape, len(starts) if goal == BOXES else 0
    rows = len(h) if goal == FACETS else 0
    found = Found(
        np.empty((N, D)), np.empty(N), np.full(rows, -1), np.empty((rows, D)), np.full(rows, np.nan),
        np.full((boxed, D), np.nan), np.full((boxed, D), np.nan),
    )  # fmt: skip
    _survey(G, h, offsets, starts, work(D, offsets), goal, slack, thin, *found)
    return found


@outer
def _survey(
    G: np.ndarray,
    h: np.ndarray,
    offsets: np.ndarray,
    starts: np.ndarray,
    w: Work,
    goal: int,
    slack: float,
    thin: float,
    centers: np.ndarray,
    sizes: np.ndarray,
    owner: np.ndarray,
    points: np.ndarray,
    radii: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
) -> None:
    for c in range(len(sizes)):
        low, high = offsets[c], offsets[c + 1]
        mine, ends = G[low:high], h[low:high]
        size = largest_ball(mine, ends, starts[c], w, centers[c])
        sizes[c] = size
        if goal == BALLS or not thin < size < np.inf:
            continue
        slacks_at(mine, ends, centers[c], size, w)
        count = kept(mine, w, slack / size, goal == BOXES)
        if goal == BOXES:
            for d in range(G.shape[1]):
                lower[c, d] = centers[c, d] + size * w.V[LOWER, d]
                upper[c, d] = centers[c, d] + size * w.V[UPPER, d]
        else:
            owns = owner[low:high]
            group(mine, w, count, slack / size, owns)
            balls_in_facets(mine, centers[c], size, w, slack / size, owns, points[low:high], radii[low:high])
