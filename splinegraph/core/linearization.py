"""The network's affine map at a batch of points, as a chain of pieces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.operator import Operator, Piece, SplineOperator
from splinegraph.core.walk import walk, walk_back

__all__ = ["TIE_TOLERANCE", "Linearization", "boundary", "ties"]

TIE_TOLERANCE = 8.0
"""Candidates tie if they differ by this many rounding units of the sample's largest value at that node:
a pre-activation is a sum whose rounding error is of that order. Terms that cancel wholly leave no trace of
their size, so such a tie can be missed; beside much larger values, small ones count as ties."""


class Linearization:
    """The pieces of every operator at a batch of inputs; A x + b without forming A.

    Parameters
    ----------
    graph : SplineGraph
        With `batched` set, unless there is one sample.
    inputs : sequence of Tensor of shape (B, *in)
        Already in the dtype wanted.

    Notes
    -----
    One forward pass; keeps codes and masks, not activations.
    """

    def __init__(self, graph: SplineGraph, inputs: Sequence[Tensor]) -> None:
        self.graph = graph
        self.pieces: dict[str, Piece] = {}
        self.inputs = tuple(inputs)
        operators = graph.resolved(inputs[0].dtype, inputs[0].device, len(inputs[0]))
        self.value, _ = walk(graph, self.inputs, self._visit, operators=operators)

    def _visit(self, node: Node, operator: Operator, xs: tuple[Tensor, ...]) -> Tensor:
        value, self.pieces[node.name] = operator.value_and_piece(*xs)
        return value

    @property
    def exact(self) -> bool:
        """Whether every piece is exact, so that the map holds on a whole cell."""
        return all(piece.exact for piece in self.pieces.values())

    def apply(self, *xs: Tensor) -> tuple[Tensor, ...]:
        """Return A x + b for each output; x of shape (B, *in)."""
        return walk(self.graph, xs, lambda node, _, args: self.pieces[node.name].apply(*args))[0]

    def tangent(self, *vs: Tensor) -> tuple[Tensor, ...]:
        """Return A v for each output; v of shape (*leading, B, *in)."""
        return walk(self.graph, vs, lambda node, _, args: self.pieces[node.name].tangent(*args))[0]

    def adjoint(self, *us: Tensor | None) -> tuple[Tensor, ...]:
        """Return A^T u for each input; u of shape (*leading, B, *out), None for zero."""
        found = walk_back(self.graph, us, lambda node, u: self.pieces[node.name].adjoint(u), add=torch.add)
        leading = next((u.shape[: u.dim() - y.dim()] for u, y in zip(us, self.value, strict=True) if u is not None), ())
        return tuple(
            x.new_zeros(*leading, *x.shape) if g is None else g for g, x in zip(found, self.inputs, strict=True)
        )


def ties(graph: SplineGraph, inputs: Sequence[Tensor], *, seed: int = 0) -> dict[str, Tensor]:
    """Return for every switching operator which samples lie on one of its boundaries, shape (B,), bool.

    A tie counts only if the tied candidates differ as functions of the input, which one tangent pass
    along a random direction tells (almost surely): dead zeros that tie in a max pool are no boundary.
    """
    generator = torch.Generator().manual_seed(seed)
    found: dict[str, Tensor] = {}

    def visit(node: Node, operator: Operator, args: tuple[Any, ...]) -> tuple[Tensor, Tensor]:
        xs, vs = [a[0] for a in args], [a[1] for a in args]
        value, piece = operator.value_and_piece(*xs)
        if isinstance(operator, SplineOperator) and operator.alphabet([x.shape for x in xs]) != 1:
            tied = operator.ties(xs, vs, _slack(node, xs))
            tied = node.layout.samples_first(tied) if node.layout else tied[None]
            found[node.name] = tied.reshape(len(tied), -1).any(1)
        return value, piece.tangent(*vs)

    def direction(x: Tensor) -> Tensor:
        # one for all samples: what is found of a sample does not depend on its place in the batch
        return torch.randn(x.shape[1:], generator=generator, dtype=torch.float64).to(x).expand(x.shape).clone()

    operators = graph.resolved(inputs[0].dtype, inputs[0].device, len(inputs[0]))
    walk(graph, [(x, direction(x)) for x in inputs], visit, operators=operators)
    return found


def boundary(graph: SplineGraph, inputs: Sequence[Tensor], *, seed: int = 0) -> Tensor:
    """Return which samples lie on a boundary between cells, shape (B,), bool; see `ties`."""
    flags = torch.zeros(len(inputs[0]), dtype=torch.bool, device=inputs[0].device)
    for tied in ties(graph, inputs, seed=seed).values():
        flags |= tied
    return flags


def _slack(node: Node, xs: Sequence[Tensor]) -> Tensor:
    """Return the tie tolerance per sample, broadcastable to the arguments."""
    floats = [x for x in xs if x.is_floating_point()]
    if not floats:
        return torch.zeros(())
    scales = []
    for x in floats:
        axis = node.layout.axis if node.layout and node.layout.axis < x.dim() else None
        axes = [d for d in range(x.dim()) if d != axis]
        finite = x.abs().nan_to_num(0.0, 0.0, 0.0)
        scales.append(finite.amax(axes, keepdim=True) if axes else finite)
    scale = scales[0] if len(scales) == 1 else torch.stack(torch.broadcast_tensors(*scales)).amax(0)
    return TIE_TOLERANCE * torch.finfo(floats[0].dtype).eps * scale
