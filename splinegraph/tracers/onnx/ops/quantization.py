"""Quantized values: what is stored becomes floating; what is computed is rounded and clamped."""

from __future__ import annotations

import torch
from torch import Tensor

from splinegraph.tracers.onnx.registry import Node, operator
from splinegraph.tracers.onnx.values import TORCH

__all__: list[str] = []


def _along(node: Node, parameter: Tensor, x: Tensor) -> Tensor:
    """Return a scale or zero point so that it broadcasts over x: one, one per channel, or one per block."""
    if parameter.numel() == 1:
        return parameter.reshape(())
    axis, block = node.get("axis", 1) % x.dim(), node.get("block_size", 0)
    if block:
        return parameter.repeat_interleave(block, axis).narrow(axis, 0, x.shape[axis])
    return parameter.reshape(-1, *[1] * (x.dim() - 1 - axis))


@operator("DequantizeLinear")
def _dequantize(node: Node, x: Tensor, scale: Tensor, zero: Tensor | None = None) -> Tensor:
    y = x.to(scale.dtype)
    if zero is not None:
        y = y - _along(node, zero.to(scale.dtype), x)
    return y * _along(node, scale, x)


@operator("QuantizeLinear")
def _quantize(node: Node, x: Tensor, scale: Tensor, zero: Tensor | None = None) -> Tensor:
    named = TORCH.get(node.get("output_dtype", 0), torch.uint8)
    kind = named if zero is None else zero.dtype
    limits = torch.iinfo(kind)
    y = torch.round(x / _along(node, scale.to(x.dtype), x))
    if zero is not None:
        y = y + _along(node, zero.to(x.dtype), x)
    return torch.clamp(y, limits.min, limits.max).to(kind)
