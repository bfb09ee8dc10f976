"""Truth values: comparisons, logic, and the live `where` that they steer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from splinegraph.core.affine import AffineOperator
from splinegraph.core.algebra import LinearCombination, unbroadcast
from splinegraph.core.exact import formulas
from splinegraph.core.operator import Boxes, Conditions, Piece, Shapes, SplineOperator
from splinegraph.core.parameters import Expression
from splinegraph.core.values import Box, Curvature, Monotonicity
from splinegraph.operators.discontinuous import LocallyConstant
from splinegraph.operators.order import half_spaces, places
from splinegraph.operators.registry import Call, Value, constant, lowers

__all__ = ["Comparison", "ToFloat", "Where", "lower_both", "lower_where", "number", "truth"]


@dataclass(frozen=True, eq=False)
class Comparison(LocallyConstant):
    """left `kind` right, bool; `kind` is gt, ge, lt, le, eq or ne.

    The code is the truth value; of eq and ne it is 0, 1, 2 for less, equal, greater, as the set where
    two values differ is not convex.

    Parameters
    ----------
    kind : str
    other : number or Tensor, optional
        The right side where it is a constant. Default: the second argument.
    """

    kind: str
    other: Any = None
    integral = True

    @property
    def label(self) -> str:
        sign = {"gt": ">", "ge": ">=", "lt": "<", "le": "<=", "eq": "==", "ne": "!="}[self.kind]
        return f"Comparison({sign} {self.other:g})" if isinstance(self.other, float | int) else f"Comparison({sign})"

    @property
    def _threefold(self) -> bool:
        return self.kind in ("eq", "ne")

    def _sides(self, items: Sequence[Any]) -> tuple[Any, Any]:
        return (items[0], items[1]) if self.other is None else (items[0], self.other)

    def value(self, code: Tensor, dtype: torch.dtype) -> Tensor:
        return code.eq(1) if self.kind == "eq" else code.ne(1) if self.kind == "ne" else code.ne(0)

    def alphabet(self, shapes: Shapes) -> int:
        return 3 if self._threefold else 2

    def code(self, *xs: Tensor) -> Tensor:
        left, right = self._sides(xs)
        if self._threefold:
            return torch.ge(left, right).to(torch.int8) + torch.gt(left, right).to(torch.int8)
        truth: Tensor = getattr(torch, self.kind)(left, right)
        return truth.to(torch.int8)

    def conditions(self, code: Tensor, shapes: Shapes) -> Conditions:
        flat, unit = code.reshape(-1), places(code.shape, code.device).reshape(-1)
        top = 2 if self._threefold else 1
        low, high = (flat < top, flat > 0) if self.kind not in ("lt", "le") else (flat > 0, flat < top)
        rows = torch.cat([unit[low], unit[high]])  # left <= right, then left >= right
        sign = torch.cat([torch.ones(int(low.sum())), -torch.ones(int(high.sum()))]).double().to(code.device)
        spots = [places(s, code.device).expand(code.shape).reshape(-1)[rows] for s in shapes]
        rhs = torch.zeros_like(sign)
        if self.other is not None:
            other = torch.as_tensor(self.other, dtype=torch.float64, device=code.device)
            rhs = sign * other.expand(code.shape).reshape(-1)[rows]
        return half_spaces(rows, rhs, *((i, spot, sign * (1 - 2 * i)) for i, spot in enumerate(spots)))

    def symbolic(self, *xs: Any) -> Any:
        return formulas.truth(self.kind, *self._sides(xs))

    def pieces(self, unit: int, shapes: Shapes) -> Tensor:
        return torch.arange(self.alphabet(shapes))

    def ties(self, xs: Sequence[Tensor], vs: Sequence[Tensor], slack: Tensor) -> Tensor:
        left, right = self._sides(xs)
        moved = vs[0] != (0 if self.other is not None else vs[1])
        tied: Tensor = (1 * left - 1 * right).abs() <= slack  # 1 * x: bool has no difference
        return tied & moved

    def bounds(self, *boxes: Box) -> Box:
        left, right = self._sides(boxes)
        if not isinstance(right, Box):  # as a double: a box of integers must not round it
            right = Box(*(torch.as_tensor(right, dtype=torch.float64, device=left.lower.device),) * 2)
        if self.kind in ("lt", "le"):
            left, right = right, left
        if self._threefold:
            yes = (left.lower == left.upper) & (right.lower == right.upper) & (left.lower == right.lower)
            no = (left.lower > right.upper) | (left.upper < right.lower)
            yes, no = (yes, no) if self.kind == "eq" else (no, yes)
        elif self.kind in ("gt", "lt"):
            yes, no = left.lower > right.upper, left.upper <= right.lower
        else:
            yes, no = left.lower >= right.upper, left.upper < right.lower
        return Box(yes.to(boxes[0].lower), (~no).to(boxes[0].lower))


@dataclass(frozen=True, eq=False)
class Where(SplineOperator):
    """if_true where the condition (the first argument) holds, else if_false; all three broadcast.

    The condition is a truth value, or a number that stands for one: true above 1/2.

    Parameters
    ----------
    if_true, if_false : Tensor, optional
        Constants. Default: the next live argument.
    """

    if_true: Any = None
    if_false: Any = None
    family = "discontinuous"
    continuous = False

    def _sides(self, items: Sequence[Any]) -> tuple[Any, Any]:
        live = iter(items[1:])
        return (
            next(live) if self.if_true is None else self.if_true,
            next(live) if self.if_false is None else self.if_false,
        )

    def _shape(self, shapes: Shapes) -> torch.Size:
        fixed = [side.shape for side in (self.if_true, self.if_false) if side is not None]
        found: torch.Size = torch.broadcast_shapes(*(tuple(s) for s in shapes), *fixed)
        return found

    def forward(self, *xs: Tensor) -> Tensor:
        return torch.where(xs[0] > 0.5, *self._sides(xs))

    def alphabet(self, shapes: Shapes) -> int:
        return 2

    def code(self, *xs: Tensor) -> Tensor:
        return (xs[0] > 0.5).to(torch.int8).broadcast_to(self._shape([x.shape for x in xs])).contiguous()

    def piece(self, code: Tensor, shapes: Shapes) -> Piece:
        return _WherePiece(self, code != 0, tuple(tuple(s) for s in shapes))

    def conditions(self, code: Tensor, shapes: Shapes) -> Conditions:
        unit = places(code.shape, code.device).reshape(-1)
        spot = places(shapes[0], code.device).expand(code.shape).reshape(-1)
        sign = 1 - 2 * code.reshape(-1).double()
        return half_spaces(unit, sign / 2, (0, spot, sign))

    def symbolic(self, *xs: Any) -> Any:
        return formulas.choice(xs[0], *self._sides(xs))

    def pieces(self, unit: int, shapes: Shapes) -> Tensor:
        return torch.arange(2)

    def ties(self, xs: Sequence[Tensor], vs: Sequence[Tensor], slack: Tensor) -> Tensor:
        """Return where the condition ties: never if it is a truth value, whose own node has the tie."""
        condition, moves = xs[0], vs[0] != 0
        tied = ((condition.to(vs[0]) - 0.5).abs() <= slack) & moves
        return tied.broadcast_to(self._shape([x.shape for x in xs]))

    def bounds(self, *boxes: Box) -> Box:
        yes, no = _truth_of(boxes[0])
        like = boxes[-1].lower if len(boxes) > 1 else boxes[0].lower
        a, b = (s if isinstance(s, Box) else Box(s.to(like), s.to(like)) for s in self._sides(boxes))
        lower = torch.where(yes, a.lower, torch.where(no, b.lower, torch.minimum(a.lower, b.lower)))
        return Box(lower, torch.where(yes, a.upper, torch.where(no, b.upper, torch.maximum(a.upper, b.upper))))

    def lipschitz(self, norm: float = 2, arg: int = 0, on: Boxes | None = None, shapes: Shapes | None = None) -> float:
        """Return infinity for an open condition, else 1 or what broadcasting a side costs."""
        if arg == 0:
            return 0.0 if on is not None and bool(self._settled(on).all()) else math.inf
        if norm == math.inf:
            return 1.0
        shapes = shapes if shapes is not None else None if on is None else [box.shape for box in on]
        if shapes is None:
            return math.inf
        copies = math.prod(self._shape(shapes)) / max(math.prod(shapes[arg]), 1)
        return math.sqrt(copies) if norm == 2 else copies

    def curvature(self, on: Boxes | None = None) -> Tensor:
        return Curvature.AFFINE.where(self._settled(on))

    def monotonicity(self, arg: int = 0, on: Boxes | None = None) -> Tensor:
        if arg > 0:
            return Monotonicity.NONDECREASING.tensor()
        return Monotonicity.CONSTANT.where(self._settled(on))

    def _settled(self, on: Boxes | None) -> Tensor:
        if on is None:
            return torch.tensor(False)
        yes, no = _truth_of(on[0])
        return yes | no


def _truth_of(box: Box) -> tuple[Tensor, Tensor]:
    """Return where a condition surely holds, and where it surely does not."""
    return box.lower > 0.5, box.upper <= 0.5


@dataclass(frozen=True, eq=False)
class _WherePiece(Piece):
    """Each unit copies one of the sides."""

    operator: Where
    mask: Tensor
    shapes: tuple[tuple[int, ...], ...]

    def apply(self, *xs: Tensor) -> Tensor:
        return torch.where(self.mask, *self.operator._sides(xs))

    def tangent(self, *vs: Tensor) -> Tensor:
        leading = vs[0].shape[: vs[0].dim() - len(self.shapes[0])]
        ndim, zero = self.mask.dim(), vs[-1].new_zeros(())
        padded = [  # sides of lower rank get axes behind the leading ones
            v.reshape(*leading, *(1,) * (ndim - len(s)), *v.shape[len(leading) :])
            for v, s in zip(vs, self.shapes, strict=True)
        ]
        live = iter(padded[1:])
        fixed = self.operator.if_true, self.operator.if_false
        a, b = (next(live) if side is None else zero for side in fixed)
        return torch.where(self.mask, a, b).expand(*leading, *self.mask.shape)

    def adjoint(self, u: Tensor) -> tuple[Tensor, ...]:
        zero, ndim = u.new_zeros(()), self.mask.dim()
        parts = torch.where(self.mask, u, zero), torch.where(self.mask, zero, u)
        fixed = self.operator.if_true, self.operator.if_false
        live = [part for part, side in zip(parts, fixed, strict=True) if side is None]
        back = (unbroadcast(part, s, ndim) for part, s in zip(live, self.shapes[1:], strict=True))
        return (None, *back)  # type: ignore[arg-type]  # walk_back takes None for zero


_NUMBER = Expression(torch.zeros, ((),), {"dtype": torch.float32})


@dataclass(frozen=True, eq=False)
class ToFloat(AffineOperator):
    """A bool or integer value as a number; the identity on numbers.

    Parameters
    ----------
    like : Tensor
        Anything of the dtype wanted; by default it takes the graph's.
    """

    like: Any = _NUMBER

    def linear(self, *vs: Tensor) -> Tensor:
        return vs[0] if vs[0].is_floating_point() else vs[0].to(self.like.dtype)

    def adjoint(self, u: Tensor, shapes: Shapes) -> tuple[Tensor, ...]:
        return (u,)

    def split(self) -> tuple[AffineOperator | None, AffineOperator | None]:
        return self, None

    def lipschitz(self, norm: float = 2, arg: int = 0, on: Boxes | None = None, shapes: Shapes | None = None) -> float:
        return 1.0


def number(call: Call, x: Value, dtype: torch.dtype | None = None) -> Value:
    """Return a truth value or integer as a number: floating, or an integer of the given dtype."""
    if x.dtype.is_floating_point:
        return x
    inner = call.args_of(x)[0] if isinstance(call.operator_of(x), ToFloat) else x
    like = _NUMBER if dtype is None else Expression(torch.zeros, ((),), {"dtype": dtype})
    return call.emit(ToFloat(like), inner, shape=x.shape)


# lowerings


_MIRRORED = {"gt": "lt", "ge": "le", "lt": "gt", "le": "ge", "eq": "eq", "ne": "ne"}


@lowers(*(f"aten.{kind}.{overload}" for kind in _MIRRORED for overload in ("Scalar", "Tensor")))
def _compare(call: Call, a: Any, b: Any) -> Value:
    kind = call.target.split(".")[1]
    if isinstance(a, Value) and isinstance(b, Value):
        return call.emit(Comparison(kind), a, b)
    return call.emit(Comparison(kind, b), a) if isinstance(a, Value) else call.emit(Comparison(_MIRRORED[kind], a), b)


def truth(call: Call, x: Any) -> Any:
    """Return whether x is not zero, live or constant."""
    if isinstance(x, Value):
        return x if x.dtype == torch.bool else call.emit(Comparison("ne", 0.0), x, shape=x.shape)
    return constant(torch.ne, x, 0) if isinstance(x, Tensor | Expression) else bool(x)


@lowers("aten.logical_not.default", "aten.bitwise_not.default")
def _not(call: Call, x: Value) -> Any:
    return call.opaque() if call.dtype != torch.bool else lower_where(call, truth(call, x), False, True)


@lowers(
    "aten.logical_and.default", "aten.logical_or.default",
    *(f"aten.{kind}.{overload}" for kind in ("bitwise_and", "bitwise_or", "__and__", "__or__")
      for overload in ("Tensor", "Scalar")),
)  # fmt: skip
def _logic(call: Call, a: Any, b: Any) -> Any:
    if call.dtype != torch.bool:
        return call.opaque()
    a, b = (a, b) if isinstance(a, Value) else (b, a)
    if "and" in call.target:
        return lower_both(call, a, b)
    return lower_where(call, truth(call, a), True, truth(call, b))


@lowers("aten.logical_xor.default", "aten.bitwise_xor.Tensor", "aten.__xor__.Tensor")
def _xor(call: Call, a: Any, b: Any) -> Any:
    if call.dtype != torch.bool:
        return call.opaque()
    a, b = (a, b) if isinstance(a, Value) else (b, a)
    a, b = truth(call, a), truth(call, b)
    return call.emit(Comparison("ne"), a, b) if isinstance(b, Value) else call.emit(Comparison("ne", b), a)


def lower_both(call: Call, a: Value, b: Any) -> Any:
    """Return whether neither of two truth values is false; b may be constant."""
    return lower_where(call, truth(call, a), truth(call, b), False)


@lowers("aten.any.dim", "aten.any.dims", "aten.all.dim", "aten.all.dims")
def _quantified(call: Call, x: Value, dim: Any = None, keepdim: bool = False) -> Any:
    """Return whether the largest (for all: the smallest) truth value of the axes is true."""
    from splinegraph.operators.arithmetic import dims_of
    from splinegraph.operators.maximum import Amax
    from splinegraph.operators.normalizing import crosses_batch

    dims = dims_of(dim, x.ndim)
    if crosses_batch(x, dims):
        return call.opaque()
    values = call.emit(ToFloat(), truth(call, x), shape=x.shape)
    if ".any." in call.target:
        return call.emit(Comparison("gt", 0.5), call.emit(Amax(dims, keepdim), values, shape=call.shape))
    opposite = call.emit(LinearCombination((-1.0,)), values, shape=x.shape)
    return call.emit(Comparison("lt", -0.5), call.emit(Amax(dims, keepdim), opposite, shape=call.shape))


@lowers("aten.where.self", "aten.where.ScalarOther", "aten.where.ScalarSelf", "aten.where.Scalar")
def lower_where(call: Call, condition: Any, a: Any, b: Any) -> Any:
    """Return where(condition, a, b); any of the three may be constant."""
    from splinegraph.operators.reshaping import blend

    if not isinstance(condition, Value):
        return blend(call, condition, a, b)
    sides = [x if isinstance(x, Value | Tensor | Expression) else _scalar(call, x) for x in (a, b)]
    live = [x for x in sides if isinstance(x, Value)]
    fixed = [None if isinstance(x, Value) else x for x in sides]
    return call.emit(Where(*fixed), condition, *live)


def _scalar(call: Call, value: Any) -> Any:
    """Return a number as a constant that follows the graph's dtype."""
    return constant(torch.full, (), value, dtype=call.dtype)
