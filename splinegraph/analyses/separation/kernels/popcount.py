"""On how many units two samples differ, for all pairs, from packed codes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

__all__ = ["differing_pairs"]

F = TypeVar("F", bound=Callable[..., Any])

_njit: Any = njit  # its stubs know not all of its options


def _fast(function: F) -> F:
    return cast(F, _njit(cache=True, error_model="numpy")(function))


def _intrinsic(function: Callable[..., Any]) -> Any:
    return intrinsic(function)  # called with the arguments after the first


@_intrinsic
def _ones(_typing: Any, _word: Any) -> Any:
    """Return how many bits of a word are set, by the processor's own instruction."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.uint64(types.uint64), generate


@_fast
def differing_pairs(words: np.ndarray, out: np.ndarray) -> None:
    """Write the number of units that differ to `out`, shape (N, N), int32.

    `words` of shape (N, planes, W), uint64; N is a multiple of 4. Four rows share what is read of a fifth.
    """
    n, planes, width = words.shape
    for i in range(0, n, 4):
        for j in range(i + 4):
            a, b, c, d = np.uint64(0), np.uint64(0), np.uint64(0), np.uint64(0)
            if planes == 1:  # apart, so that it becomes wide instructions
                for k in range(width):
                    x = words[j, 0, k]
                    a += _ones(words[i, 0, k] ^ x)
                    b += _ones(words[i + 1, 0, k] ^ x)
                    c += _ones(words[i + 2, 0, k] ^ x)
                    d += _ones(words[i + 3, 0, k] ^ x)
            else:
                for k in range(width):
                    p, q, r, s = np.uint64(0), np.uint64(0), np.uint64(0), np.uint64(0)
                    for plane in range(planes):
                        x = words[j, plane, k]
                        p |= words[i, plane, k] ^ x
                        q |= words[i + 1, plane, k] ^ x
                        r |= words[i + 2, plane, k] ^ x
                        s |= words[i + 3, plane, k] ^ x
                    a += _ones(p)
                    b += _ones(q)
                    c += _ones(r)
                    d += _ones(s)
            out[i, j] = a
            out[i + 1, j] = b
            out[i + 2, j] = c
            out[i + 3, j] = d
    for i in range(n):
        for j in range(i):
            out[j, i] = out[i, j]
