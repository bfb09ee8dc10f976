"""Figures of reconstructions: inputs beside what is left of them, errors of samples, layers and other codes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from splinegraph.analyses.canvas import blank
from splinegraph.analyses.encoding.comparison import FrameworkTable
from splinegraph.analyses.encoding.inverse import Inverse
from splinegraph.analyses.encoding.layers import LayerReconstruction
from splinegraph.analyses.regions.figures.colors import INK, LIGHT, MUTED
from splinegraph.errors import ShapeError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_errors", "plot_frameworks", "plot_layers", "plot_reconstructions"]

BLUE, ORANGE = LIGHT[0], LIGHT[1]
MARKS = "osD^vP*X"
NAME = 24
"""Longest name of a layer."""


def plot_errors(found: Inverse, ax: Axes | None = None) -> Axes:
    """Draw |x - u|^2 / |x|^2 of the samples, in ascending order."""
    ax = blank(5.2, 3.4).add_subplot() if ax is None else ax
    values = found.relative.sort().values.clamp(min=1e-18).tolist()
    ax.plot(range(1, len(values) + 1), values, color=BLUE, marker="o", markersize=3, label=found.kind.replace("_", " "))
    ax.axhline(1.0, color=INK, linewidth=0.8, linestyle=":")
    ax.set(yscale="log", xlabel="samples, in ascending order", ylabel="|x - u|² / |x|²")
    ax.legend(frameon=False)
    return ax


def plot_reconstructions(found: Inverse, count: int = 8) -> Figure:
    """Draw inputs over their reconstructions, each with its own gray scale, and the relative errors.

    Raises
    ------
    ShapeError
        If the inputs are no images.
    """
    images = found.map.inputs[0]
    if images.dim() not in (3, 4) or (images.dim() == 4 and images.shape[1] not in (1, 3)):
        raise ShapeError(f"inputs of shape {tuple(images.shape[1:])} are no images", remedy="use .plot()")
    shown = min(count, len(found))
    figure = blank(1.1 * shown, 2.7)
    axes = figure.subplots(2, shown, squeeze=False)
    for i in range(shown):
        for row, image in zip(axes, (images[i], found.reconstruction[i]), strict=True):
            flat = image.movedim(0, -1).squeeze(-1) if image.dim() == 3 else image
            low, high = float(flat.min()), float(flat.max())
            row[i].imshow(((flat - low) / (high - low if high > low else 1.0)).cpu().numpy(), cmap="gray")
            row[i].set_axis_off()
        axes[1, i].set_title(f"{float(found.relative[i]):.2g}", fontsize=8, color=INK)
    return figure


def plot_layers(found: LayerReconstruction, ax: Axes | None = None) -> Axes:
    """Draw the median relative errors of the layers."""
    ax = blank(max(4.8, 0.5 * len(found) + 2.0), 3.8).add_subplot() if ax is None else ax
    for label, values, color, mark in (
        ("layer from the output", [layer.relative_above for layer in found], BLUE, "o"),
        ("input from the layer", [layer.relative_below for layer in found], ORANGE, "s"),
    ):
        middles = [float(v.median()) for v in values]
        heights = [v if 0 < v < math.inf else math.nan for v in middles]
        ax.plot(range(len(heights)), heights, color=color, marker=mark, label=label)
    ax.axhline(1.0, color=INK, linewidth=0.8, linestyle=":")
    names = [layer.module or layer.name for layer in found]
    ax.set_xticks(
        range(len(names)), [n if len(n) <= NAME else "…" + n[1 - NAME :] for n in names], rotation=60, ha="right"
    )
    ax.set(yscale="log", ylabel="squared error / squared norm")
    ax.legend(frameon=False)
    return ax


def plot_frameworks(table: FrameworkTable, ax: Axes | None = None) -> Axes:
    """Draw errors against coefficients, a line per method."""
    ax = blank(6.6, 4.2).add_subplot() if ax is None else ax
    colors = [*LIGHT[:2], *LIGHT[5:7], *LIGHT[8:], *MUTED]
    for i, method in enumerate(dict.fromkeys(row.method for row in table)):
        rows = sorted((r.coefficients, max(r.error, 1e-18)) for r in table if r.method == method)
        x, y = torch.tensor(rows).T.tolist()
        ax.plot(x, y, color=colors[i % len(colors)], marker=MARKS[i % len(MARKS)], markersize=5, label=method)
    ax.axhline(1.0, color=INK, linewidth=0.8, linestyle=":")
    ax.set(xscale="log", yscale="log", xlabel="coefficients per sample", ylabel="squared error / squared norm")
    ax.legend(frameon=False, fontsize=8)
    return ax
