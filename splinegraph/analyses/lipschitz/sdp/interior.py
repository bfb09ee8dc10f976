"""An interior-point method for the multipliers of the matrix inequality."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
from numpy.linalg import LinAlgError
from numpy.typing import NDArray
from scipy import linalg

from splinegraph.analyses.lipschitz.sdp.inequality import Inequality

__all__ = ["Solution", "solve", "start"]

Floats = NDArray[np.float64]

STEPS = (1.0, 0.5, 0.25)
"""Shares of a Newton step that are tried, before the one that is sure to stay inside."""

CENTERED = 0.3
"""Newton decrement below which the barrier is lowered."""

LOWER = 0.12
"""By what the barrier is multiplied then."""

MOST_STEPS = 200


@dataclass(frozen=True, eq=False)
class Solution:
    """Multipliers, and what they reach.

    Parameters
    ----------
    T : array of shape (n,)
    rho : float
        As far as floats tell; see `Inequality.certified`.
    gap : float
        The smallest rho is at most this much below, relative to it; nan if not known.
    steps : int
    """

    T: Floats
    rho: float
    gap: float
    steps: int


def start(inequality: Inequality) -> Floats | None:
    """Return multipliers for which some rho will do: growing from the outputs to the inputs; None if none is found."""
    units = inequality.units
    n = units.forms.shape[1]
    depth = np.zeros(n)
    for i, block in enumerate(units.blocks):
        depth[block.start : block.stop] = len(units.blocks) - 1 - i
    reach = np.array([max(float(np.linalg.norm(units.forms[:, b.start : b.stop], 2)), 1e-6) for b in units.blocks])
    base = max(float(np.linalg.norm(units.outputs, 2)) ** 2, 1e-12)
    for growth in (2.0, 4.0, 10.0, 100.0, 1e4, 1e6):
        levels = base * growth * np.cumprod(np.concatenate([[1.0], growth * np.maximum(reach[:0:-1], 0.5) ** 2]))
        T = levels[depth.astype(int)] if len(levels) else np.zeros(0)
        if math.isfinite(inequality.least(T)[0]):
            return np.asarray(T)
    return None


def solve(
    inequality: Inequality,
    T: Floats,
    *,
    tol: float = 1e-7,
    below: float | None = None,
    deadline: float | None = None,
    near: bool = False,
) -> Solution:
    """Return multipliers that make rho as small as possible.

    Parameters
    ----------
    inequality : Inequality
    T : array of shape (n,)
        Positive, and such that some rho will do.
    tol : float
        Relative accuracy of rho.
    below : float, optional
        Stop as soon as rho is below this, or is known to stay above.
    deadline : float, optional
        Of `time.monotonic`.
    near : bool
        Whether T is close to the best already.

    Notes
    -----
    A step takes some products of N x N by N x n matrices and a linear system of n + 1 unknowns.
    """
    rho, _ = inequality.least(T)
    units = inequality.units
    n0, count = units.inputs, units.forms.shape[1]
    if not count or rho == 0.0 or not math.isfinite(rho):
        return Solution(T, rho, 0.0 if not count else math.nan, 0)
    bounded = bool(((units.low > 0) & (units.high > 0) | (units.low < 0) & (units.high < 0)).any())
    P, Q, N = inequality.P, inequality.Q, units.size
    rho *= 1.05 if near else 1.5
    weight = N + (count if bounded else 0)
    mu, gap, step = (0.05 if near else 1.0) * rho / weight, math.inf, 0
    L = _cholesky(inequality.matrix(rho, T))
    while L is not None and step < MOST_STEPS:
        step += 1
        inverse = linalg.cho_solve((L, True), np.eye(N))
        PP, PQ = inverse @ P, inverse @ Q
        B = P.T @ PQ
        H = np.empty((count + 1, count + 1))
        H[1:, 1:] = 2 * (B * B.T + (P.T @ PP) * (Q.T @ PQ))
        H[0, 0] = float((inverse[:n0, :n0] ** 2).sum())
        H[0, 1:] = H[1:, 0] = 2 * (PP[:n0] * PQ[:n0]).sum(axis=0)
        g = np.empty(count + 1)
        g[0] = 1 / mu - float(np.trace(inverse[:n0, :n0]))
        g[1:] = -2 * np.diag(B)
        if bounded:
            g[1:] -= 1 / T
            H[np.arange(1, count + 1), np.arange(1, count + 1)] += 1 / T**2
        d = _newton(H, g)
        if d is None:
            break
        decrement = float(-g @ d)
        value = rho / mu - 2 * float(np.log(np.diag(L)).sum()) - (float(np.log(T).sum()) if bounded else 0.0)
        moved = False
        for share in (*STEPS, 1 / (1 + math.sqrt(max(decrement, 0.0)))):
            rho2, T2 = rho + share * float(d[0]), T + share * d[1:]
            if bool((T2 <= 0).any()):
                continue
            L2 = _cholesky(inequality.matrix(rho2, T2))
            if L2 is None:
                continue
            now = rho2 / mu - 2 * float(np.log(np.diag(L2)).sum()) - (float(np.log(T2).sum()) if bounded else 0.0)
            if now < value - 1e-4 * share * decrement:
                moved = True
                break
        if not moved:
            break
        rho, T, L = rho2, T2, L2
        if below is not None and rho < below:
            break
        if deadline is not None and time.monotonic() > deadline:
            break
        if decrement < CENTERED:
            gap = 1.6 * mu * weight
            if gap < tol * rho or (below is not None and rho - gap > below):
                break
            mu *= LOWER
    least, _ = inequality.least(T)
    return Solution(T, least, gap / least if least else math.nan, step)


def _newton(H: Floats, g: Floats) -> Floats | None:
    """Return -H^-1 g; None if H is not positive definite within rounding."""
    scale = 1 / np.sqrt(np.maximum(np.diag(H), 1e-300))
    scaled = H * scale[:, None] * scale
    scaled[np.arange(len(g)), np.arange(len(g))] += 1e-13
    try:
        return np.asarray(-scale * linalg.cho_solve(linalg.cho_factor(scaled), scale * g))
    except (LinAlgError, ValueError):
        return None


def _cholesky(M: Floats) -> Floats | None:
    try:
        return np.asarray(np.linalg.cholesky(M))
    except LinAlgError:
        return None
