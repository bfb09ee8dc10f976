"""Unpooling: values put back where a max pool found its winners."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from splinegraph.operators.comparison import Where
from splinegraph.operators.linear import spread
from splinegraph.operators.opaque import Opaque
from splinegraph.operators.padding import pad
from splinegraph.operators.registry import Call, Value, constant, lowers
from splinegraph.operators.reshaping import permute, unsqueeze
from splinegraph.operators.shape import Slice
from splinegraph.operators.winners import TopKMask

__all__: list[str] = []


@lowers("aten.max_unpool2d.default")
def _max_unpool(call: Call, x: Any, indices: Any, size: Sequence[int]) -> Any:
    """Lower unpooling by the indices of a pool whose windows do not overlap: each value goes to its winner's place.

    The winners are those of the pool's own argument; elsewhere the result is zero.
    """
    pooled = call.operator_of(indices) if isinstance(indices, Value) else None
    if not isinstance(pooled, Opaque) or "max_pool2d_with_indices" not in pooled.target or x.ndim != 4:
        return call.opaque()
    (source,) = call.args_of(indices)
    kernel, stride, padding, dilation, ceil_mode = (*pooled.args[1:], *(None,) * 5)[:5]
    k = spread(kernel, 2)
    plain = not padding or not any(spread(padding, 2)), not dilation or set(spread(dilation, 2)) == {1}
    if not all(plain) or (stride and spread(stride, 2) != k) or ceil_mode or tuple(size) != source.shape[2:]:
        return call.opaque()
    n, c, h, w = x.shape
    for axis, m in ((-2, h * k[0]), (-1, w * k[1])):  # what no window covers
        if source.shape[axis] != m:
            shape = (*source.shape[:-2], m, source.shape[-1]) if axis == -2 else (*source.shape[:-1], m)
            source = call.emit(Slice(axis, 0, m), source, shape=shape)
    apart = call.reshape(source, shape=(n, c, h, k[0], w, k[1]), batch_axis=0)
    windows = call.reshape(permute(call, apart, [0, 1, 2, 4, 3, 5]), shape=(n, c, h, w, k[0] * k[1]), batch_axis=0)
    mask = call.emit(TopKMask(1), windows, shape=windows.shape)
    zero = constant(torch.full, (), 0.0, dtype=call.dtype)
    placed = call.emit(Where(None, zero), mask, unsqueeze(call, x, 4), shape=windows.shape)
    placed = permute(call, call.reshape(placed, shape=(n, c, h, w, *k), batch_axis=0), [0, 1, 2, 4, 3, 5])
    whole = call.reshape(placed, shape=(n, c, h * k[0], w * k[1]), batch_axis=0)
    sides = [0, size[1] - w * k[1], 0, size[0] - h * k[0]]
    return pad(call, whole, sides) if any(sides) else whole
