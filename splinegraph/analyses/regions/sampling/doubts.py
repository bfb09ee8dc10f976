"""Patterns that rounding may have made: seen at no point where every unit is decided."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from splinegraph.analyses.regions.sampling.undecided import undecided
from splinegraph.core.graph import SplineGraph

__all__ = ["Doubts"]

Ints = NDArray[np.int64]

TOGETHER = 2**12
"""Points that are looked at together."""


class Doubts:
    """The doubted keys among those of a sample.

    Parameters
    ----------
    graph : SplineGraph
    """

    def __init__(self, graph: SplineGraph) -> None:
        self._graph = graph
        self._doubted: set[tuple[int, int]] = set()
        self._waiting: list[tuple[Tensor, list[Tensor]]] = []

    def add(self, keys: Tensor, inputs: Sequence[Tensor], fresh: Tensor) -> None:
        """Take points of a batch: those with new keys, and those with doubted ones, are looked at, some at a time."""
        rows = fresh.nonzero()[:, 0]
        if self._doubted:
            again = torch.from_numpy(self._among(keys.cpu().numpy())).to(fresh.device)
            rows = (fresh | again).nonzero()[:, 0]
        if len(rows):
            self._waiting.append((keys[rows].cpu(), [x[rows] for x in inputs]))
            if not self._graph.batched or sum(len(held) for held, _ in self._waiting) >= TOGETHER:
                self._look()

    def without(self, keys: Tensor, counts: Ints) -> tuple[Ints, int]:
        """Return the counts of keys that are not doubted, and how many distinct ones are."""
        self._look()
        keep = ~self._among(keys.numpy())
        return counts[keep], int((~keep).sum())

    def _among(self, keys: Ints) -> NDArray[np.bool_]:
        """Return which keys are doubted."""
        if not self._doubted:
            return np.zeros(len(keys), dtype=bool)
        found = np.isin(keys[:, 0], [first for first, _ in self._doubted])
        for row in np.flatnonzero(found):
            found[row] = (int(keys[row, 0]), int(keys[row, 1])) in self._doubted
        return found

    def _look(self) -> None:
        if not self._waiting:
            return
        keys = torch.cat([held for held, _ in self._waiting]).tolist()
        inputs = [torch.cat(parts) for parts in zip(*(xs for _, xs in self._waiting), strict=True)]
        self._waiting.clear()
        near = undecided(self._graph, inputs).tolist()
        self._doubted.update((a, b) for (a, b), doubtful in zip(keys, near, strict=True) if doubtful)
        self._doubted.difference_update((a, b) for (a, b), doubtful in zip(keys, near, strict=True) if not doubtful)
