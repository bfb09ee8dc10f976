"""The activation graph as a networkx graph that Gephi shows layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from splinegraph.analyses.activation.tables import Floats, Ints
from splinegraph.analyses.regions.figures.colors import class_colors
from splinegraph.errors import DataError, one_line

if TYPE_CHECKING:
    import networkx

    from splinegraph.analyses.activation.result import ActivationGraph

__all__ = ["drawn", "largest"]

COLUMN = 400.0
"""Distance between layers."""

SIZES = (6.0, 80.0)
"""Diameter of the smallest node, and of one that all inputs visit."""

NO_CLASS = "#BBBBBB"
"""Color without labels, and of merged nodes."""

LISTED = 5
"""Classes that are listed at a node."""


def largest(ag: ActivationGraph, max_nodes: int | None) -> networkx.DiGraph[str]:
    """Return the graph of the largest nodes; the others of each layer are one."""
    if max_nodes is None or max_nodes >= len(ag):
        return drawn(ag, np.arange(len(ag)))
    layers = len(ag.layers)
    if max_nodes < 2 * layers:
        raise DataError(f"max_nodes is {max_nodes}", remedy=f"give at least {2 * layers}, two for each of the layers")
    # one of each layer, so that no layer is lost, then the largest of all
    tops = np.array([int(ag.most_shared(1, layer=place)[0]) for place in range(layers)])
    rest = np.setdiff1d(ag.most_shared(max_nodes), tops, assume_unique=True)
    ranked = rest[np.argsort(-ag.weights[rest], kind="stable")]
    return drawn(ag, np.sort(np.concatenate([tops, ranked[: max_nodes - 2 * layers]])), merge=True)


def drawn(ag: ActivationGraph, nodes: Ints, *, merge: bool = False) -> networkx.DiGraph[str]:
    """Return some nodes and the edges between them; with `merge` those left out of a layer are one node."""
    import networkx as nx

    layers = len(ag.layers)
    nodes = np.unique(nodes)
    if len(nodes) and not 0 <= nodes[0] <= nodes[-1] < len(ag):
        raise DataError(f"there is no node {nodes[0] if nodes[0] < 0 else nodes[-1]}", why=f"there are {len(ag)}")
    group = np.full(len(ag), -1)  # of each node: which vertex it is part of, if any
    group[nodes] = np.arange(len(nodes))
    vertices = [_vertex(ag, int(node)) for node in nodes]
    if merge:
        for place in range(layers):
            rows = ag.nodes(place)
            left = np.flatnonzero(group[rows] < 0) + rows.start
            if len(left):
                group[left] = len(vertices)
                vertices.append(_merged(ag, place, left))
    total = float(ag.weights[ag.nodes(0)].sum()) or 1.0
    for (_, data), position in zip(vertices, _positions(ag, vertices), strict=True):
        data.update(position)
    result: networkx.DiGraph[str] = nx.DiGraph(name=f"activation graph of {one_line(ag.graph.name)}")
    notes = [*ag.notes, "merged nodes stand for all other cells of a layer"] if merge else list(ag.notes)
    if notes:
        result.graph["notes"] = "; ".join(notes)
    result.add_nodes_from(vertices)
    names = [name for name, _ in vertices]
    result.add_edges_from((names[a], names[b], data) for a, b, data in _edges(ag, group, total))
    return result


def _edges(ag: ActivationGraph, group: Ints, total: float) -> list[tuple[int, int, dict[str, Any]]]:
    ends = group[ag.edges]
    kept = (ends >= 0).all(1)
    pairs, inverse = np.unique(ends[kept], axis=0, return_inverse=True)
    counts = np.bincount(inverse, weights=ag.edge_counts[kept], minlength=len(pairs)).astype(np.int64)
    weights = np.bincount(inverse, weights=ag.edge_weights[kept], minlength=len(pairs))
    found = []
    for (a, b), count, weight in zip(pairs.tolist(), counts.tolist(), weights.tolist(), strict=True):
        data = {"count": count, "weight": float(weight), "thickness": round(0.5 + 20 * weight / total, 3)}
        if ag.volumes is not None:
            data["volume"] = float(weight)
        found.append((a, b, data))
    return found


def _vertex(ag: ActivationGraph, node: int) -> tuple[str, dict[str, Any]]:
    place = int(ag.layer_of[node])
    number = node - int(ag.start[place])
    data = _common(ag, place, np.array([node])) | {"first": int(ag.first[node]), "merged": False}
    found = ag.class_counts(node)
    label = f"{data['operator']} {number}"
    if found:
        mass = np.array(list(found.values()), dtype=np.float64)
        share = mass[mass > 0] / (mass.sum() or 1.0)
        name = next(iter(found))
        more = f", {len(found) - LISTED} more" if len(found) > LISTED else ""
        data |= {
            "class": name,
            "purity": float(share.max(initial=0.0)),
            "entropy": float(-(share * np.log2(share)).sum()) + 0.0,
            "classes": ", ".join(f"{c}: {n:.6g}" for c, n in list(found.items())[:LISTED]) + more,
            "color": _colors(ag)[name],
        }
        label += f" ({name})"
    return f"{place}/{number}", {"label": label} | data


def _merged(ag: ActivationGraph, place: int, nodes: Ints) -> tuple[str, dict[str, Any]]:
    data = _common(ag, place, nodes) | {"first": int(ag.first[nodes].min()), "merged": True}
    return f"{place}/other", {"label": f"{data['operator']}: {len(nodes)} others"} | data


def _common(ag: ActivationGraph, place: int, nodes: Ints) -> dict[str, Any]:
    layer = ag.layers[place]
    weight = ag.weights[nodes].sum().item()
    total = float(ag.weights[ag.nodes(0)].sum()) or 1.0
    data = {
        "layer": place, "operator": one_line(layer.name), "module": layer.module, "bipartite": place % 2,
        "cells": len(nodes), "count": int(ag.counts[nodes].sum()), "share": weight / total, "color": NO_CLASS,
    }  # fmt: skip
    return data if ag.volumes is None else data | {"volume": float(weight)}


def _colors(ag: ActivationGraph) -> dict[str, str]:
    found = class_colors(range(len(ag.classes)))
    return {name: found[place] for place, name in enumerate(ag.class_names)}


def _positions(ag: ActivationGraph, vertices: Sequence[tuple[str, dict[str, Any]]]) -> list[dict[str, float]]:
    """Put layers side by side; in a layer classes one below the other, each by size, the whole centered."""
    low, high = SIZES
    places = {name: place for place, name in enumerate(ag.class_names)}
    size = np.array([low + (high - low) * np.sqrt(min(data["share"], 1.0)) for _, data in vertices])
    layer = np.array([data["layer"] for _, data in vertices], dtype=np.int64)
    y: Floats = np.zeros(len(vertices))
    for place in np.unique(layer):
        rows = np.flatnonzero(layer == place)
        order = sorted(rows.tolist(), key=lambda i: _rank(vertices[i][1], places))
        steps = size[order] + 10.0
        heights = np.cumsum(steps) - steps / 2
        y[order] = steps.sum() / 2 - heights
    return [
        {"x": round(COLUMN * int(layer[i]), 3), "y": round(float(y[i]), 3) + 0.0, "size": round(float(size[i]), 3)}
        for i in range(len(vertices))
    ]


def _rank(data: dict[str, Any], places: dict[str, int]) -> tuple[bool, int, float, int]:
    return bool(data["merged"]), places.get(data.get("class", ""), 0), -float(data["share"]), int(data["first"])
