"""The affine pieces among which each unit of a layer chooses, on a domain."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from splinegraph.analyses.convexity.curvature import Course, rivals
from splinegraph.core.graph import Node
from splinegraph.core.operator import SplineOperator
from splinegraph.core.switching import Breaks, Contest
from splinegraph.core.values import Box
from splinegraph.errors import UnsupportedOperatorError

__all__ = ["Choices", "choices", "joined"]

COMBINATIONS = 64
"""Choices of pieces that are drawn for each input; all of them, where a layer has no more."""

ROUNDING = 1e-13
"""Relative to the largest value."""


@dataclass(frozen=True, eq=False)
class Choices:
    """The pieces of a layer's units that bounds do not exclude.

    Parameters
    ----------
    pieces : tuple of tuple of int
        Codes, for each unit.
    convex, concave : Tensor of shape (units,), bool
        Whether the unit is the largest of its pieces, and the smallest; both where it has one.
    box : Box of shape (units,)
        All that the pieces can give.
    """

    pieces: tuple[tuple[int, ...], ...]
    convex: Tensor
    concave: Tensor
    box: Box

    @property
    def count(self) -> int:
        """How many choices of one piece per unit there are."""
        return math.prod(len(pieces) for pieces in self.pieces)

    def all(self) -> Tensor:
        """Return all choices, shape (count, units)."""
        return torch.tensor(list(itertools.product(*self.pieces)), dtype=torch.int64)

    def draw(self, own: Tensor, generator: torch.Generator) -> Tensor:
        """Return choices for inputs that are on the pieces `own` of shape (P, units): shape (P, C, units).

        All, if there are at most `COMBINATIONS`; else half random ones and half that differ from `own` in one unit.
        """
        if self.count <= COMBINATIONS:
            return self.all().expand(len(own), -1, -1)
        width = max(len(pieces) for pieces in self.pieces)
        table = torch.tensor([[*p, *(p[-1:] * (width - len(p)))] for p in self.pieces])
        sizes = torch.tensor([len(p) for p in self.pieces])
        places = torch.rand(len(own), COMBINATIONS, len(sizes), generator=generator, dtype=torch.float64) * sizes
        drawn = table[torch.arange(len(sizes)), places.long()]
        half = COMBINATIONS // 2
        single = torch.rand(len(own), half, len(sizes), generator=generator) * (sizes > 1)
        flipped = torch.nn.functional.one_hot(single.argmax(2), len(sizes)).bool()
        drawn[:, :half] = torch.where(flipped, drawn[:, :half], own[:, None].long())
        return drawn


def choices(found: Course, node: Node) -> Choices:
    """Return the pieces of a node that switches.

    Raises
    ------
    UnsupportedOperatorError
        If they cannot be listed.
    """
    operator, boxes = found.operators[node.name], found.arguments(node)
    shapes = [found.graph[arg].shape for arg in node.args]
    switching = operator.switching(shapes, boxes) if isinstance(operator, SplineOperator) else None
    if isinstance(switching, Breaks):
        return _of_breaks(switching, boxes[0])
    if isinstance(switching, Contest):
        race = rivals(found, node)
        inside = switching.position >= 0 if race is None else race.alive
        return _of_contest(switching, boxes, inside)
    raise UnsupportedOperatorError(f"the pieces of {operator.label} cannot be listed", where=node.where)


def joined(parts: Sequence[Choices]) -> Choices:
    """Return the choices of the units of several layers together."""
    box = Box(torch.cat([part.box.lower for part in parts]), torch.cat([part.box.upper for part in parts]))
    convex, concave = (torch.cat([getattr(part, name) for part in parts]) for name in ("convex", "concave"))
    return Choices(tuple(pieces for part in parts for pieces in part.pieces), convex, concave, box)


def _of_breaks(breaks: Breaks, box: Box) -> Choices:
    low, high = (side.reshape(-1) for side in box)
    ends = [-math.inf, *breaks.breakpoints.tolist(), math.inf]
    met = torch.stack(
        [(low < b) & (high > a) | (low == high) & (low >= a) & (low <= b) for a, b in itertools.pairwise(ends)]
    )
    steps, crossed = breaks.slopes.diff(dim=0), met[1:] & met[:-1]
    convex, concave = (((sign * steps >= 0) | ~crossed).all(0) for sign in (1, -1))
    lines = torch.stack([(breaks.slopes * z).nan_to_num(0.0, math.inf, -math.inf) for z in (low, high)])
    values = lines + breaks.intercepts
    least = values.amin(0).masked_fill(~met, math.inf).amin(0)
    most = values.amax(0).masked_fill(~met, -math.inf).amax(0)
    pieces = tuple(tuple((column.nonzero()[:, 0] + breaks.first).tolist()) for column in met.T)
    return Choices(pieces, convex, concave, _wider(least, most))


def _of_contest(contest: Contest, boxes: Sequence[Box], alive: Tensor) -> Choices:
    place = contest.columns([box.lower.numel() for box in boxes]).clamp(min=0)
    low, high = (torch.cat([side.reshape(-1) for side in sides]) for sides in zip(*boxes, strict=True))
    least = low[place].masked_fill(~alive, math.inf).amin(1)
    most = high[place].masked_fill(~alive, -math.inf).amax(1)
    ranked = contest.after >= 0  # neither the largest nor the smallest of what it looks at
    single = alive.sum(1) == 1
    convex, concave = (single | ~ranked & (contest.largest is largest) for largest in (True, False))
    pieces = tuple(tuple(row.nonzero()[:, 0].tolist()) for row in alive)
    return Choices(pieces, convex, concave, _wider(least, most))


def _wider(low: Tensor, high: Tensor) -> Box:
    size = torch.maximum(low.abs(), high.abs())
    slack = ROUNDING * size.masked_fill(~size.isfinite(), 0.0)
    return Box(low - slack, high + slack)
