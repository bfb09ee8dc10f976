"""Which cells share a facet."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.regions.cells import Floats, Mesh
from splinegraph.analyses.regions.tolerances import ON_BOUNDARY

__all__ = ["Adjacency", "adjacent_faces", "components"]


@dataclass(frozen=True, eq=False)
class Adjacency:
    """Pairs of cells that share a facet.

    Parameters
    ----------
    pairs : array of int64, shape (E, 2)
        Cells, the smaller number first, ordered.
    points : array of float64, shape (E, D)
        A point in the relative interior of the facet, in the chart's coordinates.
    sizes : array of float64, shape (E,)
        Length of the shared side for D = 2; nan where not worked out.
    open_cells : array of int64, shape (K,)
        Cells with a facet inside the domain behind which no known cell lies: none if the partition is complete.
        Not looked for where a mesh says which faces meet.
    open_points : array of float64, shape (K, D)
        A point of each of these facets.
    one_way : int
        Pairs that were found from one of the two cells only: 0 for a continuous network, unless rounding or
        codes are wrong. Where the network jumps, several cells may lie behind one facet, and only the one
        behind its center is found.
    normals : array of float64, shape (E, D)
        The unit normal of each facet, up to its sign.
    """

    pairs: NDArray[np.int64]
    points: Floats
    sizes: Floats
    open_cells: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    open_points: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    one_way: int = 0
    normals: Floats = field(default_factory=lambda: np.zeros((0, 0)))

    @property
    def open(self) -> int:
        """Number of facets inside the domain behind which no known cell lies."""
        return len(self.open_cells)

    def __len__(self) -> int:
        return len(self.pairs)


def adjacent_faces(mesh: Mesh) -> Adjacency:
    """Return the faces of a mesh that share a side of positive length; touching in a vertex is not enough."""
    inner = (mesh.edge_faces >= 0).all(axis=1) & (mesh.edge_faces[:, 0] != mesh.edge_faces[:, 1])
    ends = mesh.vertices[mesh.edges[inner]]
    faces = np.sort(mesh.edge_faces[inner].astype(np.int64), axis=1)
    lengths = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1)
    keys, first, inverse = np.unique(faces[:, 0] * len(mesh) + faces[:, 1], return_index=True, return_inverse=True)
    total = np.bincount(inverse, lengths, minlength=len(keys))
    longest = np.zeros(len(keys), dtype=np.int64)
    longest[inverse[np.argsort(lengths, kind="stable")]] = np.argsort(lengths, kind="stable")
    kept = total > ON_BOUNDARY * float(np.ptp(mesh.vertices, axis=0).max(initial=0.0))
    sides = ends[longest[kept]]
    along = (sides[:, 1] - sides[:, 0]) / lengths[longest[kept]][:, None]
    normals = np.stack([-along[:, 1], along[:, 0]], axis=1)
    return Adjacency(faces[first][kept], sides.mean(axis=1), np.asarray(total[kept], dtype=np.float64), normals=normals)


def components(count: int, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the connected component of each of `count` vertices, numbered by their first members, shape (count,)."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(pairs), dtype=np.int8), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    _, labels = connected_components(graph, directed=False)
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first, kind="stable")] = np.arange(len(first))
    return np.asarray(rank[inverse])
