"""Pools."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from splinegraph.errors import TraceError
from splinegraph.tracers.onnx.ops.windows import Windows, pad_spatial, windows_of
from splinegraph.tracers.onnx.registry import Node, operator

__all__: list[str] = []

_MAX: list[Callable[..., Any]] = [F.max_pool1d, F.max_pool2d, F.max_pool3d]
_MEAN: list[Callable[..., Any]] = [F.avg_pool1d, F.avg_pool2d, F.avg_pool3d]
_CONV: list[Callable[..., Any]] = [F.conv1d, F.conv2d, F.conv3d]


def _windows(node: Node, x: Tensor) -> Windows:
    kernel = node.ints("kernel_shape")
    if kernel is None or not 1 <= len(kernel) <= 3:
        raise TraceError("torch has no such pool", why=f"its kernel is {kernel}")
    return windows_of(node, x.shape[2:], kernel)


def _native(windows: Windows) -> bool:
    """Return whether torch pads like this: both sides alike, by half a window at most."""
    halves = (windows.before[i] <= windows.kernel[i] // 2 for i in range(windows.rank))
    return windows.symmetric and all(halves)


def _filled(windows: Windows, sizes: Sequence[int], *, ceil: bool) -> list[int]:
    """Return the padding after each axis with which the last window just fits in."""
    after = []
    for i, size in enumerate(sizes):
        room = size + windows.before[i] + windows.after[i] - windows.reach(i)
        steps = math.ceil(room / windows.strides[i]) if ceil else room // windows.strides[i]
        if ceil and steps * windows.strides[i] >= size + windows.before[i]:
            steps -= 1  # no window starts in the padding after the input
        after.append(steps * windows.strides[i] + windows.reach(i) - size - windows.before[i])
    return after


@operator("MaxPool")
def _max_pool(node: Node, x: Tensor) -> Any:
    if x.dtype in (torch.int8, torch.uint8):
        return _max_pool(node, x.to(torch.float32)).to(x.dtype)
    windows, ceil, indices = _windows(node, x), bool(node.get("ceil_mode", 0)), 1 in node.wanted
    sizes, padding = [int(n) for n in x.shape[2:]], windows.before
    function = _MAX[windows.rank - 1]
    if not _native(windows):
        if indices:
            raise TraceError("a max pool that returns indices has a padding that torch does not have")
        x = pad_spatial(x, windows.before, _filled(windows, sizes, ceil=ceil), -math.inf)
        padding, ceil = [0] * windows.rank, False
    found = function(
        x, windows.kernel, windows.strides, padding, windows.dilations, ceil_mode=ceil, return_indices=indices
    )
    if not indices:
        return found
    y, index = found
    if node.get("storage_order", 0):
        index = _column_major(index, sizes)
    planes = torch.arange(math.prod(x.shape[:2])).reshape(*x.shape[:2], *[1] * windows.rank)
    return y, index + planes * math.prod(sizes)


def _column_major(index: Tensor, sizes: Sequence[int]) -> Tensor:
    """Renumber places of a plane with the first axis running fastest."""
    found, stride = torch.zeros_like(index), math.prod(sizes)
    for size in reversed(sizes):
        stride //= size
        found = found + index % size * stride
        index = torch.div(index, size, rounding_mode="floor")
    return found


@operator("MaxUnpool", static=(2,))
def _max_unpool(node: Node, x: Tensor, index: Tensor, shape: Any = None) -> Tensor:
    windows = _windows(node, x)
    sizes = [
        (n - 1) * s - a - b + k
        for n, s, a, b, k in zip(
            x.shape[2:], windows.strides, windows.before, windows.after, windows.kernel, strict=True
        )
    ]
    target = list(x.shape[:2]) + sizes
    planes = torch.arange(math.prod(x.shape[:2])).reshape(*x.shape[:2], *[1] * windows.rank)
    full = target if shape is None else [int(n) for n in shape]
    if full != target:  # the indices count in the smaller output, which stays in the corner
        y = _scatter(x, index - planes * math.prod(sizes), target)
        return pad_spatial(y, [0] * windows.rank, [a - b for a, b in zip(full[2:], sizes, strict=True)])
    return _scatter(x, index - planes * math.prod(sizes), target)


def _scatter(x: Tensor, index: Tensor, shape: Sequence[int]) -> Tensor:
    empty = x.new_zeros([*shape[:2], math.prod(shape[2:])])
    return empty.scatter(2, index.flatten(2), x.flatten(2)).reshape(list(shape))


def _sums(x: Tensor, windows: Windows) -> Tensor:
    """Return the sum over every window of an input that is padded already."""
    rank = windows.rank
    if all(d == 1 for d in windows.dilations):
        return _MEAN[rank - 1](x, windows.kernel, windows.strides) * math.prod(windows.kernel)  # type: ignore[no-any-return]
    channels = x.shape[1]
    ones = torch.ones([channels, 1, *windows.kernel], dtype=x.dtype, device=x.device)
    return _CONV[rank - 1](x, ones, None, windows.strides, 0, windows.dilations, channels)  # type: ignore[no-any-return]


@operator("AveragePool")
def _average_pool(node: Node, x: Tensor) -> Tensor:
    windows, ceil = _windows(node, x), bool(node.get("ceil_mode", 0))
    include = bool(node.get("count_include_pad", 0))
    if _native(windows) and all(d == 1 for d in windows.dilations):
        found = _MEAN[windows.rank - 1](x, windows.kernel, windows.strides, windows.before, ceil, include)
        return found  # type: ignore[no-any-return]
    sizes = [int(n) for n in x.shape[2:]]
    after = _filled(windows, sizes, ceil=ceil)
    counted = torch.ones([1, 1, *sizes], dtype=torch.float64)
    if include:
        counted = pad_spatial(counted, windows.before, windows.after, 1.0)
        rest = [a - b for a, b in zip(after, windows.after, strict=True)]
        counts = _sums(pad_spatial(counted, [0] * windows.rank, rest), windows)
    else:
        counts = _sums(pad_spatial(counted, windows.before, after), windows)
    return _sums(pad_spatial(x, windows.before, after), windows) / counts.to(x)


@operator("LpPool")
def _lp_pool(node: Node, x: Tensor) -> Tensor:
    windows, p = _windows(node, x), node.get("p", 2)
    after = _filled(windows, [int(n) for n in x.shape[2:]], ceil=bool(node.get("ceil_mode", 0)))
    powers = pad_spatial(x.abs() ** p, windows.before, after)
    return torch.pow(_sums(powers, windows), 1.0 / p)


def _spatial(x: Tensor) -> tuple[int, ...]:
    return tuple(range(2, x.dim()))


@operator("GlobalAveragePool")
def _global_average(node: Node, x: Tensor) -> Tensor:
    return x.mean(_spatial(x), keepdim=True) if x.dim() > 2 else x


@operator("GlobalMaxPool")
def _global_max(node: Node, x: Tensor) -> Tensor:
    return x.amax(_spatial(x), keepdim=True) if x.dim() > 2 else x


@operator("GlobalLpPool")
def _global_lp(node: Node, x: Tensor) -> Tensor:
    p = node.get("p", 2)
    return torch.pow((x.abs() ** p).sum(_spatial(x), keepdim=True), 1.0 / p)
