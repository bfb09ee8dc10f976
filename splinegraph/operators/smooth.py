"""The smooth family, and its powers, exponentials and logarithms.

A concrete operator declares `forward`, `slope` and `profile`: where curvature and direction change, and
what happens at the ends. Pieces, bounds, Lipschitz constant, curvature and monotonicity follow.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from splinegraph.core.operator import Boxes, Operator, Piece, Shapes
from splinegraph.core.values import Box, Curvature, Monotonicity
from splinegraph.operators.base import ElementwisePiece
from splinegraph.operators.registry import lowers

__all__ = [
    "DifferentiableElementwise", "Exp", "Expm1", "Kink", "Log", "Log1p", "Pow", "Profile", "Reciprocal",
    "Rsqrt", "SmoothElementwise", "Sqrt", "Square",
]  # fmt: skip

INF = math.inf
CONVEX, CONCAVE, AFFINE = Curvature.CONVEX, Curvature.CONCAVE, Curvature.AFFINE
UP, DOWN, FLAT = Monotonicity.NONDECREASING, Monotonicity.NONINCREASING, Monotonicity.CONSTANT

_ALL = 3
"""The flags that a point has: convex and concave, nondecreasing and nonincreasing."""


@dataclass(frozen=True)
class Kink:
    """A point where the derivative jumps from `left` to `right`; such points are inflections too."""

    at: float
    left: float
    right: float


@dataclass(frozen=True)
class Profile:
    """The course of a univariate function, from left to right.

    Parameters
    ----------
    inflections : tuple of k floats, increasing
        Where the curvature changes, kinks included.
    curvatures : tuple of k + 1 Curvature
        Between those.
    extrema : tuple of m floats, increasing
        Where the direction changes.
    directions : tuple of m + 1 Monotonicity
        Between those.
    values, slopes : pair of floats
        Limits of the function and of its derivative at the two ends of the domain.
    domain : pair of floats
        Where the function is defined.
    pole : pair of floats, optional
        Limits of the function to the left and right of 0, where its derivative is infinite.
    kinks : tuple of Kink
    heights : pair of float or None
        Values at 0 of the lines that the function tends to at the two ends, where it tends to lines that are not
        constant; None where it does not, or that is not known.
    """

    inflections: tuple[float, ...]
    curvatures: tuple[Curvature, ...]
    extrema: tuple[float, ...]
    directions: tuple[Monotonicity, ...]
    values: tuple[float, float]
    slopes: tuple[float, float]
    domain: tuple[float, float] = (-math.inf, math.inf)
    pole: tuple[float, float] | None = None
    kinks: tuple[Kink, ...] = ()
    heights: tuple[float | None, float | None] = (None, None)

    @property
    def asymptotes(self) -> tuple[tuple[float, float] | None, tuple[float, float] | None]:
        """Slope and value at 0 of the lines that the function tends to at the two ends; None where not known."""
        left, right = (
            (slope, height if height is not None else value)
            for slope, height, value in zip(self.slopes, self.heights, self.values, strict=True)
        )
        return left if math.isfinite(left[1]) else None, right if math.isfinite(right[1]) else None

    def undefined(self, lower: Tensor, upper: Tensor) -> Tensor:
        """Return where [lower, upper] leaves the domain or holds the pole in its interior."""
        outside = (lower < self.domain[0]) | (upper > self.domain[1])
        if self.pole is not None:
            outside = outside | ((lower < 0) & (upper > 0)) | ((lower == 0) & (upper == 0))
        return outside


class DifferentiableElementwise(Operator):
    """A differentiable univariate function; declares `forward` and `slope`."""

    family = "smooth"

    @abc.abstractmethod
    def slope(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the derivative at x, where y is the value there."""

    @property
    def formula(self) -> str:
        """The function of x in sympy's language; other names in it are fields of the operator. '' if it has none."""
        return ""

    def symbolic(self, *xs: Any) -> Any:
        """Return the formula of every entry."""
        from splinegraph.core.exact.formulas import from_text

        return from_text(self.formula, self, xs[0]) if self.formula else super().symbolic(*xs)

    def derivative(self, x: Tensor) -> Tensor:
        """Return the derivative at x."""
        return self.slope(x, self.forward(x))

    def linearize(self, *xs: Tensor) -> Piece:
        """Return the tangent at x."""
        return self.value_and_piece(*xs)[1]

    def value_and_piece(self, *xs: Tensor) -> tuple[Tensor, Piece]:
        """Return the value and the tangent."""
        (x,) = xs
        y = self.forward(x)
        slope = self.slope(x, y)
        return y, ElementwisePiece(slope, y - slope * x, exact=False)


