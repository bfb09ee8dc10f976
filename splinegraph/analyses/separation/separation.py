"""`splinegraph.separation`: how far codes and values of samples lie apart in each layer (paper A.5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from splinegraph.analyses.batches import promote
from splinegraph.analyses.codes import ActivationPattern, Layer, codes
from splinegraph.analyses.provenance import Provenance
from splinegraph.analyses.separation.frobenius import differing, frobenius
from splinegraph.analyses.separation.result import Separation, SeparationLayer
from splinegraph.analyses.separation.statistics import labels_for
from splinegraph.analyses.separation.values import layer_values, value_distances
from splinegraph.core.graph import SplineGraph, require_graph
from splinegraph.errors import DataError

__all__ = ["chosen_layers", "separation"]

BYTES = 2**32
"""Most memory for the matrices of all layers."""


def separation(
    graph: SplineGraph,
    X: Tensor | tuple[Tensor, ...],
    y: Any = None,
    *,
    layers: Sequence[str] | None = None,
    values: bool = False,
    dtype: torch.dtype | None = torch.float64,
    batch_size: int | None = None,
) -> Separation:
    """Return how far the codes of samples lie apart in each layer, and how their classes lie.

    Parameters
    ----------
    graph : SplineGraph
    X : Tensor of shape (N, *in), or a tuple of them
        One per input of the graph.
    y : integers of shape (N,), optional
        Classes.
    layers : sequence of str, optional
        Switching nodes to look at. Default: all.
    values : bool
        Work out the distances of the layers' values too.
    dtype : torch.dtype or None, default torch.float64
        Arithmetic that decides codes and values; None for that of the inputs.
    batch_size : int, optional
        Samples per forward pass.

    Returns
    -------
    Separation
        Matrices are exact for these samples (counts are integers; other slopes to about 1e-15 of their squares);
        statistics of classes are estimates of what other samples would give.

    Raises
    ------
    ShapeError
        If inputs do not fit.
    DataError
        If labels do not fit, there is no such layer, or matrices or values would take too much memory.

    Notes
    -----
    With A_i the linear part of an operator at sample i, the similarity is <A_1, A_2>_F and the distance
    ||A_1 - A_2||_F^2. The paper's (136), the norm of A_1^T A_2, is a similarity though its Fig. 16-18 call it a
    distance: the spectral norm is 0 or 1 for ReLU, and the Frobenius norm is constant for max pooling. Nor does a
    larger overlap of active units make values nearer (135): two samples may share all active units and lie far apart.

    N^2 units / 64 word instructions per layer; slopes that vary by unit, and values, take N^2 units multiplications.
    20 N^2 bytes per layer.

    References
    ----------
    .. [1] R. Balestriero and R. Baraniuk, "A Spline Theory of Deep Learning", 2017, A.5, Eq 127-136 and Fig 15-18.

    Examples
    --------
    >>> import torch, splinegraph as sg
    >>> graph = sg.trace(torch.nn.Sequential(torch.nn.ReLU()).eval(), torch.zeros(1, 3))
    >>> found = sg.separation(graph, torch.tensor([[1.0, 1.0, -1.0], [1.0, 1.0, 1.0], [-1.0, 1.0, 1.0]]), [0, 0, 1])
    >>> found[0].similarity[0].tolist(), found[0].distance[0].tolist()
    ([2.0, 2.0, 1.0], [0.0, 1.0, 2.0])
    """
    require_graph(graph)
    inputs = promote(tuple(X) if isinstance(X, tuple | list) else (X,), dtype)
    found = codes(graph, *inputs, dtype=dtype, batch_size=batch_size)
    labels = labels_for(y, len(found))
    wanted = chosen_layers(found, layers)
    if 20 * len(found) ** 2 * len(wanted) > BYTES:
        raise DataError(
            f"matrices of {len(found)} samples for {len(wanted)} layers take {20 * len(found) ** 2 * len(wanted):,} B",
            remedy="take fewer samples, or name the layers with layers=...",
        )
    held = layer_values(graph, inputs, [layer.name for layer in wanted], batch_size) if values else {}
    made = []
    for layer in wanted:
        node, hamming = graph[layer.name], differing(found, layer)
        similarity, distance, largest = frobenius(node, found, layer, hamming)
        apart = None
        if layer.name in held:
            code = found.unpack(layer.name).reshape(len(found), -1)
            apart = value_distances(held.pop(layer.name).double().numpy(), code.numpy())
        made.append(
            SeparationLayer(
                layer.name,
                node.op.label,
                node.module,
                layer.units,
                hamming,
                similarity,
                distance,
                largest,
                apart,
                labels,
            )
        )
    used = torch.float64 if dtype is None and not inputs[0].is_floating_point() else inputs[0].dtype
    return Separation(tuple(made), labels, len(found), Provenance.of(graph, dtype=used, seed=0, values=values))


def chosen_layers(found: ActivationPattern, names: Sequence[str] | None) -> tuple[Layer, ...]:
    """Return the switching layers asked for that have units, in the graph's order."""
    usable = tuple(layer for layer in found.layers if layer.units)
    if names is None:
        return usable
    asked = [names] if isinstance(names, str) else list(names)
    known = {layer.name for layer in usable}
    for name in asked:
        if name not in known:
            raise DataError(
                f"node {name!r} has no codes",
                remedy=f"choose of {', '.join(layer.name for layer in usable)}" if usable else "nothing switches here",
            )
    return tuple(layer for layer in usable if layer.name in asked)
