"""Which inequalities of many small polytopes are facets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from splinegraph.analyses.regions.geometry.polytopes import Floats, Ints, Polytopes
from splinegraph.analyses.regions.tolerances import ON_BOUNDARY, THIN

__all__ = ["Facets", "facets"]


@dataclass(frozen=True, eq=False)
class Facets:
    """The facets of N polytopes; made by `facets`.

    Parameters
    ----------
    offsets : array of shape (N + 1,), int64
        Facets ``offsets[i] : offsets[i + 1]`` are those of polytope i, in the order of their rows.
    row : array of shape (F,), int64
        The first row of the polytopes that lies in the facet's plane.
    owner : array of shape (R,), int64
        For each row the facet in whose plane it lies, -1 if it is redundant.
    points : array of shape (F, D)
        The center of a largest ball within each facet.
    radii : array of shape (F,)
        Its radius, measured in the facet's plane against all rows; infinite for D = 1.
    centers : array of shape (N, D)
        The centers of the largest balls in the polytopes.
    sizes : array of shape (N,)
        Their radii; a polytope that is thinner than `THIN` has no facets here.
    """

    offsets: Ints
    row: Ints
    owner: Ints
    points: Floats
    radii: Floats
    centers: Floats
    sizes: Floats

    def __len__(self) -> int:
        return len(self.row)

    def of(self, i: int) -> slice:
        """Return where the facets of polytope i lie."""
        return slice(int(self.offsets[i]), int(self.offsets[i + 1]))

    def rows(self, facet: int) -> Ints:
        """Return all rows in the plane of a facet: where several units switch at once."""
        return np.flatnonzero(self.owner == facet)


def facets(polytopes: Polytopes, points: Floats | None = None) -> Facets:
    """Return the facets of each polytope with a point in the relative interior of each.

    Parameters
    ----------
    polytopes : Polytopes
    points : array of shape (N, D), optional
        Points inside, or near; default: the origin.

    Returns
    -------
    Facets
        A row is a facet if a ball of radius `THIN` (relative to the domain's size) fits into it; rows that agree on
        the whole polytope to `ON_BOUNDARY` share one. Rows that only touch, and thin polytopes, have none.

    Notes
    -----
    Clarkson's method: rows met by rays from the center are kept, each other row is tested against those by a linear
    program that stops early and shows another row to keep if it fails; a bounding box settles most rows. About F + D
    programs of F rows per polytope, F its number of facets, and one of D variables in each facet.

    References
    ----------
    .. [1] K. Clarkson, "More output-sensitive geometric algorithms", FOCS 1994.

    Examples
    --------
    >>> square = Polytopes.of([[1, 0], [-1, 0], [0, 1], [0, -1], [1, 1], [2, 0]], [1, 1, 1, 1, 2, 2])
    >>> found = facets(square)  # the fifth row touches a corner, the sixth is the first again
    >>> found.row.tolist(), found.rows(0).tolist(), found.radii.round(9).tolist()
    ([0, 1, 2, 3], [0, 5], [1.0, 1.0, 1.0, 1.0])
    """
    from splinegraph.analyses.regions.geometry.kernels.survey import FACETS, survey

    offsets, thin = polytopes.offsets, THIN * polytopes.size
    slack, starts = ON_BOUNDARY * polytopes.size, polytopes.starts(points)
    found = survey(polytopes.G, polytopes.h, offsets, starts, FACETS, slack, thin)
    first = np.where(found.owner >= 0, found.owner + np.repeat(offsets[:-1], np.diff(offsets)), -1)
    wide = found.radii > thin  # nan where a row owns nothing
    row = np.flatnonzero(wide)
    number = np.cumsum(wide) - 1
    mine = (first >= 0) & wide[first]
    return Facets(
        np.searchsorted(row, offsets).astype(np.int64),
        row,
        np.where(mine, number[first], -1),
        found.points[row],
        found.radii[row],
        found.centers,
        found.sizes,
    )
