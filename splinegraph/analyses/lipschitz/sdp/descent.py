"""A first-order method for the multipliers of the matrix inequality: one per block of units, then one per unit."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.lipschitz.sdp.inequality import Inequality
from splinegraph.analyses.lipschitz.sdp.solution import Solution

__all__ = ["descend"]

Floats = NDArray[np.float64]

VECTORS = 12
"""Largest values of rho at which the matrix is singular that the descent looks at together."""

SHARPNESS = (50.0, 400.0)
"""How sharply the largest of them counts, relative to it, round by round."""

BARRED = 1e3
"""What multipliers without any rho count as, in log rho."""

ITERATIONS = 150
"""Of a round."""


def descend(inequality: Inequality, T: Floats, *, deadline: float | None = None, tol: float = 1e-4) -> Solution:
    """Return multipliers that make rho smaller, by L-BFGS on log rho as a function of log T.

    Parameters
    ----------
    inequality : Inequality
    T : array of shape (n,)
        Positive, and such that some rho will do.
    deadline : float, optional
        Of `time.monotonic`.
    tol : float
        Relative gain of a round below which the descent ends.

    Notes
    -----
    A step takes one Cholesky factorization and as many solutions as there are inputs: some tenths of a step of the
    interior point, but hundreds are needed for a per cent. How far the smallest rho is below is not known.
    """
    units = inequality.units
    search = _Search(inequality, T, deadline)
    if not units.count or not 0 < search.rho < math.inf:
        return Solution(T, search.rho, math.nan, 0)
    block = np.repeat(np.arange(len(units.blocks)), [b.stop - b.start for b in units.blocks])
    sharpness = SHARPNESS[0]
    while not search.late:
        before = search.rho
        base = np.log(search.T)
        search.run(lambda t, base=base: base + t[block], np.zeros(len(units.blocks)), block, sharpness)  # type: ignore[misc]
        search.run(lambda t: t, np.log(search.T), None, sharpness)
        if search.rho > before * (1 - tol):
            if sharpness == SHARPNESS[-1]:
                break
            sharpness = SHARPNESS[-1]
    return Solution(search.T, search.rho, math.nan, search.steps, "first order", "time was up" if search.late else "")


class _LateError(Exception):
    """Time is up."""


class _Search:
    """The best multipliers so far."""

    def __init__(self, inequality: Inequality, T: Floats, deadline: float | None) -> None:
        self.inequality, self.T, self.deadline = inequality, T, deadline
        self.rho, _ = inequality.least(T)
        self.steps = 0

    @property
    def late(self) -> bool:
        """Whether time is up."""
        return self.deadline is not None and time.monotonic() > self.deadline

    def run(
        self, expand: Callable[[Floats], Floats], t: Floats, block: NDArray[np.intp] | None, sharpness: float
    ) -> None:
        """Go down from log multipliers `expand(t)`; with `block` the parameters are those of blocks."""
        from scipy import optimize

        def value(t: Floats) -> tuple[float, Floats]:
            smooth, gradient = self._value(np.exp(expand(t)), sharpness)
            if block is not None:
                gradient = np.bincount(block, gradient, minlength=len(t)).astype(np.float64)
            return smooth, gradient

        try:
            options = {"maxiter": ITERATIONS, "maxcor": 30}
            optimize.minimize(value, t, jac=True, method="L-BFGS-B", options=options)
        except _LateError:
            return

    def _value(self, T: Floats, sharpness: float) -> tuple[float, Floats]:
        """Return a smooth log rho and its gradient in log T."""
        if self.late:
            raise _LateError
        self.steps += 1
        found = self.inequality.least_with_vectors(T, VECTORS) if np.isfinite(T).all() else None
        if found is None or not found[0][-1] > 0:
            return BARRED, np.zeros_like(T)
        values, vectors = found
        rho = float(values[-1])
        if rho < self.rho:
            self.rho, self.T = rho, T
        weights = np.exp(sharpness * (values / rho - 1))
        total = float(weights.sum())
        units = self.inequality.units
        seen, own = self.inequality.forms.seen(vectors), vectors[units.inputs :]
        p, q = own - units.low[:, None] * seen, own - units.high[:, None] * seen
        slopes = -2 * (p * q) @ (weights / total)  # of rho in T
        return math.log(rho) + math.log(total) / sharpness, slopes * T / rho
