"""Layer, group, instance and RMS norm: entries over the spread of their group, then scaled and shifted."""

from __future__ import annotations

import abc
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from splinegraph.core.affine import AffineOperator
from splinegraph.core.algebra import LinearCombination
from splinegraph.core.operator import Boxes, Piece, Shapes
from splinegraph.core.values import Box
from splinegraph.operators.arithmetic import Reduce, Scale, Shift
from splinegraph.operators.linear import BatchNorm
from splinegraph.operators.normalizing import (
    Expansion,
    NormalizingOperator,
    Recipe,
    TangentPiece,
    crosses_batch,
)
from splinegraph.operators.registry import Call, Value, constant, lowers
from splinegraph.operators.smooth import Rsqrt, Square

__all__ = ["GroupMean", "GroupNorm", "LayerNorm", "RMSNorm", "Standardization"]

_BISECTIONS = 60
"""Halvings of the interval that holds the center of least spread: to float64 precision. The bound is
sound after any number of them."""


class Standardization(NormalizingOperator):
    """weight * z + bias, where z = c / sqrt(mean(c^2) + eps) and c is x, less its mean if `centered`.

    A concrete class says how entries are grouped.
    """

    weight: Tensor | None
    bias: Tensor | None
    eps: float
    centered: bool
    trailing: int | None
    """Axes behind the one that weight and bias run along; None if these have the shape of a group."""

    @abc.abstractmethod
    def grouped(self, x: Tensor) -> Tensor:
        """Return x with the entries of a group on the last axis, of the same number of elements."""

    @abc.abstractmethod
    def mean(self) -> AffineOperator:
        """Return the operator that averages over groups; its result broadcasts to x."""

    def tangent_at(self, x: Tensor, y: Tensor) -> Piece:
        return _StandardizationPiece(self, x, y)

    def placed(self, weight: Tensor | None) -> Tensor | None:
        """Return weight or bias in a shape that broadcasts to x."""
        if weight is None or self.trailing is None:
            return weight
        return weight.reshape(-1, *(1,) * self.trailing)

    def center(self, x: Tensor) -> Tensor:
        """Return grouped x less the mean of each group, where the operator does so."""
        return x - x.mean(-1, keepdim=True) if self.centered else x

    def bounds(self, *boxes: Box) -> Box:
        """Return bounds from those of c and of the spread; |z| <= sqrt(n - 1), or sqrt(n) if not centered."""
        (box,) = boxes
        least, most = self._deviations(box)
        fast, slow = self._rates(box)
        low = torch.minimum(least * fast, least * slow).nan_to_num(-math.inf)
        high = torch.maximum(most * fast, most * slow).nan_to_num(math.inf)
        limit = math.sqrt(max(least.shape[-1] - self.centered, 0))
        low, high = (z.clamp(-limit, limit).reshape(box.shape) for z in (low, high))
        weight, bias = self.placed(self.weight), self.placed(self.bias)
        if weight is not None:
            low, high = low * weight, high * weight
        low, high = torch.minimum(low, high), torch.maximum(low, high)
        return Box(low, high) if bias is None else Box(low + bias, high + bias)

    def lipschitz(self, norm: float = 2, arg: int = 0, on: Boxes | None = None, shapes: Shapes | None = None) -> float:
        """Return max|weight| / least spread, times sqrt(n) in l1 and linf; 1 / sqrt(eps) without a box.

        The Jacobian of z is (P - z z^T / n) / spread with P the identity or the centering, symmetric and
        between 0 and 1 / spread; a row of n entries has at most sqrt(n) times its l2 norm in l1.
        """
        rate = 1 / math.sqrt(self.eps) if self.eps > 0 else math.inf
        if on is not None and on[0].lower.numel():
            rate = float(self._rates(Box(on[0].lower.double(), on[0].upper.double()))[0].max())
        if self.weight is not None:
            rate *= float(self.weight.detach().abs().max())
        if norm == 2:
            return rate
        shape = shapes[0] if shapes is not None else on[0].shape if on is not None else None
        if shape is None:
            return math.inf
        return rate * math.sqrt(self.grouped(torch.empty(tuple(shape), device="meta")).shape[-1])

    def expand(self) -> Expansion:
        from splinegraph.operators.bilinear import Product

        recipe, c = Recipe(), 0
        if self.centered:
            c = recipe(LinearCombination((1.0, -1.0)), 0, recipe(self.mean(), 0))
        square = recipe(self.mean(), recipe(Square(), c))
        y = recipe(Product(), c, recipe(Rsqrt(), recipe(Shift(self.eps), square)))
        for affine, weight in ((Scale, self.weight), (Shift, self.bias)):
            if weight is not None:
                y = recipe(affine(self._deferred(weight)), y)
        return recipe.expansion()

    def _deferred(self, weight: Any) -> Any:
        """Return `placed(weight)` as an expression: the weight may be one, and is the user's own."""
        if self.trailing is None:
            return weight
        return constant(torch.reshape, weight, (-1, *(1,) * self.trailing))

    def _deviations(self, box: Box) -> tuple[Tensor, Tensor]:
        """Return the range of c on a box, grouped."""
        low, high = self.grouped(box.lower), self.grouped(box.upper)
        if not self.centered:
            return low, high
        n = low.shape[-1]
        least = low - (low + (high.sum(-1, keepdim=True) - high)) / n
        most = high - (high + (low.sum(-1, keepdim=True) - low)) / n
        # inf - inf: anything
        return least.nan_to_num(-math.inf, math.inf, -math.inf), most.nan_to_num(math.inf, math.inf, -math.inf)

    def _rates(self, box: Box) -> tuple[Tensor, Tensor]:
        """Return an upper and a lower bound of 1 / sqrt(mean(c^2) + eps), grouped, last axis 1."""
        low, high = self.grouped(box.lower), self.grouped(box.upper)
        spread = _least_spread(low, high) if self.centered else _distance(low, high, 0.0).square().mean(-1, True)
        least, most = self._deviations(box)
        largest = torch.maximum(least.abs(), most.abs()).square().mean(-1, keepdim=True)
        return torch.rsqrt(spread + self.eps), torch.rsqrt(largest + self.eps)


