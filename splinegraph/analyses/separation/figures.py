"""Pictures of distances between samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from splinegraph.analyses.canvas import blank
from splinegraph.analyses.regions.figures.colors import INK, LIGHT
from splinegraph.analyses.separation.linear import LinearSeparability, SeparableLayers
from splinegraph.analyses.separation.orbit import Orbit
from splinegraph.analyses.separation.result import Separation, SeparationLayer
from splinegraph.analyses.separation.sweep import SeparationSweep

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

__all__ = ["plot_curves", "plot_margins", "plot_matrices", "plot_orbit", "plot_separable", "plot_sweep"]

BLUE, ORANGE, GREEN = LIGHT[0], LIGHT[1], LIGHT[5]
GREY = "#b8b8b8"

ACROSS = 6
"""Most matrices side by side."""


def _axes(ax: Axes | None, width: float = 6.0, height: float = 3.8) -> Axes:
    return blank(width, height).add_subplot() if ax is None else ax


def _ticks(ax: Axes, names: Sequence[str]) -> None:
    ax.set_xticks(range(len(names)), names, rotation=30, ha="right", fontsize=8, parse_math=False)


def plot_curves(results: Sequence[tuple[str, Separation]], ax: Axes | None = None) -> Axes:
    """Draw mean distances within and between classes, and the purity of nearest neighbors, layer by layer."""
    layers = results[0][1].layers
    ax = _axes(ax, max(6.0, 0.8 * len(layers) + 3.2))
    at = range(len(layers))
    styles = ("-",) if len(results) == 1 else ("--", "-")
    for (name, found), style in zip(results, styles, strict=True):
        suffix = f", {name}" if name else ""
        if found.labels is None:
            ax.plot(at, _numbers([x.mean for x in found]), style, marker="o", color=BLUE, label=f"mean{suffix}")
            continue
        known = [x.classes for x in found if x.classes is not None]
        curves = {
            ("within classes", BLUE): [c.within for c in known],
            ("between classes", ORANGE): [c.between for c in known],
            ("nearest of the same class", GREEN): [c.purity for c in known],
        }
        for (label, color), values in curves.items():
            ax.plot(at, _numbers(values), style, marker="o", markersize=4, color=color, label=label + suffix)
        chance = known[0].chance if known else None
        if chance is not None and style == "-":
            ax.axhline(chance, color=GREY, linewidth=1, linestyle=":", label="nearest, by chance")
    _ticks(ax, [x.name for x in layers])
    ax.set_ylim(0, 1.03)
    ax.set_ylabel("distance / largest possible; share", fontsize=9)
    ax.set_title(f"{results[0][1].samples} samples", fontsize=9)
    ax.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return ax


def _numbers(values: Sequence[float | None]) -> list[float]:
    return [math.nan if value is None else value for value in values]


def plot_matrices(results: Sequence[tuple[str, Separation]]) -> Figure:
    """Draw the distances of each layer, darker where nearer, samples sorted by class; a row for each result."""
    layers = results[0][1].layers
    across = min(ACROSS, max(1, len(layers)))
    down = -(-len(layers) // across)
    figure = blank(2.1 * across + 0.9, 2.35 * down * len(results) + 0.3)
    grid = figure.subplots(max(1, down * len(results)), across, squeeze=False)
    for ax in grid.flat:
        ax.set_axis_off()
    shades = None
    for place in range(len(layers)):
        # one scale for both results, so that they can be compared
        most = max(float(found.layers[place].relative.max()) for _, found in results) or 1.0
        for row, (name, found) in enumerate(results):
            ax = grid[row * down + place // across, place % across]
            shades = _matrix(ax, found.layers[place], most)
            ax.set_title(f"{layers[place].name}{f', {name}' if name else ''}", fontsize=8, parse_math=False)
    if shades is not None:
        bar = figure.colorbar(shades, ax=grid, shrink=0.5, ticks=[0, 1], aspect=30)
        bar.ax.set_yticklabels(["same\ncode", "furthest"], fontsize=7)
    return figure


def _matrix(ax: Axes, layer: SeparationLayer, most: float) -> AxesImage:
    n = len(layer.hamming)
    labels = np.zeros(n, dtype=np.int64) if layer.labels is None else layer.labels
    order = np.argsort(labels, kind="stable")
    ax.set_axis_on()
    image = ax.imshow(
        layer.relative[np.ix_(order, order)] / most, cmap="magma", vmin=0, vmax=1, interpolation="nearest"
    )
    classes, starts = np.unique(labels[order], return_index=True)
    for start in starts[1:]:
        ax.axhline(start - 0.5, color="white", linewidth=0.5)
        ax.axvline(start - 0.5, color="white", linewidth=0.5)
    middles = (np.r_[starts[1:], n] + starts - 1) / 2
    shown = [str(c) for c in classes] if layer.labels is not None else [""]
    ax.set_xticks(middles, shown, fontsize=6)
    ax.set_yticks(middles, shown, fontsize=6)
    ax.tick_params(length=0)
    return image


def plot_orbit(found: Orbit, ax: Axes | None = None) -> Axes:
    """Draw the largest distance of two members, in code, and in value beside that of the inputs."""
    ax = _axes(ax, max(6.0, 0.8 * len(found.layers) + 2.6))
    at = range(len(found.layers))
    ax.plot(at, _numbers([x.code_diameter for x in found.layers]), "-o", color=BLUE, label="codes: furthest two")
    means = [None if x.code is None else float(x.code[1:].mean()) for x in found.layers]
    ax.plot(at, _numbers(means), ":", color=BLUE, label="codes: mean from the input")
    if any(x.between is not None for x in found.layers):
        ax.plot(at, _numbers([x.between for x in found.layers]), "-s", color=ORANGE, label="codes of two classes, mean")
    size = found.layers[0].value_diameter
    if size > 0:
        other = ax.twinx()
        other.plot(at, [x.value_diameter / size for x in found.layers], "--^", color=GREEN, markersize=4)
        other.set_ylabel("values: diameter / that of the inputs", color=GREEN, fontsize=8)
        other.set_ylim(0, None)
    _ticks(ax, [x.name for x in found.layers])
    ax.set_ylim(0, None)
    ax.set_ylabel("distance / largest possible", fontsize=9)
    ax.set_title(f"{len(found.names)} members (sampled)", fontsize=9)
    ax.legend(frameon=False, fontsize=8)
    return ax


def plot_margins(found: LinearSeparability, ax: Axes | None = None) -> Axes:
    """Draw the margin of each decision; a cross where there is none, a question mark where it is not known."""
    ax = _axes(ax, max(5.0, 0.22 * len(found.decisions) + 2))
    margins = [0.0 if x.margin is None else x.margin for x in found.decisions]
    ax.bar(range(len(margins)), margins, color=BLUE)
    for i, decision in enumerate(found.decisions):
        if decision.status != "separable":
            mark = "×" if decision.status == "not separable" else "?"
            ax.text(i, 0, mark, ha="center", va="bottom", color=ORANGE)
    _ticks(ax, [f"{x.positive}|{'rest' if x.negative is None else x.negative}" for x in found.decisions])
    ax.set_ylabel("margin, at least (l2)", fontsize=9)
    ax.set_title(f"{found.samples} samples, {found.features} features; × not separable", fontsize=9)
    return ax


def plot_separable(found: SeparableLayers, ax: Axes | None = None) -> Axes:
    """Draw for each layer how many decisions are 'separable', are not, and are not known."""
    ax = _axes(ax, max(5.0, 0.8 * len(found.layers) + 2))
    below = np.zeros(len(found.layers))
    for status, color in (("separable", BLUE), ("undecided", GREY), ("not separable", ORANGE)):
        counts = [sum(d.status == status for d in x.decisions) for x in found.layers.values()]
        ax.bar(range(len(counts)), counts, bottom=below, color=color, label=status)
        below = below + counts
    _ticks(ax, list(found.layers))
    ax.set_ylabel("pairs of sets", fontsize=9)
    ax.legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
    return ax


def plot_sweep(found: SeparationSweep, ax: Axes | None = None) -> Axes:
    """Draw the last layer's purity, mean over seeds, with the layers at which classes separate written in."""
    ax = _axes(ax, 5.2, 3.8)
    depths, widths = (sorted({getattr(row, key) for row in found.rows}) for key in ("depth", "width"))
    image = np.full((len(depths), len(widths)), np.nan)
    for i, depth in enumerate(depths):
        for j, width in enumerate(widths):
            rows = [row for row in found.rows if (row.depth, row.width) == (depth, width)]
            last = [row.purity[-1] for row in rows if row.purity and row.purity[-1] is not None]
            if last:
                image[i, j] = float(np.mean([value for value in last if value is not None]))
            written = " ".join("–" if row.separated is None else str(row.separated) for row in rows)
            dark = math.isnan(image[i, j]) or image[i, j] > 0.6
            ax.text(j, i, written, ha="center", va="center", fontsize=8, color=INK if dark else "white")
    shades = ax.imshow(image, cmap="viridis", vmin=0, vmax=1, aspect="auto", origin="lower")
    ax.set_xticks(range(len(widths)), [str(width) for width in widths])
    ax.set_yticks(range(len(depths)), [str(depth) for depth in depths])
    ax.set_xlabel("width")
    ax.set_ylabel("depth")
    ax.set_title(f"numbers: first layer with purity {found.share:g}, each seed", fontsize=9)
    ax.figure.colorbar(shades, ax=ax, label="purity in the last layer")
    return ax
