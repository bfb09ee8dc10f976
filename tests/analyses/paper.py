"""What the tests of the paper's formulas share."""

from __future__ import annotations

import functools
from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from splinegraph.analyses.affine_map import affine_map
from splinegraph.core.graph import SplineGraph

__all__ = ["TIGHT", "WRONG", "Matrix", "downward", "error", "product", "the_map"]

Matrix = NDArray[np.float64]
TIGHT = 1e-12
WRONG = 1e-2
"""Beyond any rounding: a formula that is off by so much is false."""


def product(matrices: Iterable[Matrix], size: int) -> Matrix:
    """Return the matrices multiplied in the order given (the paper's descending products); I if there is none."""
    return functools.reduce(np.matmul, matrices, np.eye(size))


def downward(table: dict[int, Matrix], top: int, bottom: int, size: int) -> Matrix:
    """Return table[top] @ ... @ table[bottom]; I if top < bottom."""
    return product((table[k] for k in range(top, bottom - 1, -1)), size)


def the_map(graph: SplineGraph, x: Tensor) -> tuple[Matrix, Matrix]:
    """Return A[x] and b[x] at one sample, flat."""
    with torch.no_grad():
        A, b = affine_map(graph, x).dense()
    return A.reshape(b.numel(), -1).numpy(), b.flatten().numpy()


def error(found: Matrix, expected: Matrix) -> float:
    return float(np.abs(found - expected).max())
