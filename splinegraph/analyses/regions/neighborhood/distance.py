"""How far a point is from a polytope: bounds that hold whatever the solver did."""

from __future__ import annotations

from typing import Literal

import numpy as np

from splinegraph.analyses.regions.geometry.polytopes import Floats

__all__ = ["Norm", "distance", "nearest"]

Norm = Literal[2] | float


def distance(G: Floats, h: Floats, norm: float) -> tuple[float, float]:
    """Return a lower and an upper bound of min |t| over G t <= h, for the 2- or the inf-norm.

    Notes
    -----
    For u >= 0 every t in the polytope has ``(G^T u) t <= h u``, so that ``|t| >= -h u / |G^T u|`` in the dual norm.
    The upper bound is the norm of a point that is checked to lie in the polytope, to rounding, else infinite.

    References
    ----------
    .. [1] C. Lawson and R. Hanson, "Solving Least Squares Problems", 1974, chapter 23.
    """
    return nearest(G, h, norm)[:2]


def nearest(G: Floats, h: Floats, norm: float) -> tuple[float, float, Floats]:
    """Return the same bounds, and the point that the upper one comes from; see `distance`."""
    if not len(h) or h.min() >= 0:
        return 0.0, 0.0, np.zeros(G.shape[1])
    if len(h) == 1:
        weights, point = np.ones(1), _onto(G[0], float(h[0]), norm)
    else:
        weights, point = _nearest(G, h) if norm == 2 else _nearest_inf(G, h)
    weights = np.maximum(weights, 0.0)
    pull = weights @ G
    length = float(np.linalg.norm(pull) if norm == 2 else np.abs(pull).sum())
    pushed = -float(weights @ h)
    lower = pushed / length if length > 0 else np.inf if pushed > 0 else 0.0
    if not np.isfinite(point).all():  # it is empty, or the solver gave up
        return max(lower, 0.0), np.inf, point
    sizes = np.linalg.norm(G, axis=1)
    slack = float(((h - G @ point) / np.where(sizes > 0, sizes, 1.0)).min())
    reach = float(np.linalg.norm(point, 2 if norm == 2 else np.inf))
    return max(lower, 0.0), reach if slack >= -1e-9 * max(reach, 1e-300) else np.inf, point


def _onto(row: Floats, limit: float, norm: float) -> Floats:
    """Return the point of row @ t <= limit < 0 that is nearest to the origin."""
    pull = row if norm == 2 else np.sign(row)
    length = float(pull @ row)
    return np.asarray(pull * (limit / length)) if length > 0 else np.full(len(row), np.inf)


def _nearest(G: Floats, h: Floats) -> tuple[Floats, Floats]:
    """Return multipliers and point of the least distance: nonnegative least squares on the rows (Lawson-Hanson)."""
    from scipy.optimize import nnls

    scale = float(np.abs(h).max())
    system = np.concatenate([-G.T, -h[None] / scale])
    goal = np.zeros(len(system))
    goal[-1] = 1.0
    weights, _ = nnls(system, goal)
    rest = system @ weights - goal
    point = -rest[:-1] / rest[-1] * scale if rest[-1] else np.full(G.shape[1], np.inf)
    return np.asarray(weights), np.asarray(point)


def _nearest_inf(G: Floats, h: Floats) -> tuple[Floats, Floats]:
    """Return multipliers and point of the least distance: a linear program."""
    from scipy.optimize import linprog

    dim = G.shape[1]
    eye, ones = np.eye(dim), -np.ones((dim, 1))
    rows = np.block([[G, np.zeros((len(G), 1))], [eye, ones], [-eye, ones]])
    limits = np.concatenate([h, np.zeros(2 * dim)])
    cost = np.append(np.zeros(dim), 1.0)
    answer = linprog(cost, A_ub=rows, b_ub=limits, bounds=[(None, None)] * (dim + 1), method="highs")
    if answer.status != 0:
        return _emptiness(G, h), np.full(dim, np.inf)
    return -np.asarray(answer.ineqlin.marginals)[: len(G)], np.asarray(answer.x[:-1])


def _emptiness(G: Floats, h: Floats) -> Floats:
    """Return multipliers that show that G t <= h is empty, if it is: of the least s with G t - s <= h."""
    from scipy.optimize import linprog

    rows = np.hstack([G, -np.ones((len(G), 1))])
    cost = np.append(np.zeros(G.shape[1]), 1.0)
    bounds = [(None, None)] * G.shape[1] + [(0.0, None)]
    answer = linprog(cost, A_ub=rows, b_ub=h, bounds=bounds, method="highs")
    return -np.asarray(answer.ineqlin.marginals) if answer.status == 0 else np.zeros(len(G))
