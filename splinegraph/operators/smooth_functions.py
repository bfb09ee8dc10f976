"""Smooth activations, saturating functions and waves: a formula, its derivative and its profile.

Inflections and extrema that have no closed form were computed with 50 digits (mpmath.findroot on the
second and first derivative) and are given as the nearest float64.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from splinegraph.core.operator import Boxes, Shapes
from splinegraph.core.values import Box, Curvature, Monotonicity
from splinegraph.operators.registry import Call, Value, lowers
from splinegraph.operators.smooth import (
    AFFINE,
    CONCAVE,
    CONVEX,
    DOWN,
    FLAT,
    INF,
    UP,
    DifferentiableElementwise,
    Kink,
    Profile,
    SmoothElementwise,
)  # fmt: skip

__all__ = [
    "ELU", "GELU", "Atan", "Cos", "Erf", "Hardswish", "LogSigmoid", "Mish", "SiLU", "Sigmoid", "Sin",
    "Softplus", "Tanh",
]  # fmt: skip


# saturating


@lowers("aten.sigmoid.default", "aten.special_expit.default")
@dataclass(frozen=True, eq=False)
class Sigmoid(SmoothElementwise):
    """1 / (1 + exp(-x))."""

    formula = "1/(1 + exp(-x))"
    profile = Profile((0.0,), (CONVEX, CONCAVE), (), (UP,), values=(0.0, 1.0), slopes=(0.0, 0.0))

    def forward(self, *xs: Tensor) -> Tensor:
        return torch.sigmoid(xs[0])

    def slope(self, x: Tensor, y: Tensor) -> Tensor:
        return y * (1 - y)


@lowers("aten.tanh.default")
@dataclass(frozen=True, eq=False)
class Tanh(SmoothElementwise):
    """The hyperbolic tangent."""

    formula = "tanh(x)"
    profile = Profile((0.0,), (CONVEX, CONCAVE), (), (UP,), values=(-1.0, 1.0), slopes=(0.0, 0.0))

    def forward(self, *xs: Tensor) -> Tensor:
        return torch.tanh(xs[0])

    def slope(self, x: Tensor, y: Tensor) -> Tensor:
        return 1 - y * y


@lowers("aten.erf.default", "aten.special_erf.default")
@dataclass(frozen=True, eq=False)
class Erf(SmoothElementwise):
    """The error function."""

    formula = "erf(x)"
    profile = Profile((0.0,), (CONVEX, CONCAVE), (), (UP,), values=(-1.0, 1.0), slopes=(0.0, 0.0))

    def forward(self, *xs: Tensor) -> Tensor:
        return torch.erf(xs[0])

    def slope(self, x: Tensor, y: Tensor) -> Tensor:
        return 2 / math.sqrt(math.pi) * torch.exp(-x * x)


@lowers("aten.atan.default", "aten.arctan.default")
@dataclass(frozen=True, eq=False)
class Atan(SmoothElementwise):
    """The inverse tangent."""

    formula = "atan(x)"
    profile = Profile((0.0,), (CONVEX, CONCAVE), (), (UP,), values=(-math.pi / 2, math.pi / 2), slopes=(0.0, 0.0))

    def forward(self, *xs: Tensor) -> Tensor:
        return torch.atan(xs[0])

    def slope(self, x: Tensor, y: Tensor) -> Tensor:
        return 1 / (1 + x * x)


# activations


@lowers("aten.gelu.default")
@dataclass(frozen=True, eq=False)
class GELU(SmoothElementwise):
    """x Phi(x), with Phi of the normal distribution or its approximation by a tanh."""

    approximate: str = "none"

    @property
    def profile(self) -> Profile:
        exact = self.approximate == "none"
        turn = math.sqrt(2) if exact else 1.4185040087908283
        least = -0.7517915246935645 if exact else -0.7524614220710163
        return Profile(
            (-turn, turn),
            (CONCAVE, CONVEX, CONCAVE),
            (least,),
            (DOWN, UP),
            values=(0.0, INF),
            slopes=(0.0, 1.0),
            heights=(None, 0.0),
        )

    @property
    def formula(self) -> str:
        if self.approximate == "none":
            return "x*(1 + erf(x/sqrt(2)))/2"
        return "x*(1 + tanh(sqrt(2/pi)*(x + 0.044715*x**3)))/2"

    @property
    def label(self) -> str:
        return "GELU" if self.approximate == "none" else f"GELU({self.approximate})"

    def forward(self, *xs: Tensor) -> Tensor:
        return F.gelu(xs[0], approximate=self.approximate)

    def slope(self, x: Tensor, y: Tensor) -> Tensor:
        if self.approximate == "none":
            density = torch.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
            return 0.5 * torch.erfc(-x / math.sqrt(2)) + x * density
        scale, cubic = math.sqrt(2 / math.pi), 0.044715
        t = torch.tanh(scale * (x + cubic * x**3))
        return 0.5 * (1 + t) + 0.5 * scale * x * (1 - t * t) * (1 + 3 * cubic * x * x)


@lowers("aten.silu.default")
@dataclass(frozen=True, eq=False)
class SiLU(SmoothElementwise):
    """x sigmoid(x), also known as swish."""

    formula = "x/(1 + exp(-x))"
    profile = Profile(
        (-2.3993572805154675, 2.3993572805154675), (CONCAVE, CONVEX, CONCAVE),
        (-1.2784645427610737,), (DOWN, UP), values=(0.0, INF), slopes=(0.0, 1.0), heights=(None, 0.0),
    )  # fmt: skip

    def forward(self, *xs: Tensor) -> Tensor:
        return F.silu(xs[0])

    def slope(self, x: Tensor, y: Tensor) -> Tensor:
        s = torch.sigmoid(x)
        return s + y * (1 - s)


@lowers("aten.mish.default")
@dataclass(frozen=True, eq=False)
class Mish(SmoothElementwise):
    """x tanh(softplus(x))."""

    formula = "x*tanh(log(1 + exp(x)))"
    profile = Profile(
        (-2.256376396360793, 1.4905711794854284), (CONCAVE, CONVEX, CONCAVE),
        (-1.1924312145154952,), (DOWN, UP), values=(0.0, INF), slopes=(0.0, 1.0), heights=(None, 0.0),
    )  # fmt: skip

    def forward(self, *xs: Tensor) -> Tensor:
        return F.mish(xs[0])

    def slope(self, x: Tensor, y: Tensor) -> Tensor:
        t = torch.tanh(F.softplus(x))
        return t + x * torch.sigmoid(x) * (1 - t * t)


@lowers("aten.hardswish.default")
@dataclass(frozen=True, eq=False)
class Hardswish(SmoothElementwise):
    """x clamp(x / 6 + 1/2, 0, 1): a parabola between two rays."""

    formula = "x*Max(0, Min(1, x/6 + 1/2))"
    profile = Profile(
        (-3.0, 3.0), (AFFINE, CONVEX, AFFINE), (-3.0, -1.5), (FLAT, DOWN, UP), values=(0.0, INF),
        slopes=(0.0, 1.0), kinks=(Kink(-3.0, 0.0, -0.5), Kink(3.0, 1.5, 1.0)), heights=(None, 0.0),
    )  # fmt: skip

    def forward(self, *xs: Tensor) -> Tensor:
        return F.hardswish(xs[0])

    def slope(self, x: Tensor, y: Tensor) -> Tensor:
        middle = x / 3 + 0.5
        return torch.where(x <= -3, torch.zeros_like(x), torch.where(x <= 3, middle, torch.ones_like(x)))


@dataclass(frozen=True, eq=False)
class Softplus(SmoothElementwise):
    """log(1 + exp(beta x)) / beta, for beta > 0.

    Beyond beta x = threshold torch returns x itself: a step down by log1p(exp(-threshold)) / beta,
    2e-9 for the default of 20. The facts are those of the formula.
    """

    beta: float = 1.0
    threshold: float = 20.0
    formula = "log(1 + exp(beta*x))/beta"
    profile = Profile((), (CONVEX,), (), (UP,), values=(0.0, INF), slopes=(0.0, 1.0), heights=(None, 0.0))

    @property
    def label(self) -> str:
        return "Softplus" if self.beta == 1 else f"Softplus({self.beta:g})"

    def forward(self, *xs: Tensor) -> Tensor:
        return F.softplus(xs[0], self.beta, self.threshold)

    def slope(self, x: Tensor, y: Tensor) -> Tensor:
        return torch.sigmoid(self.beta * x)


@lowers("aten.log_sigmoid.default")
@dataclass(frozen=True, eq=False)
class LogSigmoid(SmoothElementwise):
    """-log(1 + exp(-x))."""

    formula = "-log(1 + exp(-x))"
    profile = Profile((), (CONCAVE,), (), (UP,), values=(-INF, 0.0), slopes=(1.0, 0.0), heights=(0.0, None))

    def forward(self, *xs: Tensor) -> Tensor:
        return F.logsigmoid(xs[0])

    def slope(self, x: Tensor, y: Tensor) -> Tensor:
        return torch.sigmoid(-x)


@dataclass(frozen=True, eq=False)
class ELU(SmoothElementwise):
    """scale x if x > 0, else scale alpha (exp(input_scale x) - 1): ELU, SELU and CELU.

    Has a kink at 0 unless alpha input_scale = 1. Both scales are positive, alpha has any sign.
    """

    alpha: float = 1.0
    scale: float = 1.0
    input_scale: float = 1.0
    formula = "Piecewise((scale*x, x > 0), (scale*alpha*(exp(input_scale*x) - 1), True))"

    @property
    def profile(self) -> Profile:
        height, slope = self.alpha * self.scale, self.alpha * self.scale * self.input_scale
        bend = AFFINE if height == 0 else CONVEX if height > 0 else CONCAVE
        direction = FLAT if height == 0 else UP if height > 0 else DOWN
        kinks = () if slope == self.scale else (Kink(0.0, slope, self.scale),)
        return Profile(
            (0.0,),
            (bend, AFFINE),
            (0.0,),
            (direction, UP),
            values=(-height, INF),
            slopes=(0.0, self.scale),
            kinks=kinks,
            heights=(None, 0.0),
        )

    @property
    def label(self) -> str:
        settings = (self.alpha, self.scale, self.input_scale)
        return "ELU" if settings == (1, 1, 1) else f"ELU({', '.join(f'{s:.6g}' for s in settings)})"

    def forward(self, *xs: Tensor) -> Tensor:
        elu: Tensor = torch.ops.aten.elu.default(xs[0], self.alpha, self.scale, self.input_scale)
        return elu

    def slope(self, x: Tensor, y: Tensor) -> Tensor:
        # the clamp keeps exp, and its derivative, finite on the side that is not chosen
        left = self.alpha * self.scale * self.input_scale * torch.exp(self.input_scale * x.clamp(max=0.0))
        return torch.where(x > 0, torch.full_like(x, self.scale), left)


# waves


class _Wave(DifferentiableElementwise):
    """sin(x + phase)."""

    phase: float

    def bounds(self, *boxes: Box) -> Box:
        """Return the exact range: 1 or -1 where a crest or a trough is met, else that of the ends."""
        lower, upper = boxes[0].lower, boxes[0].upper
        first, last = (self.forward(end).nan_to_num(0.0) for end in (lower, upper))
        crest, trough = (_meets(lower, upper, s * math.pi / 2 - self.phase, 2 * math.pi) for s in (1, -1))
        return Box(
            torch.minimum(first, last).masked_fill(trough, -1.0),
            torch.maximum(first, last).masked_fill(crest, 1.0),
        )

    def lipschitz(self, norm: float = 2, arg: int = 0, on: Boxes | None = None, shapes: Shapes | None = None) -> float:
        """Return the largest |cos(x + phase)|; the same in every norm."""
        if on is None:
            return 1.0
        lower, upper = (end.double() for end in on[0])
        ends = torch.maximum(*(self.derivative(end).abs().nan_to_num(1.0) for end in (lower, upper)))
        steepest = ends.masked_fill(_meets(lower, upper, -self.phase, math.pi), 1.0)
        return float(steepest.max()) if steepest.numel() else 0.0

    def curvature(self, on: Boxes | None = None) -> Tensor:
        """Return the curvature of the half wave that holds the box."""
        if on is None:
            return Curvature.UNKNOWN.tensor()
        lower, upper = (end.double() for end in on[0])
        middle = self.forward((lower + upper) / 2)
        crossing = _meets(lower, upper, -self.phase, math.pi, inside=True)
        return CONCAVE.where(~crossing & (middle >= 0)) | CONVEX.where(~crossing & (middle <= 0))

    def monotonicity(self, arg: int = 0, on: Boxes | None = None) -> Tensor:
        """Return the direction of the stretch from trough to crest, or back, that holds the box."""
        if on is None:
            return Monotonicity.UNKNOWN.tensor()
        lower, upper = (end.double() for end in on[0])
        middle = self.derivative((lower + upper) / 2)
        turning = _meets(lower, upper, math.pi / 2 - self.phase, math.pi, inside=True)
        return UP.where(~turning & (middle >= 0)) | DOWN.where(~turning & (middle <= 0))


def _meets(lower: Tensor, upper: Tensor, start: float, period: float, *, inside: bool = False) -> Tensor:
    """Return which intervals (which interiors, if `inside`) hold a point of start + period Z.

    Yes beyond 1e6, where the phase has lost the digits that could tell.
    """
    low, high = ((end.double() - start) / period for end in (lower, upper))
    found = low.floor() + 1 <= high.ceil() - 1 if inside else low.ceil() <= high.floor()
    return found | (lower < -1e6) | (upper > 1e6)


@lowers("aten.sin.default")
@dataclass(frozen=True, eq=False)
class Sin(_Wave):
    """The sine."""

    formula = "sin(x)"
    phase = 0.0

    def forward(self, *xs: Tensor) -> Tensor:
        return torch.sin(xs[0])

    def slope(self, x: Tensor, y: Tensor) -> Tensor:
        return torch.cos(x)


@lowers("aten.cos.default")
@dataclass(frozen=True, eq=False)
class Cos(_Wave):
    """The cosine."""

    formula = "cos(x)"
    phase = math.pi / 2

    def forward(self, *xs: Tensor) -> Tensor:
        return torch.cos(xs[0])

    def slope(self, x: Tensor, y: Tensor) -> Tensor:
        return -torch.sin(x)


# lowerings with something to decide


@lowers("aten.softplus.default")
def _softplus(call: Call, x: Value, beta: float = 1, threshold: float = 20) -> Value | Any:
    if beta <= 0 or threshold < 20:  # a lower threshold makes a step that is more than rounding
        return call.opaque()
    return call.emit(Softplus(float(beta), float(threshold)), x)


@lowers("aten.elu.default")
def _elu(call: Call, x: Value, alpha: float = 1, scale: float = 1, input_scale: float = 1) -> Value | Any:
    if scale <= 0 or input_scale <= 0:
        return call.opaque()
    return call.emit(ELU(float(alpha), float(scale), float(input_scale)), x)


@lowers("aten.selu.default")
def _selu(call: Call, x: Value) -> Value | Any:
    return _elu(call, x, alpha=1.6732632423543772848170429916717, scale=1.0507009873554804934193349852946)


@lowers("aten.celu.default")
def _celu(call: Call, x: Value, alpha: float = 1) -> Value | Any:
    return _elu(call, x, alpha=alpha, input_scale=1 / alpha)
