"""Figures of graphs."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from splinegraph.errors import DataError
from splinegraph.export.files import writing
from splinegraph.export.graphs.boxes import draw_boxes, figure_of
from splinegraph.export.graphs.cleaning import clean
from splinegraph.export.graphs.drawing import draw
from splinegraph.export.graphs.folding import fold
from splinegraph.export.graphs.layout import edge_numbers, layered_layout
from splinegraph.export.graphs.operators import as_networkx
from splinegraph.export.graphs.palette import EDGE, FAMILIES

if TYPE_CHECKING:
    import networkx
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox

    from splinegraph.core.graph import SplineGraph

__all__ = ["SUFFIXES", "plot_graph", "save_figure", "write_figure"]

SUFFIXES = ("svg", "png", "pdf")

_BOXES = 250
"""Graphs with more nodes are drawn as dots."""

_LARGEST = 40.0
"""Longest side of a figure, in inches."""


def plot_graph(graph: SplineGraph | networkx.Graph[Any], ax: Axes | None = None) -> Axes:
    """Draw a graph: operators as boxes with their shapes, colored by family, data flowing down.

    Long networks continue in the next column. Pale bands group the operators of a module. Up to 250 nodes have
    boxes, as long as their text stays readable; larger graphs and graphs without layers are drawn as dots.

    Parameters
    ----------
    graph : SplineGraph or networkx graph
        The operator graph is drawn of a SplineGraph.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default on a figure of its own, as large as the graph needs, which pyplot does not
        know of: ``ax.figure`` is it.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    DataError
        If `graph` is no graph.
    """
    cleaned = clean(as_networkx(graph))
    shown = cleaned.graph
    layered = layered_layout(shown, bend=0.3) if 0 < len(shown) <= _BOXES else None
    if layered is None:
        ax = _axes(10.0, 7.5) if ax is None else ax
        _dots(ax, shown, draw(cleaned))
    else:
        edges = edge_numbers(shown)
        page = fold(layered, edges)
        if ax is None:
            scale = min(1.0, _LARGEST / max(page.width, page.height))
            ax = _axes(max(page.width * scale, 3.0), page.height * scale + 0.7)
        draw_boxes(ax, page, shown, layered)
    title = str(shown.graph.get("name", ""))
    if title:
        ax.set_title(title, fontsize=11, parse_math=False)
    _legend(ax, {str(data.get("family")) for _, data in shown.nodes(data=True)})
    return ax


def save_figure(
    graph: SplineGraph | networkx.Graph[Any] | Axes, path: str | os.PathLike[str], *, kind: str | None = None
) -> Path:
    """Draw a graph into a file: svg, png or pdf.

    Parameters
    ----------
    graph : SplineGraph, networkx graph or matplotlib.axes.Axes
        Axes, such as `plot_graph` returns them, are written with the whole figure that they are on.
    path : str or path
    kind : {'svg', 'png', 'pdf'}, optional
        Default: the suffix of `path`.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    DataError
        If the kind is none of these, `graph` is no graph, or the file cannot be written; it is written whole
        or not at all.
    """
    from matplotlib.axes import Axes

    path = Path(path)
    kind = kind or path.suffix.lower().removeprefix(".")
    if kind not in SUFFIXES:
        remedy = f"let the name end in {', '.join('.' + s for s in SUFFIXES[:-1])} or .{SUFFIXES[-1]}"
        raise DataError(f"cannot draw {path.name!r}", why=f"{path.suffix or 'no suffix'} is no figure", remedy=remedy)
    write_figure(figure_of(graph if isinstance(graph, Axes) else plot_graph(graph)), path, kind)
    return path


def write_figure(figure: Figure, path: Path, kind: str, box: Bbox | None = None) -> None:
    """Write a figure, the same file each time for the same figure.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    path : Path
    kind : {'svg', 'png', 'pdf'}
    box : Bbox, optional
        What to write of it, in inches; by default all that is drawn, which takes another drawing to find out.

    Raises
    ------
    DataError
        If the file cannot be written; it is written whole or not at all.
    """
    import matplotlib as mpl

    undated: dict[str, dict[str, None]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    with writing(path) as file, warnings.catch_warnings(), mpl.rc_context({"svg.hashsalt": "splinegraph"}):
        warnings.filterwarnings("ignore", r"Glyph .* missing from")  # a box is drawn in place of the character
        figure.savefig(
            file, format=kind, dpi=150, bbox_inches=box or "tight", pad_inches=0.15, metadata=undated.get(kind)
        )


def _axes(width: float, height: float) -> Axes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure.add_axes((0.0, 0.0, 1.0, (height - 0.7) / height))


def _dots(ax: Axes, graph: networkx.Graph[Any], drawing: Any) -> None:
    """Draw nodes as dots and edges as lines."""
    import numpy as np
    from matplotlib.collections import LineCollection

    points = np.array(drawing.positions).reshape(-1, 2)
    ends = edge_numbers(graph)
    many = len(graph)
    if ends:
        width = min(1.0, 60 / len(ends) ** 0.6)
        lines = points[np.array(ends)]
        ax.add_collection(LineCollection(list(lines), colors=EDGE, linewidths=width, zorder=1))
    radius = min(1.0, 60 / max(many, 1) ** 0.75)
    sizes = np.array(drawing.sizes) / max(drawing.sizes, default=1.0)
    areas, rims = 260 * radius * sizes**2, 0.4 * radius
    ax.scatter(points[:, 0], points[:, 1], areas, drawing.colors, linewidths=rims, edgecolors="#444444", zorder=2)
    if many <= 60:
        for (x, y), (_, data) in zip(drawing.positions, graph.nodes(data=True), strict=True):
            ax.annotate(
                data["label"][:24], (x, y), (0, -9), textcoords="offset points", ha="center", va="top", fontsize=7,
                parse_math=False,
            )  # fmt: skip
    ax.margins(0.06)
    ax.set_axis_off()


def _legend(ax: Axes, families: set[str]) -> None:
    from matplotlib.patches import Patch

    present = [family for family in FAMILIES if family in families]
    if present:
        handles = [Patch(facecolor=FAMILIES[f], edgecolor="#444444", linewidth=0.5, label=f) for f in present]
        ax.legend(
            handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=min(len(present), 5),
            fontsize=8, frameon=False, handlelength=1.2, handleheight=1.0, columnspacing=1.2,
        )  # fmt: skip
