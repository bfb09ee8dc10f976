"""The families that operators are made from. Declare little, derive the rest.

A concrete elementwise operator declares breakpoints, slopes and one value; code, piece, conditions,
bounds, Lipschitz constant, curvature and monotonicity follow.
"""

from __future__ import annotations

import abc
import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from splinegraph.core.affine import AffineOperator, AffinePiece
from splinegraph.core.operator import Boxes, Conditions, Operator, Piece, Shapes, SplineOperator
from splinegraph.core.switching import Breaks, Switching
from splinegraph.core.values import Box, Curvature, Monotonicity

__all__ = [
    "AffineOperator",
    "AffinePiece",
    "Conditions",
    "ElementwisePiece",
    "ElementwiseSpline",
    "Operator",
    "Piece",
    "PiecewiseElementwise",
    "SplineOperator",
    "choose",
    "exceeds",
    "for_numpy",
    "lookup",
]

Scalar = float | Tensor
"""A number, or a tensor that broadcasts to the argument from the right (one slope per channel)."""


class PiecewiseElementwise(SplineOperator):
    """A univariate function, affine between breakpoints, applied entrywise.

    A concrete class declares `breakpoints` (k numbers, increasing), `slopes` and `intercepts` (k + 1
    each), and `closed_left`: whether each breakpoint belongs to the piece on its left.
    """

    @property
    @abc.abstractmethod
    def breakpoints(self) -> tuple[float, ...]:
        """The k points where the piece changes."""

    @property
    @abc.abstractmethod
    def slopes(self) -> tuple[Scalar, ...]:
        """The k + 1 slopes, from left to right."""

    @property
    @abc.abstractmethod
    def intercepts(self) -> tuple[Scalar, ...]:
        """The k + 1 values at 0 of the pieces' lines."""

    @property
    def closed_left(self) -> tuple[bool, ...]:
        """Whether each breakpoint belongs to its left piece; a tie goes left."""
        return (True,) * len(self.breakpoints)

    def forward(self, *xs: Tensor) -> Tensor:
        """Return slope * x + intercept of the piece that x is on."""
        return self.piece(self.code(*xs), ()).apply(*xs)

    def alphabet(self, shapes: Shapes) -> int:
        """Return the number of pieces."""
        return len(self.breakpoints) + 1

    def code(self, *xs: Tensor) -> Tensor:
        """Return the number of breakpoints to the left of x, int8."""
        (x,) = xs
        if len(self.breakpoints) == 1 and self.closed_left[0]:
            return exceeds(x, self.breakpoints[0])
        past = [
            exceeds(x, b) if left else (x >= b).view(torch.int8)
            for b, left in zip(self.breakpoints, self.closed_left, strict=True)
        ]
        return functools.reduce(torch.add, past) if past else torch.zeros_like(x, dtype=torch.int8)

    def piece(self, code: Tensor, shapes: Shapes) -> Piece:
        """Return the diagonal map of the slopes that the code chooses."""
        return _ChosenPiece(self, code)

    def conditions(self, code: Tensor, shapes: Shapes) -> Conditions:
        """Return at most two inequalities per unit: the ends of its piece."""
        flat = code.reshape(-1).long()
        unit = torch.arange(len(flat))
        ends = torch.tensor(self.breakpoints, dtype=torch.float64)
        below, above = flat < len(ends), flat > 0
        position = torch.cat([unit[below], unit[above]])
        sign = torch.cat([torch.ones(int(below.sum())), -torch.ones(int(above.sum()))]).double()
        rhs = torch.cat([ends[flat[below]], -ends[flat[above] - 1]])
        return Conditions(torch.arange(len(rhs)), torch.zeros_like(position), position, sign, rhs, position)

    def pieces(self, unit: int, shapes: Shapes) -> Tensor:
        """Return all pieces."""
        return torch.arange(len(self.breakpoints) + 1)

    def switching(self, shapes: Shapes, on: Boxes | None = None) -> Switching:
        """Return the breakpoints, and slopes and intercepts per unit."""

        def spread(values: tuple[Scalar, ...]) -> Tensor:
            return torch.stack([exactly(v).double().expand(tuple(shapes[0])).reshape(-1) for v in values])

        return Breaks(
            torch.tensor(self.breakpoints, dtype=torch.float64),
            torch.tensor(self.closed_left, dtype=torch.bool),
            spread(self.slopes),
            spread(self.intercepts),
            continuous=self.continuous,
        )

    def ties(self, xs: Sequence[Tensor], vs: Sequence[Tensor], slack: Tensor) -> Tensor:
        """Return where x is at a breakpoint, moves, and the pieces on both sides differ."""
        (x,), (v,) = xs, vs
        found = torch.zeros_like(x, dtype=torch.bool)
        for i, b in enumerate(self.breakpoints):
            slope = exactly(self.slopes[i + 1] - self.slopes[i]).to(x)
            jump = slope * b + exactly(self.intercepts[i + 1] - self.intercepts[i]).to(x)
            bend = (slope != 0) | (jump.abs() > torch.finfo(x.dtype).eps * (1 + abs(b)))
            found |= ((x - b).abs() <= slack) & bend & (v != 0)
        return found

    # facts

    def bounds(self, *boxes: Box) -> Box:
        """Return the exact range, piece by piece."""
        (box,) = boxes
        lower, upper = torch.full_like(box.lower, torch.inf), torch.full_like(box.lower, -torch.inf)
        ends = (-math.inf, *self.breakpoints, math.inf)
        for i, (s, c) in enumerate(zip(self.slopes, self.intercepts, strict=True)):
            met = (box.lower <= ends[i + 1]) & (box.upper >= ends[i])
            for end in (box.lower.clamp(ends[i], ends[i + 1]), box.upper.clamp(ends[i], ends[i + 1])):
                slope = exactly(s).to(end)
                value = torch.where(slope == 0, torch.zeros_like(end), slope * end) + c
                lower = torch.where(met, torch.minimum(lower, value), lower)
                upper = torch.where(met, torch.maximum(upper, value), upper)
        return Box(lower, upper)

    def lipschitz(self, norm: float = 2, arg: int = 0, on: Boxes | None = None, shapes: Shapes | None = None) -> float:
        """Return the largest |slope| met; infinite if a jump is met. The same in every norm."""
        least, most = self.slope_range(on)
        return float(torch.maximum(-least, most).max()) if least.numel() else 0.0

    def slope_range(self, on: Boxes | None = None) -> tuple[Tensor, Tensor]:
        """Return the least and the largest slope met, per unit as far as they differ; infinite at jumps."""
        slopes = [(exactly(s), self._met(i, on)) for i, s in enumerate(self.slopes)]
        least = functools.reduce(torch.minimum, [torch.where(met, s, math.inf) for s, met in slopes])
        most = functools.reduce(torch.maximum, [torch.where(met, s, -math.inf) for s, met in slopes])
        jumps = self._jumps(on)
        return torch.where(jumps, -math.inf, least), torch.where(jumps, math.inf, most)

    def curvature(self, on: Boxes | None = None) -> Tensor:
        """Return CONVEX where the slopes met increase, CONCAVE where they decrease."""
        convex = concave = ~self._jumps(on)
        for i, b in enumerate(self.breakpoints):
            step = exactly(self.slopes[i + 1] - self.slopes[i])
            inside = torch.tensor(True) if on is None else (on[0].lower < b) & (on[0].upper > b)
            convex = convex & (~inside | (step >= 0))
            concave = concave & (~inside | (step <= 0))
        return Curvature.CONVEX.where(convex) | Curvature.CONCAVE.where(concave)

    def monotonicity(self, arg: int = 0, on: Boxes | None = None) -> Tensor:
        """Return the direction in which all pieces and jumps met agree."""
        up = down = torch.tensor(True)
        for i, s in enumerate(self.slopes):
            met, slope = self._met(i, on), exactly(s)
            up, down = up & (~met | (slope >= 0)), down & (~met | (slope <= 0))
        jump = ~self._jumps(on)
        return Monotonicity.NONDECREASING.where(up & jump) | Monotonicity.NONINCREASING.where(down & jump)

    def _met(self, i: int, on: Boxes | None) -> Tensor:
        """Return where the box meets the interior of piece i (or is a point)."""
        if on is None:
            return torch.tensor(True)
        (box,) = on
        ends = (-math.inf, *self.breakpoints, math.inf)
        return (box.lower < ends[i + 1]) & (box.upper > ends[i]) | (box.lower == box.upper)

    def _jumps(self, on: Boxes | None) -> Tensor:
        """Return where the box holds a point of discontinuity: nowhere, for a continuous function."""
        return torch.tensor(False)


