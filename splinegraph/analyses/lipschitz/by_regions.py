"""The constant on a box as the largest norm of the maps of all cells."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from torch import Tensor

from splinegraph.analyses.lipschitz.domain import Domain
from splinegraph.core.graph import SplineGraph
from splinegraph.errors import SplineGraphError

__all__ = ["ByRegions", "by_regions", "expected_cells"]

ROUNDING = 1e-10
"""Relative margin of the maps of cells, which are products of a few dense matrices in float64."""

MOST_CELLS = 100_000

MOST_FREE = 8
"""Free coordinates beyond which cells are too many for networks worth asking about."""


@dataclass(frozen=True, eq=False)
class ByRegions:
    """Both ends, from all cells or from those that were found.

    Parameters
    ----------
    lower : float
    upper : float
        Infinite unless all cells were found and the checks of the partition passed.
    inputs : tuple of Tensor of shape (*in,)
        A point inside the cell of the largest norm.
    cells : int
    note : str
        Why there is no upper end.
    """

    lower: float
    upper: float
    inputs: tuple[Tensor, ...]
    cells: int
    note: str


def expected_cells(graph: SplineGraph, domain: Domain) -> float:
    """Return a rough guess of how many cells a bounded domain has; infinite if they cannot be enumerated.

    It is the number of cells of as many hyperplanes in general position as units can switch on the domain.
    """
    from splinegraph.analyses.lipschitz.taking_apart import units

    free = domain.free
    sizes = sum(math.prod(shape) for shape in graph.input_shapes)
    dim = sizes if free is None else int(free.sum())
    if not domain.bounded or domain.ball is not None or dim > MOST_FREE:
        return math.inf
    found = units(graph, domain.intervals(graph))
    if found is None or any(block.function is not None for block in found.blocks):
        return math.inf
    return float(sum(math.comb(found.count, k) for k in range(dim + 1)))


def by_regions(
    graph: SplineGraph, norm: float, domain: Domain, *, limit: int = MOST_CELLS, deadline: float | None = None
) -> ByRegions | None:
    """Return both ends of a piecewise affine network's constant on a box; None if its cells cannot be enumerated.

    On a convex domain the constant of a continuous network is the largest norm of its local maps, one per cell.

    Parameters
    ----------
    graph : SplineGraph
        Continuous.
    norm : {1, 2, inf}
    domain : Domain
        Bounded, and no ball.
    limit : int
        Most cells.
    deadline : float, optional
        Of `time.monotonic`.

    Notes
    -----
    It holds for the partition that `enumerate_regions` finds and checks: cells thinner than its tolerance, 1e-11 of
    the domain's size, are no cells there. Cost: the enumeration, and one map per cell.

    References
    ----------
    .. [1] R. Balestriero and R. Baraniuk, "A Spline Theory of Deep Learning", 2017, Eq 67 (without the square).
    """
    from splinegraph.analyses.regions.enumerate import enumerate_regions

    boxes = domain.boxes
    if not domain.bounded or boxes is None or domain.ball is not None or not graph.continuous:
        return None
    budget = None if deadline is None else max(deadline - time.monotonic(), 1e-3)
    try:
        cells = enumerate_regions(
            graph, boxes if len(boxes) > 1 else boxes[0], limit=limit, budget=budget, verify="cheap"
        )
    except SplineGraphError:
        return None
    if not len(cells):
        return None
    found = cells.map_norms(norm)
    top = int(found.argmax())
    points = cells.inputs(slice(top, top + 1))
    inputs = tuple(p[0] for p in points) if isinstance(points, tuple) else (points[0],)
    value, note, upper = float(found[top]), "", math.inf
    if not cells.complete:
        note = f"not all cells: {len(cells)} found"
    elif not cells.verified:
        note = f"the cells fail a check: {cells.verified}"
    else:
        upper = value * (1 + ROUNDING)
    return ByRegions(value * (1 - ROUNDING), upper, inputs, len(cells), note)
