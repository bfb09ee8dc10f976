"""Order statistics: sort and top-k values, and the machinery of whatever ranks the entries of an axis.

Sorting does not mix values: on each cell it is a permutation, and every order statistic is 1-Lipschitz.
The indices and masks that come with it jump; they are in `discontinuous`.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from splinegraph.core.algebra import Select
from splinegraph.core.operator import Boxes, Conditions, Piece, Shapes, SplineOperator
from splinegraph.core.switching import Contest, Switching
from splinegraph.core.values import Box, Curvature, Monotonicity
from splinegraph.operators.registry import Call, Value, lowers, negative

__all__ = ["GatherPiece", "Ordered", "Sort", "TopKValues", "Winners", "half_spaces", "places"]


class GatherPiece(Piece):
    """Entries of one axis picked by an index: y = x.gather(dim, index), with repetition if need be.

    Parameters
    ----------
    index : integer Tensor of the output's shape
    dim : int
        The axis, counted from the end.
    size : int
        Length of that axis of the argument.
    """

    def __init__(self, index: Tensor, dim: int, size: int) -> None:
        self._index, self._dim, self._size = index, dim, size

    def apply(self, *xs: Tensor) -> Tensor:
        return self.tangent(*xs)

    def tangent(self, *vs: Tensor) -> Tensor:
        return vs[0].gather(self._dim, self._expanded(vs[0]))

    def adjoint(self, u: Tensor) -> tuple[Tensor, ...]:
        index = self._expanded(u)
        shape = list(index.shape)
        shape[self._dim] = self._size
        return (u.new_zeros(shape).scatter_add(self._dim, index, u),)

    def _expanded(self, v: Tensor) -> Tensor:
        return self._index.long().expand(*v.shape[: v.dim() - self._index.dim()], *self._index.shape)


def places(shape: Sequence[int], device: torch.device | None = None) -> Tensor:
    """Return the flat position of every entry of a tensor of this shape."""
    return torch.arange(math.prod(shape), device=device).reshape(tuple(shape))


def half_spaces(unit: Tensor, rhs: Tensor, *entries: tuple[int, Tensor, Tensor | float]) -> Conditions:
    """Return rows sum_e coefficient_e x[position_e] <= rhs, each with the same number of entries.

    An entry is (argument, position, coefficient), with one position and coefficient per row.
    """
    row = torch.arange(len(unit), device=unit.device)
    coefficients = [torch.as_tensor(c, dtype=torch.float64, device=unit.device) for _, _, c in entries]
    return Conditions(
        row.repeat(len(entries)),
        torch.cat([torch.full_like(row, argument) for argument, _, _ in entries]),
        torch.cat([position for _, position, _ in entries]),
        torch.cat([c.expand(row.shape) for c in coefficients]),
        rhs,
        unit,
    )


def _at_most(smaller: Tensor, larger: Tensor, unit: Tensor) -> Conditions:
    """Return x[smaller] <= x[larger], one row per entry (flat positions of the one argument)."""
    rhs = torch.zeros(unit.numel(), dtype=torch.float64, device=unit.device)
    return half_spaces(unit.reshape(-1), rhs, (0, smaller.reshape(-1), 1.0), (0, larger.reshape(-1), -1.0))


def _where(mask: Tensor, dim: int, count: int) -> Tensor:
    """Return the flat positions of the `count` entries per fibre where `mask` holds, fibres in front."""
    found, fibres = mask.movedim(dim, -1), places(mask.shape, mask.device).movedim(dim, -1)
    return fibres[found].reshape(*fibres.shape[:-1], count)


def _ranked(x: Tensor, dim: int, count: int, largest: bool) -> Tensor:
    """Return the indices of the first `count` entries in order; ties by the lowest index."""
    if count == 1:  # argmax is documented to return the first of equals
        return x.argmax(dim, keepdim=True) if largest else x.argmin(dim, keepdim=True)
    return x.sort(dim=dim, descending=largest, stable=True).indices.narrow(dim, 0, count)


class Ordered(SplineOperator):
    """Lists the first entries of an axis in order; the code is the index of each entry listed.

    The code of a unit is not free: those of a fibre are distinct and change together.
    """

    dim: int
    coupled: ClassVar[bool] = True

    @property
    @abc.abstractmethod
    def listed(self) -> tuple[int | None, bool]:
        """How many entries are listed (None: all), and whether the largest come first."""

    def _count(self, size: int) -> int:
        return size if self.listed[0] is None else self.listed[0]

    def values(self, x: Tensor) -> Tensor:
        """Return the listed values themselves."""
        ordered = x.sort(dim=self.dim, descending=self.listed[1]).values
        return ordered.narrow(self.dim, 0, self._count(x.shape[self.dim]))

    def alphabet(self, shapes: Shapes) -> int:
        return int(shapes[0][self.dim])

    def code(self, *xs: Tensor) -> Tensor:
        size = xs[0].shape[self.dim]
        index = _ranked(xs[0], self.dim, self._count(size), self.listed[1])
        return index.to(torch.int16 if size <= 32767 else torch.int32)

    def conditions(self, code: Tensor, shapes: Shapes) -> Conditions:
        """Return the order of neighbors in the list, and the last one listed against all that are not."""
        dim, shape = self.dim, tuple(shapes[0])
        flat = places(shape, code.device).gather(dim, code.long())
        unit, count = places(code.shape, code.device), code.shape[dim]
        out = torch.ones(shape, dtype=torch.bool, device=code.device).scatter(dim, code.long(), False)
        losers = _where(out, dim, shape[dim] - count)
        last, last_unit = (t.select(dim, -1).unsqueeze(-1).expand_as(losers) for t in (flat, unit))
        before = torch.cat([flat.narrow(dim, 0, count - 1).reshape(-1), last.reshape(-1)])
        behind = torch.cat([flat.narrow(dim, 1, count - 1).reshape(-1), losers.reshape(-1)])
        units = torch.cat([unit.narrow(dim, 0, count - 1).reshape(-1), last_unit.reshape(-1)])
        return _at_most(behind, before, units) if self.listed[1] else _at_most(before, behind, units)

    def pieces(self, unit: int, shapes: Shapes) -> Tensor:
        return torch.arange(self.alphabet(shapes))

    def ties(self, xs: Sequence[Tensor], vs: Sequence[Tensor], slack: Tensor) -> Tensor:
        """Return the neighbors in the list, and the last one and its rivals, that tie and move apart."""
        (x,), (v,), dim = xs, vs, self.dim
        code = self.code(x).long()
        y, w = x.gather(dim, code), v.gather(dim, code)
        close = (y.diff(dim=dim).abs() <= slack) & (w.diff(dim=dim) != 0)
        count = code.shape[dim] - 1
        rivals = ((x - y.narrow(dim, count, 1)).abs() <= slack) & (v != w.narrow(dim, count, 1))
        rivals = rivals.scatter(dim, code, False).any(dim, keepdim=True)
        no = torch.zeros_like(rivals)
        found = torch.cat([close, no], dim) | torch.cat([no, close], dim)
        return found | torch.cat([no.expand_as(found).narrow(dim, 0, count), rivals], dim)


class _OrderStatistics(Ordered):
    """The listed values: the gather that the code names."""

    family = "order"

    def forward(self, *xs: Tensor) -> Tensor:
        return self.values(xs[0])

    def piece(self, code: Tensor, shapes: Shapes) -> Piece:
        return GatherPiece(code, self.dim, shapes[0][self.dim])

    def switching(self, shapes: Shapes, on: Boxes | None = None) -> Switching:
        """Return a ranking: each unit is the best of its fibre once those listed before it are out."""
        shape, axis = tuple(shapes[0]), len(shapes[0]) + self.dim
        size, count = shape[axis], self._count(shape[axis])
        listed = (*shape[:axis], count, *shape[axis + 1 :])
        fibres = places(shape).movedim(axis, -1).unsqueeze(axis)
        position = fibres.expand(*listed, size).reshape(-1, size)
        ahead = places(listed).roll(1, axis)
        ahead.narrow(axis, 0, 1).fill_(-1)
        return Contest(torch.zeros_like(position), position, self.listed[1], ahead.reshape(-1))

    def bounds(self, *boxes: Box) -> Box:
        """Return the exact range: order statistics are nondecreasing."""
        return Box(self.values(boxes[0].lower), self.values(boxes[0].upper))

    def lipschitz(self, norm: float = 2, arg: int = 0, on: Boxes | None = None, shapes: Shapes | None = None) -> float:
        """Return 1: sorting two vectors brings them no further apart, in any norm."""
        return 1.0

    def curvature(self, on: Boxes | None = None) -> Tensor:
        """Return CONVEX for the maximum and CONCAVE for the minimum; statistics in between are neither."""
        count, largest = self.listed
        size = None if on is None else on[0].shape[self.dim]
        count = size if count is None else count
        if count is None:
            return Curvature.UNKNOWN.tensor()
        first, last = (Curvature.CONVEX, Curvature.CONCAVE) if largest else (Curvature.CONCAVE, Curvature.CONVEX)
        flags = torch.zeros(count, dtype=torch.int8)
        flags[0] |= int(first)
        if count == size:
            flags[-1] |= int(last)
        return flags.reshape(count, *(1,) * (-self.dim - 1))

    def monotonicity(self, arg: int = 0, on: Boxes | None = None) -> Tensor:
        return Monotonicity.NONDECREASING.tensor()


@dataclass(frozen=True, eq=False)
class Sort(_OrderStatistics):
    """The entries of an axis (negative) in order."""

    dim: int = -1
    descending: bool = False

    @property
    def listed(self) -> tuple[int | None, bool]:
        return None, self.descending

    def switch(self, *xs: Tensor) -> tuple[Tensor, Tensor]:
        """Return both from one stable sort."""
        values, index = xs[0].sort(dim=self.dim, descending=self.descending, stable=True)
        return values, index.to(torch.int16 if xs[0].shape[self.dim] <= 32767 else torch.int32)


@dataclass(frozen=True, eq=False)
class TopKValues(_OrderStatistics):
    """The k largest (or smallest) entries of an axis (negative), best first; losers have no order."""

    k: int
    dim: int = -1
    largest: bool = True

    @property
    def label(self) -> str:
        return f"TopKValues({self.k})"

    @property
    def listed(self) -> tuple[int | None, bool]:
        return self.k, self.largest


class Winners(SplineOperator):
    """Marks the k best entries of an axis; the code is 1 where an entry wins, 0 elsewhere.

    The code of a unit is not free: k entries of every fibre win.
    """

    k: int
    dim: int
    largest: bool
    coupled: ClassVar[bool] = True

    def alphabet(self, shapes: Shapes) -> int:
        return 2

    def code(self, *xs: Tensor) -> Tensor:
        winners = _ranked(xs[0], self.dim, self.k, self.largest)
        return torch.zeros_like(xs[0], dtype=torch.int8).scatter(self.dim, winners, 1)

    def conditions(self, code: Tensor, shapes: Shapes) -> Conditions:
        """Return that every winner beats every loser: k (n - k) rows per fibre, on the loser's unit."""
        won = code != 0
        losers = code.shape[self.dim] - self.k
        kept = _where(won, self.dim, self.k).unsqueeze(-1)
        dropped = _where(~won, self.dim, losers).unsqueeze(-2)
        kept = kept.expand(*kept.shape[:-1], losers)
        dropped = dropped.expand_as(kept)
        return _at_most(dropped, kept, dropped) if self.largest else _at_most(kept, dropped, dropped)

    def pieces(self, unit: int, shapes: Shapes) -> Tensor:
        return torch.arange(2)

    def ties(self, xs: Sequence[Tensor], vs: Sequence[Tensor], slack: Tensor) -> Tensor:
        """Return the entries within slack of the threshold, if they do not all move alike."""
        (x,), (v,), dim = xs, vs, self.dim
        won, key = self.code(x) != 0, x if self.largest else -x
        worst = key.masked_fill(~won, torch.inf).amin(dim, keepdim=True)
        best = key.masked_fill(won, -torch.inf).amax(dim, keepdim=True)
        tied = (key - torch.where(won, best, worst)).abs() <= slack
        apart = v.masked_fill(~tied, -torch.inf).amax(dim, keepdim=True) > v.masked_fill(~tied, torch.inf).amin(
            dim, keepdim=True
        )
        return tied & apart

    def sure(self, box: Box) -> tuple[Tensor, Tensor]:
        """Return which entries win, and which lose, everywhere in the box."""
        lower, upper = (box.lower, box.upper) if self.largest else (-box.upper, -box.lower)
        size, dim = lower.shape[self.dim], self.dim
        # it loses if k others are always above it, it wins if at most k - 1 others can reach it
        out = upper < lower.topk(self.k, dim).values.narrow(dim, self.k - 1, 1)
        if self.k == size:
            return torch.ones_like(out), out
        return lower > upper.topk(self.k + 1, dim).values.narrow(dim, self.k, 1), out