class ElementwiseSpline(PiecewiseElementwise):
    """A continuous one: declares `breakpoints`, `slopes` and `anchor`, the value at the first breakpoint."""

    family = "spline"

    @property
    @abc.abstractmethod
    def anchor(self) -> Scalar:
        """The value at breakpoints[0]."""

    @property
    def intercepts(self) -> tuple[Scalar, ...]:
        """The lines' values at 0, from continuity."""
        value, found = self.anchor, []
        for i, slope in enumerate(self.slopes):
            b = self.breakpoints[max(i - 1, 0)]
            if i > 1:  # walk along the piece to its left
                value = value + self.slopes[i - 1] * (b - self.breakpoints[i - 2])
            found.append(value - slope * b)
        return tuple(found)


class ElementwisePiece(Piece):
    """x -> slope * x + intercept, entrywise."""

    def __init__(self, slope: Tensor, intercept: Tensor, *, exact: bool = True) -> None:
        self._slope, self._intercept, self.exact = slope, intercept, exact

    def apply(self, *xs: Tensor) -> Tensor:
        """Return slope * x + intercept."""
        return xs[0] * self._slope + self._intercept

    def tangent(self, *vs: Tensor) -> Tensor:
        """Return slope * v."""
        return vs[0] * self._slope

    def adjoint(self, u: Tensor) -> tuple[Tensor, ...]:
        """Return slope * u."""
        return (u * self._slope,)


