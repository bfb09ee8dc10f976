"""The product bound: constants of operators, composed along the graph (paper Eq 72, for any graph)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from splinegraph.analyses.lipschitz.stretches import stretch
from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.operator import Operator
from splinegraph.core.values import Box
from splinegraph.core.walk import walk

__all__ = ["BlockConstant", "NodeConstant", "Product", "product", "stacked"]

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
    critical : str
        Name of the argument that moves it most.
    gain : float
        `total` over that of the critical argument. Below `own` where affine operators before it count as one
        with it; above where other arguments add to it.
    """

    node: Node
    own: tuple[float, ...]
    total: float
    critical: str
    gain: float

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values; infinity is None."""
        return {
            "node": self.node.name,
            "operator": self.node.op.label,
            "module": self.node.module,
            "own": [_plain(k) for k in self.own],
            "total": _plain(self.total),
            "critical": self.critical,
            "gain": _plain(self.gain),
        }


@dataclass(frozen=True, eq=False)
class BlockConstant:
    """How much a module adds along the critical chain.

    Parameters
    ----------
    module : str
        Its path: the module that holds the layers; of a layer at the top its own.
    nodes : tuple of NodeConstant
        Its operators on the chain, in topological order.
    gain : float
        Product of theirs.
    share : float
        log(gain) over the log of the whole: may be negative, or above 1 where other blocks are. NaN if the
        whole is 0, 1 or infinite.
    """

    module: str
    nodes: tuple[NodeConstant, ...]
    gain: float
    share: float

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values; infinity and NaN are None."""
        names = [entry.node.name for entry in self.nodes]
        return {"module": self.module, "nodes": names, "gain": _plain(self.gain), "share": _plain(self.share)}


