"""Distances between the values of a layer, split by whether the units are on the same piece."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from splinegraph.analyses.batches import chunks
from splinegraph.core.graph import SplineGraph
from splinegraph.core.walk import walk
from splinegraph.errors import DataError

__all__ = ["ValueDistances", "layer_values", "value_distances"]

Floats = NDArray[np.float64]

ENTRIES = 2**28
"""Most numbers that are held at a time: 2 GiB in float64."""

BLOCK = 2**24
"""Most numbers of one block of a product."""


@dataclass(frozen=True, eq=False)
class ValueDistances:
    """Squared distances between the values that one operator gives.

    Parameters
    ----------
    same : array of float64, shape (N, N)
        Sum over the units that are on the same piece for both samples; of a ReLU, those active for both.
    other : array of float64, shape (N, N)
        Sum over the units that are on different pieces; of a ReLU, those active for one of the two.

    Notes
    -----
    Of the numbers z that the network gives in the arithmetic asked for, to about 1e-15 (||z1 - m||^2 + ||z2 - m||^2),
    m the mean of the samples.
    """

    same: Floats
    other: Floats

    @property
    def total(self) -> Floats:
        """||z1 - z2||^2, shape (N, N)."""
        return self.same + self.other


def layer_values(
    graph: SplineGraph, inputs: tuple[Tensor, ...], names: Sequence[str], batch_size: int | None = None
) -> dict[str, Tensor]:
    """Return the values of some nodes, or of inputs, one row per sample: shape (N, entries).

    Raises
    ------
    DataError
        If they are more than 2^28 numbers.
    """
    held = len(inputs[0]) * sum(math.prod(graph[name].shape) for name in names)
    if held > ENTRIES:
        raise DataError(
            f"the values of {len(names)} layers for {len(inputs[0])} samples are {held:,} numbers",
            remedy="take fewer samples, or name the layers with layers=...",
        )
    parts: dict[str, list[Tensor]] = {name: [] for name in names}
    inside = [name for name in names if not graph[name].is_input]
    with torch.no_grad():
        for part in chunks(graph, inputs, batch_size):
            operators = graph.resolved(part[0].dtype, part[0].device, part[0].shape[0])
            _, kept = walk(graph, part, lambda _, op, xs: op.forward(*xs), operators=operators, keep=inside)
            given = dict(zip(graph.inputs, part, strict=True))
            for name in names:
                value = given[name].flatten(1) if graph[name].is_input else graph[name].rows(kept[name])
                parts[name].append(value.detach().cpu())
    return {name: torch.cat(rows) for name, rows in parts.items()}


def value_distances(values: Floats, code: NDArray[np.integer]) -> ValueDistances:
    """Return squared distances, split by agreement of the codes; both of shape (N, units).

    A product of two (N, pieces x units) matrices and its mirror image.
    """
    n, units = values.shape
    same, total = np.zeros((n, n)), np.zeros((n, n))
    step = max(1, BLOCK // max(n, 1))
    for start in range(0, units, step):
        z, pieces = values[:, start : start + step].astype(np.float64), code[:, start : start + step]
        z = z - z.mean(0)  # distances stay, and less is lost where they are small beside the values
        squares = (z * z).sum(1)
        total += squares[:, None] + squares - 2 * (z @ z.T)
        for piece in np.unique(pieces):
            on = (pieces == piece).astype(np.float64)
            cross, mine = (on * z * z) @ on.T, on * z
            same += cross + cross.T - 2 * (mine @ mine.T)
    # one rounding for (i, j) and (j, i), nothing below zero, nothing on the diagonal
    same, total = (np.maximum((m + m.T) / 2, 0.0) for m in (same, total))
    other = np.maximum(total - same, 0.0)
    np.fill_diagonal(same, 0.0)
    np.fill_diagonal(other, 0.0)
    return ValueDistances(same, other)
