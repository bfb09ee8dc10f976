"""The normalizing family: softmax and its kin, and the Euclidean norm. See `standardizing` for layer norm.

One node each, with an explicit Jacobian, the facts that can be proved, and `expand()`: a recipe of simpler
operators for the analyses that need one.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from splinegraph.core.algebra import LinearCombination
from splinegraph.core.operator import Boxes, Operator, Piece, Shapes
from splinegraph.core.parameters import Context
from splinegraph.core.values import Box, Curvature, Monotonicity
from splinegraph.operators.arithmetic import Reduce, dims_of
from splinegraph.operators.maximum import Amax
from splinegraph.operators.registry import Call, Value, lowers, negative
from splinegraph.operators.smooth import Exp, Log, Reciprocal, Sqrt, Square

__all__ = [
    "Expansion", "LogSoftmax", "LogSumExp", "NormalizingOperator", "Recipe", "Softmax", "TangentPiece",
    "VectorNorm",
]  # fmt: skip


@dataclass(frozen=True, eq=False)
class Expansion:
    """An operator written as a composition of simpler ones.

    Parameters
    ----------
    inputs : int
        Number of arguments.
    steps : tuple of (Operator, tuple of int)
        Each operator with the places of its arguments: 0 .. inputs - 1 are the arguments of the whole,
        then come the results of the steps. The last step gives the value.
    """

    inputs: int
    steps: tuple[tuple[Operator, tuple[int, ...]], ...]

    def run(self, *xs: Tensor) -> Tensor:
        """Return the value of the composition."""
        context, values = Context(xs[0].dtype, xs[0].device), list(xs)
        for operator, args in self.steps:
            values.append(context.resolve(operator).forward(*(values[i] for i in args)))
        return values[-1]

    def symbolic(self, *xs: Any) -> Any:
        """Return the composition as an array of sympy expressions."""
        context, values = Context(torch.float64, torch.device("cpu")), list(xs)
        for operator, args in self.steps:
            values.append(context.resolve(operator).symbolic(*(values[i] for i in args)))
        return values[-1]


class Recipe:
    """Collects the steps of an expansion: call it with an operator and the places of its arguments."""

    def __init__(self, inputs: int = 1) -> None:
        self._inputs = inputs
        self._steps: list[tuple[Operator, tuple[int, ...]]] = []

    def __call__(self, operator: Operator, *args: int) -> int:
        self._steps.append((operator, args))
        return self._inputs + len(self._steps) - 1

    def expansion(self) -> Expansion:
        """Return what was collected."""
        return Expansion(self._inputs, tuple(self._steps))


class NormalizingOperator(Operator):
    """Declares `forward`, `tangent_at` and `expand`, and what it knows."""

    family = "normalizing"

    @abc.abstractmethod
    def tangent_at(self, x: Tensor, y: Tensor) -> Piece:
        """Return the tangent map at x, where y is the value there."""

    @abc.abstractmethod
    def expand(self) -> Expansion:
        """Return the operator as a composition of affine, smooth, maximum and bilinear ones."""

    def linearize(self, *xs: Tensor) -> Piece:
        """Return the tangent map."""
        return self.tangent_at(xs[0], self.forward(*xs))

    def symbolic(self, *xs: Any) -> Any:
        """Return the composition."""
        return self.expand().symbolic(*xs)

    def value_and_piece(self, *xs: Tensor) -> tuple[Tensor, Piece]:
        """Return the value and the tangent map."""
        y = self.forward(*xs)
        return y, self.tangent_at(xs[0], y)


class TangentPiece(Piece):
    """x -> y + J (x - x0); a concrete class gives J. Entries that are infinite at x0 do not move."""

    exact = False

    def __init__(self, x: Tensor, y: Tensor) -> None:
        self.x, self.y = x, y

    def apply(self, *xs: Tensor) -> Tensor:
        """Return y + J (x - x0)."""
        return self.y + self.tangent((xs[0] - self.x).masked_fill(self.x.isinf(), 0.0))


@dataclass(frozen=True, eq=False)
class Softmax(NormalizingOperator):
    """exp(x) / sum(exp(x)) along an axis (negative)."""

    dim: int

    @property
    def order_axis(self) -> int | None:
        return self.dim

    def forward(self, *xs: Tensor) -> Tensor:
        return torch.softmax(xs[0], self.dim)

    def symbolic(self, *xs: Any) -> Any:
        exps = Exp().symbolic(xs[0])
        return exps / exps.sum(self.dim, keepdims=True)

    def tangent_at(self, x: Tensor, y: Tensor) -> Piece:
        return _SoftmaxPiece(x, y, self.dim)

    def bounds(self, *boxes: Box) -> Box:
        """Return the exact range: an entry is least where it is low and all others are high."""
        low, high = _log_odds(boxes[0], self.dim)
        return Box(torch.sigmoid(low), torch.sigmoid(high))

    def lipschitz(self, norm: float = 2, arg: int = 0, on: Boxes | None = None, shapes: Shapes | None = None) -> float:
        """Return 1/2 in every norm, less on a box.

        The Jacobian diag(p) - p p^T is symmetric, with absolute row sums 2 p (1 - p): this bounds its
        norms in l1 and linf, and so in l2.
        """
        if on is None:
            return 0.5
        low, high = self.bounds(*on)
        p = torch.maximum(torch.minimum(torch.full_like(low, 0.5), high), low).double()
        return float((2 * p * (1 - p)).max()) if p.numel() else 0.0

    def expand(self) -> Expansion:
        from splinegraph.operators.bilinear import Product

        recipe = Recipe()
        exps = recipe(Exp(), _below_maximum(recipe, (self.dim,)))
        total = recipe(Reduce((self.dim,), keepdim=True), exps)
        recipe(Product(), exps, recipe(Reciprocal(), total))
        return recipe.expansion()


class _SoftmaxPiece(TangentPiece):
    """J = diag(p) - p p^T."""

    def __init__(self, x: Tensor, y: Tensor, dim: int) -> None:
        super().__init__(x, y)
        self.dim = dim

    def tangent(self, *vs: Tensor) -> Tensor:
        weighted = self.y * vs[0]
        return weighted - self.y * weighted.sum(self.dim, keepdim=True)

    def adjoint(self, u: Tensor) -> tuple[Tensor, ...]:
        return (self.tangent(u),)


@dataclass(frozen=True, eq=False)
class LogSoftmax(NormalizingOperator):
    """x - log(sum(exp(x))) along an axis (negative); every unit is concave."""

    dim: int

    @property
    def order_axis(self) -> int | None:
        return self.dim

    def forward(self, *xs: Tensor) -> Tensor:
        return torch.log_softmax(xs[0], self.dim)

    def symbolic(self, *xs: Any) -> Any:
        return xs[0] - Log().symbolic(Exp().symbolic(xs[0]).sum(self.dim, keepdims=True))

    def tangent_at(self, x: Tensor, y: Tensor) -> Piece:
        return _LogSoftmaxPiece(x, y, self.dim)

    def bounds(self, *boxes: Box) -> Box:
        """Return the exact range: an entry is least where it is low and all others are high."""
        low, high = _log_odds(boxes[0], self.dim)
        return Box(F.logsigmoid(low), F.logsigmoid(high))

    def lipschitz(self, norm: float = 2, arg: int = 0, on: Boxes | None = None, shapes: Shapes | None = None) -> float:
        """Return sqrt(C) in l2, 2 in linf, C - 1 in l1 (for C > 1 entries), less on a box.

        The Jacobian I - 1 p^T has absolute row sums 2 (1 - p_i), absolute column sums 1 + (C - 2) p_j,
        and is a projection, so its l2 norm is that of 1 p^T: sqrt(C) |p| <= sqrt(C max p).
        """
        shape = shapes[0] if shapes is not None else on[0].shape if on is not None else None
        count = math.inf if shape is None else shape[self.dim]
        if count == 1:
            return 0.0
        least, most = 0.0, 1.0
        if on is not None and on[0].lower.numel():
            low, high = _log_odds(on[0], self.dim)
            least, most = float(torch.sigmoid(low).min()), float(torch.sigmoid(high).max())
        if norm == math.inf:
            return 2 * (1 - least)
        return math.sqrt(count * most) if norm == 2 else 1 + (count - 2) * most

    def curvature(self, on: Boxes | None = None) -> Tensor:
        """Return CONCAVE: an entry minus a convex function."""
        return Curvature.CONCAVE.tensor()

    def expand(self) -> Expansion:
        recipe = Recipe()
        shifted = _below_maximum(recipe, (self.dim,))
        total = recipe(Reduce((self.dim,), keepdim=True), recipe(Exp(), shifted))
        recipe(LinearCombination((1.0, -1.0)), shifted, recipe(Log(), total))
        return recipe.expansion()


class _LogSoftmaxPiece(TangentPiece):
    """J = I - 1 p^T."""

    def __init__(self, x: Tensor, y: Tensor, dim: int) -> None:
        super().__init__(x, y)
        self.p, self.dim = y.exp(), dim

    def tangent(self, *vs: Tensor) -> Tensor:
        return vs[0] - (self.p * vs[0]).sum(self.dim, keepdim=True)

    def adjoint(self, u: Tensor) -> tuple[Tensor, ...]:
        return (u - self.p * u.sum(self.dim, keepdim=True),)


@dataclass(frozen=True, eq=False)
class LogSumExp(NormalizingOperator):
    """log(sum(exp(x))) over axes (negative): a smooth maximum, convex and nondecreasing."""

    dims: tuple[int, ...]
    keepdim: bool = False

    def forward(self, *xs: Tensor) -> Tensor:
        return torch.logsumexp(xs[0], self.dims, self.keepdim)

    def symbolic(self, *xs: Any) -> Any:
        return Log().symbolic(Exp().symbolic(xs[0]).sum(self.dims, keepdims=self.keepdim))

    def tangent_at(self, x: Tensor, y: Tensor) -> Piece:
        gradient = (x - (y if self.keepdim else restored(y, self.dims))).exp()
        return _GroupPiece(x, y, gradient, self.dims, self.keepdim)

    def bounds(self, *boxes: Box) -> Box:
        """Return the exact range, from the two corners."""
        return Box(self.forward(boxes[0].lower), self.forward(boxes[0].upper))

    def lipschitz(self, norm: float = 2, arg: int = 0, on: Boxes | None = None, shapes: Shapes | None = None) -> float:
        """Return 1: the gradient of a group is a probability vector, at most 1 in every dual norm."""
        return 1.0

    def curvature(self, on: Boxes | None = None) -> Tensor:
        """Return CONVEX."""
        return Curvature.CONVEX.tensor()

    def monotonicity(self, arg: int = 0, on: Boxes | None = None) -> Tensor:
        """Return NONDECREASING."""
        return Monotonicity.NONDECREASING.tensor()

    def expand(self) -> Expansion:
        recipe = Recipe()
        exps = recipe(Exp(), _below_maximum(recipe, self.dims))
        total = recipe(Log(), recipe(Reduce(self.dims, self.keepdim), exps))
        recipe(LinearCombination((1.0, 1.0)), total, recipe(Amax(self.dims, self.keepdim), 0))
        return recipe.expansion()


@dataclass(frozen=True, eq=False)
class VectorNorm(NormalizingOperator):
    """The Euclidean norm over axes (negative); convex. Its tangent at 0 is taken to be 0, as torch does."""

    dims: tuple[int, ...]
    keepdim: bool = False

    def forward(self, *xs: Tensor) -> Tensor:
        norm: Tensor = torch.linalg.vector_norm(xs[0], 2, self.dims, self.keepdim)
        return norm

    def tangent_at(self, x: Tensor, y: Tensor) -> Piece:
        norm = y if self.keepdim else restored(y, self.dims)
        return _GroupPiece(x, y, x / norm.masked_fill(norm == 0, 1.0), self.dims, self.keepdim)

    def bounds(self, *boxes: Box) -> Box:
        """Return the exact range: the norms of the points of the box nearest to and farthest from 0."""
        lower, upper = boxes[0].lower, boxes[0].upper
        nearest = lower.clamp(min=0) + (-upper).clamp(min=0)
        return Box(self.forward(nearest), self.forward(torch.maximum(lower.abs(), upper.abs())))

    def lipschitz(self, norm: float = 2, arg: int = 0, on: Boxes | None = None, shapes: Shapes | None = None) -> float:
        """Return 1 in l1 and l2; sqrt(n) in linf for groups of n."""
        if norm != math.inf:
            return 1.0
        shape = shapes[0] if shapes is not None else on[0].shape if on is not None else None
        return math.inf if shape is None else math.sqrt(math.prod(shape[d] for d in self.dims))

    def curvature(self, on: Boxes | None = None) -> Tensor:
        """Return CONVEX."""
        return Curvature.CONVEX.tensor()

    def monotonicity(self, arg: int = 0, on: Boxes | None = None) -> Tensor:
        """Return the direction where all entries of a group have one sign on the box."""
        if on is None:
            return Monotonicity.UNKNOWN.tensor()
        up = (on[0].lower >= 0).to(torch.int8).amin(self.dims, self.keepdim) == 1
        down = (on[0].upper <= 0).to(torch.int8).amin(self.dims, self.keepdim) == 1
        return Monotonicity.NONDECREASING.where(up) | Monotonicity.NONINCREASING.where(down)

    def expand(self) -> Expansion:
        recipe = Recipe()
        recipe(Sqrt(), recipe(Reduce(self.dims, self.keepdim), recipe(Square(), 0)))
        return recipe.expansion()


class _GroupPiece(TangentPiece):
    """One scalar per group of entries, with the given gradient."""

    def __init__(self, x: Tensor, y: Tensor, gradient: Tensor, dims: tuple[int, ...], keepdim: bool) -> None:
        super().__init__(x, y)
        self.gradient, self.dims, self.keepdim = gradient, dims, keepdim

    def tangent(self, *vs: Tensor) -> Tensor:
        return (self.gradient * vs[0]).sum(self.dims, self.keepdim)

    def adjoint(self, u: Tensor) -> tuple[Tensor, ...]:
        return (self.gradient * (u if self.keepdim else restored(u, self.dims)),)


def restored(u: Tensor, dims: Sequence[int]) -> Tensor:
    """Return u with the reduced axes (negative) put back, of size 1."""
    for dim in sorted(dims, reverse=True):
        u = u.unsqueeze(dim)
    return u


def _below_maximum(recipe: Recipe, dims: tuple[int, ...]) -> int:
    """Add x - max(x), which keeps the exponentials from overflowing, to a recipe."""
    return recipe(LinearCombination((1.0, -1.0)), 0, recipe(Amax(dims, keepdim=True), 0))


def _log_odds(box: Box, dim: int) -> tuple[Tensor, Tensor]:
    """Return the exact range of x_i - log(sum of exp(x_j), j != i); p is the sigmoid of it."""
    low, high = box.lower - _others(box.upper, dim), box.upper - _others(box.lower, dim)
    return low.nan_to_num(-math.inf, math.inf, -math.inf), high.nan_to_num(math.inf, math.inf, -math.inf)


def _others(x: Tensor, dim: int) -> Tensor:
    """Return log(sum of exp(x_j), j != i), from running sums: no cancellation."""
    x = x.movedim(dim, -1)
    nothing = torch.full_like(x[..., :1], -math.inf)
    before = torch.cat([nothing, x[..., :-1].logcumsumexp(-1)], -1)
    after = torch.cat([nothing, x[..., 1:].flip(-1).logcumsumexp(-1)], -1).flip(-1)
    return torch.logaddexp(before, after).movedim(-1, dim)


# lowerings


def crosses_batch(x: Value, dims: Sequence[int]) -> bool:
    """Return whether one of the axes (negative) holds the batch."""
    return x.layout is not None and x.layout.axis - x.ndim in dims


@lowers("aten.softmax.int", "aten._softmax.default", "aten.log_softmax.int", "aten._log_softmax.default")
def _softmax(call: Call, x: Value, dim: int, *_: Any, **__: Any) -> Any:
    dim = negative(dim, x.ndim)
    if crosses_batch(x, (dim,)):
        return call.opaque()
    return call.emit(LogSoftmax(dim) if "log_softmax" in call.target else Softmax(dim), x)


@lowers("aten.logsumexp.default")
def _logsumexp(call: Call, x: Value, dim: Any, keepdim: bool = False) -> Any:
    dims = dims_of(dim, x.ndim)
    return call.opaque() if crosses_batch(x, dims) else call.emit(LogSumExp(dims, keepdim), x)
