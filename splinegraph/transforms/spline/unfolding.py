"""A network in terms of affine, piecewise affine and univariate operators and of products entry by entry."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from splinegraph.analyses.lipschitz.intervals import intervals
from splinegraph.core.algebra import fresh
from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.layout import BatchLayout
from splinegraph.core.operator import Operator
from splinegraph.core.parameters import Context
from splinegraph.core.values import Box
from splinegraph.operators.arithmetic import Reduce, Shift
from splinegraph.operators.bilinear import MatrixProduct, Product
from splinegraph.operators.maximum import Amax
from splinegraph.operators.normalizing import LogSoftmax, NormalizingOperator, Softmax
from splinegraph.operators.shape import MaskedFill, Reshape
from splinegraph.operators.smooth import Exp
from splinegraph.transforms.spline.masking import unmasked

__all__ = ["Names", "unfolded"]


class Names:
    """Names for new nodes that no other node has.

    Parameters
    ----------
    graph : SplineGraph
        Whose names are taken.
    """

    def __init__(self, graph: SplineGraph) -> None:
        self._taken = {node.name for node in graph.nodes}

    def __call__(self, name: str) -> str:
        """Return the name, with a number where it is taken, and take it."""
        found = fresh(name, self._taken)
        self._taken.add(found)
        return found


FAR = 3.0
"""How far a softmax's entries may be above the number that is taken off in place of their maximum."""


def unfolded(graph: SplineGraph, on: Sequence[Box] | None = None) -> SplineGraph:
    """Return the same function with normalizing operators and matrix products written out.

    The nodes that an operator becomes keep its module path and source; the last one keeps its name.

    Parameters
    ----------
    graph : SplineGraph
    on : sequence of Box, optional
        Where the inputs are, in the shape of one sample. Where entries of a softmax have near bounds there, their
        middles are taken off in place of their maximum: fewer kinks.
    """
    graph, masks = unmasked(graph)
    near = any(isinstance(node.op, (Softmax, LogSoftmax)) for node in graph.operators)
    boxes = intervals(graph, on) if near and on is not None and all(box.bounded for box in on) else {}
    names = Names(graph)
    nodes: list[Node] = []
    for node in graph.nodes:
        if node.is_input:
            nodes.append(node)
        elif isinstance(node.op, NormalizingOperator):
            steps = _shifted(node, boxes.get(node.args[0])) or node.op.expand().steps
            if node.name in masks:
                steps = _without(steps, masks[node.name])
            nodes += _steps(node, steps, [graph[arg] for arg in node.args], names)
        elif isinstance(node.op, MatrixProduct):
            nodes += _products(node, [graph[arg] for arg in node.args], names)
        else:
            nodes.append(node)
    return replace(graph, nodes=tuple(nodes), _cache={})


Steps = tuple[tuple[Operator, tuple[int, ...]], ...]
"""Operators with the places of their arguments, as in `Expansion`."""


def _shifted(node: Node, box: Box | None) -> Steps | None:
    """Return the steps of a softmax with a constant in place of the maximum; None where that is far, or it is none."""
    if box is None or not box.bounded or not isinstance(node.op, (Softmax, LogSoftmax)):
        return None
    middle = ((box.lower + box.upper) / 2).amax(node.op.dim, keepdim=True)
    if node.layout is not None:
        middle = middle.amax(node.layout.axis, keepdim=True)
    if float((box.upper - middle).max()) > FAR:
        return None
    # places: 0 the argument, 1 its maximum, 2 the difference of both
    (amax, _), _, *rest = node.op.expand().steps
    assert isinstance(amax, Amax)
    return ((Shift(-middle), (0,)), *((operator, tuple(place - 1 for place in args)) for operator, args in rest))


def _without(steps: Steps, mask: Tensor) -> Steps:
    """Return the steps of a softmax with 0 in place of the exponentials of some entries."""
    (after,) = (i for i, (operator, _) in enumerate(steps, 1) if isinstance(operator, Exp))
    later = ((operator, tuple(p + (p >= after) for p in places)) for operator, places in steps[after:])
    return (*steps[:after], (MaskedFill(mask, 0.0), (after,)), *later)


def _steps(node: Node, steps: Steps, args: Sequence[Node], names: Names) -> Iterator[Node]:
    """Yield the nodes of an expansion."""
    made = list(args)
    for i, (operator, places) in enumerate(steps):
        reads = [made[p] for p in places]
        last = i == len(steps) - 1
        name = node.name if last else names(f"{node.name}_{operator.label.split('(')[0].lower()}")
        shape = node.shape if last else _shape(operator, reads)
        layout = node.layout if last or len(shape) == len(node.shape) else args[0].layout
        made.append(replace(node, name=name, operator=operator, args=_names(reads), shape=shape, layout=layout))
        yield made[-1]


def _shape(operator: Operator, args: Sequence[Node]) -> tuple[int, ...]:
    """Return the shape of a value at batch size one."""
    resolved = Context(torch.float64, torch.device("cpu"), 1).resolve(operator)
    with torch.no_grad():
        return tuple(resolved.forward(*(torch.ones(arg.shape, dtype=torch.float64) for arg in args)).shape)


def _names(nodes: Sequence[Node]) -> tuple[str, ...]:
    return tuple(node.name for node in nodes)


def _products(node: Node, args: Sequence[Node], names: Names) -> Iterator[Node]:
    """Yield x @ y as the sum over k of x[m, k] y[k, n]: products of shape (..., m, k, n)."""
    left, right = args
    m, k, n = left.shape[-2], left.shape[-1], right.shape[-1]
    wide = _wider(left, (*left.shape, 1), names), _wider(right, (*right.shape[:-2], 1, k, n), names)
    yield from wide
    product = replace(
        node, name=names(f"{node.name}_terms"), operator=Product(), args=_names(wide),
        shape=(*node.shape[:-2], m, k, n),
    )  # fmt: skip
    yield product
    yield replace(node, operator=Reduce((-2,)), args=(product.name,))


def _wider(node: Node, shape: tuple[int, ...], names: Names) -> Node:
    """Return a value with an axis of size one more, behind that of the batch."""
    layout: BatchLayout | None = node.layout
    target = shape if layout is None else tuple(-1 if i == layout.axis else s for i, s in enumerate(shape))
    return Node(
        names(f"{node.name}_wide"), Reshape(target, len(node.shape)), (node.name,), shape, layout, node.module,
        node.source, node.step,
    )  # fmt: skip
