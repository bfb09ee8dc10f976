"""The smallest boxes around many small polytopes."""

from __future__ import annotations

import numpy as np

from splinegraph.analyses.regions.geometry.polytopes import Floats, Polytopes

__all__ = ["bounding_boxes"]


def bounding_boxes(polytopes: Polytopes, points: Floats | None = None) -> tuple[Floats, Floats]:
    """Return lower and upper bounds of the coordinates of each polytope, shape (N, D) each.

    Parameters
    ----------
    polytopes : Polytopes
    points : array of shape (N, D), optional
        Points inside, or near; default: the origin.

    Returns
    -------
    lower, upper : arrays of shape (N, D)
        Infinite where a polytope is unbounded, nan where it has no interior. Rounded as linear programs are.

    Notes
    -----
    One program for an inner ball, then 2 D that each start where the last one ended.

    Examples
    --------
    >>> triangle = Polytopes.of([[-1, 0], [0, -1], [1, 1]], [0, 0, 1])
    >>> lower, upper = bounding_boxes(triangle)
    >>> lower.round(9).tolist(), upper.round(9).tolist()
    ([[0.0, 0.0]], [[1.0, 1.0]])
    """
    from splinegraph.analyses.regions.geometry.kernels.survey import BOXES, survey

    found = survey(polytopes.G, polytopes.h, polytopes.offsets, polytopes.starts(points), BOXES)
    lower, upper, endless = found.lower, found.upper, np.isinf(found.sizes)
    lower[endless], upper[endless] = -np.inf, np.inf
    return lower + 0.0, upper + 0.0  # no negative zeros
