"""A partition checked against the network itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.regions.verify.closure import closed, facet_maps, full_adjacency, sum_of_volumes
from splinegraph.analyses.regions.verify.codes import (
    points_inside,
    same_codes,
    same_codes_around,
    unique_codes,
    wide_enough,
)
from splinegraph.analyses.regions.verify.doubtful import thin_cells
from splinegraph.analyses.regions.verify.maps import maps_inside
from splinegraph.analyses.regions.verify.membership import random_points
from splinegraph.analyses.regions.verify.plane import areas, euler, faces_inside, lengths
from splinegraph.analyses.regions.verify.verification import Check, Verification

if TYPE_CHECKING:
    from splinegraph.analyses.regions.partition.partition import Partition

__all__ = ["offenders", "verify"]


def verify(partition: Partition, *, level: Literal["cheap", "full"] = "cheap", seed: int = 0) -> Verification:
    """Return what checks of a partition against its network found.

    Parameters
    ----------
    partition : Partition
    level : {'cheap', 'full'}
        'cheap': codes differ; the network's code at every interior point is the cell's; the network is the
        cell's map there and at a random point (of up to 1024 cells); in two dimensions Euler's formula, the
        area, and the corners of faces (of up to 1024); in one the lengths; random points of the domain lie in
        known cells, with a bound of the missed volume at 99 % confidence.
        'full': the same for all cells; a known cell behind every facet; maps agree on facets; volumes, where
        there are few cells; very thin cells in exact arithmetic.
    seed : int
        Of the random points.

    Returns
    -------
    Verification
        True if some check ran and every one that ran passed.

    Notes
    -----
    'cheap' costs two forward passes of one point per cell and three of some thousand points; 'full' some tens
    of small linear programs per cell. Of a continuous network, the full check proves the partition up to
    `regions.tolerances`: no facet of a known cell leads to an unknown one, and the domain is connected.
    """
    if level not in ("cheap", "full"):
        raise ValueError(f"level={level!r}; give 'cheap' or 'full'")
    start = time.perf_counter()
    checks = tuple(_cheap(partition, seed, full=level == "full"))
    if level == "full" and len(partition) and _finite(partition):
        checks += tuple(_full(partition))
    return Verification(checks, level, seed, time.perf_counter() - start)


def offenders(partition: Partition, found: Verification, seed: int) -> NDArray[np.int64]:
    """Return the cells that failed checks name, and all faces that reach out of their cells, not only of some."""
    named = [i for check in found.failed for i in check.about]
    if partition.mesh is not None and _finite(partition):
        named += faces_inside(partition, seed, full=True).about
    return np.unique(np.asarray(named, dtype=np.int64))


def _cheap(partition: Partition, seed: int, *, full: bool) -> Iterator[Check]:
    yield unique_codes(partition)
    yield points_inside(partition)
    if not _finite(partition):  # no other check can be made there
        return
    yield wide_enough(partition)
    yield same_codes(partition)
    yield same_codes_around(partition, seed, full=full)
    yield from maps_inside(partition, seed, full=full)
    if partition.dim == 1:
        yield lengths(partition)
    if partition.mesh is not None:
        yield euler(partition)
        yield areas(partition)
        yield faces_inside(partition, seed, full=full)
    yield random_points(partition, seed, level="full" if full else "cheap")


def _finite(partition: Partition) -> bool:
    """Return whether all coordinates are numbers."""
    corners = np.zeros(0) if partition.mesh is None else partition.mesh.vertices
    return bool(np.isfinite(partition.points).all() and np.isfinite(corners).all())


def _full(partition: Partition) -> Iterator[Check]:
    adjacency = full_adjacency(partition)
    yield closed(partition, adjacency)
    yield facet_maps(partition, adjacency)
    yield sum_of_volumes(partition)
    yield thin_cells(partition)
