"""Calls that read only the shape of a live argument, and calls that overwrite one."""

from __future__ import annotations

from typing import Any

from splinegraph.operators.registry import Call, Value, lowers
from splinegraph.operators.reshaping import cast, expand

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
