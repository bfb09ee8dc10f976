"""Signs of pre-activations, hashed as they are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["activate", "add_above", "jit"]

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


@jit
def activate(x: NDArray[Any], bias: NDArray[Any], numbers: NDArray[Any], coefficients: Ints, keys: Ints) -> None:
    """Add to each row's two keys the coefficients of the entries of x + bias above a level; put values in their place.

    The values are slope * (x + bias) + intercept. `numbers` holds the level, the slope and the intercept up to it, and
    those above; they are of the dtype of x, as arithmetic in a wider one would decide other codes.
    """
    first, second = coefficients[0], coefficients[1]
    level, low, low_at_0, high, high_at_0 = numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]
    for i in range(x.shape[0]):
        a = b = np.int64(0)
        for j in range(x.shape[1]):  # in this function: a call for each row would cost as much as a short one
            value = x[i, j] + bias[j]
            above = value > level
            a += first[j] if above else 0
            b += second[j] if above else 0
            x[i, j] = high * value + high_at_0 if above else low * value + low_at_0
        keys[i, 0] += a
        keys[i, 1] += b
