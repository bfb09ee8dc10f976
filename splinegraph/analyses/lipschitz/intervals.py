"""Interval bounds of all values of a graph on a box of inputs."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.operator import Operator
from splinegraph.core.values import Box
from splinegraph.core.walk import walk

__all__ = ["ROUNDING", "intervals", "widened"]

ROUNDING = 1e-13
"""By how much bounds are widened at each operator, relative to the size of its values."""


def intervals(graph: SplineGraph, boxes: Sequence[Box]) -> dict[str, Box]:
    """Return boxes of all values at batch size one, widened for rounding.

    Parameters
    ----------
    graph : SplineGraph
    boxes : sequence of Box
        One per input, in the shape of one sample.
    """
    found: dict[str, Box] = {}

    def visit(node: Node, operator: Operator, args: tuple[Box, ...]) -> Box:
        image = operator.bounds(*args)
        found[node.name] = widened(image)
        return found[node.name]

    with torch.no_grad():
        operators = graph.resolved(torch.float64, torch.device("cpu"), 1)
        starts = [
            Box(box.lower.detach().cpu().double()[None], box.upper.detach().cpu().double()[None]) for box in boxes
        ]
        found.update(zip(graph.inputs, starts, strict=True))
        walk(graph, starts, visit, operators=operators)
    return found


def widened(box: Box) -> Box:
    """Return a box widened for the rounding of its bounds."""
    size = torch.maximum(box.lower.abs(), box.upper.abs())
    slack = ROUNDING * size[size.isfinite()].max() if bool(size.isfinite().any()) else 0.0
    return Box(box.lower - slack, box.upper + slack)
