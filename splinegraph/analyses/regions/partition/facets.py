"""The cells as polytopes, and which of them share a facet, in any dimension."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.regions.cells import Floats
from splinegraph.analyses.regions.partition.adjacency import Adjacency, adjacent_faces
from splinegraph.analyses.regions.partition.beyond import codes_beyond

if TYPE_CHECKING:
    from splinegraph.analyses.regions.geometry.polytopes import Polytopes
    from splinegraph.analyses.regions.partition.partition import Partition

__all__ = ["Steps", "adjacency_of", "corners_of", "polytopes_of", "steps"]

ROWS = 2**20
"""Inequalities made at a time."""


class Steps(NamedTuple):
    """From each cell across each of its facets inside the domain."""

    cells: NDArray[np.int64]
    behind: NDArray[np.int64]
    points: Floats
    normals: Floats
    radii: Floats


def polytopes_of(partition: Partition, rows: NDArray[np.int64]) -> Polytopes:
    """Return the H-representations of some cells in the chart's coordinates, the domain's rows among them."""
    from splinegraph.analyses.regions.geometry.hrep import hrep

    return hrep(partition.graph, partition.chart, partition.packed[rows], partition.points[rows])


def corners_of(partition: Partition) -> tuple[Floats, NDArray[np.int64]]:
    """Return the corners of all cells from their inequalities, (V, D), and where those of each begin, (N + 1,).

    For D = 2 counterclockwise; cells thinner than `THIN` have none. Kept with the partition.
    """
    from splinegraph.analyses.regions.geometry.vertices import vertices

    known: tuple[Floats, NDArray[np.int64]] | None = partition._cache.get("corners")
    if known is not None:
        return known
    parts = [vertices(polytopes_of(partition, rows), partition.points[rows]) for rows in chunks(partition)]
    sizes = [np.diff(offsets) for _, offsets in parts]
    corners = np.concatenate([np.zeros((0, partition.dim)), *(corners for corners, _ in parts)])
    known = partition._cache["corners"] = corners, np.cumsum(np.concatenate([[0], *sizes])).astype(np.int64)
    return known


def chunks(partition: Partition) -> Iterator[NDArray[np.int64]]:
    """Yield the numbers of all cells, some at a time."""
    units = sum(layer.units * max(layer.alphabet - 1, 1) for layer in partition.layers)
    step = max(1, ROWS // max(units, 1))
    for start in range(0, len(partition), step):
        yield np.arange(start, min(start + step, len(partition)))


def steps(partition: Partition, rows: NDArray[np.int64]) -> Steps:
    """Return what lies behind the facets of some cells: -1 where no known cell does.

    A code an infinitely small step behind the facet names the cell there. Units that switch in the same
    plane, or that only start to move behind it, switch together.
    """
    from splinegraph.analyses.regions.geometry.facets import facets

    polytopes = polytopes_of(partition, rows)
    found = facets(polytopes, partition.points[rows])
    outer = np.zeros(len(found), dtype=bool)
    domain = (polytopes.layer < 0) & (found.owner >= 0)
    outer[found.owner[domain]] = True
    owner = np.repeat(rows, np.diff(found.offsets))[~outer]
    points, normals = found.points[~outer], polytopes.G[found.row[~outer]]
    beyond = codes_beyond(partition.graph, partition.chart, partition.layers, points, normals, polytopes.size)
    return Steps(owner, partition.index.find(beyond), points, normals, found.radii[~outer])


def adjacency_of(partition: Partition) -> Adjacency:
    """Return the pairs of cells that share a facet: from the mesh if there is one, else facet by facet."""
    if partition.mesh is not None:
        return adjacent_faces(partition.mesh)
    if partition.dim == 0 or not len(partition):
        none = np.zeros((0, partition.dim))
        return Adjacency(np.zeros((0, 2), dtype=np.int64), none, np.zeros(0), open_points=none, normals=none)
    parts = [steps(partition, rows) for rows in chunks(partition)]
    cells, behind, points, normals, _ = (np.concatenate(column) for column in zip(*parts, strict=True))
    known = (behind >= 0) & (behind != cells)
    ends = np.sort(np.stack([cells[known], behind[known]], axis=1), axis=1)
    keys = ends[:, 0] * len(partition) + ends[:, 1]
    _, first, counts = np.unique(keys, return_index=True, return_counts=True)
    sizes = np.full(len(first), np.nan)
    one_way = int((counts == 1).sum())
    shared = points[known][first], sizes, cells[~known], points[~known]
    return Adjacency(ends[first], *shared, one_way, normals[known][first])
