"""How the loops of this package are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

__all__ = ["jit", "plain"]

F = TypeVar("F", bound=Callable[..., Any])

OPTIONS: dict[str, Any] = {"cache": True, "error_model": "numpy"}
UNCOUNTED: dict[str, Any] = {**OPTIONS, "_nrt": False}


def jit(function: F) -> F:
    """Compile at the first call and keep the result on disk; a division by zero gives inf or nan, as in numpy."""
    return cast(F, njit(**OPTIONS)(function))


def plain(function: F) -> F:
    """Compile a function that makes no arrays: without counting references to those that it is given.

    Counting them costs more than what small functions do.
    """
    return cast(F, njit(**UNCOUNTED)(function))
