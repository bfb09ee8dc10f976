"""An interior-point method for the multipliers of the matrix inequality."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
from numpy.linalg import LinAlgError
from numpy.typing import NDArray

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
    count = inequality.units.count
    if not count or rho == 0.0 or not math.isfinite(rho):
        return Solution(T, rho, math.nan if count else 0.0, 0)
    path = _Path(inequality, rho, T, near)
    gap, steps = math.inf, 0
    while path.factor is not None and steps < MOST_STEPS:
        steps += 1
        decrement = path.step()
        late = deadline is not None and time.monotonic() > deadline
        if decrement is None or late or (below is not None and path.rho < below):
            break
        if decrement < CENTERED:
            gap = 1.6 * path.mu * path.weight
            if gap < tol * path.rho or (below is not None and path.rho - gap > below):
                break
            path.mu *= LOWER
    least, _ = inequality.least(path.T)
    return Solution(path.T, least, gap / least if least else math.nan, steps)


class _Path:
    """A point near the central path: rho / mu - log det M(rho, T) - sum log T is to be small."""

    def __init__(self, inequality: Inequality, rho: float, T: Floats, near: bool) -> None:
        units = inequality.units
        self.inequality, self.T = inequality, T
        self.rho = (1.05 if near else 1.5) * rho
        # M >= 0 makes T > 0 where slopes may be zero or of either sign
        self.bounded = bool((units.low * units.high > 0).any())
        self.weight = units.size + (units.count if self.bounded else 0)
        self.mu = (0.05 if near else 1.0) * self.rho / self.weight
        self.factor = _cholesky(inequality.matrix(self.rho, T))

    def step(self) -> float | None:
        """Make a Newton step; return its decrement, or None if none can be made."""
        H, g = self._derivatives()
        d = _newton(H, g)
        if d is None:
            return None
        decrement = float(-g @ d)
        now = self._value(self.rho, self.T, self.factor)
        for share in (*STEPS, 1 / (1 + math.sqrt(max(decrement, 0.0)))):
            rho, T = self.rho + share * float(d[0]), self.T + share * d[1:]
            if bool((T <= 0).any()):
                continue
            factor = _cholesky(self.inequality.matrix(rho, T))
            if factor is not None and self._value(rho, T, factor) < now - 1e-4 * share * decrement:
                self.rho, self.T, self.factor = rho, T, factor
                return decrement
        return None

    def _value(self, rho: float, T: Floats, factor: Floats | None) -> float:
        assert factor is not None
        value = rho / self.mu - 2 * float(np.log(np.diag(factor)).sum())
        return value - float(np.log(T).sum()) if self.bounded else value

    def _derivatives(self) -> tuple[Floats, Floats]:
        """Return the Hessian and the gradient in (rho, T)."""
        from scipy import linalg

        P, Q, n0 = self.inequality.P, self.inequality.Q, self.inequality.units.inputs
        inverse = linalg.cho_solve((self.factor, True), np.eye(len(P)))
        PP, PQ = inverse @ P, inverse @ Q
        B = P.T @ PQ
        count = len(self.T)
        H, g = np.empty((count + 1, count + 1)), np.empty(count + 1)
        H[1:, 1:] = 2 * (B * B.T + (P.T @ PP) * (Q.T @ PQ))
        H[0, 0] = float((inverse[:n0, :n0] ** 2).sum())
        H[0, 1:] = H[1:, 0] = 2 * (PP[:n0] * PQ[:n0]).sum(axis=0)
        g[0] = 1 / self.mu - float(np.trace(inverse[:n0, :n0]))
        g[1:] = -2 * np.diag(B)
        if self.bounded:
            g[1:] -= 1 / self.T
            H[np.arange(1, count + 1), np.arange(1, count + 1)] += 1 / self.T**2
        return H, g


def _newton(H: Floats, g: Floats) -> Floats | None:
    """Return -H^-1 g; None if H is not positive definite within rounding."""
    from scipy import linalg

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
