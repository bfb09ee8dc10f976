"""Reading an image at constant places between its pixels: affine, a weighted sum of picks."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from splinegraph.core.algebra import LinearCombination, MoveAxis
from splinegraph.operators.arithmetic import Scale
from splinegraph.operators.linear import LeftMatmul
from splinegraph.operators.registry import Call, Value, constant, lowers
from splinegraph.operators.shape import Gather

__all__: list[str] = []

_LINEAR, _NEAREST = 0, 1
_ZEROS, _BORDER, _REFLECTION = 0, 1, 2


@lowers("aten.grid_sampler.default", "aten.grid_sampler_2d.default", "aten.grid_sampler_3d.default")
def _grid_sample(call: Call, x: Any, grid: Any, mode: int, padding: int, align_corners: bool) -> Any:
    """Lower to one pick from the flattened image per corner of a pixel, weighted by how near it is."""
    if not isinstance(x, Value) or isinstance(grid, Value) or mode not in (_LINEAR, _NEAREST):
        return call.opaque()
    size, where = x.shape[2:], call.shape[2:]
    line = call.reshape(x, shape=(*x.shape[:2], math.prod(size)))
    shape = (*x.shape[:2], math.prod(where))
    corners = list(itertools.product((0, 1), repeat=len(size) if mode == _LINEAR else 0))
    parts = []
    for corner in corners:
        settings = (grid, corner, size, bool(align_corners), padding)
        picked = call.emit(Gather(-1, constant(_corner_index, *settings, x.shape[1])), line, shape=shape)
        parts.append(call.emit(Scale(constant(_corner_weight, *settings)), picked, shape=shape))
    total = parts[0] if len(parts) == 1 else call.emit(LinearCombination((1.0,) * len(parts)), *parts, shape=shape)
    return call.reshape(total)


def _corner_index(
    grid: Tensor, corner: Sequence[int], size: Sequence[int], align: bool, padding: int, channels: int
) -> Tensor:
    """Return the flat place of one corner of the pixel around every point, shape (batch, channels, points)."""
    flat = torch.zeros(grid.shape[:-1], dtype=torch.int64, device=grid.device)
    for position, bit, n in _axes(grid, corner, size, align, padding):
        low = position.floor() if corner else position.round()
        flat = flat * n + (low.long() + bit).clamp(0, n - 1)
    return flat.flatten(1)[:, None].expand(-1, channels, -1)


def _corner_weight(grid: Tensor, corner: Sequence[int], size: Sequence[int], align: bool, padding: int) -> Tensor:
    """Return the share of one corner in every point: none if it is outside of the image."""
    weight = torch.ones(grid.shape[:-1], dtype=grid.dtype, device=grid.device)
    for position, bit, n in _axes(grid, corner, size, align, padding):
        low = position.floor() if corner else position.round()
        share = position - low if bit else 1 - (position - low)
        inside = (low + bit >= 0) & (low + bit <= n - 1)
        weight = weight * inside * (share if corner else 1)
    return weight.flatten(1)[:, None]


def _axes(
    grid: Tensor, corner: Sequence[int], size: Sequence[int], align: bool, padding: int
) -> list[tuple[Tensor, int, int]]:
    """Return position, corner and size per spatial axis; a grid names the axes from the last to the first."""
    found = []
    for i, n in enumerate(size):
        g = grid[..., len(size) - 1 - i]
        position = (g + 1) / 2 * (n - 1) if align else ((g + 1) * n - 1) / 2
        if padding == _REFLECTION:
            position = _reflected(position, 0.0, n - 1.0) if align else _reflected(position, -0.5, n - 0.5)
        if padding != _ZEROS:
            position = position.clamp(0, n - 1)
        found.append((position, corner[i] if corner else 0, n))
    return found


def _reflected(position: Tensor, low: float, high: float) -> Tensor:
    """Return a position folded into [low, high], as between two mirrors."""
    if high == low:
        return torch.zeros_like(position)
    span = high - low
    folded = (position - low).abs() % (2 * span)
    return torch.minimum(folded, 2 * span - folded) + low


@lowers("aten.affine_grid_generator.default")
def _affine_grid(call: Call, theta: Value, size: Sequence[Any], align_corners: bool) -> Value:
    """Return theta applied to every point of the grid of an identity."""
    *_, spatial, columns = theta.shape
    shape = call.shape
    base = constant(_base_grid, shape[1:-1], bool(align_corners), dtype=call.dtype)
    turned = call.emit(MoveAxis(-1, -2), theta, shape=(*theta.shape[:-2], columns, spatial))
    points = call.emit(LeftMatmul(base), turned, shape=(shape[0], math.prod(shape[1:-1]), spatial))
    return call.reshape(points)


def _base_grid(size: Sequence[int], align: bool, dtype: torch.dtype) -> Tensor:
    """Return the points of a grid in [-1, 1], the last axis first, with a one behind: shape (points, d + 1)."""
    lines = []
    for n in size:
        line = torch.linspace(-1, 1, n, dtype=dtype) if n > 1 else torch.zeros(1, dtype=dtype)
        lines.append(line if align else line * (n - 1) / n)
    axes = torch.meshgrid(*lines, indexing="ij")
    return torch.stack([*axes[::-1], torch.ones_like(axes[0])], -1).flatten(0, -2)
