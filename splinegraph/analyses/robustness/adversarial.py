"""The nearest adversarial point of an input: exact by cells, or between two proved ends."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from splinegraph.analyses.regions.interrupts import stopping
from splinegraph.analyses.robustness.classes import Classifier, check_norm
from splinegraph.analyses.robustness.goal import Goal, Point
from splinegraph.analyses.robustness.radius import certified_radius
from splinegraph.analyses.robustness.search import Search
from splinegraph.core.bound import Bound
from splinegraph.core.domains.chart import Chart, chart_of
from splinegraph.core.graph import SplineGraph
from splinegraph.core.notebook import card
from splinegraph.core.values import Box
from splinegraph.errors import DomainError, ShapeError, SplineGraphError

__all__ = ["AdversarialDistance", "min_adversarial"]

MOST_ENTRIES = 2**25
"""Units times inputs up to which cells are written down: 256 MiB each."""

SEARCH = 0.8
"""Share of the budget for cells; the rest is for a certificate, should they not be enough."""


@dataclass(frozen=True, eq=False)
class AdversarialDistance:
    """How near the nearest input of another class is; made by `min_adversarial`.

    Parameters
    ----------
    distance : Bound
        'exact' to `tol`, 'bracket', 'upper' (no lower end) or 'lower' (no adversarial point is known).
    norm : {2, inf}
    label : int
        Class of the input.
    target : int or None
    point : tuple of Tensor of shape (*in), or None
        An adversarial point at distance `distance.upper`, one tensor per input.
    adversarial_label : int or None
        Its class, as the graph says.
    cells : int
        How many cells were looked at.
    complete : bool
        Whether no limit, budget or interrupt ended the search.
    reason : str
        Why it is not exact, else ''.
    """

    distance: Bound
    norm: float
    label: int
    target: int | None
    point: tuple[Tensor, ...] | None
    adversarial_label: int | None
    cells: int
    complete: bool
    reason: str = ""

    def __repr__(self) -> str:
        ends = f"{self.distance.lower:.6g} to {self.distance.upper:.6g}"
        ends = f"{self.distance.upper:.6g}, exact" if self.distance.kind == "exact" else ends
        return f"<AdversarialDistance: class {self.label} to {self.adversarial_label} in l{self.norm:g}: {ends}>"

    def _repr_html_(self) -> str:
        return card(self)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "distance": self.distance.to_dict(), "norm": "inf" if self.norm == math.inf else 2, "label": self.label,
            "target": self.target, "point": None if self.point is None else [p.tolist() for p in self.point],
            "adversarial_label": self.adversarial_label, "cells": self.cells, "complete": self.complete,
            "reason": self.reason,
        }  # fmt: skip


def min_adversarial(
    graph: SplineGraph,
    x: Tensor | Sequence[Tensor],
    norm: float = 2,
    *,
    label: int | None = None,
    target: int | None = None,
    on: Any = None,
    tol: float = 1e-6,
    limit: int = 100_000,
    budget: float | None = 60.0,
) -> AdversarialDistance:
    """Return the distance from an input to the nearest one of another class, and that point.

    Parameters
    ----------
    graph : SplineGraph
        Of one output (B, C); a softmax at its end is passed over.
    x : Tensor of shape (*in) or (1, *in); a tuple of them for several inputs
    norm : {2, inf}
        Of the perturbation (of all inputs together).
    label : int, optional
        The class to leave. Default: the one predicted.
    target : int, optional
        The class to reach. Default: any other.
    on : Box, or tuple of one per input, optional
        Where adversarial points count: the range of pixels, say. Default: all of space.
    tol : float
        Relative distance of both ends at which they count as one.
    limit : int
        Most cells.
    budget : float, optional
        Seconds. Both ends hold whenever it, or Ctrl-C, ends the search.

    Returns
    -------
    AdversarialDistance

    Raises
    ------
    ShapeError
        If there are fewer than two classes, or x does not fit or is not finite.
    DomainError
        If x lies outside of the domain.
    UnsupportedOperatorError
        If an operator has no local map; it is named.

    Notes
    -----
    Piecewise affine networks: cells are looked at in the order of their distance from x; in each, the nearest point
    where another logit reaches that of the class is a least-distance problem in l2 (Lawson-Hanson) or a linear
    program in linf. Lower bounds of both come from multipliers, checked in float64. The upper end is the distance of
    a point whose class the graph itself confirms.

    Others (smooth ones, say; the first is named in `reason`) have the certified radius as lower and an attack as
    upper end.

    Cost: that of the cells nearer than the answer; their number grows steeply with the dimension.

    References
    ----------
    .. [1] F. Croce and M. Hein, "A randomized gradient-free attack on ReLU networks", GCPR 2018.
    .. [2] M. Jordan, J. Lewis and A. Dimakis, "Provable Certificates for Adversarial Examples: Fitting a Ball in the
       Union of Polytopes", NeurIPS 2019.

    Examples
    --------
    >>> import torch, splinegraph as sg
    >>> net = torch.nn.Linear(2, 2, bias=False).eval()
    >>> _ = net.weight.data.copy_(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    >>> sg.min_adversarial(sg.trace(net, torch.zeros(1, 2)), torch.tensor([1.0, 0.5]))
    <AdversarialDistance: class 0 to 1 in l2: 1, exact>
    """
    check_norm(norm, (2, math.inf))
    if not tol >= 0 or limit < 1 or (budget is not None and not budget >= 0):
        raise SplineGraphError(
            f"tol={tol!r}, limit={limit!r}, budget={budget!r}", remedy="give numbers that are not negative, limit >= 1"
        )
    started = time.monotonic()
    classifier = Classifier.of(graph)
    goal, stuck = _goal(classifier, x, norm, label, target, on)
    if stuck:
        return AdversarialDistance(
            Bound(0.0, 0.0, "exact"), norm, goal.c, target, goal.inputs(goal.at), stuck.label, 0, True,
            f"class {stuck.label} is predicted, or ties to rounding",
        )  # fmt: skip
    search = Search(goal, tol, limit, None if budget is None else started + SEARCH * budget)
    obstacle = _obstacle(search)
    with stopping(search.stop):
        search.attack()
        if not obstacle:
            search.run()
    reason = obstacle or _reason(search, budget)
    lower = 0.0 if obstacle else search.lower
    if not search.stopped and reason:
        share = 1.0 if obstacle else 1 - SEARCH
        rest = None if budget is None else max(min(started + budget - time.monotonic(), share * budget), 0.0)
        found = certified_radius(classifier.graph, goal.inputs(goal.at), norm, label=goal.c, budget=rest)[0]
        lower = max(lower, found.radius)
    return _result(search, lower, reason)


def _goal(
    classifier: Classifier, x: Tensor | Sequence[Tensor], norm: float, label: int | None, target: int | None, on: Any
) -> tuple[Goal, Point | None]:
    """Return what is asked, and the input itself if it is adversarial already."""
    inputs = classifier.inputs(x)
    if len(inputs[0]) != 1:
        raise ShapeError(f"{len(inputs[0])} inputs", remedy="give one; loop over several")
    y, _ = classifier.logits(*inputs)
    given = classifier.labels(label, 1)
    c = int(y[0].argmax()) if given is None else given[0]
    classifier.labels(target, 1, name="target")
    if target == c:
        raise SplineGraphError(f"target={target} is the class of the input", remedy="give another class")
    chart = _chart(classifier.graph, on)
    t = chart.coordinates(inputs)
    if not all(torch.equal(a, b) for a, b in zip(chart.lift(t), inputs, strict=True)) or not bool(chart.contains(t)):
        raise DomainError("x lies outside of the domain", remedy="give a domain that holds it")
    goal = Goal.of(classifier, c, target, chart, t[0].numpy(), norm)
    return goal, goal.check(goal.at) or goal.tie(goal.at)


def _chart(graph: SplineGraph, on: Any) -> Chart:
    domains = tuple(on) if isinstance(on, (tuple, list)) else (on,)
    if on is None:
        domains = tuple(Box.everything(tuple(shape)) for shape in graph.input_shapes)
    for domain in domains:
        if not isinstance(domain, Box):
            raise DomainError(
                f"an adversarial distance on a {type(domain).__name__} is not built", remedy="give a Box per input"
            )
    return chart_of(graph, domains)


def _obstacle(search: Search) -> str:
    """Return why cells cannot be searched, else ''."""
    for node in search.goal.classifier.graph.obstacles:
        return f"{node.op.label} is not piecewise affine ({node.where})"
    return f"cells have {search.entries} entries: too many" if search.entries > MOST_ENTRIES else ""


def _reason(search: Search, budget: float | None) -> str:
    if search.done:
        return ""
    if search.stopped:
        return "interrupted"
    if search.cells >= search.limit:
        return f"limit of {search.limit} cells"
    if search.waiting:
        return f"budget of {budget:g} seconds"
    return "a nearest point was not confirmed: a tie that goes no further, a cell too thin, or a solver's error"


def _result(search: Search, lower: float, reason: str) -> AdversarialDistance:
    goal, best, upper = search.goal, search.best, search.upper
    lower = min(lower, upper)
    if not reason and math.isfinite(upper):
        lower = upper  # to tol
    exact = lower == upper
    kind = "exact" if exact else "lower" if upper == math.inf else "bracket" if lower > 0 else "upper"
    point = None if best is None else goal.inputs(best.t)
    distance = Bound(lower, upper, kind, witness=point)  # type: ignore[arg-type]
    label = None if best is None else best.label
    complete = not reason or not (search.stopped or search.waiting)
    return AdversarialDistance(
        distance, goal.norm, goal.c, goal.target, point, label, search.cells, complete, reason
    )  # fmt: skip
