"""Where classes meet: f[c1] = f[c2] >= all other outputs."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.regions.cells import Floats, Mesh
from splinegraph.analyses.regions.partition.facets import chunks, polytopes_of
from splinegraph.analyses.regions.partition.maps import evaluate
from splinegraph.analyses.regions.tolerances import ON_BOUNDARY, THIN
from splinegraph.errors import SplineGraphError

if TYPE_CHECKING:
    from splinegraph.analyses.regions.geometry.polytopes import Polytopes
    from splinegraph.analyses.regions.partition.partition import Partition

__all__ = ["Crossing", "crossing", "decision_boundary"]


@dataclass(frozen=True, eq=False)
class Crossing:
    """Where two classes meet.

    Parameters
    ----------
    cells : array of int64, shape (K,)
        The cells that the boundary between them runs through, in increasing order.
    segments : array of float64, shape (S, 2, 2), or None
        For D = 2: the boundary itself, one segment per cell, f[c1] larger on its left. None for other D, and
        where it runs to infinity.
    """

    cells: NDArray[np.int64]
    segments: Floats | None = None

    def __len__(self) -> int:
        return len(self.cells)

    def __repr__(self) -> str:
        length = "" if self.segments is None else f", length {self.length:.6g}"
        return f"<Crossing: {len(self)} cells{length}>"

    @property
    def length(self) -> float:
        """Length of the segments."""
        if self.segments is None:
            raise SplineGraphError(
                "there are no segments to measure", why="there are some on bounded domains of two dimensions only"
            )
        return float(np.linalg.norm(self.segments[:, 1] - self.segments[:, 0], axis=1).sum())


def crossing(partition: Partition, c1: int, c2: int) -> Crossing:
    """Return where two classes meet; see `Partition.boundary_cells`."""
    classes = max(partition._out, 2)
    if not (0 <= c1 < classes and 0 <= c2 < classes) or c1 == c2:
        raise SplineGraphError(f"no boundary of classes {c1} and {c2}", remedy=f"give two of 0 to {classes - 1}")
    _check_continuous(partition)
    low, high = min(c1, c2), max(c1, c2)  # a tie is of the lower class, whoever is asked for first
    if partition.mesh is None:
        found = _in_cells(partition, low, high)
    else:
        values = _logits(evaluate(partition.graph, partition.chart, partition.mesh.vertices))
        found = _in_mesh(partition.mesh, values, low, high)
    return found if c1 < c2 or found.segments is None else Crossing(found.cells, found.segments[:, ::-1])


def decision_boundary(partition: Partition) -> dict[tuple[int, int], Crossing]:
    """Return where any two classes meet; see `Partition.decision_boundary`."""
    _check_continuous(partition)
    classes = max(partition._out, 2)
    pairs = itertools.combinations(range(classes), 2)
    if partition.mesh is not None:
        mesh = partition.mesh
        values = _logits(evaluate(partition.graph, partition.chart, mesh.vertices))
        found = {pair: _in_mesh(mesh, values, *pair) for pair in pairs}
    else:
        found = {pair: _in_cells(partition, *pair) for pair in pairs}
    return {pair: crossing for pair, crossing in found.items() if len(crossing)}


def _check_continuous(partition: Partition) -> None:
    """Raise where classes may change without a tie of outputs."""
    if not partition.graph.continuous:
        raise SplineGraphError(
            "the decision boundary cannot be told",
            why="the network is not continuous: classes also change where it jumps, without a tie of outputs",
            remedy="compare classes() of the cells in adjacency.pairs",
        )


def _logits(values: Floats) -> Floats:
    """Return one column per class; a single output is that of class 1, against 0."""
    return np.hstack([np.zeros_like(values), values]) if values.shape[1] == 1 else values


def _in_mesh(mesh: Mesh, values: Floats, c1: int, c2: int) -> Crossing:
    """Return the segments: in each face the line f[c1] = f[c2] between two sides, cut off where others are larger.

    The network is affine on a face, so that values on a segment follow from those at its ends. A vertex with
    f[c1] = f[c2] counts as one of f[c1] > f[c2].
    """
    corners, following = mesh.corners, _following(mesh)
    owner = np.repeat(np.arange(len(mesh)), np.diff(mesh.offsets))
    gap = values[:, c1] - values[:, c2]
    scale = float(np.abs(values).max(initial=0.0))
    high = gap >= -ON_BOUNDARY * scale
    crossed = high[corners] != high[corners[following]]
    here, there = corners[crossed], corners[following[crossed]]
    share = np.clip(gap[here] / (gap[here] - gap[there]), 0.0, 1.0)[:, None]
    at = mesh.vertices[here] + share * (mesh.vertices[there] - mesh.vertices[here])
    logits = values[here] + share * (values[there] - values[here])
    faces = owner[crossed]
    leaving = high[here]  # counterclockwise, the face's high side ends here
    last, first = np.flatnonzero(leaving), np.flatnonzero(~leaving)
    last, first = last[np.argsort(faces[last], kind="stable")], first[np.argsort(faces[first], kind="stable")]
    paired = np.bincount(faces[last], minlength=len(mesh)) == 1
    last, first = last[paired[faces[last]]], first[paired[faces[first]]]
    low, up = _clip(logits[last], logits[first], c1, c2, scale)
    start, end = at[last], at[first]
    segments = np.stack([start + low[:, None] * (end - start), start + up[:, None] * (end - start)], axis=1)
    length = np.linalg.norm(segments[:, 1] - segments[:, 0], axis=1)
    kept = (up > low) & (length > THIN * float(np.ptp(mesh.vertices, axis=0).max(initial=0.0)))
    return Crossing(faces[last][kept].astype(np.int64), segments[kept])


def _following(mesh: Mesh) -> NDArray[np.int64]:
    following = np.arange(len(mesh.corners)) + 1
    following[mesh.offsets[1:] - 1] = mesh.offsets[:-1]
    return following


def _clip(start: Floats, end: Floats, c1: int, c2: int, scale: float) -> tuple[Floats, Floats]:
    """Return from where to where (0 to 1) on each segment no other output is above those of c1 and c2."""
    others = [k for k in range(start.shape[1]) if k not in (c1, c2)]
    low, up = np.zeros(len(start)), np.ones(len(start))
    if not others:
        return low, up
    a = start[:, [c1]] - start[:, others]
    b = end[:, [c1]] - end[:, others]
    with np.errstate(divide="ignore", invalid="ignore"):
        root = a / (a - b)
    slack = -ON_BOUNDARY * scale
    low = np.where((a < slack) & (b >= slack), root, 0.0).max(axis=1)
    up = np.where((a >= slack) & (b < slack), root, 1.0).min(axis=1)
    return np.where(((a < slack) & (b < slack)).any(axis=1), 1.0, low), up


def _in_cells(partition: Partition, c1: int, c2: int) -> Crossing:
    """Return the cells where f[c1] = f[c2] is a facet of the part in which c1 is the class.

    That part is found by a largest ball in it: one linear program per cell, and those of its facets.
    """
    found = [_meets(partition, rows, c1, c2) for rows in chunks(partition)] if partition.dim else []
    cells = np.concatenate([np.zeros(0, np.int64), *(part.cells for part in found)])
    known = [part.segments for part in found if part.segments is not None]
    if partition.dim != 2 or len(known) < len(found):
        return Crossing(cells)
    return Crossing(cells, np.concatenate([np.zeros((0, 2, 2)), *known]))


def _meets(partition: Partition, rows: NDArray[np.int64], c1: int, c2: int) -> Crossing:
    from splinegraph.analyses.regions.geometry.chebyshev import chebyshev
    from splinegraph.analyses.regions.geometry.facets import facets

    maps = partition.affine_maps(rows)
    A, b = maps
    if A.shape[1] == 1:
        A, b = np.concatenate([np.zeros_like(A), A], axis=1), np.concatenate([np.zeros_like(b), b], axis=1)
    polytopes = polytopes_of(partition, rows)
    # rows f[k] - f[c1] <= 0, that of c2 first
    order = [c2, *(k for k in range(A.shape[1]) if k not in (c1, c2))]
    G, h = A[:, order] - A[:, [c1]], b[:, [c1]] - b[:, order]
    keep = np.linalg.norm(G[:, 0], axis=1) > 0
    parts = [
        (np.concatenate([G[i], polytopes.G[polytopes.rows(i)]]), np.concatenate([h[i], polytopes.h[polytopes.rows(i)]]))
        for i in np.flatnonzero(keep).tolist()
    ]
    if not parts:
        return Crossing(rows[:0], np.zeros((0, 2, 2)))
    cut = _joined(parts, polytopes.size)
    centers, radii = chebyshev(cut, partition.points[rows[keep]])
    thick = np.flatnonzero(radii > THIN * polytopes.size)
    if not len(thick):
        return Crossing(rows[:0], np.zeros((0, 2, 2)))
    cut = _joined([parts[i] for i in thick], polytopes.size)
    found = facets(cut, centers[thick])
    owner = np.repeat(np.arange(len(cut)), np.diff(cut.offsets))
    boundary = (cut.unit == 0) & (found.owner >= 0)
    cells = np.asarray(rows[keep][thick][owner[boundary]])
    if partition.dim != 2:
        return Crossing(cells)
    facet, normals = found.owner[boundary], cut.G[boundary]
    half = found.radii[facet][:, None] * np.stack([-normals[:, 1], normals[:, 0]], axis=1)
    if not np.isfinite(half).all():
        return Crossing(cells)
    middle = found.points[facet]
    return Crossing(cells, np.stack([middle - half, middle + half], axis=1))


def _joined(parts: list[tuple[Floats, Floats]], size: float) -> Polytopes:
    """Return polytopes whose rows are numbered in `unit`."""
    from splinegraph.analyses.regions.geometry.polytopes import Polytopes

    counts = [len(h) for _, h in parts]
    return Polytopes.of(
        np.concatenate([G for G, _ in parts]),
        np.concatenate([h for _, h in parts]),
        np.cumsum([0, *counts]),
        unit=np.concatenate([np.arange(n) for n in counts]),
        size=size,
    )
