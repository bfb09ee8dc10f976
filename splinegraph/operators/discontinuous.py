"""Operators that jump: signs, roundings, thresholds, and the base of all locally constant ones.

All are piecewise affine, most are locally constant. None is Lipschitz unless a box shows that it meets
no switch. Comparisons are in `comparison`, top-k masks and indices in `winners`.
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

from splinegraph.core.operator import Boxes, Conditions, Piece, Shapes, SplineOperator
from splinegraph.core.switching import Breaks, Switching
from splinegraph.core.values import Box, Curvature, Monotonicity
from splinegraph.errors import UnsupportedOperatorError
from splinegraph.operators.base import PiecewiseElementwise, Scalar
from splinegraph.operators.elementwise import LowerClamp
from splinegraph.operators.order import half_spaces, places
from splinegraph.operators.registry import Call, Value, lowers

__all__ = [
    "Ceil", "Floor", "Hardshrink", "Heaviside", "LocallyConstant", "Round", "Sign", "Staircase", "Threshold", "Trunc",
]  # fmt: skip


MOST_STEPS = 10_000
"""Steps of a rounding beyond which they are not listed."""

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

    def lipschitz(self, norm: float = 2, arg: int = 0, on: Boxes | None = None, shapes: Shapes | None = None) -> float:
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


class Staircase(LocallyConstant):
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
        return half_spaces(unit.repeat(2), torch.cat([-lower, upper]), (0, unit.repeat(2), torch.cat([-sign, sign])))

    def switching(self, shapes: Shapes, on: Boxes | None = None) -> Switching | None:
        """Return the steps that a bounded argument can meet."""
        if on is None or not on[0].bounded:
            return None
        first, last = float(self.forward(on[0].lower).min()), float(self.forward(on[0].upper).max())
        if last - first > MOST_STEPS:
            return None
        values = torch.arange(first, last + 1, dtype=torch.float64)
        ends = self.ends(values[:-1])[1]
        level = values[:, None].expand(-1, math.prod(shapes[0]))
        closed = self.forward(ends) == values[:-1]
        return Breaks(ends, closed, torch.zeros_like(level), level, int(first), continuous=False)

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
class Round(Staircase):
    """The nearest integer; halves go to the even one."""

    def forward(self, *xs: Tensor) -> Tensor:
        return xs[0].round()

    def ends(self, value: Tensor) -> tuple[Tensor, Tensor]:
        return value - 0.5, value + 0.5


@lowers("aten.floor.default")
@dataclass(frozen=True, eq=False)
class Floor(Staircase):
    """The next integer below."""

    def forward(self, *xs: Tensor) -> Tensor:
        return xs[0].floor()

    def ends(self, value: Tensor) -> tuple[Tensor, Tensor]:
        return value, value + 1


@lowers("aten.ceil.default")
@dataclass(frozen=True, eq=False)
class Ceil(Staircase):
    """The next integer above."""

    def forward(self, *xs: Tensor) -> Tensor:
        return xs[0].ceil()

    def ends(self, value: Tensor) -> tuple[Tensor, Tensor]:
        return value - 1, value


@lowers("aten.trunc.default", "aten.fix.default")
@dataclass(frozen=True, eq=False)
class Trunc(Staircase):
    """The next integer towards zero."""

    def forward(self, *xs: Tensor) -> Tensor:
        return xs[0].trunc()

    def ends(self, value: Tensor) -> tuple[Tensor, Tensor]:
        return value - (value <= 0).to(value), value + (value >= 0).to(value)


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
