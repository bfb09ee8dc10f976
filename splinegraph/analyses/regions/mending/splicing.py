"""Putting polygons into the hole that faces of a mesh have left, so that all meet edge to edge."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.regions.cells import Floats, Mesh
from splinegraph.analyses.regions.partition.adjacency import components
from splinegraph.analyses.regions.partition.storage import edges_of

__all__ = ["splice"]

Ints = NDArray[np.int64]

SAME = 1e-10
"""Corners nearer to each other than this, relative to the size of the domain, are one: far above the rounding of a
corner between two lines, and a tenth of slivers of 1e-9."""


class Loops(NamedTuple):
    """Loops of vertices, one behind the other; loop i is ``corners[offsets[i] : offsets[i + 1]]``."""

    corners: Ints
    offsets: Ints

    def __add__(self, other: Any) -> Loops:
        """Return these loops and, behind them, others."""
        offsets = np.concatenate([self.offsets, len(self.corners) + other.offsets[1:]])
        return Loops(np.concatenate([self.corners, other.corners]), offsets)

    @property
    def following(self) -> Ints:
        """Where the next corner of each loop is, behind each corner."""
        places = np.arange(1, len(self.corners) + 1)
        places[self.offsets[1:] - 1] = self.offsets[:-1]
        return places

    def take(self, rows: Ints) -> Loops:
        """Return some of the loops."""
        sizes = np.diff(self.offsets)[rows]
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        shift = np.repeat(self.offsets[:-1][rows] - offsets[:-1], sizes)
        return Loops(self.corners[shift + np.arange(len(shift))], offsets)

    def only(self, keep: NDArray[np.bool_]) -> Loops:
        """Return the loops with some of their corners."""
        return Loops(self.corners[keep], np.concatenate([[0], np.cumsum(keep)])[self.offsets])


def splice(mesh: Mesh, kept: NDArray[np.bool_], corners: Floats, offsets: Ints, size: float) -> Mesh | None:
    """Return a mesh of the faces that are kept and, behind them, of new ones.

    Parameters
    ----------
    mesh : Mesh
    kept : array of bool, shape (F,)
    corners : array of float64, shape (H, 2)
        Of the new faces, each with corners of its own, counterclockwise.
    offsets : array of int64, shape (new faces + 1,)
    size : float
        Of the domain, as `size_of` has it.

    Returns
    -------
    Mesh or None
        None if faces collapse, or do not make a disk.

    Notes
    -----
    O(F) for the arrays; the geometry is worked out for the new faces and those that touch the hole.
    """
    owner = np.repeat(np.arange(len(mesh)), np.diff(mesh.offsets))
    rim = np.zeros(len(mesh.vertices), dtype=bool)
    rim[mesh.corners[~kept[owner]]] = True
    near = np.unique(owner[rim[mesh.corners] & kept[owner]])
    far = np.setdiff1d(np.flatnonzero(kept), near)
    old = Loops(mesh.corners.astype(np.int64), mesh.offsets)
    border = np.unique(old.take(near).corners)
    if not np.isfinite(mesh.vertices[border]).all():
        return None
    vertices, numbers = _join(mesh.vertices, border, corners, SAME * size)
    made = Loops(numbers, offsets).only(numbers != numbers[Loops(numbers, offsets).following])
    if (np.diff(made.offsets) < 3).any():
        return None
    local = np.unique(np.concatenate([border, numbers]))
    filled = _with_corners(old.take(near) + made, vertices, local, SAME * size)
    order = np.argsort(np.concatenate([far, near]), kind="stable")  # as they were, then the new ones
    order = np.concatenate([order, np.arange(len(order), len(order) + len(made.offsets) - 1)])
    return _disk(vertices, (old.take(far) + filled).take(order))


def _join(vertices: Floats, border: Ints, corners: Floats, tolerance: float) -> tuple[Floats, Ints]:
    """Return all vertices, and which of them each corner is: one on the border, or a new one that others share."""
    from scipy.spatial import KDTree

    numbers = np.full(len(corners), -1, dtype=np.int64)
    if len(border) and len(corners):
        distance, nearest = KDTree(vertices[border]).query(corners)
        numbers = np.where(distance <= tolerance, border[np.minimum(nearest, len(border) - 1)], -1)
    fresh = np.flatnonzero(numbers < 0)
    if len(fresh):
        pairs = KDTree(corners[fresh]).query_pairs(tolerance, output_type="ndarray").reshape(-1, 2)
        labels = components(len(fresh), pairs)
        numbers[fresh] = len(vertices) + labels
        _, first = np.unique(labels, return_index=True)
        vertices = np.concatenate([vertices, corners[fresh[first]]])
    return vertices, numbers


def _with_corners(loops: Loops, vertices: Floats, local: Ints, tolerance: float) -> Loops:
    """Return the loops with those of the `local` vertices that lie on their sides."""
    from scipy.spatial import KDTree

    start, end = loops.corners, loops.corners[loops.following]
    along = vertices[end] - vertices[start]
    length = np.linalg.norm(along, axis=1)
    tree = KDTree(vertices[local])
    found = tree.query_ball_point((vertices[start] + vertices[end]) / 2, length / 2)
    side = np.repeat(np.arange(len(start)), [len(some) for some in found])
    other = local[np.concatenate([np.zeros(0, dtype=np.int64), *found]).astype(np.int64)]
    step, way = vertices[other] - vertices[start[side]], along[side]
    share = np.einsum("sd,sd->s", step, way) / np.maximum(length[side] ** 2, np.finfo(float).tiny)
    aside = np.abs(step[:, 0] * way[:, 1] - step[:, 1] * way[:, 0])
    on = (aside <= tolerance * length[side]) & (other != start[side]) & (other != end[side])
    on &= (share > 0) & (share < 1)
    sides = np.concatenate([np.arange(len(start)), side[on]])
    order = np.lexsort((np.concatenate([np.zeros(len(start)), share[on]]), sides))
    more = np.bincount(side[on], minlength=len(start))
    offsets = np.concatenate([[0], np.cumsum(1 + more)])[loops.offsets]
    return Loops(np.concatenate([start, other[on]])[order], offsets)


def _disk(vertices: Floats, loops: Loops) -> Mesh | None:
    """Return the mesh of some loops, without vertices that are no corners; None if it is no disk."""
    used, places = np.unique(loops.corners, return_inverse=True)
    corners: NDArray[np.int32] = places.astype(np.int32)
    mesh = Mesh(vertices[used], loops.offsets, corners, *edges_of(corners, loops.offsets))
    both = 2 * len(mesh.edges) - len(corners) == (mesh.edge_faces < 0).sum()  # no two faces on one side of an edge
    return mesh if mesh.euler == 1 and both else None
