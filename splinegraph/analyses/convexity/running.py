"""Values in float64 with a running bound of their rounding errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from splinegraph.analyses.lipschitz.rounding import UNIT, roundoff
from splinegraph.core.affine import AffineOperator
from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.operator import Operator
from splinegraph.core.values import Box
from splinegraph.core.walk import walk

__all__ = ["Rounded", "rounded"]

KERNEL = 1e-13
"""Rounding of functions that are not piecewise affine, relative to the largest value that they read or give."""

UNKNOWN = 1e-10
"""The same for operators without bounds, of which nothing is known."""


@dataclass(frozen=True, eq=False)
class Rounded:
    """A value, and a bound of its distance from the value in exact arithmetic."""

    value: Tensor
    error: Tensor


def rounded(graph: SplineGraph, xs: Sequence[Tensor], errors: Sequence[Tensor]) -> tuple[Rounded, ...]:
    """Return the outputs at one sample, of shape (1, *in) per input, known up to some errors.

    Sums: the errors of their terms, and the textbook bound of their own. Other operators: their bounds on the box that
    the errors of their arguments leave.
    """
    operators = graph.resolved(torch.float64, xs[0].device, 1)
    starts = [Rounded(x, e) for x, e in zip(xs, errors, strict=True)]
    return walk(graph, starts, _visit, operators=operators)[0]


def _visit(node: Node, operator: Operator, args: tuple[Rounded, ...]) -> Rounded:
    xs, errors = [a.value for a in args], [a.error for a in args]
    y = operator.forward(*xs)
    if not y.numel():
        return Rounded(y, torch.zeros_like(y, dtype=torch.float64))
    if isinstance(operator, AffineOperator):
        gamma = roundoff(sum(x.numel() for x in xs))
        moved = [e + gamma * (x.double().abs() + e) for x, e in zip(xs, errors, strict=True)]
        parts = [part.linear(*moved) for part in operator.split() if part is not None]
        return Rounded(y, sum(parts, 4 * UNIT * y.abs()) * (1 + gamma))
    pairs = zip((x.double() for x in xs), errors, strict=True)
    boxes = [Box(x - e, x + e) for x, e in pairs]
    lower, upper = (side.double() for side in operator.bounds(*boxes))
    spread = torch.maximum(upper - y.double(), y.double() - lower)
    if not y.is_floating_point():
        return Rounded(y, spread)
    size = max(float(v.double().abs().max()) for v in (y, *xs) if v.numel())
    known = spread.isfinite()
    own = 8 * UNIT if operator.piecewise_affine else KERNEL
    return Rounded(y, torch.where(known, spread.where(known, 0.0) + own * size, UNKNOWN * size))
