"""Softmaxes with entries that a constant makes minus infinite: exp(-inf) is 0, so these are left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.operator import Operator
from splinegraph.core.parameters import Context, depends_on_batch
from splinegraph.operators.arithmetic import Shift
from splinegraph.operators.normalizing import Softmax
from splinegraph.operators.shape import MaskedFill

__all__ = ["unmasked"]


def unmasked(graph: SplineGraph) -> tuple[SplineGraph, Mapping[str, Tensor]]:
    """Return a graph in which softmaxes read finite values in place of constants of -inf, and which these were.

    Parameters
    ----------
    graph : SplineGraph

    Returns
    -------
    SplineGraph
        What softmaxes make of it is not the same function as before.
    mapping from node name to Tensor of bool
        For each softmax that is concerned the entries to leave out, in a shape that broadcasts to its argument.
    """
    readers: dict[str, list[Node]] = {}
    for node in graph.operators:
        for arg in node.args:
            readers.setdefault(arg, []).append(node)
    finite: dict[str, Operator] = {}
    masks: dict[str, Tensor] = {}
    for node in graph.operators:
        reading = readers.get(node.name, [])
        if node.name in graph.outputs or not reading or not all(isinstance(r.op, Softmax) for r in reading):
            continue
        found = _masked(node)
        if found is None or any(_all_along(found[1], node, r) for r in reading):
            continue
        finite[node.name] = found[0]
        masks.update((r.name, found[1]) for r in reading)
    nodes = (replace(node, operator=finite.get(node.name, node.operator)) for node in graph.nodes)
    return (replace(graph, nodes=tuple(nodes), _cache={}) if finite else graph), masks


def _masked(node: Node) -> tuple[Operator, Tensor] | None:
    """Return a node's operator without -inf, and where that is; None if nowhere or not alike for samples."""
    if not isinstance(node.op, (Shift, MaskedFill)) or depends_on_batch(node.op) or node.layout is None:
        return None
    operator = Context(torch.float64, torch.device("cpu"), 1).resolve(node.op)
    made: Operator
    if isinstance(operator, Shift):
        offset = torch.as_tensor(operator.offset)
        mask, made = offset.isneginf(), Shift(offset.masked_fill(offset.isneginf(), 0.0))
    else:
        assert isinstance(operator, MaskedFill)
        value = torch.as_tensor(operator.value, dtype=torch.float64)
        # what is left out keeps the scores, which are of the size of the others
        mask, made = (
            operator.mask & value.isneginf(),
            MaskedFill(operator.mask & ~value.isneginf(), value.masked_fill(value.isneginf(), 0.0)),
        )
    place = mask.dim() - len(node.shape) + node.layout.axis
    if not bool(mask.any()) or (place >= 0 and mask.shape[place] != 1):
        return None
    return made, mask


def _all_along(mask: Tensor, node: Node, softmax: Node) -> bool:
    """Return whether a softmax has nothing left in some row."""
    assert isinstance(softmax.op, Softmax)
    return bool(mask.expand(node.shape).all(softmax.op.dim).any())
