"""Continuous elementwise splines: breakpoints, slopes, one value."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from splinegraph.core.operator import Piece
from splinegraph.operators.base import ElementwiseSpline, Scalar
from splinegraph.operators.registry import Call, Value, lowers

__all__ = [
    "Abs",
    "Clamp",
    "Hardsigmoid",
    "LeakyReLU",
    "LowerClamp",
    "PReLU",
    "ReLU",
    "Softshrink",
    "UpperClamp",
]


class RectifierPiece(Piece):
    """u -> u where x > 0, else slope * u: torch's own call for it, one pass, where the result is differentiated."""

    def __init__(self, x: Tensor, slope: float) -> None:
        self._x, self._slope = x.detach(), slope

    def apply(self, *xs: Tensor) -> Tensor:
        """Return the slope times x."""
        return self.tangent(*xs)

    def tangent(self, *vs: Tensor) -> Tensor:
        """Return the slope times v."""
        result: Tensor = torch.ops.aten.leaky_relu_backward(vs[0], self._x, self._slope, False)
        return result

    def adjoint(self, u: Tensor) -> tuple[Tensor, ...]:
        """Return the slope times u."""
        return (self.tangent(u),)


@lowers("aten.relu.default")
@dataclass(frozen=True, eq=False)
class ReLU(ElementwiseSpline):
    """max(x, 0)."""

    breakpoints = (0.0,)
    slopes = (0.0, 1.0)
    anchor = 0.0

    def forward(self, *xs: Tensor) -> Tensor:
        """Return max(x, 0)."""
        return torch.relu(xs[0])

    def value_and_piece(self, *xs: Tensor) -> tuple[Tensor, Piece]:
        """Return value and piece; autograd keeps the value, so it serves as the code."""
        value = torch.relu(xs[0])
        if xs[0].requires_grad and torch.is_grad_enabled():
            return value, RectifierPiece(value, 0.0)
        return value, self.linearize(*xs)


@lowers("aten.abs.default")
@dataclass(frozen=True, eq=False)
class Abs(ElementwiseSpline):
    """|x|."""

    breakpoints = (0.0,)
    slopes = (-1.0, 1.0)
    anchor = 0.0

    def forward(self, *xs: Tensor) -> Tensor:
        """Return |x|."""
        return xs[0].abs()


@lowers("aten.leaky_relu.default")
@dataclass(frozen=True, eq=False)
class LeakyReLU(ElementwiseSpline):
    """x if x > 0, else negative_slope * x; any slope, also negative or above one."""

    negative_slope: float = 0.01
    breakpoints = (0.0,)
    anchor = 0.0

    @property
    def slopes(self) -> tuple[Scalar, ...]:
        """The slope below and above zero."""
        return (float(self.negative_slope), 1.0)

    @property
    def label(self) -> str:
        """Name and slope."""
        return f"LeakyReLU({self.negative_slope:g})"

    def forward(self, *xs: Tensor) -> Tensor:
        """Return leaky_relu(x)."""
        return F.leaky_relu(xs[0], self.negative_slope)

    def value_and_piece(self, *xs: Tensor) -> tuple[Tensor, Piece]:
        """Return value and piece; autograd keeps x, so it serves as the code."""
        value = F.leaky_relu(xs[0], self.negative_slope)
        if xs[0].requires_grad and torch.is_grad_enabled():
            return value, RectifierPiece(xs[0], self.negative_slope)
        return value, self.linearize(*xs)


@dataclass(frozen=True, eq=False)
class PReLU(ElementwiseSpline):
    """x if x > 0, else weight * x, one trainable weight per channel or one in all.

    Parameters
    ----------
    weight : Tensor of shape (channels,) or (1,)
    trailing : int
        Number of axes behind the channel axis.
    """

    weight: Tensor
    trailing: int = 0
    breakpoints = (0.0,)
    anchor = 0.0

    @property
    def slopes(self) -> tuple[Scalar, ...]:
        """The weights below, one above zero."""
        weight = self.weight if self.weight.numel() > 1 else self.weight.reshape(1)
        return (weight.reshape(-1, *(1,) * self.trailing), 1.0)

    def forward(self, *xs: Tensor) -> Tensor:
        """Return x where positive, else weight * x."""
        return torch.where(xs[0] > 0, xs[0], self.slopes[0] * xs[0])


