"""The matrix inequality whose feasibility proves a Lipschitz constant, and the proof of it for given multipliers."""

from __future__ import annotations

import math

import numpy as np
from numpy.linalg import LinAlgError
from numpy.typing import NDArray

from splinegraph.analyses.lipschitz.units import Units

__all__ = ["Inequality"]

Floats = NDArray[np.float64]

EPS = float(np.finfo(np.float64).eps)


class Inequality:
    """M(rho, T) = rho E0 + sum_i T_i (p_i q_i' + q_i p_i') - C C', with p_i = e_i - low_i u_i, q_i = e_i - high_i u_i.

    On differences z = (d, e) of two inputs the product (p_i' z)(q_i' z) is not positive, so that M >= 0 with T >= 0
    gives ||C' z||^2 <= rho ||d||^2: sqrt(rho) is an upper bound of the l2 constant.

    References
    ----------
    .. [1] M. Fazlyab et al., "Efficient and Accurate Estimation of Lipschitz Constants for Deep Neural Networks",
       NeurIPS 2019 (LipSDP-Neuron, with the multipliers that Pauli et al. 2021 show to be valid: diagonal ones).
    """

    def __init__(self, units: Units) -> None:
        self.units = units
        n0, n = units.inputs, units.forms.shape[1]
        own = np.zeros_like(units.forms)
        own[n0 + np.arange(n), np.arange(n)] = 1.0
        self.P, self.Q = own - units.forms * units.low, own - units.forms * units.high
        self.gram = units.outputs @ units.outputs.T

    def matrix(self, rho: float, T: Floats) -> Floats:
        """Return M(rho, T)."""
        half = (self.P * T) @ self.Q.T
        M = half + half.T - self.gram
        n0 = self.units.inputs
        M[np.arange(n0), np.arange(n0)] += rho
        return np.asarray(M)

    def least(self, T: Floats) -> tuple[float, Floats | None]:
        """Return the smallest rho for multipliers T, as far as floats tell, and a vector where M is singular then.

        Infinite if no rho will do.
        """
        from scipy import linalg

        n0, M = self.units.inputs, self.matrix(0.0, T)
        if not n0:  # nothing moves
            return 0.0, None
        if not self.units.forms.shape[1]:
            values, vectors = linalg.eigh(-M)
            return max(float(values[-1]), 0.0), vectors[:, -1]
        try:
            factor = linalg.cho_factor(M[n0:, n0:])
        except LinAlgError:
            return math.inf, None
        Z = linalg.cho_solve(factor, M[n0:, :n0])
        R = M[:n0, n0:] @ Z - M[:n0, :n0]
        values, vectors = linalg.eigh((R + R.T) / 2)
        top = vectors[:, -1]
        return max(float(values[-1]), 0.0), np.concatenate([top, -Z @ top])

    def proved(self, rho: float, T: Floats) -> bool:
        """Return whether M(rho, T) is positive semidefinite beyond the rounding of this very computation.

        The matrix is scaled to a unit diagonal; a Cholesky factorization of it minus a multiple of the identity,
        which covers the rounding of its entries and of the factorization, has to succeed.

        References
        ----------
        .. [1] S. M. Rump, "Verification of positive definiteness", BIT 46, 2006.
        """
        if not bool((T >= 0).all()) or not math.isfinite(rho):
            return False
        M = self.matrix(rho, T)
        diagonal = np.diag(M).copy()
        free = diagonal == 0
        if bool((diagonal < 0).any()) or bool(M[free].any()):
            return False
        M, diagonal = M[np.ix_(~free, ~free)], diagonal[~free]
        if not len(M):
            return True
        scale = 1.0 / np.sqrt(diagonal)
        terms = (np.abs(self.P) * T) @ np.abs(self.Q).T
        size = terms + terms.T + np.abs(self.units.outputs) @ np.abs(self.units.outputs).T
        size[np.arange(self.units.inputs), np.arange(self.units.inputs)] += rho
        size = size[np.ix_(~free, ~free)] * scale[:, None] * scale
        n = len(M)
        rounding = 2 * (self.P.shape[1] + 8) * EPS * float(size.sum(axis=1).max())
        shift = rounding + 2 * (n + 2) * n * EPS
        S = M * scale[:, None] * scale
        S[np.arange(n), np.arange(n)] -= shift
        try:
            np.linalg.cholesky(S)
        except LinAlgError:
            return False
        return True

    def certified(self, T: Floats) -> float:
        """Return a proved rho for multipliers T; infinite if there is none near the smallest one."""
        rho, _ = self.least(T)
        if not self.units.inputs:
            return 0.0
        if not math.isfinite(rho):
            return math.inf
        size = max(rho, EPS * float(np.abs(self.gram).max(initial=0.0)))
        margin = 1e-10
        while margin < 1e-2:
            if self.proved(rho + margin * size, T):
                return rho + margin * size
            margin *= 4
        return math.inf
