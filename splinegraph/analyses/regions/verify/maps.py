"""Checks of affine maps: the network is its cell's map, at the interior point and at a random one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.regions.cells import Floats
from splinegraph.analyses.regions.partition.maps import Maps, evaluate
from splinegraph.analyses.regions.partition.partition import Partition
from splinegraph.analyses.regions.tolerances import ON_BOUNDARY, allowance, blur
from splinegraph.analyses.regions.verify.inside import random_inside, some
from splinegraph.analyses.regions.verify.verification import Check

__all__ = ["agreement", "maps_inside"]

CLOSE = 1e-9
"""Two values of the network agree if they differ by less than this, relative to the largest value: rounding of
some layers, which they magnify. A unit on the wrong side by a millionth of the largest value shows. Far from the
origin, relative to how values vary, and `ON_BOUNDARY` times `blur`, where that is more."""


def agreement(partition: Partition, maps: Maps, values: Floats) -> tuple[float, float]:
    """Return the largest value that maps take, and by how much two values of the network may differ."""
    variation = float(np.abs(maps.A * partition.extent).max(initial=0.0))
    scale = max(float(np.abs(values).max(initial=0.0)), variation)
    share = max(CLOSE, ON_BOUNDARY * blur(partition.chart))
    return scale, allowance(partition.chart, share, scale, variation)


def maps_inside(partition: Partition, seed: int, *, full: bool) -> tuple[Check, Check]:
    """Check that the network equals the cells' maps at their interior points and at random points inside."""
    names = ("maps at interior points", "maps at random points of the cells")
    rows = some(partition, seed, full=full)
    if not len(rows):
        return Check.skipped(names[0], "no cells"), Check.skipped(names[1], "no cells")
    maps = partition.affine_maps(rows)
    at_points = _agree(partition, names[0], rows, maps, partition.points[rows])
    return at_points, _agree(partition, names[1], rows, maps, random_inside(partition, rows, seed))


def _agree(partition: Partition, name: str, rows: NDArray[np.int64], maps: Maps, points: Floats) -> Check:
    value = evaluate(partition.graph, partition.chart, points)
    gap = np.abs(value - maps(points)).max(axis=1, initial=0.0)
    scale, close = agreement(partition, maps, value)
    worst = float(gap.max(initial=0.0)) / scale if scale else 0.0
    wrong = ~(gap <= close)  # NaN is wrong
    detail = f"{len(rows)} of {len(partition)} cells, largest difference {worst:.1e}"
    if wrong.any():
        detail += f", {int(wrong.sum())} cells differ; the first is cell {rows[wrong][0]}"
    figures = {"cells": len(rows), "wrong": int(wrong.sum()), "largest_difference": worst}
    return Check.of(name, not wrong.any(), detail, **figures).at(rows[wrong])
