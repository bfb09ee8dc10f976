"""The ladder: from the product of norms to the constant itself, for as long as time allows."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from splinegraph.analyses.lipschitz.bound import LipschitzBound, Rung
from splinegraph.analyses.lipschitz.branching import branch
from splinegraph.analyses.lipschitz.certificate import Certificate
from splinegraph.analyses.lipschitz.crossing import cross
from splinegraph.analyses.lipschitz.domain import Domain
from splinegraph.analyses.lipschitz.jacobians import ROUNDING, matrices, norms
from splinegraph.analyses.lipschitz.lower import Witness, climb
from splinegraph.analyses.lipschitz.product import product
from splinegraph.analyses.lipschitz.sdp.inequality import Inequality
from splinegraph.analyses.lipschitz.sdp.interior import solve, start
from splinegraph.analyses.lipschitz.taking_apart import units
from splinegraph.analyses.lipschitz.units import Units
from splinegraph.core.bound import BoundKind
from splinegraph.core.graph import SplineGraph
from splinegraph.errors import SplineGraphError

__all__ = ["lipschitz"]

NORMS = (1, 2, math.inf)

MOST_UNITS = 1500
"""Size of the matrix inequality beyond which it is not solved."""

BUDGET = 30.0
"""Seconds that are taken if nothing else is said."""


def lipschitz(
    graph: SplineGraph,
    norm: float = 2,
    on: Any = None,
    *,
    tol: float = 1e-6,
    budget: float | None = BUDGET,
    starts: Sequence[Tensor] | None = None,
    seed: int = 0,
) -> LipschitzBound:
    """Return lower and upper bounds of a network's Lipschitz constant.

    The smallest K with ``||f(x) - f(y)|| <= K ||x - y||`` for all x and y of the domain, with the same norm on both
    sides, for all outputs together as functions of all inputs together.

    Parameters
    ----------
    graph : SplineGraph
    norm : {1, 2, inf}
    on : Box, or tuple of one per input, optional
        Default: all of space.
    tol : float
        Relative distance of the two ends at which the search stops.
    budget : float, optional
        Seconds; both ends are valid whenever time runs out. None: no limit.
    starts : sequence of Tensor of shape (S, *in), optional
        Points to climb from, one tensor per input: data, say.
    seed : int
        Of random starts.

    Returns
    -------
    LipschitzBound
        ``kind='bracket'`` if both ends tell something, 'upper' if no lower bound was found, 'lower' if no upper one.

    Raises
    ------
    SplineGraphError
        If the norm is not one of those, or `tol` or `budget` is negative.
    DomainError
        If the domain does not fit.

    Notes
    -----
    Upper ends, each at least as good as the one before: the product of the operators' constants along the graph;
    on a box, with slopes that can occur there; in l2 the semidefinite bound of all units together; branch and
    bound over the sides of units' kinks. Lower ends: norms of local maps at points, by a climb across facets. An
    operator without a constant on the domain makes the upper end infinite; `product.unbounded` names it.

    Paper Eq 67 bounds K by the largest squared norm of a local map, which fails for contractions; for continuous
    networks on convex domains K *is* the largest norm of the local maps that occur.

    References
    ----------
    .. [1] R. Balestriero and R. Baraniuk, "A Spline Theory of Deep Learning", 2017, Eq 67-72.
    .. [2] M. Fazlyab et al., "Efficient and Accurate Estimation of Lipschitz Constants for Deep Neural Networks",
       NeurIPS 2019.

    Examples
    --------
    >>> import torch, splinegraph as sg
    >>> net = torch.nn.Linear(2, 1, bias=False).eval()
    >>> _ = net.weight.data.copy_(torch.tensor([[3.0, 4.0]]))
    >>> sg.lipschitz(sg.trace(net, torch.zeros(1, 2)))
    <Lipschitz constant in l2: 5 to 5, by product>
    """
    if norm not in NORMS:
        raise SplineGraphError(f"norm={norm!r}", remedy="give 1, 2 or math.inf")
    if not tol >= 0 or (budget is not None and not budget >= 0):
        raise SplineGraphError(f"tol={tol!r}, budget={budget!r}", remedy="give numbers that are not negative")
    deadline = None if budget is None else time.monotonic() + budget
    ladder = _Ladder(graph, norm, Domain.of(graph, on), tol, deadline, seed)
    ladder.climb(starts)
    return ladder.result(on)


class _Ladder:
    """Both ends so far, and what gave them."""

    def __init__(
        self, graph: SplineGraph, norm: float, domain: Domain, tol: float, deadline: float | None, seed: int
    ) -> None:
        self.graph, self.norm, self.domain, self.tol, self.deadline, self.seed = (
            graph,
            norm,
            domain,
            tol,
            deadline,
            seed,
        )
        self.lower, self.upper, self.method = 0.0, math.inf, "nothing"
        self.witness: Witness | None = None
        self.certificate: Certificate | None = None
        self.rungs: list[Rung] = []
        self.started = time.perf_counter()
        self.boxes = domain.intervals(graph)
        self.product = product(graph, norm, self.boxes)

    def climb(self, starts: Sequence[Tensor] | None) -> None:
        """Go up, rung by rung, until both ends are close enough or time is up."""
        self.below("product", self.product.upper, Certificate(self.graph, self.domain, self.norm, self.product.upper))
        self._points(starts)
        if self.norm != 2 or self.done:
            return
        found = units(self.graph, self.boxes)
        if found is None:
            self._told("semidefinite", "an operator has no slopes, or the network is too large to be taken apart")
            return
        if len(found.forms) - found.inputs + min(found.inputs, found.count) > MOST_UNITS:
            self._told("semidefinite", f"{found.count} units")
            return
        T = self._semidefinite(found)
        if T is None or self.done or np.isnan(found.slopes).any() or self.domain.free is not None:
            return
        self._cross(found)
        if not self.done:
            self._branch(found)

    @property
    def done(self) -> bool:
        """Whether the ends are close enough, or time is up."""
        late = self.deadline is not None and time.monotonic() > self.deadline
        return late or self.upper <= self.lower * (1 + self.tol)

    def below(self, method: str, upper: float, certificate: Certificate | None) -> None:
        """Take an upper end."""
        self._add(method, "upper", upper)
        if upper < self.upper:
            self.upper, self.method, self.certificate = upper, method, certificate

    def above(self, method: str, witness: Witness | None) -> None:
        """Take a lower end."""
        self._add(method, "lower", 0.0 if witness is None else witness.value, "" if witness else "no point found")
        if witness is not None and witness.value > self.lower:
            self.lower, self.witness = witness.value, witness

    def result(self, on: Any) -> LipschitzBound:
        """Return what is known."""
        lower = min(self.lower, self.upper)  # both hold up to rounding
        kind: BoundKind = "bracket"
        if self.upper == math.inf:
            kind = "lower"
        elif lower == self.upper:
            kind = "exact"
        elif lower == 0:
            kind = "upper"
        return LipschitzBound(
            lower, self.upper, kind, self.witness, self.certificate, norm=self.norm, domain=on, method=self.method,
            rungs=tuple(self.rungs), product=self.product,
        )  # fmt: skip

    # the rungs

    def _points(self, starts: Sequence[Tensor] | None) -> None:
        if not all(node.op.differentiable for node in self.graph.operators):
            return self._told("points", "an operator has no local map")
        witness = climb(
            self.graph, self.norm, self.domain.boxes, starts=starts, free=self.domain.free, deadline=self._share(0.2),
            seed=self.seed,
        )  # fmt: skip
        self.above("points", witness)
        return None

    def _semidefinite(self, found: Units) -> np.ndarray[Any, np.dtype[np.float64]] | None:
        inequality = Inequality(self.domain.reduced(found))
        T = start(inequality)
        if T is None:
            self._told("semidefinite", "no multipliers to start from")
            return None
        solved = solve(inequality, T, tol=min(self.tol, 1e-6), deadline=self.deadline)
        upper = math.sqrt(inequality.certified(solved.T))
        self.below("semidefinite", upper, Certificate(self.graph, self.domain, 2, upper, solved.T))
        return solved.T

    def _cross(self, found: Units) -> None:
        reduced = found.reduced() if self.domain.boxes is None else found
        draw = np.random.default_rng(self.seed)
        sides = self.domain.sides
        if sides is None:
            X = draw.standard_normal((64, reduced.inputs)) * 10 ** draw.uniform(-1, 1.5, (64, 1))
        else:
            low, high = sides
            X = low + (high - low) * draw.random((64, reduced.inputs))
        _, x = cross(reduced, X, box=sides, deadline=self._share(0.3), seed=self.seed)
        self.above("facet crossing", self._witness(found, x))

    def _branch(self, found: Units) -> None:
        done = branch(found, box=self.domain.sides, lower=self.lower, tol=self.tol, deadline=self.deadline)
        if done.witness is not None:
            self.above("branch and bound", self._witness(found, done.witness))
        note = f"{done.nodes} branches, {done.programs} linear programs"
        self.below("branch and bound", max(done.upper, self.lower), None)
        self.rungs[-1] = Rung(**{**vars(self.rungs[-1]), "note": note})

    # helpers

    def _witness(self, found: Units, x: np.ndarray[Any, np.dtype[np.float64]]) -> Witness | None:
        """Return a point of the network from one of its reduced units, with the norm that the network has there."""
        t = torch.from_numpy(found.lifted(x) if self.domain.boxes is None else x)
        sizes = [math.prod(shape) for shape in self.graph.input_shapes]
        inputs = tuple(p.reshape(s) for p, s in zip(t.split(sizes), self.graph.input_shapes, strict=True))
        A, boundary = matrices(self.graph, *(p[None] for p in inputs))
        if bool(boundary.any()):
            return None
        return Witness(inputs, float(norms(A, 2)[0]) * (1 - ROUNDING))

    def _share(self, share: float) -> float | None:
        now = time.monotonic()
        return None if self.deadline is None else now + share * max(self.deadline - now, 0.0)

    def _add(self, method: str, side: str, value: float, note: str = "") -> None:
        now = time.perf_counter()
        self.rungs.append(Rung(method, side, value, now - self.started, note))
        self.started = now

    def _told(self, method: str, why: str) -> None:
        self._add(method, "upper", math.inf, why)
