"""Signs of pre-activations, hashed as they are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["add_above", "jit"]

F = TypeVar("F", bound=Callable[..., Any])
Ints = NDArray[np.int64]


def jit(function: F) -> F:
    """Compile at the first call and keep the result on disk."""
    return cast(F, njit(cache=True)(function))


@jit
def _sum(row: NDArray[Any], level: float, first: Ints, second: Ints) -> Any:
    a = b = np.int64(0)
    for j in range(len(row)):
        mask = -np.int64(row[j] > level)
        a += first[j] & mask
        b += second[j] & mask
    return a, b


@jit
def add_above(x: NDArray[Any], level: float, coefficients: Ints, keys: Ints) -> None:
    """Add to each row's two keys the coefficients of the entries above a level."""
    first, second = coefficients[0], coefficients[1]
    for i in range(len(x)):
        a, b = _sum(x[i], level, first, second)
        keys[i, 0] += a
        keys[i, 1] += b
