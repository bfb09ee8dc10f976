"""Tables that grow with the number of different entries and not with how often they occur."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.activation.keys import Keys

__all__ = ["Floats", "Ints", "PairTable", "Table"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

T = TypeVar("T", bound=np.generic)

_NONE = np.zeros(0, dtype=np.int64)


def _summed(
    ids: Ints, size: int, before: Ints, weights: Floats | None, mass: Floats | None
) -> tuple[Ints, Floats | None]:
    """Return counts and masses with new entries added."""
    counts: Ints = np.bincount(ids, minlength=size).astype(np.int64)
    counts[: len(before)] += before
    if weights is None:
        return counts, None
    total: Floats = np.bincount(ids, weights=weights, minlength=size).astype(np.float64)
    if mass is not None:
        total[: len(mass)] += mass
    return counts, total


@dataclass(frozen=True, eq=False)
class Table:
    """Different keys, numbered in the order in which they came up.

    Parameters
    ----------
    keys : array of uint64, shape (V, 2)
    counts : array of int64, shape (V,)
    first : array of int64, shape (V,)
        Index of the first sample with each.
    mass : array of float64, shape (V,), or None
        Sum of the weights, if there are weights.
    """

    keys: Keys
    counts: Ints
    first: Ints
    mass: Floats | None = None

    @classmethod
    def empty(cls) -> Table:
        """Return a table without entries."""
        return cls(np.zeros((0, 2), dtype=np.uint64), _NONE, _NONE)

    def __len__(self) -> int:
        return len(self.keys)

    def joined(self, keys: Keys, start: int, weights: Floats | None = None) -> tuple[Table, Ints]:
        """Return the table with more keys, of samples from `start` on, and the number of each. One sort."""
        known = len(self)
        both = np.concatenate([self.keys, keys])
        order = np.lexsort((both[:, 1], both[:, 0]))  # stable: those known, then the earliest, lead their run
        ordered = both[order]
        leads = np.ones(len(both), dtype=bool)
        leads[1:] = (ordered[1:] != ordered[:-1]).any(1)
        leader = np.empty(len(both), dtype=np.int64)
        leader[order] = order[leads][np.cumsum(leads) - 1]
        new = np.unique(leader[leader >= known])
        ids = leader[known:]
        ids = np.where(ids < known, ids, known + np.searchsorted(new, ids))
        size = known + len(new)
        counts, mass = _summed(ids, size, self.counts, weights, self.mass)
        first = np.concatenate([self.first, new - known + start])
        return Table(np.concatenate([self.keys, both[new]]), counts, first, mass), ids

    def find(self, keys: Keys) -> Ints:
        """Return the number of each key, -1 where it is not known; one sort at the first call."""
        upper, lower, places, order = self._index
        (high, known_high), (low, known_low) = _placed(upper, keys[:, 0]), _placed(lower, keys[:, 1])
        found, known = _placed(places, high * len(lower) + low)
        return np.where(known & known_high & known_low, order[found], -1)

    @functools.cached_property
    def _index(self) -> tuple[Keys, Keys, Ints, Ints]:
        """The halves of keys, ascending; the keys as places of both in one number, ascending; which keys these are.

        Half a key may be that of many: short codes are their own keys.
        """
        upper, high = np.unique(self.keys[:, 0], return_inverse=True)
        lower, low = np.unique(self.keys[:, 1], return_inverse=True)
        places = high * len(lower) + low
        order = np.argsort(places)
        return upper, lower, places[order], order


def _placed(known: NDArray[T], wanted: NDArray[T]) -> tuple[Ints, NDArray[np.bool_]]:
    """Return the place of each value in a sorted array that is not empty, and whether it is there."""
    at = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return at, known[at] == wanted


@dataclass(frozen=True, eq=False)
class PairTable:
    """Different pairs of numbers below 2^31, in ascending order.

    Parameters
    ----------
    pairs : array of int64, shape (E,)
        The first number times 2^32, and the second.
    counts : array of int64, shape (E,)
    mass : array of float64, shape (E,), or None
    """

    pairs: Ints
    counts: Ints
    mass: Floats | None = None

    @classmethod
    def empty(cls) -> PairTable:
        """Return a table without entries."""
        return cls(_NONE, _NONE)

    @property
    def ends(self) -> tuple[Ints, Ints]:
        """The first and the second numbers."""
        return self.pairs >> 32, self.pairs & (2**32 - 1)

    def joined(self, first: Ints, second: Ints, weights: Floats | None = None) -> PairTable:
        """Return the table with more pairs. One sort."""
        both = np.concatenate([self.pairs, (first << 32) | second])
        pairs, ids = np.unique(both, return_inverse=True)
        known, size = len(self.pairs), len(pairs)
        before, mass = np.zeros(size, dtype=np.int64), None
        before[ids[:known]] = self.counts
        if self.mass is not None:
            mass = np.zeros(size)
            mass[ids[:known]] = self.mass
        return PairTable(pairs, *_summed(ids[known:], size, before, weights, mass))
