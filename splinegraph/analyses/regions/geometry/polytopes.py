"""Many polytopes {t : G t <= h} of one dimension, rows one behind the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from splinegraph.errors import DomainError, ShapeError

__all__ = ["Floats", "Ints", "Polytopes"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Polytopes:
    """A batch of N polytopes; polytope i is {t : G[r] t <= h[r] for offsets[i] <= r < offsets[i + 1]}.

    Made by `Polytopes.of` or by `hrep`; every row has norm one, so that h - G t is a distance.

    Parameters
    ----------
    G : array of shape (R, D)
    h : array of shape (R,)
    offsets : array of shape (N + 1,), int64
    unit, layer : array of shape (R,), int64
        Which unit of which switching operator a row belongs to (the layer as in `code_layers`); layer -1 for
        the domain's own rows, which unit then counts.
    size : float
        Of the domain: the unit of the tolerances.
    """

    G: Floats
    h: Floats
    offsets: Ints
    unit: Ints
    layer: Ints
    size: float = 1.0

    @classmethod
    def of(
        cls,
        G: ArrayLike,
        h: ArrayLike,
        offsets: ArrayLike | None = None,
        *,
        unit: ArrayLike | None = None,
        layer: ArrayLike | None = None,
        size: float = 1.0,
    ) -> Polytopes:
        """Return polytopes from rows of any norm; one polytope, unless offsets are given.

        Rows that always hold, 0 t <= h with h >= 0, are dropped; one that never holds stays.

        Raises
        ------
        ShapeError
            If the shapes do not fit.
        DomainError
            If a number is NaN, or a coefficient infinite.

        Notes
        -----
        O(R D).
        """
        rows, rhs = np.asarray(G, dtype=np.float64), np.asarray(h, dtype=np.float64)
        if rows.ndim != 2 or rhs.shape != rows.shape[:1]:
            raise ShapeError(f"rows of shape {rows.shape} with right-hand sides of shape {rhs.shape}")
        starts = np.asarray([0, len(rhs)] if offsets is None else offsets, dtype=np.int64)
        if not np.isfinite(rows).all() or np.isnan(rhs).any():
            raise DomainError("the inequalities hold NaN or infinite coefficients")
        names = [np.asarray(np.full(len(rhs), -1) if v is None else v, dtype=np.int64) for v in (unit, layer)]
        norm = np.sqrt(np.einsum("rd,rd->r", rows, rows))
        keep = np.where(norm > 0, rhs < np.inf, rhs < 0)
        scale = np.where(norm > 0, norm, 1.0)
        if not keep.all():
            starts = np.concatenate([[0], np.cumsum(keep)])[starts]
            rows, rhs, scale, names = rows[keep], rhs[keep], scale[keep], [v[keep] for v in names]
        rows = np.ascontiguousarray(rows / scale[:, None])
        return cls(
            rows, rhs / scale, starts.astype(np.int64), names[0].astype(np.int64), names[1].astype(np.int64), size
        )

    @classmethod
    def concat(cls, parts: Sequence[Polytopes]) -> Polytopes:
        """Return the polytopes of all parts, in order; rows keep their norms."""
        counts = np.concatenate([np.diff(p.offsets) for p in parts])
        columns = [np.concatenate([getattr(p, name) for p in parts]) for name in ("G", "h", "unit", "layer")]
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return cls(columns[0], columns[1], offsets, columns[2], columns[3], max(p.size for p in parts))

    @property
    def dim(self) -> int:
        """D."""
        return int(self.G.shape[1])

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __repr__(self) -> str:
        return f"<Polytopes: {len(self)} in {self.dim} dimensions, {len(self.h)} rows>"

    def rows(self, i: int) -> slice:
        """Return where the rows of polytope i lie."""
        return slice(int(self.offsets[i]), int(self.offsets[i + 1]))

    def __iter__(self) -> Iterator[tuple[Floats, Floats]]:
        for i in range(len(self)):
            rows = self.rows(i)
            yield self.G[rows], self.h[rows]

    def __getitem__(self, chosen: Any) -> Polytopes:
        """Return some of the polytopes (a slice, a mask or a list of indices)."""
        index = np.atleast_1d(np.arange(len(self))[chosen])
        counts = np.diff(self.offsets)[index]
        offsets = np.concatenate([[0], np.cumsum(counts)])
        rows = np.arange(offsets[-1]) + np.repeat(self.offsets[index] - offsets[:-1], counts)
        return Polytopes(self.G[rows], self.h[rows], offsets, self.unit[rows], self.layer[rows], self.size)

    def only(self, rows: Ints) -> Polytopes:
        """Return the polytopes that some of the rows bound, the rows in ascending order."""
        owner = np.repeat(np.arange(len(self)), np.diff(self.offsets))[rows]
        offsets = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=len(self)))])
        return Polytopes(self.G[rows], self.h[rows], offsets, self.unit[rows], self.layer[rows], self.size)

    def slacks(self, points: Floats) -> Floats:
        """Return h - G t for one point per polytope, shape (R,)."""
        owner = np.repeat(np.arange(len(self)), np.diff(self.offsets))
        return np.asarray(self.h - np.einsum("rd,rd->r", self.G, points[owner]))

    def starts(self, points: Floats | None) -> Floats:
        """Return points to start from: those given, else the origin."""
        if points is None:
            return np.zeros((len(self), self.dim))
        found = np.ascontiguousarray(points, dtype=np.float64)
        if found.shape != (len(self), self.dim):
            raise ShapeError(f"points of shape {found.shape}, expected {(len(self), self.dim)}")
        return found
