"""Products along an axis and running products, maxima and log-sums, from a logarithmic number of steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from splinegraph.core.algebra import LinearCombination
from splinegraph.operators.bilinear import lower_product
from splinegraph.operators.maximum import Maximum
from splinegraph.operators.normalizing import LogSumExp, crosses_batch
from splinegraph.operators.registry import Call, Value, lowers, negative
from splinegraph.operators.reshaping import unsqueeze
from splinegraph.operators.shape import Concat, Slice

__all__ = ["log_add_exp"]

Combine = Callable[[Value, Value], Value]


def _part(call: Call, x: Value, dim: int, start: int, end: int) -> Value:
    if (start, end) == (0, x.shape[dim]):
        return x
    return call.emit(Slice(dim, start, end), x, shape=_sized(x, dim, end - start))


def _join(call: Call, a: Value, b: Value, dim: int) -> Value:
    return call.emit(Concat(dim), a, b, shape=_sized(a, dim, a.shape[dim] + b.shape[dim]))


def _sized(x: Value, dim: int, size: int) -> tuple[int, ...]:
    return tuple(size if i - x.ndim == dim else n for i, n in enumerate(x.shape))


@lowers("aten.prod.dim_int")
def _prod(call: Call, x: Value, dim: int, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """Lower to products of halves."""
    dim = negative(dim, x.ndim)
    if crosses_batch(x, (dim,)) or not x.dtype.is_floating_point or not x.shape[dim]:
        return call.opaque()
    while (count := x.shape[dim]) > 1:
        half = count // 2
        halves = lower_product(call, _part(call, x, dim, 0, half), _part(call, x, dim, half, 2 * half))
        x = _join(call, halves, _part(call, x, dim, 2 * half, count), dim) if count % 2 else halves
    return x if keepdim else call.reshape(x)


def _scan(call: Call, x: Value, dim: int, combine: Combine) -> Value:
    """Combine each entry with all before it, in steps that double what is covered (Hillis and Steele 1986)."""
    count, step = x.shape[dim], 1
    while step < count:
        later = combine(_part(call, x, dim, step, count), _part(call, x, dim, 0, count - step))
        x = _join(call, _part(call, x, dim, 0, step), later, dim)
        step *= 2
    return x


def _scannable(call: Call, x: Value, dim: int) -> bool:
    return x.ndim > 0 and x.dtype.is_floating_point and not crosses_batch(x, (negative(dim, x.ndim),))


@lowers("aten.cumprod.default")
def _cumprod(call: Call, x: Value, dim: int, *, dtype: Any = None) -> Any:
    if not _scannable(call, x, dim):
        return call.opaque()
    return _scan(call, x, negative(dim, x.ndim), lambda a, b: lower_product(call, a, b))


@lowers("aten.cummax.default", "aten.cummin.default")
def _cummax(call: Call, x: Value, dim: int) -> Any:
    if not _scannable(call, x, dim):
        return call.opaque()
    sign = 1.0 if "cummax" in call.target else -1.0
    x = x if sign > 0 else call.emit(LinearCombination((-1.0,)), x, shape=x.shape)
    found = _scan(call, x, negative(dim, x.ndim), lambda a, b: call.emit(Maximum(), a, b, shape=a.shape))
    return (found if sign > 0 else call.emit(LinearCombination((-1.0,)), found, shape=x.shape),)


@lowers("aten.logcumsumexp.default")
def _logcumsumexp(call: Call, x: Value, dim: int) -> Any:
    if not _scannable(call, x, dim):
        return call.opaque()
    return _scan(call, x, negative(dim, x.ndim), lambda a, b: log_add_exp(call, a, b))


def log_add_exp(call: Call, a: Value, b: Value) -> Value:
    """Return log(exp(a) + exp(b)) of two live values of one shape."""
    parts = [unsqueeze(call, x, x.ndim) for x in (a, b)]
    pair = call.emit(Concat(-1), *parts, shape=(*a.shape, 2))
    return call.emit(LogSumExp((-1,)), pair, shape=a.shape)
