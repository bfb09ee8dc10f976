"""Induced norms of local maps, batched: of their matrices, or from below where these are large."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from splinegraph.analyses.affine_map import AffineMap, affine_map
from splinegraph.core.graph import SplineGraph
from splinegraph.core.norms import is_small

__all__ = ["local_norms", "matrices", "norms", "together"]

ROUNDING = 1e-12
"""Relative margin by which a norm that is claimed as a lower bound is made smaller."""

AT_ONCE = 2**24
"""Entries of the matrices of all points that are written out at once (128 MiB)."""

PASSES = 10
"""Steps of the power method: a pass forward and one back each."""

CLIMBED = 3
"""Steps in which it comes to rest in l1 and linf; then it starts again elsewhere."""


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


def together(graph: SplineGraph) -> int:
    """Return how many points `local_norms` takes at once."""
    rows, columns = _sides(graph)
    return max(1, AT_ONCE // (rows * columns if is_small(rows, columns) else 16 * (rows + columns)))


def local_norms(graph: SplineGraph, norm: float, inputs: tuple[Tensor, ...], free: Tensor | None = None) -> Tensor:
    """Return the norm of the local map at each input, less a margin for rounding; -1 on boundaries.

    Parameters
    ----------
    graph : SplineGraph
    norm : {1, 2, inf}
    inputs : tuple of Tensor of shape (B, *in)
    free : Tensor of bool, optional
        Of all inputs, flattened, those that can move; by default all.

    Returns
    -------
    Tensor of shape (B,)
        Where matrices are too large to be written out, lower bounds by the power method. -1 also where a norm is
        not finite.
    """
    if is_small(*_sides(graph)):
        A, boundary = matrices(graph, *inputs)
        found = norms(A if free is None else A[:, :, free], norm)
    else:
        local = affine_map(graph, *inputs)
        found, boundary = _power(local, norm, free), local.boundary
    return torch.where(boundary | ~found.isfinite(), -1.0, found * (1 - ROUNDING))


def _sides(graph: SplineGraph) -> tuple[int, int]:
    """Return the entries of all outputs, and of all inputs."""
    rows, columns = (sum(map(math.prod, shapes)) for shapes in (graph.output_shapes, graph.input_shapes))
    return rows, columns


def _power(local: AffineMap, norm: float, free: Tensor | None) -> Tensor:
    """Return the largest ||A v|| / ||v|| that the power method of that norm meets, shape (B,).

    Whatever v is, that is a lower bound. The next v is where the functional A' d is largest on the unit ball, with d
    the dual of A v (Boyd 1974; in l1 Hager's method).
    """
    draw = torch.Generator().manual_seed(0)
    shapes, outputs = local.graph.input_shapes, local.graph.output_shapes
    kept = torch.ones(sum(map(math.prod, shapes)), dtype=torch.float64) if free is None else free.double()
    best = torch.zeros(len(local), dtype=torch.float64)
    for step in range(PASSES):
        fresh = step % CLIMBED == 0 if norm != 2 else step == 0
        if fresh:
            v = torch.randn(len(local), len(kept), generator=draw, dtype=torch.float64) * kept
        if norm == math.inf:
            v = torch.where(v < 0, -kept, kept)
        elif norm == 1 and not fresh:
            v = torch.zeros_like(v).scatter_(1, v.abs().argmax(1, keepdim=True), 1.0) * kept
        size = torch.linalg.vector_norm(v, norm, dim=1, keepdim=True)
        v = v / size.clamp(min=torch.finfo(v.dtype).tiny)
        moved = _joined(local.matvec(*_parted(v, shapes)))
        length = torch.linalg.vector_norm(moved, norm, dim=1)
        best = torch.where(length.isfinite(), torch.maximum(best, length), length)
        if norm == 2:
            dual = moved / length[:, None].clamp(min=torch.finfo(v.dtype).tiny)
        elif norm == 1:
            dual = moved.sign()
        else:
            dual = torch.zeros_like(moved).scatter_(1, moved.abs().argmax(1, keepdim=True), 1.0)
        v = _joined(local.rmatvec(*_parted(dual, outputs))) * kept
    return best


def _parted(v: Tensor, shapes: tuple[tuple[int, ...], ...]) -> tuple[Tensor, ...]:
    parts = v.split([math.prod(shape) for shape in shapes], dim=1)
    return tuple(part.reshape(len(v), *shape) for part, shape in zip(parts, shapes, strict=True))


def _joined(values: Tensor | tuple[Tensor, ...]) -> Tensor:
    return torch.cat([v.reshape(len(v), -1) for v in (values if isinstance(values, tuple) else (values,))], dim=1)
