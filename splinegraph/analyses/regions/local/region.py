"""The one cell around an input, for networks of any size: how far its boundary is, and where."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from splinegraph.analyses.batches import part_size
from splinegraph.analyses.codes import ActivationPattern, codes
from splinegraph.analyses.provenance import Provenance
from splinegraph.analyses.regions.local.margins import FLAT, Margins, pullback, unit_directions
from splinegraph.analyses.regions.local.rows import CellRows
from splinegraph.core.bound import Bound
from splinegraph.core.domains.chart import Chart, chart_of
from splinegraph.core.domains.polytope import Polytope
from splinegraph.core.graph import SplineGraph, require_graph
from splinegraph.core.linearization import ties
from splinegraph.core.notebook import card
from splinegraph.errors import DomainError, ShapeError

__all__ = ["Condition", "LocalRegion", "local_region"]

BUDGET = 2048
"""Rows or columns of the conditions' matrix that are computed by default."""

MOST_DENSE = 2**26
"""Entries of a dense matrix of conditions (512 MiB) beyond which it is not made."""

NORMS = (2, math.inf)


@dataclass(frozen=True, eq=False)
class Condition:
    """One inequality of a cell: g (y - x) <= slack.

    Parameters
    ----------
    node : str
    unit : tuple of int
        Index of the unit that switches where the inequality ends.
    row : tuple of Tensor of shape (*in)
        g, one per input.
    slack : float
    distances : dict from norm to float
        From x to the hyperplane.
    """

    node: str
    unit: tuple[int, ...]
    row: tuple[Tensor, ...]
    slack: float
    distances: dict[float, float]


