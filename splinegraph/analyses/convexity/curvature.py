"""Composition rules: curvature of every value in the inputs, from what operators declare.

cvxpy's rules for disciplined convex programs [1]_, for networks: a convex function of values is convex if it is
nondecreasing in those that are convex and nonincreasing in those that are concave.

References
----------
.. [1] M. Grant, S. Boyd, Y. Ye, "Disciplined Convex Programming", in "Global Optimization", Springer 2006,
   doi:10.1007/0-387-30528-9_7.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from splinegraph.analyses.convexity.place import Place
from splinegraph.analyses.convexity.ranges import ranges
from splinegraph.analyses.convexity.verdict import Certificate, Finding
from splinegraph.core.affine import AffineOperator
from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.operator import Operator, SplineOperator
from splinegraph.core.switching import Contest
from splinegraph.core.values import Box, Curvature, Monotonicity
from splinegraph.core.walk import walk

__all__ = ["Course", "Rivals", "by_curvature", "course", "declared", "is_entrywise", "propagate", "rivals"]

CONVEX, CONCAVE, AFFINE = Curvature.CONVEX, Curvature.CONCAVE, Curvature.AFFINE
UP, DOWN = Monotonicity.NONDECREASING, Monotonicity.NONINCREASING


@dataclass(frozen=True, eq=False)
class Bend:
    """What is known of a value's entries as functions of the inputs.

    Parameters
    ----------
    convex, concave : Tensor of bool
    fixed : Tensor of bool
        Which entries do not depend on the inputs.
    """

    convex: Tensor
    concave: Tensor
    fixed: Tensor

    @property
    def flags(self) -> Tensor:
        """`Curvature` flags, int8."""
        return CONVEX.where(self.convex) | CONCAVE.where(self.concave)


@dataclass(frozen=True, eq=False)
class Course:
    """What the rules say of all values at batch size one.

    Parameters
    ----------
    graph : SplineGraph
    operators : mapping from name to Operator
        In float64.
    boxes : dict from name to Box
        Bounds of all values.
    bends : dict from name to Bend
    """

    graph: SplineGraph
    operators: Mapping[str, Operator]
    boxes: dict[str, Box]
    bends: dict[str, Bend]

    def arguments(self, node: Node) -> list[Box]:
        """Return the boxes of a node's arguments."""
        return [self.boxes[arg] for arg in node.args]


def course(graph: SplineGraph, place: Place) -> Course:
    """Return what the rules say of all values. Costs about four forward passes for one sample."""
    operators = graph.resolved(torch.float64, torch.device("cpu"), 1)
    found = Course(graph, operators, ranges(graph, place, operators), {})

    def visit(node: Node, operator: Operator, args: tuple[Bend, ...]) -> Bend:
        bend = _rule(node, operator, args, found)
        full = [t.expand(node.shape) for t in (bend.convex | bend.fixed, bend.concave | bend.fixed, bend.fixed)]
        found.bends[node.name] = Bend(*full)
        return found.bends[node.name]

    with torch.no_grad():
        starts = []
        for name, box in zip(graph.inputs, place.boxes, strict=True):
            yes = torch.ones(1, *box.shape, dtype=torch.bool)
            starts.append(Bend(yes, yes, (box.lower == box.upper)[None]))
            found.bends[name] = starts[-1]
        walk(graph, starts, visit, operators=operators)
    return found


def propagate(graph: SplineGraph, on: Any = None) -> dict[str, Tensor]:
    """Return the curvature of every value in the graph's inputs, as far as composition rules tell.

    Parameters
    ----------
    graph : SplineGraph
    on : Box, Plane, Segment, Polytope, Ball, tuple of them, or None
        Where; None for all of space.

    Returns
    -------
    dict from node name to Tensor of int8
        `Curvature` flags in the shape of the node at batch size one; UNKNOWN where the rules do not tell.

    Notes
    -----
    Affine operators by the signs of their weights; any other by its declared curvature and direction on the box that
    interval bounds give its arguments, so a unit that stays on one piece is affine. Entries that never win a maximum
    are left out of it. Costs about four forward passes for one sample.

    Examples
    --------
    >>> import torch, splinegraph as sg
    >>> graph = sg.trace(torch.nn.ReLU().eval(), torch.zeros(1, 2))
    >>> [flags.tolist() for flags in propagate(graph, sg.Box(torch.tensor([-1.0, 1]), torch.tensor([1.0, 2]))).values()]
    [[[3, 3]], [[1, 3]]]
    """
    return {name: bend.flags for name, bend in course(graph, Place.of(graph, on)).bends.items()}


def by_curvature(found: Course, outputs: Sequence[int]) -> dict[int, Finding]:
    """Return what the rules say of some entries of the outputs, counted one behind the other."""
    flags = torch.cat([found.bends[name].flags.reshape(-1) for name in found.graph.outputs])
    lost = next((node for node in found.graph.operators if not bool(found.bends[node.name].flags.all())), None)
    note = f"the rules lose track at {lost.op.label} ({lost.where})" if lost is not None else ""
    proof = Certificate("curvature", "composition rules, from the signs of weights and the operators' curvature")
    answer = {}
    for i in outputs:
        convex, concave = bool(flags[i] & int(CONVEX)), bool(flags[i] & int(CONCAVE))
        answer[i] = Finding(proof if convex else None, proof if concave else None, "" if convex or concave else note)
    return answer


