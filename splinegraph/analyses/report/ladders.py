"""Lipschitz bounds for a report: by work that does not depend on the clock, with every method that ran."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from splinegraph.analyses.lipschitz.bound import LipschitzBound, Rung
from splinegraph.analyses.lipschitz.by_regions import by_regions, expected_cells
from splinegraph.analyses.lipschitz.certificate import Certificate
from splinegraph.analyses.lipschitz.domain import Domain
from splinegraph.analyses.lipschitz.lipschitz import lipschitz
from splinegraph.analyses.lipschitz.product import Product, product
from splinegraph.analyses.lipschitz.relaxing.tightening import jacobian_on, tightened
from splinegraph.analyses.lipschitz.sdp.inequality import Inequality
from splinegraph.analyses.lipschitz.sdp.interior import solve, start
from splinegraph.analyses.lipschitz.taking_apart import units
from splinegraph.core.graph import SplineGraph
from splinegraph.core.values import Box
from splinegraph.errors import SplineGraphError

__all__ = ["Climbed", "RungRow", "climbed", "climbed_rows", "farthest", "locally", "switching"]

UNITS = 120
"""Units up to which the semidefinite bound and relaxation are worked out: they take a second."""

CELLS = 1_000
"""A guess of a number of cells up to which all are looked at."""


@dataclass(frozen=True)
class RungRow:
    """What one method gave.

    Parameters
    ----------
    method : str
    side : {'lower', 'upper', 'both'}
    lower, upper : float or None
        None for a side that it says nothing of, and for an upper end that is infinite.
    note : str
        Why it gave nothing, or not all.
    """

    method: str
    side: str
    lower: float | None
    upper: float | None
    note: str


@dataclass(frozen=True, eq=False)
class Climbed:
    """What methods gave on one domain.

    Parameters
    ----------
    lower : float
        The best lower end, which rounding may put above `upper`.
    upper : float
        Infinite if there is none.
    method : str
        What gave `upper`.
    rungs : tuple of RungRow
    certificate : Certificate or None
        Of the upper end.
    product : Product or None
    remarks : tuple of str
        Why there is no upper end.
    """

    lower: float
    upper: float
    method: str
    rungs: tuple[RungRow, ...]
    certificate: Certificate | None
    product: Product | None
    remarks: tuple[str, ...] = ()

    def joined(self, row: RungRow, certificate: Certificate | None = None) -> Climbed:
        """Return the same with one more method."""
        better = row.upper is not None and row.upper < self.upper
        return Climbed(
            max(self.lower, row.lower or 0.0), row.upper if better and row.upper is not None else self.upper,
            row.method if better else self.method, (*self.rungs, row), certificate if better else self.certificate,
            self.product, self.remarks,
        )  # fmt: skip


def switching(graph: SplineGraph) -> int:
    """Return the number of units that are not affine."""
    return sum(math.prod(node.shape) for node in graph.operators if node.op.family != "affine")


def climbed(graph: SplineGraph, domain: Domain, starts: Sequence[Tensor], seed: int) -> Climbed:
    """Return what products and points give, and of few units the semidefinite bound, in l2."""
    found = _first(lipschitz(graph, 2, domain.boxes, budget=0, starts=starts, seed=seed))
    return _semidefinite(graph, domain, found) if switching(graph) <= UNITS else found


def locally(graph: SplineGraph, boxes: tuple[Box, ...], starts: Sequence[Tensor], seed: int) -> Climbed:
    """Return what all methods give on a box: of few units by relaxation and, where cells are few, by all of them."""
    domain = Domain.of(graph, boxes)
    found = climbed(graph, domain, starts, seed)
    if switching(graph) > UNITS or not domain.bounded:
        return found
    taken = units(graph, domain.intervals(graph))
    if taken is not None:
        upper = jacobian_on(taken, domain, 2).norm(2)
        found = found.joined(_upper("jacobian", upper), Certificate(graph, domain, 2, upper, "jacobian"))
    if expected_cells(graph, domain) > CELLS:
        return found
    try:
        cells = by_regions(graph, 2, domain)
    except SplineGraphError:
        return found
    if cells is None:
        return found
    row = RungRow("regions", "both", cells.lower, _plain(cells.upper), cells.note or f"{cells.cells} cells")
    return found.joined(row, Certificate(graph, domain, 2, cells.upper, "regions"))


def climbed_rows(graph: SplineGraph, starts: Sequence[Tensor]) -> Climbed:
    """Return what the product in the maximum norm and pairs of samples give: cheap for networks of any size."""
    found = product(graph, math.inf)
    far = farthest(graph, starts, math.inf)
    upper = _upper("product", found.upper)
    pairs = RungRow("pairs of samples", "lower", far, None, "" if far is not None else "no two samples differ")
    return Climbed(far or 0.0, found.upper, "product", (upper, pairs), None, found)


def farthest(graph: SplineGraph, samples: Sequence[Tensor], norm: float) -> float | None:
    """Return the largest |f(x) - f(y)| / |x - y| of two samples; None if no two differ."""
    with torch.no_grad():
        values = graph(*samples, dtype=torch.float64)
    ys = torch.cat(
        [y.double().reshape(len(y), -1) for y in (values if isinstance(values, tuple) else (values,))], dim=1
    )
    xs = torch.cat([x.double().reshape(len(x), -1) for x in samples], dim=1)
    pairs = [(i, j) for i, j in itertools.combinations(range(len(xs)), 2) if not torch.equal(xs[i], xs[j])]
    sizes = [
        (torch.linalg.vector_norm(ys[i] - ys[j], norm), torch.linalg.vector_norm(xs[i] - xs[j], norm)) for i, j in pairs
    ]
    return max((float(y / x) for y, x in sizes), default=None)


def _first(found: LipschitzBound) -> Climbed:
    certificate = found.certificate if isinstance(found.certificate, Certificate) else None
    lower = found.lower if found.witness is None else found.witness.value
    rows = tuple(map(_row, found.rungs))
    return Climbed(lower, found.upper, found.method, rows, certificate, found.product, found.remarks)


def _row(rung: Rung) -> RungRow:
    low, high = (rung.values[0], rung.values[-1])
    return RungRow(
        rung.method, rung.side, _plain(low) if rung.side != "upper" else None,
        _plain(high) if rung.side != "lower" else None, rung.note,
    )  # fmt: skip


def _upper(method: str, value: float, note: str = "") -> RungRow:
    return RungRow(method, "upper", None, _plain(value), note)


def _semidefinite(graph: SplineGraph, domain: Domain, found: Climbed) -> Climbed:
    """Add the semidefinite bound of all units together, where there is one."""
    taken = units(graph, domain.intervals(graph))
    if taken is None or not taken.count:
        return found
    left = tightened(taken, domain).units if domain.bounded else taken
    inequality = Inequality(domain.reduced(left)) if left.count else None
    T = None if inequality is None else start(inequality)
    if inequality is None or T is None:
        return found.joined(_upper("semidefinite", math.inf, "no multipliers to start from"))
    T = solve(inequality, T).T
    upper = math.sqrt(inequality.certified(T))
    return found.joined(
        _upper("semidefinite", upper), Certificate(graph, domain, 2, upper, "semidefinite", {"T": T})
    )  # fmt: skip


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
