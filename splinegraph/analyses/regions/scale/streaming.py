"""A stream of the cells of a plane that can be interrupted, and gone on from in a folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

from splinegraph.analyses.codes import Layer
from splinegraph.analyses.regions.interrupts import stopping
from splinegraph.analyses.regions.scale.distribute import POLL, Harvest, Tick
from splinegraph.analyses.regions.scale.line import Line, Task
from splinegraph.analyses.regions.scale.session import Sharing, opened
from splinegraph.analyses.regions.scale.store import EVERY, Memory, Store
from splinegraph.analyses.regions.stream.result import StreamResult
from splinegraph.analyses.regions.stream.result import Task as Faces
from splinegraph.analyses.regions.stream.stream import stream
from splinegraph.core.domains.chart import Chart
from splinegraph.core.graph import SplineGraph

__all__ = ["stream_shared"]

SHARE = 0.05
"""Of the time, for snapshots: each takes time in proportion to the cells so far."""


def stream_shared(
    graph: SplineGraph,
    chart: Chart,
    layers: tuple[Layer, ...],
    sharing: Sharing,
    *,
    flaws: Callable[[StreamResult], Sequence[str]],
    limit: int | None = None,
    deadline: float | None = None,
    tasks: Sequence[bytes] | None = None,
) -> tuple[StreamResult, Harvest]:
    """Stream the cells of a plane, in this process.

    Parameters
    ----------
    graph : SplineGraph
    chart : Chart
    layers : tuple of Layer
    sharing : Sharing
        Its `harvest` and `store` are set; its number of workers is of no use.
    flaws : callable
        Says why cells may be missing in what was found, if they may.
    limit : int, optional
        Most cells, those found in earlier sessions included.
    deadline : float, optional
        Of `time.monotonic`.
    tasks : sequence of bytes, optional
        What is left of an earlier stream.

    Returns
    -------
    StreamResult
        Of this run.
    Harvest
        Of all runs.

    Raises
    ------
    DataError
        If the folder holds the beginning of something else, or cannot be written.
    """
    began = None if tasks is None else [Task(name) for name in tasks]
    sharing.store = opened(sharing, graph, chart, method="stream")
    if sharing.store is not None and sharing.resume:
        began = sharing.store.began
    watch = _Watch(Memory() if sharing.store is None else sharing.store, began or [], flaws, sharing.progress)
    left = None if began is None else [task.name for task in began if task.state != "done"]
    todo = None if left is None else [Faces.from_bytes(name) for name in left if name is not None]
    with stopping(watch.stop):
        found = stream(
            graph, chart, layers=layers, limit=None if limit is None else max(0, limit - watch.before),
            deadline=deadline, tasks=todo, keep_codes=True, watch=watch,
        )  # fmt: skip
    sharing.harvest = watch.end(found)
    return found, sharing.harvest


class _Watch:
    """Stores what a stream has found, every now and then."""

    def __init__(
        self, store: Store, began: Sequence[Task], flaws: Callable[[StreamResult], Sequence[str]],
        progress: Callable[[Tick], None] | None,
    ) -> None:  # fmt: skip
        self.store, self._flaws, self._progress = store, flaws, progress
        self._done = [task for task in began if task.state == "done"]
        self.before = self._count = sum(task.count for task in self._done)
        self._began = self._told = self._saved = time.monotonic()
        self._wait = EVERY
        self._covered: float | None = None
        self.stopped = False

    def stop(self) -> None:
        """End the stream after the step under way."""
        self.stopped = True

    def __call__(self, count: int, so_far: Callable[[], StreamResult]) -> bool:
        """Take notice of a step; return whether to end."""
        now = time.monotonic()
        if self.store.lasting and now >= self._saved + self._wait:
            self._save(so_far())
            self._saved = time.monotonic()
            self._wait = max(EVERY, (self._saved - now) / SHARE)
        if self._progress is not None and now >= self._told + POLL:
            self._told = now
            seconds = now - self._began
            self._progress(Tick(self.before + count, seconds, count / seconds, None, None, 1, 0))
        return self.stopped

    def _save(self, found: StreamResult) -> Line:
        fresh = found.cells[self._count - self.before :]
        if len(fresh):
            task = Task(b"", None, len(fresh), "done")
            self._done.append(task)
            self._count += len(fresh)
            self.store.add(task, fresh)
        self.store.flaws.update(dict.fromkeys(self._flaws(found)))
        line = Line([*self._done, *(Task(faces.to_bytes()) for faces in found.left)])
        self.store.save(line, now=True)
        return line

    def end(self, found: StreamResult) -> Harvest:
        """Store the last cells; return those of all sessions."""
        line = self._save(found)
        return Harvest(
            partial(self.store.cells, line), self._count, tuple(task.name for task in line.left), self.stopped,
            tuple(self.store.flaws), time.monotonic() - self._began, None, line, not self.store.flaws,
        )  # fmt: skip
