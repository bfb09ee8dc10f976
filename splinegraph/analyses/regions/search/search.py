"""Enumeration of all cells in any number of dimensions, in parts that can be done anywhere and in any order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from splinegraph.analyses.codes import Layer
from splinegraph.analyses.regions.cells import Cells
from splinegraph.analyses.regions.interrupts import stopping
from splinegraph.analyses.regions.search.program import Program, compile_program
from splinegraph.analyses.regions.search.state import State, begin, grown, new_state
from splinegraph.analyses.regions.search.tables import Floats
from splinegraph.analyses.regions.search.tasks import load_task, position, split
from splinegraph.analyses.regions.tolerances import ON_BOUNDARY, THIN, blurred
from splinegraph.core.domains.chart import Chart
from splinegraph.core.graph import SplineGraph
from splinegraph.errors import DomainError

__all__ = ["Search", "SearchResult", "position", "search"]

CHUNK = 4096
"""Cells between two looks at the clock."""

ARRAYS = ("", "columns", "floats", "integers", "records", "rows")
"""What the compiled part may ask to be made longer."""


@dataclass(frozen=True, eq=False)
class SearchResult:
    """What a search found.

    Parameters
    ----------
    cells : Cells
    left : list of bytes
        Tasks that hold the rest; give them to `search` again.
    complete : bool
        Whether nothing is left.
    stats : dict
        Counts of linear programs, pivots, and what went wrong (``stalls``: programs that did not end).
    interrupted : bool
        Whether Ctrl-C ended it.
    """

    cells: Cells
    left: list[bytes]
    complete: bool
    stats: dict[str, int] = field(default_factory=dict)
    interrupted: bool = False

    @property
    def sound(self) -> bool:
        """Whether every linear program came to an end; if not, cells may be missing."""
        return not self.stats.get("stalls", 0)


class Search:
    """The search of one program; picklable.

    Parameters
    ----------
    program : Program
    tolerance : float, optional
        Relative: forms that differ by less than this times the size of their terms are equal.
    thin : float, optional
        Cells cut off by less than this times the domain's size are none; more far from the origin, see `blur`.

    Notes
    -----
    A cell is kept as a dictionary of D variables over its constraints and the units still open. The sign of a unit
    at the current vertex proves one side; pivots towards the other stop at the first vertex beyond. On entering a
    node, 2 D programs bound the cell, which settles most units by intervals and drops idle constraints. Memory
    is O(depth (D + 2) (constraints + open units)).
    """

    def __init__(self, program: Program, *, tolerance: float = ON_BOUNDARY, thin: float = THIN) -> None:
        if program.dim == 0:
            raise DomainError("the domain is one point", remedy="give it at least one free coordinate")
        self.program = program
        self.size = float((program.upper - program.lower).max())
        ends = [program.center + program.lower, program.center + program.upper]
        far = blurred(float(np.abs(ends).max()), self.size)
        self.scale: Floats = np.array([tolerance, far * thin * self.size, self.size])
        self.stats: dict[str, int] = {}
        self.stopped = False  # by Ctrl-C

    def run(self, task: bytes | None, *, limit: int, deadline: float | None = None) -> tuple[Cells, list[bytes]]:
        """Enumerate the cells of a task.

        Parameters
        ----------
        task : bytes or None
            None for the whole domain.
        limit : int
            Most cells; the rest becomes new tasks.
        deadline : float, optional
            Of `time.monotonic`.

        Returns
        -------
        cells : Cells
        tasks : list of bytes
            Sorted by `position`, cells of tasks come in the order of one single run, bit by bit.
        """
        state = self._root() if task is None else load_task(self._empty(), self.program, task)
        before = self.stats.get("stalls", 0)
        state, cells = self._go(state, limit, deadline)
        cells = replace(cells, sound=self.stats.get("stalls", 0) == before)
        return cells, split(state, self.program, b"" if task is None else position(task))

    def stop(self) -> None:
        """End after the chunk under way."""
        self.stopped = True

    def over(self, deadline: float | None) -> bool:
        """Return whether to stop."""
        return self.stopped or (deadline is not None and time.monotonic() > deadline)

    def _empty(self) -> State:
        p = self.program
        return new_state(p.tables, p.dim, p.width, len(p.h), self.scale.copy())

    def _root(self) -> State:
        """Return the state at the root: the domain's constraints, and its bounding box."""
        from splinegraph.analyses.regions.search.kernels.search import constrain, shrink

        p, state = self.program, self._empty()
        begin(state, p.lower, p.upper)
        for g, h in zip(p.G, p.h, strict=True):
            norm = float(np.linalg.norm(g))
            flat = norm * self.size <= ON_BOUNDARY * abs(float(h))
            if (flat and h < 0) or (not flat and not constrain(state, g / norm, float(h) / norm)):
                raise DomainError("the domain is empty, or flat", why="no ball fits between its constraints")
        if len(p.h):
            shrink(state)
        return state

    def _go(self, state: State, limit: int, deadline: float | None) -> tuple[State, Cells]:
        """Advance by at most `limit` cells; return the state and the cells."""
        parts, found = [], 0
        while found < limit and not (found and self.over(deadline)):
            size = min(CHUNK, limit - found)
            state, part = self._chunk(state, size)
            found += len(part)
            parts.append(part)
            if len(part) < size:
                break
        for i, name in enumerate(("pivots", "programs", "boxes", "stalls", "flat", "fallbacks", "nodes")):
            self.stats[name] = self.stats.get(name, 0) + int(state.stats[i])
        state.stats[:] = 0
        return state, Cells.concat(parts) if parts else Cells.empty(self.program.width, self.program.dim)

    def _chunk(self, state: State, size: int) -> tuple[State, Cells]:
        from splinegraph.analyses.regions.search.kernels.search import advance

        p = self.program
        packed = np.zeros((size, p.width), dtype=np.uint8)
        points, radii, count = np.zeros((size, p.dim)), np.zeros(size), 0
        while True:
            full, count = advance(p.tables, state, packed, points, radii, count, p.contests or None)
            if full < 0:
                break
            state = grown(state, ARRAYS[full])
        return state, Cells(packed[:count], points[:count] + p.center, radii[:count])


