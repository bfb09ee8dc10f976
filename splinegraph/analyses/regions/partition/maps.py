"""The affine maps of all cells in the chart's coordinates, and what follows from them."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from splinegraph.analyses.codes import Layer
from splinegraph.analyses.regions.cells import Cells, Floats
from splinegraph.analyses.regions.partition.coded import chunk_rows, flat_width, push
from splinegraph.core.domains.chart import Chart
from splinegraph.core.graph import SplineGraph
from splinegraph.errors import SplineGraphError

__all__ = ["Maps", "classes_of", "evaluate", "maps_of", "norms_of"]


class Maps(NamedTuple):
    """f(t) = A t + b on each cell, t in the chart's coordinates, outputs flattened: A (N, out, D), b (N, out)."""

    A: Floats
    b: Floats

    def __call__(self, points: Floats) -> Floats:
        """Return A t + b for one point per cell, shape (N, out)."""
        return np.asarray(np.einsum("nod,nd->no", self.A, points) + self.b)


def maps_of(
    graph: SplineGraph, chart: Chart, layers: tuple[Layer, ...], cells: Cells, *, mix: Floats | None = None
) -> Maps:
    """Return the maps of cells: D + 1 columns through the pieces that their codes name, in chunks.

    `mix`, of shape (K, out), makes them maps to K combinations of the outputs.
    """
    out = flat_width(graph.output_shapes) if mix is None else len(mix)
    A, b = np.empty((len(cells), out, chart.dim)), np.empty((len(cells), out))
    for rows in chunk_rows(graph, chart.dim + 1, len(cells)):
        part = push(graph, chart, layers, cells.packed[rows], cells.points[rows])
        values, slopes = part.values.numpy(), part.tangents.permute(1, 2, 0).numpy()
        A[rows] = slopes if mix is None else mix @ slopes
        b[rows] = (values if mix is None else values @ mix.T) - np.einsum("nod,nd->no", A[rows], cells.points[rows])
    return Maps(A, b)


def evaluate(graph: SplineGraph, chart: Chart, points: Floats) -> Floats:
    """Return the network's outputs at points of the chart, flattened, shape (N, out), in float64."""
    found = np.empty((len(points), flat_width(graph.output_shapes)))
    with torch.no_grad():
        for rows in chunk_rows(graph, 1, len(points)):
            outputs = graph(*chart.lift(torch.from_numpy(points[rows])), dtype=torch.float64)
            parts = outputs if isinstance(outputs, tuple) else (outputs,)
            found[rows] = np.concatenate([y.reshape(len(y), -1).numpy() for y in parts], axis=1)
    return found


def classes_of(values: Floats) -> NDArray[np.int64]:
    """Return the index of the largest output; for a single output whether it is positive."""
    if values.shape[1] == 1:
        return (values[:, 0] > 0).astype(np.int64)
    return np.asarray(values.argmax(axis=1))


def norms_of(A: Floats, norm: float) -> Floats:
    """Return the norms of matrices (N, out, D) that the vector norm 1, 2 or inf induces, shape (N,)."""
    if norm == 1:
        return np.asarray(np.abs(A).sum(axis=1).max(axis=1, initial=0.0))
    if norm == math.inf:
        return np.asarray(np.abs(A).sum(axis=2).max(axis=1, initial=0.0))
    if norm != 2:
        raise SplineGraphError(f"norm={norm} is none", remedy="give 1, 2 or inf")
    out, dim = A.shape[1:]
    found = np.empty(len(A))
    step = max(1, 2**22 // max(out * dim, 1))
    for start in range(0, len(A), step):
        part = A[start : start + step]
        if min(out, dim) <= 1:
            found[start : start + step] = np.sqrt((part * part).sum(axis=(1, 2)))
        else:
            found[start : start + step] = np.linalg.svd(part, compute_uv=False)[:, 0]
    return found
