"""Picking and placing by an index that depends on the input: routing, codebooks, sorting one value by another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from splinegraph.core.operator import Boxes, Conditions, Piece, Shapes, SplineOperator
from splinegraph.core.values import Box, Curvature, Monotonicity
from splinegraph.operators.arithmetic import Reduce
from splinegraph.operators.comparison import Comparison, Where, number
from splinegraph.operators.linear import Linear
from splinegraph.operators.order import GatherPiece, TopKValues, half_spaces, places
from splinegraph.operators.registry import Call, Value, constant, lowers, negative
from splinegraph.operators.reshaping import unsqueeze
from splinegraph.operators.winners import KWinnersTakeAll, SortIndices, TopKIndices

__all__ = ["LiveGather", "live_gather", "live_scatter"]


@dataclass(frozen=True, eq=False)
class LiveGather(SplineOperator):
    """Entries of an axis (negative) of the second argument, picked by the first: an index, which is the code."""

    dim: int
    family = "discontinuous"
    continuous = False

    def forward(self, *xs: Tensor) -> Tensor:
        return xs[1].gather(self.dim, xs[0].round().long())

    def alphabet(self, shapes: Shapes) -> int:
        return int(shapes[1][self.dim])

    def code(self, *xs: Tensor) -> Tensor:
        return xs[0].round().to(torch.int16 if xs[1].shape[self.dim] <= 32767 else torch.int32)

    def piece(self, code: Tensor, shapes: Shapes) -> Piece:
        return _LiveGatherPiece(code, self.dim, tuple(shapes[1]))

    def conditions(self, code: Tensor, shapes: Shapes) -> Conditions:
        unit, value = places(code.shape, code.device).reshape(-1).repeat(2), code.reshape(-1).double()
        sign = torch.cat([torch.ones_like(value), -torch.ones_like(value)])
        return half_spaces(unit, torch.cat([value, -value]) + 0.5, (0, unit, sign))

    def pieces(self, unit: int, shapes: Shapes) -> Tensor:
        return torch.arange(self.alphabet(shapes))

    def ties(self, xs: Sequence[Tensor], vs: Sequence[Tensor], slack: Tensor) -> Tensor:
        """Return that an index never ties: the node that computes it has the tie."""
        return torch.zeros(xs[0].shape, dtype=torch.bool, device=xs[0].device)

    def bounds(self, *boxes: Box) -> Box:
        """Return the exact range where the index is known, that of the whole axis elsewhere."""
        index, box = boxes
        size = box.shape[self.dim]
        known = (index.lower == index.upper) & (index.lower >= 0) & (index.upper < size)
        places_ = index.lower.nan_to_num(0, 0, 0).clamp(0, size - 1).long()
        lower, upper = (end.gather(self.dim, places_) for end in box)
        least, most = box.lower.amin(self.dim, keepdim=True), box.upper.amax(self.dim, keepdim=True)
        return Box(torch.where(known, lower, least), torch.where(known, upper, most))

    def lipschitz(self, norm: float = 2, arg: int = 0, on: Boxes | None = None, shapes: Shapes | None = None) -> float:
        """Return 0 or infinity for the index; for the values what all picking the same one costs."""
        if arg == 0:
            return 0.0 if on is not None and bool((on[0].lower == on[0].upper).all()) else math.inf
        shapes = shapes if shapes is not None else None if on is None else [box.shape for box in on]
        if norm == math.inf:
            return 1.0
        if shapes is None:
            return math.inf
        count = float(shapes[0][self.dim])
        return math.sqrt(count) if norm == 2 else count

    def curvature(self, on: Boxes | None = None) -> Tensor:
        return Curvature.AFFINE.where(self._known(on))

    def monotonicity(self, arg: int = 0, on: Boxes | None = None) -> Tensor:
        return Monotonicity.NONDECREASING.tensor() if arg else Monotonicity.CONSTANT.where(self._known(on))

    def _known(self, on: Boxes | None) -> Tensor:
        return torch.tensor(False) if on is None else on[0].lower == on[0].upper


class _LiveGatherPiece(Piece):
    """The gather that an index names; nothing flows back to the index."""

    def __init__(self, index: Tensor, dim: int, shape: tuple[int, ...]) -> None:
        self._gather, self._shape, self._rows = GatherPiece(index, dim, shape[dim]), shape, index.shape

    def apply(self, *xs: Tensor) -> Tensor:
        return self._gather.apply(xs[1])

    def tangent(self, *vs: Tensor) -> Tensor:
        return self._gather.tangent(vs[1])

    def adjoint(self, u: Tensor) -> tuple[Tensor, ...]:
        return (None, *self._gather.adjoint(u))  # type: ignore[arg-type]  # walk_back takes None for zero


def live_gather(call: Call, x: Any, dim: int, index: Value) -> Any:
    """Return x.gather(dim, index) for a live index."""
    dim = negative(dim, index.ndim)
    if not isinstance(x, Value):
        return call.opaque()
    others = [i for i in range(-x.ndim, 0) if i != dim]
    cuts_batch = x.layout is not None and x.layout.axis - x.ndim == dim
    if cuts_batch or any(x.shape[i] != index.shape[i] for i in others) or x.layout != index.layout:
        return call.opaque()
    return call.emit(LiveGather(dim), index, x)


def live_scatter(call: Call, dim: int, index: Value, src: Value, *, unique: bool) -> Any:
    """Return zeros with `src` at a live index, None if that is out of reach: a sum of masked copies."""
    operator = call.operator_of(index)
    dim = negative(dim, index.ndim)
    ranked = isinstance(operator, TopKIndices | SortIndices) and operator.dim == dim
    if (unique and not ranked) or dim != -1 or src.shape != index.shape or src.layout != index.layout:
        return None
    values = call.operator_of(src)
    if isinstance(operator, TopKIndices) and isinstance(values, TopKValues) and values.listed == operator.listed:
        (x,), (y,) = call.args_of(index), call.args_of(src)
        if x.name == y.name and values.dim == dim and x.shape == call.shape:
            return call.emit(KWinnersTakeAll(operator.k, dim, operator.largest), x)
    size, count = call.shape[-1], index.shape[-1]
    column = unsqueeze(call, index, index.ndim)
    here = call.emit(Comparison("eq", torch.arange(size)), column, shape=(*index.shape, size))
    zero = constant(torch.full, (), 0.0, dtype=call.dtype)
    copies = call.emit(Where(None, zero), here, unsqueeze(call, src, src.ndim), shape=(*src.shape[:-1], count, size))
    return call.emit(Reduce((-2,)), copies, shape=call.shape)


@lowers("aten.embedding.default")
def _embedding(call: Call, table: Any, index: Any, *_: Any, **__: Any) -> Any:
    """Lower a look-up by a live index to a product with its indicator."""
    if isinstance(table, Value) or not isinstance(index, Value):
        return call.opaque()
    count = call.shape_of(table)[0]
    column = unsqueeze(call, index, index.ndim)
    here = call.emit(Comparison("eq", torch.arange(count)), column, shape=(*index.shape, count))
    weight = constant(torch.transpose, table, 0, 1)
    return call.emit(Linear(weight), number(call, here))
