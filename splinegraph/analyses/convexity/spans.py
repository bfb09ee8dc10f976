"""Intervals of derivatives, and how they pass one node from its value to its arguments."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from splinegraph.analyses.convexity.curvature import Course, Rivals, is_entrywise
from splinegraph.analyses.convexity.ranges import outward
from splinegraph.core.affine import AffineOperator
from splinegraph.core.graph import Node
from splinegraph.core.operator import Operator
from splinegraph.core.values import Box, Monotonicity

__all__ = ["Span", "through"]

KERNEL = 1e-12
"""Rounding of the slopes of smooth operators, relative to the largest slope."""


@dataclass(frozen=True, eq=False)
class Span:
    """Intervals low <= v <= high of derivatives, of shape (rows, *node.shape)."""

    low: Tensor
    high: Tensor

    def __add__(self, other: Span) -> Span:
        return Span(self.low + other.low, self.high + other.high)

    @property
    def zero(self) -> Tensor:
        """Which are the number 0."""
        return (self.low == 0) & (self.high == 0)

    def but(self, mask: Tensor) -> Span:
        """Return the same with 0 where `mask` holds."""
        return Span(self.low.masked_fill(mask, 0.0), self.high.masked_fill(mask, 0.0))


def through(found: Course, node: Node, span: Span, race: Rivals | None) -> tuple[Span | None, ...]:
    """Return the derivatives by the arguments of a node from that by its value.

    Parameters
    ----------
    found : Course
        Bounds of all values.
    node : Node
    span : Span
    race : Rivals or None
        What `rivals` says of the node, which is not asked of affine ones.
    """
    operator, boxes = found.operators[node.name], found.arguments(node)
    shapes = [found.graph[arg].shape for arg in node.args]
    if isinstance(operator, AffineOperator):
        return _through_affine(operator, span, shapes)
    if race is not None:
        return _through_contest(race.columns, race.alive, span, shapes)
    if is_entrywise(node, operator, boxes):
        return (_through_entries(operator, span, boxes),)
    return tuple(_through_any(operator, span, boxes, i) for i in range(len(boxes)))


def _through_affine(operator: AffineOperator, span: Span, shapes: Sequence[Sequence[int]]) -> tuple[Span, ...]:
    """Return A^T v, from sums of terms of one sign each, so that rounding cannot turn a sign."""
    four = torch.stack([span.low.clamp(min=0), -span.low.clamp(max=0), span.high.clamp(min=0), -span.high.clamp(max=0)])
    none = tuple(four.new_zeros(4, len(span.low), *shape) for shape in shapes)
    ups, downs = (none if part is None else part.adjoint(four, shapes) for part in operator.split())
    terms = math.prod(span.low.shape[1:])
    spans = []
    for up, down in zip(ups, downs, strict=True):
        low = outward(up[0] + down[3], up[1] + down[2], terms)
        high = -outward(up[3] + down[0], up[2] + down[1], terms)
        spans.append(Span(low, high))
    return tuple(spans)


def _through_contest(
    columns: Tensor, alive: Tensor, span: Span, shapes: Sequence[Sequence[int]]
) -> tuple[Span | None, ...]:
    """Return derivatives by the entries: the winner has that of the unit, the losers have 0."""
    rows, sizes = len(span.low), [math.prod(shape) for shape in shapes]
    single = alive.sum(1) == 1
    low, high = (side.reshape(rows, -1) for side in (span.low, span.high))
    low, high = torch.where(single, low, low.clamp(max=0)), torch.where(single, high, high.clamp(min=0))
    target = columns[alive]

    def total(side: Tensor) -> Tensor:
        parts = side[:, :, None].expand(*side.shape, alive.shape[1])[:, alive]
        return side.new_zeros(rows, sum(sizes)).index_add(1, target, parts)

    least = outward(total(low.clamp(min=0)), total(-low.clamp(max=0)), alive.numel())
    most = -outward(total(-high.clamp(max=0)), total(high.clamp(min=0)), alive.numel())
    pairs = zip(least.split(sizes, 1), most.split(sizes, 1), shapes, strict=True)
    return tuple(Span(a.reshape(rows, *shape), b.reshape(rows, *shape)) for a, b, shape in pairs)


def _through_entries(operator: Operator, span: Span, boxes: Sequence[Box]) -> Span:
    """Return the slope of each entry times v."""
    least, most = operator.slope_range(boxes)  # type: ignore[attr-defined]
    least, most = least.double(), most.double()
    if not operator.piecewise_affine:
        size = torch.maximum(least.abs(), most.abs())
        slack = KERNEL * size[size.isfinite()].amax() if bool(size.isfinite().any()) else 0.0
        direction = operator.monotonicity(0, boxes)
        least = (least - slack).where(~Monotonicity.NONDECREASING.held_by(direction), least.clamp(min=0))
        most = (most + slack).where(~Monotonicity.NONINCREASING.held_by(direction), most.clamp(max=0))
    corners = torch.stack([s * v for s in (least, most) for v in (span.low, span.high)])
    corners = corners.masked_fill(corners.isnan(), 0.0)  # 0 * inf: the factor that is 0 makes it 0
    return Span(corners.amin(0), corners.amax(0))


def _through_any(operator: Operator, span: Span, boxes: Sequence[Box], arg: int) -> Span:
    """Return derivatives that are at most the Lipschitz constant times v, with the sign of the declared direction."""
    shapes = [box.shape for box in boxes]
    steep = min(operator.lipschitz(norm, arg, boxes, shapes) for norm in (1, 2, math.inf))
    steep = steep * (1 + KERNEL)
    direction = operator.monotonicity(arg, boxes)
    most = torch.where(Monotonicity.NONINCREASING.held_by(direction), 0.0, torch.tensor(steep, dtype=torch.float64))
    least = torch.where(Monotonicity.NONDECREASING.held_by(direction), 0.0, torch.tensor(-steep, dtype=torch.float64))
    corners = torch.stack([s * v for s in (least, most) for v in (span.low, span.high)])
    corners = corners.masked_fill(corners.isnan(), 0.0).flatten(2)
    low, high = corners.amin(0).sum(1) * (1 + KERNEL), corners.amax(0).sum(1) * (1 + KERNEL)
    full = (len(low), *shapes[arg])
    sides = [side.reshape(-1, *(1,) * len(shapes[arg])).expand(full) for side in (low, high)]
    return Span(*sides)
