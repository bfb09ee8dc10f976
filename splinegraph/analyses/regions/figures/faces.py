"""Cells of a partition of a plane as polygons, cut where the class changes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.regions.cells import Floats

if TYPE_CHECKING:
    from splinegraph.analyses.regions.partition.partition import Partition

__all__ = ["Faces", "Pieces", "area", "class_pieces", "scores", "winners"]

SLIVER = 1e-12
"""Pieces of less than this fraction of their face's area are rounding."""

AT_ONCE = 2**22
"""Entries of outputs that are worked out at a time."""


@dataclass(frozen=True, eq=False)
class Faces:
    """Cells as polygons.

    Parameters
    ----------
    vertices : array of float64, shape (V, 2)
        In the chart's coordinates.
    offsets : array of int64, shape (F + 1,)
    corners : array of int, shape (H,)
        Vertices of each face, counterclockwise.
    """

    vertices: Floats
    offsets: NDArray[np.int64]
    corners: NDArray[Any]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def polygons(self) -> list[Floats]:
        """Corners of each face, (corners, 2)."""
        return np.split(self.vertices[self.corners], self.offsets[1:-1]) if len(self) else []

    @classmethod
    def of(cls, partition: Partition) -> Faces:
        """Return the cells of a partition with D = 2: those of its mesh, else each on its own."""
        mesh = partition.mesh
        if mesh is not None:
            return cls(mesh.vertices, mesh.offsets, mesh.corners)
        from splinegraph.analyses.regions.partition.facets import corners_of

        corners, offsets = corners_of(partition)
        return cls(corners, offsets, np.arange(len(corners)))


def scores(partition: Partition, t: Floats) -> Floats:
    """Return one score per class at points t (N, D), shape (N, classes); a single output f counts as (0, f)."""
    from splinegraph.analyses.regions.partition.maps import evaluate

    values = evaluate(partition.graph, partition.chart, t)
    return values if values.shape[1] > 1 else np.concatenate([np.zeros_like(values), values], axis=1)


@dataclass(frozen=True, eq=False)
class Pieces:
    """Faces cut where the class changes.

    Parameters
    ----------
    corners : list of arrays of shape (corners, 2)
        Faces and pieces of faces.
    classes, cells : array of int64, shape (pieces,)
        Class of each, and the cell that it belongs to.
    boundary : array of float64, shape (S, 2, 2)
        Segments between pieces of different classes.
    """

    corners: list[Floats]
    classes: NDArray[np.int64]
    cells: NDArray[np.int64]
    boundary: Floats


def class_pieces(partition: Partition, faces: Faces) -> Pieces:
    """Cut faces where the class changes.

    Notes
    -----
    Exact: on a face the scores are affine, so if one class wins at all corners it wins in between. One forward pass
    on the vertices, and one on the corners of faces in which several classes win; kept with the partition.
    """
    if "class_pieces" not in partition._cache:
        partition._cache["class_pieces"] = _class_pieces(partition, faces)
    found: Pieces = partition._cache["class_pieces"]
    return found


def _class_pieces(partition: Partition, faces: Faces) -> Pieces:
    polygons = faces.polygons
    ahead = winners(partition, faces.vertices)[faces.corners]
    starts = ahead[faces.offsets[:-1]]
    owners = np.repeat(np.arange(len(faces)), np.diff(faces.offsets))
    mixed = np.bincount(owners, ahead != starts[owners], minlength=len(faces)) > 0
    pure = np.flatnonzero(~mixed)
    own = np.where(mixed, -1, starts)
    pieces, classes, cells = [polygons[i] for i in pure.tolist()], own[pure].tolist(), pure.tolist()
    segments = [_between(partition, own)]
    for i in np.flatnonzero(mixed).tolist():
        for c, piece, sides in _cut(polygons[i], scores(partition, polygons[i])):
            pieces.append(piece)
            classes.append(c)
            cells.append(i)
            segments.append(sides)
    return Pieces(
        pieces, np.asarray(classes, dtype=np.int64), np.asarray(cells, dtype=np.int64), np.concatenate(segments)
    )


def winners(partition: Partition, points: Floats) -> NDArray[np.int64]:
    """Return the class at points (N, D) of the chart."""
    width = max(1, sum(math.prod(shape) for shape in partition.graph.output_shapes))
    step = max(1, AT_ONCE // width)
    parts = [scores(partition, points[i : i + step]).argmax(1) for i in range(0, len(points), step)]
    return np.concatenate([np.zeros(0, np.int64), *parts])


def _between(partition: Partition, own: NDArray[np.int64]) -> Floats:
    """Return the sides between two faces that are of one class each, but not of the same: where it jumps at a kink."""
    mesh = partition.mesh
    if mesh is None or not len(mesh):
        return np.zeros((0, 2, 2))
    left, right = mesh.edge_faces.T
    other = (left >= 0) & (right >= 0) & (own[left] >= 0) & (own[right] >= 0) & (own[left] != own[right])
    return np.asarray(mesh.vertices[mesh.edges[other]])


def _cut(corners: Floats, values: Floats) -> Iterator[tuple[int, Floats, Floats]]:
    """Cut a polygon by its scores, given at its corners (corners, classes).

    Yields each class that wins somewhere, with the part where it does, and the part's sides toward later classes.
    """
    ahead = np.unique(values.argmax(1))
    # a class that wins anywhere is somewhere ahead of each class that wins at a corner
    leads = (values[:, :, None] - values[:, None, ahead]).max(0) > 0
    leads[ahead, np.arange(len(ahead))] = True
    rivals = np.flatnonzero(leads.all(1))
    whole = area(corners)
    near = SLIVER * max(float(np.ptp(values[:, rivals])), np.finfo(float).tiny)
    for c in rivals.tolist():
        held = np.concatenate([corners, values[:, rivals] - values[:, c : c + 1]], axis=1)
        for k in range(len(rivals)):
            if rivals[k] != c:
                held = _below(held, 2 + k)
        if len(held) > 2 and area(held[:, :2]) > SLIVER * whole:
            tied = np.abs(held[:, 2:][:, rivals > c]) <= near
            along = (tied & np.roll(tied, -1, axis=0)).any(1)
            sides = np.stack([held[:, :2], np.roll(held[:, :2], -1, axis=0)], axis=1)
            yield c, held[:, :2], sides[along]


def _below(held: Floats, column: int) -> Floats:
    """Return the part of a polygon where a column that is affine on it is not positive; all columns come along."""
    if not len(held):
        return held
    value = held[:, column]
    inside = value <= 0
    if inside.all():
        return held
    rows = []
    for i in range(len(held)):
        j = (i + 1) % len(held)
        if inside[i]:
            rows.append(held[i])
        if inside[i] != inside[j]:
            fraction = value[i] / (value[i] - value[j])
            rows.append(held[i] + fraction * (held[j] - held[i]))
    return np.array(rows) if rows else held[:0]


def area(corners: Floats) -> float:
    """Return the area of a polygon that goes counterclockwise."""
    x, y = (corners - corners[0]).T
    return float(0.5 * (x @ np.roll(y, -1) - y @ np.roll(x, -1)))
