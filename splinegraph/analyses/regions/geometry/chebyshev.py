"""The largest balls in many small polytopes."""

from __future__ import annotations

from splinegraph.analyses.regions.geometry.polytopes import Floats, Polytopes

__all__ = ["chebyshev"]


def chebyshev(polytopes: Polytopes, points: Floats | None = None) -> tuple[Floats, Floats]:
    """Return center and radius of a largest ball in each polytope.

    Parameters
    ----------
    polytopes : Polytopes
    points : array of shape (N, D), optional
        Where to start: points inside, or near, give the best accuracy. Default: the origin.

    Returns
    -------
    centers : array of shape (N, D)
    radii : array of shape (N,)
        The distance from the center to the nearest row: a ball that fits, to rounding, whatever the search did.
        Not positive where the polytope has no interior. Where balls grow for ever, one that is large beside
        the start.

    Notes
    -----
    One linear program of D + 1 variables each: O(R D) per pivot, about 2 D pivots, no phase 1.

    Examples
    --------
    >>> square = Polytopes.of([[1, 0], [-1, 0], [0, 1], [0, -1]], [3, 1, 1, 1])
    >>> centers, radii = chebyshev(square)
    >>> radii.tolist(), centers[0, 1].item()
    ([1.0], 0.0)
    """
    from splinegraph.analyses.regions.geometry.kernels.survey import BALLS, survey

    found = survey(polytopes.G, polytopes.h, polytopes.offsets, polytopes.starts(points), BALLS)
    return found.centers, found.sizes