def search(
    graph: SplineGraph,
    chart: Chart,
    *,
    layers: Sequence[Layer] | None = None,
    limit: int | None = None,
    deadline: float | None = None,
    tasks: Sequence[bytes] | None = None,
    progress: Callable[[Cells], None] | None = None,
    program: Program | None = None,
) -> SearchResult:
    """Enumerate all cells of a network on a domain, depth first.

    Parameters
    ----------
    graph : SplineGraph
    chart : Chart
        Bounded, of one or more free coordinates.
    layers : sequence of Layer, optional
        The layout of codes, where it is known.
    limit : int, optional
        Most cells.
    deadline : float, optional
        Of `time.monotonic`.
    tasks : sequence of bytes, optional
        What an earlier search left, to be carried on.
    progress : callable, optional
        Called with the cells found since the last call.
    program : Program, optional
        Compiled already.

    Returns
    -------
    SearchResult

    Notes
    -----
    Some linear programs of D variables per cell, 2 to 6 microseconds in low dimensions.
    """
    engine = Search(compile_program(graph, chart, layers) if program is None else program)
    queue: list[bytes | None] = [None] if tasks is None else sorted(tasks, key=position)
    limit = 2**62 if limit is None else limit
    parts, left, found = [], [], 0
    with stopping(engine.stop):
        for part, rest in _rounds(engine, queue, limit, deadline):
            parts.append(part)
            left += rest
            found += len(part)
            if progress is not None:
                progress(part)
    cells = Cells.concat(parts) if parts else Cells.empty(engine.program.width, engine.program.dim)
    return SearchResult(cells, left, not left, engine.stats, engine.stopped)


def _rounds(
    engine: Search, queue: Sequence[bytes | None], limit: int, deadline: float | None
) -> Iterator[tuple[Cells, list[bytes]]]:
    """Yield the cells of each task and what is left of it; of tasks not begun, the tasks themselves."""
    found = 0
    for task in queue:
        late = found and engine.over(deadline)
        if task is not None and (found >= limit or late):
            yield Cells.empty(engine.program.width, engine.program.dim), [task]
            continue
        cells, left = engine.run(task, limit=limit - found, deadline=deadline)
        found += len(cells)
        yield cells, left
