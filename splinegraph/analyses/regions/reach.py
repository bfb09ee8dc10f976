"""Between what values each node moves while the input stays in a domain: interval arithmetic."""

from __future__ import annotations

import torch
from torch import Tensor

from splinegraph.core.domains.chart import Chart
from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.operator import Operator
from splinegraph.core.values import Box
from splinegraph.core.walk import walk

__all__ = ["input_boxes", "reach"]

MARGIN = 1e-9
"""By how much boxes are widened, relative to their largest finite entry: many times the rounding of a sum."""


def input_boxes(chart: Chart) -> tuple[Box, ...]:
    """Return a box around a domain for each input, of shape (1, *in); constraints G t <= h are not used."""
    if chart.index is not None:
        lower, upper = chart.origin.clone(), chart.origin.clone()
        lower[chart.index], upper[chart.index] = chart.lower, chart.upper
    else:
        assert chart.directions is not None
        ends = chart.lower[:, None] * chart.directions, chart.upper[:, None] * chart.directions
        low, high = (torch.where(chart.directions == 0, 0.0, end) for end in ends)  # no 0 * inf
        lower = chart.origin + torch.minimum(low, high).sum(0)
        upper = chart.origin + torch.maximum(low, high).sum(0)
    return tuple(Box(a[None], b[None]) for a, b in zip(chart.split(lower), chart.split(upper), strict=True))


def reach(graph: SplineGraph, chart: Chart) -> dict[str, tuple[Box, ...]]:
    """Return the boxes of the arguments of every node, at batch size one.

    Notes
    -----
    One pass of the operators' own bounds, widened by `MARGIN` against rounding. Loose in deep networks: each
    node forgets how its arguments depend on each other.
    """
    found: dict[str, tuple[Box, ...]] = {}

    def visit(node: Node, op: Operator, boxes: tuple[Box, ...]) -> Box:
        found[node.name] = boxes
        box = op.bounds(*boxes)
        shape = tuple(node.shape)
        lower, upper = (side.double().expand(shape) for side in (box.lower, box.upper))
        return Box(lower - _margin(lower), upper + _margin(upper))

    with torch.no_grad():
        operators = graph.resolved(torch.float64, torch.device("cpu"), 1)
        walk(graph, input_boxes(chart), visit, operators=operators)
    return found


def _margin(side: Tensor) -> Tensor:
    finite = torch.where(side.isfinite(), side.abs(), 0.0)
    return MARGIN * finite.amax() if finite.numel() else torch.zeros((), dtype=side.dtype)
