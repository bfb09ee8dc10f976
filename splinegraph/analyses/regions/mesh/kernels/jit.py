"""How the loops of this package are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

__all__ = ["jit", "plain"]

F = TypeVar("F", bound=Callable[..., Any])


def jit(function: F) -> F:
    """Compile at the first call and keep the result on disk; a division by zero gives inf or nan, as in numpy."""
    compiled: F = njit(cache=True, error_model="numpy")(function)
    return compiled


def plain(function: F) -> F:
    """Compile a function that makes no arrays: without counting references to those that it is given.

    Counting them costs more than what small functions do.
    """
    compiled: F = njit(cache=True, error_model="numpy", _nrt=False)(function)
    return compiled
