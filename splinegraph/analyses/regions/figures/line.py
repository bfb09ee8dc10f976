"""The figure of a partition of a segment: the outputs along it, and where the cells end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from splinegraph.analyses.regions.cells import Floats
from splinegraph.analyses.regions.figures.colors import INK, class_colors
from splinegraph.analyses.regions.figures.plane import axis_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from splinegraph.analyses.regions.partition.partition import Partition

__all__ = ["breakpoints", "draw_line"]

OUTPUTS = 10
"""Most outputs that are drawn: those that are largest somewhere first."""

TICKS = 400
"""Most breakpoints that are marked one by one."""


def breakpoints(partition: Partition) -> Floats:
    """Return where the cells of a partition with D = 1 end, in increasing order, the domain's ends included."""
    order = np.argsort(partition.points[:, 0], kind="stable")
    maps = partition.points[order, 0], partition.radii[order]
    low, high = float(partition.chart.lower[0]), float(partition.chart.upper[0])
    return np.concatenate([[low], (maps[0] + maps[1])[:-1], [high]])


def draw_line(ax: Axes, partition: Partition, points: Floats | None, labels: Sequence[str] | None) -> None:
    """Draw a partition with D = 1 on axes: outputs over the coordinate, a mark for each breakpoint."""
    from splinegraph.analyses.regions.partition.maps import evaluate

    at = breakpoints(partition)
    values = evaluate(partition.graph, partition.chart, at[:, None])
    winners = np.unique(values.argmax(1))
    rest = [c for c in np.argsort(-values.max(0)).tolist() if c not in set(winners.tolist())]
    shown = [*winners.tolist(), *rest][:OUTPUTS]
    colors = class_colors(shown)
    for c in shown:
        ahead = c in winners
        ax.plot(
            at, values[:, c], color=colors[c], linewidth=2.0 if ahead else 0.9, zorder=3 if ahead else 2,
            label=f"output {c}" if values.shape[1] > 1 else "f",
        )  # fmt: skip
    if len(at) <= TICKS:
        for t in at[1:-1]:
            ax.axvline(t, color="#BBBBBB", linewidth=0.4, zorder=1)
    if points is not None and len(points):
        ax.plot(points[:, 0], np.full(len(points), values.min()), "o", mfc="white", mec="black", zorder=4)
        for x, text in zip(points[:, 0], labels or [], strict=False):
            ax.annotate(text, (x, values.min()), (0, 7), textcoords="offset points", ha="center", fontsize=8)
    ax.set_xlim(at[0], at[-1])
    ax.set_xlabel(axis_names(partition)[0] if partition.chart.index is not None else "t, from one end to the other")
    ax.set_ylabel("outputs")
    ax.tick_params(colors=INK, labelsize=8)
    if len(shown) > 1:
        ax.legend(loc="upper left", bbox_to_anchor=(1.02, 1.0), borderaxespad=0.0, frameon=False, fontsize=8)
