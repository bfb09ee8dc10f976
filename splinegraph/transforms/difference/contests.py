"""Maxima and order statistics of differences."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from splinegraph.core.graph import Node
from splinegraph.core.layout import BatchLayout
from splinegraph.core.switching import Contest
from splinegraph.errors import UnsupportedOperatorError
from splinegraph.operators.arithmetic import Reduce
from splinegraph.operators.linear import Linear
from splinegraph.operators.maximum import Amax
from splinegraph.operators.padding import Pad
from splinegraph.operators.shape import Concat, IndexSelect, Reshape
from splinegraph.transforms.difference.building import Builder, Sums, Triple, once

__all__ = ["contested"]

MOST_SETS = 1000
"""Sets of entries that one order statistic may compare."""


def contested(
    builder: Builder, node: Node, contest: Contest, alive: Tensor, xs: Sequence[Triple], rest: Tensor
) -> Sums:
    """Return some units of a maximum or of order statistics of differences; the other units are zero.

    Parameters
    ----------
    builder : Builder
    node : Node
    contest : Contest
    alive : Tensor of shape (units, width), bool
        Which places of each unit can win it.
    xs : sequence of Triple
        The arguments.
    rest : Tensor of bool
        The units.

    Notes
    -----
    The sum of the k largest of g_j - h_j is M_k - M_0, where M_k is the largest of sum_A g + sum_(not A) h over all
    sets A of k entries. So the one of rank r is M_(r+1) - M_r, both convex.
    """
    columns = contest.columns([math.prod(builder.at[name].shape) for name in node.args])
    field = _Field(builder, node, xs)
    wanted: dict[tuple[int, int], list[tuple[int, int, list[int]]]] = {}
    ranks, smallest = contest.ranks.tolist(), not contest.largest
    for unit in torch.nonzero(rest.reshape(-1))[:, 0].tolist():
        members = columns[unit][alive[unit]].tolist()
        rank = len(members) - 1 - ranks[unit] if smallest else ranks[unit]
        for side, k in ((0, rank + 1), (1, rank)):
            wanted.setdefault((len(members), k), []).append((side, unit, members))
    rows: tuple[list[tuple[str, list[int]]], ...] = ([], [])
    for (_, k), entries in wanted.items():
        name = field.most(k, [members for _, _, members in entries])
        if name is not None:
            for side in (0, 1):
                rows[side].append((name, [unit if s == side else -1 for s, unit, _ in entries]))
    sides = [_placed(builder, node, found, len(columns), "gh"[side]) for side, found in enumerate(rows)]
    return Sums(once(sides[0]), once(sides[1]))


class _Field:
    """The entries of all arguments in a row, as g and h."""

    def __init__(self, builder: Builder, node: Node, xs: Sequence[Triple]) -> None:
        self.builder, self.node = builder, node
        up = []
        for x, arg in zip(xs, node.args, strict=True):
            up.append(builder.sum(builder.found.graph[arg], "up", once(x.g) + once(x.line)))
        self.g, self.h = self._row(up), self._row([x.h for x in xs])

    def _row(self, names: Sequence[str | None]) -> str | None:
        if all(name is None for name in names):
            return None
        filled = [name or self.builder.zero(arg) for name, arg in zip(names, self.node.args, strict=True)]
        return self.builder.flat(self.node, filled)

    def most(self, k: int, members: Sequence[list[int]]) -> str | None:
        """Return the largest of sum_A g + sum_(not A) h over sets A of k of some members, (B, rows); None for zero."""
        width = len(members[0])
        if math.comb(width, k) > MOST_SETS:
            raise UnsupportedOperatorError(
                f"no difference of convex functions for {self.node.op.label}", where=self.node.where,
                why=f"it compares {math.comb(width, k)} sets of {k} of {width} entries, more than {MOST_SETS}",
                remedy="give a smaller domain, on which fewer entries compete",
            )  # fmt: skip
        sets = torch.zeros(math.comb(width, k), width, dtype=torch.float64)
        for row, chosen in enumerate(itertools.combinations(range(width), k)):
            sets[row, list(chosen)] = 1.0
        index = torch.tensor(members)
        parts = [self._sums(self.g, index, sets), self._sums(self.h, index, 1 - sets)]
        shape = (1, len(members), len(sets))
        terms = once(parts[0]) + once(parts[1])
        if not terms:
            return None
        like = self.builder.at[terms[0][1]]
        total = self.builder.sum(like, "sets", terms)
        assert total is not None
        operator = Amax((-1,)) if len(sets) > 1 else Reduce((-1,))
        return self.builder.emit(self.node, "most", operator, total, shape=shape[:2], layout=BatchLayout())

    def _sums(self, row: str | None, index: Tensor, sets: Tensor) -> str | None:
        """Return the sums over sets of entries, shape (B, rows, sets); None if there is nothing to sum."""
        if row is None or not bool(sets.any()):
            return None
        rows, width = index.shape
        emit, flat = self.builder.emit, BatchLayout()
        name = emit(
            self.node, "members", IndexSelect(-1, index.reshape(-1)), row, shape=(1, index.numel()), layout=flat
        )
        name = emit(self.node, "members", Reshape((-1, rows, width), 2), name, shape=(1, rows, width), layout=flat)
        if torch.equal(sets, torch.eye(width, dtype=torch.float64)):
            return name
        return emit(self.node, "sums", Linear(sets), name, shape=(1, rows, len(sets)), layout=flat)


def _placed(builder: Builder, node: Node, rows: Sequence[tuple[str, list[int]]], units: int, role: str) -> str | None:
    """Return rows of values put where they belong among the units of a node; None if none belongs anywhere."""
    rows = [(name, places) for name, places in rows if max(places) >= 0]
    if not rows:
        return None
    flat = BatchLayout()
    total = sum(len(places) for _, places in rows)
    name = rows[0][0]
    if len(rows) > 1:
        name = builder.emit(node, role, Concat(-1), *(name for name, _ in rows), shape=(1, total), layout=flat)
    where = torch.full((units,), total)
    for at, unit in enumerate(unit for _, places in rows for unit in places):
        if unit >= 0:
            where[unit] = at
    if bool((where == total).any()):  # a zero behind the last
        name = builder.emit(node, role, Pad((0, 1)), name, shape=(1, total + 1), layout=flat)
    if total != units or where.tolist() != list(range(units)):
        name = builder.emit(node, role, IndexSelect(-1, where), name, shape=(1, units), layout=flat)
    return builder.unflat(node, role, name)