def _distance(low: Tensor, high: Tensor, point: Tensor | float) -> Tensor:
    """Return the signed way from the interval [low, high] to a point."""
    return (point - high).clamp(min=0) - (low - point).clamp(min=0)


def _least_spread(low: Tensor, high: Tensor) -> Tensor:
    """Return a lower bound, tight to rounding, of the variance along the last axis on a box.

    The variance is the least mean squared distance to a center m, so its minimum is that of the mean
    squared distance from m to the intervals: convex in m, with its minimum where the slope vanishes.
    """
    left, right = high.amin(-1, keepdim=True), low.amax(-1, keepdim=True)
    apart = left < right  # else one center lies in all intervals
    left, right = (torch.where(apart, end, torch.zeros_like(end)) for end in (left, right))
    start, width = left, right - left
    for _ in range(_BISECTIONS):
        middle = (left + right) / 2
        falls = _distance(low, high, middle).mean(-1, keepdim=True) < 0
        left, right = torch.where(falls, middle, left), torch.where(falls, right, middle)
    way = _distance(low, high, left)
    # the tangent at `left`, where the function falls, followed to `right`
    bound = way.square().mean(-1, keepdim=True) + 2 * way.mean(-1, keepdim=True) * (right - left)
    bound = torch.where(apart & start.isfinite() & width.isfinite(), bound, torch.zeros_like(bound))
    return bound.nan_to_num(0.0).clamp(min=0)


class _StandardizationPiece(TangentPiece):
    """J = diag(weight) (P - z z^T / n) / spread in each group."""

    def __init__(self, operator: Standardization, x: Tensor, y: Tensor) -> None:
        super().__init__(x, y)
        c = operator.center(operator.grouped(x))
        self.operator, self.weight = operator, operator.placed(operator.weight)
        self.rate = torch.rsqrt(c.square().mean(-1, keepdim=True) + operator.eps)
        self.z = c * self.rate

    def _core(self, v: Tensor) -> Tensor:
        """Return the symmetric part applied to v of shape (*leading, *x)."""
        c = self.operator.center(self.operator.grouped(v))
        moved = self.rate * (c - self.z * (self.z * c).mean(-1, keepdim=True))
        return moved.reshape(v.shape)

    def tangent(self, *vs: Tensor) -> Tensor:
        v = self._core(vs[0])
        return v if self.weight is None else v * self.weight

    def adjoint(self, u: Tensor) -> tuple[Tensor, ...]:
        return (self._core(u if self.weight is None else u * self.weight),)


@dataclass(frozen=True, eq=False)
class LayerNorm(Standardization):
    """Standardization over the last `ndim` axes; weight and bias have their shape."""

    ndim: int
    weight: Tensor | None = None
    bias: Tensor | None = None
    eps: float = 1e-5
    centered = True
    trailing = None

    def forward(self, *xs: Tensor) -> Tensor:
        return F.layer_norm(xs[0], xs[0].shape[-self.ndim :], self.weight, self.bias, self.eps)

    def grouped(self, x: Tensor) -> Tensor:
        return x.flatten(-self.ndim)

    def mean(self) -> AffineOperator:
        return Reduce(tuple(range(-self.ndim, 0)), keepdim=True, mean=True)


@dataclass(frozen=True, eq=False)
class RMSNorm(Standardization):
    """x / sqrt(mean(x^2) + eps) over the last `ndim` axes; the weight has their shape."""

    ndim: int
    weight: Tensor | None = None
    eps: float = 1e-5
    bias = None
    centered = False
    trailing = None

    def forward(self, *xs: Tensor) -> Tensor:
        return F.rms_norm(xs[0], xs[0].shape[-self.ndim :], self.weight, self.eps)

    def grouped(self, x: Tensor) -> Tensor:
        return x.flatten(-self.ndim)

    def mean(self) -> AffineOperator:
        return Reduce(tuple(range(-self.ndim, 0)), keepdim=True, mean=True)


