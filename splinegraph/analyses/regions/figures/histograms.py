"""The figure of a partition of any dimension: how large its cells are, how many neighbors, what the network does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.regions.figures.colors import INK, LIGHT, class_colors

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from splinegraph.analyses.regions.partition.partition import Partition

__all__ = ["draw_histograms"]

BINS = 40


def draw_histograms(figure: Figure, partition: Partition, *, facets: bool = True, volumes: bool = True) -> None:
    """Draw histograms of radii, volumes, numbers of facets and norms of the maps, and the cells of each class."""
    panels: list[tuple[str, Any]] = [("radius of a ball in the cell", partition.radii)]
    if volumes:
        found = partition.volumes()
        about = "volume" if found.kind == "exact" else f"volume ({found.kind})"
        panels.append((about, found.values[found.values > 0]))
    if facets:
        degree = np.bincount(np.asarray(partition.adjacency.pairs).reshape(-1), minlength=len(partition))
        panels.append(("neighbors of a cell", degree))
    panels.append(("‖A‖₂ of the local affine map", partition.map_norms(2)))
    classes = len(partition.graph.outputs) == 1
    axes = figure.subplots(1, len(panels) + classes, squeeze=False)[0]
    for ax, (name, values) in zip(axes, panels, strict=False):
        _histogram(ax, name, np.asarray(values))
    axes[0].set_ylabel("cells", color=INK)
    if classes:
        _classes(axes[-1], partition)


def _style(ax: Axes) -> None:
    ax.spines[["top", "right"]].set_visible(False)
    for spine in ax.spines.values():
        spine.set(color=INK, linewidth=0.6)
    ax.tick_params(colors=INK, labelsize=8)


def _histogram(ax: Axes, name: str, values: NDArray[Any]) -> None:
    values = values[np.isfinite(values)]
    _style(ax)
    ax.set_xlabel(name, color=INK, fontsize=9)
    if not len(values):
        return
    if values.dtype.kind in "iu":
        bins: Any = np.arange(values.min(), values.max() + 2) - 0.5
        spread = len(bins) > 1.5 * BINS
        bins = BINS if spread else bins
    else:
        positive = values[values > 0]
        wide = len(positive) > 0 and positive.max() > 30 * positive.min()
        bins = np.geomspace(positive.min(), positive.max(), BINS) if wide else BINS
        if wide:
            ax.set_xscale("log")
            zeros = len(values) - len(positive)
            ax.set_xlabel(name + (f" ({zeros} are 0)" if zeros else ""), color=INK, fontsize=9)
            values = positive
    ax.hist(values, bins=bins, color=LIGHT[0], edgecolor="white", linewidth=0.4)
    middle = float(np.median(values))
    ax.axvline(middle, color=INK, linewidth=0.9, linestyle=(0, (3, 2)))
    ax.annotate(
        f"median {middle:.3g}", (middle, 1.0), (3, 2), xycoords=("data", "axes fraction"),
        textcoords="offset points", fontsize=7.5, color=INK, va="bottom", ha="center",
    )  # fmt: skip


def _classes(ax: Axes, partition: Partition) -> None:
    found, counts = np.unique(partition.classes(), return_counts=True)
    colors = class_colors(found.tolist())
    single = sum(int(np.prod(shape)) for shape in partition.graph.output_shapes) == 1
    names = [("f ≤ 0", "f > 0")[c] if single else str(c) for c in found.tolist()]
    ax.bar(names, counts, color=[colors[c] for c in found.tolist()], edgecolor=INK, linewidth=0.4, width=0.7)
    ax.set_xlabel("sign at the interior point" if single else "class at the interior point", color=INK, fontsize=9)
    if len(found) > 12:
        ax.tick_params(axis="x", rotation=90)
    _style(ax)