class SmoothElementwise(DifferentiableElementwise):
    """Declares a `profile` too, from which the facts follow.

    The facts hold for real numbers: values and slopes carry the rounding of torch's kernels. They
    are said of the domain of the function; without a box they hold on all of it.
    """

    @property
    @abc.abstractmethod
    def profile(self) -> Profile:
        """Where curvature and direction change, and the ends."""

    def bounds(self, *boxes: Box) -> Box:
        """Return the exact range: that of the ends and of the extrema between; anything if undefined."""
        lower, upper = boxes[0].lower, boxes[0].upper
        inner = [torch.full_like(lower, e).clamp(lower, upper) for e in self.profile.extrema]
        values = torch.stack([self._value(lower, 1), self._value(upper, 0), *(self._value(x, 1) for x in inner)])
        unknown = self.profile.undefined(lower, upper) | values.isnan().any(0)
        return Box(values.amin(0).masked_fill(unknown, -math.inf), values.amax(0).masked_fill(unknown, math.inf))

    def lipschitz(self, norm: float = 2, arg: int = 0, on: Boxes | None = None, shapes: Shapes | None = None) -> float:
        """Return the largest |derivative|, the same in every norm; attained where it is finite."""
        least, most = self.slope_range(on)
        return float(torch.maximum(-least, most).max()) if least.numel() else 0.0

    def slope_range(self, on: Boxes | None = None) -> tuple[Tensor, Tensor]:
        """Return the least and the largest derivative met, per unit of the box; infinite where it is undefined.

        Between inflections the derivative is monotone, so both are found at an end or at an inflection.
        """
        lower, upper = self._ends(on)
        inner = [torch.full_like(lower, b).clamp(lower, upper) for b in self.profile.inflections]
        found = [self._slope_at(x) for x in (lower, upper, *inner)]
        for kink in self.profile.kinks:
            met, point = (lower <= kink.at) & (upper >= kink.at), lower == upper
            found += [(torch.full_like(lower, kink.left), met & (point | (lower < kink.at)))]
            found += [(torch.full_like(lower, kink.right), met & (point | (upper > kink.at)))]
        low = [s.masked_fill(s.isnan(), -math.inf).masked_fill(~met, math.inf) for s, met in found]
        high = [s.masked_fill(s.isnan(), math.inf).masked_fill(~met, -math.inf) for s, met in found]
        unknown = self.profile.undefined(lower, upper)
        least, most = torch.stack(low).amin(0), torch.stack(high).amax(0)
        return least.masked_fill(unknown, -math.inf), most.masked_fill(unknown, math.inf)

    def curvature(self, on: Boxes | None = None) -> Tensor:
        """Return on what all stretches and kinks met agree."""
        profile = self.profile
        lower, upper = self._ends(on)
        flags = _agreed(profile.inflections, profile.curvatures, lower, upper)
        for kink in profile.kinks:
            bend = Curvature.CONVEX if kink.left < kink.right else Curvature.CONCAVE
            flags = torch.where((lower < kink.at) & (upper > kink.at), flags & int(bend), flags)
        return flags.masked_fill(profile.undefined(lower, upper), 0)

    def monotonicity(self, arg: int = 0, on: Boxes | None = None) -> Tensor:
        """Return the direction in which all stretches met agree."""
        profile = self.profile
        lower, upper = self._ends(on)
        flags = _agreed(profile.extrema, profile.directions, lower, upper)
        return flags.masked_fill(profile.undefined(lower, upper), 0)

    def _ends(self, on: Boxes | None) -> tuple[Tensor, Tensor]:
        """Return the ends of the box, or of the domain, in float64 so that knots are not rounded."""
        if on is None:
            low, high = (torch.tensor(end, dtype=torch.float64) for end in self.profile.domain)
            return low, high
        return on[0].lower.double(), on[0].upper.double()

    def _value(self, x: Tensor, side: int) -> Tensor:
        """Return the value, by its limit where x is an end of the domain or the pole."""
        y, profile = self.forward(x), self.profile
        for end, value in zip(profile.domain, profile.values, strict=True):
            y = y.masked_fill(x == end, value)
        return y if profile.pole is None else y.masked_fill(x == 0, profile.pole[side])

    def _slope_at(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the derivative (NaN: anything), and where it counts: not at kinks, which have one on each side."""
        s, profile = self.derivative(x), self.profile
        for end, slope in zip(profile.domain, profile.slopes, strict=True):
            s = s.masked_fill(x == end, slope)
        counts = torch.ones_like(s, dtype=torch.bool)
        for kink in profile.kinks:
            counts = counts & (x != kink.at)
        return s, counts


def _agreed(points: Sequence[float], flags: Sequence[int], lower: Tensor, upper: Tensor) -> Tensor:
    """Return the flags that hold on every stretch whose interior [lower, upper] meets, int8."""
    ends = (-math.inf, *points, math.inf)
    found = torch.full_like(lower, _ALL, dtype=torch.int8)
    for i, flag in enumerate(flags):
        met = (lower < ends[i + 1]) & (upper > ends[i])
        found = torch.where(met, found & int(flag), found)
    return found


# exponentials and logarithms


@lowers("aten.exp.default")
@dataclass(frozen=True, eq=False)
class Exp(SmoothElementwise):
    """exp(x)."""

    formula = "exp(x)"
    profile = Profile((), (CONVEX,), (), (UP,), values=(0.0, INF), slopes=(0.0, INF))

    def forward(self, *xs: Tensor) -> Tensor:
        return torch.exp(xs[0])

    def slope(self, x: Tensor, y: Tensor) -> Tensor:
        return y


@lowers("aten.expm1.default", "aten.special_expm1.default")
@dataclass(frozen=True, eq=False)
class Expm1(SmoothElementwise):
    """exp(x) - 1."""

    formula = "exp(x) - 1"
    profile = Profile((), (CONVEX,), (), (UP,), values=(-1.0, INF), slopes=(0.0, INF))

    def forward(self, *xs: Tensor) -> Tensor:
        return torch.expm1(xs[0])

    def slope(self, x: Tensor, y: Tensor) -> Tensor:
        return torch.exp(x)


@lowers("aten.log.default")
@dataclass(frozen=True, eq=False)
class Log(SmoothElementwise):
    """The natural logarithm, for x > 0."""

    formula = "log(x)"
    profile = Profile((), (CONCAVE,), (), (UP,), values=(-INF, INF), slopes=(INF, 0.0), domain=(0.0, INF))

    def forward(self, *xs: Tensor) -> Tensor:
        return torch.log(xs[0])

    def slope(self, x: Tensor, y: Tensor) -> Tensor:
        return 1 / x


@lowers("aten.log1p.default", "aten.special_log1p.default")
@dataclass(frozen=True, eq=False)
class Log1p(SmoothElementwise):
    """log(1 + x), for x > -1."""

    formula = "log(1 + x)"
    profile = Profile((), (CONCAVE,), (), (UP,), values=(-INF, INF), slopes=(INF, 0.0), domain=(-1.0, INF))

    def forward(self, *xs: Tensor) -> Tensor:
        return torch.log1p(xs[0])

    def slope(self, x: Tensor, y: Tensor) -> Tensor:
        return 1 / (1 + x)


# powers


def power_profile(exponent: float) -> Profile:
    """Return the profile of x ** exponent; the exponent is a whole number above 1, or not a whole number."""
    if exponent == int(exponent):
        if exponent % 2 == 0:
            return Profile((), (CONVEX,), (0.0,), (DOWN, UP), values=(INF, INF), slopes=(-INF, INF))
        return Profile((0.0,), (CONCAVE, CONVEX), (), (UP,), values=(-INF, INF), slopes=(INF, INF))
    if exponent < 0:
        return Profile((), (CONVEX,), (), (DOWN,), values=(INF, 0.0), slopes=(-INF, 0.0), domain=(0.0, INF))
    bend, slopes = (CONVEX, (0.0, INF)) if exponent > 1 else (CONCAVE, (INF, 0.0))
    return Profile((), (bend,), (), (UP,), values=(0.0, INF), slopes=slopes, domain=(0.0, INF))


@dataclass(frozen=True, eq=False)
class Pow(SmoothElementwise):
    """x ** exponent: a whole number above 1, or any other that is not whole, for x >= 0."""

    exponent: float
    formula = "x**exponent"

    def __post_init__(self) -> None:
        if self.exponent == int(self.exponent) and self.exponent < 2:
            raise ValueError(f"no node for the power {self.exponent:g}: it is affine, or a Reciprocal")

    @property
    def profile(self) -> Profile:
        return power_profile(self.exponent)

    @property
    def label(self) -> str:
        return f"Pow({self.exponent:g})"

    def forward(self, *xs: Tensor) -> Tensor:
        return torch.pow(xs[0], self.exponent)

    def slope(self, x: Tensor, y: Tensor) -> Tensor:
        return self.exponent * torch.pow(x, self.exponent - 1)


@lowers("aten.square.default")
@dataclass(frozen=True, eq=False)
class Square(SmoothElementwise):
    """x ** 2."""

    formula = "x**2"
    profile = power_profile(2.0)

    def forward(self, *xs: Tensor) -> Tensor:
        return torch.square(xs[0])

    def slope(self, x: Tensor, y: Tensor) -> Tensor:
        return 2 * x


@lowers("aten.sqrt.default")
@dataclass(frozen=True, eq=False)
class Sqrt(SmoothElementwise):
    """The square root, for x >= 0."""

    formula = "sqrt(x)"
    profile = power_profile(0.5)

    def forward(self, *xs: Tensor) -> Tensor:
        return torch.sqrt(xs[0])

    def slope(self, x: Tensor, y: Tensor) -> Tensor:
        return 0.5 / y


@lowers("aten.rsqrt.default")
@dataclass(frozen=True, eq=False)
class Rsqrt(SmoothElementwise):
    """1 / sqrt(x), for x > 0."""

    formula = "1/sqrt(x)"
    profile = power_profile(-0.5)

    def forward(self, *xs: Tensor) -> Tensor:
        return torch.rsqrt(xs[0])

    def slope(self, x: Tensor, y: Tensor) -> Tensor:
        return -0.5 * y / x


@lowers("aten.reciprocal.default")
@dataclass(frozen=True, eq=False)
class Reciprocal(SmoothElementwise):
    """1 / x; nothing is known of an interval that holds 0 inside."""

    formula = "1/x"
    profile = Profile((0.0,), (CONCAVE, CONVEX), (), (DOWN,), values=(0.0, 0.0), slopes=(0.0, 0.0), pole=(-INF, INF))
    continuous = False

    def forward(self, *xs: Tensor) -> Tensor:
        return torch.reciprocal(xs[0])

    def slope(self, x: Tensor, y: Tensor) -> Tensor:
        return -y * y
