"""The facets of cells, in any dimension: in the span of their rows, by whichever method suits its dimension."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.regions.geometry.polytopes import Floats, Polytopes
from splinegraph.analyses.regions.tolerances import THIN

__all__ = ["Walls", "balls", "thin", "walls"]

COMPILED = 128
"""Dimensions up to which the compiled simplex on dense rows is faster than HiGHS."""

SPANNED = 16
"""Dimensions beyond which it is worth to look for directions in which a cell never ends."""

RANK = 1e-9
"""Singular values below this, relative to the largest, are zero."""


@dataclass(frozen=True, eq=False)
class Walls:
    """The facets of N cells.

    Parameters
    ----------
    centers, radii : arrays of shape (N, D) and (N,)
        A largest ball in each cell; radius 0 for one without interior.
    cell : array of shape (F,)
        Whose facet it is; in ascending order.
    points, normals : arrays of shape (F, D)
        A point in the relative interior, and the outer unit normal.
    rhs : array of shape (F,)
        The facet lies in the plane normal @ t = rhs.
    inner : array of shape (F,), bool
        Whether it is no side of the domain.
    unsure : array of shape (N,), bool
        Where a solver's answer was not confirmed, so that a facet may be missing.
    """

    centers: Floats
    radii: Floats
    cell: NDArray[np.int64]
    points: Floats
    normals: Floats
    rhs: Floats
    inner: NDArray[np.bool_]
    unsure: NDArray[np.bool_]

    def of(self, i: int) -> NDArray[np.int64]:
        """Return the facets of cell i."""
        return np.arange(*np.searchsorted(self.cell, [i, i + 1]))


def walls(polytopes: Polytopes, points: Floats) -> Walls:
    """Return the facets of cells that come with points in or at them.

    Notes
    -----
    Rows that do not span the space, as in an unbounded domain with fewer conditions than coordinates, leave
    directions in which the cell never ends: the work is done in their span.
    """
    if polytopes.dim <= min(SPANNED, COMPILED):
        return _compiled(polytopes, points)
    return _joined(list(_one_by_one(polytopes, points)))


def balls(polytopes: Polytopes, points: Floats) -> Walls:
    """Return a ball in each cell, and no facets."""
    from splinegraph.analyses.regions.geometry.chebyshev import chebyshev
    from splinegraph.analyses.regions.neighborhood.wide import wide_ball

    centers, radii = np.empty_like(points), np.empty(len(points))
    if polytopes.dim <= SPANNED:
        centers, radii = chebyshev(polytopes, points)
    else:
        for i, point in enumerate(points):
            inside, span = _inside(polytopes, i, point)
            if len(span) > COMPILED:
                middle, radii[i] = wide_ball(inside)
                centers[i] = point + middle @ span
            elif len(span):
                middle, radius = chebyshev(inside)
                centers[i], radii[i] = point + middle[0] @ span, radius[0]
            else:
                centers[i], radii[i] = point, np.inf
    none = np.zeros((0, polytopes.dim))
    index, flags = np.zeros(0, dtype=np.int64), np.zeros(len(points), dtype=bool)
    return Walls(centers, np.maximum(radii, 0.0), index, none, none, none[:, :1].sum(1), flags[:0], flags)


def _inside(polytopes: Polytopes, i: int, point: Floats) -> tuple[Polytopes, Floats]:
    """Return one polytope in the span of its rows, with the point as origin, and the span."""
    one = polytopes[[i]]
    span = _span(one.G)
    G = np.ascontiguousarray(one.G @ span.T)
    return Polytopes(G, one.h - one.G @ point, one.offsets, one.unit, one.layer, one.size), span


def _compiled(polytopes: Polytopes, points: Floats) -> Walls:
    from splinegraph.analyses.regions.geometry.facets import facets

    found = facets(polytopes, points)
    outer = np.zeros(len(found), dtype=bool)
    domain = (polytopes.layer < 0) & (found.owner >= 0)
    outer[found.owner[domain]] = True
    count = len(polytopes)
    return Walls(
        found.centers, np.maximum(found.sizes, 0.0), np.repeat(np.arange(count), np.diff(found.offsets)),
        found.points, polytopes.G[found.row], polytopes.h[found.row], ~outer, np.zeros(count, dtype=bool),
    )  # fmt: skip


def _one_by_one(polytopes: Polytopes, points: Floats) -> Iterator[Walls]:
    from splinegraph.analyses.regions.neighborhood.wide import wide

    for i, point in enumerate(points):
        inside, span = _inside(polytopes, i, point)
        zero = np.zeros((1, len(span)))
        found = _compiled(inside, zero) if 0 < len(span) <= COMPILED else wide(inside)
        yield Walls(
            point + found.centers @ span, found.radii, found.cell, point + found.points @ span,
            found.normals @ span, found.rhs + (found.normals @ span) @ point, found.inner, found.unsure,
        )  # fmt: skip


def _span(G: Floats) -> Floats:
    """Return an orthonormal basis of the rows' span, shape (rank, D); the axes if they span everything."""
    if not len(G):
        return np.zeros((0, G.shape[1]))
    filled = np.unique(np.nonzero(G)[1])
    if len(filled) <= len(G):  # cheap, and enough where coordinates are dead
        rank = int(np.linalg.matrix_rank(G[:, filled], tol=RANK * np.sqrt(len(G))))
        if rank == len(filled):
            return np.asarray(np.eye(G.shape[1])[filled])
    _, values, basis = np.linalg.svd(G, full_matrices=False)
    return np.asarray(basis[values > RANK * values[0]])


def _joined(parts: list[Walls]) -> Walls:
    columns = [np.concatenate([getattr(p, name) for p in parts]) for name in Walls.__dataclass_fields__]
    found = Walls(*columns)
    counts = [len(p.cell) for p in parts]
    return Walls(**{**found.__dict__, "cell": np.repeat(np.arange(len(parts)), counts)})


def thin(radii: Floats, size: float) -> NDArray[np.bool_]:
    """Return which cells count as having no interior."""
    return np.asarray(radii <= THIN * size)
