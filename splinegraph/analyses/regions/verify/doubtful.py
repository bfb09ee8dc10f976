"""Very thin cells, checked in exact arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from splinegraph.analyses.regions.partition.exact import exact_cells
from splinegraph.analyses.regions.tolerances import DOUBTFUL, THIN
from splinegraph.analyses.regions.verify.verification import Check

if TYPE_CHECKING:
    from splinegraph.analyses.regions.partition.partition import Partition

__all__ = ["thin_cells"]

MOST = 200
"""Cells checked exactly: some tenths of a second each."""


def thin_cells(partition: Partition) -> Check:
    """Check that cells whose radius is within `DOUBTFUL` tolerances have an interior, over the rationals."""
    name = "thin cells exactly"
    limit = DOUBTFUL * THIN * float(partition.extent.max(initial=0.0))
    thin = np.flatnonzero(partition.radii <= limit)
    if not len(thin):
        return Check.of(name, True, f"no cell is thinner than {limit:.1e}", thin=0)
    from splinegraph.analyses.regions.geometry.exact import exact_feasible

    looked, empty = thin[:MOST], []
    for i, cell in zip(looked.tolist(), exact_cells(partition, looked.tolist()), strict=True):
        if cell.empty or not exact_feasible(cell.G, cell.h):
            empty.append(i)
    detail = f"{len(looked)} of {len(thin)} cells thinner than {limit:.1e}"
    if empty:
        detail += f", {len(empty)} without interior; the first is cell {empty[0]}"
    return Check.of(name, not empty, detail, thin=len(thin), looked_at=len(looked), empty=len(empty))
