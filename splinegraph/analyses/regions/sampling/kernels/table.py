"""A hash table of 128-bit keys that counts how often each was seen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.regions.sampling.kernels.signs import jit

__all__ = ["count", "rehash"]

Ints = NDArray[np.int64]


@jit
def _place(table: Ints, low: int, high: int) -> int:
    """Return the slot of a key, or the empty one where it belongs; rows are (key, key, count)."""
    mask = len(table) - 1
    slot = low & mask
    while table[slot, 2] and (table[slot, 0] != low or table[slot, 1] != high):
        slot = (slot + 1) & mask
    return slot


@jit
def count(table: Ints, keys: Ints, fresh: NDArray[np.bool_], start: int, used: int, most: int) -> tuple[int, int]:
    """Count keys from `start` on until `most` slots are used; return where it stopped, and the slots used.

    `fresh` is set where a key was not there before.
    """
    for i in range(start, len(keys)):
        slot = _place(table, keys[i, 0], keys[i, 1])
        if not table[slot, 2]:
            if used == most:
                return i, used
            used += 1
            fresh[i] = True
            table[slot, 0] = keys[i, 0]
            table[slot, 1] = keys[i, 1]
        table[slot, 2] += 1
    return len(keys), used


@jit
def rehash(old: Ints, new: Ints) -> None:
    """Move all entries to a larger, empty table."""
    for i in range(len(old)):
        if old[i, 2]:
            slot = _place(new, old[i, 0], old[i, 1])
            new[slot, 0] = old[i, 0]
            new[slot, 1] = old[i, 1]
            new[slot, 2] = old[i, 2]
