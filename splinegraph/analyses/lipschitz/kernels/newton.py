"""Newton steps on the multipliers of small matrix inequalities, where calls of library functions cost most."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit

__all__ = ["improved"]

Function = TypeVar("Function", bound=Callable[..., Any])

_njit: Any = njit  # its stubs know not all of its options

# numbers of `sdp.interior`: how the barrier is lowered, and how far from the boundary a branch starts
NEAR, LOWER, CENTERED, OUTSIDE = 0.05, 0.12, 0.3, 1.05


def _fast(function: Function) -> Function:
    return cast(Function, _njit(cache=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})(function))


@_fast
def factor(M: np.ndarray, L: np.ndarray) -> bool:
    """Write the lower Cholesky factor of M to L; return whether there is one."""
    n = len(M)
    for i in range(n):
        for j in range(i + 1):
            s = M[i, j]
            for k in range(j):
                s -= L[i, k] * L[j, k]
            if i > j:
                L[i, j] = s / L[j, j]
            elif s > 0.0:
                L[i, i] = math.sqrt(s)
            else:
                return False
    return True


@_fast
def inverse_factor(L: np.ndarray, out: np.ndarray) -> None:
    """Write the inverse of a lower triangular matrix."""
    for i in range(len(L)):
        out[i] = 0.0
        for k in range(i):
            a = L[i, k]
            for j in range(k + 1):
                out[i, j] -= a * out[k, j]
        out[i, i] = 1.0
        for j in range(i + 1):
            out[i, j] /= L[i, i]


@_fast
def matrix(F: np.ndarray, gram: np.ndarray, low: np.ndarray, high: np.ndarray, rho: float, T: np.ndarray) -> np.ndarray:
    """Return M(rho, T) of `Inequality`."""
    n = len(T)
    n0 = len(F) - n
    products = False
    for i in range(n):
        products |= low[i] * high[i] != 0.0
    M = np.dot(F * (2.0 * T * low * high), F.T) - gram if products else -gram
    for a in range(len(F)):
        for i in range(n):
            value = F[a, i] * T[i] * (low[i] + high[i])
            M[a, n0 + i] -= value
            M[n0 + i, a] -= value
    for i in range(n):
        M[n0 + i, n0 + i] += 2.0 * T[i]
    for a in range(n0):
        M[a, a] += rho
    return M


@_fast
def derivatives(
    F: np.ndarray, low: np.ndarray, high: np.ndarray, X: np.ndarray, mu: float, H: np.ndarray, g: np.ndarray
) -> None:
    """Write the Hessian and the gradient of rho / mu - log det M in (rho, T), from X = M^-1."""
    n = len(low)
    n0 = len(F) - n
    V = np.dot(X, F)
    S = np.dot(F.T, V)
    trace = square = 0.0
    for a in range(n0):
        trace += X[a, a]
        for b in range(n0):
            square += X[a, b] * X[a, b]
    g[0], H[0, 0] = 1.0 / mu - trace, square
    for i in range(n):
        mixed = 0.0
        for a in range(n0):
            mixed += (X[a, n0 + i] - low[i] * V[a, i]) * (X[a, n0 + i] - high[i] * V[a, i])
        H[0, 1 + i] = H[1 + i, 0] = 2.0 * mixed
        for j in range(n):
            e, ij, ji, s = X[n0 + i, n0 + j], V[n0 + i, j], V[n0 + j, i], S[i, j]
            PQ = e - high[j] * ij - low[i] * ji + low[i] * high[j] * s
            QP = e - low[j] * ij - high[i] * ji + high[i] * low[j] * s
            PP = e - low[j] * ij - low[i] * ji + low[i] * low[j] * s
            QQ = e - high[j] * ij - high[i] * ji + high[i] * high[j] * s
            H[1 + i, 1 + j] = 2.0 * (PQ * QP + PP * QQ)
            if i == j:
                g[1 + i] = -2.0 * PQ


@_fast
def newton(H: np.ndarray, g: np.ndarray, L: np.ndarray, d: np.ndarray) -> bool:
    """Write -H^-1 g to d, and use H up; return whether H is positive definite."""
    n = len(g)
    scale = np.empty(n)
    for i in range(n):
        scale[i] = 1.0 / math.sqrt(max(H[i, i], 1e-300))
    for i in range(n):
        for j in range(n):
            H[i, j] *= scale[i] * scale[j]
        H[i, i] += 1e-13
    if not factor(H, L):
        return False
    for i in range(n):
        s = -scale[i] * g[i]
        for k in range(i):
            s -= L[i, k] * d[k]
        d[i] = s / L[i, i]
    for i in range(n - 1, -1, -1):
        d[i] /= L[i, i]
        for k in range(i):
            d[k] -= L[i, k] * d[i]
    for i in range(n):
        d[i] *= scale[i]
    return True


@_fast
def log_diagonal(L: np.ndarray) -> float:
    """Return half of the log of a determinant from its factor."""
    total = 0.0
    for i in range(len(L)):
        total += math.log(L[i, i])
    return total


@_fast
def improved(
    F: np.ndarray,
    gram: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    start: np.ndarray,
    rho: float,
    below: float,
    tol: float,
    most: int,
) -> np.ndarray:
    """Return better multipliers, from some that are close to the best and reach rho.

    As `sdp.interior.solve` with ``near=True``: until rho < below, it is known to stay above, or tol is reached.
    Without a barrier for T > 0: for slopes whose range has no positive product of its ends.
    """
    n, N = len(start), len(F)
    T, rho = start.copy(), OUTSIDE * rho
    mu = NEAR * rho / N
    L, other, inner = np.zeros((N, N)), np.zeros((N, N)), np.zeros((N, N))
    H, g, d, half = np.empty((n + 1, n + 1)), np.empty(n + 1), np.empty(n + 1), np.zeros((n + 1, n + 1))
    if not factor(matrix(F, gram, low, high, rho, T), L):
        return start
    for _ in range(most):
        inverse_factor(L, inner)
        derivatives(F, low, high, np.dot(inner.T, inner), mu, H, g)
        if not newton(H, g, half, d):
            break
        decrement = -np.dot(g, d)
        now = rho / mu - 2.0 * log_diagonal(L)
        share, moved = 1.0, False
        while share > 0.5 / (1.0 + math.sqrt(max(decrement, 0.0))):
            tried, r = T + share * d[1:], rho + share * d[0]
            if tried.min() > 0.0 and factor(matrix(F, gram, low, high, r, tried), other):
                if r / mu - 2.0 * log_diagonal(other) < now - 1e-4 * share * decrement:
                    T, rho, moved = tried, r, True
                    L, other = other, L
                    break
            share *= 0.6
        if not moved or rho < below:
            break
        if decrement < CENTERED:
            gap = 1.6 * mu * N
            if gap < tol * rho or rho - gap > below:
                break
            mu *= LOWER
    return T
