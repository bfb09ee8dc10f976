"""Graphs as GraphML, which yEd, Cytoscape, igraph and Gephi read.

`networkx.write_graphml` is not used: it gives keys the ids d3 and d7, which Gephi takes for labels, and parallel
edges ids that are not unique, and takes gigabytes for 100 000 nodes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from splinegraph.export.graphs.cleaning import Cleaned, clean
from splinegraph.export.graphs.drawing import add_drawing
from splinegraph.export.graphs.markup import Table, table, tag, text, write_lines
from splinegraph.export.graphs.operators import as_networkx
from splinegraph.export.graphs.scalars import Scalar

if TYPE_CHECKING:
    import networkx

    from splinegraph.analyses.activation.result import ActivationGraph
    from splinegraph.core.graph import SplineGraph

__all__ = ["write_graphml"]

_ROOT = {
    "xmlns": "http://graphml.graphdrawing.org/xmlns",
    "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
    "xsi:schemaLocation": (
        "http://graphml.graphdrawing.org/xmlns http://graphml.graphdrawing.org/xmlns/1.0/graphml.xsd"
    ),
}


def write_graphml(graph: SplineGraph | ActivationGraph | networkx.Graph[Any], path: str | os.PathLike[str]) -> Path:
    """Write a graph as GraphML; `networkx.read_graphml` reads it back equal.

    Nodes have the attributes `x`, `y`, `size` and `color` (``#rrggbb``), which Gephi takes for what they are,
    edges have `color` and `thickness`, and those of a multigraph their `key`.

    Parameters
    ----------
    graph : SplineGraph, ActivationGraph or networkx graph
        The operator graph is written of a SplineGraph. Attributes are made to fit as `cleaning.clean` says.
    path : str or path

    Returns
    -------
    Path
        The file.

    Raises
    ------
    DataError
        If `graph` is no graph or the file cannot be written; it is written whole or not at all.

    Notes
    -----
    The same graph gives the same bytes. What had to be changed is in the file's description. GraphML's schema
    wants node ids without blanks; no reader is known to insist, and names are kept.

    Time and memory are as for `write_gexf`.
    """
    cleaned = clean(as_networkx(graph))
    add_drawing(cleaned)
    return write_lines(_lines(cleaned), path)


def _lines(cleaned: Cleaned) -> Iterator[str]:
    graph = cleaned.graph
    if graph.is_multigraph():
        for _, _, key, data in graph.edges(keys=True, data=True):
            data["key"] = key
    tables = {
        "graph": table([graph.graph], "g"),
        "node": table((data for _, data in graph.nodes(data=True)), "n"),
        "edge": table((data for *_, data in graph.edges(data=True)), "e"),
    }
    yield tag("graphml", _ROOT, ">")
    if cleaned.notes:
        yield f"<desc>{escape('; '.join(cleaned.notes))}</desc>"
    for scope, attributes in tables.items():
        for name, (key, form) in attributes.items():
            yield tag("key", {"id": key, "for": scope, "attr.name": name, "attr.type": form})
    yield tag("graph", {"edgedefault": "directed" if graph.is_directed() else "undirected"}, ">")
    yield from _values(graph.graph, tables["graph"])
    for name, data in graph.nodes(data=True):
        yield tag("node", {"id": name}, ">")
        yield from _values(data, tables["node"])
        yield "</node>"
    for u, v, data in graph.edges(data=True):
        yield tag("edge", {"source": u, "target": v}, ">")
        yield from _values(data, tables["edge"])
        yield "</edge>"
    yield "</graph>"
    yield "</graphml>"


def _values(data: Mapping[str, Scalar], attributes: Table) -> Iterator[str]:
    for name, value in data.items():
        yield f'<data key="{attributes[name][0]}">{escape(text(value))}</data>'
