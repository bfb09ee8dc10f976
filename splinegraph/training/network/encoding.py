"""One forward pass of a graph, and the pass back through its pieces: logits f(x) and A[x]^T f(x)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.operator import Operator, Piece
from splinegraph.core.walk import walk, walk_back
from splinegraph.errors import ShapeError
from splinegraph.operators.training import BatchStatistics, TrainedOperator

__all__ = ["Encoded", "encode", "encode_by_autograd", "first_output", "reconstruct_by_autograd"]


class Encoded(NamedTuple):
    """What one forward pass of a `SplineNetwork` gives; tensors only, all part of the autograd graph.

    Parameters
    ----------
    logits : Tensor of shape (B, C)
        f(x).
    reconstruction : Tensor of shape (B, *in)
        A[x]^T f(x).
    values : tuple of Tensor of shape (B, *layer)
        z of the layers asked for.
    layer_reconstructions : tuple of Tensor of shape (B, *layer)
        (df / dz)^T f(x) of these layers.
    """

    logits: Tensor
    reconstruction: Tensor
    values: tuple[Tensor, ...] = ()
    layer_reconstructions: tuple[Tensor, ...] = ()


def encode(graph: SplineGraph, x: Tensor, layers: Sequence[str]) -> Encoded:
    """Return logits and reconstructions by one pass forward and one back, without a double backward.

    Parameters
    ----------
    graph : SplineGraph
        With one input and the logits as its first output.
    x : Tensor of shape (B, *in)
    layers : sequence of str
        Nodes that every path passes, with the batch as one of their axes.
    """
    pieces: dict[str, Piece] = {}

    def forth(node: Node, operator: Operator, xs: tuple[Tensor, ...]) -> Tensor:
        value, pieces[node.name] = value_and_piece(operator, xs)
        return value

    operators = graph.resolved(x.dtype, x.device, len(x))
    outputs, values = walk(graph, (x,), forth, operators=operators, keep=layers)
    pulled: dict[str, Tensor] = {}

    def back(node: Node, u: Tensor) -> tuple[Tensor | None, ...]:
        pulled[node.name] = u
        return pieces.pop(node.name).adjoint(u)

    logits, *others = outputs
    (reconstruction,) = walk_back(graph, (logits, *(None for _ in others)), back, add=torch.add)
    return _encoded(graph, x, logits, reconstruction, layers, values, pulled)


def value_and_piece(operator: Operator, xs: tuple[Tensor, ...]) -> tuple[Tensor, Piece]:
    """Return value and piece: a mask or batch statistics are drawn once, for both."""
    return operator.draw(*xs) if isinstance(operator, TrainedOperator) else operator.value_and_piece(*xs)


def _encoded(
    graph: SplineGraph, x: Tensor, logits: Tensor, reconstruction: Tensor | None, layers: Sequence[str],
    values: Mapping[str, Tensor], pulled: Mapping[str, Tensor | None],
) -> Encoded:  # fmt: skip
    """Return the tensors with the batch in front, zero where nothing came back, in the input's dtype."""

    def first(name: str, value: Tensor) -> Tensor:
        layout = graph[name].layout
        return value if layout is None else layout.samples_first(value)

    def or_zero(found: Tensor | None, like: Tensor) -> Tensor:
        return torch.zeros_like(like) if found is None else found

    return Encoded(
        logits,
        or_zero(reconstruction, x).to(x.dtype),
        tuple(first(name, values[name]) for name in layers),
        tuple(first(name, or_zero(pulled.get(name), values[name])) for name in layers),
    )


def encode_by_autograd(graph: SplineGraph, x: Tensor, layers: Sequence[str]) -> Encoded:
    """Return the same as `encode`, by differentiating the forward pass; its gradient is a double backward.

    With batch statistics one more forward pass goes ahead, so that they are constants for the second.
    """
    operators = graph.resolved(x.dtype, x.device, len(x))
    held: dict[str, Piece] = {}

    def first(node: Node, operator: Operator, xs: tuple[Tensor, ...]) -> Tensor:
        if not isinstance(operator, TrainedOperator):
            return operator.forward(*xs)
        value, held[node.name] = operator.draw(*xs)
        return value

    def second(node: Node, operator: Operator, xs: tuple[Tensor, ...]) -> Tensor:
        return held[node.name].apply(*xs) if node.name in held else first(node, operator, xs)

    if any(isinstance(node.op, BatchStatistics) for node in graph.operators):
        walk(graph, (x,), first, operators=operators)
    seen: dict[str, Tensor] = {}

    def run(leaf: Tensor) -> Tensor:
        outputs, kept = walk(graph, (leaf,), second, operators=operators, keep=layers)
        seen.update(kept)
        return outputs[0]

    logits, (reconstruction, *pulled) = _differentiate(run, x, lambda: [seen[name] for name in layers])
    return _encoded(graph, x, logits, reconstruction, layers, seen, dict(zip(layers, pulled, strict=True)))


def reconstruct_by_autograd(model: Callable[[Tensor], object], x: Tensor) -> Encoded:
    """Return logits and reconstruction of a model that has no graph."""
    logits, (reconstruction,) = _differentiate(lambda leaf: first_output(model(leaf)), x, list)
    return Encoded(logits, torch.zeros_like(x) if reconstruction is None else reconstruction.to(x.dtype))


def first_output(value: object) -> Tensor:
    """Return the logits among what a model gives: its value, or the first of several."""
    found = value[0] if isinstance(value, (tuple, list)) and value else value
    if not isinstance(found, Tensor):
        raise ShapeError(
            f"the model gives a {type(found).__name__} where logits are expected",
            remedy="wrap it in a module that returns its logits, or a tuple that begins with them",
        )
    return found


def _differentiate(
    function: Callable[[Tensor], Tensor], x: Tensor, others: Callable[[], list[Tensor]]
) -> tuple[Tensor, tuple[Tensor | None, ...]]:
    """Return f(x) and the derivatives of f at x in the direction f(x), by x and by what `others` gives."""
    graded = torch.is_grad_enabled()
    with torch.enable_grad():
        leaf = x.detach().requires_grad_()
        logits = function(leaf)
        found = torch.autograd.grad(
            logits, [leaf, *others()], logits, create_graph=graded, retain_graph=graded, allow_unused=True
        )
    return (logits, found) if graded else (logits.detach(), found)
