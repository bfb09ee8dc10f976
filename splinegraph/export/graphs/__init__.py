"""Graphs as files for Gephi, networkx and others, and as figures."""

from splinegraph.export.graphs.figure import SUFFIXES, plot_graph, save_figure
from splinegraph.export.graphs.gexf import write_gexf
from splinegraph.export.graphs.graphml import write_graphml
from splinegraph.export.graphs.node_link import node_link, write_json
from splinegraph.export.graphs.operators import operator_graph

__all__ = [
    "SUFFIXES",
    "node_link",
    "operator_graph",
    "plot_graph",
    "save_figure",
    "write_gexf",
    "write_graphml",
    "write_json",
]
