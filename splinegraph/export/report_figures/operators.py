"""The figure of the operators of a report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from splinegraph.export.graphs.figure import plot_graph
from splinegraph.export.report_figures.parts import Record, rows, section

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_operators"]

LARGEST = 1500
"""Nodes up to which there is a figure: no eye follows the lines of a larger one, and the page shows it folded."""


def draw_operators(report: Record) -> Axes | None:
    """Draw the operator graph, None if there is none or it is too large."""
    import networkx as nx

    found = section(report, "graph")
    nodes = rows(found, "nodes")
    if not nodes or len(nodes) > LARGEST:
        return None
    graph: nx.DiGraph[str] = nx.DiGraph(name=str(found.get("name", "")))
    for node in nodes:
        label = node["name"] if node["family"] == "input" else node["operator"]
        step = node.get("step")
        graph.add_node(
            node["name"],
            label=label if step is None else f"{label} t={step}",
            family=node["family"],
            exact=node["exact"],
            module=node.get("module", ""),
            shape=node.get("shape", ""),
            output=node["name"] in found.get("outputs", {}),
        )
    graph.add_edges_from((read, node["name"]) for node in nodes for read in node["reads"] if read in graph)
    return plot_graph(graph)
