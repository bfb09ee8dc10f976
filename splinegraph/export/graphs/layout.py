"""Positions for the nodes of any graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from splinegraph.export.graphs.layered import Layered, arrange, layers
from splinegraph.export.graphs.spread import spread

if TYPE_CHECKING:
    import networkx

__all__ = ["GAP", "edge_numbers", "layered_layout", "layout"]

GAP = 100.0
"""Distance between layers, and between the nodes of one layer."""


def layout(graph: networkx.Graph[Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return positions, shape (nodes, 2), in the order of the nodes; always the same for the same graph.

    A directed graph without cycles, and one whose nodes all have an integer attribute `layer`, is drawn in
    layers from left to right; see `layered.arrange`. All others are spread; see `spread.spread`.

    Parameters
    ----------
    graph : networkx graph
    """
    found = layered_layout(graph)
    if found is not None:
        return np.array([(GAP * at, -GAP * lane) for at, lane in zip(found.layer, found.lane, strict=True)])
    return np.asarray(GAP * spread(len(graph), edge_numbers(graph)))


def layered_layout(graph: networkx.Graph[Any], *, bend: float = 1.0) -> Layered | None:
    """Return a layered drawing with nodes counted in their order, None if the graph has no layers.

    `bend` is the width of the lanes of edges; see `layered.arrange`.
    """
    edges = edge_numbers(graph)
    given = [data.get("layer") for _, data in graph.nodes(data=True)]
    if given and all(type(value) is int for value in given):
        rank = {value: index for index, value in enumerate(sorted(set(given)))}
        layer = [rank[value] for value in given]
        if len(rank) > 1 and all(layer[u] != layer[v] for u, v in edges):
            return arrange(layer, edges, bend=bend)
    if not graph.is_directed() or not given:
        return None
    try:
        return arrange(layers(len(given), edges), edges, bend=bend)
    except ValueError:  # a cycle
        return None


def edge_numbers(graph: networkx.Graph[Any]) -> list[tuple[int, int]]:
    """Return the edges between different nodes as pairs of numbers, each once."""
    index = {node: i for i, node in enumerate(graph)}
    return list(dict.fromkeys((index[u], index[v]) for u, v in graph.edges() if u != v))
