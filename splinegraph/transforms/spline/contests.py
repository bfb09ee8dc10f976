"""Differences of two networks through maxima, sorting and pooling: of several entries one wins, in each its own.

A unit's difference is a mean of the differences of the entries that can win in it, with weights that are not known but
add up to one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from splinegraph.core.affine import AffineOperator
from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.operator import Operator, SplineOperator
from splinegraph.core.switching import Contest
from splinegraph.core.values import Box
from splinegraph.transforms.spline.moves import Interval, times

__all__ = ["Race"]


@dataclass(frozen=True, eq=False)
class Race:
    """The units of a node on the cells of a domain, and which entries can win in them.

    Parameters
    ----------
    node : Node
    args : sequence of Node
    boxes : sequence of Box
        Where the arguments are in both networks, one sample per cell.
    place : Tensor of shape (units, width), int64
        Entries of all arguments one behind the other.
    can : Tensor of shape (cells, units, width), bool
        Which of these can win in either network.
    ranked : bool
        Whether units stand in an order, in which the winner of one does not take part in the next.
    """

    node: Node
    args: Sequence[Node]
    boxes: Sequence[Box]
    place: Tensor
    can: Tensor
    ranked: bool

    @classmethod
    def of(cls, graph: SplineGraph, node: Node, operator: Operator, boxes: Sequence[Box]) -> Race | None:
        """Return the race of a node; None if its operator is none, or jumps."""
        if not isinstance(operator, SplineOperator) or isinstance(operator, AffineOperator) or not operator.continuous:
            return None
        if hasattr(operator, "slope_range"):  # one argument, entry by entry
            return None
        args = [graph[name] for name in node.args]
        contest = operator.switching([arg.shape for arg in args])
        if not isinstance(contest, Contest) or contest.units != math.prod(node.shape):
            return None
        lowers, uppers = (
            [arg.rows(side) for arg, side in zip(args, sides, strict=True)] for sides in zip(*boxes, strict=True)
        )
        columns = contest.columns([rows.shape[1] for rows in lowers])
        lower, upper = torch.cat(lowers, 1), torch.cat(uppers, 1)
        if not contest.largest:
            lower, upper = -upper, -lower
        some, place, ranked = columns >= 0, columns.clamp(min=0), bool((contest.after >= 0).any())
        low, high = lower[:, place].masked_fill(~some, -torch.inf), upper[:, place].masked_fill(~some, -torch.inf)
        can = some & ((high >= low.amax(-1, keepdim=True)) | ranked)
        return cls(node, args, boxes, place, can, ranked)

    @property
    def shares(self) -> Interval:
        """Bounds of the weight of each place in its unit, shape (cells, units, width)."""
        alone = self.can & (self.can.sum(-1, keepdim=True) == 1) & (not self.ranked)
        return alone.double(), self.can.double()

    @property
    def even(self) -> Interval:
        """The weight of each place if all that can win did so equally often."""
        share = self.can.double() / self.can.sum(-1, keepdim=True).clamp(min=1)
        return share, share

    def moved(self, moves: Sequence[Interval], image: Box) -> Interval:
        """Return by how much the units move where the arguments do, in the shape of the node's value `image`."""
        found = []
        for side, sign in ((0, -1.0), (1, 1.0)):
            every = torch.cat([arg.rows(sign * move[side]) for arg, move in zip(self.args, moves, strict=True)], 1)
            rows = sign * every[:, self.place].masked_fill(~self.can, -torch.inf).amax(-1)
            found.append(_in_shape(self.node, rows[None], image.lower)[0])
        return found[0], found[1]

    def back(self, value: Interval, shares: Interval) -> tuple[Interval, ...]:
        """Return the sensitivities to the arguments, from those to the units, of shape (R, *value)."""
        sizes = [arg.rows(box.lower).shape[1] for arg, box in zip(self.args, self.boxes, strict=True)]
        low, high = (torch.stack([self.node.rows(row) for row in side]) for side in value)
        place, sides = self.place.reshape(-1), []
        for side in times((low[..., None], high[..., None]), shares):
            total = side.new_zeros(*side.shape[:2], sum(sizes))
            sides.append(total.index_add(2, place, side.flatten(2)).split(sizes, 2))
        return tuple(
            (_in_shape(arg, sides[0][i], box.lower), _in_shape(arg, sides[1][i], box.lower))
            for i, (arg, box) in enumerate(zip(self.args, self.boxes, strict=True))
        )


def _in_shape(node: Node, rows: Tensor, like: Tensor) -> Tensor:
    """Return rows of shape (R, cells, entries) in the shape of the node's value."""
    if node.layout is None:
        return rows.reshape(len(rows), *like.shape)
    first = node.layout.samples_first(like).shape
    return torch.stack([node.layout.samples_back(row.reshape(first)) for row in rows])
