"""Affine operators with weights: linear, convolution, batch norm in eval mode, products with a matrix."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from splinegraph.core.affine import AffineOperator
from splinegraph.core.algebra import unbroadcast
from splinegraph.core.operator import Boxes, Shapes
from splinegraph.errors import BatchError
from splinegraph.operators.registry import Call, Value, constant, lowers

__all__ = ["BatchNorm", "LeftMatmul", "Linear", "RightMatmul"]

Parts = tuple[AffineOperator | None, AffineOperator | None]


def by_sign(operator: AffineOperator, name: str, **fixed: Any) -> Parts:
    """Return (A+, A-): the operator with the positive and with the negative part of one of its tensors."""
    tensor: Tensor = getattr(operator, name)
    positive, negative = tensor.clamp(min=0), (-tensor).clamp(min=0)
    return (
        replace(operator, **{name: positive}, **fixed),  # type: ignore[type-var]
        replace(operator, **{name: negative}, **fixed),  # type: ignore[type-var]
    )


@dataclass(frozen=True, eq=False)
class Linear(AffineOperator):
    """x W^T + b over the last axis (paper Eq 3).

    Parameters
    ----------
    weight : Tensor of shape (out, in)
    bias : Tensor of shape (out,), optional
    """

    weight: Tensor
    bias: Tensor | None = None

    def forward(self, *xs: Tensor) -> Tensor:
        return F.linear(xs[0], self.weight, self.bias)

    def linear(self, *vs: Tensor) -> Tensor:
        return F.linear(vs[0], self.weight)

    def adjoint(self, u: Tensor, shapes: Shapes) -> tuple[Tensor, ...]:
        return (u @ self.weight,)

    def split(self) -> Parts:
        return by_sign(self, "weight", bias=None)

    def lipschitz(self, norm: float = 2, arg: int = 0, on: Boxes | None = None, shapes: Shapes | None = None) -> float:
        """Return the induced norm of the weight, exact up to rounding in float64."""
        # acting on every position of the other axes at once leaves the norm as it is, in each of the three
        order = {1: 1, 2: 2, math.inf: math.inf}[norm]
        return float(torch.linalg.matrix_norm(self.weight.detach().double(), order))

    def scaled(self, factor: Tensor) -> Linear | None:
        return Linear(self.weight * factor[:, None]) if factor.dim() == 1 else None


@dataclass(frozen=True, eq=False)
class RightMatmul(AffineOperator):
    """x @ matrix, with a constant of shape (..., n, m) and no more axes than x."""

    matrix: Tensor

    def linear(self, *vs: Tensor) -> Tensor:
        return vs[0] @ self.matrix

    def adjoint(self, u: Tensor, shapes: Shapes) -> tuple[Tensor, ...]:
        return (unbroadcast(u @ self.matrix.mT, shapes[0], len(shapes[0])),)

    def split(self) -> Parts:
        return by_sign(self, "matrix")


@dataclass(frozen=True, eq=False)
class LeftMatmul(AffineOperator):
    """matrix @ x, with a constant of shape (..., m, n) and no more axes than x."""

    matrix: Tensor

    def linear(self, *vs: Tensor) -> Tensor:
        return self.matrix @ vs[0]

    def adjoint(self, u: Tensor, shapes: Shapes) -> tuple[Tensor, ...]:
        return (unbroadcast(self.matrix.mT @ u, shapes[0], len(shapes[0])),)

    def split(self) -> Parts:
        return by_sign(self, "matrix")


@dataclass(frozen=True, eq=False)
class BatchNorm(AffineOperator):
    """Batch norm in eval mode: a scale and a shift per channel.

    Parameters
    ----------
    weight, bias : Tensor of shape (channels,), optional
    mean, var : Tensor of shape (channels,)
        Running statistics.
    eps : float
    trailing : int
        Number of axes behind the channel axis.
    """

    weight: Tensor | None
    bias: Tensor | None
    mean: Tensor
    var: Tensor
    eps: float = 1e-5
    trailing: int = 0

    @property
    def scale(self) -> Tensor:
        """Weight / sqrt(var + eps), shaped to broadcast."""
        scale = torch.rsqrt(self.var + self.eps)
        scale = scale if self.weight is None else scale * self.weight
        return scale.reshape(-1, *(1,) * self.trailing)

    def forward(self, *xs: Tensor) -> Tensor:
        return F.batch_norm(xs[0], self.mean, self.var, self.weight, self.bias, eps=self.eps)

    def linear(self, *vs: Tensor) -> Tensor:
        return vs[0] * self.scale

    def adjoint(self, u: Tensor, shapes: Shapes) -> tuple[Tensor, ...]:
        return (u * self.scale,)

    def split(self) -> Parts:
        zero, one = torch.zeros_like(self.mean), torch.ones_like(self.mean)
        scale = self.scale.reshape(-1)
        part = replace(self, bias=None, mean=zero, var=one, eps=0.0)
        return replace(part, weight=scale.clamp(min=0)), replace(part, weight=(-scale).clamp(min=0))

    def lipschitz(self, norm: float = 2, arg: int = 0, on: Boxes | None = None, shapes: Shapes | None = None) -> float:
        """Return the largest |scale|, the norm of a diagonal map in every norm."""
        return float(self.scale.detach().abs().max())

    def places(self, shapes: Shapes) -> int:
        return self.trailing

    def merged(self, inner: AffineOperator) -> AffineOperator | None:
        return inner.scaled(self.scale)


@lowers("aten.linear.default")
def _linear(call: Call, x: Any, weight: Any, bias: Any = None) -> Value:
    if not isinstance(x, Value) or isinstance(weight, Value) or isinstance(bias, Value):
        value: Value = call.opaque()
        return value
    return call.emit(Linear(weight, bias), x)


@lowers("aten.batch_norm.default")
def _batch_norm(
    call: Call, x: Any, weight: Any, bias: Any, mean: Any, var: Any,
    training: bool = False, momentum: float = 0.1, eps: float = 1e-5, *_: Any,
) -> Any:  # fmt: skip
    if training and call.training:
        from splinegraph.operators.training import BatchStatistics

        return call.emit(BatchStatistics(BatchNorm(weight, bias, mean, var, eps, x.ndim - 2), momentum), x)
    if training or mean is None:
        raise BatchError(
            "a batch norm uses the statistics of its batch",
            why="it is in training mode, or keeps no running statistics",
            remedy="call model.eval() before tracing or exporting, and keep running statistics",
        )  # fmt: skip
    if any(isinstance(v, Value) for v in (weight, bias, mean, var)):
        return call.opaque()
    return call.emit(BatchNorm(weight, bias, mean, var, eps, x.ndim - 2), x)


@lowers("aten._native_batch_norm_legit_no_training.default", "aten._batch_norm_no_update.default")
def _batch_norm_no_training(
    call: Call, x: Any, weight: Any, bias: Any, mean: Any, var: Any, momentum: float, eps: float
) -> Any:
    if any(isinstance(v, Value) for v in (weight, bias, mean, var)):
        return call.opaque()
    return (call.emit(BatchNorm(weight, bias, mean, var, eps, x.ndim - 2), x),)


# products with a constant matrix; two live factors are bilinear


@lowers("aten.matmul.default", "aten.mm.default", "aten.bmm.default")
def _matmul(call: Call, a: Any, b: Any) -> Any:
    from splinegraph.operators.bilinear import lower_matmul
    from splinegraph.operators.shape import unsqueeze_to

    if isinstance(a, Value) and isinstance(b, Value):
        return lower_matmul(call, a, b)
    x, matrix, left = (a, b, False) if isinstance(a, Value) else (b, a, True)
    ndim = call.rank(matrix)
    if x.ndim < 2:
        return call.opaque()  # a batch of scalars: the product would mix samples
    if ndim == 1:  # a dot product over the axis that is contracted
        column = constant(torch.unsqueeze, matrix, -2 if left else -1)
        full = (*call.shape[:-1], 1, call.shape[-1]) if left else (*call.shape, 1)
        product = call.emit(LeftMatmul(column) if left else RightMatmul(column), x, shape=full)
        return call.reshape(product)
    if ndim > x.ndim:
        x = unsqueeze_to(call, x, ndim)
    return call.emit(LeftMatmul(matrix) if left else RightMatmul(matrix), x)


@lowers("aten.addmm.default", "aten.baddbmm.default")
def _addmm(call: Call, bias: Any, a: Any, b: Any, *, beta: float = 1, alpha: float = 1) -> Any:
    from splinegraph.operators.arithmetic import add, scale

    live = isinstance(a, Value) or isinstance(b, Value)
    product = _matmul(call, a, b) if live else constant(torch.matmul, a, b)
    return add(call, scale(call, product, alpha), scale(call, bias, beta))


def spread(sizes: int | Sequence[int], count: int) -> tuple[int, ...]:
    """Return one size per axis from torch's short forms (3 or [3] for [3, 3])."""
    sizes = (sizes,) if isinstance(sizes, int) else tuple(sizes)
    return sizes * count if len(sizes) == 1 else sizes
