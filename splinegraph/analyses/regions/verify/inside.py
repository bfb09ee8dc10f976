"""Which cells to look at, and random points of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.batches import widest
from splinegraph.analyses.regions.cells import Floats
from splinegraph.analyses.regions.partition.partition import Partition

__all__ = ["random_inside", "some"]

SOME = 1024
"""Cells looked at where not all are."""

ENTRIES = 2**24
"""Entries of the widest value at all these cells together: fewer cells are looked at of large networks."""


def some(partition: Partition, seed: int, *, full: bool) -> NDArray[np.int64]:
    """Return the cells to look at: all, or a random choice of `SOME`, at least 64."""
    count, most = len(partition), max(64, min(SOME, ENTRIES // widest(partition.graph)))
    if full or count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, most, replace=False))


def random_inside(partition: Partition, rows: NDArray[np.int64], seed: int) -> Floats:
    """Return a random point of each cell: of its face, or of the ball around its interior point."""
    random = np.random.default_rng(seed)
    points = partition.points[rows]
    if partition.mesh is not None:
        return _in_faces(partition, rows, random)
    steps = random.standard_normal(points.shape)
    steps /= np.maximum(np.linalg.norm(steps, axis=1, keepdims=True), np.finfo(float).tiny)
    share = random.random(len(rows)) ** (1 / max(partition.dim, 1))
    moved = points + steps * (0.99 * share * np.nan_to_num(partition.radii[rows]))[:, None]
    return np.clip(moved, partition.chart.lower.numpy(), partition.chart.upper.numpy())


def _in_faces(partition: Partition, rows: NDArray[np.int64], random: np.random.Generator) -> Floats:
    """Return random convex combinations of the corners of each face."""
    mesh = partition.mesh
    assert mesh is not None
    counts = np.diff(mesh.offsets)[rows]
    owner = np.repeat(np.arange(len(rows)), counts)
    first = np.repeat(mesh.offsets[:-1][rows] - np.cumsum(counts) + counts, counts)
    corners = mesh.vertices[mesh.corners[first + np.arange(len(owner))]]
    weights = random.exponential(size=len(owner))
    total = np.bincount(owner, weights, minlength=len(rows))
    return np.stack([np.bincount(owner, weights * corners[:, k], minlength=len(rows)) / total for k in (0, 1)], axis=1)
