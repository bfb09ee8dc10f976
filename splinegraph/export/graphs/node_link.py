"""Graphs as JSON, in the node-link form of networkx and D3."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from splinegraph.analyses.activation.result import ActivationGraph
from splinegraph.core.graph import SplineGraph
from splinegraph.export import files
from splinegraph.export.graphs.cleaning import clean
from splinegraph.export.graphs.drawing import add_drawing
from splinegraph.export.graphs.operators import as_networkx

if TYPE_CHECKING:
    import networkx

__all__ = ["FORMAT", "node_link", "write_json"]

FORMAT = "splinegraph graph 1"
"""What the key `format` of the file says; a change that readers would notice counts up."""


def node_link(graph: SplineGraph | ActivationGraph | networkx.Graph[Any]) -> dict[str, Any]:
    """Return a graph as a dict of JSON values, which `networkx.node_link_graph` turns into a graph again.

    The keys are `format`, `directed`, `multigraph`, `graph` (attributes of the whole), `nodes` (each with `id`,
    `label`, `x`, `y`, `size`, `color` and its own attributes), `edges` (each with `source`, `target`, in a
    multigraph `key`, `color`, `thickness` and its own attributes) and `notes` (what had to be changed; see
    `cleaning.clean`).

    Parameters
    ----------
    graph : SplineGraph, ActivationGraph or networkx graph

    Raises
    ------
    DataError
        If it is none of these.
    """
    import networkx as nx

    cleaned = clean(as_networkx(graph))
    add_drawing(cleaned)
    data: dict[str, Any] = nx.node_link_data(cleaned.graph, edges="edges")
    nodes = [{"id": node.pop("id"), **node} for node in data["nodes"]]
    first = ("source", "target", "key") if data["multigraph"] else ("source", "target")
    edges = [{**{name: edge.pop(name) for name in first}, **edge} for edge in data["edges"]]
    return {"format": FORMAT, **data, "nodes": nodes, "edges": edges, "notes": list(cleaned.notes)}


def write_json(obj: Any, path: str | os.PathLike[str]) -> Path:
    """Write a graph in node-link form, or a result, as JSON.

    Parameters
    ----------
    obj : SplineGraph, ActivationGraph, networkx graph, or another result with `to_dict`
        See `node_link` for what is written of a graph.
    path : str or path

    Returns
    -------
    Path
        The file.

    Raises
    ------
    DataError
        If the file cannot be written; it is written whole or not at all.
    ValueError
        If a result holds NaN or infinite numbers, which are no JSON. Graphs are rid of them.
    """
    import networkx as nx

    if isinstance(obj, SplineGraph | ActivationGraph | nx.Graph):
        return files.write_json(node_link(obj), path)
    if not hasattr(obj, "to_dict"):
        as_networkx(obj)  # says what is wanted
    return files.write_json(obj, path)
