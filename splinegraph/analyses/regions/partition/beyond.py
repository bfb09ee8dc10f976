"""Codes an infinitely small step away from a point: what lies behind a facet, however thin."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from splinegraph.analyses.codes import Layer
from splinegraph.analyses.packing import Bytes, pack
from splinegraph.analyses.regions.cells import Floats
from splinegraph.analyses.regions.partition.coded import chunk_rows
from splinegraph.analyses.regions.tolerances import ON_BOUNDARY
from splinegraph.core.domains.chart import Chart
from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.operator import Operator, SplineOperator
from splinegraph.core.switching import Breaks, Contest
from splinegraph.core.walk import walk

__all__ = ["codes_beyond"]

ROUNDING = 64 * float(np.finfo(np.float64).eps)
"""Relative to the largest value at a node: differences below this are rounding."""

Pair = tuple[Tensor, Tensor]


def codes_beyond(
    graph: SplineGraph, chart: Chart, layers: Sequence[Layer], points: Floats, directions: Floats, size: float = 1.0
) -> Bytes:
    """Return the codes at ``t + e d`` for an infinitely small e > 0, shape (N, bytes).

    Parameters
    ----------
    points, directions : array of float64, shape (N, D)
        t and d, in the chart's coordinates; d of length about one.
    size : float
        Of the domain: values are compared with derivatives times this.

    Notes
    -----
    Values and directional derivatives go through the graph together. Units that tie at t, up to `ON_BOUNDARY`,
    are decided by their derivatives; those that tie to first order too are on their left piece.
    """
    packed = np.empty((len(points), layers[-1].stop if layers else 0), dtype=np.uint8)
    for rows in chunk_rows(graph, 4, len(points)):
        packed[rows] = _codes(graph, chart, layers, points[rows], directions[rows], size)
    return packed


def _codes(
    graph: SplineGraph, chart: Chart, layers: Sequence[Layer], points: Floats, directions: Floats, size: float
) -> Bytes:
    by_name = {layer.name: layer for layer in layers}
    packed = np.empty((len(points), layers[-1].stop if layers else 0), dtype=np.uint8)

    def visit(node: Node, op: Operator, args: tuple[Pair, ...]) -> Pair:
        xs, vs = tuple(a[0] for a in args), tuple(a[1] for a in args)
        layer = by_name.get(node.name)
        if layer is None:
            value, piece = op.value_and_piece(*xs)
            return value, piece.tangent(*vs)
        assert isinstance(op, SplineOperator)
        flat = _decide(graph, node, op, xs, vs, size)
        packed[:, layer.start : layer.stop] = pack(flat, layer.bits)
        shaped = flat.to(layer.dtype).reshape(len(flat), *layer.shape)
        piece = op.piece(node.layout.samples_back(shaped) if node.layout else shaped[0], [x.shape for x in xs])
        return piece.apply(*xs), piece.tangent(*vs)

    with torch.no_grad():
        operators = graph.resolved(torch.float64, torch.device("cpu"), len(points))
        t, d = torch.from_numpy(points), torch.from_numpy(directions)
        origin = chart.lift(torch.zeros_like(t))
        pairs = [(x, y - o) for x, y, o in zip(chart.lift(t), chart.lift(d), origin, strict=True)]
        walk(graph, pairs, visit, operators=operators)
    return packed


def _decide(
    graph: SplineGraph, node: Node, op: SplineOperator, xs: Sequence[Tensor], vs: Sequence[Tensor], size: float
) -> Tensor:
    """Return the codes of a node, int32 (N, units)."""
    switching = op.switching([graph[name].shape for name in node.args])
    if switching is None:  # its pieces cannot be listed: step as far as a tie reaches
        near = op.code(*(x + v * (ON_BOUNDARY * size) for x, v in zip(xs, vs, strict=True)))
        return node.rows(near).to(torch.int32)
    values = [graph[name].rows(x).numpy() for name, x in zip(node.args, xs, strict=True)]
    slopes = [graph[name].rows(v).numpy() * size for name, v in zip(node.args, vs, strict=True)]
    largest = max(float(np.abs(a).max(initial=0.0)) for a in (*values, *slopes))
    decide = _breaks if isinstance(switching, Breaks) else _contest
    return torch.from_numpy(decide(switching, values, slopes, ROUNDING * largest))  # type: ignore[arg-type]


def _breaks(found: Breaks, values: list[Floats], slopes: list[Floats], noise: float) -> NDArray[np.int32]:
    z, dz = values[0], slopes[0]
    dz = np.where(np.abs(dz) > noise, dz, 0.0)
    code = np.full(z.shape, found.first, dtype=np.int32)
    for b, left in zip(found.breakpoints.tolist(), found.closed_left.tolist(), strict=True):
        tied = np.abs(z - b) <= np.maximum(ON_BOUNDARY * np.maximum(np.abs(dz), abs(b)), noise)
        code += np.where(tied, dz > 0 if left else dz >= 0, z > b)
    return code


def _contest(found: Contest, values: list[Floats], slopes: list[Floats], noise: float) -> NDArray[np.int32]:
    place = found.columns([v.shape[1] for v in values]).numpy()
    absent = place < 0
    sign = 1.0 if found.largest else -1.0
    z, dz = sign * np.concatenate(values, axis=1), sign * np.concatenate(slopes, axis=1)
    code = np.empty((len(z), found.units), dtype=np.int32)
    winners = np.empty((len(z), found.units), dtype=np.int64)
    after, rank = found.after.numpy(), found.ranks.numpy()
    for units in (np.flatnonzero(rank == r) for r in range(int(rank.max(initial=-1)) + 1)):
        here, slope = z[:, np.where(absent, 0, place)[units]], dz[:, np.where(absent, 0, place)[units]]
        out = np.broadcast_to(absent[units], here.shape).copy()
        ahead = after[units]
        while (ahead >= 0).all() and len(ahead):
            out |= place[units][None] == winners[:, ahead][..., None]
            ahead = after[ahead]
        code[:, units] = _best(here, slope, out, noise)
        winners[:, units] = np.take_along_axis(
            np.broadcast_to(place[units], here.shape), code[:, units][..., None].astype(np.int64), axis=2
        )[..., 0]
    return code


def _best(z: Floats, dz: Floats, out: NDArray[np.bool_], noise: float) -> NDArray[np.int32]:
    """Return the place of the largest z; of tied ones that of the largest dz, of those again the lowest."""
    z = np.where(out, -np.inf, z)
    best = z.max(axis=2, keepdims=True)
    reach = np.abs(dz - np.take_along_axis(dz, z.argmax(axis=2)[..., None], axis=2))
    tied = ~out & (best - z <= np.maximum(ON_BOUNDARY * reach, noise))
    rising = np.where(tied, dz, -np.inf)
    steepest = rising >= rising.max(axis=2, keepdims=True) - noise
    return np.asarray(steepest.argmax(axis=2), dtype=np.int32)
