"""On which side of each condition a vertex lies, as bits.

A row of `signs` holds K words that say where the value is above, then K words that say where it is below; both
bits are clear on the boundary. Each of the k breakpoints has words of its own. Unit j of a word of 64 has bit
``j ^ 7``: in memory these are the bytes that `numpy.packbits` makes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.regions.kernels.jit import inner, outer, part

__all__ = ["largest", "lowest", "sign_rows", "sign_vertex"]

Floats = NDArray[np.float64]
Words = NDArray[np.uint64]


@outer
def largest(rows: Floats, stop: int, out: Floats) -> bool:
    """Raise `out` to the largest absolute values in the first `stop` rows; return whether all are finite."""
    odd = False
    for i in range(stop):
        for j in range(rows.shape[1]):
            a = abs(rows[i, j])
            odd |= not (a <= 1.7e308)
            out[j] = a if a > out[j] else out[j]
    return not odd


@inner
def lowest(word: np.uint64) -> int:
    """Return the place of the lowest bit that is set, of a word that is not zero."""
    place = 0
    for step in (32, 16, 8, 4, 2, 1):
        if not word & ((np.uint64(1) << np.uint64(step)) - np.uint64(1)):
            word >>= np.uint64(step)
            place += step
    return place


@part
def _every(units: int) -> np.uint64:
    """Return a word with the bits of `units` units set, at most 64."""
    rest = units % 8
    word = np.uint64(0) if units < 8 else ~np.uint64(0) >> np.uint64(64 - units + rest)
    if rest:
        word |= np.uint64((0xFF << (8 - rest)) & 0xFF) << np.uint64(units - rest)
    return word


@part
def _word(value: Floats, v: int, low: int, high: int, b: float, tol: Floats) -> tuple[np.uint64, np.uint64]:
    """Return the bits of units low..high - 1 at vertex v."""
    above, below = np.uint64(0), np.uint64(0)
    for j in range(high - low):
        h = value[v, low + j] - b
        bit = np.uint64(j ^ 7)
        above |= np.uint64(h > tol[low + j]) << bit
        below |= np.uint64(h < -tol[low + j]) << bit
    return above, below


@inner
def sign_vertex(value: Floats, v: int, breaks: Floats, tol: Floats, signs: Words) -> None:
    """Work out the signs of one vertex; a value on a breakpoint is set to it."""
    units = value.shape[1]
    width = (units + 63) // 64
    words = width * len(breaks)
    for p in range(len(breaks)):
        for k in range(width):
            low, high = 64 * k, min(64 * k + 64, units)
            above, below = _word(value, v, low, high, breaks[p], tol)
            at = p * width + k
            signs[v, at], signs[v, words + at] = above, below
            on = _every(high - low) & ~(above | below)
            while on:
                value[v, low + (lowest(on) ^ 7)] = breaks[p]
                on &= on - np.uint64(1)


@outer
def sign_rows(
    value: Floats, stop: int, breaks: Floats, relative: float, least: float, tol: Floats, signs: Words
) -> bool:
    """Work out the signs of the first `stop` vertices; return whether all values are finite.

    The tolerance of each unit is left in `tol`: `relative` times its largest value or breakpoint, at least `least`.
    """
    most = 0.0
    for p in range(len(breaks)):
        most = max(most, abs(breaks[p]))
    for j in range(len(tol)):
        tol[j] = most
    fine = largest(value, stop, tol)
    for j in range(len(tol)):
        tol[j] = max(relative * tol[j], least)
    for v in range(stop):
        sign_vertex(value, v, breaks, tol, signs)
    return fine
