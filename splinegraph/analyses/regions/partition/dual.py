"""The dual graph as networkx takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from splinegraph.analyses.regions.cells import Floats
from splinegraph.analyses.regions.partition.flips import flip_texts

if TYPE_CHECKING:
    import networkx

    from splinegraph.analyses.regions.partition.partition import Partition

__all__ = ["dual_graph"]

COORDINATES = 16
"""Coordinates of interior points written as attributes."""


def dual_graph(partition: Partition) -> networkx.Graph[int]:
    """Return cells and shared facets with scalar attributes; see `Partition.dual_graph`."""
    import networkx as nx

    graph: networkx.Graph[int] = nx.Graph(
        name=partition.graph.name,
        method=partition.method,
        complete=partition.complete,
        cells=partition.count,
        maximal_regions=partition.maximal_count,
    )
    columns = _vertex_columns(partition)
    keys = list(columns)
    rows = zip(*columns.values(), strict=True)
    graph.add_nodes_from((i, _row(keys, values)) for i, values in enumerate(rows))
    edges = _edge_columns(partition)
    names = list(edges)
    pairs = partition.adjacency.pairs.tolist()
    values = zip(*edges.values(), strict=True)
    graph.add_edges_from((i, j, _row(names, row)) for (i, j), row in zip(pairs, values, strict=True))
    return graph


def _row(keys: list[str], values: tuple[Any, ...]) -> dict[str, Any]:
    """Return a row without what is not known."""
    return {key: value for key, value in zip(keys, values, strict=True) if value == value}


def _vertex_columns(partition: Partition) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {"linear_region": partition.linear_region.tolist()}
    if len(partition.graph.outputs) == 1:
        columns["class"] = partition.classes().tolist()
    columns["radius"] = partition.radii.tolist()
    if partition.dim == 1 or partition.mesh is not None:
        columns["volume"] = partition.volumes().values.tolist()
    columns |= {f"t{k}": partition.points[:, k].tolist() for k in range(min(partition.dim, COORDINATES))}
    return columns


def _edge_columns(partition: Partition) -> dict[str, list[Any]]:
    adjacency = partition.adjacency
    i, j = adjacency.pairs.T
    nodes, units, count = flip_texts(partition.layers, partition.packed[i], partition.packed[j])
    bends: Floats = partition.linear_region[i] != partition.linear_region[j]
    columns: dict[str, list[Any]] = {
        "nodes": nodes,
        "units": units,
        "flips": count.tolist(),
        "region_changes": bends.tolist(),
    }
    if not np.isnan(adjacency.sizes).all():
        columns["length"] = adjacency.sizes.tolist()
    return columns