@dataclass(frozen=True, eq=False)
class GroupNorm(Standardization):
    """Standardization over groups of channels and all axes behind; one channel a group is instance norm.

    Parameters
    ----------
    groups : int
    weight, bias : Tensor of shape (channels,), optional
    eps : float
    trailing : int
        Number of axes behind the channel axis.
    """

    groups: int
    weight: Tensor | None = None
    bias: Tensor | None = None
    eps: float = 1e-5
    trailing: int = 0
    centered = True

    @property
    def label(self) -> str:
        return f"GroupNorm({self.groups})"

    def forward(self, *xs: Tensor) -> Tensor:
        return torch.group_norm(xs[0], self.groups, self.weight, self.bias, self.eps)

    def grouped(self, x: Tensor) -> Tensor:
        return in_groups(x, self.groups, self.trailing)

    def mean(self) -> AffineOperator:
        return GroupMean(self.groups, self.trailing)


@dataclass(frozen=True, eq=False)
class GroupMean(AffineOperator):
    """The mean over groups of channels and all axes behind, in place of every entry; self-adjoint."""

    groups: int
    trailing: int = 0

    def linear(self, *vs: Tensor) -> Tensor:
        v = in_groups(vs[0], self.groups, self.trailing)
        return v.mean(-1, keepdim=True).expand(v.shape).reshape(vs[0].shape)

    def adjoint(self, u: Tensor, shapes: Shapes) -> tuple[Tensor, ...]:
        return (self.linear(u),)

    def split(self) -> tuple[AffineOperator | None, AffineOperator | None]:
        return self, None

    def lipschitz(self, norm: float = 2, arg: int = 0, on: Boxes | None = None, shapes: Shapes | None = None) -> float:
        """Return 1, the norm of an average in every norm."""
        return 1.0


def in_groups(x: Tensor, groups: int, trailing: int) -> Tensor:
    """Return x with its channels in groups and each group flattened, shape (..., groups, n)."""
    return x.reshape(*x.shape[: x.dim() - trailing - 1], groups, -1)


# lowerings


def _live(*values: Any) -> bool:
    return any(isinstance(v, Value) for v in values)


@lowers("aten.layer_norm.default")
def _layer_norm(
    call: Call, x: Any, shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5, *_: Any
) -> Any:
    if not isinstance(x, Value) or _live(weight, bias) or crosses_batch(x, range(-len(shape), 0)):
        return call.opaque()
    return call.emit(LayerNorm(len(shape), weight, bias, eps), x)


@lowers("aten.rms_norm.default")
def _rms_norm(call: Call, x: Any, shape: Any, weight: Any = None, eps: float | None = None) -> Any:
    if not isinstance(x, Value) or _live(weight) or crosses_batch(x, range(-len(shape), 0)):
        return call.opaque()
    if eps is None:
        eps = torch.finfo(x.dtype).eps
        call.note(f"rms_norm keeps the eps of {x.dtype}, {eps:.3g}; the model cast to another has its own")
    return call.emit(RMSNorm(len(shape), weight, eps), x)


@lowers("aten.group_norm.default")
def _group_norm(
    call: Call, x: Any, groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5, *_: Any
) -> Any:
    if not _batch_first(x) or _live(weight, bias):
        return call.opaque()
    return call.emit(GroupNorm(groups, weight, bias, eps, x.ndim - 2), x)


@lowers("aten.instance_norm.default")
def _instance_norm(
    call: Call, x: Any, weight: Any, bias: Any, mean: Any, var: Any, use_input_stats: bool,
    momentum: float = 0.1, eps: float = 1e-5, *_: Any,
) -> Any:  # fmt: skip
    if not _batch_first(x) or _live(weight, bias, mean, var):
        return call.opaque()
    if use_input_stats:
        return call.emit(GroupNorm(x.shape[1], weight, bias, eps, x.ndim - 2), x)
    return call.emit(BatchNorm(weight, bias, mean, var, eps, x.ndim - 2), x)


@lowers("aten.native_layer_norm.default")
def _native_layer_norm(call: Call, x: Any, shape: Any, weight: Any, bias: Any, eps: float) -> Any:
    value = _layer_norm(call, x, shape, weight, bias, eps)
    return (value,) if isinstance(value, Value) else value


@lowers("aten.native_group_norm.default")
def _native_group_norm(
    call: Call, x: Any, weight: Any, bias: Any, n: Any, channels: Any, size: Any, groups: int, eps: float
) -> Any:
    value = _group_norm(call, x, groups, weight, bias, eps)
    return (value,) if isinstance(value, Value) else value


def _batch_first(x: Any) -> bool:
    """Return whether the samples are on axis 0, where these calls expect them."""
    return isinstance(x, Value) and (x.layout is None or x.layout.axis == 0)
