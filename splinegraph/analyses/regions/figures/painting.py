"""Many polygons and many lines on axes, in files that stay small."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.regions.cells import Floats
from splinegraph.analyses.regions.figures.colors import INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.path import Path

__all__ = ["LABELED", "fill", "line_width", "polylines", "scatter"]

TOGETHER = 128
"""Polygons and lines in one path: a path each makes large files, one path of all takes long to draw."""

LABELED = 30
"""Up to so many points are labeled."""


def fill(ax: Axes, corners: Sequence[Floats], colors: NDArray[np.float64], *, raster: bool) -> None:
    """Draw polygons: those of one color share paths, which keeps files small; or as an image.

    The limits of the axes stay: to find them out of all corners would take longer than the drawing.

    Parameters
    ----------
    ax : Axes
    corners : sequence of array, shape (K, 2)
    colors : array, shape (N, 3)
    raster : bool
    """
    from matplotlib.collections import PolyCollection
    from matplotlib.patches import PathPatch

    if raster:
        how: dict[str, Any] = {"edgecolors": "none", "antialiaseds": False, "rasterized": True}
        ax.add_collection(PolyCollection(corners, facecolors=colors, zorder=1, **how), autolim=False)
        return
    colors, which = np.unique(colors, axis=0, return_inverse=True)
    order = np.argsort(which.reshape(-1), kind="stable")
    for color, places in zip(colors, np.split(order, np.cumsum(np.bincount(which.reshape(-1)))[:-1]), strict=True):
        for start in range(0, len(places), TOGETHER):
            path = _path([corners[i] for i in places[start : start + TOGETHER].tolist()], closed=True)
            # the rim covers the hair-lines that antialiasing leaves between neighbors
            ax.add_artist(PathPatch(path, facecolor=color, edgecolor=color, linewidth=0.15, zorder=1))


def polylines(ax: Axes, lines: Sequence[Floats] | Floats, color: str, width: float, **how: Any) -> None:
    """Draw lines (K, 2) of one color and width."""
    from matplotlib.patches import PathPatch

    for start in range(0, len(lines), TOGETHER):
        path = _path(lines[start : start + TOGETHER])
        ax.add_artist(PathPatch(path, fill=False, edgecolor=color, linewidth=width, capstyle="round", **how))


def _path(lines: Sequence[Floats] | Floats, *, closed: bool = False) -> Path:
    """Return many lines as one path."""
    from matplotlib.path import Path

    lengths = np.array([len(line) for line in lines])
    if closed:
        lines = [np.concatenate([line, line[:1]]) for line in lines]
        lengths = lengths + 1
    kinds = np.full(int(lengths.sum()), Path.LINETO, dtype=np.uint8)
    kinds[np.cumsum(lengths)[:-1]] = Path.MOVETO
    kinds[0] = Path.MOVETO
    if closed:
        kinds[np.cumsum(lengths) - 1] = Path.CLOSEPOLY
    return Path(np.concatenate(list(lines)), kinds)


def line_width(ax: Axes, faces: int) -> float:
    """Return how wide lines between cells are, in points: the more cells the thinner."""
    side = 72 * min(ax.get_window_extent().width, ax.get_window_extent().height) / ax.figure.dpi
    return float(np.clip(0.035 * side / np.sqrt(max(faces, 1)), 0.0, 0.7))


def scatter(ax: Axes, points: Floats, labels: Sequence[str] | None) -> None:
    """Draw points (N, 2), with their labels if there are few."""
    from matplotlib.patheffects import withStroke

    few = len(points) <= LABELED
    ax.scatter(
        points[:, 0], points[:, 1], s=42 if few else 9, c="white", edgecolors="black", linewidths=1.2 if few else 0.5,
        zorder=6, clip_on=not few,
    )  # fmt: skip
    if labels is None or not few:
        return
    for (x, y), text in zip(points, labels, strict=True):
        ax.annotate(
            text, (x, y), (0, 8), textcoords="offset points", ha="center", va="bottom", fontsize=8, color=INK,
            path_effects=[withStroke(linewidth=2.5, foreground="white")], zorder=7, parse_math=False,
        )  # fmt: skip
