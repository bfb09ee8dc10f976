"""Stretches: what affine operators make of one value before anything switches, as one map with one norm."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from splinegraph.core.affine import AffineOperator
from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.norms import dense, induced_norm, is_small
from splinegraph.core.operator import Operator

__all__ = ["Stretch", "stretch"]

MOST_NODES = 100
"""Operators of one stretch; beyond that the constants of the operators are multiplied."""

ROUNDING = 1e-11
"""Relative margin for the rounding of sums of absolute values through all operators."""


@dataclass(frozen=True, eq=False)
class Stretch:
    """Affine operators that end in one, and the values that enter them.

    Parameters
    ----------
    graph : SplineGraph
    nodes : tuple of Node
        In topological order; the last one is the end.
    operators : mapping from node name to AffineOperator
        In float64.
    sources : tuple of str
        Names of the values that enter: inputs of the graph, and values of operators that are not affine.
    """

    graph: SplineGraph
    nodes: tuple[Node, ...]
    operators: Mapping[str, AffineOperator]
    sources: tuple[str, ...]

    def linear(self, source: str, v: Tensor) -> Tensor:
        """Return what a move v of one source does to the end; v of shape (*leading, *source)."""
        return self._forward(source, v, absolute=False)

    def constant(self, source: str, norm: float, moving: Tensor | None = None) -> float:
        """Return an upper bound of the norm of the map from one source to the end.

        Parameters
        ----------
        source : str
        norm : {1, 2, inf}
        moving : Tensor of bool of the source's shape, optional
            The entries that can move; by default all.

        Notes
        -----
        Exact for maps of up to `norms.SMALL_ENTRIES` entries, and for pairs of operators that merge into one as
        exact as that one. Of others, |A_k| ... |A_1| is at least |A_k ... A_1| entry by entry, whose largest row
        and column sums bound the norms in linf and l1, and in l2 by Schur's test.
        """
        entry = torch.ones(self.graph[source].shape, dtype=torch.float64)
        entry = entry if moving is None else entry * moving
        columns = int(entry.sum())
        if columns == 0:
            return 0.0
        rows = math.prod(self.nodes[-1].shape)
        small = is_small(rows, columns)
        whole = self._merged() if norm == 2 else None
        if whole is not None and small and columns == entry.numel():  # it may know better than to write all out
            return whole.lipschitz(2, shapes=[self.graph[source].shape])
        if norm == 2 and columns == entry.numel() and (places := self._places(source)):
            last = math.prod(entry.shape[len(entry.shape) - places :])
            if is_small(rows // last, columns // last):  # one matrix at every place: its norm is that of the whole
                first = torch.zeros_like(entry)
                first.view(-1, last)[:, 0] = 1.0
                return induced_norm(self._columns(source, first), norm)
        if small and (norm == 2 or len(self.nodes) > 1):
            return induced_norm(self._columns(source, entry), norm)
        found = self._by_sums(source, norm, entry)
        return found if whole is None else min(found, whole.lipschitz(2, shapes=[self.graph[source].shape]))

    def _places(self, source: str) -> int:
        """Return along how many last axes all that comes of a source is the same map at every place, of one size."""
        reached, found, size = {source}, len(self.graph[source].shape) - 1, self.graph[source].shape
        for node in self.nodes:
            if reached.isdisjoint(node.args):
                continue
            reached.add(node.name)
            found = min(found, self.operators[node.name].places([self.graph[arg].shape for arg in node.args]))
            if not found or len(node.shape) != len(size) or node.shape[-found:] != size[-found:]:
                return 0
        return found

    def _columns(self, source: str, entry: Tensor) -> Tensor:
        """Return the matrix of the map, with the columns of the entries that move."""
        kept = entry.reshape(-1).nonzero()[:, 0]
        shape = self.nodes[-1].shape
        rows = math.prod(shape)
        if rows < len(kept):  # by rows: there are fewer
            with torch.enable_grad():
                none = entry.new_zeros(rows, *entry.shape).requires_grad_()
                ends = torch.eye(rows, dtype=torch.float64).reshape(rows, *shape)
                (found,) = torch.autograd.grad(self.linear(source, none), none, ends)
            return found.reshape(rows, -1)[:, kept]

        def linear(v: Tensor) -> Tensor:
            full = v.new_zeros(len(v), entry.numel()).index_copy(1, kept, v)
            return self.linear(source, full.reshape(-1, *entry.shape))

        return dense(linear, (len(kept),))

    def _by_sums(self, source: str, norm: float, entry: Tensor) -> float:
        """Return the bound by the row and column sums of the product of absolute values."""
        if norm == math.inf:
            return float(self._forward(source, entry, absolute=True).max()) * (1 + ROUNDING)
        with torch.enable_grad():
            ones = entry.clone().requires_grad_()
            rows = self._forward(source, ones, absolute=True)
            (columns,) = torch.autograd.grad(rows.sum(), ones)
        by_columns = float((columns * entry).max())
        found = by_columns if norm == 1 else math.sqrt(float(rows.detach().max()) * by_columns)
        return found * (1 + ROUNDING)

    def _forward(self, source: str, v: Tensor, *, absolute: bool) -> Tensor:
        leading = v.shape[: v.dim() - len(self.graph[source].shape)]
        values = {source: v}
        for node in self.nodes:
            if not any(name in values for name in node.args):
                continue
            args = [
                values[name] if name in values else v.new_zeros(()).expand(*leading, *self.graph[name].shape)
                for name in node.args
            ]
            operator = self.operators[node.name]
            parts = operator.split() if absolute else (operator, None)
            terms = [part.linear(*args) for part in parts if part is not None]
            values[node.name] = sum(terms[1:], start=terms[0]) if terms else v.new_zeros(*leading, *node.shape)
        return values[self.nodes[-1].name]

    def _merged(self) -> AffineOperator | None:
        """Return the chain as one operator, where every operator merges with the one before."""
        whole = self.operators[self.nodes[0].name]
        for before, node in zip(self.nodes, self.nodes[1:], strict=False):
            found = self.operators[node.name].merged(whole) if node.args == (before.name,) else None
            if found is None:
                return None
            whole = found
        return whole


def stretch(graph: SplineGraph, end: str, operators: Mapping[str, Operator]) -> Stretch | None:
    """Return the stretch that ends in a node; None if its operator is not affine or there are too many.

    Parameters
    ----------
    graph : SplineGraph
    end : str
        Name of the node.
    operators : mapping from node name to Operator
        In float64, as `SplineGraph.resolved` gives them.
    """
    inside: dict[str, AffineOperator] = {}
    sources: dict[str, None] = {}
    left = [end]
    while left:
        name = left.pop()
        operator = None if graph[name].is_input else operators[name]
        if not isinstance(operator, AffineOperator):
            sources[name] = None
        elif name not in inside:
            inside[name] = operator
            left.extend(graph[name].args)
        if len(inside) > MOST_NODES:
            return None
    nodes = tuple(node for node in graph.operators if node.name in inside)
    return Stretch(graph, nodes, inside, tuple(sources)) if inside else None
