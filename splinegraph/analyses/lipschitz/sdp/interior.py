"""An interior-point method for the multipliers of the matrix inequality."""

from __future__ import annotations

import math
import time

import numpy as np
from numpy.linalg import LinAlgError
from numpy.typing import NDArray

from splinegraph.analyses.lipschitz.sdp.inequality import Inequality
from splinegraph.analyses.lipschitz.sdp.solution import Solution
from splinegraph.analyses.lipschitz.sdp.starting import start

__all__ = ["Solution", "solve", "start"]

Floats = NDArray[np.float64]

SHORTER = 0.7
"""By what a Newton step is multiplied until it is inside and makes progress."""

FIRST = 0.1
"""The first barrier, relative to rho."""

FAR, NEAR = (0.3, 2.0), (0.12, 0.3)
"""By what the barrier is multiplied, and the Newton decrement below which that is done: far from the best rho, where
long steps end close to the boundary and centering them anew takes many, and near it."""

ROUGH = 0.03
"""The Newton decrement per row of the matrix that will do far from the best rho."""

NEAR_BELOW = 0.06
"""The barrier, relative to rho, from which on it is near."""

MOST_STEPS = 300

CHUNK = 64
"""Rows of large matrices that are worked on together."""


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
    A step takes the inverse of an N x N matrix, its products with the functionals of the units, and a linear system
    of n + 1 unknowns: about 3 N^3 operations where functionals see few of the values.
    """
    rho, _ = inequality.least(T)
    count = inequality.units.count
    if not count or rho == 0.0 or not math.isfinite(rho):
        return Solution(T, rho, math.nan if count else 0.0, 0)
    path = _Path(inequality, rho, T, near)
    gap, steps, note = math.inf, 0, "" if path.factor is not None else "no point inside"
    while path.factor is not None and steps < MOST_STEPS:
        if deadline is not None and time.monotonic() > deadline:
            note = "time was up"
            break
        steps += 1
        decrement = path.step()
        if decrement is None:
            note = "a step failed"
            break
        if below is not None and path.rho < below:
            break
        lower, centered = NEAR
        if path.mu * path.weight > NEAR_BELOW * path.rho:
            lower, centered = FAR[0], max(FAR[1], ROUGH * path.weight)
        if decrement < NEAR[1]:
            gap = 1.6 * path.mu * path.weight
            if gap < tol * path.rho or (below is not None and path.rho - gap > below):
                break
        if decrement < centered:
            path.mu *= lower
    least, _ = inequality.least(path.T)
    if not least <= rho:
        return Solution(T, rho, math.nan, steps, "interior point", note or "no better multipliers")
    return Solution(path.T, least, gap / least if least else math.nan, steps, "interior point", note)


class _Path:
    """A point near the central path: rho / mu - log det M(rho, T) - sum log T is to be small."""

    def __init__(self, inequality: Inequality, rho: float, T: Floats, near: bool) -> None:
        units = inequality.units
        self.inequality, self.T = inequality, T
        self.rho = (1.05 if near else 1.5) * rho
        # M >= 0 makes T > 0 where slopes may be zero or of either sign
        self.bounded = bool((inequality.products > 0).any())
        self.weight = units.size + (units.count if self.bounded else 0)
        self.mu = (0.05 if near else FIRST) * self.rho / self.weight
        self.factor = _cholesky(inequality.matrix(self.rho, T))

    def step(self) -> float | None:
        """Make a Newton step; return its decrement, or None if none can be made."""
        H, g = self._derivatives()
        d = _newton(H, g)
        if d is None:
            return None
        decrement = float(-g @ d)
        now = self._value(self.rho, self.T, self.factor)
        share, shortest = 1.0, 0.5 / (1 + math.sqrt(max(decrement, 0.0)))
        found = self._at(d, share)
        while not found[0] < now - 1e-4 * share * decrement:
            share *= SHORTER
            if share <= shortest:
                return None
            found = self._at(d, share)
        if share < 1:  # the first point inside may be close to the boundary, and the way back takes many steps
            other = self._at(d, SHORTER * share)
            found = other if other[0] < now else found
        _, self.rho, self.T, self.factor = found
        return decrement

    def _at(self, d: Floats, share: float) -> tuple[float, float, Floats, Floats | None]:
        """Return the value at a share of a step, infinite outside, and the point."""
        rho, T = self.rho + share * float(d[0]), self.T + share * d[1:]
        factor = None if bool((T <= 0).any()) else _cholesky(self.inequality.matrix(rho, T))
        return math.inf if factor is None else self._value(rho, T, factor), rho, T, factor

    def _value(self, rho: float, T: Floats, factor: Floats | None) -> float:
        assert factor is not None
        value = rho / self.mu - 2 * float(np.log(np.diag(factor)).sum())
        return value - float(np.log(T).sum()) if self.bounded else value

    def _derivatives(self) -> tuple[Floats, Floats]:
        """Return the Hessian and the gradient in (rho, T)."""
        assert self.factor is not None
        units, n0, count = self.inequality.units, self.inequality.units.inputs, len(self.T)
        X = _inverse(self.factor)
        Y = self.inequality.forms.seen(X)  # u' X, and among the units own = e' X e, mixed = u' X e, both = u' X u
        own, mixed, both = X[n0:, n0:], Y[:, n0:], self.inequality.forms.symmetric(Y)
        low, high = units.low, units.high
        H, g = np.empty((count + 1, count + 1)), np.empty(count + 1)
        PQ = mixed.T * high
        np.subtract(own, PQ, out=PQ)
        if low.any():
            PQ += low[:, None] * (both * high - mixed)
        for rows in _chunks(count):  # what is made on the way stays in the cache
            PP, left = own[rows], low[rows, None]
            if low.any():
                PP = PP - mixed[:, rows].T * low - left * mixed[rows] + left * both[rows] * low
            QQ = both[rows] * high - mixed[rows]
            QQ *= high[rows, None]
            QQ += own[rows]
            QQ -= mixed[:, rows].T * high
            QQ *= PP
            QQ += PQ[rows] * PQ[:, rows].T
            np.multiply(QQ, 2.0, out=H[1 + rows.start : 1 + rows.stop, 1:])
        H[0, 0] = float((X[:n0, :n0] ** 2).sum())
        P0, Q0 = X[:n0, n0:] - Y[:, :n0].T * low, X[:n0, n0:] - Y[:, :n0].T * high
        H[0, 1:] = H[1:, 0] = 2 * (P0 * Q0).sum(axis=0)
        g[0] = 1 / self.mu - float(np.trace(X[:n0, :n0]))
        g[1:] = -2 * np.diag(PQ)
        if self.bounded:
            g[1:] -= 1 / self.T
            H[np.arange(1, count + 1), np.arange(1, count + 1)] += 1 / self.T**2
        return H, g


def _newton(H: Floats, g: Floats) -> Floats | None:
    """Return -H^-1 g, and use H up; None if H is not positive definite within rounding."""
    from scipy import linalg

    scale = 1 / np.sqrt(np.maximum(np.diag(H), 1e-300))
    H *= scale[:, None]
    H *= scale
    H[np.arange(len(g)), np.arange(len(g))] += 1e-13
    try:
        factor = linalg.cho_factor(H.T, lower=True, overwrite_a=True, check_finite=False)
        return np.asarray(-scale * linalg.cho_solve(factor, scale * g))
    except (LinAlgError, ValueError):
        return None


def _cholesky(M: Floats) -> Floats | None:
    """Return the lower triangular factor, its rows in Fortran's order; None if there is none."""
    from scipy.linalg import lapack

    factor, failed = lapack.dpotrf(M.T, lower=1, clean=1, overwrite_a=1)
    return None if failed else np.asarray(factor)


def _inverse(factor: Floats) -> Floats:
    """Return the inverse of a matrix from its Cholesky factor."""
    from scipy.linalg import lapack

    X, _ = lapack.dpotri(factor, lower=1)
    X = X.T  # the upper triangle is set, in rows
    for rows in _chunks(len(X)):
        block = X[rows, rows]
        X[rows, rows] = np.triu(block) + np.triu(block, 1).T
        X[rows.stop :, rows] = X[rows, rows.stop :].T
    return np.asarray(X)


def _chunks(count: int) -> list[slice]:
    return [slice(i, min(i + CHUNK, count)) for i in range(0, count, CHUNK)]
