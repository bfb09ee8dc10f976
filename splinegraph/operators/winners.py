"""Who wins an axis: indices of a sort or top-k, masks of the k largest, k-winners-take-all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from splinegraph.core.algebra import Select
from splinegraph.core.operator import Boxes, Piece, Shapes
from splinegraph.core.values import Box, Curvature, Monotonicity
from splinegraph.operators.base import ElementwisePiece
from splinegraph.operators.comparison import Comparison, ToFloat, Where
from splinegraph.operators.discontinuous import LocallyConstant
from splinegraph.operators.order import Ordered, Winners
from splinegraph.operators.registry import Call, Value, constant, lowers, negative

__all__ = ["KWinnersTakeAll", "SortIndices", "TopKIndices", "TopKMask", "arg_extremum", "fuse_winners"]


class _Indices(Ordered, LocallyConstant):
    """The indices that a sort or top-k lists."""

    integral = True

    def value(self, code: Tensor, dtype: torch.dtype) -> Tensor:
        return code.long()

    def bounds(self, *boxes: Box) -> Box:
        lower = torch.zeros_like(self.values(boxes[0].lower))
        return Box(lower, lower + (boxes[0].shape[self.dim] - 1))


@dataclass(frozen=True, eq=False)
class SortIndices(_Indices):
    """Where the entries of a sorted axis came from."""

    dim: int = -1
    descending: bool = False

    @property
    def listed(self) -> tuple[int | None, bool]:
        return None, self.descending


@dataclass(frozen=True, eq=False)
class TopKIndices(_Indices):
    """Where the k largest (or smallest) entries of an axis are; argmax and argmin for k = 1."""

    k: int
    dim: int = -1
    largest: bool = True

    @property
    def label(self) -> str:
        return f"TopKIndices({self.k})"

    @property
    def listed(self) -> tuple[int | None, bool]:
        return self.k, self.largest


@dataclass(frozen=True, eq=False)
class TopKMask(Winners, LocallyConstant):
    """1 at the k largest (or smallest) entries of an axis, 0 elsewhere."""

    k: int
    dim: int = -1
    largest: bool = True

    @property
    def label(self) -> str:
        return f"TopKMask({self.k})"

    def value(self, code: Tensor, dtype: torch.dtype) -> Tensor:
        return code.to(dtype)

    def bounds(self, *boxes: Box) -> Box:
        wins, loses = self.sure(boxes[0])
        return Box(wins.to(boxes[0].lower), (~loses).to(boxes[0].lower))


@dataclass(frozen=True, eq=False)
class KWinnersTakeAll(Winners):
    """Keeps the k largest (or smallest) entries of an axis, zeroes the others; ties to the lowest index."""

    k: int
    dim: int = -1
    largest: bool = True
    family = "discontinuous"
    continuous = False

    @property
    def label(self) -> str:
        return f"KWinnersTakeAll({self.k})"

    def forward(self, *xs: Tensor) -> Tensor:
        return xs[0] * self.code(*xs)

    def piece(self, code: Tensor, shapes: Shapes) -> Piece:
        return ElementwisePiece(code, torch.zeros((), device=code.device))

    def bounds(self, *boxes: Box) -> Box:
        (box,) = boxes
        wins, loses = self.sure(box)
        lower = torch.where(wins, box.lower, box.lower.clamp(max=0)).masked_fill(loses, 0)
        return Box(lower, torch.where(wins, box.upper, box.upper.clamp(min=0)).masked_fill(loses, 0))

    def lipschitz(self, norm: float = 2, arg: int = 0, on: Boxes | None = None, shapes: Shapes | None = None) -> float:
        """Return 1 where the box decides all winners, else infinity."""
        return 1.0 if on is not None and bool(self._settled(on).all()) else math.inf

    def curvature(self, on: Boxes | None = None) -> Tensor:
        return Curvature.AFFINE.where(self._settled(on))

    def monotonicity(self, arg: int = 0, on: Boxes | None = None) -> Tensor:
        return Monotonicity.NONDECREASING.where(self._settled(on))

    def _settled(self, on: Boxes | None) -> Tensor:
        if on is None:
            return torch.tensor(False)
        wins, loses = self.sure(on[0])
        return wins | loses


# lowerings


@lowers("aten.argmax.default", "aten.argmin.default")
def _argmax(call: Call, x: Value, dim: int | None = None, keepdim: bool = False) -> Any:
    if dim is None:  # over all axes, so over the batch as well
        return call.opaque()
    return arg_extremum(call, x, dim, keepdim, 1.0 if "argmax" in call.target else -1.0)


def arg_extremum(
    call: Call, x: Value, dim: int, keepdim: bool, sign: float = 1.0, shape: Sequence[int] | None = None
) -> Value:
    """Emit the index of the maximum of an axis (of the minimum with sign -1); `shape` is the result's."""
    dim = negative(dim, x.ndim)
    operator = TopKIndices(1, dim, sign > 0)
    if keepdim:
        return call.emit(operator, x, shape=shape)
    index = call.emit(operator, x, shape=[*x.shape[: x.ndim + dim], 1, *x.shape[x.ndim + dim + 1 :]])
    return call.emit(Select(dim, 0), index, shape=shape)


@lowers("aten.scatter.value", "aten.scatter.src")
def _scatter(call: Call, base: Any, dim: int, index: Any, src: Any) -> Any:
    """Write at constant places; zeros with ones put at the indices of a top-k are the mask of the winners."""
    from splinegraph.operators.scattering import is_full, scatter

    if not isinstance(index, Value):
        return scatter(call, base, dim, index, src)
    operator = call.operator_of(index)
    if isinstance(src, Value) and is_full(call, base, 0) and call.dtype.is_floating_point:
        from splinegraph.operators.live_index import live_scatter

        return live_scatter(call, dim, index, src, unique=True) or call.opaque()
    if not isinstance(operator, TopKIndices) or not is_full(call, base, 0) or not is_full(call, src, 1):
        return call.opaque()
    (x,) = call.args_of(index)
    if operator.dim != negative(dim, index.ndim) or x.shape != call.shape:
        return call.opaque()
    if not call.dtype.is_floating_point and call.dtype != torch.bool:
        return call.opaque()
    mask = call.emit(TopKMask(operator.k, operator.dim, operator.largest), x, shape=x.shape)
    return mask if call.dtype != torch.bool else call.emit(Comparison("gt", 0.5), mask)


def fuse_winners(call: Call, a: Value, b: Value) -> Value | None:
    """Return a product in which one factor is a live 0/1 mask as a piecewise affine node, else None.

    x times its own top-k mask is `KWinnersTakeAll`; any other mask chooses between x and zero.
    """
    for mask, x in ((a, b), (b, a)):
        operator = call.operator_of(mask)
        if isinstance(operator, TopKMask) and call.args_of(mask)[0].name == x.name:
            return call.emit(KWinnersTakeAll(operator.k, operator.dim, operator.largest), x, shape=x.shape)
        inner = call.args_of(mask)[0] if isinstance(operator, ToFloat) else mask
        binary = isinstance(operator, TopKMask) or inner.dtype == torch.bool or isinstance(operator, Comparison)
        if binary and x.dtype.is_floating_point and x.name != mask.name:
            zero = constant(torch.full, (), 0.0, dtype=x.dtype)
            return call.emit(Where(None, zero), inner, x, shape=call.broadcast(mask.shape, x))
    return None
