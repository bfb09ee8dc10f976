"""From a graph to its units: one walk with linear forms as values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from splinegraph.analyses.lipschitz.deadlines import late
from splinegraph.analyses.lipschitz.functions import Elementwise
from splinegraph.analyses.lipschitz.postponing import Postponed, greatest, postponed
from splinegraph.analyses.lipschitz.units import Block, Units
from splinegraph.core.affine import AffineOperator
from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.operator import Operator, SplineOperator
from splinegraph.core.switching import Breaks, Contest, Switching
from splinegraph.core.values import Box
from splinegraph.core.walk import walk

__all__ = ["units"]

MOST_ENTRIES = 2**27
"""Of the forms of one node, or of all units (1 GiB), beyond which a network is not taken apart."""

ONE = torch.tensor(1.0, dtype=torch.float64)
ZERO = torch.tensor(0.0, dtype=torch.float64)


def units(graph: SplineGraph, boxes: Mapping[str, Box] | None = None, *, deadline: float | None = None) -> Units | None:
    """Return a network's units; None if an operator has none, or slopes without bounds, or it is too large or late.

    Parameters
    ----------
    graph : SplineGraph
    boxes : mapping from node name to Box, optional
        Of all values at batch size one. Units that have one slope there are affine and vanish.
    deadline : float, optional
        Of `time.monotonic`.
    """
    sizes = [math.prod(shape) for shape in graph.input_shapes]
    with torch.no_grad():
        operators = graph.resolved(torch.float64, torch.device("cpu"), 1)
        facts = _Facts(graph, boxes, postponed(graph, operators))
        plans: dict[str, _Plan] = {}
        for node in graph.operators:
            plan = facts.plan(node, operators[node.name])
            if plan is None:
                return None
            plans[node.name] = plan
        total = sum(plan.room for plan in plans.values())
        if (sum(sizes) + total + 1) * max(total, *(math.prod(node.shape) for node in graph.nodes)) > MOST_ENTRIES:
            return None
        builder = _Builder(facts, plans, sum(sizes), total, deadline)
        starts, at = [], 0
        for shape, size in zip(graph.input_shapes, sizes, strict=True):
            rows = torch.zeros(builder.rows, 1, *shape, dtype=torch.float64)
            rows.view(builder.rows, -1)[at : at + size] = torch.eye(size, dtype=torch.float64)
            starts.append(rows)
            at += size
        try:
            outputs, _ = walk(graph, starts, builder.visit, operators=operators)
        except _TimeIsUp:
            return None
    return builder.finish(torch.cat([out.flatten(1) for out in outputs], dim=1))


class _TimeIsUp(Exception):
    """Ends the walk."""


@dataclass(frozen=True, eq=False)
class _Plan:
    """How many units a node makes: of maxima, then of elementwise operators with ranges of slopes; none: affine."""

    room: int
    slopes: tuple[Tensor, Tensor] | None = None
    contest: tuple[Tensor, float] | None = None
    after: Postponed | None = None


class _Facts:
    """What is known of the nodes' units on the domain."""

    def __init__(self, graph: SplineGraph, boxes: Mapping[str, Box] | None, postponed: Mapping[str, Postponed]) -> None:
        self.graph, self.boxes, self.postponed = graph, boxes, postponed
        self.passed = {late.node.name for late in postponed.values()}

    def plan(self, node: Node, operator: Operator) -> _Plan | None:
        """Return what a node becomes; None if it cannot be taken apart."""
        if isinstance(operator, AffineOperator) or node.name in self.passed:
            return _Plan(0)
        slopes = self.slopes(node, operator)
        if slopes is not None:
            return _Plan(int((slopes[0] < slopes[1]).sum()), slopes=slopes)
        late = self.postponed.get(node.name)
        args = node.args if late is None else late.node.args
        contest = self.contest(node, operator, args)
        if contest is None:
            return None
        room = int((contest[0] >= 0).sum()) - len(contest[0])
        if late is None:
            return _Plan(room, contest=contest)
        slopes = self.slopes(late.node, late.operator)
        assert slopes is not None
        slopes = late.slopes(contest[0], *slopes)
        return _Plan(room + int((slopes[0] < slopes[1]).sum()), slopes, contest, late)

    def slopes(self, node: Node, operator: Operator) -> tuple[Tensor, Tensor] | None:
        """Return the range of each unit's slope, if the operator is elementwise and they are finite."""
        if not hasattr(operator, "slope_range") or not operator.continuous:
            return None
        on = None if self.boxes is None else [self.boxes[name] for name in node.args]
        low, high = (s.double().expand(node.shape).reshape(-1) for s in operator.slope_range(on))
        return (low, high) if bool((low.isfinite() & high.isfinite()).all()) else None

    def contest(self, node: Node, operator: Operator, args: tuple[str, ...]) -> tuple[Tensor, float] | None:
        """Return the entries that each maximum is of, those that can win first, and -1 for a minimum, else 1."""
        switching = self.switching(node, operator)
        if not isinstance(switching, Contest) or bool((switching.after >= 0).any()):
            return None
        columns = switching.columns([math.prod(self.graph[name].shape) for name in args])
        if self.boxes is not None:
            boxes = [self.boxes[name] for name in args]
            lower = torch.cat([box.lower.reshape(-1) for box in boxes])
            upper = torch.cat([box.upper.reshape(-1) for box in boxes])
            if not switching.largest:
                lower, upper = -upper, -lower
            some, place = columns >= 0, columns.clamp(min=0)
            most = lower[place].masked_fill(~some, -math.inf).amax(1, keepdim=True)
            columns = torch.where(some & (upper[place] >= most), columns, -1)
        order = (columns < 0).to(torch.int8).argsort(dim=1, stable=True)
        return columns.gather(1, order), 1.0 if switching.largest else -1.0

    def switching(self, node: Node, operator: Operator) -> Switching | None:
        """Return how the units switch; None if the operator is not piecewise affine, or cannot say."""
        if not isinstance(operator, SplineOperator):
            return None
        return operator.switching([self.graph[name].shape for name in node.args])

    def inside(self, node: Node) -> Tensor:
        """Return a value that the argument of an elementwise node can have, flattened: 0 or what is next to it."""
        if self.boxes is None:
            return torch.zeros(math.prod(node.shape), dtype=torch.float64)
        box = self.boxes[node.args[0]]
        return torch.minimum(torch.maximum(torch.zeros_like(box.lower), box.lower), box.upper).reshape(-1)


