"""Induced norms of explicit matrices, rounded up."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["SMALL_ENTRIES", "SMALL_SIDE", "dense", "induced_norm", "is_small"]

SMALL_ENTRIES, SMALL_SIDE = 2**22, 1024
"""Entries, and entries of the shorter side, up to which a matrix is written out for its singular values."""

UNIT = torch.finfo(torch.float64).eps


def is_small(rows: int, columns: int) -> bool:
    """Return whether a matrix of that size is worth writing out."""
    return rows * columns <= SMALL_ENTRIES and min(rows, columns) <= SMALL_SIDE


def dense(linear: Callable[[Tensor], Tensor], shape: tuple[int, ...]) -> Tensor:
    """Return the float64 matrix of a linear map of arguments of that shape, which takes a leading axis.

    Returns
    -------
    Tensor of shape (outputs, inputs)
    """
    n = math.prod(shape)
    return linear(torch.eye(n, dtype=torch.float64).reshape(n, *shape)).detach().reshape(n, -1).mT


def induced_norm(matrix: Tensor, norm: float) -> float:
    """Return an upper bound of the norm of a float64 matrix of shape (m, n), exact up to rounding.

    Parameters
    ----------
    matrix : Tensor of shape (m, n)
    norm : {1, 2, inf}
        The largest column sum, singular value or row sum.

    Notes
    -----
    The largest singular value comes from the Gram matrix of the shorter side; products and eigenvalues are off by
    at most (m + n) u ||A||_F^2, which is added. Cost: min(m, n)^2 max(m, n).
    """
    if not matrix.numel():
        return 0.0
    if not bool(matrix.isfinite().all()):
        return math.inf
    size = sum(matrix.shape) * UNIT
    if norm != 2:
        return float(matrix.abs().sum(0 if norm == 1 else 1).max()) * (1 + size)
    gram = matrix @ matrix.mT if matrix.shape[0] <= matrix.shape[1] else matrix.mT @ matrix
    top = float(torch.linalg.eigvalsh(gram)[-1])
    return math.sqrt(max(top, 0.0) + 2 * size * float(matrix.square().sum()))
