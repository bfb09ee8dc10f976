"""A 128-bit key for each packed code, so that cells are told apart without keeping their codes."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.packing import Bytes

__all__ = ["EXACT", "Keys", "row_keys"]

Keys = NDArray[np.uint64]
"""Shape (B, 2): the halves of a key."""

EXACT = 16
"""Bytes up to which a packed code is its own key."""

ENTRIES = 2**22
"""Words that are multiplied at a time: 32 MiB."""


def row_keys(packed: Bytes) -> Keys:
    """Return a key for each row, shape (B, 2); rows of one width alone can be compared.

    Parameters
    ----------
    packed : array of uint8, shape (B, bytes)

    Notes
    -----
    Up to 128 bits the key is the row. A longer row s of 32-bit words gives, four times with its own random m,
    the upper half of ``m[0] + m[1] s[0] + m[2] s[1] + ...`` modulo 2^64. Whatever two different rows are, they
    have the same key with probability at most 2^-128 over the draw of m (strong universality [1]_), so among n
    different rows some two do with probability below n^2 / 2^129: 10^-29 for a million. m is drawn once, with a
    fixed seed, and does not depend on the data. Eight multiplications for eight bytes.

    References
    ----------
    .. [1] M. Thorup, "High Speed Hashing for Integers and Strings", arXiv:1504.06804, 2015, section 4.
    """
    rows, width = packed.shape
    if width <= EXACT:
        padded = np.zeros((rows, EXACT), dtype=np.uint8)
        padded[:, :width] = packed
        return padded.view("<u8").astype(np.uint64)
    words = np.zeros((rows, -(-width // 4) * 4), dtype=np.uint8)
    words[:, :width] = packed
    numbers = words.view("<u4")
    added, factors = _random(numbers.shape[1])
    step = max(1, ENTRIES // numbers.shape[1])
    halves = np.empty((rows, 4), dtype=np.uint64)
    for start in range(0, rows, step):
        part = numbers[start : start + step].astype(np.uint64)
        for place in range(4):  # sums are modulo 2^64, which is meant
            halves[start : start + step, place] = (part @ factors[place] + added[place]) >> np.uint64(32)
    return halves[:, ::2] << np.uint64(32) | halves[:, 1::2]


@functools.lru_cache(maxsize=64)
def _random(words: int) -> tuple[Keys, Keys]:
    rng = np.random.default_rng([20170, words])
    drawn = rng.integers(0, 2**64, size=(4, words + 1), dtype=np.uint64)
    return drawn[:, 0], np.ascontiguousarray(drawn[:, 1:])
