"""Matrix products."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from splinegraph.tracers.onnx.registry import Node, operator

__all__ = ["gemm"]


@operator("MatMul")
def _matmul(node: Node, a: Tensor, b: Tensor) -> Tensor:
    if a.dim() == 1 and b.dim() == 2:  # as a row, so that it is a linear layer like any other
        return F.linear(a.unsqueeze(0), b.t()).squeeze(0)
    if a.dim() == 2 and b.dim() == 1:
        return F.linear(b.unsqueeze(0), a).squeeze(0)
    return torch.matmul(a, b)


@operator("Gemm")
def gemm(node: Node, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    """Return alpha A B + beta C, as a linear layer where it is one."""
    alpha, beta = node.get("alpha", 1.0), node.get("beta", 1.0)
    if node.get("transA", 0):
        a = a.transpose(-2, -1)
    weight = b if node.get("transB", 0) else b.t()
    plain = c is not None and (c.dim() == 1 or (c.dim() == 2 and c.shape[0] == 1)) and c.shape[-1] == weight.shape[0]
    if alpha == 1 and (c is None or (beta == 1 and plain)):
        return F.linear(a, weight, None if c is None else c.reshape(-1))
    product = F.linear(a, weight)
    product = product if alpha == 1 else alpha * product
    if c is None or beta == 0:
        return product
    return product + (c if beta == 1 else beta * c)


@operator("Einsum")
def _einsum(node: Node, *args: Tensor) -> Tensor:
    return torch.einsum(node.get("equation"), *args)


@operator("Det")
def _det(node: Node, x: Tensor) -> Tensor:
    found: Tensor = torch.linalg.det(x)
    return found
