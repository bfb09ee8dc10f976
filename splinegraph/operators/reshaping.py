"""Lowering of torch's many shape calls to the few operators of `shape` and `padding`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from splinegraph.core.algebra import Select
from splinegraph.operators.arithmetic import add
from splinegraph.operators.registry import Call, Value, constant, lowers, negative
from splinegraph.operators.shape import (
    Concat,
    Expand,
    Flip,
    MaskedFill,
    Permute,
    Repeat,
    Roll,
    Slice,
    align,
    unsqueeze_to,
)
from splinegraph.operators.training import Dropout

__all__ = ["blend", "cast", "expand", "fill", "permute", "unsqueeze"]


@lowers(
    "aten.view.default", "aten.reshape.default", "aten._unsafe_view.default", "aten.flatten.using_ints",
    "aten.unflatten.int", "aten.squeeze.dim", "aten.squeeze.dims", "aten.squeeze.default", "aten.unsqueeze.default",
    "aten.view_as.default", "aten.reshape_as.default", "aten.ravel.default", "aten._reshape_copy.default",
)  # fmt: skip
def _reshape(call: Call, x: Any, *_: Any, **__: Any) -> Any:
    if not isinstance(x, Value):
        return constant(torch.reshape, x, call.sizes)
    return x if call.keeps(x) else call.reshape(x)


@lowers(
    "aten.contiguous.default", "aten.clone.default", "aten.alias.default", "aten.detach.default",
    "aten.lift_fresh.default", "aten.lift_fresh_copy.default", "aten.positive.default",
    "aten.resolve_conj.default", "aten.resolve_neg.default", "aten._assert_tensor_metadata.default",
)  # fmt: skip
def _identity(call: Call, x: Value, *_: Any, **__: Any) -> Value:
    return x


@lowers(
    "aten.dropout.default", "aten.feature_dropout.default", "aten.alpha_dropout.default",
    "aten.feature_alpha_dropout.default",
)  # fmt: skip
def _dropout(call: Call, x: Value, p: float, train: bool) -> Any:
    if not train or p == 0:
        return x
    channels, alpha = "feature" in call.target, "alpha" in call.target
    return call.emit(Dropout(p, channels, alpha), x) if call.training else call.opaque()


@lowers("aten.native_dropout.default")
def _native_dropout(call: Call, x: Value, p: float, train: bool | None) -> Any:
    if not train or p == 0:
        return (x,)
    return (call.emit(Dropout(p), x),) if call.training else call.opaque()


@lowers("aten.to.dtype", "aten._to_copy.default", "aten.to.dtype_layout", "aten.type_as.default", "aten.to.device")
def cast(call: Call, x: Any, *args: Any, **kwargs: Any) -> Any:
    """Return x in the dtype of the call's result; all floating types are one."""
    if not isinstance(x, Value):
        return constant(torch.Tensor.to, x, dtype=call.dtype)
    if x.dtype.is_floating_point and call.dtype.is_floating_point:
        if x.dtype != call.dtype:
            call.note(f"a cast from {x.dtype} to {call.dtype} is seen as the identity")
        elif call.dtype in (*args, kwargs.get("dtype")):  # the model may round to it when it runs in another type
            call.note(f"a cast to {call.dtype} is seen as the identity")
        return x
    if x.dtype == call.dtype or call.dtype.is_complex:
        return x if x.dtype == call.dtype else call.opaque()
    from splinegraph.operators.comparison import number, truth
    from splinegraph.operators.division import ToInteger

    if call.dtype == torch.bool:
        return truth(call, x)
    if x.dtype.is_floating_point:
        x = call.emit(ToInteger(), x, shape=x.shape)
    return x if x.dtype == call.dtype else number(call, x, None if call.dtype.is_floating_point else call.dtype)


def permute(call: Call, x: Value, dims: Sequence[int]) -> Value:
    """Return x with its axes in another order."""
    dims = tuple(negative(d, x.ndim) for d in dims)
    if dims == tuple(range(-x.ndim, 0)):
        return x
    return call.emit(Permute(dims), x, shape=tuple(x.shape[d] for d in dims))


@lowers("aten.permute.default")
def _permute_call(call: Call, x: Value, dims: Sequence[int]) -> Value:
    return permute(call, x, dims)


