"""Linear functions of a node's value: differences of classes, say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from splinegraph.core.affine import AffineOperator
from splinegraph.core.algebra import fresh, prune
from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.layout import BatchLayout
from splinegraph.core.operator import Boxes, Shapes
from splinegraph.errors import ShapeError

__all__ = ["Functionals", "combinations"]


@dataclass(frozen=True, eq=False)
class Functionals(AffineOperator):
    """m linear functions of all entries of a sample, plus constants.

    Parameters
    ----------
    weight : Tensor of shape (m, *in)
    bias : Tensor of shape (m,), optional
    """

    weight: Tensor
    bias: Tensor | None = None

    def forward(self, *xs: Tensor) -> Tensor:
        """Return the m values, shape (B, m)."""
        y = self.linear(*xs)
        return y if self.bias is None else y + self.bias

    def linear(self, *vs: Tensor) -> Tensor:
        """Return the m products."""
        return vs[0].flatten(vs[0].dim() - self.weight.dim() + 1) @ self.weight.flatten(1).T

    def adjoint(self, u: Tensor, shapes: Shapes) -> tuple[Tensor, ...]:
        """Return the combination of the functions that u holds the weights of."""
        return ((u @ self.weight.flatten(1)).reshape(*u.shape[:-1], *self.weight.shape[1:]),)

    def split(self) -> tuple[AffineOperator | None, AffineOperator | None]:
        """Split the weights by sign."""
        parts = self.weight.clamp(min=0), (-self.weight).clamp(min=0)
        return replace(self, weight=parts[0], bias=None), replace(self, weight=parts[1], bias=None)

    def lipschitz(self, norm: float = 2, arg: int = 0, on: Boxes | None = None, shapes: Shapes | None = None) -> float:
        """Return the induced norm of the weight; with m = 1 its norm in the dual of `norm`."""
        order = {1: 1, 2: 2, math.inf: math.inf}[norm]
        return float(torch.linalg.matrix_norm(self.weight.detach().double().flatten(1), order))


def combinations(graph: SplineGraph, rows: Sequence[Sequence[float]] | Tensor) -> SplineGraph:
    """Return the graph of linear combinations of a graph's only output.

    Parameters
    ----------
    graph : SplineGraph
        With one output, of C entries in all.
    rows : Tensor of shape (m, C)
        The coefficients, of the flattened output.

    Returns
    -------
    SplineGraph
        With one output of shape (B, m). Affine operators that end the graph are folded into the combinations in
        float64, with the parameters' present values: constants of what is left are then those of the difference of
        two classes' weights, not of the weights.

    Raises
    ------
    ShapeError
        If the graph has several outputs, or the rows do not fit.

    Examples
    --------
    >>> import torch, splinegraph as sg
    >>> net = torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Linear(2, 3)).eval()
    >>> graph = combinations(sg.trace(net, torch.zeros(1, 2)), [[1.0, -1.0, 0.0]])
    >>> [node.operator.label for node in graph.operators], graph.output_shapes
    (['ReLU', 'Functionals'], ((1,),))
    """
    if len(graph.outputs) != 1:
        raise ShapeError(f"{graph.name} has {len(graph.outputs)} outputs", remedy="choose one: graph.output(i)")
    (name,), (shape,) = graph.outputs, graph.output_shapes
    weight = torch.as_tensor(rows, dtype=torch.float64)
    if weight.dim() != 2 or weight.shape[1] != math.prod(shape):
        raise ShapeError(f"rows of shape {tuple(weight.shape)} for {math.prod(shape)} outputs")
    weight, bias = weight.reshape(-1, *shape), weight.new_zeros(len(weight))
    with torch.no_grad():
        operators = graph.resolved(torch.float64, torch.device("cpu"), 1)
        while _foldable(graph, graph[name]):
            operator, (before,) = operators[name], graph[name].args
            assert isinstance(operator, AffineOperator)
            zero = torch.zeros(graph[before].shape, dtype=torch.float64)
            bias = bias + weight.flatten(1) @ operator.forward(zero).reshape(-1)
            weight = operator.adjoint(weight[:, None], [zero.shape])[0][:, 0]
            name = before
    taken = {node.name for node in graph.nodes}
    new = fresh("combination", taken)
    last = Node(new, Functionals(weight, bias), (name,), (1, len(weight)))
    nodes = prune((*graph.nodes, last), (new,), graph.inputs)
    return replace(graph, nodes=nodes, outputs=(new,), _cache={})


def _foldable(graph: SplineGraph, node: Node) -> bool:
    """Return whether a node is an affine map of one value that has its samples on the first axis."""
    if node.is_input or not isinstance(node.op, AffineOperator) or len(node.args) != 1:
        return False
    before = graph[node.args[0]]
    return len(before.shape) > 1 and before.shape[0] == 1 and node.layout == before.layout == BatchLayout()
