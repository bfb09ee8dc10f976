"""How loops are compiled: so that the first call does not take long.

All of what a function calls is optimized again with it, and everything that Python calls needs a wrapper. So there
are few functions that Python calls, and what is called from one place only is pasted there before anything is
compiled. Compiled functions make no arrays: counting references to arrays costs more than what small functions do,
and each way to make one is compiled, too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

__all__ = ["fused", "inner", "outer", "part"]

F = TypeVar("F", bound=Callable[..., Any])

_njit: Any = njit  # its stubs know not all of its options
_OPTIONS: dict[str, Any] = {"error_model": "numpy", "_nrt": False, "no_cfunc_wrapper": True}


def outer(function: F) -> F:
    """Compile what Python calls, at the first call, and keep it on disk.

    A division by zero gives inf or nan, as in numpy.
    """
    return cast(F, _njit(cache=True, **_OPTIONS)(function))


def inner(function: F) -> F:
    """Compile what compiled functions call from several places."""
    return cast(F, _njit(no_cpython_wrapper=True, **_OPTIONS)(function))


def fused(function: F) -> F:
    """Compile as `inner`, with products and sums in one rounding."""
    return cast(F, _njit(no_cpython_wrapper=True, fastmath={"contract"}, **_OPTIONS)(function))


def part(function: F) -> F:
    """Paste into compiled functions what each of them calls from one place."""
    return cast(F, _njit(inline="always", **_OPTIONS)(function))
