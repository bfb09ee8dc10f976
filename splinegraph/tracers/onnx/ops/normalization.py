"""Normalizations and softmax."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from splinegraph.errors import TraceError
from splinegraph.tracers.onnx.registry import Node, operator
from splinegraph.tracers.onnx.values import TORCH

__all__: list[str] = []


@operator("BatchNormalization")
def _batch_norm(node: Node, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    if node.get("training_mode", 0):
        raise TraceError(
            "a batch norm in training mode mixes the samples of a batch", remedy="export the model in eval mode"
        )
    if not node.get("spatial", 1):
        return (x - mean) / torch.sqrt(variance + node.get("epsilon", 1e-5)) * scale + bias
    scale, bias = scale.to(x.dtype), bias.to(x.dtype)
    mean, variance = mean.to(x.dtype), variance.to(x.dtype)
    return F.batch_norm(x, mean, variance, scale, bias, False, 0.0, node.get("epsilon", 1e-5))


@operator("InstanceNormalization")
def _instance_norm(node: Node, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    return F.instance_norm(x, weight=scale, bias=bias, eps=node.get("epsilon", 1e-5))


@operator("GroupNormalization")
def _group_norm(node: Node, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    groups, epsilon = node.get("num_groups"), node.get("epsilon", 1e-5)
    if node.version < 21 and scale.shape[0] != x.shape[1]:  # one scale per group
        size = x.shape[1] // groups
        scale, bias = scale.repeat_interleave(size), bias.repeat_interleave(size)
    return F.group_norm(x, groups, scale, bias, epsilon)


@operator("LayerNormalization")
def _layer_norm(node: Node, x: Tensor, scale: Tensor, bias: Tensor | None = None) -> Any:
    axis, epsilon = node.get("axis", -1) % x.dim(), node.get("epsilon", 1e-5)
    shape = [int(n) for n in x.shape[axis:]]
    if scale.dim() <= len(shape):
        scale = scale.expand(shape)
        bias = None if bias is None else bias.expand(shape)
        y = F.layer_norm(x, shape, scale, bias, epsilon)
    else:
        y = F.layer_norm(x, shape, None, None, epsilon) * scale + (0 if bias is None else bias)
    if not node.wanted & {1, 2}:
        return y
    axes = tuple(range(axis, x.dim()))
    mean = x.mean(axes, keepdim=True)
    deviation = torch.rsqrt(((x - mean) ** 2).mean(axes, keepdim=True) + epsilon)
    return y, mean, deviation


@operator("RMSNormalization", "SimplifiedLayerNormalization")
def _rms_norm(node: Node, x: Tensor, scale: Tensor) -> Tensor:
    axis, epsilon = node.get("axis", -1) % x.dim(), node.get("epsilon", 1e-5)
    shape = [int(n) for n in x.shape[axis:]]
    if scale.dim() <= len(shape) and scale.dtype == x.dtype:
        return F.rms_norm(x, shape, scale.expand(shape), epsilon)
    kind = TORCH.get(node.get("stash_type", 1), torch.float32)
    return F.rms_norm(x.to(kind), shape, None, epsilon).to(scale.dtype) * scale


@operator("LRN")
def _lrn(node: Node, x: Tensor) -> Tensor:
    size, alpha = node.get("size"), node.get("alpha", 1e-4)
    before = (size - 1) // 2
    squares = F.pad((x * x).flatten(2).unsqueeze(1), [0, 0, before, size - 1 - before])
    sums = F.avg_pool2d(squares, (size, 1), 1).squeeze(1).reshape(x.shape) * alpha
    return x / torch.pow(sums + node.get("bias", 1.0), node.get("beta", 0.75))


@operator("LpNormalization")
def _lp_norm(node: Node, x: Tensor) -> Tensor:
    axis, p = node.get("axis", -1), node.get("p", 2)
    norm = x.abs().sum(axis, keepdim=True) if p == 1 else (x * x).sum(axis, keepdim=True).sqrt()
    return x / torch.where(norm == 0, torch.ones_like(norm), norm)


@operator("MeanVarianceNormalization")
def _mean_variance_norm(node: Node, x: Tensor) -> Tensor:
    axes = tuple(node.ints("axes", [0, 2, 3]) or [])
    mean = x.mean(axes, keepdim=True)
    deviation = ((x - mean) ** 2).mean(axes, keepdim=True).sqrt()
    return (x - mean) / (deviation + 1e-9)


# softmax


def _over_axis(node: Node, x: Tensor, function: Callable[[Tensor, int], Tensor]) -> Tensor:
    """Apply a function over an axis; before operator set 13, over all axes from there on."""
    if node.version >= 13:
        return function(x, node.get("axis", -1))
    axis = node.get("axis", 1) % max(x.dim(), 1)
    if axis == x.dim() - 1 or all(isinstance(n, int) and n == 1 for n in x.shape[axis + 1 :]):
        return function(x, axis)
    return function(x.flatten(axis), axis).reshape(x.shape)


@operator("Softmax")
def _softmax(node: Node, x: Tensor) -> Tensor:
    return _over_axis(node, x, torch.softmax)


@operator("LogSoftmax")
def _log_softmax(node: Node, x: Tensor) -> Tensor:
    return _over_axis(node, x, torch.log_softmax)


@operator("Hardmax")
def _hardmax(node: Node, x: Tensor) -> Tensor:
    def hardmax(values: Tensor, axis: int) -> Tensor:
        index = values.argmax(axis, keepdim=True)
        return torch.zeros_like(values).scatter(axis, index, 1.0)

    return _over_axis(node, x, hardmax)
