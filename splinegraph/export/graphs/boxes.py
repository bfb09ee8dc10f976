"""The figure of a layered graph: boxes, curves, bands."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from splinegraph.errors import DataError
from splinegraph.export.graphs.drawing import node_color
from splinegraph.export.graphs.folding import BOX, Page
from splinegraph.export.graphs.layered import Layered
from splinegraph.export.graphs.palette import EDGE, ink

if TYPE_CHECKING:
    import networkx
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_boxes", "figure_of"]

_SMALLEST = 3.0
"""Text smaller than this, in points, is left out."""

_LONGEST = 32
"""Characters of a label that fit into a box."""

_ROOM = 72 * (BOX[0] - 0.1) / 0.56
"""Points that a line of text may have, times its characters: these are about 0.56 as wide as high."""

_BANDS = 14
"""Module paths are cut so that there are at most so many bands."""

Point = tuple[float, float]


def draw_boxes(ax: Axes, page: Page, graph: networkx.Graph[Any], layered: Layered) -> None:
    """Draw a graph on axes, one unit an inch of the page."""
    ax.set_xlim(0, page.width)
    ax.set_ylim(0, page.height)
    ax.set_aspect("equal")
    ax.set_axis_off()
    inches = ax.get_window_extent().transformed(figure_of(ax).dpi_scale_trans.inverted())
    scale = min(inches.width / page.width, inches.height / page.height)
    rows = [data for _, data in graph.nodes(data=True)]
    _bands(ax, page, layered, [str(data.get("module", "")) for data in rows], scale)
    _edges(ax, page, scale, directed=graph.is_directed())
    _nodes(ax, page, rows, scale)


def figure_of(ax: Axes) -> Figure:
    """Return the whole figure that axes are on."""
    figure = ax.get_figure(root=True)
    if figure is None:
        raise DataError("these axes are on no figure", remedy="give axes that are not removed from theirs")
    return figure


def _nodes(ax: Axes, page: Page, rows: list[dict[str, Any]], scale: float) -> None:
    from matplotlib.patches import FancyBboxPatch

    for (x, y), data in zip(page.centers, rows, strict=True):
        color = node_color(data)
        inexact = data.get("exact") is False
        ax.add_patch(
            FancyBboxPatch(
                (x - BOX[0] / 2, y - BOX[1] / 2), *BOX, boxstyle="round,pad=0,rounding_size=0.08", facecolor=color,
                edgecolor="#222222" if inexact or data.get("output") is True else "#555555", zorder=3,
                linewidth=(1.6 if data.get("output") is True else 0.7) * scale, linestyle="--" if inexact else "-",
            )
        )  # fmt: skip
        label, shape = _cut(str(data["label"])), str(data.get("shape", ""))
        for text, up, size in ((label, 0.075 if shape else 0.0, 7.5), (shape, -0.095, 6.3)):
            fitted = scale * min(size, _ROOM / max(len(text), 1))
            if text and fitted >= _SMALLEST:
                ax.text(
                    x, y + up, text, ha="center", va="center", fontsize=fitted, color=ink(color), zorder=4,
                    parse_math=False,
                )  # fmt: skip


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _edges(ax: Axes, page: Page, scale: float, *, directed: bool) -> None:
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path as Curve

    for route in page.routes:
        vertices, codes = [route[0]], [Curve.MOVETO]
        for a, b in itertools.pairwise(route):
            more = _curve(a, b)
            vertices += more
            codes += [Curve.CURVE4] * 3 if len(more) == 3 else [Curve.LINETO]
        ax.add_patch(
            FancyArrowPatch(
                path=Curve(vertices, codes), arrowstyle="-|>" if directed else "-", mutation_scale=7 * scale,
                linewidth=0.9 * scale, color=EDGE, zorder=2, shrinkA=0, shrinkB=0,
            )
        )  # fmt: skip


def _curve(a: Point, b: Point) -> list[Point]:
    """Return what follows `a` on the way to `b`: a line along an axis, else a curve that starts and ends upright."""
    if a[0] == b[0] or a[1] == b[1]:
        return [b]
    middle = (a[1] + b[1]) / 2
    return [(a[0], middle), (b[0], middle), b]


def _bands(ax: Axes, page: Page, layered: Layered, modules: list[str], scale: float) -> None:
    """Put a pale band behind runs of layers whose operators belong to one module, and its name beside it."""
    from matplotlib.patches import Rectangle

    names = _groups(layered.layer, modules)
    for first, last, left, right in page.columns:
        layers = range(first, last + 1)
        for index, (name, run) in enumerate(itertools.groupby(layers, key=lambda at: names[at])):
            rows = list(run)
            if not name:
                continue
            bottom, top = page.tops[rows[-1]] - 0.29, page.tops[rows[0]] + 0.29
            shade = "#F3F4F6" if index % 2 else "#ECEEF2"
            corner, width = (left - 0.2, bottom), right - left + 0.3
            ax.add_patch(Rectangle(corner, width, top - bottom, facecolor=shade, edgecolor="none", zorder=0))
            room = int((top - bottom) / 0.062)
            if 6 * scale >= _SMALLEST and room >= min(len(name), 5):
                text = name if len(name) <= room else name[: room - 1] + "…"
                ax.text(
                    left - 0.11, (top + bottom) / 2, text, rotation=90, ha="center", va="center", color="#5A6070",
                    fontsize=6 * scale, zorder=1, parse_math=False,
                )  # fmt: skip


def _groups(layer: list[int], modules: list[str]) -> list[str]:
    """Return for each layer the module that its operators share, at the depth that gives a good number of runs."""
    count = max(layer, default=-1) + 1
    best = [""] * count
    for depth in range(1, 5):
        found: list[set[str]] = [set() for _ in range(count)]
        for at, module in zip(layer, modules, strict=True):
            if module:
                found[at].add(".".join(module.split(".")[:depth]))
        names = [next(iter(group)) if len(group) == 1 else "" for group in found]
        runs = sum(1 for name, _ in itertools.groupby(names) if name)
        if depth > 1 and (runs > _BANDS or runs > count / 2):
            break
        best = names
    return best
