"""Operators that move, cut, join or fill values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from splinegraph.errors import TraceError
from splinegraph.tracers.onnx.registry import Node, operator
from splinegraph.tracers.onnx.values import TORCH, Array, as_array, integers, tensor_of

__all__: list[str] = []

_FAR = 1 << 31
"""An index that means 'to the end'."""


@operator("Identity")
def _identity(node: Node, x: Any) -> Any:
    return x


@operator("Dropout", static=(1, 2))
def _dropout(node: Node, x: Tensor, ratio: Any = None, training: Any = None) -> Any:
    if training is not None and (isinstance(training, Tensor) or bool(training.reshape(-1)[0])):
        raise TraceError("a dropout in training mode is random", remedy="export the model in eval mode")
    return (x, torch.ones_like(x, dtype=torch.bool)) if 1 in node.wanted else x


@operator("Cast")
def _cast(node: Node, x: Tensor) -> Tensor:
    dtype = TORCH.get(node.get("to"))
    if dtype is None:
        raise TraceError(f"a cast to ONNX's type {node.get('to')} has no torch counterpart")
    return x if x.dtype == dtype else x.to(dtype)


@operator("CastLike")
def _cast_like(node: Node, x: Tensor, like: Tensor) -> Tensor:
    return x if x.dtype == like.dtype else x.to(like.dtype)


@operator("Shape")
def _shape(node: Node, x: Tensor) -> Array:
    return as_array(list(x.shape)[node.get("start", 0) : node.get("end")])


@operator("Size")
def _size(node: Node, x: Tensor) -> Array:
    return as_array([math.prod(x.shape)]).reshape(())


@operator("ConstantOfShape", static=(0,))
def _constant_of_shape(node: Node, shape: Any) -> Tensor:
    value = node.get("value")
    number = torch.zeros(1) if value is None else tensor_of(value)
    return torch.full(integers(shape, "the shape of a constant"), number.reshape(-1)[0].item(), dtype=number.dtype)


@operator("Range", static=(0, 1, 2))
def _range(node: Node, start: Any, limit: Any, delta: Any) -> Tensor:
    first, last, step = (integers(n, "the end of a range")[0] for n in (start, limit, delta))
    return torch.arange(first, last, step)


@operator("EyeLike")
def _eye_like(node: Node, x: Tensor) -> Tensor:
    dtype = TORCH.get(node.get("dtype", 0), x.dtype)
    offsets = torch.arange(x.shape[1])[None] - torch.arange(x.shape[0])[:, None]
    return torch.eq(offsets, node.get("k", 0)).to(dtype)


@operator("Reshape", static=(1,))
def _reshape(node: Node, x: Tensor, shape: Any = None) -> Tensor:
    sizes = node.ints("shape") if shape is None else integers(shape, "the new shape")
    assert sizes is not None
    copied = set() if node.get("allowzero", 0) else {i for i, n in enumerate(sizes) if isinstance(n, int) and n == 0}
    if copied:
        sizes = [x.shape[i] if isinstance(n, int) and n == 0 else n for i, n in enumerate(sizes)]
    if node.fixed_batch is not None and 0 not in node.constants and all(isinstance(n, int) for n in sizes):
        sizes = _any_batch(node, x, sizes, copied)
    return x.reshape(sizes)


def _any_batch(node: Node, x: Tensor, sizes: list[int], copied: set[int]) -> list[int]:
    """Return a shape that was written for one batch size so that it fits the batch at hand.

    The batch stays where it is: as many entries come before it in the new shape as in the old. It may then
    lead one axis or end the one before; that is settled for the whole file by trying.
    """
    old = node.shape
    if old is None or len(old) != x.dim():
        whole = sizes and sizes[0] == node.fixed_batch and -1 not in sizes
        return [-1, *sizes[1:]] if whole else sizes
    moved = [i for i, (n, m) in enumerate(zip(x.shape, old, strict=True)) if not (isinstance(n, int) and n == m)]
    if len(moved) != 1 or moved[0] in copied:
        return sizes  # the shape takes the batch over already
    if -1 in sizes:
        rest = -math.prod(sizes)
        sizes = [math.prod(old) // rest if n == -1 and rest else n for n in sizes]
    before = math.prod(old[: moved[0]])
    fits = [i for i in range(len(sizes)) if math.prod(sizes[:i]) == before]
    if node.sequence_first:
        ones = [i for i, n in enumerate(sizes) if n == node.fixed_batch and [*sizes[:i], *sizes[i + 1 :]] == list(old)]
        fits = ones or [max(i - 1, 0) if i == len(sizes) - 1 else i for i in fits]
    return [-1 if i == fits[0] else n for i, n in enumerate(sizes)] if fits else sizes


@operator("Flatten")
def _flatten(node: Node, x: Tensor) -> Tensor:
    axis = node.get("axis", 1)
    axis = axis + x.dim() if axis < 0 else axis
    if axis == 1 and x.dim() > 1:
        return x.flatten(1)
    return x.reshape(math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))


@operator("Transpose")
def _transpose(node: Node, x: Tensor) -> Tensor:
    return x.permute(node.ints("perm") or list(reversed(range(x.dim()))))


def _axes(node: Node, axes: Any) -> list[int] | None:
    return node.ints("axes") if axes is None else integers(axes, "the axes")


@operator("Unsqueeze", static=(1,))
def _unsqueeze(node: Node, x: Tensor, axes: Any = None) -> Tensor:
    given = _axes(node, axes) or []
    rank = x.dim() + len(given)
    for axis in sorted(a % rank for a in given):
        x = x.unsqueeze(axis)
    return x


@operator("Squeeze", static=(1,))
def _squeeze(node: Node, x: Tensor, axes: Any = None) -> Tensor:
    given = _axes(node, axes)
    return x.squeeze() if given is None else x.squeeze(tuple(given))


@operator("Expand", static=(1,))
def _expand(node: Node, x: Tensor, shape: Any) -> Tensor:
    sizes = integers(shape, "the shape of an expansion")
    have = [1] * (len(sizes) - x.dim()) + list(x.shape)
    sizes = [1] * (len(have) - len(sizes)) + sizes
    # a size of one gives way to the other's
    return x.expand([h if isinstance(s, int) and s == 1 else s for h, s in zip(have, sizes, strict=True)])


@operator("Tile", static=(1,))
def _tile(node: Node, x: Tensor, repeats: Any) -> Tensor:
    return x.repeat(integers(repeats, "the repeats of a tile"))


@operator("Concat")
def _concat(node: Node, *args: Tensor) -> Tensor:
    axis = node.get("axis", 0)
    rank = args[0].dim()
    if node.fixed_batch == 1 and axis % rank and any(_other_batch(a, args[0]) for a in args):
        # what the file stores for its one sample meets a batch
        batch = next(a.shape[0] for a in args if not _is_one(a.shape[0]))
        args = tuple(a.expand(batch, *a.shape[1:]) if _is_one(a.shape[0]) else a for a in args)
    return torch.cat([a for a in args if not (a.dim() == 1 and _is_zero(a.shape[0]) and rank > 1)], axis)


def _is_one(size: Any) -> bool:
    return isinstance(size, int) and size == 1


def _is_zero(size: Any) -> bool:
    return isinstance(size, int) and size == 0


def _other_batch(a: Tensor, b: Tensor) -> bool:
    return a.dim() == b.dim() and _is_one(a.shape[0]) != _is_one(b.shape[0])


@operator("Split", static=(1,))
def _split(node: Node, x: Tensor, sizes: Any = None) -> Sequence[Tensor]:
    axis = node.get("axis", 0)
    parts = node.ints("split") if sizes is None else integers(sizes, "the sizes of a split")
    if parts is None:
        count = node.get("num_outputs", node.outputs)
        step = -(-x.shape[axis] // count)
        parts = [step] * (count - 1) + [x.shape[axis] - step * (count - 1)]
    return tuple(torch.split(x, parts, axis))


@operator("Slice", static=(1, 2, 3, 4))
def _slice(node: Node, x: Tensor, *given: Any) -> Tensor:
    if given:
        start, end = integers(given[0], "a slice"), integers(given[1], "a slice")
        axes = _axes(node, given[2]) if len(given) > 2 and given[2] is not None else list(range(len(start)))
        steps = integers(given[3], "a slice") if len(given) > 3 and given[3] is not None else [1] * len(start)
    else:
        start, end = node.ints("starts") or [], node.ints("ends") or []
        axes, steps = node.ints("axes", range(len(start))), [1] * len(start)
    for axis, a, b, step in zip(axes or [], start, end, steps, strict=True):
        x = _slice_axis(x, axis % x.dim(), a, b, step)
    return x


def _slice_axis(x: Tensor, axis: int, start: Any, end: Any, step: int) -> Tensor:
    size = x.shape[axis]
    if all(isinstance(n, int) for n in (size, start, end)):
        if step < 0:
            low = None if end < -(_FAR >> 1) else end
            index = list(range(size))[slice(start, low, step)]
            if index == list(range(size - 1, -1, -1)):
                return x.flip(axis)
            return x.index_select(axis, torch.tensor(index, dtype=torch.int64, device=x.device))
        start, end, step = slice(start, end, step).indices(size)
        if (start, end, step) == (0, size, 1):
            return x
    elif isinstance(end, int) and end >= _FAR - 1:
        if isinstance(start, int) and start == 0 and step == 1:
            return x
        end = size
    return x[(slice(None),) * axis + (slice(start, end, step),)]


@operator("Trilu", static=(1,))
def _trilu(node: Node, x: Tensor, k: Any = None) -> Tensor:
    offset = 0 if k is None else integers(k, "the diagonal")[0]
    return torch.triu(x, offset) if node.get("upper", 1) else torch.tril(x, offset)


@operator("DepthToSpace")
def _depth_to_space(node: Node, x: Tensor) -> Tensor:
    block = node.get("blocksize")
    if node.get("mode", "DCR") == "CRD":
        return torch.pixel_shuffle(x, block)
    n, c, h, w = x.shape
    x = x.reshape(n, block, block, c // block**2, h, w).permute(0, 3, 4, 1, 5, 2)
    return x.reshape(n, c // block**2, h * block, w * block)


@operator("SpaceToDepth")
def _space_to_depth(node: Node, x: Tensor) -> Tensor:
    block = node.get("blocksize")
    n, c, h, w = x.shape
    if node.get("mode", "DCR") == "CRD":
        return torch.pixel_unshuffle(x, block)
    x = x.reshape(n, c, h // block, block, w // block, block).permute(0, 3, 5, 1, 2, 4)
    return x.reshape(n, c * block**2, h // block, w // block)


@operator("ReverseSequence", static=(1,))
def _reverse_sequence(node: Node, x: Tensor, lengths: Any) -> Tensor:
    time, batch = node.get("time_axis", 0), node.get("batch_axis", 1)
    parts = []
    for i, length in enumerate(integers(lengths, "the lengths of sequences")):
        row = x.select(batch, i)
        axis = time - (time > batch)
        parts.append(
            torch.cat([row.narrow(axis, 0, length).flip(axis), row.narrow(axis, length, x.shape[time] - length)], axis)
        )
    return torch.stack(parts, batch)
