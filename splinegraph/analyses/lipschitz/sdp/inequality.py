"""The matrix inequality whose feasibility proves a Lipschitz constant, and the proof of it for given multipliers."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.linalg import LinAlgError
from numpy.typing import NDArray

from splinegraph.analyses.lipschitz.sdp.forms import Forms
from splinegraph.analyses.lipschitz.units import Units

__all__ = ["Inequality"]

Floats = NDArray[np.float64]

EPS = float(np.finfo(np.float64).eps)

MARGINS = tuple(1e-10 * 8.0**k for k in range(9))
"""By what share rho may be above the smallest one, until it is proved; those below N^2 roundings are not tried."""


class Inequality:
    """M(rho, T) = rho E0 + sum_i T_i (p_i q_i' + q_i p_i') - C C', with p_i = e_i - low_i u_i, q_i = e_i - high_i u_i.

    On differences z = (d, e) of two inputs the product (p_i' z)(q_i' z) is not positive, so that M >= 0 with T >= 0
    gives ||C' z||^2 <= rho ||d||^2: sqrt(rho) is an upper bound of the l2 constant.

    Notes
    -----
    As e_i is a unit vector, T_i only meets the functional u_i outside the diagonal: without products of slopes
    (low = 0) the matrix is written, not multiplied.

    References
    ----------
    .. [1] M. Fazlyab et al., "Efficient and Accurate Estimation of Lipschitz Constants for Deep Neural Networks",
       NeurIPS 2019 (LipSDP-Neuron, with the multipliers that Pauli et al. 2021 show to be valid: diagonal ones).
    """

    def __init__(self, units: Units) -> None:
        self.units = units
        self.forms = Forms(units)
        self.gram = units.outputs @ units.outputs.T
        self.sums, self.products = units.low + units.high, units.low * units.high

    def matrix(self, rho: float, T: Floats) -> Floats:
        """Return M(rho, T)."""
        n0, n = self.units.inputs, self.units.count
        M = -self.gram
        cross = self.units.forms * (T * self.sums)
        M[:, n0:] -= cross
        M[n0:] -= cross.T
        if self.products.any():
            self.forms.add_weighted(M, 2 * T * self.products)
        M[np.arange(n0, n0 + n), np.arange(n0, n0 + n)] += 2 * T
        M[np.arange(n0), np.arange(n0)] += rho
        return np.asarray(M)

    def least(self, T: Floats) -> tuple[float, Floats | None]:
        """Return the smallest rho for multipliers T, as far as floats tell, and a vector where M is singular then.

        Infinite if no rho will do.
        """
        n0 = self.units.inputs
        if not n0:  # nothing moves
            return 0.0, None
        found = self.least_with_vectors(T, 1)
        if found is None:
            return math.inf, None
        values, vectors = found
        return max(float(values[-1]), 0.0), vectors[:, -1]

    def least_with_vectors(self, T: Floats, most: int) -> tuple[Floats, Floats] | None:
        """Return up to `most` values of rho, rising to the smallest that will do, at which M is singular for T.

        With each a vector of the kernel there, shape (N, most), whose inputs have unit length. None if no rho will
        do.
        """
        from scipy import linalg

        n0, M = self.units.inputs, self.matrix(0.0, T)
        R, Z = -M[:n0, :n0], np.zeros((0, n0))
        if self.units.count:
            try:
                factor = linalg.cho_factor(M[n0:, n0:], lower=True, check_finite=False)
            except LinAlgError:
                return None
            Z = linalg.cho_solve(factor, M[n0:, :n0], check_finite=False)
            R = R + M[:n0, n0:] @ Z
        if not np.isfinite(R).all():
            return None
        values, vectors = linalg.eigh((R + R.T) / 2, subset_by_index=(max(n0 - most, 0), n0 - 1))
        return values, np.concatenate([vectors, -Z @ vectors])

    def proved(self, rho: float, T: Floats) -> bool:
        """Return whether M(rho, T) is positive semidefinite beyond the rounding of this very computation."""
        return _Proof(self, T).holds(rho)

    def certified(self, T: Floats) -> float:
        """Return a proved rho for multipliers T; infinite if there is none near the smallest one."""
        rho, _ = self.least(T)
        if not self.units.inputs:
            return 0.0
        if not math.isfinite(rho):
            return math.inf
        size = max(rho, EPS * float(np.abs(self.gram).max(initial=0.0)))
        proof = _Proof(self, T)
        for margin in MARGINS:
            if margin > self.units.size**2 * EPS and proof.holds(rho + margin * size):
                return rho + margin * size
        return math.inf


class _Proof:
    """Whether M(rho, T) is positive semidefinite, for fixed multipliers.

    The matrix is scaled to a unit diagonal; a Cholesky factorization of it minus a multiple of the identity, which
    covers the rounding of its entries and of the factorization, has to succeed.

    References
    ----------
    .. [1] S. M. Rump, "Verification of positive definiteness", BIT 46, 2006.
    """

    def __init__(self, inequality: Inequality, T: Floats) -> None:
        self.inputs = inequality.units.inputs
        self.valid = bool((T >= 0).all()) and bool(np.isfinite(T).all())
        if not self.valid:
            return
        self.M = inequality.matrix(0.0, T)
        self.size, self.terms = _sizes(inequality, T)

    def holds(self, rho: float) -> bool:
        """Return whether it is proved."""
        if not self.valid or not math.isfinite(rho):
            return False
        diagonal, inputs = np.diag(self.M).copy(), np.arange(self.inputs)
        diagonal[inputs] += rho
        free = diagonal == 0
        if bool((diagonal < 0).any()) or bool(self.size[free].any()):
            return False
        scale = np.where(free, 0.0, 1 / np.sqrt(np.where(free, 1.0, diagonal)))
        # row sums of the scaled sizes bound the norm of the rounding errors of the scaled entries
        sums = scale * (self.size @ scale)
        sums[inputs] += rho * scale[inputs] ** 2
        n = len(diagonal)
        shift = 2 * (self.terms + 8) * EPS * float(sums.max(initial=0.0)) + 2 * (n + 2) * n * EPS
        S = self.M * scale[:, None]
        S *= scale
        S[np.arange(n), np.arange(n)] = 1 - shift
        try:
            np.linalg.cholesky(S)
        except LinAlgError:
            return False
        return True


def _sizes(inequality: Inequality, T: Floats) -> tuple[Floats, int]:
    """Return sums of the sizes of what the entries of M(0, T) are sums of, and of how many at most."""
    units = inequality.units
    n0, C = units.inputs, np.abs(units.outputs)
    size, terms = C @ C.T, C.shape[1] + 4
    cross = np.abs(units.forms) * (T * np.abs(inequality.sums))
    size[:, n0:] += cross
    size[n0:] += cross.T
    if inequality.products.any():
        weights = 2 * T * np.abs(inequality.products)
        Forms(replace(units, forms=np.abs(units.forms))).add_weighted(size, weights)
        terms += units.count
    size[np.arange(n0, units.size), np.arange(n0, units.size)] += 2 * T
    return size, terms
