"""What an enumeration finds: codes with interior points, and in two dimensions the mesh of their faces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from splinegraph.analyses.codes import Layer, codes
from splinegraph.analyses.packing import Bytes
from splinegraph.core.graph import SplineGraph

__all__ = ["STALLED", "Cells", "Mesh", "code_layers"]

STALLED = "a linear program did not end: cells may be missing"
"""What is noted of cells that are not sound."""

Floats = NDArray[np.float64]


def code_layers(graph: SplineGraph) -> tuple[Layer, ...]:
    """Return where the codes of each switching operator lie in a packed pattern, as `splinegraph.codes` has them."""
    known: tuple[Layer, ...] | None = graph._cache.get("region_layers")
    if known is None:
        origin = [torch.zeros(1, *shape, dtype=torch.float64) for shape in graph.input_shapes]
        known = graph._cache["region_layers"] = codes(graph, *origin).layers
    return known


@dataclass(frozen=True, eq=False)
class Cells:
    """Activation cells.

    Parameters
    ----------
    packed : array of uint8, shape (N, bytes)
        Codes, as `ActivationPattern.packed`.
    points : array of float64, shape (N, D)
        A point inside each, in the chart's coordinates.
    radii : array of float64, shape (N,)
        Radius of a ball around the point, in these coordinates, that lies in the cell; nan where not worked out.
    sound : bool
        Whether every computation that these come from came to an end; if not, others may be missing.
    """

    packed: Bytes
    points: Floats
    radii: Floats
    sound: bool = True

    def __post_init__(self) -> None:
        if not len(self.packed) == len(self.points) == len(self.radii):
            raise ValueError(f"{len(self.packed)} codes, {len(self.points)} points, {len(self.radii)} radii")

    def __len__(self) -> int:
        return len(self.packed)

    def __getitem__(self, rows: Any) -> Cells:
        """Return some of the cells (a slice, a mask or a list of indices)."""
        return Cells(self.packed[rows], self.points[rows], self.radii[rows], self.sound)

    @classmethod
    def empty(cls, width: int, dim: int) -> Cells:
        """Return no cells, of codes of `width` bytes."""
        return cls(np.zeros((0, width), dtype=np.uint8), np.zeros((0, dim)), np.zeros(0))

    @classmethod
    def concat(cls, parts: Sequence[Cells]) -> Cells:
        """Return the cells of all parts, in order."""
        return cls(
            np.concatenate([p.packed for p in parts]),
            np.concatenate([p.points for p in parts]),
            np.concatenate([p.radii for p in parts]),
            all(p.sound for p in parts),
        )


@dataclass(frozen=True, eq=False)
class Mesh:
    """A partition of a polygon into convex faces that meet edge to edge; face i is cell i.

    Parameters
    ----------
    vertices : array of float64, shape (V, 2)
        In the chart's coordinates.
    offsets : array of int64, shape (F + 1,)
    corners : array of int32, shape (H,)
        Face i is the loop ``corners[offsets[i] : offsets[i + 1]]``, counterclockwise; some corners may lie
        on a straight side.
    edges : array of int32, shape (E, 2)
    edge_faces : array of int32, shape (E, 2)
        The faces on both sides; -1 outside of the domain.
    """

    vertices: Floats
    offsets: NDArray[np.int64]
    corners: NDArray[np.int32]
    edges: NDArray[np.int32]
    edge_faces: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def face(self, i: int) -> Floats:
        """Return the corners of face i, shape (corners, 2)."""
        return self.vertices[self.corners[self.offsets[i] : self.offsets[i + 1]]]

    def areas(self) -> Floats:
        """Return the area of each face, shape (F,)."""
        owner = np.repeat(np.arange(len(self)), np.diff(self.offsets))
        start = self.vertices[self.corners[self.offsets[:-1]]][owner]  # near the face: no cancellation
        following = np.arange(len(self.corners)) + 1
        following[self.offsets[1:] - 1] = self.offsets[:-1]
        here, there = self.vertices[self.corners] - start, self.vertices[self.corners[following]] - start
        cross = here[:, 0] * there[:, 1] - here[:, 1] * there[:, 0]
        return np.asarray(0.5 * np.bincount(owner, cross, minlength=len(self)))

    @property
    def euler(self) -> int:
        """Vertices - edges + faces: 1 for a disk."""
        return len(np.unique(self.corners)) - len(self.edges) + len(self)
