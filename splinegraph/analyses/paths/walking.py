"""Sums over families of paths, in one walk for all of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from splinegraph.analyses.paths.families import Families, Moves
from splinegraph.core.graph import Node
from splinegraph.core.linearization import Linearization
from splinegraph.core.operator import Operator
from splinegraph.core.walk import walk, walk_back

__all__ = ["contributions", "rows"]


def contributions(part: Linearization, families: Families, count: int) -> Tensor:
    """Return what the families give to the output: the part of each input, and last that of the biases.

    Parameters
    ----------
    part : Linearization
        Of a graph with I inputs and one output, at B samples: its pieces are kept in all paths.
    families : Families
    count : int
        How many there are, F.

    Returns
    -------
    Tensor of shape (I + 1, F, B, *out)

    Notes
    -----
    (I + 1) F forward passes in one, less where the first nodes are in few families: no path is enumerated.
    """
    graph, sources = part.graph, len(part.inputs) + 1
    starts = []
    for i, x in enumerate(part.inputs):
        start = x.new_zeros(sources, 1, *x.shape)
        start[i, 0] = x
        starts.append(start)

    def rule(node: Node, _: Operator, args: tuple[Tensor, ...]) -> Tensor:
        piece, home = part.pieces[node.name], families.home(node)
        moved = [_moved(arg, families.carried(node, i, arg.shape[1]), 1) for i, arg in enumerate(args)]
        width = max(home + 1, *(arg.shape[1] for arg in moved))
        value = piece.tangent(*(_widened(arg, width, 1) for arg in moved))
        bias = piece.apply(*(torch.zeros_like(arg[0, 0]) for arg in moved))
        if bool((bias != 0).any()):
            value = value.clone()  # it may be a view of an argument
            value[-1, home] += bias
        return value

    (found,), _ = walk(graph, starts, rule)
    return _widened(found, count, 1)


def rows(part: Linearization, families: Families, count: int, seeds: Tensor) -> tuple[Tensor, ...]:
    """Return the families' parts of chosen combinations u^T A of the rows of A[x].

    Parameters
    ----------
    part : Linearization
    families : Families
    count : int
        F.
    seeds : Tensor of shape (K, B, *out)
        u.

    Returns
    -------
    tuple of Tensor of shape (F, K, B, *in), one per input
    """

    def rule(node: Node, u: Tensor) -> tuple[Tensor | None, ...]:
        back = part.pieces[node.name].adjoint(u)
        return tuple(
            None if g is None else _moved(g, families.carried_back(node, i, len(g)), 0) for i, g in enumerate(back)
        )

    def add(u: Tensor, v: Tensor) -> Tensor:
        width = max(len(u), len(v))
        return _widened(u, width, 0) + _widened(v, width, 0)

    found = walk_back(part.graph, [seeds[None]], rule, add=add)
    return tuple(
        x.new_zeros(count, len(seeds), *x.shape) if g is None else _widened(g, count, 0)
        for g, x in zip(found, part.inputs, strict=True)
    )


def _moved(value: Tensor, moves: Moves | None, axis: int) -> Tensor:
    """Return the sums of slices along an axis that the moves ask for."""
    if moves is None:
        return value
    slices = value.unbind(axis)
    return torch.stack([_total(value.select(axis, 0), [slices[j] for j in sources]) for sources in moves], axis)


def _total(like: Tensor, terms: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(terms)).sum(0) if len(terms) > 1 else terms[0] if terms else torch.zeros_like(like)


def _widened(value: Tensor, width: int, axis: int) -> Tensor:
    """Return the value with zeros for the families that it has none of."""
    missing = width - value.shape[axis]
    if not missing:
        return value
    shape = (*value.shape[:axis], missing, *value.shape[axis + 1 :])
    return torch.cat([value, value.new_zeros(shape)], axis)
