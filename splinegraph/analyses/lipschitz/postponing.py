"""Maxima before activations: max(f(x), f(y)) = f(max(x, y)) for nondecreasing f, with fewer units."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.operator import Operator, SplineOperator
from splinegraph.core.switching import Breaks, Contest

__all__ = ["Postponed", "postponed"]


@dataclass(frozen=True, eq=False)
class Postponed:
    """An activation with one kink, convex and nondecreasing, that is applied after the maximum of its values.

    Parameters
    ----------
    node : Node
    operator : Operator
    breaks : Breaks
        Of the activation, whose units in one maximum are all the same.
    """

    node: Node
    operator: Operator
    breaks: Breaks

    def slopes(self, columns: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """Return the range of the slope at each maximum, from that at each entry: it grows with the argument."""
        return greatest(low, columns), greatest(high, columns)


def greatest(values: Tensor, columns: Tensor) -> Tensor:
    """Return the greatest of some entries per row of `columns`, where -1 is none."""
    return values[columns.clamp(min=0)].masked_fill(columns < 0, -math.inf).amax(1)


def postponed(graph: SplineGraph, operators: Mapping[str, Operator]) -> dict[str, Postponed]:
    """Return the activations that can wait, by the maximum that alone uses them."""
    uses = Counter(name for node in graph.operators for name in node.args) + Counter(graph.outputs)
    found = {}
    for node in graph.operators:
        operator = operators[node.name]
        if len(node.args) != 1 or not isinstance(operator, SplineOperator) or uses[node.args[0]] != 1:
            continue
        source = graph[node.args[0]]
        contest = operator.switching([source.shape])
        activation = None if source.is_input else operators[source.name]
        if not isinstance(contest, Contest) or not isinstance(activation, SplineOperator):
            continue
        breaks = activation.switching([graph[name].shape for name in source.args])
        ranked = not contest.largest or bool((contest.after >= 0).any())
        if isinstance(breaks, Breaks) and not ranked and _waits(breaks, contest.columns([breaks.units])):
            found[node.name] = Postponed(source, activation, breaks)
    return found


def _waits(breaks: Breaks, columns: Tensor) -> bool:
    """Return whether units are convex and nondecreasing with one kink, and the same in each row of `columns`."""
    if not breaks.continuous or len(breaks.breakpoints) != 1:
        return False
    left, right = breaks.slopes
    if not bool(((left >= 0) & (left <= right)).all()):
        return False
    facts = torch.cat([breaks.slopes, breaks.intercepts])
    some = columns.amax(1, keepdim=True)
    same = (facts[:, columns.clamp(min=0)] == facts[:, some.clamp(min=0)]) | (columns < 0)
    return bool((some >= 0).all()) and bool(same.all())
