"""Where and how nodes and edges are drawn: positions, sizes, colors, shapes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from splinegraph.export.graphs.cleaning import COLOR, Cleaned
from splinegraph.export.graphs.layout import GAP, layout
from splinegraph.export.graphs.palette import DEFAULT, EDGE, FAMILIES

__all__ = ["Drawing", "add_drawing", "draw", "node_color"]

_SMALLEST, _LARGEST = 8.0, 32.0


@dataclass(frozen=True)
class Drawing:
    """How a clean graph is drawn, in the order of its nodes and edges.

    Parameters
    ----------
    positions : list of (x, y)
        To the right and up; about 100 apart.
    sizes : list of float
    colors : list of str
        As ``#rrggbb``.
    shapes : list of str
        disc, square or diamond.
    edge_colors : list of str
    thicknesses : list of float
    """

    positions: list[tuple[float, float]]
    sizes: list[float]
    colors: list[str]
    shapes: list[str]
    edge_colors: list[str]
    thicknesses: list[float]


def draw(cleaned: Cleaned) -> Drawing:
    """Return how to draw a clean graph.

    What the graph itself says comes first: networkx's `viz`, then the attributes `x`, `y`, `size`, `color`
    and, of edges, `color`, `thickness` or `weight`. The rest is computed: positions by `layout`, sizes from the
    logarithm of `units`, colors by `family`.

    Parameters
    ----------
    cleaned : Cleaned
    """
    graph = cleaned.graph
    rows = [(data, cleaned.viz.get(name, {})) for name, data in graph.nodes(data=True)]
    given = [_position(data, viz) for data, viz in rows]
    positions = [p for p in given if p is not None]
    scale = 1.0
    if len(positions) < len(rows) or not rows:
        positions = [(round(x, 3) + 0.0, round(y, 3) + 0.0) for x, y in layout(graph).tolist()]
    else:
        scale = _spacing(np.array(positions)) / GAP
    edges = [data for _, _, data in graph.edges(data=True)]
    return Drawing(
        positions=positions,
        sizes=[_size(data, viz, scale) for data, viz in rows],
        colors=[_viz_color(viz) or node_color(data) for data, viz in rows],
        shapes=[_shape(data) for data, _ in rows],
        edge_colors=[data.get("color", EDGE) for data in edges],
        thicknesses=[_thickness(data) for data in edges],
    )


def node_color(data: Mapping[str, Any]) -> str:
    """Return the color of a node: its own, else that of its family."""
    color = data.get("color")
    return str(color) if color else FAMILIES.get(str(data.get("family")), DEFAULT)


def _finite(*values: object) -> bool:
    return all(isinstance(v, int | float) and math.isfinite(v) for v in values)


def _position(data: Mapping[str, Any], viz: Mapping[str, Any]) -> tuple[float, float] | None:
    place = viz.get("position")
    if isinstance(place, Mapping) and _finite(place.get("x"), place.get("y")):
        return float(place["x"]), float(place["y"])
    return (data["x"], data["y"]) if "x" in data and "y" in data else None


def _size(data: Mapping[str, Any], viz: Mapping[str, Any], scale: float) -> float:
    for given in (viz.get("size"), data.get("size")):
        if _finite(given) and float(given) >= 0:  # type: ignore[arg-type]
            return float(given)  # type: ignore[arg-type]
    units = data.get("units", 10)
    grown = 4 * math.log10(max(units, 1)) if _finite(units) else 0.0
    return float(f"{min(_SMALLEST + grown, _LARGEST) * scale:.3g}")


def _viz_color(viz: Mapping[str, Any]) -> str:
    color = viz.get("color")
    if not isinstance(color, Mapping):
        return ""
    channels = [color.get(channel) for channel in "rgb"]
    if not all(isinstance(c, int) and 0 <= c <= 255 for c in channels):
        return ""
    text = "#" + "".join(f"{c:02X}" for c in channels)
    return text if COLOR.fullmatch(text) else ""


def _shape(data: Mapping[str, Any]) -> str:
    if data.get("family") == "input":
        return "square"
    return "diamond" if data.get("exact") is False else "disc"


def _thickness(data: Mapping[str, Any]) -> float:
    given = data.get("thickness", data.get("weight", 1.0))
    return float(given) if given > 0 else 1.0


def _spacing(points: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    """Return the usual distance to the nearest other point."""
    from scipy.spatial import cKDTree

    different = np.unique(points, axis=0)
    if len(different) < 2:
        return GAP
    distances, _ = cKDTree(different).query(different, k=2)
    return float(np.median(distances[:, 1])) or GAP


def add_drawing(cleaned: Cleaned) -> None:
    """Set `x`, `y`, `size` and `color` of the nodes, and `color` and `thickness` of the edges, of a clean graph."""
    graph, drawing = cleaned.graph, draw(cleaned)
    for index, data in enumerate(graph.nodes[name] for name in graph):
        x, y = drawing.positions[index]
        data.update(x=x, y=y, size=drawing.sizes[index], color=drawing.colors[index])
    for index, (_, _, data) in enumerate(graph.edges(data=True)):
        data.update(color=drawing.edge_colors[index], thickness=drawing.thicknesses[index])