# the rules


def _rule(node: Node, operator: Operator, args: tuple[Bend, ...], found: Course) -> Bend:
    if isinstance(operator, AffineOperator):
        return _affine(operator, args)
    boxes = found.arguments(node)
    race = rivals(found, node)
    if race is not None:
        return _contest(node, operator, race, args, boxes)
    if not is_entrywise(node, operator, boxes):
        args = tuple(Bend(a.convex.all(), a.concave.all(), a.fixed.all()) for a in args)
    flags = declared(operator, boxes, [bool(a.fixed.all()) for a in args])
    convex, concave, fixed = CONVEX.held_by(flags), CONCAVE.held_by(flags), torch.tensor(True)
    for i, a in enumerate(args):
        direction = operator.monotonicity(i, boxes)
        up, down = UP.held_by(direction), DOWN.held_by(direction)
        still = (up & down) | (a.convex & a.concave)
        convex = convex & (still | (a.convex & up) | (a.concave & down))
        concave = concave & (still | (a.concave & up) | (a.convex & down))
        fixed = fixed & (a.fixed | (up & down))
    return Bend(*torch.broadcast_tensors(convex, concave, fixed))


def is_entrywise(node: Node, operator: Operator, boxes: Sequence[Box]) -> bool:
    """Return whether each unit sees one entry, in its own place."""
    return len(boxes) == 1 and hasattr(operator, "slope_range") and boxes[0].shape == node.shape


def declared(operator: Operator, boxes: Sequence[Box], fixed: Sequence[bool]) -> Tensor:
    """Return the declared curvature; a product of which all but one factor are `fixed` is affine."""
    if operator.family == "bilinear" and fixed.count(False) <= 1:
        return AFFINE.tensor()
    return operator.curvature(boxes)


def _affine(operator: AffineOperator, args: tuple[Bend, ...]) -> Bend:
    """Return what is known of sums: a positive weight keeps the curvature of what it takes, a negative one flips it."""
    positive, negative = operator.split()

    def met(up: list[Tensor], down: list[Tensor]) -> Tensor:
        """Return which sums hold an entry of `up` with a positive weight, or of `down` with a negative one."""
        total = torch.zeros((), dtype=torch.float64)
        for part, marked in ((positive, up), (negative, down)):
            if part is not None:
                total = total + part.linear(*(m.double() for m in marked))
        return total > 0

    bent, sunk, moving = ([~t for t in ts] for ts in zip(*((a.convex, a.concave, a.fixed) for a in args), strict=True))
    return Bend(~met(bent, sunk), ~met(sunk, bent), ~met(moving, moving))


@dataclass(frozen=True, eq=False)
class Rivals:
    """The entries that can win each unit of a contest.

    Parameters
    ----------
    columns : Tensor of shape (units, width), int64
        Entries of the arguments, flattened and put one behind the other.
    alive : Tensor of shape (units, width), bool
        Which of them can win.
    """

    columns: Tensor
    alive: Tensor

    @property
    def single(self) -> Tensor:
        """Which units have one possible winner, so that they are that entry."""
        return self.alive.sum(1) == 1


def rivals(found: Course, node: Node) -> Rivals | None:
    """Return who can win at a maximum or an order statistic; None if the node is none."""
    operator, boxes = found.operators[node.name], found.arguments(node)
    if not isinstance(operator, SplineOperator) or not operator.continuous or is_entrywise(node, operator, boxes):
        return None
    shapes = [found.graph[arg].shape for arg in node.args]
    switching = operator.switching(shapes, boxes)
    if not isinstance(switching, Contest) or switching.units != math.prod(node.shape):
        return None
    columns = switching.columns([box.lower.numel() for box in boxes])
    sign = 1.0 if switching.largest else -1.0
    lower, upper = (torch.cat([side.reshape(-1) for side in sides]) for sides in zip(*boxes, strict=True))
    if sign < 0:
        lower, upper = -upper, -lower
    inside = columns >= 0
    least = lower[columns.clamp(min=0)].masked_fill(~inside, -torch.inf).amax(1, keepdim=True)
    first = (switching.after < 0)[:, None]
    return Rivals(columns, inside & (~first | (upper[columns.clamp(min=0)] >= least)))


def _contest(node: Node, operator: Operator, race: Rivals, args: tuple[Bend, ...], boxes: Sequence[Box]) -> Bend:
    """Return what is known of maxima: convex if all that can win are; with one possible winner, what it is."""

    def all_of(marks: Sequence[Tensor]) -> Tensor:
        flat = torch.cat([m.reshape(-1) for m in marks])
        return (flat[race.columns.clamp(min=0)] | ~race.alive).all(1).reshape(node.shape)

    flags, single = operator.curvature(boxes).expand(node.shape), race.single.reshape(node.shape)
    return Bend(
        all_of([a.convex for a in args]) & (single | CONVEX.held_by(flags)),
        all_of([a.concave for a in args]) & (single | CONCAVE.held_by(flags)),
        all_of([a.fixed for a in args]),
    )
