"""The singular values of A[x], and how much they tell of its rank."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from splinegraph.analyses.affine_map import AffineMap
from splinegraph.core.bound import Bound
from splinegraph.core.graph import SplineGraph
from splinegraph.errors import DomainError, ShapeError, UnsupportedOperatorError

__all__ = ["MOST_DENSE", "Spectrum", "exact_rank", "flat_rows", "single_ports", "spectrum", "spectrum_at"]

MOST_DENSE = 2**26
"""Entries of A[x] (512 MiB) beyond which it is not written out."""

ROUNDING = 8.0
"""Singular values below this many rounding units of the largest, per row or column and per operator on the way,
tell nothing: A is a product of that many factors, each rounded."""

PROBES = 4
"""Random directions that show the rounding of A."""

GAP = 1000.0
"""Singular values beyond the tolerance by less than this factor leave the numerical rank open, as do those that
are just below it."""

EXACT_ENTRIES = 10_000
"""Entries of A[x] up to which its rank is decided in rational arithmetic."""


class Spectrum(NamedTuple):
    """A = U diag(values) rows, of one sample.

    Parameters
    ----------
    left : Tensor of shape (out, k)
    values : Tensor of shape (k,)
        Singular values, descending.
    rows : Tensor of shape (k, in)
    tolerance : float
        What rounding may have made of a singular value that is zero, by estimate.
    """

    left: Tensor
    values: Tensor
    rows: Tensor
    tolerance: float

    @property
    def rank(self) -> int:
        """How many singular values rounding cannot explain."""
        return int((self.values > self.tolerance).sum())

    @property
    def clear(self) -> bool:
        """Whether no singular value lies near the tolerance."""
        near = (self.values > self.tolerance / ROUNDING) & (self.values < self.tolerance * GAP)
        return not bool(near.any())

    def bound(self) -> Bound:
        """Return what is known of the rank: at least those, at most as many as A has rows and columns."""
        return Bound(self.rank, len(self.values), "exact" if self.rank == len(self.values) else "bracket")


def spectrum(A: Tensor, depth: int, noise: float = 0.0) -> Spectrum:
    """Return the singular value decomposition of A, shape (out, in), float64, of a network of `depth` operators.

    Parameters
    ----------
    noise : float
        What rounding is known to have done to A, in the spectral norm.
    """
    left, values, rows = torch.linalg.svd(A, full_matrices=False)
    top = float(values[0]) if len(values) else 0.0
    unit = torch.finfo(A.dtype).eps * math.sqrt(max(A.shape, default=1)) * max(depth, 1)
    return Spectrum(left, values, rows, ROUNDING * max(unit * top, noise))


def spectrum_at(local: AffineMap) -> Spectrum:
    """Return the singular values of A[x] at the one sample of a map.

    Where large terms cancel in A, rounding is more than the size of A tells: products with some directions by the rows
    of A and by tangents, which add up in another order, show it.
    """
    A = flat_rows(local)[0].cpu()
    (part,), (x,) = local.parts, local.inputs
    generator = torch.Generator().manual_seed(0)
    v = torch.randn(PROBES, *x.shape, dtype=torch.float64, generator=generator)
    with torch.no_grad():
        moved = part.tangent(v.to(x))[0].reshape(PROBES, -1).cpu()
    gaps = (moved - v.reshape(PROBES, -1) @ A.T).norm(dim=1) / v.reshape(PROBES, -1).norm(dim=1)
    return spectrum(A, len(local.graph.operators), float(gaps.max()) * math.sqrt(A.shape[1]))


def single_ports(graph: SplineGraph, what: str) -> None:
    """Refuse graphs with several inputs or outputs."""
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise ShapeError(
            f"{what} needs a graph with one input and one output, {graph.name} has {len(graph.inputs)} and "
            f"{len(graph.outputs)}",
            remedy="choose an output with graph.output(i), or a part with graph.between(start, end)",
        )


def flat_rows(local: AffineMap) -> Tensor:
    """Return A[x] of all samples, shape (B, out, in).

    Raises
    ------
    DomainError
        If it would be too large.
    """
    size = math.prod(local.graph.output_shapes[0]), math.prod(local.graph.input_shapes[0])
    if math.prod(size) * len(local) > MOST_DENSE:
        raise DomainError(
            f"A[x] of {len(local)} samples would have {math.prod(size) * len(local):,} entries",
            remedy=f"give fewer samples, or part of the network: up to {MOST_DENSE:,} entries are written out",
        )
    A: Tensor = local.dense().A
    return A.detach().reshape(len(local), *size)


def exact_rank(graph: SplineGraph, x: Tensor) -> int:
    """Return the rank of A[x] at one sample of shape (*in), in rational arithmetic.

    Raises
    ------
    DomainError
        If A is too large for that.
    UnsupportedOperatorError
        If an operator has no exact form.
    """
    entries = math.prod(graph.output_shapes[0]) * math.prod(graph.input_shapes[0])
    if entries > EXACT_ENTRIES:
        raise DomainError(
            f"A[x] has {entries:,} entries, too many for rational arithmetic", remedy=f"at most {EXACT_ENTRIES:,}"
        )
    if not graph.exact:
        raise UnsupportedOperatorError("the network is not piecewise affine", where=graph.obstacles[0].where)
    table = np.asarray(graph.exact_point(x).affine_map().A, dtype=object)
    return _eliminate(table.reshape(math.prod(graph.output_shapes[0]), -1))


def _eliminate(table: np.ndarray[tuple[int, ...], np.dtype[np.object_]]) -> int:
    """Return the rank of a matrix of fractions, by Gauss."""
    rows, rank = table.copy(), 0
    for column in range(rows.shape[1]):
        pivots = np.flatnonzero(rows[rank:, column] != 0)
        if not len(pivots):
            continue
        first = rank + int(pivots[0])
        rows[[rank, first]] = rows[[first, rank]]
        below = rank + 1 + np.flatnonzero(rows[rank + 1 :, column] != 0)
        rows[below] -= np.outer(rows[below, column] / rows[rank, column], rows[rank])
        rank += 1
        if rank == len(rows):
            break
    return rank
