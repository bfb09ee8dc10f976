"""Maximal linear regions: neighboring cells with the same affine map, merged."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.regions.cells import Floats
from splinegraph.analyses.regions.partition.adjacency import Adjacency, components
from splinegraph.analyses.regions.partition.maps import Maps
from splinegraph.analyses.regions.tolerances import SAME_MAP

__all__ = ["linear_regions", "same_map"]

ENTRIES = 2**24
"""Entries of the maps compared at a time."""


def same_map(maps: Maps, points: Floats, sizes: Floats, pairs: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which pairs of cells have the same map, up to `SAME_MAP`, shape (E,).

    Parameters
    ----------
    points : array of float64, shape (N, D)
        Where the values of two maps are compared: the interior point of the first cell.
    sizes : array of float64, shape (D,)
        Size of the domain in each coordinate, by which slopes are made comparable with values.
    """
    same = np.zeros(len(pairs), dtype=bool)
    step = max(1, ENTRIES // max(maps.A[0].size, 1)) if len(maps.A) else 1
    for start in range(0, len(pairs), step):
        i, j = pairs[start : start + step].T
        one, other = maps.A[i] * sizes, maps.A[j] * sizes
        here = np.einsum("nod,nd->no", maps.A[i], points[i]) + maps.b[i]
        there = np.einsum("nod,nd->no", maps.A[j], points[i]) + maps.b[j]
        largest = np.maximum.reduce([_largest(one), _largest(other), _largest(here)])
        apart = np.maximum(_largest(one - other), _largest(here - there))
        same[start : start + step] = apart <= SAME_MAP * largest
    return same


def linear_regions(count: int, adjacency: Adjacency, same: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the maximal linear region of each cell, numbered by first cells, shape (N,)."""
    return components(count, adjacency.pairs[same])


def _largest(values: Floats) -> Floats:
    """Return the largest |entry| of each row."""
    return np.asarray(np.abs(values).reshape(len(values), -1).max(axis=1, initial=0.0))