class _Builder:
    """The units made so far. A node's value is its forms, one row per entry of z, and last the constants."""

    def __init__(
        self, facts: _Facts, plans: Mapping[str, _Plan], inputs: int, count: int, deadline: float | None
    ) -> None:
        self.facts, self.plans, self.inputs, self.deadline = facts, plans, inputs, deadline
        self.rows = inputs + count + 1
        self.used = 0
        self.forms = torch.zeros(self.rows, count, dtype=torch.float64)
        self.low, self.high = torch.zeros(count, dtype=torch.float64), torch.zeros(count, dtype=torch.float64)
        self.kinks = torch.full((2, count), math.nan, dtype=torch.float64)
        self.blocks: list[Block] = []

    def visit(self, node: Node, operator: Operator, args: tuple[Tensor, ...]) -> Tensor:
        """Return the forms of a node's value, and add its units."""
        self._go_on()
        if isinstance(operator, AffineOperator):
            value = operator.linear(*args)
            value[-1] = operator.forward(*(arg[-1] for arg in args))
            return value
        plan = self.plans[node.name]
        forms = torch.cat([arg.flatten(1) for arg in args], dim=1)
        if plan.contest is not None:
            columns, sign = plan.contest
            forms = sign * self._maxima(node.name, sign * forms, columns)
        if plan.after is not None:
            assert plan.contest is not None
            assert plan.slopes is not None
            forms = self._kinks(plan.after, forms, plan.contest[0], *plan.slopes)
        elif plan.slopes is not None:
            forms = self._elementwise(node, operator, forms, *plan.slopes)
        return forms.reshape(self.rows, *node.shape)

    def finish(self, outputs: Tensor) -> Units:
        """Return all units."""
        forms, last = self.forms[:-1].numpy(), self.forms[-1].numpy()
        low, high, kinks = self.low.numpy(), self.high.numpy(), self.kinks.numpy()
        return Units(forms, last, outputs[:-1].numpy(), self.inputs, low, high, kinks, tuple(self.blocks))

    def _go_on(self) -> None:
        if late(self.deadline):
            raise _TimeIsUp

    def _add(
        self, name: str, forms: Tensor, low: Tensor, high: Tensor, kinks: Tensor, function: Elementwise | None = None
    ) -> Tensor:
        """Add units; return their own forms."""
        start, stop = self.used, self.used + forms.shape[1]
        if stop == start:
            return forms
        self.forms[:, start:stop], self.kinks[:, start:stop] = forms, kinks
        self.low[start:stop], self.high[start:stop] = low, high
        self.blocks.append(Block(name, start, stop, function))
        self.used = stop
        own = torch.zeros_like(forms)
        own[self.inputs + start : self.inputs + stop] = torch.eye(stop - start, dtype=torch.float64)
        return own

    def _elementwise(self, node: Node, operator: Operator, forms: Tensor, low: Tensor, high: Tensor) -> Tensor:
        at = self.facts.inside(node)
        heights = operator.forward(at.reshape(node.shape)).reshape(-1)
        breaks = self.facts.switching(node, operator)
        if isinstance(breaks, Breaks) and len(breaks.breakpoints) == 1:
            return self._kinked(node.name, breaks, forms, low, high, at, heights)
        live = low < high
        function = Elementwise(operator, tuple(node.shape), np.flatnonzero(live.numpy()))
        kinks = torch.full((2, int(live.sum())), math.nan, dtype=torch.float64)
        value = _line(forms, low, at, heights)
        value[:, live] = self._add(node.name, forms[:, live], low[live], high[live], kinks, function)
        return value

    def _kinks(self, late: Postponed, forms: Tensor, columns: Tensor, low: Tensor, high: Tensor) -> Tensor:
        """Return the activation of maxima, which were over `columns`."""
        slopes, intercepts = late.breaks.slopes[:, columns[:, 0]], late.breaks.intercepts[:, columns[:, 0]]
        breaks = replace(late.breaks, slopes=slopes, intercepts=intercepts)
        at = greatest(self.facts.inside(late.node), columns)
        right = (at > breaks.breakpoints).long()[None]
        heights = slopes.gather(0, right)[0] * at + intercepts.gather(0, right)[0]
        return self._kinked(late.node.name, breaks, forms, low, high, at, heights)

    def _kinked(
        self, name: str, breaks: Breaks, forms: Tensor, low: Tensor, high: Tensor, at: Tensor, heights: Tensor
    ) -> Tensor:
        """Return the values of units with one kink, of value `heights` at `at`, and add those that bend."""
        live, b = low < high, float(breaks.breakpoints)
        moved = forms[:, live].clone()
        moved[-1] -= b  # the unit's kink is at zero, and its value there
        own = self._add(name, moved, low[live], high[live], breaks.slopes[:, live])
        own[-1] += (breaks.slopes[0] * b + breaks.intercepts[0])[live]
        value = _line(forms, low, at, heights)
        value[:, live] = own
        return value

    def _maxima(self, name: str, forms: Tensor, columns: Tensor) -> Tensor:
        """Return the forms of maxima over the entries `columns`, (units, width): max(a, b) = a + relu(b - a)."""
        best = forms[:, columns[:, 0]]
        for place in range(1, columns.shape[1]):
            self._go_on()
            live = columns[:, place] >= 0
            step = forms[:, columns[live, place]] - best[:, live]
            kinks = torch.stack([ZERO.expand(step.shape[1]), ONE.expand(step.shape[1])])
            best[:, live] += self._add(name, step, kinks[0], kinks[1], kinks)
        return best


def _line(forms: Tensor, slope: Tensor, at: Tensor, heights: Tensor) -> Tensor:
    """Return lines through `heights` at `at`, of the forms."""
    value = forms * slope
    value[-1] += heights - slope * at
    return value
