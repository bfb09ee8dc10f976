"""Products of two live values: gates, attention, squeeze-and-excite. Affine in each factor, not in both."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from splinegraph.core.algebra import LinearCombination, MoveAxis, unbroadcast
from splinegraph.core.operator import Boxes, Operator, Piece, Shapes
from splinegraph.core.parameters import Context, Expression
from splinegraph.core.values import Box, Curvature, Monotonicity
from splinegraph.errors import TraceError
from splinegraph.operators.registry import Call, Value, constant, lowers

__all__ = ["MatrixProduct", "Product", "lower_matmul", "lower_product", "lower_quotient"]


class _Bilinear(Operator):
    """A product of two arguments of equal rank, which broadcast."""

    family = "bilinear"

    def curvature(self, on: Boxes | None = None) -> Tensor:
        """Return AFFINE if the box fixes one of the factors."""
        fixed = on is not None and any(bool((box.lower == box.upper).all()) for box in on)
        return Curvature.AFFINE.tensor() if fixed else Curvature.UNKNOWN.tensor()


@dataclass(frozen=True, eq=False)
class Product(_Bilinear):
    """x * y, entrywise."""

    def forward(self, *xs: Tensor) -> Tensor:
        return xs[0] * xs[1]

    def symbolic(self, *xs: Any) -> Any:
        return xs[0] * xs[1]

    def linearize(self, *xs: Tensor) -> Piece:
        return _ProductPiece(xs[0], xs[1])

    def bounds(self, *boxes: Box) -> Box:
        """Return the exact range: it is reached at a corner."""
        corners = [a * b for a in boxes[0] for b in boxes[1]]
        # 0 * inf: the factor that is 0 makes the product 0, however large the other one is
        corner = torch.stack([torch.where(c.isnan(), torch.zeros_like(c), c) for c in corners])
        return Box(corner.amin(0), corner.amax(0))

    def lipschitz(self, norm: float = 2, arg: int = 0, on: Boxes | None = None, shapes: Shapes | None = None) -> float:
        """Return the exact norm of v -> v * |y| at the other factor's largest entries; inf without a box."""
        if on is None:
            return math.inf
        own, other = on[arg].shape, _magnitude(on[1 - arg])
        if not other.numel():
            return 0.0
        if norm == math.inf:
            return float(other.max())
        full = other + other.new_zeros(own)
        columns = unbroadcast(full**norm, own, full.dim())
        return float(columns.max() ** (1 / norm))

    def monotonicity(self, arg: int = 0, on: Boxes | None = None) -> Tensor:
        """Return the sign of the other factor, per unit."""
        return _direction(None if on is None else on[1 - arg])


@dataclass(frozen=True, eq=False)
class _ProductPiece(Piece):
    """The tangent of x * y."""

    x: Tensor
    y: Tensor
    exact = False

    def apply(self, *xs: Tensor) -> Tensor:
        return self.tangent(*xs) - self.x * self.y

    def tangent(self, *vs: Tensor) -> Tensor:
        return vs[0] * self.y + self.x * vs[1]

    def adjoint(self, u: Tensor) -> tuple[Tensor, ...]:
        ndim = self.x.dim()
        return unbroadcast(u * self.y, self.x.shape, ndim), unbroadcast(u * self.x, self.y.shape, ndim)


