"""Vertices and volumes of many small polytopes."""

from __future__ import annotations

import numpy as np

from splinegraph.analyses.regions.geometry.boxes import bounding_boxes
from splinegraph.analyses.regions.geometry.facets import Facets, facets
from splinegraph.analyses.regions.geometry.polytopes import Floats, Ints, Polytopes
from splinegraph.analyses.regions.tolerances import THIN
from splinegraph.errors import DomainError

__all__ = ["vertices", "volumes"]

COMPILED = 4
"""Dimension up to which volumes are summed over faces; there are many faces beyond, and qhull is faster."""

FALLBACK = 6
"""Dimension up to which they are summed where qhull gives up: tens of milliseconds each."""

EQUAL = 1e-9
"""Corners nearer to each other than this, in a polytope scaled to inscribed radius one, are one."""


def vertices(polytopes: Polytopes, points: Floats | None = None, *, found: Facets | None = None) -> tuple[Floats, Ints]:
    """Return the vertices of each polytope.

    Parameters
    ----------
    polytopes : Polytopes
    points : array of shape (N, D), optional
        Points inside, or near; default: the origin.
    found : Facets, optional
        Their facets, where they are known.

    Returns
    -------
    vertices : array of shape (V, D)
    offsets : array of shape (N + 1,), int64
        Vertices ``offsets[i] : offsets[i + 1]`` are those of polytope i; for D = 2 counterclockwise.

    Raises
    ------
    DomainError
        If a polytope is unbounded.

    Notes
    -----
    D = 1, 2: sorting the facets. More: qhull, about half a millisecond each for D = 3.

    Examples
    --------
    >>> triangle = Polytopes.of([[-1, 0], [0, -1], [1, 1]], [0, 0, 1])
    >>> corners, offsets = vertices(triangle)
    >>> (corners + 0.0).round(9).tolist()
    [[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]
    """
    known = facets(polytopes, points) if found is None else found
    if polytopes.dim == 1:
        return known.points, known.offsets
    if polytopes.dim == 2:
        return _corners(polytopes, known)
    parts = [_hull(polytopes, known, i) for i in range(len(polytopes))]
    counts = [len(part) for part in parts]
    return np.concatenate([np.zeros((0, polytopes.dim)), *parts]), np.concatenate([[0], np.cumsum(counts)]).astype(int)


def _corners(polytopes: Polytopes, found: Facets) -> tuple[Floats, Ints]:
    """Return where each side of a polygon meets the next one."""
    owner = np.repeat(np.arange(len(polytopes)), np.diff(found.offsets))
    normals = polytopes.G[found.row]
    order = np.lexsort((np.arctan2(normals[:, 1], normals[:, 0]), owner))
    first = found.offsets[:-1][owner]
    last = np.arange(len(order)) == found.offsets[1:][owner] - 1
    here, there = order, order[np.where(last, first, np.arange(len(order)) + 1)]
    a, b = normals[here], normals[there]
    turn = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    if (turn <= 0).any():
        raise _unbounded(int(owner[np.argmax(turn <= 0)]))
    center = found.centers[owner]  # near the polygon: no cancellation
    s, t = (polytopes.h[found.row[k]] - np.einsum("fd,fd->f", polytopes.G[found.row[k]], center) for k in (here, there))
    corner = np.stack([s * b[:, 1] - t * a[:, 1], t * a[:, 0] - s * b[:, 0]], axis=1) / turn[:, None]
    return corner + center, found.offsets


def _scaled(polytopes: Polytopes, found: Facets, i: int) -> tuple[Floats, Floats]:
    """Return the needed rows of a polytope around its center, in units of its inscribed radius."""
    rows = found.row[found.of(i)]
    G = polytopes.G[rows]
    return G, (polytopes.h[rows] - G @ found.centers[i]) / found.sizes[i]


def _hull(polytopes: Polytopes, found: Facets, i: int) -> Floats:
    from scipy.spatial import HalfspaceIntersection

    G, s = _scaled(polytopes, found, i)
    if not len(s):
        return np.zeros((0, polytopes.dim))
    if not _bounded(G):
        raise _unbounded(i)
    corners = HalfspaceIntersection(np.c_[G, -s], np.zeros(polytopes.dim)).intersections
    _, first = np.unique((corners / EQUAL).round(), axis=0, return_index=True)  # several facets meet there
    return np.asarray(found.centers[i] + found.sizes[i] * corners[np.sort(first)])


def _bounded(G: Floats) -> bool:
    """Return whether {y : G y <= 1} is bounded: whether the box around it is."""
    return bool(np.isfinite(bounding_boxes(Polytopes.of(G, np.ones(len(G))))).all())


def _unbounded(i: int) -> DomainError:
    return DomainError(f"polytope {i} is unbounded", remedy="bound the domain")


def volumes(polytopes: Polytopes, points: Floats | None = None, *, found: Facets | None = None) -> Floats:
    """Return the volume of each polytope, exact up to rounding, shape (N,).

    Parameters
    ----------
    polytopes : Polytopes
    points : array of shape (N, D), optional
        Points inside, or near; default: the origin.
    found : Facets, optional
        Their facets, where they are known.

    Returns
    -------
    array of shape (N,)
        0 without interior, infinite where unbounded, nan where qhull gave up (beyond `FALLBACK` dimensions).

    Notes
    -----
    Up to `COMPILED` dimensions: D vol(P) is the sum over facets of distance times volume, and so on within the
    facets; microseconds for D = 2, half a millisecond for D = 4. Beyond: the hull of the vertices (qhull).

    References
    ----------
    .. [1] J. Lasserre, "An analytical expression and an algorithm for the volume of a convex polyhedron in R^n",
       Journal of Optimization Theory and Applications 39, 1983.

    Examples
    --------
    >>> volumes(Polytopes.of([[-1, 0], [0, -1], [1, 1]], [0, 0, 1])).round(9).tolist()
    [0.5]
    """
    known = facets(polytopes, points) if found is None else found
    needed = polytopes.only(known.row)
    if polytopes.dim > COMPILED:
        measured = np.array([_hull_volume(polytopes, known, i) for i in range(len(polytopes))])
        again = np.flatnonzero(np.isnan(measured)) if polytopes.dim <= FALLBACK else np.arange(0)
    else:
        measured, again = np.zeros(len(polytopes)), np.arange(len(polytopes))
    if len(again):
        from splinegraph.analyses.regions.geometry.kernels import volume

        part = needed[again]
        measured[again] = volume.volumes(part.G, part.h, part.offsets, known.centers[again], known.sizes[again])
    sides = np.stack(bounding_boxes(needed, known.centers))
    endless = (np.isinf(sides).any((0, 2)) | (np.diff(needed.offsets) == 0)) & (known.sizes > THIN * polytopes.size)
    return np.where(endless, np.inf, measured)


def _hull_volume(polytopes: Polytopes, found: Facets, i: int) -> float:
    from scipy.spatial import ConvexHull, QhullError

    if found.offsets[i] == found.offsets[i + 1]:
        return 0.0
    try:
        corners = _hull(polytopes, found, i) - found.centers[i]
        return float(ConvexHull(corners / found.sizes[i]).volume * found.sizes[i] ** polytopes.dim)
    except DomainError:
        return np.inf
    except QhullError:
        return float("nan")