@lowers("aten.transpose.int", "aten.swapaxes.default", "aten.swapdims.default")
def _transpose(call: Call, x: Value, dim0: int, dim1: int) -> Value:
    dims = list(range(x.ndim))
    dims[dim0], dims[dim1] = dims[dim1], dims[dim0]
    return permute(call, x, dims)


@lowers("aten.t.default", "aten.numpy_T.default")
def _reverse_axes(call: Call, x: Value) -> Value:
    return permute(call, x, range(x.ndim)[::-1])


@lowers("aten.mT.default", "aten.adjoint.default")
def _matrix_transpose(call: Call, x: Value) -> Value:
    return _transpose(call, x, -2, -1)


@lowers("aten.movedim.int", "aten.movedim.intlist", "aten.moveaxis.int")
def _movedim(call: Call, x: Value, source: int | Sequence[int], destination: int | Sequence[int]) -> Value:
    source = [source] if isinstance(source, int) else list(source)
    destination = [destination] if isinstance(destination, int) else list(destination)
    placed = {d % x.ndim: s % x.ndim for s, d in zip(source, destination, strict=True)}
    rest = iter(d for d in range(x.ndim) if d not in placed.values())
    return permute(call, x, [placed[i] if i in placed else next(rest) for i in range(x.ndim)])


@lowers("aten.expand.default", "aten.expand_as.default", "aten.broadcast_to.default")
def expand(call: Call, x: Any, *_: Any, **__: Any) -> Any:
    """Return x broadcast to the shape of the call's result."""
    if not isinstance(x, Value):
        return constant(torch.broadcast_to, x, call.sizes)
    x = unsqueeze_to(call, x, len(call.shape))
    if call.keeps(x):
        return x
    sizes = tuple(-1 if n == m else m for n, m in zip(x.shape, call.shape, strict=True))
    return call.emit(Expand(sizes), x)


@lowers("aten.slice.Tensor")
def _slice(call: Call, x: Value, dim: int = 0, start: Any = None, end: Any = None, step: int = 1) -> Any:
    if step == 1 and call.keeps(x):
        return x
    if not (isinstance(start, int | None) and isinstance(end, int | None)):
        return call.opaque()  # cuts the batch
    first, last = start or 0, end if end is not None else 2**63 - 1
    return call.emit(Slice(negative(dim, x.ndim), first, last, step), x)


@lowers("aten.narrow.default")
def _narrow(call: Call, x: Value, dim: int, start: int, length: int) -> Value:
    return call.emit(Slice(negative(dim, x.ndim), start, start + length), x)


@lowers("aten.select.int")
def _select(call: Call, x: Value, dim: int, index: int) -> Value:
    return call.emit(Select(negative(dim, x.ndim), index), x)


@lowers("aten.unbind.int")
def _unbind(call: Call, x: Value, dim: int = 0) -> tuple[Value, ...]:
    dim = negative(dim, x.ndim)
    return tuple(call.emit(Select(dim, i), x, shape=shape) for i, shape in enumerate(call.shapes))


@lowers(
    "aten.split.Tensor", "aten.split_with_sizes.default", "aten.chunk.default", "aten.tensor_split.sections",
    "aten.split.sizes", "aten.tensor_split.indices", "aten.unsafe_split.Tensor", "aten.unsafe_chunk.default",
)  # fmt: skip
def _split(call: Call, x: Value, sizes: Any, dim: int = 0) -> tuple[Value, ...]:
    dim, start, parts = negative(dim, x.ndim), 0, []
    for shape in call.shapes:
        parts.append(call.emit(Slice(dim, start, start + shape[dim]), x, shape=shape))
        start += shape[dim]
    return tuple(parts)


@lowers("aten.cat.default", "aten.concat.default")
def _cat(call: Call, tensors: Sequence[Any], dim: int = 0) -> Value:
    # torch lets empty 1-D tensors be part of any concatenation
    parts = [t for t in tensors if isinstance(t, Value) or 0 not in call.shape_of(t)]
    fixed = tuple(None if isinstance(t, Value) else t for t in parts)
    live = [t for t in parts if isinstance(t, Value)]
    if len(parts) == 1:
        return live[0]
    known = () if all(f is None for f in fixed) else fixed
    return call.emit(Concat(negative(dim, len(call.shape)), known), *live)