@dataclass(frozen=True, eq=False)
class LocalRegion:
    """The cell around one input; made by `splinegraph.local_region`.

    Parameters
    ----------
    graph : SplineGraph
    inputs : tuple of Tensor of shape (1, *in), float64
    chart : Chart or None
        Where the input may move; None for the whole space.
    code : ActivationPattern
        Of one sample.
    tied : bool
        Whether the input lies on the boundary of its cell, to within rounding.
    distance : dict from norm to Bound
        Distance to the boundary of the cell, in the norms asked for; the witness of each is the nearest point
        known on the hyperplane of a condition, one tensor of shape (1, *in) per input.
    total, done : int
        How many conditions there are, and of how many the distance is known exactly.
    rows : CellRows
    margins : Margins
    provenance : Provenance
    """

    graph: SplineGraph
    inputs: tuple[Tensor, ...]
    chart: Chart | None
    code: ActivationPattern
    tied: bool
    distance: dict[float, Bound]
    total: int
    done: int
    rows: CellRows
    margins: Margins
    provenance: Provenance

    def __repr__(self) -> str:
        found = ", ".join(f"l{norm:g} {bound.lower:.4g} to {bound.upper:.4g}" for norm, bound in self.distance.items())
        part = "" if self.complete else f", {self.done} of {self.total} conditions"
        return f"<LocalRegion: boundary at {found}{part}>"

    def _repr_html_(self) -> str:
        return card(self)

    @property
    def complete(self) -> bool:
        """Whether the distances are exact."""
        return all(bound.kind == "exact" for bound in self.distance.values())

    @property
    def stale(self) -> bool:
        """Whether the weights have changed since."""
        return self.provenance.weights.stale

    def tightest(self, count: int = 1, *, norm: float = 2) -> list[Condition]:
        """Return the nearest conditions known, nearest first; one adjoint pass per condition."""
        distances = self.margins.distances(_norm(norm)).nan_to_num(math.inf, math.inf)
        near = distances.topk(min(count, self.total), largest=False).indices
        near = near[distances[near].isfinite()]
        if not len(near):
            return []
        forms = self.rows.forms(near)
        return [self._condition(int(r), tuple(g[i] for g in forms)) for i, r in enumerate(near.tolist())]

    def _condition(self, row: int, form: tuple[Tensor, ...]) -> Condition:
        origin = self.rows.origin(row)
        shape = self.code.layer(origin.node.name).shape
        unit = np.unravel_index(int(origin.conditions.unit[row - origin.start]), shape)
        distances = {norm: float(self.margins.distances(norm)[row]) for norm in NORMS}
        slack = float(self.rows.slack[row])
        return Condition(origin.node.name, tuple(int(i) for i in unit), form, slack, distances)

    def along(self, *vs: Tensor) -> float:
        """Return how far x can go along v, one tensor of shape (*in) or (1, *in) per input, before its code changes.

        Exact up to rounding, for any size of network: one tangent pass. In multiples of v; 0 on a boundary.
        """
        shapes = self.graph.input_shapes
        given = [v.reshape(1, *shape).to(x) for v, shape, x in zip(vs, shapes, self.inputs, strict=True)]
        if not self.total:
            return math.inf
        rate = self.rows.products(given)[0]
        length = math.sqrt(sum(float(v.square().sum()) for v in given))
        ahead = rate > FLAT * length * self.margins.scale
        return float((self.rows.slack[ahead] / rate[ahead]).min()) if bool(ahead.any()) else math.inf

    def conditions(self) -> tuple[Tensor, Tensor]:
        """Return all conditions G t <= h on the free coordinates (all entries of the inputs, flattened, by default).

        One tangent pass per coordinate; rows that are zero are left out.

        Raises
        ------
        DomainError
            If the matrix would be too large.
        """
        size = sum(x.numel() for x in self.inputs) if self.chart is None else self.chart.dim
        if size * self.total > MOST_DENSE:
            raise DomainError(
                f"{self.total} conditions on {size} coordinates are too many for a matrix",
                remedy="look at the tightest ones: .tightest(count)",
            )
        G = torch.zeros(self.total, size, dtype=torch.float64)
        for block, directions in unit_directions(self.rows, self.chart, self.margins._batch):
            G[:, block] = self.rows.products(directions).T
        t = self._position()
        keep = self.margins.distances(2).isfinite() if self.done == self.total else (G != 0).any(1)
        return G[keep], (self.rows.slack + G @ t)[keep]

    def polytope(self) -> Polytope:
        """Return the cell in the input's own shape, for graphs with one input."""
        if len(self.inputs) > 1 or self.chart is not None:
            raise DomainError("a polytope needs one input and no domain", remedy="use .conditions()")
        G, h = self.conditions()
        return Polytope(G, h, tuple(self.inputs[0].shape[1:]))

    def _position(self) -> Tensor:
        """Return the input in the free coordinates."""
        if self.chart is not None:
            return self.chart.coordinates([x.cpu() for x in self.inputs])[0]
        return torch.cat([x.cpu().reshape(-1) for x in self.inputs])

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe summary."""
        return {
            "distance": {f"l{norm:g}": bound.to_dict() for norm, bound in self.distance.items()},
            "tied": self.tied,
            "conditions": self.total,
            "conditions_done": self.done,
            "complete": self.complete,
            "tightest": [
                {"node": c.node, "unit": list(c.unit), "slack": c.slack, "distance": c.distances[2]}
                for c in self.tightest(5)
            ],
            "provenance": self.provenance.to_dict(),
        }


def _norm(norm: float) -> float:
    if norm not in NORMS:
        raise ShapeError(f"norm {norm}", remedy="choose 2 or inf")
    return norm


def local_region(
    graph: SplineGraph,
    *x: Tensor,
    on: Any = None,
    norm: float | Sequence[float] = NORMS,
    budget: int = BUDGET,
    batch: int | None = None,
) -> LocalRegion:
    """Return the cell around one input: its distance to the boundary and the conditions that are nearest.

    Parameters
    ----------
    graph : SplineGraph
        Piecewise affine up to its last switch; of any size.
    *x : Tensor of shape (*in) or (1, *in)
        One per input of the graph.
    on : domain, or tuple of domains, optional
        Where x may move: distances are then in the domain's coordinates. Its own sides are no conditions.
    norm : 2, inf or both
    budget : int
        Rows, or columns, of the matrix of all conditions that may be computed.
    batch : int, optional
        How many of them per pass. Default: what keeps the widest value under 2^24 entries.

    Returns
    -------
    LocalRegion

    Raises
    ------
    UnsupportedOperatorError
        If an operator ahead of a switch is not piecewise affine.
    ShapeError
        If x does not fit the graph, or is not one sample.
    DomainError
        If x does not lie in the domain.

    Notes
    -----
    With at most `budget` coordinates, all conditions are worked out, by one tangent pass per coordinate. Otherwise
    adjoint passes take the conditions one by one, the nearest first by an estimate of their norms, until a proved
    lower bound of all others exceeds the nearest found, and the distance is exact; or the budget ends, and it is
    bracketed: the upper end is a condition that is met there, the lower one is proved.

    Examples
    --------
    >>> import torch, splinegraph as sg
    >>> graph = sg.trace(torch.nn.Sequential(torch.nn.ReLU()).eval(), torch.zeros(1, 2))
    >>> cell = sg.local_region(graph, torch.tensor([3.0, -0.5]))
    >>> cell.distance[2].upper, cell.tightest()[0].unit, cell.along(torch.tensor([-1.0, 0.0]))
    (0.5, (1,), 3.0)
    """
    wanted = tuple(_norm(p) for p in (norm if isinstance(norm, Sequence) else (norm,)))
    inputs = _single(graph, x)
    chart = None if on is None else chart_of(graph, on)
    if chart is not None and not bool(chart.contains(chart.coordinates([v.cpu() for v in inputs]), slack=1e-9).all()):
        raise DomainError("x lies outside of the domain", remedy="give a domain that holds it")
    if budget < 1:
        raise ShapeError(f"budget is {budget}", remedy="give at least 1")
    if batch is not None:
        part_size("batch", batch, 1)
    rows = CellRows(graph, inputs)
    margins = Margins(rows, chart, budget, batch)
    with torch.no_grad():
        tied = any(bool(flags.any()) for flags in ties(rows.graph, inputs).values())
    distance = {p: _bound(rows, margins, chart, p) for p in wanted}
    done = int((~margins.norms[2].isnan()).sum())
    provenance = Provenance.of(graph, dtype=torch.float64, seed=0, budget=budget)
    code = codes(graph, *inputs)
    return LocalRegion(graph, inputs, chart, code, tied, distance, len(rows), done, rows, margins, provenance)


def _single(graph: SplineGraph, given: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Return the input as a batch of one, float64."""
    require_graph(graph)
    shapes = graph.input_shapes
    if len(given) == len(shapes):
        given = [v[None] if tuple(v.shape) == tuple(s) else v for v, s in zip(given, shapes, strict=True)]
    count = graph.check_inputs(tuple(given))
    if count != 1:
        raise ShapeError(f"{count} samples", remedy="give one sample; loop over several")
    for v in given:
        if not bool(v.isfinite().all()):
            raise ShapeError("the input holds NaN or infinite values", remedy="give finite numbers")
    return tuple(v.detach().double() for v in given)


