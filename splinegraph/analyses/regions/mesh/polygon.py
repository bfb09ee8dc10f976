"""The polygon that a domain of two free coordinates is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from splinegraph.core.domains.chart import Chart
from splinegraph.errors import DomainError

__all__ = ["polygon"]

Floats = NDArray[np.float64]

SAME_POINT = 1e-14
"""Corners closer than this, relative to the size of the domain, are one."""


def polygon(chart: Chart) -> Floats:
    """Return the corners of a domain with D = 2, counterclockwise, shape (m, 2).

    Raises
    ------
    DomainError
        If it is unbounded, or has no interior.
    """
    if not chart.bounded:
        raise DomainError("the domain is unbounded", remedy="give finite bounds")
    (x0, y0), (x1, y1) = chart.lower.tolist(), chart.upper.tolist()
    corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
    if not len(chart.h):
        return corners
    for g, h in zip(chart.G.numpy(), chart.h.numpy(), strict=True):
        corners = _clip(corners, g, float(h))
    if len(corners) < 3 or not _area(corners) > SAME_POINT * max(x1 - x0, y1 - y0) ** 2:
        raise DomainError("the domain has no interior", why="its constraints leave no area")
    return corners


def _clip(corners: Floats, g: Floats, h: float) -> Floats:
    """Return the part of a convex polygon where g t <= h."""
    if not len(corners):
        return corners
    over = corners @ g - h
    scale = float(np.abs(g).sum() * np.abs(corners).max() + abs(h))
    over[np.abs(over) <= SAME_POINT * scale] = 0.0
    if (over <= 0).all():
        return corners
    kept = []
    for i, (here, value) in enumerate(zip(corners, over, strict=True)):
        j = (i + 1) % len(corners)
        if value <= 0:
            kept.append(here)
        if value * over[j] < 0:
            kept.append(here + value / (value - over[j]) * (corners[j] - here))
    return np.array(kept).reshape(-1, 2)


def _area(corners: Floats) -> float:
    following = np.roll(corners, -1, axis=0) - corners[0]
    here = corners - corners[0]
    return float((here[:, 0] * following[:, 1] - here[:, 1] * following[:, 0]).sum() / 2)
