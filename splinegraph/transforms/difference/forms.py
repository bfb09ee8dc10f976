"""Affine functions of the inputs above and below every value of a network on a box."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from splinegraph.analyses.lipschitz.intervals import intervals
from splinegraph.core.affine import AffineOperator
from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.operator import Operator, SplineOperator
from splinegraph.core.switching import Breaks, Contest
from splinegraph.core.values import Box
from splinegraph.core.walk import walk

__all__ = ["Forms", "forms"]

ROUNDING = 1e-12
"""By how much functions are moved apart at each operator, relative to the sum of all sizes that it adds up: sums of
up to some thousand terms."""


@dataclass(frozen=True, eq=False)
class Forms:
    """``below @ (x, 1) <= value <= above @ (x, 1)`` for all x of a box.

    Parameters
    ----------
    below, above : Tensor of shape (n + 1, *value)
        Coefficients of the flattened inputs, and last the constants.
    """

    below: Tensor
    above: Tensor


def forms(graph: SplineGraph, boxes: Sequence[Box]) -> tuple[Forms, ...]:
    """Return affine functions above and below each output on a bounded box.

    Parameters
    ----------
    graph : SplineGraph
    boxes : sequence of Box
        One per input.

    Notes
    -----
    One pass with n + 1 rows per value. Splines and maxima take the line, or the sum of lines, with the least height
    in the middle; other operators their interval bounds.
    """
    with torch.no_grad():
        walker = _Walker(graph, boxes)
        starts, at = [], 0
        for box in boxes:
            rows = torch.zeros(walker.rows, 1, *box.shape, dtype=torch.float64)
            size = box.lower.numel()
            rows[at : at + size] = torch.eye(size, dtype=torch.float64).reshape(size, 1, *box.shape)
            starts.append(Forms(rows, rows))
            at += size
        operators = graph.resolved(torch.float64, torch.device("cpu"), 1)
        outputs, _ = walk(graph, starts, walker.visit, operators=operators)
    return outputs


class _Walker:
    """The rule for each operator."""

    def __init__(self, graph: SplineGraph, boxes: Sequence[Box]) -> None:
        self.graph, self.boxes = graph, intervals(graph, boxes)
        lower, upper = (torch.cat([s.double().reshape(-1) for s in side]) for side in zip(*boxes, strict=True))
        one = torch.ones(1, dtype=torch.float64)
        self.center, self.radius = torch.cat([(lower + upper) / 2, one]), torch.cat([(upper - lower) / 2, 0 * one])
        self.reach = self.center.abs() + self.radius
        self.rows = len(self.center)

    def visit(self, node: Node, operator: Operator, args: tuple[Forms, ...]) -> Forms:
        """Return the functions of a node's value."""
        if isinstance(operator, AffineOperator):
            return self._affine(operator, args)
        shapes = [self.graph[name].shape for name in node.args]
        switching = None
        if isinstance(operator, SplineOperator) and operator.continuous:
            switching = operator.switching(shapes, [self.boxes[name] for name in node.args])
        if isinstance(switching, Breaks) and switching.continuous:
            return self._spline(node, switching, args[0])
        if isinstance(switching, Contest) and not bool((switching.after >= 0).any()):
            return self._contest(node, switching, args)
        box = self.boxes[node.name]
        below, above = torch.zeros(2, self.rows, *node.shape, dtype=torch.float64)
        below[-1], above[-1] = box.lower, box.upper
        return Forms(below, above)

    def _affine(self, operator: AffineOperator, args: tuple[Forms, ...]) -> Forms:
        positive, negative = operator.split()
        bias = operator.forward(*(torch.zeros_like(x.above[0]) for x in args))
        above = torch.zeros(self.rows, *bias.shape, dtype=torch.float64)
        above[-1] = bias
        below, size = above.clone(), bias.abs()
        sizes = [self._size(x) for x in args]
        for part, sign in ((positive, 1.0), (negative, -1.0)):
            if part is not None:
                one, other = [x.above for x in args], [x.below for x in args]
                above += sign * part.linear(*(one if sign > 0 else other))
                below += sign * part.linear(*(other if sign > 0 else one))
                size = size + part.linear(*sizes)
        return _apart(below, above, size)

    def _spline(self, node: Node, breaks: Breaks, x: Forms) -> Forms:
        low, high = self._range(x, self.boxes[node.args[0]])
        middle = ((low + high) / 2).reshape(-1)
        ends = [low.reshape(-1), high.reshape(-1)]
        ends += [torch.clamp(torch.full_like(middle, b), *ends) for b in breaks.breakpoints.tolist()]
        t = torch.stack(ends)
        values, _ = _at(breaks, t)
        _, tangent = _at(breaks, middle[None])
        width = t[1] - t[0]
        chord = torch.where(width > 0, (values[1] - values[0]) / width.clamp(min=1e-300), tangent[0])
        slopes = torch.stack([chord, tangent[0]])
        off = values - slopes[:, None] * t  # (2, ends, units)
        top, bottom = off.amax(1), off.amin(1)
        up, down = (top + slopes * middle).argmin(0)[None], (bottom + slopes * middle).argmax(0)[None]
        lines = [(slopes.gather(0, i)[0], c.gather(0, i)[0]) for i, c in ((up, top), (down, bottom))]
        (s_up, c_up), (s_down, c_down) = ((s.reshape(node.shape), c.reshape(node.shape)) for s, c in lines)
        above = s_up.clamp(min=0) * x.above + s_up.clamp(max=0) * x.below
        below = s_down.clamp(min=0) * x.below + s_down.clamp(max=0) * x.above
        above[-1] += c_up
        below[-1] += c_down
        steep, tall = torch.maximum(s_up.abs(), s_down.abs()), torch.maximum(c_up.abs(), c_down.abs())
        return _apart(below, above, steep * self._size(x) + tall + values.abs().amax(0).reshape(node.shape))

    def _contest(self, node: Node, contest: Contest, args: tuple[Forms, ...]) -> Forms:
        above, below = (
            torch.cat([f.flatten(1) for f in side], 1) for side in zip(*((x.above, x.below) for x in args), strict=True)
        )
        columns = contest.columns([math.prod(self.graph[name].shape) for name in node.args])
        if not contest.largest:
            above, below = -below, -above
        size = self._size(Forms(below, above)).amax() * torch.ones(len(columns), dtype=torch.float64)
        first = columns.max(1).values  # places without an entry repeat one that there is
        best = Forms(below[:, first], above[:, first])
        for place in range(columns.shape[1]):
            column = torch.where(columns[:, place] >= 0, columns[:, place], first)
            best = self._larger(best, Forms(below[:, column], above[:, column]))
        found = _apart(best.below, best.above, size * columns.shape[1])
        below, above = (found.below, found.above) if contest.largest else (-found.above, -found.below)
        return Forms(below.reshape(-1, *node.shape), above.reshape(-1, *node.shape))

    def _larger(self, one: Forms, two: Forms) -> Forms:
        """Return functions around max(one, two) = one + relu(two - one)."""
        low, high = self._ends(two.below - one.above)[0], self._ends(two.above - one.below)[1]
        inside = (low < 0) & (high > 0)
        share = torch.where(inside, high / (high - low).clamp(min=1e-300), (low >= 0).double())
        above = (1 - share) * one.above + share * two.above
        above[-1] -= torch.where(inside, share * low, torch.zeros_like(low))
        second = torch.where(inside, self.center @ (two.below - one.below) > 0, low >= 0)
        return Forms(torch.where(second, two.below, one.below), above)

    def _range(self, x: Forms, box: Box) -> tuple[Tensor, Tensor]:
        low, high = self._ends(x.below)[0], self._ends(x.above)[1]
        low, high = torch.maximum(low, box.lower), torch.minimum(high, box.upper)
        return torch.minimum(low, high), torch.maximum(low, high)  # which may miss each other by rounding

    def _ends(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the least and the largest values of affine functions on the box, with a margin."""
        flat = rows.flatten(1)
        slack = self.radius @ flat.abs() + ROUNDING * (self.reach @ flat.abs())
        middle = self.center @ flat
        return (middle - slack).reshape(rows.shape[1:]), (middle + slack).reshape(rows.shape[1:])

    def _size(self, x: Forms) -> Tensor:
        """Return bounds of the sums of the sizes of both functions' terms."""
        shape = x.above.shape[1:]
        sizes = [(self.reach @ rows.flatten(1).abs()).reshape(shape) for rows in (x.above, x.below)]
        return torch.maximum(*sizes)


def _at(breaks: Breaks, t: Tensor) -> tuple[Tensor, Tensor]:
    """Return values and slopes of the units at points of shape (k, units)."""
    piece = (t[None] > breaks.breakpoints[:, None, None]).sum(0)
    slope = breaks.slopes.gather(0, piece)
    return slope * t + breaks.intercepts.gather(0, piece), slope


def _apart(below: Tensor, above: Tensor, size: Tensor) -> Forms:
    """Move both functions apart by the rounding of sums of a size."""
    below[-1] -= ROUNDING * size
    above[-1] += ROUNDING * size
    return Forms(below, above)
