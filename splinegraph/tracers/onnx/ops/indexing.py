"""Gathering and scattering."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from splinegraph.errors import TraceError
from splinegraph.tracers.onnx.registry import Node, operator
from splinegraph.tracers.onnx.values import Array, integers, tensor_of

__all__: list[str] = []

_REDUCE = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}


@operator("Gather", static=(1,))
def _gather(node: Node, x: Tensor, index: Any) -> Tensor:
    axis = node.get("axis", 0) % x.dim()
    if isinstance(index, np.ndarray):
        return _gather_fixed(x, axis, index)
    index = index.long()
    if axis == 0 and x.dim() == 2 and 0 in node.constants:
        return F.embedding(index, x)
    index = torch.where(index < 0, index + x.shape[axis], index)
    found = x.index_select(axis, index.reshape(-1))
    return found.reshape([*x.shape[:axis], *index.shape, *x.shape[axis + 1 :]])


def _gather_fixed(x: Tensor, axis: int, index: Array) -> Tensor:
    if index.ndim == 0:
        return x.select(axis, index.item())
    if index.dtype == object:
        places = tensor_of(index, x.device)
    else:
        places = torch.from_numpy(np.where(index < 0, index + x.shape[axis], index).astype(np.int64)).to(x.device)
    found = x.index_select(axis, places.reshape(-1))
    if index.ndim == 1:
        return found
    return found.reshape([*x.shape[:axis], *index.shape, *x.shape[axis + 1 :]])


def _wrapped(index: Tensor, size: Any) -> Tensor:
    index = index.long()
    return torch.where(index < 0, index + size, index)


@operator("GatherElements")
def _gather_elements(node: Node, x: Tensor, index: Tensor) -> Tensor:
    axis = node.get("axis", 0)
    return torch.gather(x, axis, _wrapped(index, x.shape[axis]))


@operator("GatherND")
def _gather_nd(node: Node, x: Tensor, index: Tensor) -> Tensor:
    lead = node.get("batch_dims", 0)
    depth = int(index.shape[-1])
    places = [_wrapped(index[..., k], x.shape[lead + k]) for k in range(depth)]
    if not lead:
        return x[tuple(places)]
    rows = math.prod(x.shape[:lead])
    flat = x.reshape(rows, *x.shape[lead:])
    first = torch.arange(rows, device=x.device).reshape(rows, *[1] * (index.dim() - 1 - lead))
    found = flat[(first, *(p.reshape(rows, *p.shape[lead:]) for p in places))]
    return found.reshape([*index.shape[:-1], *x.shape[lead + depth :]])


@operator("ScatterElements", "Scatter")
def _scatter_elements(node: Node, x: Tensor, index: Tensor, updates: Tensor) -> Tensor:
    axis, reduction = node.get("axis", 0), node.get("reduction", "none")
    index = _wrapped(index, x.shape[axis])
    if reduction == "none":
        return x.scatter(axis, index, updates)
    return x.scatter_reduce(axis, index, updates, _REDUCE[reduction])


@operator("ScatterND")
def _scatter_nd(node: Node, x: Tensor, index: Tensor, updates: Tensor) -> Tensor:
    reduction, depth = node.get("reduction", "none"), int(index.shape[-1])
    places = tuple(_wrapped(index[..., k], x.shape[k]) for k in range(depth))
    if reduction in ("none", "add"):
        return x.index_put(places, updates, accumulate=reduction == "add")
    rest = math.prod(x.shape[depth:])
    offset = torch.zeros_like(places[0])
    for place, size in zip(places, x.shape[:depth], strict=True):
        offset = offset * size + place
    flat = x.reshape(-1, rest)
    rows = offset.reshape(-1, 1).expand(-1, rest)
    found = flat.scatter_reduce(0, rows, updates.reshape(-1, rest), _REDUCE[reduction])
    return found.reshape(x.shape)


@operator("OneHot", static=(1,))
def _one_hot(node: Node, index: Tensor, depth: Any, values: Tensor) -> Tensor:
    count, axis = integers(depth, "the depth of a one-hot code")[0], node.get("axis", -1)
    index = index.long()
    index = torch.where(index < 0, index + count, index)
    axis = axis if axis >= 0 else axis + index.dim() + 1
    places = torch.arange(count, device=index.device).reshape(-1, *[1] * (index.dim() - axis))
    return torch.where(index.unsqueeze(axis) == places, values[1], values[0])


@operator("GridSample")
def _grid_sample(node: Node, x: Tensor, grid: Tensor) -> Tensor:
    mode = {"linear": "bilinear", "cubic": "bicubic"}.get(found := node.get("mode", "bilinear"), found)
    return F.grid_sample(
        x, grid, mode, node.get("padding_mode", "zeros"), align_corners=bool(node.get("align_corners", 0))
    )


@operator("AffineGrid", static=(1,))
def _affine_grid(node: Node, theta: Tensor, size: Any) -> Tensor:
    return F.affine_grid(theta, integers(size, "the size of a grid"), align_corners=bool(node.get("align_corners", 0)))


@operator("Col2Im", static=(1, 2))
def _col2im(node: Node, x: Tensor, image: Any, block: Any) -> Tensor:
    size, kernel = integers(image, "the image's size"), integers(block, "the block's size")
    rank = len(size)
    if rank != 2:
        raise TraceError(f"torch folds images of 2 axes only, not of {rank}")
    strides, dilations = node.ints("strides", [1] * rank), node.ints("dilations", [1] * rank)
    pads = node.ints("pads", [0] * 2 * rank) or []
    padded = [n + a + b for n, a, b in zip(size, pads[:rank], pads[rank:], strict=True)]
    fold: Any = F.fold
    y: Tensor = fold(x, padded, kernel, dilations, 0, strides)
    for axis in range(rank):
        y = y.narrow(2 + axis, pads[axis], size[axis])
    return y


@operator("SequenceConstruct")
def _sequence_construct(node: Node, *args: Tensor) -> list[Tensor]:
    return list(args)


@operator("SplitToSequence", static=(1,))
def _split_to_sequence(node: Node, x: Tensor, split: Any = None) -> list[Tensor]:
    axis = node.get("axis", 0)
    if split is None:
        parts = list(torch.split(x, 1, axis))
        return parts if node.get("keepdims", 1) else [p.squeeze(axis) for p in parts]
    sizes = integers(split, "the sizes of a split")
    return list(torch.split(x, sizes if np.ndim(split) else sizes[0], axis))


@operator("SequenceAt", static=(1,))
def _sequence_at(node: Node, sequence: list[Tensor], place: Any) -> Tensor:
    found: Tensor = sequence[integers(place, "the place in a sequence")[0]]
    return found


@operator("ConcatFromSequence")
def _concat_from_sequence(node: Node, sequence: list[Tensor]) -> Tensor:
    axis: int = node.get("axis", 0)
    return torch.stack(sequence, axis) if node.get("new_axis", 0) else torch.cat(sequence, axis)


@operator("If", static=(-1,))
def _if(node: Node, *args: Any) -> Any:
    raise NotImplementedError  # its module runs a branch
