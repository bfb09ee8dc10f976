"""Switching operators that compare every unit with one number."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.layout import BatchLayout
from splinegraph.core.operator import SplineOperator
from splinegraph.core.switching import Breaks

__all__ = ["Level", "level_of"]

Line = tuple[float, float]
"""Slope and intercept."""


@dataclass(frozen=True)
class Level:
    """The code of each unit is whether its argument is above a number.

    Parameters
    ----------
    at : float
    lines : pair of (slope, intercept), or None
        The values up to the level, and above; None if they differ from unit to unit.
    """

    at: float
    lines: tuple[Line, Line] | None


def level_of(graph: SplineGraph, node: Node) -> Level | None:
    """Return the level, if the code of every unit is one comparison of its argument with the same number."""
    if node.layout != BatchLayout() or graph[node.args[0]].layout != BatchLayout() or not graph.batched:
        return None
    operator = node.op
    assert isinstance(operator, SplineOperator)
    found = operator.switching([graph[arg].shape for arg in node.args])
    if not isinstance(found, Breaks) or len(found.breakpoints) != 1 or not bool(found.closed_left.all()):
        return None
    if found.first != 0:
        return None
    return Level(float(found.breakpoints[0]), _shared(found.slopes, found.intercepts))


def _shared(slopes: Tensor, intercepts: Tensor) -> tuple[Line, Line] | None:
    """Return both lines, of values of shape (2, units), if all units have the same."""
    if not slopes.shape[1] or bool((slopes != slopes[:, :1]).any() | (intercepts != intercepts[:, :1]).any()):
        return None
    below, above = zip(slopes[:, 0].tolist(), intercepts[:, 0].tolist(), strict=True)
    return below, above