@dataclass(frozen=True, eq=False)
class MatrixProduct(_Bilinear):
    """x @ y on the last two axes; the axes before them broadcast."""

    def forward(self, *xs: Tensor) -> Tensor:
        return xs[0] @ xs[1]

    def symbolic(self, *xs: Any) -> Any:
        return xs[0] @ xs[1]

    def linearize(self, *xs: Tensor) -> Piece:
        return _MatrixProductPiece(xs[0], xs[1])

    def bounds(self, *boxes: Box) -> Box:
        """Return center and radius arithmetic: at most 1.5 times too wide (Rump 1999)."""
        (x, dx), (y, dy) = ((box.lower / 2 + box.upper / 2, box.upper / 2 - box.lower / 2) for box in boxes)
        center = x @ y
        radius = x.abs() @ dy + dx @ y.abs() + dx @ dy
        # 0 * inf and inf - inf are NaN: there the sound answer is 'anything'
        lower, upper = center - radius, center + radius
        return Box(lower.nan_to_num(-math.inf, -math.inf, -math.inf), upper.nan_to_num(math.inf, math.inf, math.inf))

    def lipschitz(self, norm: float = 2, arg: int = 0, on: Boxes | None = None, shapes: Shapes | None = None) -> float:
        """Return the norm of the largest other factor; inf without a box.

        Exact for 1 and inf on symmetric boxes; for 2 the smaller of Frobenius' and Schur's bounds.
        """
        if on is None:
            return math.inf
        own, other = on[arg].shape, _magnitude(on[1 - arg])
        other = other if arg == 0 else other.mT  # x @ y and y^T @ x^T: the rows of x are multiplied by `other`
        full = other + other.new_zeros(*own[:-2], 1, 1)
        ndim = len(own)

        def copies(values: Tensor, trailing: int) -> float:
            """Return the largest entry, after adding up over the batch axes that this argument lacks."""
            kept = (*own[:-2], *values.shape[values.dim() - trailing :])
            return float(unbroadcast(values, kept, ndim - 2 + trailing).max()) if values.numel() else 0.0

        most = float(full.sum(-2).max()) if full.numel() else 0.0
        if norm == math.inf:
            return most
        if norm == 1:
            return copies(full.sum(-1), 1)
        squares = copies((full**2).sum((-2, -1)), 0)
        return min(math.sqrt(squares), math.sqrt(most) * math.sqrt(copies(full.sum(-1), 1)))

    def monotonicity(self, arg: int = 0, on: Boxes | None = None) -> Tensor:
        """Return the sign of the other factor, if all its entries share one."""
        flags = _direction(None if on is None else on[1 - arg])
        return Monotonicity.NONDECREASING.where(
            Monotonicity.NONDECREASING.held_by(flags).all()
        ) | Monotonicity.NONINCREASING.where(Monotonicity.NONINCREASING.held_by(flags).all())


@dataclass(frozen=True, eq=False)
class _MatrixProductPiece(Piece):
    """The tangent of x @ y."""

    x: Tensor
    y: Tensor
    exact = False

    def apply(self, *xs: Tensor) -> Tensor:
        return self.tangent(*xs) - self.x @ self.y

    def tangent(self, *vs: Tensor) -> Tensor:
        return vs[0] @ self.y + self.x @ vs[1]

    def adjoint(self, u: Tensor) -> tuple[Tensor, ...]:
        ndim = self.x.dim()
        return (
            unbroadcast(u @ self.y.mT, self.x.shape, ndim),
            unbroadcast(self.x.mT @ u, self.y.shape, ndim),
        )


def _magnitude(box: Box) -> Tensor:
    return torch.maximum(box.lower.abs(), box.upper.abs()).double()


def _direction(factor: Box | None) -> Tensor:
    if factor is None:
        return Monotonicity.UNKNOWN.tensor()
    up, down = factor.lower >= 0, factor.upper <= 0
    return Monotonicity.NONDECREASING.where(up) | Monotonicity.NONINCREASING.where(down)


# lowerings


def lower_product(call: Call, a: Value, b: Value) -> Value:
    """Return a * b for two live values."""
    from splinegraph.operators.shape import align
    from splinegraph.operators.smooth import Square

    if a.name == b.name:
        return call.emit(Square(), a, shape=a.shape)
    a, b = align(call, a, b)
    return call.emit(Product(), a, b, shape=call.broadcast(a.shape, b))


def lower_quotient(call: Call, a: Value, b: Value) -> Value:
    """Return a / b for two live values."""
    from splinegraph.operators.smooth import Reciprocal

    return lower_product(call, a, call.emit(Reciprocal(), b, shape=b.shape))


def lower_matmul(call: Call, a: Value, b: Value, shape: Sequence[int] | None = None) -> Any:
    """Return a @ b for two live values; `shape` defaults to the call's."""
    from splinegraph.operators.shape import align

    if min(a.ndim, b.ndim) < 2:
        return call.opaque()  # a live vector is a batch of numbers: the product would mix samples
    return call.emit(MatrixProduct(), *align(call, a, b), shape=shape)


