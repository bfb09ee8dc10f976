"""Whether a hyperplane separates two sets of points: programs that propose, and checks that decide."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Finding", "decide", "proved_margin"]

Floats = NDArray[np.float64]
Status = Literal["separable", "not separable", "undecided"]

EPS = float(np.finfo(np.float64).eps)

RATIONAL = (64, 8)
"""Most points and dimensions for which rational arithmetic decides what floats leave open."""


@dataclass(frozen=True, eq=False)
class Finding:
    """A decision with what proves it."""

    status: Status
    proof: str = ""
    weights: Floats | None = None
    bias: float | None = None
    margin: float | None = None
    combination: Floats | None = None
    gap: float | None = None


def decide(points: Floats, sign: Floats) -> Finding:
    """Decide whether some (w, b) has sign (w . z + b) > 0 for all points.

    Parameters
    ----------
    points : array of shape (N, D)
    sign : array of shape (N,), +1 and -1, both present
    """
    shared = _shared(points, sign)
    if shared is not None:
        combination = np.zeros(len(sign))
        combination[list(shared)] = 1.0
        return Finding("not separable", "a point of both classes", combination=combination, gap=0.0)
    moving = (points != points[:1]).any(0)
    z = points[:, moving]
    for propose in (_least_squares, _widest):
        found = _lifted(propose(z, sign), points, sign, moving)
        if found is not None:
            return found
    return _overlapping(z, sign) or _rational(points, sign) or Finding("undecided", "too near to call in float64")


def _shared(points: Floats, sign: Floats) -> tuple[int, int] | None:
    """Return a pair of equal points with different signs."""
    _, place = np.unique(points, axis=0, return_inverse=True)
    place = place.reshape(-1)
    both = np.intersect1d(place[sign > 0], place[sign < 0])
    if not len(both):
        return None
    here = place == both[0]
    return int(np.flatnonzero(here & (sign > 0))[0]), int(np.flatnonzero(here & (sign < 0))[0])


# separating


def _least_squares(z: Floats, sign: Floats) -> Floats | None:
    """Return the normal of the plane that fits the signs: cheap, and enough where there are many dimensions."""
    centered = z - z.mean(0)
    if z.shape[1] <= len(z):
        return np.asarray(np.linalg.lstsq(centered, sign - sign.mean(), rcond=None)[0])
    gram = centered @ centered.T
    gram[np.diag_indices_from(gram)] += 1e-10 * gram.trace() / len(gram)
    return np.asarray(np.linalg.solve(gram, sign - sign.mean()) @ centered)


def _widest(z: Floats, sign: Floats) -> Floats | None:
    """Return the normal with the largest margin among those with entries in [-1, 1], by a linear program."""
    from scipy.optimize import linprog

    centered, scale = z - z.mean(0), np.abs(z - z.mean(0)).max(0, initial=0.0)
    centered = centered / np.where(scale > 0, scale, 1.0)
    lift = None
    if centered.shape[1] >= len(z):  # fewer coordinates hold all the points
        left, size, lift = np.linalg.svd(centered, full_matrices=False)
        centered = left * size
    n, d = centered.shape
    rows = -np.column_stack([sign[:, None] * centered, sign, -np.ones(n)])
    found = linprog(
        np.r_[np.zeros(d + 1), -1.0], A_ub=rows, b_ub=np.zeros(n), bounds=[(-1, 1)] * d + [(None, None)] * 2,
        method="highs",
    )  # fmt: skip
    if found.x is None:
        return None
    w = found.x[:d] if lift is None else found.x[:d] @ lift
    with np.errstate(over="ignore"):  # infinite weights are no hyperplane: the caller drops them
        return np.asarray(w / np.where(scale > 0, scale, 1.0))


def _lifted(w: Floats | None, points: Floats, sign: Floats, moving: NDArray[np.bool_]) -> Finding | None:
    """Return the hyperplane with this normal halfway between the classes, if it is proved to separate them."""
    if w is None or not np.isfinite(w).all() or not w.any():
        return None
    weights = np.zeros(points.shape[1])
    weights[moving] = w / np.abs(w).max()
    heights = points @ weights
    bias = -(heights[sign > 0].min() + heights[sign < 0].max()) / 2
    margin = proved_margin(points, sign, weights, float(bias))
    if not margin > 0:  # also where it overflows
        return None
    return Finding("separable", "hyperplane", weights=weights, bias=float(bias), margin=margin)


def proved_margin(points: Floats, sign: Floats, weights: Floats, bias: float) -> float:
    """Return a lower bound of the least distance to the hyperplane, l2; not above 0 if it is not proved to separate.

    Each value is off by at most (D + 2) eps (|w| . |z| + |b|), whatever the order of its sum.
    """
    slip = (len(weights) + 3) * EPS * (np.abs(points) @ np.abs(weights) + abs(bias)) + 1e-300
    least = float((sign * (points @ weights + bias) - slip).min())
    return least / float(np.linalg.norm(weights)) * (1 - 1e-12) if least > 0 else min(least, 0.0)


# not separating


def _overlapping(z: Floats, sign: Floats) -> Finding | None:
    """Prove that no hyperplane separates, by weights on the points for which two means of classes agree.

    With M = [sign (z, 1)] of shape (D + 1, N): weights l > 0 with M l = r nearly zero can be changed by at most
    |r| / (least singular value of M) to make it zero. If all stay positive, then for any (w, b) the numbers
    sign (w . z + b) have a weighted sum of zero, and are not all zero: one is negative.
    """
    from scipy.optimize import linprog

    n, d = z.shape
    if n < d + 2:
        return None
    scale = np.exp2(-np.ceil(np.log2(np.maximum(np.abs(z).max(0, initial=0.0), 1e-300))))  # exact in floats
    M = (sign[:, None] * np.column_stack([z * scale, np.ones(n)])).T
    total = np.r_[(sign > 0).astype(float), float((sign > 0).sum())]
    equal = np.vstack([np.column_stack([M, M.sum(1)]), total])  # weights are delta + the variables
    goal = np.r_[np.zeros(n), -1.0]
    found = linprog(goal, A_eq=equal, b_eq=np.r_[np.zeros(d + 1), 1.0], bounds=(0, None), method="highs")
    if found.x is None:
        return None
    weights = found.x[:n] + found.x[n]
    slip = (n + 2) * EPS * np.linalg.norm(np.abs(M) @ np.abs(weights))
    left = float(np.linalg.norm(M @ weights) + slip)
    sizes = np.linalg.svd(M, compute_uv=False)
    least = float(sizes[-1] - 10 * EPS * max(M.shape) * sizes[0])
    if least <= 0 or not left / least < float(weights.min()):
        return None
    for side in (sign > 0, sign < 0):
        weights[side] /= weights[side].sum()
    gap = float(np.linalg.norm((weights * sign) @ z) * (1 + 1e-12)) + n * EPS * float(np.abs(z).max()) * math.sqrt(d)
    return Finding("not separable", "overlapping hulls", combination=weights, gap=gap)


def _rational(points: Floats, sign: Floats) -> Finding | None:
    """Decide a small case by the simplex method in rational arithmetic."""
    from splinegraph.analyses.regions.geometry.exact import exact_feasible

    n, d = points.shape
    if n > RATIONAL[0] or d > RATIONAL[1]:
        return None
    rows = (-sign[:, None] * np.column_stack([points, np.ones(n)])).tolist()
    found = exact_feasible(rows, [-1] * n)  # scaled up, any separating (w, b) has room around it
    if not found:
        return Finding("not separable", "rational simplex")
    largest = max(abs(v) for v in found.point[:d])
    numbers = [float(v / largest) if largest else 0.0 for v in found.point]
    weights, bias = np.array(numbers[:d]), numbers[d]
    margin = proved_margin(points, sign, weights, bias)
    return Finding(
        "separable",
        "rational simplex",
        weights=weights,
        bias=bias,
        margin=max(margin, 0.0) if math.isfinite(margin) else 0.0,
    )