@dataclass(frozen=True, eq=False)
class Product:
    """The constants of all operators, and of the whole.

    Parameters
    ----------
    nodes : tuple of NodeConstant
        In topological order.
    upper : float
        An upper bound of the Lipschitz constant of all outputs together, in all inputs together.
    outputs : tuple of str
        Names of the nodes that are the outputs.
    """

    nodes: tuple[NodeConstant, ...]
    upper: float
    outputs: tuple[str, ...] = ()

    @property
    def unbounded(self) -> tuple[Node, ...]:
        """The operators with an infinite constant of their own."""
        return tuple(entry.node for entry in self.nodes if math.inf in entry.own)

    @property
    def chain(self) -> tuple[NodeConstant, ...]:
        """The critical chain: back from the output with the largest constant, to the argument that moves it most.

        The gains along it multiply to the constant of that output.
        """
        entries = {entry.node.name: entry for entry in self.nodes}
        ends = [entries[name] for name in self.outputs if name in entries]
        found: list[NodeConstant] = []
        entry = max(ends, key=lambda e: e.total, default=None)
        while entry is not None:
            found.append(entry)
            entry = entries.get(entry.critical)
        return tuple(reversed(found))

    @property
    def blocks(self) -> tuple[BlockConstant, ...]:
        """The modules along the critical chain, in the order in which it meets them."""
        chain = self.chain
        within: dict[str, list[NodeConstant]] = {}
        paths = [entry.node.module for entry in self.nodes]
        for entry in chain:
            within.setdefault(_block(entry.node.module, paths), []).append(entry)
        whole = _log(chain[-1].total) if chain else 0.0
        found = []
        for module, nodes in within.items():
            gain = math.prod(entry.gain for entry in nodes)
            share = _log(gain) / whole if whole and math.isfinite(whole) and math.isfinite(gain) else math.nan
            found.append(BlockConstant(module, tuple(nodes), gain, share))
        return tuple(found)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values; infinity is None."""
        return {
            "upper": _plain(self.upper),
            "nodes": [entry.to_dict() for entry in self.nodes],
            "chain": [entry.node.name for entry in self.chain],
            "blocks": [block.to_dict() for block in self.blocks],
        }


def product(graph: SplineGraph, norm: float, boxes: Mapping[str, Box] | None = None) -> Product:
    """Return the product bound of a graph.

    Parameters
    ----------
    graph : SplineGraph
    norm : {1, 2, inf}
        Of inputs and outputs.
    boxes : mapping from node name to Box, optional
        Of all values at batch size one; constants then hold there, and entries that cannot move do not count.

    Returns
    -------
    Product

    Notes
    -----
    A value that moves by at most K_i in argument i, times the operator's constant in it, moves by what the
    operator's `join` makes of them: the sum at additions, the norm of the stack at concatenations. Affine
    operators behind one another also count as one, with the norm of what they do together, and the smaller of
    both bounds is taken: a convolution and its batch norm are one convolution. What paper Eq 72 calls *the*
    Lipschitz constant is this upper bound: of diag(1, 0), ReLU and [0, 1] it is 1, the truth 0.

    Cost: the constants, of which spectral norms are the dear ones; of a convolution some matrices per frequency.

    References
    ----------
    .. [1] R. Balestriero and R. Baraniuk, "A Spline Theory of Deep Learning", 2017, Eq 68-72.
    """
    with torch.no_grad():
        operators = graph.resolved(torch.float64, torch.device("cpu"), 1)
        composed = _Composition(graph, norm, boxes, operators)
        outputs, _ = walk(graph, [1.0] * len(graph.inputs), composed.visit, operators=operators)
    return Product(tuple(composed.found), stacked(outputs, norm), tuple(graph.outputs))


class _Composition:
    """The rule of the walk, and what it has found."""

    def __init__(
        self, graph: SplineGraph, norm: float, boxes: Mapping[str, Box] | None, operators: Mapping[str, Operator]
    ) -> None:
        self.graph, self.norm, self.boxes, self.operators = graph, norm, boxes, operators
        self.totals: dict[str, float] = dict.fromkeys(graph.inputs, 1.0)
        self.owns: dict[str, tuple[float, ...]] = {}
        self.found: list[NodeConstant] = []

    def visit(self, node: Node, operator: Operator, totals: tuple[float, ...]) -> float:
        shapes = [self.graph[name].shape for name in node.args]
        on = None if self.boxes is None else [self.boxes[name] for name in node.args]
        own = tuple(operator.lipschitz(self.norm, i, on, shapes) for i in range(len(totals)))
        moved = [0.0 if total == 0 or k == 0 else total * k for total, k in zip(totals, own, strict=True)]
        total = operator.join(moved, self.norm) if all(map(math.isfinite, moved)) else math.inf
        self.owns[node.name] = own
        total = min(total, self._as_one(node)) * (1 + ROUNDING)
        self.totals[node.name] = total
        most = max(range(len(moved)), key=moved.__getitem__, default=None)
        before = 0.0 if most is None else totals[most]
        gain = total / before if 0 < before < math.inf else 0.0 if total == 0 else math.inf
        self.found.append(NodeConstant(node, own, total, "" if most is None else node.args[most], gain))
        return total

    def _as_one(self, node: Node) -> float:
        """Return the constant with all affine operators behind one another taken as one."""
        found = stretch(self.graph, node.name, self.operators)
        if found is None:
            return math.inf
        moving = {name: self._moving(name) for name in found.sources}
        several = sum(any(k != 1 for k in self.owns[n.name]) or len(n.args) > 1 for n in found.nodes) > 1
        if not several and all(m is None for m in moving.values()):
            return math.inf  # nothing to gain
        total = 0.0
        for name in found.sources:
            before = self.totals[name]
            k = 0.0 if before == 0 else found.constant(name, self.norm, moving[name])
            total += 0.0 if k == 0 else before * k
        return total

    def _moving(self, name: str) -> torch.Tensor | None:
        """Return which entries of a value can move; None if all can."""
        if self.boxes is None:
            return None
        box, node = self.boxes[name], self.graph[name]
        moving = box.lower < box.upper
        if not node.is_input:  # ends that agree may only be rounded to the same number: slopes of 0 prove it
            operator = self.operators[name]
            if not (hasattr(operator, "slope_range") and operator.continuous):
                return None
            least, most = operator.slope_range([self.boxes[arg] for arg in node.args])
            moving = ((least != 0) | (most != 0)).expand(node.shape)
        return None if bool(moving.all()) else moving


def stacked(constants: Sequence[float], norm: float) -> float:
    """Return the constant of values put one behind the other."""
    if norm == math.inf:
        return max(constants)
    return sum(constants) if norm == 1 else math.hypot(*constants)


def _block(module: str, paths: Sequence[str]) -> str:
    """Return the module that holds a layer: itself if it holds others, or nothing does."""
    if any(path.startswith(module + ".") for path in paths) or "." not in module:
        return module
    return module.rpartition(".")[0]


def _log(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None
