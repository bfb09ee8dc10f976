"""The functionals of all units as a matrix whose zeros are skipped, block by block."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.lipschitz.units import Units

__all__ = ["Forms"]

Floats = NDArray[np.float64]

SPARSE = 0.03
"""Share of nonzero entries of a block below which sparse products are faster."""

LARGE = 2**14
"""Entries from which that is looked at."""


class Forms:
    """F of shape (N, n), `Units.forms`, with products that touch only the rows that a block of units looks at.

    Parameters
    ----------
    units : Units
    """

    def __init__(self, units: Units) -> None:
        self.shape = units.forms.shape
        self.parts = [
            _part(units.forms[:, block.start : block.stop], slice(block.start, block.stop)) for block in units.blocks
        ]

    def seen(self, X: Floats) -> Floats:
        """Return F' X for X of shape (N, k)."""
        out = np.empty((self.shape[1], X.shape[1]))
        for columns, rows, W in self.parts:
            out[columns] = W.T @ X[rows]
        return out

    def symmetric(self, Y: Floats) -> Floats:
        """Return F' X F from Y = F' X with a symmetric X: blocks on and below the diagonal, the others mirrored."""
        out = np.empty((self.shape[1], self.shape[1]))
        for columns, rows, W in self.parts:
            out[columns, : columns.stop] = W.T @ Y[: columns.stop, rows].T
            out[: columns.start, columns] = out[columns, : columns.start].T
        return out

    def add_weighted(self, M: Floats, weights: Floats) -> None:
        """Add F diag(weights) F' to M."""
        for columns, rows, W in self.parts:
            if weights[columns].any():
                part = (W * weights[None, columns]) @ W.T
                at = (rows, rows) if isinstance(rows, slice) else np.ix_(rows, rows)
                M[at] += part if isinstance(part, np.ndarray) else part.toarray()


def _part(columns: Floats, place: slice) -> tuple[slice, slice | NDArray[np.intp], Any]:
    """Return where a block is, the rows that it looks at, and its entries there, dense or sparse."""
    used = np.flatnonzero(columns.any(axis=1))
    rows: slice | NDArray[np.intp] = used
    if len(used) == 0 or used[-1] - used[0] + 1 <= 1.1 * len(used):
        rows = slice(int(used[0]), int(used[-1]) + 1) if len(used) else slice(0, 0)
    W = np.ascontiguousarray(columns[rows])
    if W.size < LARGE or np.count_nonzero(W) > SPARSE * W.size:
        return place, rows, W
    from scipy import sparse

    return place, rows, sparse.csr_array(W)
