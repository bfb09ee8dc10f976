"""Pad, in all modes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from splinegraph.tracers.onnx.registry import Node, operator
from splinegraph.tracers.onnx.values import integers, number

__all__: list[str] = []

_MODES = {"reflect": "reflect", "edge": "replicate", "wrap": "circular"}


@operator("Pad", static=(1, 2, 3))
def _pad(node: Node, x: Tensor, pads: Any = None, value: Any = None, axes: Any = None) -> Tensor:
    sizes = node.ints("pads") if pads is None else integers(pads, "the padding")
    assert sizes is not None
    rank = x.dim()
    places = range(rank) if axes is None else [a % rank for a in integers(axes, "the padded axes")]
    half = len(sizes) // 2
    before, after = [0] * rank, [0] * rank
    for place, low, high in zip(places, sizes[:half], sizes[half:], strict=True):
        before[place], after[place] = low, high
    mode = node.get("mode", "constant")
    if mode == "constant":
        fill = node.get("value", 0.0) if value is None else value if isinstance(value, Tensor) else number(value, "it")
        return _constant(x, before, after, fill)
    padded = [i for i in range(rank) if before[i] or after[i]]
    if not padded:
        return x
    native = rank - padded[0] <= 3 and rank <= 5 and rank - padded[0] in (rank - 2, rank - 1)
    small = all(0 <= p < x.shape[i] for i in padded for p in (before[i], after[i]))
    if native and small:
        return F.pad(x, _flat(before[padded[0] :], after[padded[0] :]), mode=_MODES[mode])
    for axis in padded:
        x = _by_index(x, axis, before[axis], after[axis], mode)
    return x


def _constant(x: Tensor, before: list[int], after: list[int], fill: Any) -> Tensor:
    if isinstance(fill, Tensor):
        inside = F.pad(torch.ones_like(x, dtype=torch.bool), _flat(before, after))
        return torch.where(inside, F.pad(x, _flat(before, after)), fill.reshape(()))
    if not any(before) and not any(after):
        return x
    first = next(i for i in range(x.dim()) if before[i] or after[i])
    return F.pad(x, _flat(before[first:], after[first:]), value=fill)


def _flat(before: list[int], after: list[int]) -> list[int]:
    """Return torch's order: the last axis first."""
    return [n for pair in zip(reversed(before), reversed(after), strict=True) for n in pair]


def _by_index(x: Tensor, axis: int, before: int, after: int, mode: str) -> Tensor:
    index = np.arange(x.shape[axis])
    index = index[max(-before, 0) : len(index) - max(-after, 0)]
    padding = (max(before, 0), max(after, 0))
    index = np.pad(index, padding, mode=mode)  # type: ignore[call-overload]
    return x.index_select(axis, torch.from_numpy(index).to(x.device))
