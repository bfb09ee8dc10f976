"""Counting, part by part, the cells that samples visit, the steps between them and the classes in them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.activation.keys import Keys
from splinegraph.analyses.activation.tables import Floats, Ints, PairTable, Table

__all__ = ["Tally"]

T = TypeVar("T", bound=np.generic)

PENDING = 2**14
"""Samples that are held before they are sorted in; more where there are more cells, so that sorting stays cheap."""


@dataclass(frozen=True, eq=False)
class _Waiting:
    keys: tuple[Keys, ...]
    labels: Ints | None
    weights: Floats | None


@dataclass(frozen=True, eq=False)
class Tally:
    """What the samples so far visited; a value: `added` returns another one.

    Parameters
    ----------
    cells : tuple of Table
        Of each layer.
    steps : tuple of PairTable
        From each layer's cells to those of the next.
    members : tuple of PairTable
        Cells and places in `classes`, of each layer; nothing without labels.
    classes : array of int64
        The labels, in the order in which they came up.
    samples : int
    waiting : tuple
        Parts that are not sorted in yet.

    Notes
    -----
    Memory: 40 bytes a cell, 16 an edge, 16 a pair of a cell and a class, and a third of that for what waits.
    Sorting n samples with V cells takes O(n log(n) / V) of V entries, so O(n log n) in all.
    """

    cells: tuple[Table, ...] = ()
    steps: tuple[PairTable, ...] = ()
    members: tuple[PairTable, ...] = ()
    classes: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    samples: int = 0
    waiting: tuple[_Waiting, ...] = ()

    def added(self, keys: Sequence[Keys], labels: Ints | None, weights: Floats | None = None) -> Tally:
        """Return the counts with the next samples: their keys (B, 2) for each layer."""
        tally = dataclasses.replace(self, waiting=(*self.waiting, _Waiting(tuple(keys), labels, weights)))
        held = sum(len(part.keys[0]) for part in tally.waiting)
        most = max((len(table) for table in self.cells), default=0)
        return tally.settled() if held >= max(PENDING, most // 2) else tally

    def settled(self) -> Tally:
        """Return the same counts with nothing waiting."""
        if not self.waiting:
            return self
        parts = self.waiting
        count = sum(len(part.keys[0]) for part in parts)
        weights = _joined([part.weights for part in parts])
        labels = _joined([part.labels for part in parts])
        classes, places = self.classes, None
        if labels is not None:
            classes, places = _known(self.classes, labels)
        cells, ids = [], []
        for layer in range(len(parts[0].keys)):
            before = self.cells[layer] if self.cells else Table.empty()
            keys = np.concatenate([part.keys[layer] for part in parts])
            table, found = before.joined(keys, self.samples, weights)
            cells.append(table)
            ids.append(found)
        steps = tuple(
            (self.steps[i] if self.steps else PairTable.empty()).joined(ids[i], ids[i + 1], weights)
            for i in range(len(ids) - 1)
        )
        members = () if places is None else tuple(
            (self.members[i] if self.members else PairTable.empty()).joined(found, places, weights)
            for i, found in enumerate(ids)
        )  # fmt: skip
        return Tally(tuple(cells), steps, members, classes, self.samples + count)


def _joined(parts: Sequence[NDArray[T] | None]) -> NDArray[T] | None:
    found = [part for part in parts if part is not None]
    return np.concatenate(found) if found else None


def _known(classes: Ints, labels: Ints) -> tuple[Ints, Ints]:
    """Return the classes with those that are new, and the place of each label among them."""
    distinct, inverse = np.unique(labels, return_inverse=True)
    classes = np.concatenate([classes, np.setdiff1d(distinct, classes)])
    order = np.argsort(classes)
    return classes, order[np.searchsorted(classes[order], distinct)][inverse]
