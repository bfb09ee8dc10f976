"""Random points of a domain."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from splinegraph.analyses.lipschitz.domain import Domain
from splinegraph.core.graph import SplineGraph

__all__ = ["drawn", "parted"]


def drawn(graph: SplineGraph, domain: Domain, count: int, seed: int) -> tuple[Tensor, ...]:
    """Return random points of a domain, one tensor of shape (count, *in) per input, float64.

    Uniform in a box and near zero on all of space; those outside a ball move to its nearest points.
    """
    n = sum(math.prod(shape) for shape in graph.input_shapes)
    draw = np.random.default_rng(seed)
    X = draw.standard_normal((count, n))
    if domain.sides is not None:
        low, high = domain.sides
        ends = np.isfinite(low) & np.isfinite(high)
        width = np.where(ends, high - low, 0.0)
        X = np.where(ends, np.where(ends, low, 0.0) + width * draw.random((count, n)), X)
    return parted(graph, torch.from_numpy(domain.nearest(X)))


def parted(graph: SplineGraph, X: Tensor) -> tuple[Tensor, ...]:
    """Return flattened inputs of shape (B, n) as one tensor of shape (B, *in) per input."""
    sizes = [math.prod(shape) for shape in graph.input_shapes]
    return tuple(x.reshape(len(X), *shape) for x, shape in zip(X.split(sizes, 1), graph.input_shapes, strict=True))
