"""Hyperbolic, inverse and special functions: a formula, its derivative and its profile."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from splinegraph.operators.registry import Call, Value, lowers
from splinegraph.operators.smooth import CONCAVE, CONVEX, DOWN, INF, UP, Profile, SmoothElementwise

__all__ = [
    "Acosh", "Asin", "Asinh", "Atanh", "Cosh", "Digamma", "Erfcx", "Erfinv", "Lgamma", "LogNormalCDF", "Logit", "Sinh",
]  # fmt: skip

_S_SHAPED, _RISING = (CONCAVE, CONVEX), (UP,)


@lowers("aten.sinh.default")
@dataclass(frozen=True, eq=False)
class Sinh(SmoothElementwise):
    """The hyperbolic sine."""

    formula = "sinh(x)"
    profile = Profile((0.0,), _S_SHAPED, (), _RISING, values=(-INF, INF), slopes=(INF, INF))

    def forward(self, *xs: Tensor) -> Tensor:
        return torch.sinh(xs[0])

    def slope(self, x: Tensor, y: Tensor) -> Tensor:
        return torch.cosh(x)


@lowers("aten.cosh.default")
@dataclass(frozen=True, eq=False)
class Cosh(SmoothElementwise):
    """The hyperbolic cosine."""

    formula = "cosh(x)"
    profile = Profile((), (CONVEX,), (0.0,), (DOWN, UP), values=(INF, INF), slopes=(-INF, INF))

    def forward(self, *xs: Tensor) -> Tensor:
        return torch.cosh(xs[0])

    def slope(self, x: Tensor, y: Tensor) -> Tensor:
        return torch.sinh(x)


@lowers("aten.asinh.default", "aten.arcsinh.default")
@dataclass(frozen=True, eq=False)
class Asinh(SmoothElementwise):
    """The inverse hyperbolic sine."""

    formula = "asinh(x)"
    profile = Profile((0.0,), (CONVEX, CONCAVE), (), _RISING, values=(-INF, INF), slopes=(0.0, 0.0))

    def forward(self, *xs: Tensor) -> Tensor:
        return torch.asinh(xs[0])

    def slope(self, x: Tensor, y: Tensor) -> Tensor:
        return torch.rsqrt(1 + x * x)


@lowers("aten.acosh.default", "aten.arccosh.default")
@dataclass(frozen=True, eq=False)
class Acosh(SmoothElementwise):
    """The inverse hyperbolic cosine, for x >= 1."""

    formula = "acosh(x)"
    profile = Profile((), (CONCAVE,), (), _RISING, values=(0.0, INF), slopes=(INF, 0.0), domain=(1.0, INF))

    def forward(self, *xs: Tensor) -> Tensor:
        return torch.acosh(xs[0])

    def slope(self, x: Tensor, y: Tensor) -> Tensor:
        return torch.rsqrt((x - 1) * (x + 1))


@lowers("aten.asin.default", "aten.arcsin.default")
@dataclass(frozen=True, eq=False)
class Asin(SmoothElementwise):
    """The inverse sine, on [-1, 1]."""

    formula = "asin(x)"
    profile = Profile(
        (0.0,), _S_SHAPED, (), _RISING, values=(-math.pi / 2, math.pi / 2), slopes=(INF, INF), domain=(-1.0, 1.0),
    )  # fmt: skip

    def forward(self, *xs: Tensor) -> Tensor:
        return torch.asin(xs[0])

    def slope(self, x: Tensor, y: Tensor) -> Tensor:
        return torch.rsqrt((1 - x) * (1 + x))


@lowers("aten.atanh.default", "aten.arctanh.default")
@dataclass(frozen=True, eq=False)
class Atanh(SmoothElementwise):
    """The inverse hyperbolic tangent, on [-1, 1]."""

    formula = "atanh(x)"
    profile = Profile((0.0,), _S_SHAPED, (), _RISING, values=(-INF, INF), slopes=(INF, INF), domain=(-1.0, 1.0))

    def forward(self, *xs: Tensor) -> Tensor:
        return torch.atanh(xs[0])

    def slope(self, x: Tensor, y: Tensor) -> Tensor:
        return 1 / ((1 - x) * (1 + x))


@dataclass(frozen=True, eq=False)
class Logit(SmoothElementwise):
    """log(x / (1 - x)), on [0, 1]."""

    formula = "log(x/(1 - x))"
    profile = Profile((0.5,), _S_SHAPED, (), _RISING, values=(-INF, INF), slopes=(INF, INF), domain=(0.0, 1.0))

    def forward(self, *xs: Tensor) -> Tensor:
        return torch.logit(xs[0])

    def slope(self, x: Tensor, y: Tensor) -> Tensor:
        return 1 / (x * (1 - x))


@lowers("aten.erfinv.default", "aten.special_erfinv.default")
@dataclass(frozen=True, eq=False)
class Erfinv(SmoothElementwise):
    """The inverse error function, on [-1, 1]."""

    formula = "erfinv(x)"
    profile = Profile((0.0,), _S_SHAPED, (), _RISING, values=(-INF, INF), slopes=(INF, INF), domain=(-1.0, 1.0))

    def forward(self, *xs: Tensor) -> Tensor:
        return torch.erfinv(xs[0])

    def slope(self, x: Tensor, y: Tensor) -> Tensor:
        return math.sqrt(math.pi) / 2 * torch.exp(y * y)


@lowers("aten.special_erfcx.default")
@dataclass(frozen=True, eq=False)
class Erfcx(SmoothElementwise):
    """exp(x^2) erfc(x): the scaled complementary error function."""

    formula = "exp(x**2)*erfc(x)"
    profile = Profile((), (CONVEX,), (), (DOWN,), values=(INF, 0.0), slopes=(-INF, 0.0))

    def forward(self, *xs: Tensor) -> Tensor:
        value: Tensor = torch.special.erfcx(xs[0])
        return value

    def slope(self, x: Tensor, y: Tensor) -> Tensor:
        return 2 * x * y - 2 / math.sqrt(math.pi)


@lowers("aten.special_log_ndtr.default")
@dataclass(frozen=True, eq=False)
class LogNormalCDF(SmoothElementwise):
    """The logarithm of the normal distribution function."""

    formula = "log(erfc(-x/sqrt(2))/2)"
    profile = Profile((), (CONCAVE,), (), _RISING, values=(-INF, 0.0), slopes=(INF, 0.0))

    def forward(self, *xs: Tensor) -> Tensor:
        value: Tensor = torch.special.log_ndtr(xs[0])
        return value

    def slope(self, x: Tensor, y: Tensor) -> Tensor:
        # as a quotient of densities it loses all digits far left
        density: Tensor = torch.special.erfcx(-x / math.sqrt(2))
        return math.sqrt(2 / math.pi) / density


@lowers("aten.lgamma.default", "aten.special_gammaln.default")
@dataclass(frozen=True, eq=False)
class Lgamma(SmoothElementwise):
    """The logarithm of the gamma function; nothing is known of it below 0."""

    formula = "loggamma(x)"
    profile = Profile(
        (), (CONVEX,), (1.4616321449683623,), (DOWN, UP), values=(INF, INF), slopes=(-INF, INF), domain=(0.0, INF),
    )  # fmt: skip
    continuous = False

    def forward(self, *xs: Tensor) -> Tensor:
        return torch.lgamma(xs[0])

    def slope(self, x: Tensor, y: Tensor) -> Tensor:
        return torch.digamma(x)


@lowers("aten.digamma.default", "aten.special_digamma.default", "aten.special_psi.default")
@dataclass(frozen=True, eq=False)
class Digamma(SmoothElementwise):
    """The derivative of `Lgamma`; nothing is known of it below 0."""

    formula = "digamma(x)"
    profile = Profile((), (CONCAVE,), (), _RISING, values=(-INF, INF), slopes=(INF, 0.0), domain=(0.0, INF))
    continuous = False

    def forward(self, *xs: Tensor) -> Tensor:
        return torch.digamma(xs[0])

    def slope(self, x: Tensor, y: Tensor) -> Tensor:
        return torch.polygamma(1, x)


# lowerings with something to decide


@lowers("aten.logit.default", "aten.special_logit.default")
def _logit(call: Call, x: Value, eps: float | None = None) -> Value:
    from splinegraph.operators.elementwise import Clamp

    if eps is not None:
        x = call.emit(Clamp(float(eps), 1 - float(eps)), x)
    return call.emit(Logit(), x)


@lowers("aten.acos.default", "aten.arccos.default")
def _acos(call: Call, x: Value) -> Value:
    from splinegraph.operators.arithmetic import Scale, Shift

    return call.emit(Shift(math.pi / 2), call.emit(Scale(-1.0), call.emit(Asin(), x)))


@lowers("aten.tan.default")
def _tan(call: Call, x: Value) -> Any:
    from splinegraph.operators.bilinear import lower_quotient
    from splinegraph.operators.smooth_functions import Cos, Sin

    return lower_quotient(call, call.emit(Sin(), x), call.emit(Cos(), x))


@lowers("aten.special_ndtr.default")
def _normal_cdf(call: Call, x: Value) -> Value:
    from splinegraph.operators.arithmetic import Scale, Shift
    from splinegraph.operators.smooth_functions import Erf

    return call.emit(Scale(0.5), call.emit(Shift(1.0), call.emit(Erf(), call.emit(Scale(math.sqrt(0.5)), x))))


@lowers("aten.erfc.default", "aten.special_erfc.default")
def _erfc(call: Call, x: Value) -> Value:
    from splinegraph.operators.arithmetic import Scale, Shift
    from splinegraph.operators.smooth_functions import Erf

    return call.emit(Shift(1.0), call.emit(Scale(-1.0), call.emit(Erf(), x)))
