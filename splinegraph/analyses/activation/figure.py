"""The figure of an activation graph: layers side by side, nodes by size and class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from splinegraph.analyses.canvas import blank
from splinegraph.errors import one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from splinegraph.analyses.activation.result import ActivationGraph

__all__ = ["plot_activation"]


def plot_activation(ag: ActivationGraph, ax: Axes | None = None, max_nodes: int = 200) -> Axes:
    """Draw the largest nodes; the height of a layer is filled, the area of a node is its share.

    Parameters
    ----------
    ag : ActivationGraph
    ax : Axes, optional
    max_nodes : int
    """
    from matplotlib.collections import LineCollection
    from matplotlib.lines import Line2D

    graph = ag.to_networkx(max_nodes=max(max_nodes, 2 * len(ag.layers)))
    if ax is None:
        ax = blank(max(6.0, 1.3 * len(ag.layers) + 2), 5.0).subplots()
    rows = dict(graph.nodes(data=True))
    spread = {layer: max((abs(d["y"]) for d in rows.values() if d["layer"] == layer), default=1.0) or 1.0
              for layer in range(len(ag.layers))}  # fmt: skip
    at = {name: (data["layer"], data["y"] / spread[data["layer"]]) for name, data in rows.items()}
    edges = list(graph.edges(data=True))
    shares = np.array([d["weight"] for *_, d in edges]) / (float(ag.weights[ag.nodes(0)].sum()) or 1.0)
    lines = LineCollection(
        [(at[a], at[b]) for a, b, _ in edges], linewidths=0.3 + 6 * shares, colors="#8A8F98", alpha=0.5, zorder=1
    )
    ax.add_collection(lines)
    x, y = np.array(list(at.values())).T
    ax.scatter(
        x, y, s=[10 + 600 * d["share"] for d in rows.values()], c=[d["color"] for d in rows.values()],
        edgecolors="#333333", linewidths=0.4, zorder=2,
    )  # fmt: skip
    kind = "cells" if ag.coarse is None else "nodes"
    who = "inputs" if ag.volumes is None else "cells"
    names = [f"{one_line(s.name)}\n{s.cells} {kind}" + f"\n({who} alone)" * s.says_nothing for s in ag.summary]
    ax.set_xticks(range(len(names)), names, fontsize=7, rotation=45 if len(names) > 8 else 0, parse_math=False)
    ax.set_yticks([])
    ax.set_xlim(-0.5, len(names) - 0.5)
    ax.set_ylim(-1.15, 1.15)
    for side in ("left", "right", "top"):
        ax.spines[side].set_visible(False)
    shown = {d["class"]: d["color"] for d in rows.values() if "class" in d}
    if 1 < len(shown) <= 16:
        order = sorted(shown, key=ag.class_names.index)
        handles = [Line2D([], [], marker="o", linestyle="", color=shown[name]) for name in order]
        ax.legend(handles, order, fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    return ax
