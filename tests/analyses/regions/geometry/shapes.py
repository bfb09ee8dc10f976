"""Polytopes to try things on: random, degenerate, thin, unbounded."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import linprog

from splinegraph.analyses.regions.geometry.polytopes import Floats, Polytopes

__all__ = ["ball", "batch", "highs", "necessary", "polytope"]

KINDS = ("random", "integer", "doubled", "touching", "thin", "tiny", "unbounded")

TINY = 1e-6
"""Size of the tiny polytopes, which are the random ones elsewhere; HiGHS only resolves 1e-7."""


def polytope(kind: str, dim: int, seed: int) -> tuple[Floats, Floats]:
    """Return rows and right-hand sides; bounded but for the last kind, the origin nearly always inside."""
    if kind == "tiny":
        G, h = polytope("random", dim, seed)
        return G, TINY * h + G @ np.linspace(-1.0, 1.0, dim)
    rng = np.random.default_rng([dim, seed, KINDS.index(kind)])
    box = np.concatenate([np.eye(dim), -np.eye(dim)])
    if kind == "unbounded":
        count = max(1, dim - 1 + seed % 3)
        return rng.normal(size=(count, dim)), rng.uniform(0.1, 1, count)
    if kind == "integer":  # rows through common vertices, coincident ones, rows that touch
        rows = rng.integers(-1, 2, size=(6 * dim, dim)).astype(float)
        rows = rows[rows.any(1)]
        return np.concatenate([box, rows]), np.concatenate([np.ones(2 * dim), np.abs(rows).sum(1)])
    rows = rng.normal(size=(4 * dim, dim))
    G, h = np.concatenate([rows, box]), np.concatenate([rng.uniform(0.2, 2, 4 * dim), np.ones(2 * dim)])
    if kind == "doubled":
        order = rng.permutation(2 * len(h))
        factor = rng.uniform(0.5, 2, len(h))
        return np.concatenate([G, G * factor[:, None]])[order], np.concatenate([h, h * factor])[order]
    if kind == "touching":  # a row through the farthest vertex along some directions
        more = rng.normal(size=(3, dim))
        reach = [-linprog(-g, A_ub=G, b_ub=h, bounds=(None, None)).fun for g in more]
        return np.concatenate([more, G]), np.concatenate([reach, h])
    if kind == "thin":  # between two parallel planes
        g = rows[0] / np.linalg.norm(rows[0])
        return np.concatenate([[g, -g], G]), np.concatenate([[0.02, 1e-9 - 0.02], h])
    return G, h


def batch(kind: str, dim: int, seeds: range) -> Polytopes:
    """Return several polytopes of one kind."""
    parts = [polytope(kind, dim, seed) for seed in seeds]
    offsets = np.cumsum([0, *(len(h) for _, h in parts)])
    return Polytopes.of(np.concatenate([G for G, _ in parts]), np.concatenate([h for _, h in parts]), offsets)


def highs(goal: Floats, G: Floats, h: Floats) -> Any:
    """Maximize goal . t by HiGHS."""
    return linprog(-goal, A_ub=G, b_ub=h, bounds=(None, None), method="highs-ds")


def ball(G: Floats, h: Floats) -> float:
    """Return the radius of the largest ball, by HiGHS."""
    rows = np.c_[G, np.linalg.norm(G, axis=1)]
    found = highs(np.eye(G.shape[1] + 1)[-1], rows, h)
    return np.inf if found.status == 3 else float(-found.fun)


def necessary(G: Floats, h: Floats, i: int) -> float:
    """Return by how much row i would be exceeded without it and all rows that equal it, by HiGHS."""
    twin = (np.abs(G - G[i]).max(1) < 1e-12) & (np.abs(h - h[i]) < 1e-12)
    found = highs(G[i], np.concatenate([G[~twin], G[i : i + 1]]), np.append(h[~twin], h[i] + 1.0))
    return float(-found.fun - h[i])
