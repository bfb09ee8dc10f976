"""Checks of codes: each once, and each the code at its cell's interior point."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from splinegraph.analyses.codes import codes
from splinegraph.analyses.regions.cells import Floats
from splinegraph.analyses.regions.geometry.hrep import size_of
from splinegraph.analyses.regions.partition.coded import Seen, chunk_rows, push
from splinegraph.analyses.regions.partition.partition import Partition
from splinegraph.analyses.regions.tolerances import ON_BOUNDARY, ROUNDING, allowance, blur, reach_of
from splinegraph.analyses.regions.verify.inside import random_inside, some
from splinegraph.analyses.regions.verify.slacks import slacks
from splinegraph.analyses.regions.verify.verification import Check
from splinegraph.core.operator import SplineOperator

__all__ = ["WIDE", "points_inside", "same_codes", "same_codes_around", "unique_codes", "violations", "wide_enough"]

WIDE = "cells wider than rounding"
"""Name of the check that no algorithm mends: cells that fail it are at the limit of the arithmetic."""

BYTES = 2**26
"""Of codes that are compared at a time."""


def unique_codes(partition: Partition) -> Check:
    """Check that no two cells have the same code."""
    name, twice = "codes unique", partition.index.duplicates
    if not len(partition):
        return Check.skipped(name, "no cells")
    detail = f"{len(partition)} codes"
    if twice:
        detail += f", {len(twice)} of them again; the first is cell {twice[0]}"
    both = {*twice, *partition.index.find(partition.packed[twice]).tolist()}
    return Check.of(name, not twice, detail, codes=len(partition), duplicates=len(twice)).at(both)


def points_inside(partition: Partition) -> Check:
    """Check that interior points and corners are finite, points in the domain, and radii positive where known."""
    name = "points in the domain"
    if not len(partition):
        return Check.skipped(name, "no cells")
    slack = ON_BOUNDARY * size_of(partition.chart)
    outside = ~partition.chart.contains(torch.from_numpy(partition.points), slack=slack).numpy()
    bad = outside | ~np.isfinite(partition.points).all(axis=1) | (partition.radii <= 0)
    if partition.mesh is not None:
        faces = np.repeat(np.arange(len(partition)), np.diff(partition.mesh.offsets))
        bad[faces[~np.isfinite(partition.mesh.vertices[partition.mesh.corners]).all(axis=1)]] = True
    detail = f"{int(bad.sum())} interior points out of place" if bad.any() else "all interior points in the domain"
    return Check.of(name, not bad.any(), detail, out_of_place=int(bad.sum())).at(np.flatnonzero(bad))


def wide_enough(partition: Partition) -> Check:
    """Check that no cell is so thin that rounding of its inputs, far from the origin, may have made it.

    It names no cells: to find these again would drop some, not tell which of them there are.
    """
    if not len(partition) or not partition.dim:
        return Check.skipped(WIDE, "no cells with an interior")
    least = ROUNDING * reach_of(partition.chart)
    thin = int((partition.radii <= least).sum())
    detail = f"{thin} of {len(partition)} cells are thinner than {least:.1e}"
    return Check.of(WIDE, not thin, detail, thin=thin, least=least)


def same_codes(partition: Partition) -> Check:
    """Check that the network's code at each interior point is the cell's.

    Units that the cell's code puts on the other side of a boundary on which they are, up to `ON_BOUNDARY`
    relative to the values at their node, are excepted and counted.
    """
    return _same(partition, "codes at interior points", np.arange(len(partition)), partition.points)


def same_codes_around(partition: Partition, seed: int, *, full: bool) -> Check:
    """Check that the network's code at a random point of each cell, or of some, is the cell's."""
    rows = some(partition, seed, full=full)
    return _same(partition, "codes at random points of the cells", rows, random_inside(partition, rows, seed))


def _same(partition: Partition, name: str, rows: NDArray[np.int64], points: Floats) -> Check:
    if not len(rows):
        return Check.skipped(name, "no cells")
    parts = _parts(partition, rows)
    other = np.concatenate([part.start + _other(partition, rows[part], points[part]) for part in parts])
    wrong, tied = violations(partition, rows[other], points[other]) if len(other) else (np.zeros(0, bool), 0)
    detail = f"{len(rows)} of {len(partition)} cells"
    if tied:
        detail += f", {tied} units tied within rounding"
    about = rows[other[wrong]] if wrong.any() else np.zeros(0, dtype=np.int64)
    if len(about):
        detail += f", {len(about)} with another code; the first is cell {about[0]}"
    figures = {"cells": len(rows), "wrong": len(about), "tied_units": tied}
    return Check.of(name, not len(about), detail, **figures).at(about)


def _parts(partition: Partition, rows: NDArray[np.int64]) -> Iterator[slice]:
    """Yield slices of the rows, some at a time: the codes of wide networks are large."""
    step = max(1, BYTES // max(partition.packed.shape[1], 1))
    for start in range(0, len(rows), step):
        yield slice(start, start + step)


def _other(partition: Partition, rows: NDArray[np.int64], points: Floats) -> NDArray[np.int64]:
    """Return at which points the network has another code than the cells."""
    found = codes(partition.graph, *partition.chart.lift(torch.from_numpy(points))).packed
    return np.flatnonzero((found != partition.packed[rows]).any(axis=1))


def violations(partition: Partition, rows: NDArray[np.int64], points: Floats) -> tuple[NDArray[np.bool_], int]:
    """Return which cells' codes do not hold at points of theirs, and how many units are on a boundary within rounding.

    Values are those of the pieces that the code names, so that each node is judged by itself.
    """
    wrong, tied = np.zeros(len(rows), dtype=bool), 0
    graph, chart = partition.graph, partition.chart
    share, sides = ON_BOUNDARY * blur(chart), torch.from_numpy(partition.extent)

    for part in chunk_rows(graph, partition.dim + 1, len(rows)):
        mine = rows[part]

        def look(seen: Seen, part: slice = part) -> None:
            nonlocal tied
            op = seen.node.op
            assert isinstance(op, SplineOperator)
            code = seen.node.rows(seen.code).numpy().astype(np.int64)
            own = seen.node.rows(op.code(*seen.values)).numpy().astype(np.int64)
            if (differ := code != own).any():
                switching = op.switching([graph[name].shape for name in seen.node.args])
                values = [graph[n].rows(x).numpy() for n, x in zip(seen.node.args, seen.values, strict=True)]
                if switching is None:
                    wrong[part] |= differ.any(axis=1)
                    return
                largest = max(float(np.abs(v).max(initial=0.0)) for v in values)
                variation = max(float(torch.tensordot(sides, v.abs(), 1).max()) for v in seen.tangents)
                close = allowance(chart, share, largest, variation)
                outside = differ & ~(slacks(switching, values, code) >= -close)  # NaN is outside
                wrong[part] |= outside.any(axis=1)
                tied += int((differ & ~outside).sum())

        push(graph, chart, partition.layers, partition.packed[mine], points[part], look)
    return wrong, tied
