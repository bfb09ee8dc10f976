"""Operators with their parameters cast once for a whole analysis, instead of once per pass."""

from __future__ import annotations

import torch

from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.operator import Operator
from splinegraph.core.parameters import Context, depends_on_batch

__all__ = ["Resolved"]


class Resolved:
    """The operators of a graph in one dtype, on one device, for as long as the weights do not change."""

    def __init__(self, graph: SplineGraph, dtype: torch.dtype, device: torch.device) -> None:
        self.graph, self.dtype, self.device = graph, dtype, device
        self._known: dict[str, Operator] = {}

    def of(self, node: Node, batch: int) -> Operator:
        """Return a node's operator for a batch of that size."""
        found = self._known.get(node.name)
        if found is None:
            found = Context(self.dtype, self.device, batch if self.graph.batched else 1).resolve(node.op)
            if not (self.graph.batched and depends_on_batch(node.op)):
                self._known[node.name] = found
        return found
