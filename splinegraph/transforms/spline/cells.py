"""The domain, cut into cells that bounds are worked out on side by side."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from splinegraph.analyses.lipschitz.intervals import widened
from splinegraph.core.domains.ball import Ball
from splinegraph.core.domains.chart import Chart, chart_of
from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.values import Box

__all__ = ["around", "cells_of", "hull"]


def cells_of(graph: SplineGraph, on: Any, count: int) -> tuple[Box, ...]:
    """Return boxes that cover a domain, one box per input with the cells on axis 0.

    Parameters
    ----------
    graph : SplineGraph
    on : Box, Ball, Plane, Segment, Polytope, a tuple of them, or None
        One per input; None is all of space. Planes and segments are cut along their own coordinates.
    count : int
        At most so many cells.
    """
    if on is None:
        return tuple(Box.everything((1, *shape)) for shape in graph.input_shapes)
    domains = tuple(on) if isinstance(on, (tuple, list)) else (on,)
    chart = chart_of(graph, tuple(d.box if isinstance(d, Ball) else d for d in domains))
    low, high = _cut(chart.lower.double(), chart.upper.double(), count)
    sides = _spread(chart, low, high)
    return tuple(widened(Box(a, b)) for a, b in zip(*(chart.split(side) for side in sides), strict=True))


def around(graph: SplineGraph, on: Any) -> tuple[Box, ...]:
    """Return the smallest box of each input that holds the domain, in the shape of one sample."""
    return tuple(Box(box.lower[0], box.upper[0]) for box in cells_of(graph, on, 1))


def _cut(lower: Tensor, upper: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the ends of at most `count` cells, shape (cells, D); the widest sides are cut most."""
    parts, width = torch.ones(len(lower), dtype=torch.int64), upper - lower
    while len(width) and bool(width.isfinite().all()):
        at = int((width / parts).argmax())
        if width[at] == 0 or int(parts.prod()) // int(parts[at]) * (int(parts[at]) + 1) > count:
            break
        parts[at] += 1
    moving = torch.nonzero(parts > 1)[:, 0].tolist()
    if not moving:
        return lower[None], upper[None]
    grid = torch.cartesian_prod(*(torch.arange(int(parts[i])) for i in moving)).reshape(-1, len(moving))
    low, high = lower.repeat(len(grid), 1), upper.repeat(len(grid), 1)
    for column, i in enumerate(moving):
        ends = lower[i] + width[i] * torch.arange(int(parts[i]) + 1) / parts[i]
        ends[-1] = upper[i]
        low[:, i], high[:, i] = ends[grid[:, column]], ends[grid[:, column] + 1]
    return low, high


def _spread(chart: Chart, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Return the smallest boxes of inputs around boxes of a chart's coordinates, shape (cells, entries)."""
    if chart.index is not None:
        sides = []
        for side in (low, high):
            x = chart.origin.expand(len(side), -1).clone()
            x[:, chart.index] = side
            sides.append(x)
        return sides[0], sides[1]
    assert chart.directions is not None
    center, radius = (low + high) / 2, (high - low) / 2
    middle, spread = chart.origin + center @ chart.directions, radius @ chart.directions.abs()
    return middle - spread, middle + spread


def hull(node: Node, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
    """Return bounds of a value on all cells, which broadcast to the value for any batch size."""
    if node.layout is None:
        return lower, upper
    axis = node.layout.axis
    return lower.amin(axis, keepdim=True), upper.amax(axis, keepdim=True)
