"""Jumps too small for float64: those that must be zero as nothing depends on them, and exact ones of the others."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.convexity.jumps import Jumps
from splinegraph.analyses.convexity.paths import Paths
from splinegraph.analyses.lipschitz.deadlines import late
from splinegraph.analyses.regions.partition.coded import chunk_rows
from splinegraph.analyses.regions.partition.exact import exact_cells
from splinegraph.analyses.regions.partition.flips import flips
from splinegraph.analyses.regions.partition.partition import Partition
from splinegraph.core.operator import SplineOperator

__all__ = ["UNKNOWN", "Settling"]

Signs = NDArray[np.int8]

UNKNOWN = 2
"""In place of a sign."""


class Settling:
    """Finds the signs of jumps that rounding hides.

    Parameters
    ----------
    partition : Partition
    jumps : Jumps
    most : int
        Cells whose maps may be worked out in exact rationals.
    deadline : float, optional
        Of `time.monotonic`.
    """

    def __init__(self, partition: Partition, jumps: Jumps, most: int, deadline: float | None = None) -> None:
        self.partition, self.jumps, self.most, self.deadline = partition, jumps, most, deadline
        self._maps: dict[int, list[list[Fraction]]] = {}
        shapes = {n.name: [partition.graph[a].shape for a in n.args] for n in partition.graph.operators}
        ops = [(partition.graph[layer.name].op, shapes[layer.name]) for layer in partition.layers]
        self._plain = all(isinstance(op, SplineOperator) and op.switching(s) is not None for op, s in ops)

    def signs(self, output: int) -> Signs:
        """Return the sign of the jump of one output across each facet, -1, 0, 1 or `UNKNOWN`, shape (E,)."""
        value, slack = self.jumps.values[:, output], self.jumps.slack[:, output]
        found = np.where(np.abs(value) > slack, np.sign(value), UNKNOWN).astype(np.int8)
        if (found == -1).any() and (found == 1).any():  # both questions are answered
            return found
        doubts = np.flatnonzero(found == UNKNOWN)
        found[doubts[self._idle(doubts, output)]] = 0
        left = np.flatnonzero(found == UNKNOWN)
        self._work_out(np.unique(self.jumps.pairs[left]).tolist())
        for e in left.tolist():
            found[e] = self._exact(e, output)
        return found

    def _idle(self, facets: NDArray[np.int64], output: int) -> NDArray[np.bool_]:
        """Return where the cells differ in units only that the output does not depend on in the first of them.

        Their maps are then equal: a path to the output that passes such a unit holds a 0 behind the last one,
        where both cells have the same pieces.
        """
        idle = np.full(len(facets), self._plain)
        if not self._plain:
            return idle
        i, j = self.jumps.pairs[facets].T
        for rows in chunk_rows(self.partition.graph, 2, len(facets)):
            reached = Paths(self.partition, i[rows]).reaches(output)
            packed = self.partition.packed
            for layer, row, unit in flips(self.partition.layers, packed[i[rows]], packed[j[rows]]):
                if layer.name in reached:
                    idle[rows.start + row[reached[layer.name][row, unit]]] = False
        return idle

    def _exact(self, facet: int, output: int) -> int:
        """Return the sign of one jump in exact rationals, as the step between the cells' inner points has it."""
        i, j = (int(k) for k in self.jumps.pairs[facet])
        first, second = self._maps.get(i), self._maps.get(j)
        if first is None or second is None:
            return UNKNOWN
        step = zip(self.partition.points[i].tolist(), self.partition.points[j].tolist(), strict=True)
        along = (Fraction(b) - Fraction(a) for a, b in step)
        jump = sum((q - p) * v for p, q, v in zip(first[output], second[output], along, strict=True))
        return (jump > 0) - (jump < 0)

    def _work_out(self, cells: list[int]) -> None:
        """Work out the slopes of all outputs in some cells, as far as that is not too much."""
        cells = [i for i in cells if i not in self._maps][: max(self.most - len(self._maps), 0)]
        if not self._plain or late(self.deadline):
            return
        for i, cell in zip(cells, exact_cells(self.partition, cells), strict=True):
            self._maps[i] = cell.A
            if late(self.deadline):
                return
