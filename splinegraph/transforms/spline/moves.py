"""Forward through one node: how far the spline network's value is from the smooth one's."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from splinegraph.core.affine import AffineOperator
from splinegraph.core.operator import Operator
from splinegraph.core.values import Box
from splinegraph.operators.bilinear import Product
from splinegraph.transforms.spline.functions import slopes_on

__all__ = ["Interval", "moved", "times"]

Interval = tuple[Tensor, Tensor]
"""Lower and upper bounds, entry by entry."""


def times(a: Interval, b: Interval) -> Interval:
    """Return the product of two intervals; 0 times infinity is 0."""
    corners = torch.stack(torch.broadcast_tensors(*(x * y for x in a for y in b))).nan_to_num(
        0.0, torch.inf, -torch.inf
    )
    return corners.amin(0), corners.amax(0)


def moved(operator: Operator, boxes: Sequence[Box], moves: Sequence[Interval | None]) -> Interval | None:
    """Return by how much a node's value moves where its arguments do; None if that is not known.

    Of maxima and their kin `contests` tells it.

    Parameters
    ----------
    operator : Operator
    boxes : sequence of Box
        Where the arguments are, before and after.
    moves : sequence of interval or None
        By how much each moves.
    """
    if any(move is None for move in moves):
        return None
    known = [move for move in moves if move is not None]
    if isinstance(operator, AffineOperator):
        return _affine(operator, known)
    if isinstance(operator, Product):
        first = times(known[0], tuple(boxes[1]))  # type: ignore[arg-type]
        second = times(known[1], tuple(boxes[0]))  # type: ignore[arg-type]
        return first[0] + second[0], first[1] + second[1]
    if len(known) == 1 and (hasattr(operator, "slope_range") or operator.family == "smooth"):
        return times(known[0], slopes_on(operator, boxes[0]))
    return None


def _affine(operator: AffineOperator, moves: Sequence[Interval]) -> Interval:
    lows, highs = zip(*moves, strict=True)
    positive, negative = operator.split()
    none = torch.zeros_like(operator.linear(*lows))
    up = (none, none) if positive is None else (positive.linear(*lows), positive.linear(*highs))
    down = (none, none) if negative is None else (negative.linear(*highs), negative.linear(*lows))
    return up[0] - down[0], up[1] - down[1]
