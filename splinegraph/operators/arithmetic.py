"""Affine arithmetic: scale, shift, sums, means, and the lowering of + - * / with one or two live operands."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from splinegraph.core.affine import AffineOperator
from splinegraph.core.algebra import LinearCombination, unbroadcast
from splinegraph.core.operator import Boxes, Shapes
from splinegraph.operators.linear import Parts
from splinegraph.operators.registry import Call, Value, constant, lowers, negative
from splinegraph.operators.shape import align, unsqueeze_to

__all__ = ["CumulativeSum", "Reduce", "Scale", "Shift", "add", "divide", "multiply", "scale"]


@dataclass(frozen=True, eq=False)
class Scale(AffineOperator):
    """factor * x, with a number or a constant that broadcasts and has no more axes than x."""

    factor: Tensor | float

    def linear(self, *vs: Tensor) -> Tensor:
        return vs[0] * self.factor

    def adjoint(self, u: Tensor, shapes: Shapes) -> tuple[Tensor, ...]:
        return (unbroadcast(u * self.factor, shapes[0], len(shapes[0])),)

    def split(self) -> Parts:
        if isinstance(self.factor, Tensor):
            if self.factor.dtype == torch.bool:  # a mask
                return self, None
            return Scale(self.factor.clamp(min=0)), Scale((-self.factor).clamp(min=0))
        return (self, None) if self.factor >= 0 else (None, Scale(-self.factor))


@dataclass(frozen=True, eq=False)
class Shift(AffineOperator):
    """x + offset, with a number or a constant that broadcasts and has no more axes than x."""

    offset: Tensor | float

    def forward(self, *xs: Tensor) -> Tensor:
        return xs[0] + self.offset

    def linear(self, *vs: Tensor) -> Tensor:
        return vs[0] if not isinstance(self.offset, Tensor) else vs[0] + torch.zeros_like(self.offset)

    def adjoint(self, u: Tensor, shapes: Shapes) -> tuple[Tensor, ...]:
        return (unbroadcast(u, shapes[0], len(shapes[0])),)

    def split(self) -> Parts:
        if not isinstance(self.offset, Tensor):
            return Scale(1.0), None
        return Shift(torch.zeros_like(self.offset)), None


@dataclass(frozen=True, eq=False)
class Reduce(AffineOperator):
    """Sum or mean over axes (negative)."""

    dims: tuple[int, ...]
    keepdim: bool = False
    mean: bool = False

    @property
    def label(self) -> str:
        """Mean or Sum, and the axes."""
        return f"{'Mean' if self.mean else 'Sum'}{self.dims}"

    def linear(self, *vs: Tensor) -> Tensor:
        return (torch.mean if self.mean else torch.sum)(vs[0], self.dims, self.keepdim)

    def adjoint(self, u: Tensor, shapes: Shapes) -> tuple[Tensor, ...]:
        (shape,) = shapes
        leading = u.dim() - (len(shape) - (0 if self.keepdim else len(self.dims)))
        kept = [1 if i - len(shape) in self.dims else n for i, n in enumerate(shape)]
        u = u.reshape(*u.shape[:leading], *kept)
        if self.mean:
            u = u / math.prod(shape[d] for d in self.dims)
        return (u.expand(*u.shape[:leading], *shape),)

    def split(self) -> Parts:
        return self, None

    def lipschitz(self, norm: float = 2, arg: int = 0, on: Boxes | None = None, shapes: Shapes | None = None) -> float:
        """Return the exact norm: n, sqrt(n), 1 for a sum of n terms in linf, l2, l1; 1/n of that for a mean."""
        shape = shapes[0] if shapes is not None else None if on is None else on[0].shape
        if shape is None:
            return 1.0 if norm == (math.inf if self.mean else 1) else math.inf
        n = math.prod(shape[d] for d in self.dims)
        total = {1: 1.0, 2: math.sqrt(n), math.inf: float(n)}[norm]
        return total / n if self.mean else total


@dataclass(frozen=True, eq=False)
class CumulativeSum(AffineOperator):
    """Running sum along an axis (negative)."""

    dim: int

    def linear(self, *vs: Tensor) -> Tensor:
        return vs[0].cumsum(self.dim)

    def adjoint(self, u: Tensor, shapes: Shapes) -> tuple[Tensor, ...]:
        return (u.flip(self.dim).cumsum(self.dim).flip(self.dim),)

    def split(self) -> Parts:
        return self, None


# lowerings; a and b may be live values, numbers, tensors or expressions


def _numbers(call: Call, *items: Any) -> tuple[Any, ...]:
    """Return live truth values and integers as numbers of the graph's dtype, where the result is one."""
    from splinegraph.operators.comparison import number

    return tuple(number(call, x) if isinstance(x, Value) and call.dtype.is_floating_point else x for x in items)


def _setting(call: Call, number: float) -> float:
    """Return a number that keeps an integer result an integer."""
    return float(number) if call.dtype.is_floating_point else number


def scale(call: Call, x: Any, factor: Any) -> Any:
    """Return factor * x for a constant factor."""
    if isinstance(factor, float | int) and factor == 1:
        return x
    if not isinstance(x, Value):
        return constant(torch.mul, x, factor)
    if isinstance(factor, float | int):
        return call.emit(Scale(_setting(call, factor)), x, shape=x.shape)
    x = unsqueeze_to(call, x, call.rank(factor))
    return call.emit(Scale(factor), x, shape=call.broadcast(x.shape, factor))