@lowers("aten.hardtanh.default")
@dataclass(frozen=True, eq=False)
class Clamp(ElementwiseSpline):
    """min(max(x, low), high): HardTanh, ReLU6, clamp."""

    low: float = -1.0
    high: float = 1.0
    slopes = (0.0, 1.0, 0.0)

    @property
    def breakpoints(self) -> tuple[float, ...]:
        """The two ends."""
        return (float(self.low), float(self.high))

    @property
    def anchor(self) -> float:
        """The lower end."""
        return float(self.low)

    @property
    def label(self) -> str:
        """Name and ends."""
        return f"Clamp({self.low:g}, {self.high:g})"

    def forward(self, *xs: Tensor) -> Tensor:
        """Return clamp(x)."""
        return xs[0].clamp(self.low, self.high)


@dataclass(frozen=True, eq=False)
class LowerClamp(ElementwiseSpline):
    """max(x, low)."""

    low: float = 0.0
    slopes = (0.0, 1.0)

    @property
    def breakpoints(self) -> tuple[float, ...]:
        """The end."""
        return (float(self.low),)

    @property
    def anchor(self) -> float:
        """The end."""
        return float(self.low)


@dataclass(frozen=True, eq=False)
class UpperClamp(ElementwiseSpline):
    """min(x, high)."""

    high: float = 0.0
    slopes = (1.0, 0.0)

    @property
    def breakpoints(self) -> tuple[float, ...]:
        """The end."""
        return (float(self.high),)

    @property
    def anchor(self) -> float:
        """The end."""
        return float(self.high)


@lowers("aten.hardsigmoid.default")
@dataclass(frozen=True, eq=False)
class Hardsigmoid(ElementwiseSpline):
    """clamp(x / 6 + 1/2, 0, 1)."""

    breakpoints = (-3.0, 3.0)
    slopes = (0.0, 1 / 6, 0.0)
    anchor = 0.0

    def forward(self, *xs: Tensor) -> Tensor:
        """Return hardsigmoid(x)."""
        return F.hardsigmoid(xs[0])


@lowers("aten.softshrink.default")
@dataclass(frozen=True, eq=False)
class Softshrink(ElementwiseSpline):
    """x pulled towards zero by lambd: 0 on [-lambd, lambd]."""

    lambd: float = 0.5
    slopes = (1.0, 0.0, 1.0)
    anchor = 0.0

    @property
    def breakpoints(self) -> tuple[float, ...]:
        """The two ends of the dead zone."""
        return (-float(self.lambd), float(self.lambd))


# lowerings with something to decide


@lowers("aten.relu6.default")
def _relu6(call: Call, x: Value) -> Value:
    return call.emit(Clamp(0.0, 6.0), x)


@lowers("aten.rrelu.default")
def _rrelu(call: Call, x: Value, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False, *_: Any) -> Value:
    if training:
        opaque: Value = call.opaque()
        return opaque
    return call.emit(LeakyReLU((lower + upper) / 2), x)


@lowers("aten.prelu.default", "aten._prelu_kernel.default")
def _prelu(call: Call, x: Value, weight: Any) -> Value:
    if isinstance(weight, Value) or isinstance(x, Tensor):
        opaque: Value = call.opaque()
        return opaque
    return call.emit(PReLU(weight, max(x.ndim - 2, 0)), x)


@lowers("aten.clamp.default")
def _clamp(call: Call, x: Value, min: float | None = None, max: float | None = None) -> Value:
    # an infinite end is none
    low = None if min is None or min == -math.inf else float(min)
    high = None if max is None or max == math.inf else float(max)
    if low is None and high is None:
        return x
    if high is None:
        return call.emit(ReLU() if low == 0 else LowerClamp(float(low or 0.0)), x)
    if low is None:
        return call.emit(UpperClamp(high), x)
    if low > high:  # torch then returns `max` everywhere
        return call.emit(UpperClamp(high), call.emit(LowerClamp(high), x))
    return call.emit(Clamp(low, high), x)


@lowers("aten.clamp_min.default")
def _clamp_min(call: Call, x: Value, min: float) -> Value:
    return _clamp(call, x, min=min)


@lowers("aten.clamp_max.default")
def _clamp_max(call: Call, x: Value, max: float) -> Value:
    return _clamp(call, x, max=max)
