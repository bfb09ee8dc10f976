"""Checks facet by facet: behind each lies a known cell, and both maps agree on it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from splinegraph.analyses.regions.partition.facets import adjacency_of
from splinegraph.analyses.regions.partition.volumes import domain_volume
from splinegraph.analyses.regions.verify.maps import agreement
from splinegraph.analyses.regions.verify.verification import Check

if TYPE_CHECKING:
    from splinegraph.analyses.regions.partition.adjacency import Adjacency
    from splinegraph.analyses.regions.partition.partition import Partition

__all__ = ["closed", "facet_maps", "full_adjacency", "sum_of_volumes"]

MOST_HULLS = 2000
"""Cells up to which volumes are worked out for the check."""


def full_adjacency(partition: Partition) -> Adjacency:
    """Return the pairs that share a facet by linear programs, mesh or not."""
    if partition.mesh is None:
        return partition.adjacency
    return adjacency_of(dataclasses.replace(partition, mesh=None, _cache={"index": partition.index}))


def closed(partition: Partition, adjacency: Adjacency) -> Check:
    """Check that a known cell lies behind every facet inside the domain, and the first behind its facet.

    As the domain is connected through facets, nothing can then be missing but cells that are thinner than
    the tolerance. Where there is a mesh, the same faces must be neighbors in it. Where the network jumps,
    several cells may lie behind one facet: only the one behind its center is looked at, and nothing is proved.
    """
    name = "facets closed"
    detail = f"{len(adjacency)} shared facets, {adjacency.open} that lead nowhere, {adjacency.one_way} one way"
    figures = {"facets": len(adjacency), "open": adjacency.open, "one_way": adjacency.one_way}
    passed = adjacency.open == 0 and (adjacency.one_way == 0 or not partition.graph.continuous)
    if partition.mesh is not None:
        ours, theirs = ({(int(i), int(j)) for i, j in a.pairs} for a in (adjacency, partition.adjacency))
        differ = len(ours ^ theirs)
        detail += f", {differ} pairs that the mesh has otherwise"
        figures |= {"otherwise_in_mesh": differ}
        passed &= differ == 0
    if not partition.complete:
        return Check.skipped(name, f"the partition is incomplete; {detail}", **figures)
    return Check.of(name, passed, detail, **figures)


def facet_maps(partition: Partition, adjacency: Adjacency) -> Check:
    """Check that the maps of two neighbors agree on their common facet, as those of a continuous network do."""
    name = "maps agree on facets"
    if not partition.graph.continuous or not len(adjacency):
        why = "there are no facets" if partition.graph.continuous else "the network is not continuous"
        return Check.skipped(name, why)
    maps = partition._comparable_maps()
    worst = 0.0
    scale, close = agreement(partition, maps, maps(partition.points))
    wrong = np.zeros(len(adjacency), dtype=bool)
    step = max(1, 2**22 // max(maps.A[0].size, 1))
    for start in range(0, len(adjacency), step):
        i, j = adjacency.pairs[start : start + step].T
        at = adjacency.points[start : start + step]
        slopes = maps.A[j] - maps.A[i]
        gap = np.abs(np.einsum("nod,nd->no", slopes, at) + maps.b[j] - maps.b[i]).max(axis=1)
        wrong[start : start + step] = ~(gap <= close)  # NaN is wrong
        worst = max(worst, float(gap.max()))
    detail = f"{len(adjacency)} facets, largest difference {worst / scale if scale else 0.0:.1e}"
    if wrong.any():
        i, j = adjacency.pairs[wrong][0]
        detail += f", {int(wrong.sum())} differ; the first is between cells {i} and {j}"
    return Check.of(name, not wrong.any(), detail, facets=len(adjacency), wrong=int(wrong.sum()))


def sum_of_volumes(partition: Partition) -> Check:
    """Check that the volumes of the cells add up to the domain's."""
    name = "volumes"
    if partition.dim < 2 or partition.mesh is not None or len(partition) > MOST_HULLS:
        few = len(partition) <= MOST_HULLS
        return Check.skipped(name, "lengths or areas are checked" if few else f"more than {MOST_HULLS} cells")
    volumes = partition.volumes()
    whole = domain_volume(partition.chart, partition.points[0])
    if volumes.kind != "exact" or not np.isfinite(whole):
        return Check.skipped(name, f"too dear in {partition.dim} dimensions")
    total = float(np.nansum(volumes.values))
    lost = int(np.isnan(volumes.values).sum())
    fits = abs(total - whole) <= 1e-6 * whole if partition.complete else total <= whole * (1 + 1e-6)
    return Check.of(name, fits, f"{total:.9g} of {whole:.9g}", total=total, domain=whole, not_worked_out=lost)