@lowers("aten.scaled_dot_product_attention.default")
def _attention(
    call: Call, query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: float = 0.0,
    is_causal: bool = False, *, scale: float | None = None, enable_gqa: bool = False,
) -> Any:  # fmt: skip
    """Return softmax(scale * query @ key^T + mask) @ value, any of the three live."""
    from splinegraph.operators.arithmetic import scale as scaled
    from splinegraph.operators.normalizing import Softmax
    from splinegraph.operators.training import Dropout

    if dropout_p > 0 and not call.training:
        raise TraceError(
            "attention with dropout is no fixed function",
            remedy="call it with dropout_p=0 outside of training",
        )
    q, k = call.shape_of(query), call.shape_of(key)
    if enable_gqa and len(q) > 2 and q[-3] != k[-3]:
        key, value = (_repeated(call, item, q[-3] // call.shape_of(item)[-3]) for item in (key, value))
        k = call.shape_of(key)
    if min(len(q), len(k), call.rank(value)) < 3:
        return call.opaque()
    factor = 1 / math.sqrt(q[-1]) if scale is None else float(scale)
    batch = torch.broadcast_shapes(q[:-2], k[:-2])
    shape = (*batch, q[-2], k[-2])
    scores = _matmul(call, query, _transposed(call, key), shape)
    weights: Value | Expression | None
    if isinstance(scores, Value):
        scores = _masked(call, scaled(call, scores, factor), attn_mask, is_causal)
        weights = None if scores is None else call.emit(Softmax(-1), scores, shape=shape)
    else:
        weights = None if isinstance(attn_mask, Value) else constant(_weights, scores, attn_mask, factor, is_causal)
    if isinstance(weights, Value) and dropout_p > 0:
        weights = call.emit(Dropout(dropout_p), weights, shape=shape)
    return call.opaque() if weights is None else _matmul(call, weights, value)


def _repeated(call: Call, x: Any, times: int) -> Any:
    """Return keys or values with each head repeated, so that several queries share it."""
    from splinegraph.operators.picking import pick

    if not isinstance(x, Value):
        return constant(torch.repeat_interleave, x, times, -3)
    return pick(call, x, -3, torch.arange(x.shape[-3]).repeat_interleave(times))


def _transposed(call: Call, x: Any) -> Any:
    if not isinstance(x, Value):
        return constant(torch.transpose, x, -1, -2)
    return call.emit(MoveAxis(-1, -2), x, shape=(*x.shape[:-2], x.shape[-1], x.shape[-2]))


def _matmul(call: Call, a: Any, b: Any, shape: Sequence[int] | None = None) -> Any:
    """Return a @ b, whichever of the two is live; `shape` defaults to the call's."""
    from splinegraph.operators.linear import LeftMatmul, RightMatmul
    from splinegraph.operators.shape import unsqueeze_to

    if isinstance(a, Value) and isinstance(b, Value):
        return lower_matmul(call, a, b, shape)
    if isinstance(a, Value):
        return call.emit(RightMatmul(b), unsqueeze_to(call, a, call.rank(b)), shape=shape)
    if isinstance(b, Value):
        return call.emit(LeftMatmul(a), unsqueeze_to(call, b, call.rank(a)), shape=shape)
    return constant(torch.matmul, a, b)


def _masked(call: Call, scores: Value, mask: Any, is_causal: bool) -> Value | None:
    """Return scores with -inf where the mask forbids a key, or plus the mask if that is a number.

    None if the mask does not broadcast to the scores.
    """
    from splinegraph.operators.arithmetic import Shift
    from splinegraph.operators.comparison import Where
    from splinegraph.operators.shape import MaskedFill, unsqueeze_to

    shape = scores.shape
    if is_causal:
        ahead: Any = constant(_ahead, *shape[-2:])
        return call.emit(MaskedFill(ahead, -math.inf), scores, shape=shape)
    if mask is None:
        return scores
    if call.broadcast(shape, mask) != shape:
        return None
    if isinstance(mask, Value):
        mask = unsqueeze_to(call, mask, scores.ndim)
        if mask.dtype != torch.bool:
            return call.emit(LinearCombination(), scores, mask, shape=shape)
        never = constant(torch.full, (), -math.inf, dtype=scores.dtype)
        return call.emit(Where(None, never), mask, scores, shape=shape)
    if Context(batch=1).value(mask).dtype != torch.bool:
        return call.emit(Shift(mask), scores, shape=shape)
    forbidden: Any = constant(torch.logical_not, mask)
    return call.emit(MaskedFill(forbidden, -math.inf), scores, shape=shape)


def _ahead(queries: int, keys: int) -> Tensor:
    """Return which keys lie in a query's future."""
    return torch.ones(queries, keys, dtype=torch.bool).triu(1)


def _weights(scores: Tensor, mask: Tensor | None, factor: float, is_causal: bool) -> Tensor:
    """Return constant attention weights."""
    scores = scores * factor
    if is_causal:
        scores = scores.masked_fill(_ahead(*scores.shape[-2:]).to(scores.device), -math.inf)
    elif mask is not None:
        scores = scores.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else scores + mask
    return scores.softmax(-1)
