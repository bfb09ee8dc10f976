"""Cutting a batch into parts that fit in memory, or into single samples where a graph asks for them."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from splinegraph.core.graph import SplineGraph, require_graph
from splinegraph.errors import ShapeError

__all__ = ["chunks", "part_size", "promote", "widest"]

ENTRIES = 2**27
"""Largest number of entries of one operator's value in one pass (1 GiB in float64)."""


def promote(inputs: tuple[Tensor, ...], dtype: torch.dtype | None) -> tuple[Tensor, ...]:
    """Return the floating point inputs in `dtype`; None keeps theirs. Others are left for the checks."""
    if dtype is None:
        return inputs
    return tuple(x.to(dtype) if isinstance(x, Tensor) and x.is_floating_point() else x for x in inputs)


def widest(graph: SplineGraph) -> int:
    """Return the largest number of entries that a node holds per sample."""
    known: int | None = graph._cache.get("widest")
    if known is None:
        known = graph._cache["widest"] = max((math.prod(node.shape) for node in graph.nodes), default=1)
    return known


def part_size(name: str, asked: int | None, fits: int) -> int:
    """Return how many to take at a time: what is asked, else as many as fit."""
    if asked is not None and asked < 1:
        raise ShapeError(f"{name} is {asked}", remedy="give at least 1")
    return max(1, fits) if asked is None else asked


def chunks(
    graph: SplineGraph, inputs: tuple[Tensor, ...], batch_size: int | None = None
) -> Iterator[tuple[Tensor, ...]]:
    """Yield the batch in parts, after checking it; one sample at a time for an unbatched graph."""
    require_graph(graph)
    batch = graph.check_inputs(inputs)
    for name, x in zip(graph.inputs, inputs, strict=True):
        # a sum is finite only if all entries are, and costs a tenth of asking each; it may overflow, so ask then
        if not math.isfinite(float(x.detach().sum())) and not bool(x.isfinite().all()):
            raise ShapeError(f"input {name!r} holds NaN or infinite values", remedy="give finite numbers")
    step = part_size("batch_size", batch_size, ENTRIES // widest(graph)) if graph.batched else 1
    if step >= batch:
        yield inputs
        return
    for start in range(0, batch, step):
        yield tuple(x[start : start + step] for x in inputs)
