"""All regions into which a network cuts a domain: the algorithm that fits, its checks, one result."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal

import torch

from splinegraph.analyses.regions.cells import code_layers
from splinegraph.analyses.regions.checking import checked
from splinegraph.analyses.regions.finding import Method, Work, carry_on, find
from splinegraph.analyses.regions.requests import check_request, device_of, require_exact
from splinegraph.core.domains.chart import Chart, chart_of
from splinegraph.core.graph import SplineGraph
from splinegraph.errors import DomainError

if TYPE_CHECKING:
    from splinegraph.analyses.regions.partition.partition import Partition
    from splinegraph.analyses.regions.scale.session import Sharing

__all__ = ["Method", "enumerate_regions"]

MOST_COORDINATES = 16
"""Free coordinates beyond which no search ends: 2^16 orthants of one layer alone."""


def enumerate_regions(
    graph: SplineGraph,
    on: Any,
    *,
    limit: int | None = None,
    budget: float | None = None,
    workers: int = 1,
    device: torch.device | str | None = None,
    method: Method = "auto",
    verify: bool | Literal["cheap", "full"] = "cheap",
    resume: Partition | None = None,
    seed: int = 0,
    sharing: Sharing | None = None,
) -> Partition:
    """Return the activation cells into which a piecewise affine network cuts a domain.

    Parameters
    ----------
    graph : SplineGraph
    on : Box, Plane, Segment, Polytope, or a tuple of them
        The domain, one per input of the graph; bounded. Coordinates with lower == upper are fixed.
    limit : int, optional
        Most cells to find.
    budget : float, optional
        Seconds to work for.
    workers : int
        Processes that share a search; of no use for a mesh.
    device : torch.device or str, optional
        'cuda' makes the mesh of a plane there.
    method : {'auto', 'mesh', 'search', 'stream'}
        In two dimensions the cells come from a mesh of shared vertices (default, for continuous networks), face by
        face from a stream that needs little memory (default for operators of more than 65 536 entries), or from
        the search by linear programs that serves all higher dimensions.
    verify : bool or {'cheap', 'full'}
        Checks of the result by itself; see `Partition.verified`. True is 'cheap'.
    resume : Partition, optional
        A result with ``complete=False`` of the same graph and domain, which is carried on.
    seed : int
        Randomness of the checks.
    sharing : Sharing, optional
        How a search is shared, where it is kept while it goes on, and who is told how far it is; it says more than
        `workers`.

    Returns
    -------
    Partition
        With ``complete=False``, and what is left to do, if the limit or budget ended the work.

    Raises
    ------
    UnsupportedOperatorError
        If a node is not piecewise affine, or its switches cannot be listed; it is named.
    DomainError
        If the domain does not fit the inputs, is unbounded or empty, or has too many free coordinates.
    SplineGraphError
        If another argument is not one of those above, or there is no such device.

    Notes
    -----
    One free coordinate: exact breakpoints. Two: one forward pass per operator on the vertices of the partition,
    about one vertex per cell. More: depth-first over units, some small linear programs per cell, memory in
    proportion to the depth. The number of cells grows as a power of width and depth whose exponent is the
    dimension.

    Ctrl-C ends a search or a stream with what it found, as a limit does; a mesh or a segment is given up. Worker
    processes do not import the caller's script.

    References
    ----------
    .. [1] R. Balestriero and R. Baraniuk, "A Spline Theory of Deep Learning", 2017, Def 2-5 and Eq 25-30.

    Examples
    --------
    >>> import torch, splinegraph as sg
    >>> graph = sg.trace(torch.nn.ReLU().eval(), torch.zeros(1, 2))
    >>> sg.enumerate_regions(graph, on=sg.Box([-1.0, -1.0], [1.0, 1.0])).count
    4
    """
    started = time.monotonic()
    check_request(limit, budget, workers, method, verify, seed)
    where = None if device is None else device_of(device)
    require_exact(graph)
    chart = chart_of(graph, on)
    _check_chart(chart)
    deadline = None if budget is None else started + budget
    work = Work(graph, chart, code_layers(graph), limit, deadline, where, sharing)
    found = find(work, method, workers) if resume is None else carry_on(work, resume, workers)
    return checked(work, on, found, started=started, verify=verify, seed=seed)


def _check_chart(chart: Chart) -> None:
    if not chart.bounded:
        raise DomainError(
            "the domain is unbounded",
            why="an enumeration has to start at a vertex of it",
            remedy="give finite bounds; sg.local_region and sg.neighborhood do without",
        )
    if chart.dim > MOST_COORDINATES:
        raise DomainError(
            f"the domain has {chart.dim} free coordinates, more than {MOST_COORDINATES}",
            why="the number of cells grows exponentially with them",
            remedy="look at a Plane or Segment, or use sg.sample_regions, sg.neighborhood or sg.local_region",
        )
