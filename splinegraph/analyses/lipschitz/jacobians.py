"""Induced norms of local maps, batched."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from splinegraph.analyses.affine_map import affine_map
from splinegraph.core.graph import SplineGraph

__all__ = ["matrices", "norms"]

ROUNDING = 1e-12
"""Relative margin by which a norm that is claimed as a lower bound is made smaller."""


def matrices(graph: SplineGraph, *inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Return the maps A of shape (B, m, n) of all outputs in all inputs, and which samples lie on a boundary."""
    parts = []
    for i in range(len(graph.outputs)):
        one = graph if len(graph.outputs) == 1 else graph.output(i)
        found = affine_map(one, *inputs)
        dense = found.dense().A
        blocks = dense if isinstance(dense, tuple) else (dense,)
        m = math.prod(one.output_shapes[0])
        parts.append(torch.cat([block.reshape(len(inputs[0]), m, -1) for block in blocks], dim=2))
    boundary = affine_map(graph, *inputs).boundary
    return torch.cat(parts, dim=1), boundary


def norms(A: Tensor, norm: float) -> Tensor:
    """Return the induced norm of each matrix, shape (B,)."""
    if norm == 2:
        gram = A @ A.mT if A.shape[1] <= A.shape[2] else A.mT @ A
        found: Tensor = torch.linalg.eigvalsh(gram)[:, -1].clamp(min=0).sqrt()
    else:
        found = torch.linalg.matrix_norm(A, norm)
    return found
