"""The largest ball in a polytope: maximize r with g_i . y + r <= s_i for rows of norm one."""

from __future__ import annotations

import numpy as np

from splinegraph.analyses.regions.geometry.kernels.simplex import UNBOUNDED, maximize, pivot
from splinegraph.analyses.regions.kernels.jit import inner, part


@inner
def ball_in(
    G: np.ndarray, s: np.ndarray, rows: int, dim: int, T: np.ndarray, name: np.ndarray, y: np.ndarray, cap: float
) -> float:
    """Return the radius of a largest ball in {y : G y <= s}, its center in `y`; negative if there is none.

    Of balls that can grow for ever, one of radius `cap` or more. T has room for (dim + 2, dim + 1 + rows). The radius
    is the distance from the center to the nearest row, whatever the simplex method did: no smaller ball is reported
    larger.
    """
    for q in range(dim):
        y[q] = 0.0
    if rows == 0:
        return np.inf
    n, last, nearest = dim + 1, dim + 1 + rows, 0
    for q in range(n + 1):
        for d in range(n):
            T[q, d] = 0.0
    for q in range(n):
        T[q, q] = 1.0
        name[q] = -1 - q
    for i in range(rows):
        for q in range(dim):
            T[q, n + i] = -G[i, q]
        T[dim, n + i] = -1.0
        T[n, n + i] = s[i]
        if s[i] < s[nearest]:
            nearest = i
    pivot(T, n, dim, n + nearest, last)  # the ball around the origin, of negative radius if it lies outside
    name[dim] = n + nearest
    end, ray = maximize(T, name, n, dim, n, last, np.inf)
    far = (cap - min(T[n, dim], 0.0)) / T[ray, dim] if end == UNBOUNDED else 0.0
    for q in range(dim):
        y[q] = T[n, q] + far * T[ray, q] if far > 0.0 else T[n, q]
    return distance(G, s, rows, dim, y)


@part
def distance(G: np.ndarray, s: np.ndarray, rows: int, dim: int, y: np.ndarray) -> float:
    """Return the smallest s_i - g_i . y."""
    nearest = np.inf
    for i in range(rows):
        slack = s[i]
        for q in range(dim):
            slack -= G[i, q] * y[q]
        nearest = min(nearest, slack)
    return nearest
