"""Reductions over axes, and what is sorted or searched along one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from splinegraph.tracers.onnx.registry import Node, operator
from splinegraph.tracers.onnx.values import integers

__all__: list[str] = []


def _product(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    for axis in sorted((a % x.dim() for a in axes), reverse=True):
        x = x.prod(axis, keepdim=keep)
    return x


def _extreme(function: Callable[..., Tensor], fill: float) -> Callable[..., Tensor]:
    def reduce(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
        if x.dtype == torch.bool:
            return reduce(x.to(torch.float32), axes, keep) > 0
        if any(isinstance(x.shape[a], int) and x.shape[a] == 0 for a in axes):
            return torch.full_like(x.sum(axes, keepdim=keep), fill)
        return function(x, axes, keep)

    return reduce


def _mean(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    if x.is_floating_point():
        return x.mean(axes, keepdim=keep)
    count = math.prod(x.shape[a] for a in axes)
    return torch.div(x.sum(axes, keepdim=keep), count, rounding_mode="trunc").to(x.dtype)


_REDUCE: dict[str, Callable[[Tensor, tuple[int, ...], bool], Tensor]] = {
    "ReduceSum": lambda x, axes, keep: x.sum(axes, keepdim=keep),
    "ReduceMean": _mean,
    "ReduceMax": _extreme(torch.amax, -math.inf),
    "ReduceMin": _extreme(torch.amin, math.inf),
    "ReduceProd": _product,
    "ReduceL1": lambda x, axes, keep: x.abs().sum(axes, keepdim=keep),
    "ReduceL2": lambda x, axes, keep: (x * x).sum(axes, keepdim=keep).to(torch.float64).sqrt()
    if not x.is_floating_point() else (x * x).sum(axes, keepdim=keep).sqrt(),
    "ReduceSumSquare": lambda x, axes, keep: (x * x).sum(axes, keepdim=keep),
    "ReduceLogSum": lambda x, axes, keep: x.sum(axes, keepdim=keep).log(),
    "ReduceLogSumExp": lambda x, axes, keep: torch.logsumexp(x, axes, keepdim=keep),
}  # fmt: skip


@operator(*_REDUCE, static=(1,))
def _reduce(node: Node, x: Tensor, axes: Any = None) -> Tensor:
    given = node.ints("axes") if axes is None else integers(axes, "the axes of a reduction")
    reduce = _REDUCE[node.op_type]
    if not given:
        if node.get("noop_with_empty_axes", 0):
            plain = node.op_type in ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd",
                                     "ReduceLogSumExp")  # fmt: skip
            return x if plain else reduce(x.unsqueeze(0), (0,), False)
        given = list(range(x.dim()))
    if not given:
        return x if x.dim() else reduce(x.unsqueeze(0), (0,), False)
    return reduce(x, tuple(given), bool(node.get("keepdims", 1))).to(x.dtype)


@operator("ArgMax", "ArgMin")
def _arg(node: Node, x: Tensor) -> Tensor:
    axis, keep = node.get("axis", 0), bool(node.get("keepdims", 1))
    function = torch.argmax if node.op_type == "ArgMax" else torch.argmin
    if node.get("select_last_index", 0):
        return torch.rsub(function(x.flip(axis), axis, keepdim=keep), x.shape[axis] - 1)
    return function(x, axis, keepdim=keep)


@operator("TopK", static=(1,))
def _top_k(node: Node, x: Tensor, k: Any = None) -> tuple[Tensor, Tensor]:
    count = node.get("k") if k is None else integers(k, "the number of largest values")[0]
    axis, largest = node.get("axis", -1), bool(node.get("largest", 1))
    if not x.is_floating_point():  # ties go to the lowest index
        values, index = torch.sort(x, dim=axis, descending=largest, stable=True)
        return values.narrow(axis, 0, count), index.narrow(axis, 0, count)
    values, index = torch.topk(x, count, axis, largest, True)
    return values, index


@operator("NonZero")
def _non_zero(node: Node, x: Tensor) -> Tensor:
    return torch.nonzero(x).t()


@operator("Compress", static=(1,))
def _compress(node: Node, x: Tensor, condition: Any) -> Tensor:
    axis = node.get("axis")
    if axis is None:
        x, axis = x.reshape(-1), 0
    kept = [i for i, keep in enumerate(integers(condition, "what is kept")) if keep]
    return x.index_select(axis, torch.tensor(kept, dtype=torch.int64, device=x.device))
