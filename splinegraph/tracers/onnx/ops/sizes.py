"""Arithmetic on sizes: operators whose inputs are all known without the input's values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from splinegraph.tracers.onnx.registry import Node, static
from splinegraph.tracers.onnx.values import NUMPY, Array, integers, tidy


def _each(function: Any, *arrays: Array) -> Array:
    """Apply a function of Python numbers to arrays that may hold symbolic ones."""
    return tidy(np.frompyfunc(function, len(arrays), 1)(*arrays))


_UFUNCS = {
    "Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Equal": np.equal, "Less": np.less,
    "LessOrEqual": np.less_equal, "Greater": np.greater, "GreaterOrEqual": np.greater_equal,
    "And": np.logical_and, "Or": np.logical_or, "Not": np.logical_not, "Neg": np.negative, "Abs": np.abs,
}  # fmt: skip


@static(*_UFUNCS)
def _ufunc(node: Node, *args: Array) -> Array:
    return tidy(_UFUNCS[node.op_type](*args))


@static("Min", "Max", "Sum")
def _fold(node: Node, *args: Array) -> Array:
    both = {"Min": torch.sym_min, "Max": torch.sym_max, "Sum": lambda a, b: a + b}[node.op_type]
    known = {"Min": np.minimum, "Max": np.maximum, "Sum": np.add}[node.op_type]
    found = args[0]
    for other in args[1:]:
        symbolic = object in (found.dtype, other.dtype)
        found = _each(both, found, other) if symbolic else np.asarray(known(found, other))
    return found


@static("Div")
def _div(node: Node, a: Array, b: Array) -> Array:
    if object in (a.dtype, b.dtype):
        whole = all(isinstance(n, int | torch.SymInt) for n in [*a.reshape(-1), *b.reshape(-1)])
        return _each(lambda x, y: x // y if whole else x / y, a, b)
    if a.dtype.kind in "iu":
        return np.asarray(np.trunc(a / b)).astype(a.dtype) if (a < 0).any() or (b < 0).any() else np.asarray(a // b)
    return np.asarray(a / b)


@static("Mod")
def _mod(node: Node, a: Array, b: Array) -> Array:
    return tidy(np.fmod(a, b) if node.get("fmod", 0) else np.mod(a, b))


@static("Pow")
def _pow(node: Node, a: Array, b: Array) -> Array:
    return _each(lambda x, y: x**y, a, b) if a.dtype == object else np.asarray(np.power(a, b)).astype(a.dtype)


@static("Sqrt")
def _sqrt(node: Node, a: Array) -> Array:
    return _each(torch.sym_sqrt, a) if a.dtype == object else np.sqrt(a)


@static("Floor", "Ceil")
def _round(node: Node, a: Array) -> Array:
    if a.dtype == object:
        rounds = math.floor if node.op_type == "Floor" else math.ceil
        return _each(lambda n: torch.sym_float(rounds(n)), a)
    return np.floor(a) if node.op_type == "Floor" else np.ceil(a)


@static("Cast")
def _cast(node: Node, a: Array) -> Any:
    to = node.get("to")
    if to not in NUMPY:
        return NotImplemented
    if a.dtype == object:
        kind = np.dtype(NUMPY[to]).kind
        return _each({"f": torch.sym_float, "i": torch.sym_int}[kind], a) if kind in "fi" else NotImplemented
    return a.astype(NUMPY[to])


@static("Identity")
def _identity(node: Node, a: Array) -> Array:
    return a


@static("Gather")
def _gather(node: Node, data: Array, index: Array) -> Array:
    return tidy(np.take(data, index.astype(np.int64), axis=node.get("axis", 0)))


@static("Concat")
def _concat(node: Node, *args: Array) -> Array:
    return tidy(np.concatenate(args, axis=node.get("axis", 0)))


@static("Reshape")
def _reshape(node: Node, data: Array, shape: Array | None = None) -> Array:
    sizes = node.ints("shape") if shape is None else integers(shape, "the new shape")
    assert sizes is not None
    if not node.get("allowzero", 0):
        sizes = [data.shape[i] if n == 0 else n for i, n in enumerate(sizes)]
    return data.reshape([int(n) for n in sizes])


def _axes(node: Node, axes: Array | None) -> tuple[int, ...] | None:
    found = node.ints("axes") if axes is None else integers(axes, "the axes")
    return None if found is None else tuple(found)


@static("Unsqueeze")
def _unsqueeze(node: Node, data: Array, axes: Array | None = None) -> Array:
    return np.expand_dims(data, _axes(node, axes) or ())


@static("Squeeze")
def _squeeze(node: Node, data: Array, axes: Array | None = None) -> Array:
    return np.squeeze(data, _axes(node, axes))


@static("Transpose")
def _transpose(node: Node, data: Array) -> Array:
    return np.transpose(data, node.ints("perm"))


@static("Slice")
def _slice(node: Node, data: Array, *given: Array | None) -> Array:
    start, end = (integers(x, "a slice") if x is not None else [] for x in (given or (None, None))[:2])
    if not given:
        start, end = node.ints("starts") or [], node.ints("ends") or []
    axes = _axes(node, given[2] if len(given) > 2 else None) or range(len(start))
    steps = integers(given[3], "a slice") if len(given) > 3 and given[3] is not None else [1] * len(start)
    index: list[Any] = [slice(None)] * data.ndim
    for axis, a, b, step in zip(axes, start, end, steps, strict=True):
        index[axis] = slice(*slice(a, b, step).indices(data.shape[axis])) if step > 0 else _backward(a, b, step)
    return tidy(data[tuple(index)])


def _backward(start: int, end: int, step: int) -> slice:
    """Return a slice that runs backward; ends before the first entry are written as very negative numbers."""
    return slice(start, None if end < -(2**30) else end, step)


@static("Split")
def _split(node: Node, data: Array, sizes: Array | None = None) -> tuple[Array, ...]:
    axis = node.get("axis", 0)
    parts = node.ints("split") if sizes is None else integers(sizes, "the sizes of a split")
    if parts is None:
        step = -(-data.shape[axis] // node.outputs)
        parts = [step] * node.outputs
    return tuple(tidy(part) for part in np.split(data, np.cumsum(parts)[:-1], axis=axis))


@static("Expand")
def _expand(node: Node, data: Array, shape: Array) -> Any:
    if shape.dtype == object:
        return NotImplemented
    return np.broadcast_to(data, np.broadcast_shapes(data.shape, tuple(shape.tolist()))).copy()


@static("Tile")
def _tile(node: Node, data: Array, repeats: Array) -> Any:
    return NotImplemented if repeats.dtype == object else np.tile(data, repeats)


@static("Where")
def _where(node: Node, condition: Array, a: Array, b: Array) -> Array:
    return tidy(np.where(condition.astype(bool), a, b))


@static("Range")
def _range(node: Node, start: Array, limit: Array, delta: Array) -> Any:
    if object in (start.dtype, limit.dtype, delta.dtype):
        return NotImplemented
    return np.arange(start.item(), limit.item(), delta.item(), dtype=start.dtype)


@static("ConstantOfShape")
def _constant_of_shape(node: Node, shape: Array) -> Any:
    if shape.dtype == object:
        return NotImplemented
    value = np.asarray(node.get("value", np.zeros(1, np.float32)))
    return np.full([int(n) for n in shape.reshape(-1)], value.reshape(-1)[0], dtype=value.dtype)


@static("ReduceProd", "ReduceSum", "ReduceMin", "ReduceMax")
def _reduce(node: Node, data: Array, axes: Array | None = None) -> Any:
    given = _axes(node, axes)
    if not given and node.get("noop_with_empty_axes", 0):
        return data
    if data.dtype == object and node.op_type in ("ReduceMin", "ReduceMax"):
        return NotImplemented
    function: Any = {"ReduceProd": np.prod, "ReduceSum": np.sum, "ReduceMin": np.min, "ReduceMax": np.max}[node.op_type]
    found = function(data, axis=given or None, keepdims=bool(node.get("keepdims", 1)))
    return tidy(found) if data.dtype == object else np.asarray(found).astype(data.dtype)


@static("NonZero")
def _nonzero(node: Node, data: Array) -> Any:
    return NotImplemented if data.dtype == object else np.asarray(np.nonzero(data), dtype=np.int64)


@static("Size")
def _size(node: Node, data: Array) -> Array:
    return np.asarray(data.size, dtype=np.int64)


@static("Shape")
def _shape(node: Node, data: Array) -> Array:
    end = node.get("end")
    return np.asarray(data.shape[node.get("start", 0) : end], dtype=np.int64)
