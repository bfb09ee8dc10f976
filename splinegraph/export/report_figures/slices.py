"""The figure of the slice of a report: cells, classes, the decision boundary, samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from splinegraph.analyses.canvas import blank
from splinegraph.analyses.regions.figures.colors import BOUNDARY, INK, MISSING, class_colors, rgb, shaded
from splinegraph.analyses.regions.figures.painting import fill, line_width, polylines, scatter
from splinegraph.export.report_figures.parts import Record, plain, rows, section

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_slice"]

RASTER = 20_000
"""More pieces than this are an image inside a vector figure."""


def draw_slice(report: Record) -> Axes | None:
    """Draw the slice, None if the report has no picture of it."""
    found = section(report, "regions")
    picture = found.get("picture")
    if not picture or not picture.get("cells"):
        return None
    ax = blank(6.4, 5.6).add_subplot()
    ax.set_facecolor(MISSING)
    _set_limits(ax, picture)
    vertices = np.asarray(picture["vertices"], dtype=np.float64).reshape(-1, 2)
    cells = [vertices[np.asarray(cell, dtype=np.int64)] for cell in picture["cells"]]
    many = len(cells) > RASTER
    classes = _pieces(ax, picture, cells, raster=many)
    width = line_width(ax, len(cells))
    polylines(
        ax, [np.concatenate([cell, cell[:1]]) for cell in cells], "#2C2C38", width / 2, zorder=2, alpha=0.6,
        rasterized=many,
    )  # fmt: skip
    boundary = np.asarray(rows(picture, "boundary"), dtype=np.float64).reshape(-1, 2, 2)
    for color, thickness, order in (("white", 3.0, 3), (BOUNDARY, 1.5, 4)) if len(boundary) else ():
        polylines(ax, boundary, color, thickness, zorder=order)
    _points(ax, picture)
    _legend(ax, classes, drawn=len(boundary) > 0, single=picture.get("outputs") == 1 or -1 in classes)
    count = f"{found['cells']} cells, {found['linear_regions']} linear regions"
    ax.set_title(f"{count}; shades only tell cells apart", fontsize=9, color=INK)
    return ax


def _set_limits(ax: Axes, picture: Record) -> None:
    (left, right), (low, high) = picture["extent"]
    ax.set_xlim(left, right)
    ax.set_ylim(low, high)
    ratio = (high - low) / (right - left) if right > left else 1.0
    ax.set_aspect("equal" if 0.2 < ratio < 5 else "auto", adjustable="box")
    for axis, name in zip((ax.xaxis, ax.yaxis), picture["axes"], strict=True):
        axis.set_label_text(plain(name), color=INK, parse_math=False)
    ax.tick_params(colors=INK, labelsize=8)
    for spine in ax.spines.values():
        spine.set(color=INK, linewidth=0.6)


def _pieces(ax: Axes, picture: Record, cells: list[Any], *, raster: bool) -> dict[int, str]:
    """Fill the pieces on which one output is the largest, and return the color of each of these outputs."""
    pieces = rows(picture, "pieces")
    if not pieces:  # nothing to tell apart by
        grey = np.full((len(cells), 3), 0.85)
        fill(ax, cells, shaded(grey, np.arange(len(cells))), raster=raster)
        return {}
    colors = class_colors(sorted({int(piece["output"]) for piece in pieces}))
    base = np.array([rgb(colors[int(piece["output"])]) for piece in pieces])
    corners = [np.asarray(piece["corners"], dtype=np.float64) for piece in pieces]
    fill(ax, corners, shaded(base, np.array([piece["cell"] for piece in pieces])), raster=raster)
    return colors


def _points(ax: Axes, picture: Record) -> None:
    points = rows(picture, "points")
    if points:
        labels = [
            f"sample {p['sample']}" + ("" if p.get("label") is None else f", class {plain(p['label'])}") for p in points
        ]
        scatter(ax, np.array([p["at"] for p in points], dtype=np.float64).reshape(-1, 2), labels)


def _side(output: int, *, single: bool) -> str:
    """Return what a color says: which output is the largest, or of a single one the sign, -1 for f <= 0."""
    return f"output {output} largest" if not single else "f ≤ 0" if output < 0 else "f > 0"


def _legend(ax: Axes, classes: dict[int, str], *, drawn: bool, single: bool) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = [
        Patch(facecolor=color, edgecolor=INK, linewidth=0.4, label=_side(c, single=single))
        for c, color in classes.items()
    ]
    if drawn:
        handles.append(Line2D([], [], color=BOUNDARY, linewidth=1.5, label="decision boundary"))
    if handles:
        ax.legend(
            handles=handles, loc="upper left", bbox_to_anchor=(1.02, 1.0), borderaxespad=0.0, frameon=False, fontsize=8,
            labelcolor=INK, handlelength=1.1, handleheight=1.1,
        )  # fmt: skip
