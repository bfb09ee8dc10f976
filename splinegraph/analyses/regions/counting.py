"""How many cells a network can have at most on a domain."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from splinegraph.analyses.regions.arrangements import montufar, parallel_families, sequential, serra, zaslavsky
from splinegraph.analyses.regions.cells import code_layers
from splinegraph.analyses.regions.reach import reach
from splinegraph.analyses.regions.requests import require_exact
from splinegraph.analyses.regions.switches import all_drop, cuts_of, planes_of, switching_of, two_piece_layers
from splinegraph.core.bound import Bound
from splinegraph.core.domains.chart import chart_of
from splinegraph.core.graph import SplineGraph
from splinegraph.core.switching import Switching
from splinegraph.core.values import Box

__all__ = ["CountCertificate", "NodeCount", "count_bound", "montufar", "serra", "zaslavsky"]


@dataclass(frozen=True)
class NodeCount:
    """What one node adds: at most `cells` to each cell of the nodes before it.

    Parameters
    ----------
    node : str
    dim : int
        Dimension in which its hyperplanes lie: that of the domain, or of the narrowest cut before the node.
    families : mapping from int to int
        How many families of so many parallel hyperplanes.
    codes : int or None
        Number of codes, if that is smaller than what the hyperplanes can make.
    cells : int
    """

    node: str
    dim: int
    families: dict[int, int]
    codes: int | None
    cells: int


@dataclass(frozen=True)
class CountCertificate:
    """Why there are not more cells.

    Parameters
    ----------
    method : str
    nodes : tuple of NodeCount
    upper : int
    sequential : tuple or None
        Layers, rank and whether units that are off transmit nothing, where that gave the bound.
    """

    method: str
    nodes: tuple[NodeCount, ...]
    upper: int
    sequential: tuple[Any, ...] | None = None

    def verify(self) -> bool:
        """Return whether the formulas, worked out again, give the bound."""
        for node in self.nodes:
            planes = parallel_families(node.families, node.dim)
            if node.cells != (planes if node.codes is None else min(planes, node.codes)):
                return False
        if self.sequential is None:
            return math.prod(node.cells for node in self.nodes) == self.upper
        layers, dim, cuts, drops = self.sequential
        return sequential(layers, dim, cuts, drops=drops) == self.upper

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; counts as text, as they may be huge."""
        nodes = [{"node": n.node, "dim": n.dim, "cells": str(n.cells)} for n in self.nodes]
        return {"method": self.method, "upper": str(self.upper), "nodes": nodes}


def count_bound(graph: SplineGraph, on: Any) -> Bound:
    """Return a bound of the number of activation cells of a network on a domain.

    Parameters
    ----------
    graph : SplineGraph
        Piecewise affine.
    on : domain
        Need not be bounded. Units that interval arithmetic finds not to switch on it do not count.

    Returns
    -------
    Bound
        Integers; `certificate` says which formula gave the upper end and what each node adds. Its
        `method` is 'Zaslavsky' for one layer of hyperplanes; 'Serra' or 'Montufar' for sequential networks of
        units with two pieces; else 'product': on every cell of the nodes before it, a node switches on
        hyperplanes, each breakpoint and each pair of entries that a maximum compares being one; they lie in as many
        dimensions as the domain has, or as the narrowest cut of the graph before the node lets through.

    Raises
    ------
    UnsupportedOperatorError
        If a node is not piecewise affine or its switches cannot be listed.

    Notes
    -----
    The sequential formulas are no bounds where a layer sees the input, or an earlier layer, again.

    Examples
    --------
    >>> import torch, splinegraph as sg
    >>> graph = sg.trace(torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.ReLU()).eval(), torch.zeros(1, 2))
    >>> bound = count_bound(graph, sg.Box(torch.full((2,), -torch.inf), torch.full((2,), torch.inf)))
    >>> bound.upper, bound.certificate.method
    (37, 'Zaslavsky')
    """
    chart = chart_of(graph, on)
    boxes = reach(graph, chart)
    names = [layer.name for layer in code_layers(graph)]
    require_exact(graph)
    cuts = cuts_of(graph, names, chart.dim)
    switching = {name: switching_of(graph, graph[name], boxes[name]) for name in names}
    nodes = tuple(_node_count(name, switching[name], boxes[name], cuts[name]) for name in names)
    product = math.prod(node.cells for node in nodes)
    certificate = CountCertificate("Zaslavsky" if len(nodes) == 1 else "product", nodes, product)
    layers = two_piece_layers(graph, switching, boxes)
    if layers is not None and len(layers) > 1:
        ranks, drops = [cuts[name] for name in names], all_drop(switching)
        upper = sequential(layers, chart.dim, ranks, drops=drops)
        if upper <= product:
            method = "Serra" if drops else "Montufar"
            certificate = CountCertificate(method, nodes, upper, (layers, chart.dim, ranks, drops))
    upper = certificate.upper
    return Bound(1, upper, "exact" if upper == 1 else "upper", certificate=certificate)


def _node_count(name: str, switching: Switching, boxes: tuple[Box, ...], dim: int) -> NodeCount:
    families, codes = planes_of(switching, boxes)
    planes = parallel_families(families, dim)
    return NodeCount(name, dim, families, codes if codes < planes else None, min(planes, codes))
