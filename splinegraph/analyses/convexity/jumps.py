"""By how much the slope of each output jumps across each facet of a partition, with the rounding of that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from splinegraph.analyses.convexity.paths import Paths
from splinegraph.analyses.regions.cells import Floats
from splinegraph.analyses.regions.partition.coded import chunk_rows
from splinegraph.analyses.regions.partition.partition import Partition
from splinegraph.analyses.regions.tolerances import ON_BOUNDARY, blur

__all__ = ["ROUNDING", "Jumps", "jumps_of"]

ROUNDING = 1e-11
"""Of a slope, relative to the sum of the absolute values of all paths that it is a sum of: some ten thousand
rounding errors, more than the operators of a network that can be enumerated have entries in a row."""

PARALLEL = 1e-6
"""A jump of the slope, of a continuous network, is parallel to the facet's normal up to this, relative to paths."""

ENTRIES = 2**23
"""Entries of differences of maps made at a time."""


@dataclass(frozen=True, eq=False)
class Jumps:
    """The jump of the slope at each facet, from the first cell of a pair to the second, along the unit normal.

    Parameters
    ----------
    pairs : array of int64, shape (E, 2)
        Cells that share a facet.
    points : array of float64, shape (E, D)
        A point of each facet, in the chart's coordinates.
    values : array of float64, shape (E, out)
        (a_j - a_i) n with n from i to j: negative where the output bends down.
    slack : array of float64, shape (E, out)
        What rounding can make of 0.
    astray : array of bool, shape (E, out)
        Where the maps do not agree on the facet, as those of a continuous network do.
    """

    pairs: NDArray[np.int64]
    points: Floats
    values: Floats
    slack: Floats
    astray: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.pairs)


def jumps_of(partition: Partition) -> Jumps:
    """Return the jumps of all outputs across all facets that are known.

    Notes
    -----
    The difference d of the maps of two neighbors is c n, n the facet's normal, so that c is the length of d, with
    the sign of d along the step from the one cell's inner point to the other's: the facet's plane lies between
    them. No normal is needed for the value, but d is compared with it where it is known: the maps must agree at
    the facet's point, and d be parallel to the normal.
    """
    adjacency, maps, paths = partition.adjacency, partition.affine_maps(), _paths(partition)
    extent = float(partition.extent.max(initial=0.0)) * blur(partition.chart)
    E, out = len(adjacency), maps.b.shape[1]
    values, slack, astray = np.zeros((E, out)), np.zeros((E, out)), np.zeros((E, out), dtype=bool)
    for rows in _chunks(E, out * max(partition.dim, 1)):
        i, j = adjacency.pairs[rows].T
        d = maps.A[j] - maps.A[i]
        along = np.einsum("eod,ed->eo", d, partition.points[j] - partition.points[i])
        size = np.linalg.norm(d, axis=2)
        values[rows] = np.where(along < 0, -size, size)
        around = np.maximum(paths[i], paths[j])
        slack[rows] = ROUNDING * around
        blurred = _blurred(adjacency.sizes[rows], extent)[:, None] * around
        gap = np.einsum("eod,ed->eo", d, adjacency.points[rows]) + maps.b[j] - maps.b[i]
        offset = np.maximum(np.abs(maps.b[i]), np.abs(maps.b[j]))
        reach = float(np.abs(adjacency.points[rows]).max(initial=0.0)) + extent
        astray[rows] = ~(np.abs(gap) <= PARALLEL * (offset + reach * around))
        astray[rows] |= ~(_off(d, adjacency.normals[rows], partition.dim) <= PARALLEL * around + blurred)
    return Jumps(adjacency.pairs, adjacency.points, values, slack, astray)


def _off(d: Floats, normals: Floats, dim: int) -> Floats:
    """Return the length of what is not along the normal."""
    if dim < 2:
        return np.zeros(d.shape[:2])
    along = np.einsum("eod,ed->eo", d, normals)
    return np.asarray(np.linalg.norm(d - along[..., None] * normals[:, None], axis=2))


def _blurred(lengths: Floats, extent: float) -> Floats:
    """Return the error of normals that were taken from the ends of a short side."""
    return np.where(np.isnan(lengths), 0.0, ON_BOUNDARY * extent / np.maximum(lengths, np.finfo(np.float64).tiny))


def _chunks(count: int, width: int) -> Iterator[slice]:
    step = max(1, ENTRIES // max(width, 1))
    for start in range(0, count, step):
        yield slice(start, min(start + step, count))


def _paths(partition: Partition) -> Floats:
    """Return the length of the rows of all cells' maps, were all weights and slopes positive, shape (N, out)."""
    found = np.zeros((len(partition), partition.affine_maps().b.shape[1]))
    for rows in chunk_rows(partition.graph, partition.dim + 1, len(partition)):
        outputs = Paths(partition, np.arange(len(partition))[rows]).outputs
        flat = [v[..., None].flatten(2).norm(dim=0) for v in outputs]
        found[rows] = torch.cat(flat, dim=1).numpy()
    return found
