"""All regions into which a network cuts a domain: the algorithm that fits, its checks, one result."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from splinegraph.analyses.batches import widest
from splinegraph.analyses.codes import Layer
from splinegraph.analyses.provenance import weight_hash
from splinegraph.analyses.regions.cells import STALLED, Cells, Mesh, code_layers
from splinegraph.analyses.regions.requests import check_request, device_of, require_exact
from splinegraph.core.domains.chart import Chart, chart_of
from splinegraph.core.graph import SplineGraph
from splinegraph.errors import DomainError, SplineGraphError

if TYPE_CHECKING:
    from splinegraph.analyses.regions.partition.partition import Partition
    from splinegraph.analyses.regions.scale.session import Sharing

__all__ = ["Method", "enumerate_regions"]

Method = Literal["auto", "mesh", "search", "stream"]

WIDE = 2**16
"""Entries of an operator beyond which its values at all vertices of a mesh would take too much memory."""

COMPILED = 2**12
"""Entries of an operator beyond which a network is not compiled for the search of a plane."""

MOST_BYTES = 2**32
"""Of codes that are kept."""

MOST_COORDINATES = 16
"""Free coordinates beyond which no search ends: 2^16 orthants of one layer alone."""

LOST = 1e-9
"""Share of the area that polygons may lose to rounding of their corners; more says that cells are missing."""

UNPLACED = "a part of the area was lost to rounding: cells may be missing"
COVERED = "% of the area is covered"
INTERRUPTED = "interrupted: these are the cells found until then"
"""Notes on results: what has this in it once is never complete, and what says how far it is holds until it goes on."""


@dataclass(frozen=True)
class Work:
    """What an enumeration is asked to do, and how far it may go.

    Parameters
    ----------
    graph, chart : SplineGraph and Chart
    layers : tuple of Layer
    limit : int or None
        Most cells.
    deadline : float or None
        Of `time.monotonic`.
    device : torch.device or None
    sharing : Sharing or None
        How a search is shared, and where it is kept.
    """

    graph: SplineGraph
    chart: Chart
    layers: tuple[Layer, ...]
    limit: int | None
    deadline: float | None
    device: torch.device | None = None
    sharing: Sharing | None = None


@dataclass(frozen=True, eq=False)
class Found:
    """What an algorithm found."""

    cells: Cells
    method: str
    mesh: Mesh | None = None
    left: tuple[bytes, ...] = ()
    complete: bool = True
    notes: tuple[str, ...] = ()


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

    Ctrl-C ends a search with what it found, as a limit does; a mesh, a stream or a segment is given up. Worker
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
    check_request(limit, budget, workers, method, verify)
    where = None if device is None else device_of(device)
    require_exact(graph)
    chart = chart_of(graph, on)
    _check_chart(chart)
    deadline = None if budget is None else started + budget
    work = Work(graph, chart, code_layers(graph), limit, deadline, where, sharing)
    if resume is not None:
        found = _carry_on(work, resume, workers)
    else:
        found = _find(work, method, workers)
    return _result(work, on, found, started, verify, seed)


def _result(
    work: Work, on: Any, found: Found, started: float, verify: bool | Literal["cheap", "full"], seed: int
) -> Partition:
    """Return the checked result; where a check of a mesh fails, that of the search in its place."""
    from splinegraph.analyses.regions.partition.partition import Partition
    from splinegraph.analyses.regions.verify.verify import verify as check

    partition = Partition.of(
        work.graph,
        work.chart,
        on,
        work.layers,
        found.cells,
        mesh=found.mesh,
        complete=found.complete,
        left=found.left,
        seconds=time.monotonic() - started,
        method=found.method,
        notes=found.notes,
        seed=seed,
    )
    if not verify:
        return partition
    verification = check(partition, level="full" if verify == "full" else "cheap", seed=seed)
    if not verification.ok and found.method == "mesh":
        again = _instead(work, f"the mesh failed its check ({verification.failure})")
        return _result(work, on, again, started, verify, seed)
    return dataclasses.replace(partition, verified=verification)


# which algorithm


def _find(work: Work, method: Method, workers: int) -> Found:
    dim = work.chart.dim
    if dim == 0:
        return _point(work)
    if dim == 1 and method == "auto":
        return _segment(work)
    meshable = dim == 2 and work.graph.continuous
    if method == "mesh" and not meshable:
        why = f"the domain has {dim} free coordinates" if dim != 2 else "the network is not continuous"
        raise DomainError("there is no mesh", why=why, remedy="use method='search'")
    wide = widest(work.graph) > WIDE
    if method == "stream" or (method == "auto" and dim == 2 and wide):
        return _stream(work)
    if meshable and method != "search":
        found = _mesh(work)
        if found is not None:
            return found
        if method == "auto" and widest(work.graph) > COMPILED:
            return _stream(work)
    return _search(work, workers)


def _point(work: Work) -> Found:
    """Return the one cell of a domain that is a point."""
    from splinegraph.analyses.codes import codes

    t = torch.zeros(1, 0, dtype=torch.float64)
    packed = codes(work.graph, *work.chart.lift(t)).packed
    return Found(Cells(packed, t.numpy(), np.array([np.nan])), "point")


def _segment(work: Work) -> Found:
    from splinegraph.analyses.regions.chords.chords import segment_cells

    cells, _, complete = segment_cells(work.graph, work.chart, limit=work.limit, deadline=work.deadline)
    return Found(cells, "segment", complete=complete)


def _mesh(work: Work) -> Found | None:
    """Return the mesh, or None if it goes beyond the limit, or half of the budget."""
    from splinegraph.analyses.regions.mesh.mesh import Exceeded, mesh

    deadline = work.deadline
    if deadline is not None:
        now = time.monotonic()
        deadline = now + (deadline - now) / 2
    try:
        if work.device is not None and work.device.type != "cpu":
            from splinegraph.analyses.regions.mesh_torch.mesh import mesh_torch

            found = mesh_torch(
                work.graph, work.chart, layers=work.layers, limit=work.limit, deadline=deadline, device=work.device
            )
        else:
            found = mesh(work.graph, work.chart, layers=work.layers, limit=work.limit, deadline=deadline)
    except Exceeded:
        return None
    if found.anomalies:
        return _instead(work, f"{found.anomalies} lines crossed faces of the mesh oddly")
    return Found(found.cells, "mesh", found.mesh)


def _instead(work: Work, why: str) -> Found:
    """Return the cells of a plane by an algorithm that shares no vertices, and say why."""
    found = _stream(work) if widest(work.graph) > COMPILED else _search(work, 1)
    return dataclasses.replace(found, notes=(*found.notes, f"{why}; these are the cells of the {found.method}"))


def _search(work: Work, workers: int, tasks: Sequence[bytes] | None = None) -> Found:
    if work.sharing is not None or workers > 1:
        return _shared(work, workers, tasks)
    from splinegraph.analyses.regions.search.search import search

    found = search(work.graph, work.chart, layers=work.layers, limit=work.limit, deadline=work.deadline, tasks=tasks)
    notes = (*(() if found.sound else (STALLED,)), *((INTERRUPTED,) if found.interrupted else ()))
    return Found(found.cells, "search", None, tuple(found.left), found.complete and found.sound, notes)


def _shared(work: Work, workers: int, tasks: Sequence[bytes] | None) -> Found:
    from splinegraph.analyses.regions.scale.session import Sharing, search_shared

    sharing = Sharing(workers) if work.sharing is None else work.sharing
    cells, harvest = search_shared(
        work.graph, work.chart, work.layers, sharing, limit=work.limit, deadline=work.deadline, tasks=tasks
    )
    notes = harvest.notes
    if harvest.interrupted and work.sharing is None:
        if not len(cells):
            raise KeyboardInterrupt
        notes += (INTERRUPTED,)
    left = tuple(b"" if name is None else name for name in harvest.left)
    return Found(cells, "search", left=left, complete=harvest.complete, notes=notes)


def _stream(work: Work, tasks: Sequence[bytes] | None = None) -> Found:
    """Return cells face by face, at most as many as 4 GiB hold the codes of."""
    from splinegraph.analyses.regions.partition.volumes import domain_volume
    from splinegraph.analyses.regions.stream.result import Task
    from splinegraph.analyses.regions.stream.stream import stream

    todo = None if tasks is None else [Task.from_bytes(task) for task in tasks]
    width = max((layer.stop for layer in work.layers), default=1)
    limit = MOST_BYTES // width if work.limit is None else min(work.limit, MOST_BYTES // width)
    found = stream(
        work.graph, work.chart, layers=work.layers, limit=limit, deadline=work.deadline, tasks=todo, keep_codes=True
    )
    left = tuple(task.to_bytes() for task in found.left)
    lost = found.stats["unplaced"] > 0 or abs(found.lost) > LOST * found.area
    notes: tuple[str, ...] = (UNPLACED,) if lost else ()
    if left and len(found):
        share = 1 - (found.area - found.covered - found.lost) / domain_volume(work.chart, found.cells.points[0])
        notes += (f"{100 * min(share, 0.999):.3g} {COVERED}",)
    return Found(found.cells, "stream", None, left, found.complete and not lost, notes)


def _carry_on(work: Work, before: Partition, workers: int) -> Found:
    """Return what was found before and what is found now."""
    from splinegraph.analyses.regions.partition.partition import Partition
    from splinegraph.analyses.regions.scale.session import chart_hash

    if not isinstance(before, Partition):
        raise SplineGraphError(f"resume is a {type(before).__name__}", remedy="give a Partition that is not complete")
    if not before.left:
        stopped = f"a {before.method} cannot be carried on; raise its limit or budget"
        why = "it is complete" if before.complete else stopped
        raise SplineGraphError("nothing is left to do in the result to resume", why=why)
    if chart_hash(before.chart) != chart_hash(work.chart):
        raise DomainError("the result to resume is of another domain", remedy="give the same one")
    if before.graph is not work.graph and weight_hash(before.graph) != weight_hash(work.graph):
        raise SplineGraphError("the result to resume is of another model", remedy="give the graph that it belongs to")
    found = _stream(work, before.left) if before.method == "stream" else _search(work, workers, before.left)
    cells = Cells.concat([before.cells, found.cells])
    notes = tuple(note for note in before.notes if not note.endswith(COVERED) and note != INTERRUPTED)
    complete = found.complete and STALLED not in notes and UNPLACED not in notes
    return dataclasses.replace(found, cells=cells, complete=complete, notes=tuple(dict.fromkeys(notes + found.notes)))


# what is refused


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
