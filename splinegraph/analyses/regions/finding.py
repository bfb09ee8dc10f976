"""The algorithms that find the cells of a domain, and which one fits."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from splinegraph.analyses.batches import widest
from splinegraph.analyses.codes import Layer
from splinegraph.analyses.provenance import weight_hash
from splinegraph.analyses.regions.cells import STALLED, Cells, Mesh
from splinegraph.core.domains.chart import Chart
from splinegraph.core.graph import SplineGraph
from splinegraph.errors import DomainError, SplineGraphError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from splinegraph.analyses.regions.partition.partition import Partition
    from splinegraph.analyses.regions.scale.distribute import Harvest
    from splinegraph.analyses.regions.scale.session import Sharing
    from splinegraph.analyses.regions.stream.result import StreamResult

__all__ = ["Found", "Method", "Work", "anew", "carry_on", "find"]

Method = Literal["auto", "mesh", "search", "stream"]

WIDE = 2**16
"""Entries of an operator beyond which its values at all vertices of a mesh would take too much memory."""

COMPILED = 2**11
"""Entries of an operator beyond which a plane is streamed where there is no mesh, not searched: the stream took 1.9
times as long as the search for 20 000 cells at 1024 entries, half as long for 3000 cells at 4096."""

MOST_BYTES = 2**32
"""Of codes that are kept."""

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
    """What an algorithm found.

    Parameters
    ----------
    cells : Cells
    method : str
    mesh : Mesh or None
    left : tuple of bytes
        Tasks that hold the rest.
    complete : bool
    notes : tuple of str
    doubts : tuple of arrays of int64
        Faces of the mesh that are not to be trusted; those of one array have been one face before it was cut.
    before : tuple of str
        Methods that were tried on the same domain and not believed.
    resumed : bool
        Whether some of it was found in an earlier session.
    """

    cells: Cells
    method: str
    mesh: Mesh | None = None
    left: tuple[bytes, ...] = ()
    complete: bool = True
    notes: tuple[str, ...] = ()
    doubts: tuple[NDArray[np.int64], ...] = ()
    before: tuple[str, ...] = ()
    resumed: bool = False


def find(work: Work, method: Method, workers: int) -> Found:
    """Return the cells by the algorithm that fits, or by the one asked for.

    Raises
    ------
    DomainError
        If there is no mesh where one is asked for.
    """
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
        return _stream(work) if _unmeshed(work)[0] == "stream" else _search(work, workers)
    return _search(work, workers)


def anew(work: Work, found: Found, why: str) -> Found | None:
    """Return the cells of a plane by an algorithm that was not tried yet, and say why.

    None if there is none left, or no time, or somebody ended the work, or if some of it is of another session.
    """
    tried = {*found.before, found.method}
    over = INTERRUPTED in found.notes or (work.deadline is not None and time.monotonic() > work.deadline)
    others = [name for name in _unmeshed(work) if name not in tried]
    if work.chart.dim != 2 or over or found.resumed or not others:
        return None
    again = _stream(work) if others[0] == "stream" else _search(work, 1)
    notes = (*found.notes, *again.notes, f"{why}; these are the cells of the {again.method}")
    return dataclasses.replace(again, notes=notes, before=tuple(tried))


def _unmeshed(work: Work) -> tuple[str, ...]:
    """Return the methods for a plane that share no vertices, the faster one first."""
    width = widest(work.graph)
    if width <= COMPILED:
        return "search", "stream"
    return ("stream", "search") if width <= WIDE else ("stream",)


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
    faces = tuple(doubt.faces for doubt in found.doubts)
    if found.anomalies and not faces:
        faces = (np.arange(len(found.cells)),)
    return Found(found.cells, "mesh", found.mesh, doubts=faces)


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
    notes = harvest.notes + _interruption(work, harvest)
    left = tuple(b"" if name is None else name for name in harvest.left)
    return Found(cells, "search", None, left, harvest.complete, notes, resumed=sharing.resume)


def _stream(work: Work, tasks: Sequence[bytes] | None = None) -> Found:
    """Return cells face by face, at most as many as 4 GiB hold the codes of."""
    from splinegraph.analyses.regions.partition.volumes import domain_volume
    from splinegraph.analyses.regions.scale.session import Sharing
    from splinegraph.analyses.regions.scale.streaming import stream_shared

    width = max((layer.stop for layer in work.layers), default=1)
    limit = MOST_BYTES // width if work.limit is None else min(work.limit, MOST_BYTES // width)
    sharing = Sharing() if work.sharing is None else work.sharing
    found, harvest = stream_shared(
        work.graph, work.chart, work.layers, sharing, flaws=_flaws, limit=limit, deadline=work.deadline, tasks=tasks
    )
    cells = harvest.cells
    cells = found.cells if cells is None else cells
    notes = harvest.notes
    if found.left and len(found):
        share = 1 - (found.area - found.covered - found.lost) / domain_volume(work.chart, found.cells.points[0])
        notes += (f"{100 * min(share, 0.999):.3g} {COVERED}",)
    left = tuple(task.to_bytes() for task in found.left)
    notes += _interruption(work, harvest)
    return Found(cells, "stream", None, left, harvest.complete, notes, resumed=sharing.resume)


def _flaws(found: StreamResult) -> tuple[str, ...]:
    """Return why cells may be missing in what a stream found."""
    return (UNPLACED,) if found.stats["unplaced"] > 0 or abs(found.lost) > LOST * found.area else ()


def _interruption(work: Work, harvest: Harvest) -> tuple[str, ...]:
    """Return what to note if Ctrl-C ended it; whoever shares the work says so himself."""
    if not harvest.interrupted or work.sharing is not None:
        return ()
    if not harvest.count:
        raise KeyboardInterrupt
    return (INTERRUPTED,)


def carry_on(work: Work, before: Partition, workers: int) -> Found:
    """Return what was found before and what is found now.

    Raises
    ------
    SplineGraphError
        If nothing is left to do in what was found before, or it is of another model or domain.
    """
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
    notes = tuple(dict.fromkeys(notes + found.notes))
    return dataclasses.replace(found, cells=cells, complete=complete, notes=notes, resumed=True)
