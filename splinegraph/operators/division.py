"""Division with a remainder, casts to integers, and tests for NaN and infinity."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from splinegraph.core.affine import AffineOperator
from splinegraph.core.algebra import LinearCombination
from splinegraph.core.operator import Boxes, Shapes
from splinegraph.core.values import Box
from splinegraph.operators.arithmetic import add, divide, scale
from splinegraph.operators.comparison import number
from splinegraph.operators.discontinuous import Staircase, Trunc
from splinegraph.operators.linear import Parts
from splinegraph.operators.registry import Call, Value, constant, lowers

__all__ = ["FiniteTest", "FloorDivide", "NanToNum", "ToInteger", "TruncDivide"]


@dataclass(frozen=True, eq=False)
class FloorDivide(Staircase):
    """The next integer below x / divisor, for a positive divisor."""

    divisor: float

    @property
    def label(self) -> str:
        return f"FloorDivide({self.divisor:g})"

    def forward(self, *xs: Tensor) -> Tensor:
        return torch.div(xs[0], self.divisor, rounding_mode="floor")

    def bounds(self, *boxes: Box) -> Box:
        lower, upper = (self.forward(end).where(end.isfinite(), end) for end in boxes[0])
        return Box(lower, upper)

    def ends(self, value: Tensor) -> tuple[Tensor, Tensor]:
        return value * self.divisor, (value + 1) * self.divisor


@dataclass(frozen=True, eq=False)
class TruncDivide(Staircase):
    """The next integer towards zero from x / divisor, for a positive divisor.

    Parameters
    ----------
    divisor : float
    whole : bool
        How often the divisor goes into x, which leaves `torch.fmod`, instead of `torch.div`, which rounds before
        it cuts: 1.0 holds 0.1 nine times, and 1.0 / 0.1 is ten.
    """

    divisor: float
    whole: bool = False

    @property
    def label(self) -> str:
        return f"TruncDivide({self.divisor:g})"

    def forward(self, *xs: Tensor) -> Tensor:
        if self.whole:
            return ((xs[0] - torch.fmod(xs[0], self.divisor)) / self.divisor).round()
        return torch.div(xs[0], self.divisor, rounding_mode="trunc")

    def ends(self, value: Tensor) -> tuple[Tensor, Tensor]:
        low, high = value - (value <= 0).to(value), value + (value >= 0).to(value)
        return low * self.divisor, high * self.divisor


@dataclass(frozen=True, eq=False)
class ToInteger(Staircase):
    """The next integer towards zero, as an integer."""

    integral = True

    def forward(self, *xs: Tensor) -> Tensor:
        return xs[0].long()

    def value(self, code: Tensor, dtype: torch.dtype) -> Tensor:
        return code.long()

    def bounds(self, *boxes: Box) -> Box:
        return Box(boxes[0].lower.trunc(), boxes[0].upper.trunc())

    def ends(self, value: Tensor) -> tuple[Tensor, Tensor]:
        value = value if value.is_floating_point() else value.double()
        return value - (value <= 0).to(value), value + (value >= 0).to(value)


@dataclass(frozen=True, eq=False)
class FiniteTest(AffineOperator):
    """isnan, isinf or isfinite: the same answer for every real number.

    Where a computation leaves the real numbers all the same, `forward` says so.
    """

    kind: str

    @property
    def label(self) -> str:
        return self.kind

    def forward(self, *xs: Tensor) -> Tensor:
        truth: Tensor = getattr(torch, self.kind)(xs[0])
        return truth

    def linear(self, *vs: Tensor) -> Tensor:
        return vs[0].new_zeros(()).expand(vs[0].shape)

    def adjoint(self, u: Tensor, shapes: Shapes) -> tuple[Tensor, ...]:
        return (u.new_zeros(()).expand(u.shape),)

    def split(self) -> Parts:
        return None, None

    def bounds(self, *boxes: Box) -> Box:
        answer = torch.full_like(boxes[0].lower, float(self.kind == "isfinite"))
        real = boxes[0].lower.isfinite() & boxes[0].upper.isfinite()
        return Box(answer.where(real, torch.zeros_like(answer)), answer.where(real, torch.ones_like(answer)))

    def lipschitz(self, norm: float = 2, arg: int = 0, on: Boxes | None = None, shapes: Shapes | None = None) -> float:
        return 0.0


@dataclass(frozen=True, eq=False)
class NanToNum(AffineOperator):
    """The identity on real numbers; numbers in place of NaN and infinity."""

    nan: float = 0.0
    posinf: float | None = None
    neginf: float | None = None

    def forward(self, *xs: Tensor) -> Tensor:
        return torch.nan_to_num(xs[0], self.nan, self.posinf, self.neginf)

    def linear(self, *vs: Tensor) -> Tensor:
        return vs[0]

    def adjoint(self, u: Tensor, shapes: Shapes) -> tuple[Tensor, ...]:
        return (u,)

    def split(self) -> Parts:
        return NanToNum(), None

    def bounds(self, *boxes: Box) -> Box:
        lower, upper = boxes[0]
        real = lower.isfinite() & upper.isfinite()  # an infinite value is replaced by another
        return Box(lower.where(real, -torch.inf), upper.where(real, torch.inf))

    def lipschitz(self, norm: float = 2, arg: int = 0, on: Boxes | None = None, shapes: Shapes | None = None) -> float:
        return 1.0


# lowerings


@lowers("aten.isnan.default", "aten.isinf.default", "aten.isfinite.default", "aten.isposinf.default",
        "aten.isneginf.default")  # fmt: skip
def _finite_test(call: Call, x: Value) -> Value:
    if not x.dtype.is_floating_point:
        opaque: Value = call.opaque()
        return opaque
    return call.emit(FiniteTest(call.target.split(".")[1]), x)


@lowers("aten.nan_to_num.default")
def _nan_to_num(
    call: Call, x: Value, nan: float | None = None, posinf: float | None = None, neginf: float | None = None
) -> Value:
    return call.emit(NanToNum(nan or 0.0, posinf, neginf), x) if x.dtype.is_floating_point else x


def _quotient(call: Call, x: Any, divisor: Any, mode: str) -> Any:
    """Return x / divisor, rounded down or towards zero, for one constant divisor; None if there is no such node.

    Of several divisors there is none: x times their reciprocals, rounded, is another function at whole ratios.
    """
    if not isinstance(x, Value) or isinstance(divisor, Value) or not x.dtype.is_floating_point:
        return None
    known = (
        call.fixed(divisor)
        if not isinstance(divisor, float | int)
        else torch.tensor(float(divisor), dtype=torch.float64)
    )
    if known is not None and known.numel() == 1 and call.rank(divisor) <= x.ndim and float(known) != 0:
        number = float(known)
        operator = FloorDivide(abs(number)) if mode == "floor" else TruncDivide(abs(number), mode == "fmod")
        return call.emit(operator, scale(call, x, math.copysign(1.0, number)), shape=x.shape)
    return None


@lowers("aten.floor_divide.default", "aten.floor_divide.Scalar")
def _floor_divide(call: Call, x: Any, divisor: Any) -> Any:
    return _quotient(call, x, divisor, "floor") or call.opaque()


@lowers("aten.div.Tensor_mode", "aten.div.Scalar_mode")
def _div_mode(call: Call, a: Any, b: Any, *, rounding_mode: str | None = None) -> Any:
    return divide(call, a, b) if rounding_mode is None else _quotient(call, a, b, rounding_mode) or call.opaque()


@lowers("aten.remainder.Scalar", "aten.remainder.Tensor", "aten.fmod.Scalar", "aten.fmod.Tensor")
def _remainder(call: Call, x: Any, divisor: Any) -> Any:
    """Return x - divisor * quotient: the remainder has the divisor's sign, that of fmod has x's."""
    whole = isinstance(x, Value) and not x.dtype.is_floating_point
    if whole and (isinstance(divisor, Value) or call.dtype != torch.int64):
        return call.opaque()
    x = number(call, x) if whole else x
    quotient = _quotient(call, x, divisor, "floor" if "remainder" in call.target else "fmod")
    if quotient is None:
        return call.opaque()
    if not isinstance(divisor, float | int):
        return add(call, x, scale(call, quotient, constant(torch.neg, divisor))) if not whole else call.opaque()
    rest = call.emit(LinearCombination((1.0, -float(divisor))), x, quotient, shape=call.shape)
    return call.emit(ToInteger(), rest, shape=call.shape) if whole else rest


@lowers("aten.frac.default")
def _frac(call: Call, x: Value) -> Value:
    return call.emit(LinearCombination((1.0, -1.0)), x, call.emit(Trunc(), x))
