"""Whether an output is the maximum of the affine maps of its own regions (the paper's Theorem 2), cell by cell."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
import torch

from splinegraph.analyses.convexity.facets import numbers_of
from splinegraph.analyses.convexity.verdict import Witness, entries
from splinegraph.analyses.regions.cells import Floats
from splinegraph.analyses.regions.partition.facets import chunks, corners_of, polytopes_of
from splinegraph.analyses.regions.partition.partition import Partition
from splinegraph.errors import DomainError, SplineGraphError

__all__ = ["Domination", "by_domination"]

Method = Literal["auto", "corners", "programs"]

ROUNDING = 1e-9
"""Relative to the largest value on the domain: what rounding of maps and corners can add."""

MOST_DIMENSIONS = 4
"""Dimension up to which corners of cells are listed; linear programs serve beyond."""

MOST_CELLS = 200
"""Cells up to which linear programs are solved, one per cell and map: about a millisecond each."""

ENTRIES = 2**22


class Worst(NamedTuple):
    """Where a map lies highest above the output: by how much, whose map, in which cell, at which point."""

    excess: float
    map: int
    cell: int
    point: Floats


@dataclass(frozen=True, eq=False, repr=False)
class Domination:
    """How far some region's affine map rises above an output; made by `by_domination`.

    Parameters
    ----------
    index : tuple of int
        The output's entry.
    excess : float
        Largest a_i x + b_i - f(x) over all cells i and points x of known cells; at least 0.
    slack : float
        What rounding can make of 0.
    complete : bool
        Whether all cells are known.
    """

    index: tuple[int, ...]
    excess: float
    slack: float
    complete: bool
    _partition: Partition = field(repr=False)
    _number: int
    _worst: Worst

    def __repr__(self) -> str:
        word = {True: "holds", False: "fails", None: "not known"}[self.holds]
        return f"<Domination of output {list(self.index)}: {word}, excess {self.excess:.4g}>"

    @property
    def holds(self) -> bool | None:
        """Whether f is the maximum of its regions' maps: up to `slack` if True, proved wrong if False."""
        if self.excess > self.slack:
            return False
        return True if self.complete else None

    @functools.cached_property
    def witness(self) -> Witness | None:
        """Two points whose chord the output exceeds between them: it then is not convex; None if none is known.

        From the point where cell i's map is above the output, through the inner point of cell i, and on as far as
        half the radius of its ball.
        """
        if self.holds is not False:
            return None
        _, i, _, point = self._worst
        center, radius = self._partition.points[i], float(self._partition.radii[i])
        way = center - point
        distance = float(np.linalg.norm(way))
        if not np.isfinite(radius):
            radius = 1e-9 * distance
        beyond = 0.5 * min(radius, distance)
        weight = beyond / (beyond + distance)
        ends = torch.from_numpy(np.stack([point, center + way * (beyond / distance)]))
        inputs = self._partition.chart.lift(ends)
        x, y = (tuple(p[k] for p in inputs) for k in (0, 1))
        found = Witness(self._partition.graph, self.index, x, y, weight, weight * self.excess, "domination")
        return found if found.verify() else None


