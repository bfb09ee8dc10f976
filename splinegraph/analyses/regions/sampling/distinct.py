"""How many distinct keys there are, and how many were seen once and twice."""

from __future__ import annotations

import abc

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Distinct", "Sorted", "Table", "distinct"]

FULL = 0.6
"""Share of a table's slots in use beyond which it is doubled."""

PENDING = 2**20
"""Keys that are gathered before they are sorted into the others."""


class Distinct(abc.ABC):
    """A multiset of 128-bit keys, in memory proportional to the number of distinct ones."""

    @abc.abstractmethod
    def add(self, keys: Tensor) -> Tensor:
        """Count keys of shape (N, 2), int64; return which may not have been there before, bool of shape (N,)."""

    @abc.abstractmethod
    def counts(self) -> tuple[Tensor, NDArray[np.int64]]:
        """Return the distinct keys in any order, shape (K, 2), and how often each was seen."""


class Table(Distinct):
    """An open hash table, on CPU: 24 bytes a slot."""

    def __init__(self) -> None:
        self._table, self._used = np.zeros((2**12, 3), dtype=np.int64), 0

    def add(self, keys: Tensor) -> Tensor:
        from splinegraph.analyses.regions.sampling.kernels import table

        rows, start = keys.numpy(), 0
        fresh = np.zeros(len(rows), dtype=np.bool_)
        while True:
            most = int(FULL * len(self._table))
            start, self._used = table.count(self._table, rows, fresh, start, self._used, most)
            if start == len(rows):
                return torch.from_numpy(fresh)
            larger = np.zeros((2 * len(self._table), 3), dtype=np.int64)
            table.rehash(self._table, larger)
            self._table = larger

    def counts(self) -> tuple[Tensor, NDArray[np.int64]]:
        found = self._table[self._table[:, 2] > 0]
        return torch.from_numpy(found[:, :2].copy()), found[:, 2]


class Sorted(Distinct):
    """Sorted keys with counts, in torch, on any device."""

    def __init__(self, device: torch.device) -> None:
        self._keys = torch.zeros(0, 2, dtype=torch.int64, device=device)
        self._counts = torch.zeros(0, dtype=torch.int64, device=device)
        self._pending: list[Tensor] = []

    def add(self, keys: Tensor) -> Tensor:
        fresh = self._fresh(keys[:, 0])
        self._pending.append(keys)
        if sum(map(len, self._pending)) > max(PENDING, len(self._keys) // 2):
            self._merge()
        return fresh

    def _fresh(self, first: Tensor) -> Tensor:
        """Return which halves of keys are the first of their kind: 64 bits are enough to tell, nearly always."""
        by_half = first.argsort(stable=True)
        new = torch.ones_like(first, dtype=torch.bool)
        new[1:] = first[by_half][1:] != first[by_half][:-1]
        fresh = torch.empty_like(new)
        fresh[by_half] = new
        for known in (self._keys[:, 0], *(held[:, 0] for held in self._pending)):
            fresh &= ~torch.isin(first, known)
        return fresh

    def _merge(self) -> None:
        fresh = torch.cat(self._pending) if self._pending else self._keys[:0]
        keys = torch.cat([self._keys, fresh])
        counts = torch.cat([self._counts, torch.ones_like(fresh[:, 0])])
        self._pending.clear()
        by_second = keys[:, 1].argsort(stable=True)
        order = by_second[keys[by_second, 0].argsort(stable=True)]
        keys, counts = keys[order], counts[order]
        first = torch.ones(len(keys), dtype=torch.bool, device=keys.device)
        first[1:] = (keys[1:] != keys[:-1]).any(1)
        group = first.cumsum(0) - 1
        self._keys = keys[first]
        self._counts = torch.zeros_like(self._keys[:, 0]).index_add_(0, group, counts)

    def counts(self) -> tuple[Tensor, NDArray[np.int64]]:
        self._merge()
        return self._keys.cpu(), self._counts.cpu().numpy()


def distinct(device: torch.device) -> Distinct:
    """Return an empty multiset for keys on a device."""
    return Table() if device.type == "cpu" else Sorted(device)
