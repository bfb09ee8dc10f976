"""Padding of convolutions and pools, in the ways that ONNX writes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from splinegraph.tracers.onnx.registry import Node

__all__ = ["Windows", "pad_spatial", "windows_of"]


@dataclass(frozen=True)
class Windows:
    """Sliding windows over the axes after the second.

    Parameters
    ----------
    kernel, strides, dilations : list of int
    before, after : list of int
        Padding.
    """

    kernel: list[int]
    strides: list[int]
    dilations: list[int]
    before: list[int]
    after: list[int]

    @property
    def rank(self) -> int:
        """The number of axes."""
        return len(self.kernel)

    @property
    def symmetric(self) -> bool:
        """Whether both sides are padded alike."""
        return self.before == self.after

    def reach(self, axis: int) -> int:
        """Return the extent of one window."""
        return (self.kernel[axis] - 1) * self.dilations[axis] + 1


def windows_of(node: Node, sizes: Sequence[int], kernel: Sequence[int]) -> Windows:
    """Return a node's windows over an input of the given spatial sizes."""
    rank = len(kernel)
    strides = node.ints("strides", [1] * rank) or []
    dilations = node.ints("dilations", [1] * rank) or []
    found = Windows([int(k) for k in kernel], strides, dilations, [0] * rank, [0] * rank)
    mode = node.get("auto_pad", "NOTSET")
    if mode == "NOTSET":
        pads = node.ints("pads", [0] * 2 * rank) or []
        return Windows(found.kernel, strides, dilations, pads[:rank], pads[rank:])
    if mode == "VALID":
        return found
    for i in range(rank):
        total = max((-(-sizes[i] // strides[i]) - 1) * strides[i] + found.reach(i) - sizes[i], 0)
        small, large = total // 2, total - total // 2
        found.before[i], found.after[i] = (small, large) if mode == "SAME_UPPER" else (large, small)
    return found


def pad_spatial(x: Tensor, before: Sequence[int], after: Sequence[int], value: float = 0.0) -> Tensor:
    """Pad (or, where negative, cut) the last axes."""
    if not any(before) and not any(after):
        return x
    pads: list[Any] = []
    for low, high in zip(reversed(before), reversed(after), strict=True):
        pads += [low, high]
    return F.pad(x, pads, value=value)