def by_domination(
    partition: Partition, outputs: Iterable[int] | None = None, *, method: Method = "auto"
) -> dict[int, Domination]:
    """Return by how much an affine map of some region rises above each output: 0 if and only if it is convex.

    Parameters
    ----------
    partition : Partition
        Of a bounded domain.
    outputs : iterable of int, optional
        Entries, counted through all outputs one behind the other; default: all.
    method : {'auto', 'corners', 'programs'}
        At the corners of all cells, or by one linear program per cell and map.

    Raises
    ------
    SplineGraphError
        If there are more than `MOST_CELLS` cells for linear programs.

    Notes
    -----
    O(R V) for R maps and V corners, or R^2 linear programs of D variables: adjacency is not used, so that this
    checks `facets.by_facets`. The answer is in float64: one that holds says that f differs from a convex function
    by `slack` at most, not more. One that fails comes with a witness in exact rationals.

    The paper's Theorem 2 says the same of all splines; it needs regions with interior, which cells have, and a
    continuous function: 5 x on {0} and 0 elsewhere is convex, but not the maximum of 5 x and 0.
    """
    ways = "corners" if partition.dim <= MOST_DIMENSIONS else "programs"
    way = ways if method == "auto" else method
    if way == "programs" and len(partition) > MOST_CELLS:
        raise SplineGraphError(
            f"{len(partition)} cells are too many for one linear program per cell and map",
            remedy=f"choose a smaller domain with at most {MOST_CELLS} cells, or the facet criterion",
        )
    search = _at_corners if way == "corners" else _by_programs
    largest = np.abs(partition.outputs()).max(axis=0, initial=0.0)
    whole = partition.complete and bool(partition.verified)
    found, names = {}, entries(partition.graph)
    for number in numbers_of(partition, outputs):
        worst = search(partition, number)
        slack = ROUNDING * (float(largest[number]) + _rise(partition, number))
        found[number] = Domination(names[number], max(worst.excess, 0.0), slack, whole, partition, number, worst)
    return found


def _rise(partition: Partition, number: int) -> float:
    """Return how much the steepest map changes across the domain."""
    slopes = np.linalg.norm(partition.affine_maps().A[:, number], axis=1)
    return float(slopes.max(initial=0.0)) * float(np.linalg.norm(partition.extent))


def _at_corners(partition: Partition, number: int) -> Worst:
    """Return the worst corner: a difference of affine maps is largest at one."""
    maps = partition.affine_maps()
    a, b = maps.A[:, number], maps.b[:, number]
    if partition.dim == 0:
        return Worst(0.0, 0, 0, np.zeros(0))
    corners, offsets = corners_of(partition)
    owner = np.repeat(np.arange(len(partition)), np.diff(offsets))
    values = np.einsum("vd,vd->v", a[owner], corners) + b[owner]
    worst = Worst(0.0, 0, 0, partition.points[0])
    step = max(1, ENTRIES // max(len(a), 1))
    for start in range(0, len(corners), step):
        rows = slice(start, start + step)
        above = corners[rows] @ a.T + b - values[rows, None]
        v, i = np.unravel_index(int(above.argmax()), above.shape)
        if above[v, i] > worst.excess:
            worst = Worst(float(above[v, i]), int(i), int(owner[rows][v]), corners[rows][v])
    return worst


def _by_programs(partition: Partition, number: int) -> Worst:
    """Return the worst point that linear programs find, one per cell and map that differs from the cell's own."""
    from scipy.optimize import linprog

    maps = partition.affine_maps()
    a, b = maps.A[:, number], maps.b[:, number]
    _, distinct = np.unique(np.column_stack([a, b]), axis=0, return_index=True)
    worst = Worst(0.0, 0, 0, partition.points[0])
    for cell, G, h in _inequalities(partition):
        for i in distinct.tolist():
            rise = a[i] - a[cell]
            if not rise.any():
                continue
            solved = linprog(-rise, A_ub=G, b_ub=h, bounds=(None, None), method="highs")
            if solved.x is None:
                raise DomainError(f"HiGHS could not solve a linear program over cell {cell}", why=solved.message)
            excess = float(rise @ solved.x + b[i] - b[cell])
            if excess > worst.excess:
                worst = Worst(excess, i, cell, solved.x)
    return worst


def _inequalities(partition: Partition) -> Iterator[tuple[int, Floats, Floats]]:
    for rows in chunks(partition):
        polytopes = polytopes_of(partition, rows)
        for k, cell in enumerate(rows.tolist()):
            part = slice(int(polytopes.offsets[k]), int(polytopes.offsets[k + 1]))
            yield cell, polytopes.G[part], polytopes.h[part]
