"""The ladder: from the product of norms to the constant itself, for as long as time allows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

from torch import Tensor

from splinegraph.analyses.lipschitz.bound import LipschitzBound
from splinegraph.analyses.lipschitz.domain import Domain
from splinegraph.analyses.lipschitz.ladder import Ladder
from splinegraph.analyses.lipschitz.rungs import rungs
from splinegraph.core.graph import SplineGraph, require_graph
from splinegraph.errors import SplineGraphError, require_seed

__all__ = ["lipschitz"]

NORMS = (1, 2, math.inf)

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
    on : Box, Ball, or tuple of one Box per input, optional
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
    Upper ends: the product of the operators' constants along the graph; linear relaxation of the Jacobian, on a
    domain with slopes that can occur there; in l2 the semidefinite bound of all units together; the largest norm of
    all cells where these are few; branch and bound over the sides of units' kinks. Lower ends: norms of local maps
    at points, by annealing and a climb across facets. An operator without a constant on the domain makes the upper
    end infinite; `product.unbounded` names it. Ctrl-C ends it like a budget that is spent.

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
    require_graph(graph)
    seed = require_seed(seed)
    if norm not in NORMS:
        raise SplineGraphError(f"norm={norm!r}", remedy="give 1, 2 or math.inf")
    if not all(isinstance(number, Real) and number >= 0 for number in (tol, budget or 0.0)):
        raise SplineGraphError(f"tol={tol!r}, budget={budget!r}", remedy="give numbers that are not negative")
    ladder = Ladder(graph, norm, Domain.of(graph, on), tol, budget)
    try:
        ladder.start()
        if not ladder.met:
            rungs(ladder, starts, seed)
    except KeyboardInterrupt:
        ladder.interrupted = True
    return ladder.result(on)
