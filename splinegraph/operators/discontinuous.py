"""Operators that jump: signs, roundings, comparisons, live `where`, winners and indices.

All are piecewise affine, most are locally constant. None is Lipschitz unless a box shows that it meets
no switch.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from splinegraph.core.affine import AffineOperator
from splinegraph.core.algebra import Select, unbroadcast
from splinegraph.core.operator import Boxes, Conditions, Piece, Shapes, SplineOperator
from splinegraph.core.parameters import Context, Expression, leaves
from splinegraph.core.values import Box, Curvature, Monotonicity
from splinegraph.errors import UnsupportedOperatorError
from splinegraph.operators.base import ElementwisePiece, PiecewiseElementwise, Scalar
from splinegraph.operators.elementwise import LowerClamp
from splinegraph.operators.order import Ordered, Winners, half_spaces, places
from splinegraph.operators.registry import Call, Value, constant, lowers, negative

__all__ = [
    "Ceil", "Comparison", "Floor", "Hardshrink", "Heaviside", "KWinnersTakeAll", "LocallyConstant", "Round",
    "Sign", "SortIndices", "Threshold", "ToFloat", "TopKIndices", "TopKMask", "Trunc", "Where",
    "arg_extremum", "fuse_winners", "lower_where",
]  # fmt: skip


# elementwise, with breakpoints


class _JumpingElementwise(PiecewiseElementwise):
    """One that jumps at some breakpoints."""

    family = "discontinuous"
    continuous = False

    def _jumps(self, on: Boxes | None) -> Tensor:
        found = torch.tensor(False)
        for i, (b, left) in enumerate(zip(self.breakpoints, self.closed_left, strict=True)):
            gap = torch.as_tensor((self.slopes[i + 1] - self.slopes[i]) * b)
            jump = gap + torch.as_tensor(self.intercepts[i + 1] - self.intercepts[i]) != 0
            if on is not None:  # the breakpoint's own piece may go on to one side without a jump
                lower, upper = on[0]
                jump = jump & ((lower <= b) & (upper > b) if left else (lower < b) & (upper >= b))
            found = found | jump
        return found


@lowers("aten.sign.default", "aten.sgn.default")
@dataclass(frozen=True, eq=False)
class Sign(_JumpingElementwise):
    """-1, 0 or 1."""

    locally_constant: ClassVar[bool] = True
    breakpoints = (0.0, 0.0)
    slopes = (0.0, 0.0, 0.0)
    intercepts = (-1.0, 0.0, 1.0)
    closed_left = (False, True)

    def forward(self, *xs: Tensor) -> Tensor:
        return xs[0].sign()


@dataclass(frozen=True, eq=False)
class Heaviside(_JumpingElementwise):
    """0 below zero, 1 above it, `value` at zero."""

    value: Tensor | float
    locally_constant: ClassVar[bool] = True
    breakpoints = (0.0, 0.0)
    slopes = (0.0, 0.0, 0.0)
    closed_left = (False, True)

    @property
    def intercepts(self) -> tuple[Scalar, ...]:
        return (0.0, self.value, 1.0)


@dataclass(frozen=True, eq=False)
class Hardshrink(_JumpingElementwise):
    """0 where |x| <= lambd (which is > 0), x elsewhere."""

    lambd: float = 0.5
    slopes = (1.0, 0.0, 1.0)
    intercepts = (0.0, 0.0, 0.0)
    closed_left = (False, True)

    @property
    def breakpoints(self) -> tuple[float, ...]:
        return (-float(self.lambd), float(self.lambd))

    def forward(self, *xs: Tensor) -> Tensor:
        return F.hardshrink(xs[0], self.lambd)


@dataclass(frozen=True, eq=False)
class Threshold(_JumpingElementwise):
    """x if x > threshold, else value."""

    threshold: float
    value: float
    slopes = (0.0, 1.0)

    @property
    def breakpoints(self) -> tuple[float, ...]:
        return (float(self.threshold),)

    @property
    def intercepts(self) -> tuple[Scalar, ...]:
        return (float(self.value), 0.0)

    def forward(self, *xs: Tensor) -> Tensor:
        return F.threshold(xs[0], self.threshold, self.value)


# locally constant operators


class LocallyConstant(SplineOperator):
    """One that does not move inside a cell. Declares `value` and `bounds`; the facts follow from these."""

    family = "discontinuous"
    continuous = False
    locally_constant: ClassVar[bool] = True
    integral: ClassVar[bool] = False
    """Whether the values are bool or integer, so that nothing flows back."""

    @abc.abstractmethod
    def value(self, code: Tensor, dtype: torch.dtype) -> Tensor:
        """Return the values that a code stands for, in `dtype` if they are floating."""

    def forward(self, *xs: Tensor) -> Tensor:
        return self.value(self.code(*xs), xs[0].dtype)

    def piece(self, code: Tensor, shapes: Shapes) -> Piece:
        return _ConstantPiece(self, code, tuple(tuple(shape) for shape in shapes))

    def lipschitz(
        self, norm: float = 2, arg: int = 0, on: Boxes | None = None, shapes: Shapes | None = None
    ) -> float:
        """Return 0 where the box leaves one value, else infinity."""
        return 0.0 if on is not None and bool(self._fixed(on).all()) else math.inf

    def curvature(self, on: Boxes | None = None) -> Tensor:
        return Curvature.AFFINE.where(self._fixed(on))

    def monotonicity(self, arg: int = 0, on: Boxes | None = None) -> Tensor:
        return Monotonicity.CONSTANT.where(self._fixed(on))

    def _fixed(self, on: Boxes | None) -> Tensor:
        if on is None:
            return torch.tensor(False)
        lower, upper = self.bounds(*on)
        return lower == upper


@dataclass(frozen=True, eq=False)
class _ConstantPiece(Piece):
    """x -> the value of a code."""

    operator: LocallyConstant
    code: Tensor
    shapes: tuple[tuple[int, ...], ...]

    def apply(self, *xs: Tensor) -> Tensor:
        return self.operator.value(self.code, xs[0].dtype)

    def tangent(self, *vs: Tensor) -> Tensor:
        leading = vs[0].shape[: vs[0].dim() - len(self.shapes[0])]
        return vs[0].new_zeros(()).expand(*leading, *self.code.shape)

    def adjoint(self, u: Tensor) -> tuple[Tensor, ...]:
        if self.operator.integral:
            return (None,) * len(self.shapes)  # type: ignore[return-value]  # walk_back takes None for zero
        leading = u.shape[: u.dim() - self.code.dim()]
        return tuple(u.new_zeros(()).expand(*leading, *shape) for shape in self.shapes)


class _Staircase(LocallyConstant):
    """Rounds to an integer, which is the code: unboundedly many pieces."""

    @abc.abstractmethod
    def ends(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """Return the interval that is rounded to `value`."""

    def value(self, code: Tensor, dtype: torch.dtype) -> Tensor:
        return code.to(dtype)

    def alphabet(self, shapes: Shapes) -> int:
        return 0

    def code(self, *xs: Tensor) -> Tensor:
        value = self.forward(*xs)
        small = not value.numel() or bool(value.abs().max() < 2**31)
        return value.to(torch.int32 if small else torch.int64)

    def conditions(self, code: Tensor, shapes: Shapes) -> Conditions:
        unit = places(code.shape, code.device).reshape(-1)
        lower, upper = self.ends(code.reshape(-1).double())
        sign = torch.ones_like(lower)
        return half_spaces(
            unit.repeat(2), torch.cat([-lower, upper]), (0, unit.repeat(2), torch.cat([-sign, sign]))
        )

    def pieces(self, unit: int, shapes: Shapes) -> Tensor:
        raise UnsupportedOperatorError(
            f"cannot list the pieces of {self.label}",
            why="there are infinitely many",
            remedy="give a bounded domain",
        )

    def ties(self, xs: Sequence[Tensor], vs: Sequence[Tensor], slack: Tensor) -> Tensor:
        lower, upper = self.ends(self.forward(*xs))
        return ((xs[0] - lower <= slack) | (upper - xs[0] <= slack)) & (vs[0] != 0)

    def bounds(self, *boxes: Box) -> Box:
        return Box(self.forward(boxes[0].lower), self.forward(boxes[0].upper))

    def monotonicity(self, arg: int = 0, on: Boxes | None = None) -> Tensor:
        return super().monotonicity(arg, on) | Monotonicity.NONDECREASING.tensor()


@lowers("aten.round.default")
@dataclass(frozen=True, eq=False)
class Round(_Staircase):
    """The nearest integer; halves go to the even one."""

    def forward(self, *xs: Tensor) -> Tensor:
        return xs[0].round()

    def ends(self, value: Tensor) -> tuple[Tensor, Tensor]:
        return value - 0.5, value + 0.5


@lowers("aten.floor.default")
@dataclass(frozen=True, eq=False)
class Floor(_Staircase):
    """The next integer below."""

    def forward(self, *xs: Tensor) -> Tensor:
        return xs[0].floor()

    def ends(self, value: Tensor) -> tuple[Tensor, Tensor]:
        return value, value + 1


@lowers("aten.ceil.default")
@dataclass(frozen=True, eq=False)
class Ceil(_Staircase):
    """The next integer above."""

    def forward(self, *xs: Tensor) -> Tensor:
        return xs[0].ceil()

    def ends(self, value: Tensor) -> tuple[Tensor, Tensor]:
        return value - 1, value


@lowers("aten.trunc.default", "aten.fix.default")
@dataclass(frozen=True, eq=False)
class Trunc(_Staircase):
    """The next integer towards zero."""

    def forward(self, *xs: Tensor) -> Tensor:
        return xs[0].trunc()

    def ends(self, value: Tensor) -> tuple[Tensor, Tensor]:
        return value - (value <= 0).to(value), value + (value >= 0).to(value)


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
        return (
            f"Comparison({sign} {self.other:g})"
            if isinstance(self.other, float | int)
            else f"Comparison({sign})"
        )

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


# gates


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

    def lipschitz(
        self, norm: float = 2, arg: int = 0, on: Boxes | None = None, shapes: Shapes | None = None
    ) -> float:
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
        found: torch.Size = torch.broadcast_shapes(*(tuple(s) for s in shapes), *fixed)  # type: ignore[no-untyped-call]
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
        return Box(
            lower, torch.where(yes, a.upper, torch.where(no, b.upper, torch.maximum(a.upper, b.upper)))
        )

    def lipschitz(
        self, norm: float = 2, arg: int = 0, on: Boxes | None = None, shapes: Shapes | None = None
    ) -> float:
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

    def lipschitz(
        self, norm: float = 2, arg: int = 0, on: Boxes | None = None, shapes: Shapes | None = None
    ) -> float:
        return 1.0


# lowerings


@lowers("aten.hardshrink.default")
def _hardshrink(call: Call, x: Value, lambd: float = 0.5) -> Value:
    return call.emit(Hardshrink(float(lambd)), x) if lambd > 0 else x


@lowers("aten.threshold.default")
def _threshold(call: Call, x: Value, threshold: float, value: float) -> Value:
    if value == threshold:
        return call.emit(LowerClamp(float(value)), x)
    return call.emit(Threshold(float(threshold), float(value)), x)


@lowers("aten.heaviside.default")
def _heaviside(call: Call, x: Any, values: Any) -> Any:
    if not isinstance(x, Value) or isinstance(values, Value) or call.broadcast(x.shape, values) != x.shape:
        return call.opaque()
    return call.emit(Heaviside(values), x)


_MIRRORED = {"gt": "lt", "ge": "le", "lt": "gt", "le": "ge", "eq": "eq", "ne": "ne"}


@lowers(*(f"aten.{kind}.{overload}" for kind in _MIRRORED for overload in ("Scalar", "Tensor")))
def _compare(call: Call, a: Any, b: Any) -> Value:
    kind = call.target.split(".")[1]
    if isinstance(a, Value) and isinstance(b, Value):
        return call.emit(Comparison(kind), a, b)
    return (
        call.emit(Comparison(kind, b), a)
        if isinstance(a, Value)
        else call.emit(Comparison(_MIRRORED[kind], a), b)
    )


def _truth(call: Call, x: Any) -> Any:
    """Return whether x is not zero, live or constant."""
    if isinstance(x, Value):
        return x if x.dtype == torch.bool else call.emit(Comparison("ne", 0.0), x, shape=x.shape)
    return constant(torch.ne, x, 0) if isinstance(x, Tensor | Expression) else bool(x)


@lowers("aten.logical_not.default", "aten.bitwise_not.default")
def _not(call: Call, x: Value) -> Any:
    return call.opaque() if call.dtype != torch.bool else lower_where(call, _truth(call, x), False, True)


@lowers(
    "aten.logical_and.default", "aten.logical_or.default",
    *(f"aten.{kind}.{overload}" for kind in ("bitwise_and", "bitwise_or", "__and__", "__or__")
      for overload in ("Tensor", "Scalar")),
)  # fmt: skip
def _logic(call: Call, a: Any, b: Any) -> Any:
    if call.dtype != torch.bool:
        return call.opaque()
    a, b = (a, b) if isinstance(a, Value) else (b, a)
    a, b = _truth(call, a), _truth(call, b)
    return lower_where(call, a, b, False) if "and" in call.target else lower_where(call, a, True, b)


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


def _scalar(call: Call, value: Any) -> Expression:
    """Return a number as a constant that follows the graph's dtype."""
    return constant(torch.full, (), value, dtype=call.dtype)


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
    """Recognize zeros with ones put at the indices of a top-k: the mask of the winners."""
    operator = call.operator_of(index) if isinstance(index, Value) else None
    if not isinstance(operator, TopKIndices) or not _is_full(base, 0) or not _is_full(src, 1):
        return call.opaque()
    (x,) = call.args_of(index)
    if operator.dim != negative(dim, index.ndim) or x.shape != call.shape:
        return call.opaque()
    if not call.dtype.is_floating_point and call.dtype != torch.bool:
        return call.opaque()
    mask = call.emit(TopKMask(operator.k, operator.dim, operator.largest), x, shape=x.shape)
    return mask if call.dtype != torch.bool else call.emit(Comparison("gt", 0.5), mask)


