"""The figure of a partition of a plane: its cells, the decision boundary, the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from splinegraph.analyses.regions.cells import Floats
from splinegraph.analyses.regions.figures.colors import (
    BOUNDARY,
    INK,
    MISSING,
    apart,
    class_colors,
    rgb,
    shaded,
    wheel,
)
from splinegraph.analyses.regions.figures.faces import Faces, class_pieces, winners
from splinegraph.analyses.regions.figures.painting import LABELED, fill, line_width, polylines, scatter

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from splinegraph.analyses.regions.partition.partition import Partition

__all__ = ["Color", "draw_plane"]

Color = Literal["class", "norm", "region"]

RASTER = 20_000
"""More faces than this are an image inside a vector figure: the lines and the text stay lines and text."""

GRID = 48
"""Points on each side of the grid on which the places of the classes' numbers are looked for."""

THINNEST = 0.03
"""Lines that would be thinner, in points, are left out."""


@dataclass(frozen=True, eq=False)
class Shown:
    """What is drawn: polygons with a color each, and what explains the colors."""

    corners: list[Floats]
    colors: NDArray[np.float64]
    legend: Sequence[tuple[str, str]] = ()
    scale: Any = None
    label: str = ""
    boundary: Floats | None = None


def draw_plane(
    ax: Axes, partition: Partition, color: Color, points: Floats | None, labels: Sequence[str] | None
) -> None:
    """Draw a partition with D = 2 on axes."""
    faces = Faces.of(partition)
    shown = {"class": _by_class, "norm": _by_norm, "region": _by_region}[color](partition, faces)
    if color == "class":
        _number(ax, _places(partition, points))
    many = len(faces) > RASTER
    ax.set_facecolor(MISSING)
    fill(ax, shown.corners, shown.colors, raster=many)
    width = line_width(ax, len(faces))
    if width > THINNEST:
        polylines(ax, _sides(partition, faces), "#2C2C38", width, zorder=2, alpha=0.6, rasterized=many)
    if shown.boundary is not None and len(shown.boundary):
        polylines(ax, shown.boundary, "white", 3.0, zorder=3)
        polylines(ax, shown.boundary, BOUNDARY, 1.5, zorder=4)
    _frame(ax, partition)
    _explain(ax, shown)
    if points is not None and len(points):
        scatter(ax, points, labels)


def _sides(partition: Partition, faces: Faces) -> Sequence[Floats] | Floats:
    """Return the sides of all cells, each once where a mesh says which two cells share it."""
    mesh = partition.mesh
    if mesh is not None:
        return np.asarray(mesh.vertices[mesh.edges])
    return [np.concatenate([face, face[:1]]) for face in faces.polygons]


# colors


def _by_class(partition: Partition, faces: Faces) -> Shown:
    pieces = class_pieces(partition, faces)
    present = np.unique(pieces.classes).tolist()
    colors = class_colors(present)
    base = np.array([rgb(colors[c]) for c in pieces.classes.tolist()]).reshape(-1, 3)
    single = sum(int(np.prod(s)) for s in partition.graph.output_shapes) == 1
    names = [(("f ≤ 0", "f > 0")[c] if single else f"class {c}", colors[c]) for c in present]
    return Shown(pieces.corners, shaded(base, pieces.cells), names, boundary=pieces.boundary)


def _number(ax: Axes, places: Sequence[tuple[float, float, str]]) -> None:
    from matplotlib.patheffects import withStroke

    for x, y, text in places:
        halo = [withStroke(linewidth=2.5, foreground="white")]
        ax.text(x, y, text, ha="center", va="center", fontsize=11, color=INK, path_effects=halo, zorder=5)


