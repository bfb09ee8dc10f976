"""Classes of a network: its logits, the differences between them, and the class of an input."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from splinegraph.core.algebra import prune
from splinegraph.core.functionals import combinations
from splinegraph.core.graph import Node, SplineGraph, require_graph
from splinegraph.core.layout import BatchLayout
from splinegraph.core.walk import walk
from splinegraph.errors import ShapeError, SplineGraphError

__all__ = ["Classifier", "check_norm"]

ROUNDING = 1e-12
"""By how much a logit of the float64 pass may be off, relative to the largest value at any node."""


def check_norm(norm: float, allowed: Sequence[float]) -> float:
    """Return the norm if it is one of those."""
    if norm not in allowed:
        names = [f"{p:g}" if math.isfinite(p) else "math.inf" for p in allowed]
        raise SplineGraphError(f"norm={norm!r}", remedy=f"give {', '.join(names[:-1])} or {names[-1]}")
    return norm


def _keeps_order(node: Node) -> bool:
    """Return whether a node of shape (B, C) is monotone in every entry of a sample: over classes, not samples."""
    return not node.is_input and node.layout == BatchLayout() and node.op.order_axis in (-1, 1)


@dataclass(frozen=True, eq=False)
class Classifier:
    """A graph seen as a classifier: the class is the largest entry of its only output.

    Parameters
    ----------
    graph : SplineGraph
        Of the logits: a softmax or log-softmax over the classes, at the end, is gone: it does not change the class.
    count : int
        Number of classes.
    """

    graph: SplineGraph
    count: int

    @classmethod
    def of(cls, graph: SplineGraph) -> Classifier:
        """Return the classifier that a graph is.

        Raises
        ------
        ShapeError
            If it has several outputs, or its output is no vector of two or more classes.
        """
        require_graph(graph)
        if len(graph.outputs) != 1:
            raise ShapeError(f"{graph.name} has {len(graph.outputs)} outputs", remedy="choose one: graph.output(i)")
        (shape,) = graph.output_shapes
        if len(shape) != 1 or shape[0] < 2:
            wanted = "two or more classes are compared" if shape in ((), (1,)) else "classes lie along one axis"
            raise ShapeError(
                f"the output of {graph.name} has shape {('B', *shape)}", why=wanted,
                remedy="give a graph with an output of shape (B, C), C >= 2",
            )  # fmt: skip
        last = graph[graph.outputs[0]]
        while _keeps_order(last) and not graph[last.args[0]].is_input:
            outputs = (last.args[0],)
            graph = replace(graph, nodes=prune(graph.nodes, outputs, graph.inputs), outputs=outputs, _cache={})
            last = graph[outputs[0]]
        return cls(graph, shape[0])

    def inputs(self, x: Tensor | Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return a batch of inputs as float64 tensors; a single sample becomes a batch of one.

        Raises
        ------
        ShapeError
            If they do not fit the graph, or hold NaN or infinite values.
        """
        given = (x,) if isinstance(x, Tensor) else tuple(x)
        shapes = self.graph.input_shapes
        if len(given) == len(shapes) and all(isinstance(v, Tensor) for v in given):
            given = tuple(v[None] if tuple(v.shape) == tuple(s) else v for v, s in zip(given, shapes, strict=True))
        self.graph.check_inputs(given)
        for name, v in zip(self.graph.inputs, given, strict=True):
            if not bool(v.isfinite().all()):
                raise ShapeError(f"input {name!r} holds NaN or infinite values", remedy="give finite numbers")
        return tuple(v.detach().cpu().double() for v in given)

    def labels(self, label: int | Sequence[int] | Tensor | None, size: int, *, name: str = "label") -> list[int] | None:
        """Return one class per sample, or None."""
        if label is None:
            return None
        found = torch.as_tensor(label).reshape(-1)
        if len(found) not in (1, size) or found.is_floating_point():
            raise ShapeError(f"{name} of shape {tuple(found.shape)} for {size} inputs", remedy="give one class each")
        if bool(((found < 0) | (found >= self.count)).any()):
            raise ShapeError(f"{name} {found.tolist()}", why=f"classes are 0 to {self.count - 1}")
        return [int(c) for c in found.expand(size)]

    def logits(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits of shape (B, C), float64, and by how much each may be off, shape (B,)."""
        rows = [self._logits(*(x[i : i + 1] for x in inputs)) for i in range(len(inputs[0]))]
        return torch.cat([y for y, _ in rows]), torch.tensor([e for _, e in rows], dtype=torch.float64)

    def _logits(self, *inputs: Tensor) -> tuple[Tensor, float]:
        largest = [max(float(x.abs().max()) for x in inputs)]

        def visit(node: object, operator: object, xs: tuple[Tensor, ...]) -> Tensor:
            y: Tensor = operator.forward(*xs)  # type: ignore[attr-defined]
            sizes = y.abs()[y.isfinite()] if y.is_floating_point() else y[:0]
            largest.append(float(sizes.max()) if sizes.numel() else 0.0)
            return y

        with torch.no_grad():
            operators = self.graph.resolved(torch.float64, torch.device("cpu"), 1)
            (y,), _ = walk(self.graph, inputs, visit, operators=operators)
        if not bool(y.isfinite().all()):
            raise SplineGraphError("a logit is NaN or infinite at the input", remedy="look at graph(x)")
        return y, ROUNDING * max(largest)

    def differences(self, c: int, others: Sequence[int] | None = None) -> SplineGraph:
        """Return the graph of y_c - y_k, for the other classes in ascending order or for those given."""
        chosen = [k for k in range(self.count) if k != c] if others is None else list(others)
        rows = torch.zeros(len(chosen), self.count, dtype=torch.float64)
        rows[:, c] = 1.0
        rows[torch.arange(len(chosen)), torch.tensor(chosen)] -= 1.0
        return combinations(self.graph, rows)
