"""How large the cells and the domain are, in the chart's coordinates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from splinegraph.analyses.regions.cells import Floats
from splinegraph.analyses.regions.partition.facets import chunks, polytopes_of
from splinegraph.analyses.regions.partition.location import find_points
from splinegraph.analyses.regions.partition.uniform import sample_domain
from splinegraph.core.domains.chart import Chart

if TYPE_CHECKING:
    from splinegraph.analyses.regions.partition.partition import Partition

__all__ = ["Volumes", "domain_volume", "intervals", "volume_of", "volumes_of"]

MOST_HULLS = 20_000
"""Cells up to which volumes are worked out: up to some milliseconds each."""

MOST_DIMENSIONS = 6
"""Dimension up to which volumes are worked out."""

SAMPLES = 1_000_000


@dataclass(frozen=True, eq=False)
class Volumes:
    """Volumes of cells.

    Parameters
    ----------
    values : array of float64, shape (N,)
    errors : array of float64, shape (N,)
        One standard error where they are sampled, 0 where they are exact up to rounding.
    kind : {'exact', 'sampled'}
    """

    values: Floats
    errors: Floats
    kind: Literal["exact", "sampled"]

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        return f"<Volumes: {len(self)} cells, {self.kind}, sum {self.values.sum():.6g}>"


def volumes_of(partition: Partition, *, samples: int | None = None, seed: int = 0) -> Volumes:
    """Return the volume of each cell.

    Parameters
    ----------
    samples : int, optional
        Count how many of so many random points lie in each cell, instead of working volumes out.

    Notes
    -----
    D = 1, 2: lengths and areas. Otherwise from facets or vertices, see `geometry.vertices.volumes`, and by random
    points where there are more than `MOST_HULLS` cells or `MOST_DIMENSIONS` dimensions. A cell that no point hits
    has volume 0 there, with the error of one hit.
    """
    if samples is None:
        known: Volumes | None = partition._cache.get("volumes")
        if known is None:
            known = partition._cache["volumes"] = _best(partition, seed)
        return known
    return _sampled(partition, samples, seed)


def _best(partition: Partition, seed: int) -> Volumes:
    count, dim = len(partition), partition.dim
    if partition.mesh is not None:
        return Volumes(partition.mesh.areas(), np.zeros(count), "exact")
    if dim == 1:
        ends = intervals(partition)
        return Volumes(ends[:, 1] - ends[:, 0], np.zeros(count), "exact")
    if dim == 0:
        return Volumes(np.zeros(count), np.zeros(count), "exact")
    if count > MOST_HULLS or dim > MOST_DIMENSIONS:
        return _sampled(partition, SAMPLES, seed)
    from splinegraph.analyses.regions.geometry.vertices import volumes

    parts = [volumes(polytopes_of(partition, rows), partition.points[rows]) for rows in chunks(partition)]
    values = np.concatenate([np.zeros(0), *parts])
    return Volumes(values, np.zeros(count), "exact")


def volume_of(partition: Partition, i: int) -> float:
    """Return the volume of one cell of two or more dimensions."""
    from splinegraph.analyses.regions.geometry.vertices import volumes

    rows = np.array([i])
    return float(volumes(polytopes_of(partition, rows), partition.points[rows])[0])


def intervals(partition: Partition) -> Floats:
    """Return both ends of each cell for D = 1, shape (N, 2)."""
    ends = np.empty((len(partition), 2))
    for rows in chunks(partition):
        polytopes = polytopes_of(partition, rows)
        g, starts = polytopes.G[:, 0], polytopes.offsets[:-1]
        ends[rows, 0] = np.maximum.reduceat(np.where(g < 0, -polytopes.h, -np.inf), starts)
        ends[rows, 1] = np.minimum.reduceat(np.where(g > 0, polytopes.h, np.inf), starts)
    return ends


def domain_volume(chart: Chart, inside: Floats) -> float:
    """Return the volume of a bounded domain; nan where it would be too dear (a polytope of many dimensions)."""
    if chart.dim == 0:
        return 0.0
    if not len(chart.h):
        return float((chart.upper - chart.lower).prod())
    G, h = (a.numpy() for a in chart.constraints())
    if chart.dim == 1:
        ratios = h / G[:, 0]
        return float(ratios[G[:, 0] > 0].min() - ratios[G[:, 0] < 0].max())
    if chart.dim > MOST_DIMENSIONS:
        return float("nan")
    from splinegraph.analyses.regions.geometry.hrep import size_of
    from splinegraph.analyses.regions.geometry.polytopes import Polytopes
    from splinegraph.analyses.regions.geometry.vertices import volumes

    return float(volumes(Polytopes.of(G, h, size=size_of(chart)), inside[None])[0])


def _sampled(partition: Partition, samples: int, seed: int) -> Volumes:
    """Return the share of random points in each cell, times the domain's volume."""
    if not len(partition):
        return Volumes(np.zeros(0), np.zeros(0), "sampled")
    hits = np.zeros(len(partition))
    points = sample_domain(partition.chart, samples, partition.points[0], seed=seed).points
    for start in range(0, len(points), 2**17):
        found = find_points(partition, points[start : start + 2**17])
        hits += np.bincount(found[found >= 0], minlength=len(partition))
    share, total = hits / samples, domain_volume(partition.chart, partition.points[0])
    errors = np.sqrt(np.maximum(share * (1 - share), 1 / samples) / samples)
    return Volumes(share * total, errors * total, "sampled")
