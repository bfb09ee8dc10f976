"""Convolutions and transposed convolutions."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from splinegraph.errors import TraceError
from splinegraph.tracers.onnx.ops.windows import pad_spatial, windows_of
from splinegraph.tracers.onnx.registry import Node, operator

__all__ = ["conv"]

_CONV: list[Callable[..., Tensor]] = [F.conv1d, F.conv2d, F.conv3d]
_TRANSPOSED: list[Callable[..., Tensor]] = [F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d]


def _of_rank(functions: list[Callable[..., Tensor]], rank: int) -> Callable[..., Tensor]:
    if not 1 <= rank <= len(functions):
        raise TraceError(f"torch has no convolution over {rank} axes")
    return functions[rank - 1]


@operator("Conv")
def conv(node: Node, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return a convolution; padding that differs between the sides is a node of its own."""
    windows = windows_of(node, x.shape[2:], weight.shape[2:])
    padding = windows.before
    if not windows.symmetric:
        x, padding = pad_spatial(x, windows.before, windows.after), [0] * windows.rank
    function = _of_rank(_CONV, windows.rank)
    return function(x, weight, bias, windows.strides, padding, windows.dilations, node.get("group", 1))


@operator("ConvTranspose")
def _conv_transpose(node: Node, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    rank = weight.dim() - 2
    strides, dilations = node.ints("strides", [1] * rank) or [], node.ints("dilations", [1] * rank) or []
    extra = node.ints("output_padding", [0] * rank) or []
    function, groups = _of_rank(_TRANSPOSED, rank), node.get("group", 1)
    reach = [(k - 1) * d + 1 for k, d in zip(weight.shape[2:], dilations, strict=True)]
    before, after = _transposed_pads(node, [int(n) for n in x.shape[2:]], strides, reach, extra)
    fits = all(e < max(s, d) for e, s, d in zip(extra, strides, dilations, strict=True))
    if before == after and fits and min(before, default=0) >= 0:
        return function(x, weight, bias, strides, before, extra, groups, dilations)
    y = function(x, weight, None, strides, 0, 0, groups, dilations)
    y = pad_spatial(y, [-p for p in before], [e - p for e, p in zip(extra, after, strict=True)])
    return y if bias is None else y + bias.reshape(-1, *[1] * rank)


def _transposed_pads(
    node: Node, sizes: list[int], strides: list[int], reach: list[int], extra: list[int]
) -> tuple[list[int], list[int]]:
    """Return what is cut off a full transposed convolution, before and after."""
    rank, mode, target = len(sizes), node.get("auto_pad", "NOTSET"), node.ints("output_shape")
    if target is None and not mode.startswith("SAME"):
        pads = node.ints("pads", [0] * 2 * rank) or []
        return ([0] * rank, [0] * rank) if mode == "VALID" else (pads[:rank], pads[rank:])
    target = [n * s for n, s in zip(sizes, strides, strict=True)] if target is None else target[-rank:]
    before, after = [], []
    for n, s, r, e, wanted in zip(sizes, strides, reach, extra, target, strict=True):
        total = s * (n - 1) + e + r - wanted
        small, large = total // 2, total - total // 2
        before.append(small if mode == "SAME_UPPER" else large)
        after.append(large if mode == "SAME_UPPER" else small)
    return before, after
