"""Lowering of calls that pick entries by constant indices to selections: affine, with zeros and ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from splinegraph.core.parameters import BATCH
from splinegraph.operators.padding import Pad
from splinegraph.operators.registry import Call, Value, constant, lowers, negative
from splinegraph.operators.reshaping import permute
from splinegraph.operators.shape import Gather, IndexSelect

__all__ = ["diagonal", "flat_index", "known_indices", "own_rows", "pick", "rows_index", "windows_of"]


def pick(call: Call, x: Value, dim: int, index: Tensor, shape: Sequence[int] | None = None) -> Value:
    """Return the entries of an axis that a constant list names."""
    if shape is None:
        shape = [index.numel() if i == dim % x.ndim else n for i, n in enumerate(x.shape)]
    return call.emit(IndexSelect(negative(dim, x.ndim), index), x, shape=shape)


@lowers("aten.repeat_interleave.self_int")
def _repeat_interleave(call: Call, x: Value, repeats: Any, dim: int | None = None, **_: Any) -> Any:
    if dim is None or not isinstance(repeats, int) or (x.layout and dim % x.ndim == x.layout.axis):
        return call.opaque()
    return pick(call, x, dim, torch.arange(x.shape[dim]).repeat_interleave(repeats))


@lowers("aten.index_select.default")
def _index_select(call: Call, x: Value, dim: int, index: Any) -> Any:
    fixed = call.fixed(index)
    cuts_batch = x.layout is not None and x.layout.axis == dim % max(x.ndim, 1)
    return call.opaque() if fixed is None or cuts_batch else pick(call, x, dim, fixed.reshape(-1))


@lowers("aten.gather.default")
def _gather(call: Call, x: Any, dim: int, index: Any, **_: Any) -> Any:
    if isinstance(index, Value):
        from splinegraph.operators.live_index import live_gather

        return live_gather(call, x, dim, index)
    if x.ndim == 0 or call.rank(index) != x.ndim:
        return call.opaque()
    return call.emit(Gather(negative(dim, x.ndim), index), x)


def known_indices(call: Call, indices: Sequence[Any]) -> tuple[list[int], list[Tensor]] | None:
    """Return which axes are indexed and by what; a mask counts as the indices of its true entries.

    None if an index is live or differs from sample to sample.
    """
    axes, found, axis = list[int](), list[Tensor](), 0
    for index in indices:
        if index is None:
            axis += 1
            continue
        known = call.fixed(index)
        if known is None:
            return None
        parts = known.nonzero(as_tuple=True) if known.dtype in (torch.bool, torch.uint8) else (known,)
        found.extend(parts)
        axes.extend(range(axis, axis + len(parts)))
        axis += len(parts)
    return axes, found


def flat_index(indices: Sequence[Tensor], sizes: Sequence[int]) -> Tensor:
    """Return one index into the flattened axes of these sizes, in the indices' common shape."""
    flat = torch.zeros((), dtype=torch.int64, device=indices[0].device)
    for index, size in zip(torch.broadcast_tensors(*indices), sizes, strict=True):
        flat = flat * size + index % size
    return flat


@lowers("aten.index.Tensor")
def _index(call: Call, x: Any, indices: Sequence[Any]) -> Any:
    """Lower x[..., i, j, ...] with constant indices or masks to one pick from the flattened axes."""
    if not isinstance(x, Value):
        return call.opaque()
    alone = x.layout is not None and x.layout.axis == 0 and x.layout.factor == 1
    if alone and own_rows(call, indices):
        return _index_each_sample(call, x, indices[1:])
    known = known_indices(call, indices)
    if known is None or (x.layout is not None and x.layout.axis in known[0]):
        return call.opaque()
    axes, fixed = known
    if axes != list(range(axes[0], axes[0] + len(axes))):  # torch puts the indices of scattered axes in front
        x = permute(call, x, [*axes, *(i for i in range(x.ndim) if i not in axes)])
        axes = list(range(len(axes)))
    sizes = [x.shape[i] for i in axes]
    flat = flat_index(fixed, sizes)
    head, tail = x.shape[: axes[0]], x.shape[axes[-1] + 1 :]
    merged = call.reshape(x, shape=(*head, math.prod(sizes), *tail)) if len(axes) > 1 else x
    picked = pick(call, merged, -1 - len(tail), flat.reshape(-1))
    return picked if flat.ndim == 1 else call.reshape(picked, shape=(*head, *flat.shape, *tail))