def _bound(rows: CellRows, margins: Margins, chart: Chart | None, norm: float) -> Bound:
    """Return the distance to the boundary, with the nearest point known on it."""
    lower, upper, row = margins.distance(norm)
    kind = "exact" if lower == upper else "bracket" if lower > 0 else "upper"
    if row < 0:
        return Bound(lower, upper, "exact" if lower == upper else "lower")
    return Bound(lower, upper, kind, witness=_nearest(rows, chart, row, norm))  # type: ignore[arg-type]


def _nearest(rows: CellRows, chart: Chart | None, row: int, norm: float) -> tuple[Tensor, ...]:
    """Return the point of a condition's hyperplane that is nearest to x."""
    form = pullback(rows.forms(torch.tensor([row])), chart)[0]
    slack = float(rows.slack[row])
    step = form * (slack / float(form.square().sum())) if norm == 2 else form.sign() * (slack / float(form.abs().sum()))
    if chart is not None:
        t = chart.coordinates([x.cpu() for x in rows.inputs])
        return tuple(v.to(rows.inputs[0].device) for v in chart.lift(t + step[None]))
    parts = step.split([x.numel() for x in rows.inputs])
    return tuple(x + p.reshape(x.shape).to(x) for x, p in zip(rows.inputs, parts, strict=True))