def unsqueeze(call: Call, x: Any, at: int) -> Any:
    """Return x with an axis of size one at `at`."""
    if not isinstance(x, Value):
        return constant(torch.unsqueeze, x, at)
    axis = None if x.layout is None else x.layout.axis + (x.layout.axis >= at)
    return call.reshape(x, shape=(*x.shape[:at], 1, *x.shape[at:]), batch_axis=axis)


@lowers("aten.stack.default")
def _stack(call: Call, tensors: Sequence[Any], dim: int = 0) -> Value:
    at = dim % len(call.shape)
    parts = [unsqueeze(call, t, at) for t in tensors]
    return _cat(call, parts, at)


@lowers("aten.flip.default")
def _flip(call: Call, x: Value, dims: Sequence[int]) -> Value:
    return call.emit(Flip(tuple(negative(d, x.ndim) for d in dims)), x)


@lowers("aten.roll.default")
def _roll(call: Call, x: Value, shifts: Any, dims: Any = ()) -> Any:
    shifts = [shifts] if isinstance(shifts, int) else list(shifts)
    dims = [dims] if isinstance(dims, int) else list(dims)
    if not dims:
        return call.opaque()
    return call.emit(Roll(tuple(shifts), tuple(negative(d, x.ndim) for d in dims)), x)


@lowers("aten.repeat.default", "aten.tile.default")
def _repeat(call: Call, x: Value, times: Sequence[Any]) -> Any:
    if not all(isinstance(t, int) for t in times):
        return call.opaque()
    x = unsqueeze_to(call, x, len(times))
    return call.emit(Repeat((1,) * (x.ndim - len(times)) + tuple(times)), x)


@lowers("aten.pixel_shuffle.default")
def _pixel_shuffle(call: Call, x: Value, factor: int) -> Value:
    *head, c, h, w = x.shape
    n, c = len(head), c // factor**2
    apart = call.reshape(x, shape=(*head, c, factor, factor, h, w))
    order = [*range(n), n, n + 3, n + 1, n + 4, n + 2]
    return call.reshape(permute(call, apart, order))


@lowers("aten.pixel_unshuffle.default")
def _pixel_unshuffle(call: Call, x: Value, factor: int) -> Value:
    *head, c, h, w = x.shape
    n = len(head)
    apart = call.reshape(x, shape=(*head, c, h // factor, factor, w // factor, factor))
    order = [*range(n), n, n + 2, n + 4, n + 1, n + 3]
    return call.reshape(permute(call, apart, order))


# masks


def blend(call: Call, condition: Any, a: Any, b: Any) -> Any:
    """Return where(condition, a, b) for a constant condition."""
    opposite = constant(torch.logical_not, condition)
    if isinstance(a, Value) and isinstance(b, Value):
        a, b = align(call, a, b)
        return add(call, fill(call, a, opposite, 0.0), fill(call, b, condition, 0.0))
    return fill(call, a, opposite, b) if isinstance(a, Value) else fill(call, b, condition, a)


def fill(call: Call, x: Value, mask: Any, value: Any) -> Value:
    """Return x with `value` wherever the constant `mask` holds."""
    plain = isinstance(value, float | int)
    x = unsqueeze_to(call, x, max(call.rank(mask), 0 if plain else call.rank(value)))
    shape = call.broadcast(x.shape, mask)
    shape = shape if plain else call.broadcast(shape, value)
    return call.emit(MaskedFill(mask, float(value) if plain else value), x, shape=shape)


@lowers("aten.masked_fill.Scalar", "aten.masked_fill.Tensor")
def _maskedfill(call: Call, x: Any, mask: Any, value: Any) -> Any:
    if isinstance(mask, Value):
        from splinegraph.operators.comparison import lower_where

        return lower_where(call, mask, value, x)
    if isinstance(value, Value) or not isinstance(x, Value):
        return call.opaque()
    return fill(call, x, mask, value)


@lowers("aten.tril.default", "aten.triu.default")
def _triangle(call: Call, x: Value, diagonal: int = 0) -> Value:
    keep = torch.ones(x.shape[-2:], dtype=torch.bool)
    keep = keep.tril(diagonal) if "tril" in call.target else keep.triu(diagonal)
    return fill(call, x, ~keep, 0.0)
