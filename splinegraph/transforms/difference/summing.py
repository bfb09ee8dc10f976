"""Affine operators of differences: what positive weights bring keeps its side, what negative ones do changes it."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from splinegraph.core.affine import AffineOperator
from splinegraph.core.algebra import LinearCombination
from splinegraph.core.graph import Node
from splinegraph.core.parameters import depends_on_batch
from splinegraph.transforms.difference.building import Builder, Terms, Triple

__all__ = ["summed"]


def summed(builder: Builder, node: Node, operator: AffineOperator, xs: Sequence[Triple]) -> Triple:
    """Return an affine operator of differences."""
    positive, negative = operator.split()
    if depends_on_batch(node.op):  # its parts are for one sample
        builder.batched = False
    up, down = [x.g for x in xs], [x.h for x in xs]
    g = _applied(builder, node, "g", positive, up) + _applied(builder, node, "g", negative, down)
    h = _applied(builder, node, "h", positive, down) + _applied(builder, node, "h", negative, up)
    found = Triple(builder.sum(node, "g", g), builder.sum(node, "h", h))
    zeros = [torch.zeros(builder.at[name].shape, dtype=torch.float64) for name in node.args]
    bias = operator.forward(*zeros).reshape(-1)
    if any(x.line is not None for x in xs):
        lines = [x.line or builder.zero(arg) for x, arg in zip(xs, node.args, strict=True)]
        line = builder.emit(node, "line", builder.at[node.name].op, *lines)
        return Triple(found.g, found.h, line)
    if found.g is not None:
        return Triple(builder.shifted(node, "g", found.g, bias), found.h)
    assert found.h is not None  # else the value does not depend on the inputs, and is affine
    return Triple(None, builder.shifted(node, "h", found.h, -bias))


def _applied(
    builder: Builder, node: Node, role: str, part: AffineOperator | None, names: Sequence[str | None]
) -> Terms:
    """Return one side of an operator at values, of which None are zero; nothing if that is zero."""
    if part is None:
        return []
    if isinstance(part, LinearCombination):
        pairs = [(c, name) for c, name in zip(part.coefficients, names, strict=True) if name is not None and c]
        if all(builder.at[name].shape == node.shape for _, name in pairs):
            return [(c, name) for c, name in pairs]
    ones = [
        torch.full(builder.at[arg].shape, float(name is not None), dtype=torch.float64)
        for arg, name in zip(node.args, names, strict=True)
    ]
    if not bool(part.linear(*ones).any()):
        return []
    args = [name or builder.zero(arg) for name, arg in zip(names, node.args, strict=True)]
    return [(1.0, builder.emit(node, role, part, *args))]
