"""A search of the cells of a domain by many workers, in memory or in a folder from which to go on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from splinegraph.analyses.codes import Layer
from splinegraph.analyses.provenance import version, weight_hash
from splinegraph.analyses.regions.cells import Cells
from splinegraph.analyses.regions.scale.coverage import Coverage
from splinegraph.analyses.regions.scale.distribute import Harvest, Tick, distribute
from splinegraph.analyses.regions.scale.line import Task
from splinegraph.analyses.regions.scale.pools import Pool
from splinegraph.analyses.regions.scale.processes import Processes
from splinegraph.analyses.regions.scale.store import Folder, method_of
from splinegraph.analyses.regions.scale.work import Runner
from splinegraph.core.domains.chart import Chart
from splinegraph.core.graph import SplineGraph
from splinegraph.errors import SplineGraphError

__all__ = ["Engine", "Sharing", "begun_with", "chart_hash", "opened", "search_shared"]

Engine = Literal["local", "ray"]

PARTS = "regions.parquet.parts"
"""The folder, in that of the results, that is gone on from."""


@dataclass(eq=False)
class Sharing:
    """How a search is shared, and where it is kept.

    Parameters
    ----------
    workers : int
    engine : {'local', 'ray'}
    folder : Path, optional
        Where what is found is kept while it is found.
    resume : bool
        Whether to go on from what is there.
    progress : callable, optional
        Called with a `Tick` several times a second.

    Attributes
    ----------
    harvest : Harvest or None
        What was found, afterwards; None if neither a search nor a stream took place.
    store : Folder or None
    """

    workers: int = 1
    engine: Engine = "local"
    folder: Path | None = None
    resume: bool = False
    progress: Callable[[Tick], None] | None = None
    harvest: Harvest | None = None
    store: Folder | None = None


def search_shared(
    graph: SplineGraph,
    chart: Chart,
    layers: Sequence[Layer],
    sharing: Sharing,
    *,
    limit: int | None = None,
    deadline: float | None = None,
    tasks: Sequence[bytes | None] | None = None,
) -> tuple[Cells, Harvest]:
    """Search the cells of a domain.

    Parameters
    ----------
    graph : SplineGraph
    chart : Chart
    layers : sequence of Layer
        Where codes lie.
    sharing : Sharing
        Its `harvest` and `store` are set.
    limit, deadline
        As for `distribute`.
    tasks : sequence of bytes or None, optional
        What is left of an earlier search.

    Returns
    -------
    Cells
        In the order of one run by one worker, whatever the number of workers.
    Harvest

    Raises
    ------
    DataError
        If the folder holds the beginning of something else, or cannot be written.
    SplineGraphError
        If workers do not start.
    """
    from splinegraph.analyses.regions.search.program import compile_program
    from splinegraph.analyses.regions.search.search import Search

    program = compile_program(graph, chart)
    began = None if tasks is None else [Task(name) for name in tasks]
    sharing.store = opened(sharing, graph, chart, method="search", program=str(program.hash))
    if sharing.store is not None and sharing.resume:
        began = sharing.store.began
    runner: Runner = Search(program)
    coverage = None if sharing.progress is None else Coverage.of(graph, chart)  # for people who look on
    if coverage is not None and sharing.store is not None and sharing.resume:
        coverage.restart(cells.packed for cells in sharing.store.cells_of(sharing.store.began))
    harvest = sharing.harvest = distribute(
        runner, pool=_pool(runner, sharing), tasks=began, store=sharing.store, limit=limit, deadline=deadline,
        coverage=coverage, progress=sharing.progress,
    )  # fmt: skip
    width = max((layer.stop for layer in layers), default=0)
    cells = harvest.cells
    return (Cells.empty(width, chart.dim) if cells is None else cells), harvest


def opened(sharing: Sharing, graph: SplineGraph, chart: Chart, **more: str) -> Folder | None:
    """Return the folder to keep cells in, if they are kept.

    Parameters
    ----------
    sharing : Sharing
    graph : SplineGraph
    chart : Chart
    **more : str
        What the cells depend on besides.

    Raises
    ------
    DataError
        If it holds the beginning of something else, or cannot be written.
    """
    if sharing.folder is None:
        return None
    identity = {"model": weight_hash(graph), "domain": chart_hash(chart), **more, "version of splinegraph": version()}
    return Folder(sharing.folder / PARTS, identity, resume=sharing.resume)


def begun_with(sharing: Sharing) -> Literal["search", "stream"]:
    """Return the algorithm that what is gone on from was begun with.

    Raises
    ------
    DataError
        If there is nothing to go on from.
    """
    assert sharing.folder is not None
    return "stream" if method_of(sharing.folder / PARTS) == "stream" else "search"


def _pool(runner: Runner, sharing: Sharing) -> Pool | None:
    if sharing.engine == "ray":
        from splinegraph.analyses.regions.scale.ray_pool import RayPool

        return RayPool(runner, sharing.workers)
    if sharing.engine != "local":
        raise SplineGraphError(f"there is no engine {sharing.engine!r}", remedy="choose of local, ray")
    return Processes(runner, sharing.workers) if sharing.workers > 1 else None


def chart_hash(chart: Chart) -> str:
    """Return the SHA-256 of a domain: its shapes, bounds, directions and constraints."""
    digest = hashlib.sha256(repr(chart.shapes).encode())
    for tensor in (chart.origin, chart.lower, chart.upper, chart.index, chart.directions, chart.G, chart.h):
        digest.update(b"-" if tensor is None else f"{tuple(tensor.shape)}".encode() + tensor.numpy().tobytes())
    return digest.hexdigest()