class _ChosenPiece(Piece):
    """Slopes chosen by a code; the slope tensor is made once, in the dtype it is first used in."""

    def __init__(self, operator: PiecewiseElementwise, code: Tensor) -> None:
        self.operator, self.code = operator, code
        self._slope: Tensor | None = None

    def slope(self, like: Tensor) -> Tensor:
        if self._slope is None or self._slope.dtype != like.dtype:
            slope = choose(self.operator.slopes, self.code, like.dtype)
            if slope.requires_grad:  # belongs to one backward pass
                return slope
            self._slope = slope
        return self._slope

    def apply(self, *xs: Tensor) -> Tensor:
        (x,) = xs
        intercepts = self.operator.intercepts
        result = x * self.slope(x)
        if all(isinstance(c, float | int) and c == 0 for c in intercepts):
            return result
        return result + choose(intercepts, self.code, x.dtype)

    def tangent(self, *vs: Tensor) -> Tensor:
        return vs[0] * self.slope(vs[0])

    def adjoint(self, u: Tensor) -> tuple[Tensor, ...]:
        return (u * self.slope(u),)


def exactly(value: Scalar) -> Tensor:
    """Return a declared number as a float64 tensor; torch's default type would round it."""
    return torch.as_tensor(value).detach() if isinstance(value, Tensor) else torch.tensor(value, dtype=torch.float64)


def for_numpy(x: Tensor) -> bool:
    """Return whether numpy can look at the tensor: on CPU, outside of vmap, compile and fake tensors."""
    return (
        x.device.type == "cpu"
        and type(x) in (Tensor, torch.nn.Parameter)
        and x.dtype in (torch.float32, torch.float64, torch.int8, torch.int16)
        and torch._C._functorch.peek_interpreter_stack() is None
        and not torch.compiler.is_compiling()
    )


def exceeds(x: Tensor, threshold: float | Tensor) -> Tensor:
    """Return ``x > threshold`` as int8; numpy's comparison is several times faster than torch's on CPU."""
    if for_numpy(x):
        other = threshold.numpy(force=True) if isinstance(threshold, Tensor) else threshold
        mine = x.numpy(force=True) if x.requires_grad else x.numpy()
        return torch.from_numpy(np.greater(mine, other).view(np.int8))
    return (x > threshold).view(torch.int8)


def lookup(table: Tensor, index: Tensor) -> Tensor:
    """Return ``table[index]`` for a small constant table; numpy's is twice as fast as torch's on CPU."""
    if for_numpy(index):
        return torch.from_numpy(np.take(table.numpy(), index.numpy()))
    return table[index.int()]


def choose(table: Sequence[Any], code: Tensor, dtype: torch.dtype) -> Tensor:
    """Return ``table[code]`` entrywise; the table holds numbers or tensors that broadcast to the code."""
    if len(table) == 2 and all(isinstance(t, float | int) for t in table):
        low, high = table
        chosen = code.to(dtype)
        if (low, high) != (0, 1):
            chosen = chosen.mul_(high - low).add_(low)
        return chosen
    if all(isinstance(t, float | int) for t in table):
        return torch.tensor(table, dtype=dtype, device=code.device)[code.int()]
    result = torch.as_tensor(table[0]).to(code.device, dtype).expand(code.shape)
    for i, entry in enumerate(table[1:], start=1):
        result = torch.where(code >= i, torch.as_tensor(entry).to(code.device, dtype), result)
    return result
