"""The operators of ONNX Runtime's own domain that are plain combinations."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from splinegraph.errors import TraceError
from splinegraph.tracers.onnx.ops.convolution import conv
from splinegraph.tracers.onnx.ops.linear import gemm
from splinegraph.tracers.onnx.registry import Node, operator

__all__: list[str] = []

_DOMAIN = "com.microsoft"


@operator("Gelu", domain=_DOMAIN)
def _gelu(node: Node, x: Tensor) -> Tensor:
    return F.gelu(x)


@operator("FastGelu", domain=_DOMAIN)
def _fast_gelu(node: Node, x: Tensor, bias: Tensor | None = None) -> Tensor:
    return F.gelu(x if bias is None else x + bias, approximate="tanh")


@operator("BiasGelu", domain=_DOMAIN)
def _bias_gelu(node: Node, x: Tensor, bias: Tensor) -> Tensor:
    return F.gelu(x + bias)


@operator("QuickGelu", domain=_DOMAIN)
def _quick_gelu(node: Node, x: Tensor) -> Tensor:
    return x * torch.sigmoid(x * node.get("alpha", 1.702))


def _activated(node: Node, y: Tensor) -> Tensor:
    kind = node.get("activation", "") or ""
    params = node.get("activation_params", ())
    if kind in ("", "Relu"):
        return torch.relu(y) if kind else y
    if kind == "Clip":
        return torch.clamp(y, *params)
    if kind == "LeakyRelu":
        return F.leaky_relu(y, node.get("activation_alpha", *params[:1] or (0.01,)))
    if kind in ("Sigmoid", "Tanh"):
        return torch.sigmoid(y) if kind == "Sigmoid" else torch.tanh(y)
    raise TraceError(f"the fused activation {kind!r} is not known")


@operator("FusedGemm", domain=_DOMAIN)
def _fused_gemm(node: Node, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    return _activated(node, gemm(node, a, b, c))


@operator("FusedConv", domain=_DOMAIN)
def _fused_conv(node: Node, x: Tensor, w: Tensor, b: Tensor | None = None, z: Tensor | None = None) -> Tensor:
    y = conv(node, x, w, b)
    return _activated(node, y if z is None else y + z)


@operator("FusedMatMul", domain=_DOMAIN)
def _fused_matmul(node: Node, a: Tensor, b: Tensor) -> Tensor:
    if node.get("transBatchA", 0) or node.get("transBatchB", 0):
        raise TraceError("a fused product with transposed batches is not known")
    a = a.transpose(-1, -2) if node.get("transA", 0) else a
    b = b.transpose(-1, -2) if node.get("transB", 0) else b
    alpha: float = node.get("alpha", 1.0)
    return torch.matmul(a, b) * alpha


@operator("SkipLayerNormalization", domain=_DOMAIN)
def _skip_layer_norm(
    node: Node, x: Tensor, skip: Tensor, gamma: Tensor, beta: Tensor | None = None, bias: Tensor | None = None
) -> Any:
    total = x + skip if bias is None else x + skip + bias
    y = F.layer_norm(total, gamma.shape, gamma, beta, node.get("epsilon", 1e-12))
    return (y, None, None, total) if 3 in node.wanted else y
