"""The operator graph of a network, with what people want to see of every node."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from splinegraph.analyses.activation.result import ActivationGraph
from splinegraph.core.describe import kind, to_networkx
from splinegraph.core.graph import SplineGraph
from splinegraph.core.parameters import leaves
from splinegraph.errors import DataError

if TYPE_CHECKING:
    import networkx

__all__ = ["as_networkx", "operator_graph"]


def operator_graph(graph: SplineGraph) -> networkx.DiGraph[str]:
    """Return the operator graph as a DiGraph with one vertex per node, named as in `graph`.

    Nodes have these attributes: `label` (the operator with its settings, an input with its name, time steps as
    ``t=2``), `operator`, `family`, `kind` ('exact', or why not), `exact`, `module`, `source`, `shape` (of the
    value, the batch axis as B), `units` (entries of the value for one sample), `parameters` (entries of the
    tensors it reads), `step` (-1 outside of recurrent modules), `order` (topological), `depth` (operators on
    the longest path from an input) and `output`. Edges have `argument` (the first position at which it is
    read), `times` (how often) and the same as `weight`.

    Parameters
    ----------
    graph : SplineGraph
    """
    result = to_networkx(graph)
    for node in graph.nodes:
        label = node.name if node.is_input else node.operator.label
        seen = {id(leaf): leaf.numel() for leaf in ([] if node.is_input else leaves(node.operator))}
        result.nodes[node.name].update(
            label=label if node.step is None else f"{label} t={node.step}",
            kind=kind(node) or "input",
            units=math.prod(node.shape),
            parameters=sum(seen.values()),
            depth=max((result.nodes[arg]["depth"] + 1 for arg in node.args), default=0),
        )
    for _, _, data in result.edges(data=True):
        data["weight"] = float(data["times"])
    return result


def as_networkx(graph: object) -> networkx.Graph[Any]:
    """Return a networkx graph of a SplineGraph, an ActivationGraph or a networkx graph, which is returned as it is.

    Raises
    ------
    DataError
        If it is none of these.
    """
    import networkx as nx

    if isinstance(graph, SplineGraph):
        return operator_graph(graph)
    if isinstance(graph, ActivationGraph):
        return graph.to_networkx()
    if isinstance(graph, nx.Graph):
        return graph
    remedy = "give a SplineGraph (see splinegraph.trace), an ActivationGraph or a networkx graph"
    raise DataError(f"a {type(graph).__name__} is not a graph", remedy=remedy)
