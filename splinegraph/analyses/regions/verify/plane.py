"""Checks of lengths and areas: the cells fill the domain, and each face lies in the cell of its code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from splinegraph.analyses.packing import unpack
from splinegraph.analyses.regions.cells import Mesh
from splinegraph.analyses.regions.geometry.hrep import size_of
from splinegraph.analyses.regions.partition.coded import chunk_rows
from splinegraph.analyses.regions.partition.volumes import domain_volume, intervals
from splinegraph.analyses.regions.tolerances import ON_BOUNDARY, THIN, allowance, blur
from splinegraph.analyses.regions.verify.inside import some
from splinegraph.analyses.regions.verify.slacks import slacks
from splinegraph.analyses.regions.verify.verification import Check
from splinegraph.core.graph import Node
from splinegraph.core.operator import Operator, SplineOperator
from splinegraph.core.walk import walk

if TYPE_CHECKING:
    from torch import Tensor

    from splinegraph.analyses.regions.partition.partition import Partition
    from splinegraph.core.domains.chart import Chart

__all__ = ["areas", "euler", "faces_inside", "fills", "lengths", "reaching_out"]

FILLS = 1e-9
"""Areas and lengths agree with the domain's up to this share of it: rounding of as many terms as there are cells."""

CORNERS = 1e3 * ON_BOUNDARY
"""How far a corner of a face may be outside of the cell of its code, relative to the values at a node. Lines
within `ON_BOUNDARY` of a vertex are led through it, and later layers magnify this."""


def fills(chart: Chart) -> float:
    """Return by which share of it areas and lengths may miss the domain's."""
    return max(FILLS, ON_BOUNDARY * blur(chart))


def euler(partition: Partition) -> Check:
    """Check that vertices - edges + faces is 1, as for every subdivision of a disk."""
    name = "Euler characteristic"
    if partition.mesh is None or not partition.complete:
        return Check.skipped(name, "there is no mesh" if partition.mesh is None else "the partition is incomplete")
    value = partition.mesh.euler
    return Check.of(name, value == 1, f"{value}", value=value)


def areas(partition: Partition) -> Check:
    """Check that faces are convex and counterclockwise, and that they fill the domain."""
    name = "area"
    mesh = partition.mesh
    if mesh is None:
        return Check.skipped(name, "there is no mesh")
    size = size_of(partition.chart)
    own = mesh.areas()
    total, whole = float(own.sum()), domain_volume(partition.chart, partition.points[0])
    bent, close = reflex(mesh, ON_BOUNDARY * size), fills(partition.chart) * whole
    full = abs(total - whole) <= close if partition.complete else total <= whole + close
    flat = np.flatnonzero(~(own > 0))  # NaN is bad
    bad = len(flat) + len(bent)
    detail = f"{total:.12g} of {whole:.12g}"
    if bad:
        detail += f", {len(flat)} faces without area, {len(bent)} corners that are not convex"
    return Check.of(name, full and not bad, detail, total=total, domain=whole, bad_faces=bad).at([*flat, *bent])


def reflex(mesh: Mesh, slack: float) -> NDArray[np.int64]:
    """Return the faces with a corner that bends inwards by more than `slack`, once per such corner."""
    place = np.arange(len(mesh.corners))
    after, before = place + 1, place - 1
    after[mesh.offsets[1:] - 1] = mesh.offsets[:-1]
    before[mesh.offsets[:-1]] = mesh.offsets[1:] - 1
    here = mesh.vertices[mesh.corners]
    a, b = here - here[before], here[after] - here
    across = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    # the corner's distance from the line between its neighbors, times their distance
    inward = -across > slack * np.linalg.norm(here[after] - here[before], axis=1)
    owner = np.repeat(np.arange(len(mesh)), np.diff(mesh.offsets))
    return np.asarray(owner[inward])