# lowerings: values and indices are two nodes


@lowers("aten.sort.default")
def _sort(call: Call, x: Value, dim: int = -1, descending: bool = False) -> tuple[Value, Value]:
    from splinegraph.operators.winners import SortIndices

    dim = negative(dim, x.ndim)
    values = call.emit(Sort(dim, bool(descending)), x, shape=call.shapes[0])
    return values, call.emit(SortIndices(dim, bool(descending)), x, shape=call.shapes[1])


@lowers("aten.sort.stable")
def _stable_sort(
    call: Call, x: Value, *, stable: bool | None = None, dim: int = -1, descending: bool = False
) -> tuple[Value, Value]:
    return _sort(call, x, dim, descending)


@lowers("aten.topk.default")
def _topk(
    call: Call,
    x: Value,
    k: int,
    dim: int = -1,
    largest: bool = True,
    sorted: bool = True,
) -> tuple[Value, Value]:
    from splinegraph.operators.winners import TopKIndices

    dim = negative(dim, x.ndim)
    values = call.emit(TopKValues(k, dim, bool(largest)), x, shape=call.shapes[0])
    return values, call.emit(TopKIndices(k, dim, bool(largest)), x, shape=call.shapes[1])


@lowers("aten.kthvalue.default")
def _kthvalue(call: Call, x: Value, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    from splinegraph.operators.winners import TopKIndices

    dim = negative(dim, x.ndim)
    listed = list(x.shape)
    listed[dim] = k
    found = []
    for operator, shape in zip((TopKValues(k, dim, False), TopKIndices(k, dim, False)), call.shapes, strict=True):
        ranked = call.emit(operator, x, shape=listed)
        chosen = call.emit(Select(dim, k - 1), ranked, shape=[*listed[:dim], *listed[x.ndim + dim + 1 :]])
        found.append(call.reshape(chosen, shape) if keepdim else chosen)
    return tuple(found)


@lowers("aten.median.dim")
def _median(call: Call, x: Value, dim: int = -1, keepdim: bool = False) -> Any:
    return _kthvalue(call, x, (x.shape[dim] + 1) // 2, dim, keepdim)  # torch takes the lower median
