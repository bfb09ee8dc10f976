"""Multipliers to start from, block by block from the outputs to the inputs."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.lipschitz.sdp.inequality import Inequality

__all__ = ["start"]

Floats = NDArray[np.float64]

SMALLEST = 1e-8
"""Multipliers of units that the outputs hardly see, relative to the largest ones of blocks after them."""


def start(inequality: Inequality) -> Floats | None:
    """Return multipliers for which some rho will do, one per block of units; None if none is found.

    Notes
    -----
    Blocks are eliminated from the last one to the first: what is left of the matrix is minus a positive
    semidefinite W, and 2 T - W, the part of a block, is at least T for T = ||W||. On a chain of layers with slopes
    in [0, 1] that gives no more than the product of the layers' norms. Later blocks also see this one through slopes
    of both signs; those terms are in W already. One elimination costs what a Cholesky factorization does.

    References
    ----------
    .. [1] Y. Xu and S. Sivaranjani, "ECLipsE: Efficient Compositional Lipschitz Constant Estimation for Deep Neural
       Networks", NeurIPS 2024.
    """
    from scipy import linalg

    units = inequality.units
    n0, W, T = units.inputs, inequality.gram.copy(), np.zeros(units.count)
    largest = float(np.diag(W).max(initial=0.0)) or 1.0
    for block in reversed(units.blocks):
        part, own, rest = (
            slice(block.start, block.stop), slice(n0 + block.start, n0 + block.stop), slice(0, n0 + block.start)
        )  # fmt: skip
        size = float(linalg.eigvalsh(W[own, own])[-1])
        T[part] = max(size, SMALLEST * largest) * (1 + 1e-6)
        largest = max(largest, float(T[block.start]))
        seen = units.forms[rest, part]
        cross = seen * (T[part] * inequality.sums[part]) + W[rest, own]
        middle = -W[own, own]
        middle[np.diag_indices(len(middle))] += 2 * T[part]
        factor = np.linalg.cholesky(middle)
        half = linalg.solve_triangular(factor, cross.T, lower=True, check_finite=False)
        W[rest, rest] += half.T @ half
        if inequality.products[part].any():
            W[rest, rest] -= (seen * (2 * T[part] * inequality.products[part])) @ seen.T
    return T if math.isfinite(inequality.least(T)[0]) else None
