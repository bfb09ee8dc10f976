"""Calls that read only the shape of a live argument, and calls that overwrite one."""

from __future__ import annotations

from typing import Any

import torch

from splinegraph.operators.arithmetic import add
from splinegraph.operators.registry import Call, Value, constant, lowers, negative
from splinegraph.operators.reshaping import cast, expand, fill, unsqueeze
from splinegraph.operators.shape import Place

__all__: list[str] = []


@lowers(
    "aten.zeros_like.default", "aten.new_zeros.default", "aten.zero.default",
    "aten.empty_like.default", "aten.new_empty.default",  # uninitialized: any value will do
)  # fmt: skip
def _zeros(call: Call, x: Value, *_: Any, **kwargs: Any) -> Any:
    return _full(call, 0, kwargs)


@lowers("aten.ones_like.default", "aten.new_ones.default")
def _ones(call: Call, x: Value, *_: Any, **kwargs: Any) -> Any:
    return _full(call, 1, kwargs)


@lowers("aten.full_like.default", "aten.fill.Scalar")
def _full_like(call: Call, x: Value, number: float, **kwargs: Any) -> Any:
    return _full(call, number, kwargs)


@lowers("aten.new_full.default")
def _new_full(call: Call, x: Value, size: Any, number: float, **kwargs: Any) -> Any:
    return _full(call, number, kwargs)


def _full(call: Call, number: float, kwargs: dict[str, Any]) -> Any:
    """Return a constant; tell of a floating type that is written into the model."""
    if isinstance(kwargs.get("dtype"), torch.dtype) and call.dtype.is_floating_point:
        call.note(f"constants are cast to {call.dtype}, as the model does")
    return call.full(number)


@lowers("aten.fill.Tensor", "aten.copy.default")
def _copy(call: Call, x: Any, source: Any, *_: Any) -> Any:
    """Return the source in the shape and dtype of what it is written over."""
    return expand(call, cast(call, source))


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