def faces_inside(partition: Partition, seed: int, *, full: bool) -> Check:
    """Check that every corner of a face lies in the closed cell of its code.

    With codes that differ, and areas that fill the domain, this proves the partition, up to tolerances: the
    faces lie in cells that do not overlap, and leave nothing out.
    """
    name = "faces within their cells"
    mesh = partition.mesh
    if mesh is None or not partition.graph.continuous:
        return Check.skipped(name, "there is no mesh" if mesh is None else "the network is not continuous")
    if not partition.graph.batched:
        return Check.skipped(name, "the graph takes one sample at a time")
    rows = some(partition, seed, full=full)
    wrong = reaching_out(partition, mesh, rows)
    detail = f"{len(rows)} of {len(mesh)} faces"
    if wrong.any():
        detail += f", {int(wrong.sum())} reach out of their cells; the first is cell {rows[wrong][0]}"
    return Check.of(name, not wrong.any(), detail, faces=len(rows), wrong=int(wrong.sum())).at(rows[wrong])


def reaching_out(partition: Partition, mesh: Mesh, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which of some faces have a corner outside of the closed cell of their code, in a batched graph."""
    wrong = np.zeros(len(rows), dtype=bool)
    corners = int(np.diff(mesh.offsets).max(initial=1))
    for part in chunk_rows(partition.graph, 2 * corners, len(rows)):
        wrong[part] = _outside(partition, mesh, rows[part])
    return wrong


def _outside(partition: Partition, mesh: Mesh, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return the same, all at once."""
    counts = np.diff(mesh.offsets)[rows]
    owner = np.repeat(np.arange(len(rows)), counts)
    first = np.repeat(mesh.offsets[:-1][rows] - np.cumsum(counts) + counts, counts)
    loops = mesh.corners[first + np.arange(len(owner))]
    ends = np.concatenate([mesh.vertices.argmin(axis=0), mesh.vertices.argmax(axis=0)])  # values vary between them
    vertices, inverse = np.unique(np.concatenate([loops, ends]), return_inverse=True)
    inverse = inverse[: len(loops)]
    wrong = np.zeros(len(rows), dtype=bool)
    layers = {layer.name: layer for layer in partition.layers}
    packed, share = partition.packed[rows], CORNERS * blur(partition.chart)

    def visit(node: Node, op: Operator, xs: tuple[Tensor, ...]) -> Tensor:
        layer = layers.get(node.name)
        if layer is not None:
            assert isinstance(op, SplineOperator)
            switching = op.switching([partition.graph[name].shape for name in node.args])
            if switching is not None:
                code = unpack(packed[:, layer.start : layer.stop], layer.units, layer.bits, layer.dtype).numpy()
                args = [partition.graph[name].rows(x).numpy() for name, x in zip(node.args, xs, strict=True)]
                largest = max(float(np.abs(a).max(initial=0.0)) for a in args)
                variation = max(float(np.ptp(a, axis=0).max(initial=0.0)) for a in args)
                close = allowance(partition.chart, share, largest, variation)
                args = [a[inverse] for a in args]
                slack = slacks(switching, args, code.astype(np.int64)[owner]).min(axis=1, initial=np.inf)
                wrong[owner[~(slack >= -close)]] = True  # NaN is outside
        return op.forward(*xs)

    with torch.no_grad():
        xs = partition.chart.lift(torch.from_numpy(mesh.vertices[vertices]))
        operators = partition.graph.resolved(torch.float64, torch.device("cpu"), len(vertices))
        walk(partition.graph, xs, visit, operators=operators)
    return wrong


def lengths(partition: Partition) -> Check:
    """Check that the intervals of D = 1 follow each other from one end of the domain to the other."""
    name = "lengths"
    if partition.dim != 1 or not len(partition):
        return Check.skipped(name, "the domain is not one-dimensional")
    ends = intervals(partition)
    ends = ends[np.argsort(partition.points[:, 0], kind="stable")]
    whole = domain_volume(partition.chart, partition.points[0])
    gaps = np.abs(ends[1:, 0] - ends[:-1, 1])
    gap, total = float(gaps.max(initial=0.0)), float((ends[:, 1] - ends[:, 0]).sum())
    # thin cells that no one reports may lie between two others
    close = fills(partition.chart) * whole
    fits = bool((gaps <= 4 * THIN * blur(partition.chart) * whole).all()) and abs(total - whole) <= close
    passed = fits if partition.complete else total <= whole + close
    detail = f"{total:.12g} of {whole:.12g}, largest gap {gap:.1e}"
    return Check.of(name, passed, detail, total=total, domain=whole, largest_gap=gap)
