"""The product bound: constants of operators, composed along the graph (paper Eq 72, for any graph)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.operator import Operator
from splinegraph.core.values import Box
from splinegraph.core.walk import walk

__all__ = ["NodeConstant", "Product", "product", "stacked"]

ROUNDING = 1e-12
"""Relative margin per operator for the rounding of its constant and of the composition."""


@dataclass(frozen=True, eq=False)
class NodeConstant:
    """How much one operator adds.

    Parameters
    ----------
    node : Node
    own : tuple of float
        Its constant in each argument.
    total : float
        Constant of its value as a function of the network's inputs.
    """

    node: Node
    own: tuple[float, ...]
    total: float


@dataclass(frozen=True, eq=False)
class Product:
    """The constants of all operators, and of the whole.

    Parameters
    ----------
    nodes : tuple of NodeConstant
        In topological order.
    upper : float
        An upper bound of the Lipschitz constant of all outputs together, in all inputs together.
    """

    nodes: tuple[NodeConstant, ...]
    upper: float

    @property
    def unbounded(self) -> tuple[Node, ...]:
        """The operators with an infinite constant of their own."""
        return tuple(entry.node for entry in self.nodes if math.inf in entry.own)


def product(graph: SplineGraph, norm: float, boxes: Mapping[str, Box] | None = None) -> Product:
    """Return the product bound of a graph.

    Parameters
    ----------
    graph : SplineGraph
    norm : {1, 2, inf}
        Of inputs and outputs.
    boxes : mapping from node name to Box, optional
        Of all values at batch size one; constants then hold there.

    Returns
    -------
    Product

    Notes
    -----
    A value that moves by at most K_i in argument i, times the operator's constant in it, moves by what the
    operator's `join` makes of them: the sum at additions, the norm of the stack at concatenations. What paper
    Eq 72 calls *the* Lipschitz constant is this upper bound: of diag(1, 0) followed by [0, 1] it is 1, the truth 0.

    Cost: the constants, of which spectral norms are the dear ones; of a convolution some matrices per frequency.

    References
    ----------
    .. [1] R. Balestriero and R. Baraniuk, "A Spline Theory of Deep Learning", 2017, Eq 68-72.
    """
    found = []

    def visit(node: Node, operator: Operator, totals: tuple[float, ...]) -> float:
        shapes = [graph[name].shape for name in node.args]
        on = None if boxes is None else [boxes[name] for name in node.args]
        own = tuple(operator.lipschitz(norm, i, on, shapes) for i in range(len(totals)))
        moved = [0.0 if total == 0 or k == 0 else total * k for total, k in zip(totals, own, strict=True)]
        total = operator.join(moved, norm) * (1 + ROUNDING) if all(map(math.isfinite, moved)) else math.inf
        found.append(NodeConstant(node, own, total))
        return total

    with torch.no_grad():
        operators = graph.resolved(torch.float64, torch.device("cpu"), 1)
        outputs, _ = walk(graph, [1.0] * len(graph.inputs), visit, operators=operators)
    return Product(tuple(found), stacked(outputs, norm))


def stacked(constants: tuple[float, ...], norm: float) -> float:
    """Return the constant of values put one behind the other."""
    if norm == math.inf:
        return max(constants)
    return sum(constants) if norm == 1 else math.hypot(*constants)