def add(call: Call, a: Any, b: Any, alpha: float = 1) -> Any:
    """Return a + alpha * b."""
    if isinstance(a, Value) and isinstance(b, Value):
        if not call.dtype.is_floating_point:
            return call.opaque()
        a, b = align(call, a, b)
        return call.emit(LinearCombination((1.0, float(alpha))), a, b)
    if isinstance(b, Value):
        return add(call, scale(call, b, alpha), a)
    offset = b if alpha == 1 else alpha * b if isinstance(b, float | int) else constant(torch.mul, b, alpha)
    if isinstance(offset, float | int):
        return a if offset == 0 else call.emit(Shift(_setting(call, offset)), a, shape=a.shape)
    a = unsqueeze_to(call, a, call.rank(offset))
    return call.emit(Shift(offset), a, shape=call.broadcast(a.shape, offset))


@lowers("aten.add.Tensor", "aten.add.Scalar")
def _add(call: Call, a: Any, b: Any, alpha: float = 1) -> Any:
    a, b = _numbers(call, a, b)
    return add(call, a, b, alpha)


@lowers("aten.sub.Tensor", "aten.sub.Scalar")
def _sub(call: Call, a: Any, b: Any, alpha: float = 1) -> Any:
    a, b = _numbers(call, a, b)
    return add(call, a, b, -alpha)


@lowers("aten.rsub.Tensor", "aten.rsub.Scalar")
def _rsub(call: Call, a: Any, b: Any, alpha: float = 1) -> Any:
    a, b = _numbers(call, a, b)
    return add(call, scale(call, a, -alpha), b) if isinstance(a, Value) else add(call, b, a, -alpha)


@lowers("aten.neg.default")
def _neg(call: Call, x: Value) -> Any:
    return scale(call, x, -1.0)


@lowers("aten.mul.Tensor", "aten.mul.Scalar")
def multiply(call: Call, a: Any, b: Any) -> Any:
    """Return a * b."""
    from splinegraph.operators.bilinear import lower_product
    from splinegraph.operators.comparison import lower_both
    from splinegraph.operators.winners import fuse_winners

    if isinstance(a, Value) and isinstance(b, Value):
        if not call.dtype.is_floating_point:
            return lower_both(call, a, b) if call.dtype == torch.bool else call.opaque()
        return fuse_winners(call, a, b) or lower_product(call, *_numbers(call, a, b))
    a, b = _numbers(call, a, b)
    return scale(call, a, b) if isinstance(a, Value) else scale(call, b, a)


@lowers("aten.div.Tensor", "aten.div.Scalar", "aten.true_divide.Tensor", "aten.divide.Tensor")
def divide(call: Call, a: Any, b: Any) -> Any:
    """Return a / b."""
    from splinegraph.operators.bilinear import lower_quotient
    from splinegraph.operators.smooth import Reciprocal

    a, b = _numbers(call, a, b)
    if not isinstance(b, Value):
        return scale(call, a, 1.0 / b if isinstance(b, float | int) else constant(torch.reciprocal, b))
    if isinstance(a, Value):
        return lower_quotient(call, a, b)
    return scale(call, call.emit(Reciprocal(), b, shape=b.shape), a)


@lowers("aten.addcmul.default")
def _addcmul(call: Call, x: Any, a: Any, b: Any, *, value: float = 1) -> Any:
    x, a, b = _numbers(call, x, a, b)
    live = isinstance(a, Value) or isinstance(b, Value)
    return add(call, x, multiply(call, a, b) if live else constant(torch.mul, a, b), value)


@lowers("aten.lerp.Scalar", "aten.lerp.Tensor")
def _lerp(call: Call, a: Any, b: Any, weight: Any) -> Any:
    if isinstance(weight, Value):
        return add(call, a, multiply(call, weight, add(call, b, a, -1.0)))
    complement = 1 - weight if isinstance(weight, float | int) else constant(torch.rsub, weight, 1)
    return add(call, scale(call, a, complement), scale(call, b, weight))


def dims_of(dim: Any, ndim: int) -> tuple[int, ...]:
    """Return axes counted from the end, in order; none given means all."""
    dims = [dim] if isinstance(dim, int) else list(dim or range(ndim))
    return tuple(sorted(negative(d, ndim) for d in dims))


@lowers("aten.sum.dim_IntList", "aten.mean.dim")
def _reduce(call: Call, x: Value, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Value:
    return call.emit(Reduce(dims_of(dim, x.ndim), keepdim, "mean" in call.target), x)


@lowers("aten.var.correction", "aten.std.correction")
def _variance(call: Call, x: Value, dim: Any = None, *, correction: Any = 1, keepdim: bool = False) -> Value:
    from splinegraph.operators.smooth import Sqrt, Square

    dims = dims_of(dim, x.ndim)
    count, lost = math.prod(x.shape[d] for d in dims), 1 if correction is None else correction
    if count <= lost:  # torch then divides by zero
        opaque: Value = call.opaque()
        return opaque
    kept = tuple(1 if i - x.ndim in dims else n for i, n in enumerate(x.shape))
    mean = call.emit(Reduce(dims, keepdim=True, mean=True), x, shape=kept)
    square = call.emit(Square(), call.emit(LinearCombination((1.0, -1.0)), x, mean, shape=x.shape), shape=x.shape)
    mean_square = call.emit(Reduce(dims, keepdim, mean=True), square, shape=call.shape)
    variance: Value = scale(call, mean_square, count / (count - lost))
    return call.emit(Sqrt(), variance) if ".std." in call.target else variance


@lowers("aten.cumsum.default")
def _cumsum(call: Call, x: Value, dim: int, *, dtype: Any = None) -> Value:
    return call.emit(CumulativeSum(negative(dim, x.ndim)), x)
