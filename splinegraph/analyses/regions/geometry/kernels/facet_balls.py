"""The largest ball in each facet, in the facet's plane."""

from __future__ import annotations

from typing import Any

import numpy as np

from splinegraph.analyses.regions.geometry.kernels.chebyshev import ball_in
from splinegraph.analyses.regions.geometry.kernels.facets import GAP, NAME, ROW, SLACK, Work, Y, Z
from splinegraph.analyses.regions.kernels.jit import part

PARALLEL = 1e-14
"""Sine of the angle between two rows below which they are the same up to rounding."""


@part
def inside(G: np.ndarray, w: Work, f: int, count: int, slack: float) -> int:
    """Write the rows kept as seen in the plane of facet f; return how many, or -1 if it lies outside of one.

    The reflection I - v v^T / (1 + |g_0|) with v = g + sign(g_0) e_0 sends the first axis to the normal g of the
    facet, up to its sign, and the others into its plane: they are the coordinates there.
    """
    dim, rows, sign = G.shape[1], 0, 1.0 if G[f, 0] >= 0.0 else -1.0
    for a in range(count):
        j = w.K[ROW, a]
        if j == f:
            continue
        along, norm = 0.0, 0.0
        for d in range(dim):
            along += G[j, d] * G[f, d]
        fold = (along + sign * G[j, 0]) / (1.0 + abs(G[f, 0]))
        for q in range(1, dim):
            w.sub[rows, q - 1] = G[j, q] - fold * G[f, q]
            norm += w.sub[rows, q - 1] ** 2
        norm, gap = np.sqrt(norm), w.V[SLACK, j] - along * w.V[SLACK, f]
        if norm > PARALLEL:
            for q in range(dim - 1):
                w.sub[rows, q] /= norm
            w.V[GAP, rows] = gap / norm
            rows += 1
        elif gap < -slack:
            return -1
    return rows


@part
def ball_in_facet(G: np.ndarray, w: Work, f: int, count: int, slack: float, owner: np.ndarray) -> float:
    """Return the radius of the largest ball in facet f, its center in Y; at most zero if it is no facet."""
    dim, sign, fold = G.shape[1], 1.0 if G[f, 0] >= 0.0 else -1.0, 0.0
    found = inside(G, w, f, count, slack)
    if found < 0:
        return -1.0
    radius = ball_in(w.sub, w.V[GAP], found, dim - 1, w.T, w.K[NAME], w.V[Z], 1.0)
    for q in range(1, dim):
        fold += w.V[Z, q - 1] * G[f, q]
    fold /= 1.0 + abs(G[f, 0])
    w.V[Y, 0] = w.V[SLACK, f] * G[f, 0] - fold * (G[f, 0] + sign)
    for q in range(1, dim):
        w.V[Y, q] = w.V[SLACK, f] * G[f, q] + w.V[Z, q - 1] - fold * G[f, q]
    return clearance(G, w, f, owner, radius)


@part
def clearance(G: np.ndarray, w: Work, f: int, owner: np.ndarray, nearest: float) -> float:
    """Return `nearest`, or how far Y is from a row that is nearer, within the plane of facet f; no twin counts."""
    dim = G.shape[1]
    for i in range(len(G)):
        gap, along, norm = w.V[SLACK, i], 0.0, 0.0
        for d in range(dim):
            gap -= G[i, d] * w.V[Y, d]
        if gap >= nearest or owner[i] == f:  # the distance in the plane is no smaller
            continue
        for d in range(dim):
            along += G[i, d] * G[f, d]
        for d in range(dim):
            norm += (G[i, d] - along * G[f, d]) ** 2
        norm = np.sqrt(norm)
        if norm > PARALLEL:
            nearest = min(nearest, gap / norm)
        elif gap < 0.0:
            return -1.0
    return nearest


@part
def balls_in_facets(
    G: np.ndarray,
    center: np.ndarray,
    size: float,
    w: Work,
    slack: float,
    owner: np.ndarray,
    points: np.ndarray,
    radii: np.ndarray,
) -> None:
    """Write center and radius of the largest ball in the plane of each row that owns one."""
    dim = G.shape[1]
    count: Any = np.int64(0)  # no literal, for which others would be compiled anew
    for i in range(len(G)):
        if owner[i] == i:
            w.K[ROW, count] = i
            count += 1
    for a in range(count):
        f = w.K[ROW, a]
        if dim == 1:
            w.V[Y, 0], radii[f] = w.V[SLACK, f] * G[f, 0], np.inf
        else:
            radii[f] = size * ball_in_facet(G, w, f, count, slack, owner)
        for d in range(dim):
            points[f, d] = center[d] + size * w.V[Y, d]
