"""Norms and distances of any order, and smooth functions of two arguments that are norms or soft maxima."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from splinegraph.core.algebra import LinearCombination
from splinegraph.operators.arithmetic import Reduce, dims_of, scale
from splinegraph.operators.elementwise import Abs
from splinegraph.operators.maximum import Amax
from splinegraph.operators.normalizing import LogSumExp, VectorNorm, crosses_batch
from splinegraph.operators.registry import Call, Value, constant, lowers
from splinegraph.operators.reshaping import expand, unsqueeze
from splinegraph.operators.shape import Concat, align
from splinegraph.operators.smooth import Pow, Sqrt, Square

__all__ = ["beside"]


@lowers("aten.linalg_vector_norm.default", "aten.norm.ScalarOpt_dim", "aten.linalg_norm.default")
def _vector_norm(call: Call, x: Value, ord: Any = 2, dim: Any = None, keepdim: bool = False, **_: Any) -> Any:
    dims = dims_of(dim, x.ndim)
    spectral = "linalg_norm" in call.target and ord is not None and len(dims) > 1
    if spectral or crosses_batch(x, dims):
        return call.opaque()
    return _norm(call, x, 2.0 if ord is None else float(ord), dims, keepdim, call.shape) or call.opaque()


def _norm(
    call: Call, x: Value, order: float, dims: tuple[int, ...], keepdim: bool, shape: Sequence[int]
) -> Value | None:
    """Return the norm of any order above 0 over axes (negative); None for orders that are no norms."""
    if order == 2:
        return call.emit(VectorNorm(dims, keepdim), x, shape=shape)
    if order <= 0:
        return None
    size = call.emit(Abs(), x, shape=x.shape)
    if order == math.inf:
        return call.emit(Amax(dims, keepdim), size, shape=shape)
    if order == 1:
        return call.emit(Reduce(dims, keepdim), size, shape=shape)
    power = call.emit(Pow(order), size, shape=x.shape)
    return call.emit(Pow(1 / order), call.emit(Reduce(dims, keepdim), power, shape=shape), shape=shape)


@lowers("aten.cdist.default", "aten._cdist_forward.default", "aten._euclidean_dist.default")
def _cdist(call: Call, a: Any, b: Any, p: float = 2.0, *_: Any) -> Any:
    """Lower to the norms of all differences of rows."""
    a, b = unsqueeze(call, a, call.rank(a) - 1), unsqueeze(call, b, call.rank(b) - 2)
    steps = _difference(call, a, b)
    if p != 2:
        return _norm(call, steps, float(p), (-1,), False, call.shape) or call.opaque()
    # a distance of zero has the tangent zero
    return call.emit(VectorNorm((-1,)), steps)


def _difference(call: Call, a: Any, b: Any) -> Value:
    """Return a - b, either or both live."""
    from splinegraph.operators.arithmetic import Shift
    from splinegraph.operators.shape import unsqueeze_to

    if isinstance(a, Value) and isinstance(b, Value):
        a, b = align(call, a, b)
        return call.emit(LinearCombination((1.0, -1.0)), a, b, shape=call.broadcast(a.shape, b))
    x, offset = (a, constant(torch.neg, b)) if isinstance(a, Value) else (scale(call, b, -1.0), a)
    x = unsqueeze_to(call, x, call.rank(offset))
    return call.emit(Shift(offset), x, shape=call.broadcast(x.shape, offset))


def beside(call: Call, a: Any, b: Any) -> Value:
    """Return two values of one shape, or constants, side by side on a new last axis."""
    parts = [unsqueeze(call, x, call.rank(x)) for x in (a, b)]
    fixed = tuple(None if isinstance(x, Value) else x for x in parts)
    live = [x for x in parts if isinstance(x, Value)]
    return call.emit(Concat(-1, () if len(live) == 2 else fixed), *live, shape=(*live[0].shape[:-1], 2))


@lowers("aten.logaddexp.default", "aten.logaddexp2.default")
def _logaddexp(call: Call, a: Any, b: Any) -> Any:
    unit = math.log(2) if "addexp2" in call.target else 1.0
    a, b = (expand(call, scale(call, x, unit)) for x in (a, b))
    return scale(call, call.emit(LogSumExp((-1,)), beside(call, a, b), shape=call.shape), 1 / unit)


@lowers("aten.hypot.default")
def _hypot(call: Call, a: Any, b: Any) -> Any:
    return call.emit(VectorNorm((-1,)), beside(call, expand(call, a), expand(call, b)))


@lowers("aten.var_mean.correction", "aten.std_mean.correction")
def _var_mean(call: Call, x: Value, dim: Any = None, *, correction: Any = 1, keepdim: bool = False) -> Any:
    dims = dims_of(dim, x.ndim)
    count, lost = math.prod(x.shape[d] for d in dims), 1 if correction is None else correction
    if count <= lost or crosses_batch(x, dims):
        return call.opaque()
    kept = tuple(1 if i - x.ndim in dims else n for i, n in enumerate(x.shape))
    mean = call.emit(Reduce(dims, keepdim=True, mean=True), x, shape=kept)
    square = call.emit(Square(), call.emit(LinearCombination((1.0, -1.0)), x, mean, shape=x.shape), shape=x.shape)
    variance = call.emit(Reduce(dims, keepdim, mean=True), square, shape=call.shape)
    if not keepdim:
        mean = call.emit(Reduce(dims, mean=True), x, shape=call.shape)
    variance = scale(call, variance, count / (count - lost))
    return call.emit(Sqrt(), variance, shape=call.shape) if "std" in call.target else variance, mean