def _is_full(value: Any, number: float) -> bool:
    """Return whether a constant is, and stays, full of one number."""
    if isinstance(value, Value) or any(leaf.requires_grad for leaf in leaves(value)):
        return False
    return bool((torch.as_tensor(Context(batch=1).value(value)) == number).all())


def fuse_winners(call: Call, a: Value, b: Value) -> Value | None:
    """Return a product in which one factor is a live 0/1 mask as a piecewise affine node, else None.

    x times its own top-k mask is `KWinnersTakeAll`; any other mask chooses between x and zero.
    """
    for mask, x in ((a, b), (b, a)):
        operator = call.operator_of(mask)
        if isinstance(operator, TopKMask) and call.args_of(mask)[0].name == x.name:
            return call.emit(KWinnersTakeAll(operator.k, operator.dim, operator.largest), x, shape=x.shape)
        inner = call.args_of(mask)[0] if isinstance(operator, ToFloat) else mask
        binary = (
            isinstance(operator, TopKMask) or inner.dtype == torch.bool or isinstance(operator, Comparison)
        )
        if binary and x.dtype.is_floating_point and x.name != mask.name:
            zero = constant(torch.full, (), 0.0, dtype=x.dtype)
            return call.emit(Where(None, zero), inner, x, shape=call.broadcast(mask.shape, x))
    return None