def _places(partition: Partition, points: Floats | None) -> list[tuple[float, float, str]]:
    """Return where to write the number of each class: deepest inside of it, on a coarse grid, off the points."""
    from scipy.ndimage import distance_transform_edt

    low, high = partition.chart.lower.numpy(), partition.chart.upper.numpy()
    axes = [low[i] + (high[i] - low[i]) * (np.arange(GRID) + 0.5) / GRID for i in (0, 1)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    owner = np.where(partition.chart.contains(torch.from_numpy(grid)).numpy(), winners(partition, grid), -1)
    for point in np.zeros((0, 2)) if points is None or len(points) > LABELED else points:
        owner = np.where((np.abs(grid - point) < 0.06 * (high - low)).all(1), -1, owner)
    found = []
    for c in np.unique(owner[owner >= 0]).tolist():
        mask = np.pad((owner == c).reshape(GRID, GRID), 1)
        depth = distance_transform_edt(mask)[1:-1, 1:-1]
        best = int(depth.argmax())
        if depth.flat[best] >= 2.5:
            found.append((float(grid[best, 0]), float(grid[best, 1]), str(c)))
    return found if len(found) > 1 else []


def _by_norm(partition: Partition, faces: Faces) -> Shown:
    import matplotlib as mpl
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LogNorm, Normalize

    norms = partition.map_norms(2)
    positive = norms[norms > 0]
    low, high = (float(positive.min()), float(positive.max())) if len(positive) else (0.0, 1.0)
    wide = low > 0 and high > 20 * low
    scale = ScalarMappable(LogNorm(low, high) if wide else Normalize(low, high), mpl.colormaps["cividis"])
    colors = scale.to_rgba(np.maximum(norms, low))[:, :3]
    pieces = class_pieces(partition, faces)
    return Shown(faces.polygons, colors, scale=scale, label="‖A‖₂ of the local affine map", boundary=pieces.boundary)


def _by_region(partition: Partition, faces: Faces) -> Shown:
    labels = partition.linear_region
    pairs = labels[np.asarray(partition.adjacency.pairs, dtype=np.int64)].reshape(-1, 2)
    pairs = np.unique(np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1), axis=0)
    count = int(labels.max()) + 1 if len(labels) else 0
    numbers = apart(count, pairs)
    palette = np.array(wheel(int(numbers.max(initial=0)) + 1))
    return Shown(
        faces.polygons,
        shaded(palette[numbers[labels]], labels, 0.03),
        label="neighboring linear regions differ in color",
    )


# around it


def _frame(ax: Axes, partition: Partition) -> None:
    low, high = partition.chart.lower.tolist(), partition.chart.upper.tolist()
    ax.set_xlim(low[0], high[0])
    ax.set_ylim(low[1], high[1])
    ratio = (high[1] - low[1]) / (high[0] - low[0])
    ax.set_aspect("equal" if 0.2 < ratio < 5 else "auto", adjustable="box")
    for axis, name in zip((ax.xaxis, ax.yaxis), axis_names(partition), strict=True):
        axis.set_label_text(name, color=INK)
    ax.tick_params(colors=INK, labelsize=8)
    for spine in ax.spines.values():
        spine.set(color=INK, linewidth=0.6)


def axis_names(partition: Partition) -> list[str]:
    """Return what the coordinates of the chart are: entries of the input, or lengths in a plane of inputs."""
    chart = partition.chart
    if chart.index is None:
        names = ["u", "v"] if chart.dim == 2 else [f"t{i}" for i in range(chart.dim)]
        return [f"along {name} (input units)" for name in names]
    found = []
    for flat in chart.index.tolist():
        for number, shape in enumerate(chart.shapes):
            size = int(np.prod(shape))
            if flat < size:
                place = ", ".join(str(int(i)) for i in np.unravel_index(flat, shape)) if shape else ""
                name = "x" if len(chart.shapes) == 1 else partition.graph.inputs[number]
                found.append(f"{name}[{place}]" if place else name)
                break
            flat -= size
    return found


def _explain(ax: Axes, shown: Shown) -> None:
    from matplotlib.patches import Patch

    if shown.scale is not None:
        bar = ax.figure.colorbar(shown.scale, cax=ax.inset_axes((1.03, 0.0, 0.04, 1.0)))
        bar.set_label(shown.label, color=INK)
        bar.ax.tick_params(colors=INK, labelsize=8)
        bar.outline.set(linewidth=0.4)
    elif shown.legend:
        handles = [Patch(facecolor=color, edgecolor=INK, linewidth=0.4, label=name) for name, color in shown.legend]
        ax.legend(
            handles=handles, loc="upper left", bbox_to_anchor=(1.02, 1.0), borderaxespad=0.0, frameon=False, fontsize=8,
            labelcolor=INK, handlelength=1.1, handleheight=1.1,
        )  # fmt: skip
