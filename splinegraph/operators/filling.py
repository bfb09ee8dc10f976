"""Calls that read only the shape of a live argument, and calls that overwrite one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from splinegraph.operators.arithmetic import add
from splinegraph.operators.registry import Call, Value, constant, lowers, negative
from splinegraph.operators.reshaping import cast, expand, fill, unsqueeze
from splinegraph.operators.shape import Place

__all__: list[str] = []


@lowers(
    "aten.zeros_like.default", "aten.new_zeros.default", "aten.zero.default",
    "aten.empty_like.default", "aten.new_empty.default",  # uninitialized: any value will do
)  # fmt: skip
def _zeros(call: Call, x: Value, *_: Any, **__: Any) -> Any:
    return call.full(0)


@lowers("aten.ones_like.default", "aten.new_ones.default")
def _ones(call: Call, x: Value, *_: Any, **__: Any) -> Any:
    return call.full(1)


@lowers("aten.full_like.default", "aten.fill.Scalar")
def _full_like(call: Call, x: Value, number: float, **_: Any) -> Any:
    return call.full(number)


@lowers("aten.new_full.default")
def _new_full(call: Call, x: Value, size: Any, number: float, **_: Any) -> Any:
    return call.full(number)


@lowers("aten.fill.Tensor", "aten.copy.default")
def _copy(call: Call, x: Any, source: Any, *_: Any) -> Any:
    """Return the source in the shape and dtype of what it is written over."""
    return expand(call, cast(call, source))


@lowers("aten.index_put.default")
def _index_put(call: Call, x: Any, indices: Sequence[Any], value: Any, accumulate: bool = False) -> Any:
    """Lower ``x[mask] = number`` and ``x[:, index] = number``."""
    axis, index = next((i, index) for i, index in enumerate(indices) if index is not None)
    known = index if isinstance(index, Value) else call.fixed(index)
    if any(other is not None for other in indices[axis + 1 :]) or accumulate or call.rank(value) or known is None:
        return call.opaque()
    if known.dtype == torch.bool and tuple(known.shape) == call.shape:
        from splinegraph.operators.comparison import lower_where

        return lower_where(call, index, value, x)
    cuts_batch = isinstance(x, Value) and x.layout is not None and x.layout.axis == axis
    if not isinstance(x, Value) or not isinstance(known, Tensor) or known.ndim > 1 or cuts_batch:
        return call.opaque()
    mask = torch.zeros(x.shape[axis], dtype=torch.bool)
    mask[known] = True
    return fill(call, x, mask.reshape(-1, *(1,) * (x.ndim - axis - 1)), value)


# assignments to a part, as functionalization writes them


@lowers("aten.slice_scatter.default")
def _slice_scatter(
    call: Call, x: Any, part: Any, dim: int = 0, start: Any = None, end: Any = None, step: int = 1
) -> Any:
    if call.shape_of(part) == call.shape and step == 1:
        return part
    if not (isinstance(start, int | None) and isinstance(end, int | None)):
        return call.opaque()  # cuts the batch
    return _replace(call, x, part, negative(dim, len(call.shape)), slice(start, end, step))


@lowers("aten.select_scatter.default")
def _select_scatter(call: Call, x: Any, part: Any, dim: int, index: int) -> Any:
    dim = negative(dim, len(call.shape))
    index %= call.shape[dim]
    return _replace(call, x, unsqueeze(call, part, dim + len(call.shape)), dim, slice(index, index + 1))


def _replace(call: Call, x: Any, part: Any, dim: int, at: slice) -> Any:
    """Return x with `part` at some places of an axis (negative)."""
    size = call.shape[dim]
    start, end, step = at.indices(size)
    if isinstance(part, Value):
        placed = call.emit(Place(dim, size, start, end, step), part, shape=call.shape)
    else:
        placed = constant(torch.slice_scatter, call.full(0), part, dim, start, end, step)
    inside = torch.zeros(size, dtype=torch.bool)
    inside[at] = True
    mask = inside.reshape(-1, *(1,) * (-dim - 1))
    return add(call, placed, fill(call, x, mask, 0.0) if isinstance(x, Value) else constant(torch.where, mask, 0.0, x))