def own_rows(call: Call, indices: Sequence[Any]) -> bool:
    """Return whether x[arange(batch), i, ...] picks from each sample by itself, the batch being in front."""
    if len(indices) < 2:
        return False
    if any(index is None or isinstance(index, Value) for index in indices) or call.fixed(indices[0]) is not None:
        return False
    for batch in (2, 3):
        found = [call.at(index, batch) for index in indices]
        shape = torch.broadcast_shapes(*(f.shape for f in found))
        if not shape or shape[0] != batch or any(f.dtype == torch.bool for f in found):
            return False
        rows = torch.arange(batch).reshape(-1, *(1,) * (len(shape) - 1))
        if not bool((found[0].broadcast_to(shape) == rows).all()):
            return False
    return True


def _index_each_sample(call: Call, x: Value, indices: Sequence[Any]) -> Value:
    """Return x[arange(batch), i, ...] for constants i, which may differ from sample to sample."""
    sizes = x.shape[1 : 1 + len(indices)]
    tail = x.shape[1 + len(indices) :]
    merged = call.reshape(x, shape=(1, math.prod(sizes), *tail), batch_axis=0)
    index = constant(rows_index, tuple(indices), sizes, BATCH, tail)
    count = math.prod(call.shape[1 : len(call.shape) - len(tail)])
    picked = call.emit(Gather(-1 - len(tail), index), merged, shape=(1, count, *tail))
    return call.reshape(picked)


def rows_index(indices: Sequence[Tensor], sizes: Sequence[int], batch: int, tail: Sequence[int]) -> Tensor:
    """Return indices into the flattened axes of each sample, shape (batch, count, *tail)."""
    flat = flat_index(indices, sizes)
    flat = flat.expand(batch, *flat.shape[1:]).reshape(batch, -1, *(1,) * len(tail))
    return flat.expand(*flat.shape[:2], *tail)


# diagonals and windows


@lowers("aten.diagonal.default", "aten.linalg_diagonal.default")
def diagonal(call: Call, x: Value, offset: int = 0, dim1: int | None = None, dim2: int | None = None) -> Any:
    """Return the diagonal of two axes as the last axis."""
    first, second = (-2, -1) if "linalg" in call.target else (0, 1)
    pair = (first if dim1 is None else dim1) % x.ndim, (second if dim2 is None else dim2) % x.ndim
    if x.layout is not None and x.layout.axis in pair:
        return call.opaque()
    x = permute(call, x, [*(i for i in range(x.ndim) if i not in pair), *pair])
    *head, n, m = x.shape
    merged = call.reshape(x, shape=(*head, n * m))
    return pick(call, merged, -1, torch.arange(n * m).reshape(n, m).diagonal(offset))


@lowers("aten.unfold.default")
def _unfold(call: Call, x: Value, dim: int, size: int, step: int) -> Any:
    dim %= x.ndim
    if x.layout is not None and x.layout.axis == dim:
        return call.opaque()
    windows = torch.arange(x.shape[dim]).unfold(0, size, step)
    head, tail = x.shape[:dim], x.shape[dim + 1 :]
    picked = pick(call, x, dim, windows.reshape(-1))
    apart = call.reshape(picked, shape=(*head, *windows.shape, *tail))
    return permute(call, apart, [*range(dim + 1), *range(dim + 2, x.ndim + 1), dim + 1])


def windows_of(size: Sequence[int], kernel: Any, dilation: Any, padding: Any, stride: Any) -> Tensor:
    """Return the flat place in an image of every entry of every window, -1 in the padding.

    Shape (entries of a window, windows), as `torch.nn.functional.unfold` orders them.
    """
    places = torch.arange(1.0, math.prod(size) + 1, dtype=torch.float64).reshape(1, 1, *size)
    return F.unfold(places, kernel, dilation, padding, stride)[0].long() - 1


@lowers("aten.im2col.default")
def _im2col(call: Call, x: Value, kernel: Any, dilation: Any, padding: Any, stride: Any) -> Any:
    if x.ndim != 4:
        return call.opaque()
    places = windows_of(x.shape[2:], kernel, dilation, padding, stride).reshape(-1)
    count = math.prod(x.shape[2:])
    line = call.reshape(x, shape=(*x.shape[:2], count))
    if bool((places < 0).any()):
        line = call.emit(Pad((0, 1), 0.0), line, shape=(*x.shape[:2], count + 1))
        places = places.where(places >= 0, count)
    return call.reshape(pick(call, line, -1, places))
