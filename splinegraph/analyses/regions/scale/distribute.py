"""The loop that gives tasks to workers and takes what they found."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from splinegraph.analyses.regions.cells import STALLED, Cells
from splinegraph.analyses.regions.interrupts import stopping
from splinegraph.analyses.regions.scale.coverage import Coverage
from splinegraph.analyses.regions.scale.line import Line, Task
from splinegraph.analyses.regions.scale.pools import Died, Here, Pool
from splinegraph.analyses.regions.scale.store import Memory, Store
from splinegraph.analyses.regions.scale.work import ROOT, Bundle, Run, Runner

__all__ = ["Harvest", "Tick", "distribute"]

FIRST, FULL = 500, 20_000
"""Cells of a task: the first ones are small so that there is soon one for everybody, then what is paid for being
given and taken no longer counts."""

TOGETHER = 64
"""Most tasks in a bundle: those deep down are tiny."""

LONGEST = 1.0
"""Seconds for a bundle: what is lost with a worker, and how long Ctrl-C may wait for this process."""

DEADLY = 3
"""A task is given up when so many workers died of it."""

POLL = 0.2
"""Seconds between two looks at the clock."""


@dataclass(frozen=True)
class Tick:
    """How far an enumeration is.

    Parameters
    ----------
    cells : int
        Found so far.
    seconds : float
        Since it began; what was done before it was resumed does not count.
    rate : float
        Cells per second of that time.
    covered : float or None
        Estimate of the fraction of the domain's volume that they cover: fraction of fixed random points.
    remaining : float or None
        Seconds left if the uncovered part goes as fast as the covered one: a rough guess.
    workers, open : int
        Tasks that run, and those that wait.
    """

    cells: int
    seconds: float
    rate: float
    covered: float | None
    remaining: float | None
    workers: int
    open: int


@dataclass(frozen=True, eq=False)
class Harvest:
    """What was found.

    Parameters
    ----------
    parts : callable
        Yields the cells in depth-first order, part by part.
    count : int
    left : tuple of bytes or None
        Tasks that were not done, in order.
    interrupted : bool
        Whether it was ended by Ctrl-C.
    notes : tuple of str
        Workers that died, tasks given up.
    seconds : float
    coverage : Coverage or None
    line : Line
    sound : bool
        Whether every computation came to an end.
    """

    parts: Callable[[], Any]
    count: int
    left: tuple[bytes | None, ...]
    interrupted: bool
    notes: tuple[str, ...]
    seconds: float
    coverage: Coverage | None
    line: Line
    sound: bool = True

    @property
    def complete(self) -> bool:
        """Whether nothing is left, and every computation came to an end."""
        return not self.left and self.sound

    @property
    def cells(self) -> Cells | None:
        """All cells in memory; None if there are none."""
        parts = list(self.parts())
        return Cells.concat(parts) if parts else None


def distribute(
    runner: Runner,
    *,
    pool: Pool | None = None,
    tasks: Sequence[Task] | None = None,
    store: Store | None = None,
    limit: int | None = None,
    deadline: float | None = None,
    coverage: Coverage | None = None,
    progress: Callable[[Tick], None] | None = None,
    full: int = FULL,
) -> Harvest:
    """Run an enumeration with a pool of workers.

    Parameters
    ----------
    runner : Runner
    pool : Pool, optional
        Closed at the end. Default: this process.
    tasks : sequence of Task, optional
        Where to begin. Default: the whole domain.
    store : Store, optional
        Default: memory.
    limit : int, optional
        Largest number of cells: the first ones in depth-first order, the same whatever the number of workers.
    deadline : float, optional
        When to stop, by time.monotonic().
    coverage : Coverage, optional
        Points to see how much is covered.
    progress : callable, optional
        Called with a `Tick` several times a second.
    full : int
        Cells per bundle.

    Returns
    -------
    Harvest
        In the order of one run by one worker, whatever the number of workers.

    Raises
    ------
    SplineGraphError
        If the workers do not start, or what they run fails.
    DataError
        If the store cannot be written; it holds what was found until its last snapshot.

    Notes
    -----
    Ctrl-C ends it with what was found; bundles that are running are lost, and their tasks are left. A worker that
    dies is replaced and its task given again, to a worker of its own.
    """
    state = _State(
        Line([Task(ROOT)] if tasks is None else tasks), Memory() if store is None else store,
        Here(runner) if pool is None else pool, limit, deadline, coverage, full,
    )  # fmt: skip
    try:
        with stopping(state.stop):
            going = True
            while going:
                going = state.give()
                state.store.save(state.line)  # while the workers work
                if progress is not None and state.count > state.before:
                    progress(state.tick())
                for number, result in state.pool.wait(POLL) if going else ():
                    state.take(number, result)
    except KeyboardInterrupt:
        state.stop()
    except BaseException:
        state.pool.close(kill=True)
        raise
    return state.end(runner)


class _State:
    """Everything that changes while an enumeration runs."""

    def __init__(
        self, line: Line, store: Store, pool: Pool, limit: int | None, deadline: float | None,
        coverage: Coverage | None, full: int,
    ) -> None:  # fmt: skip
        self.line, self.store, self.pool = line, store, pool
        self.limit, self.deadline, self.coverage, self.full = limit, deadline, coverage, full
        self.size = min(FIRST, full)
        self.running: dict[int, list[Task]] = {}
        self.notes: list[str] = []
        self.interrupted = self.failed = self.cut = False
        self.began = time.monotonic()
        self.before = self.count = sum(task.count for task in line)

    def stop(self) -> None:
        """End it with what was found."""
        self.interrupted = True

    def give(self) -> bool:
        """Give the workers what they can take; return whether there is anything to wait for."""
        while not self._over and self.pool.free:
            tasks = self._next()
            if not tasks:
                break
            bundle = Bundle(tuple(task.name for task in tasks), self._room, self._seconds)
            self.running[self.pool.submit(bundle)] = tasks
        if self.interrupted:
            return False
        return bool(self.running) or not (self._over or not self.line.open)

    @property
    def _over(self) -> bool:
        timed_out = self.deadline is not None and time.monotonic() >= self.deadline
        return self.interrupted or timed_out or (self.limit is not None and self._toward >= self.limit)

    @property
    def _toward(self) -> int:
        """Cells that count toward the limit: those before the first task that is not done, which come first."""
        return self.count if self.failed else self.line.settled

    @property
    def _seconds(self) -> float:
        return LONGEST if self.deadline is None else min(LONGEST, max(0.0, self.deadline - time.monotonic()))

    @property
    def _room(self) -> int:
        """Cells that the next bundle may give."""
        crowd = 2 * self.pool.workers
        size = self.size if self.pool.workers == 1 or len(self.line.open) >= crowd else min(self.size, self.full // 8)
        if self.limit is not None and self.pool.workers == 1:
            size = min(size, self.limit - self._toward)
        return max(size, 1)

    def _next(self) -> list[Task]:
        """Return tasks for one worker; one that workers died of goes alone, with nothing else running.

        Several workers get large ones, and so full bundles, unless they wait in large numbers, or there is a limit:
        then the first ones count.
        """
        waiting = self.line.open
        suspects = [task for task in waiting if task.strikes]
        if suspects:
            if self.running:
                return []
            suspects[0].state = "running"
            return suspects[:1]
        workers = self.pool.workers
        if workers > 1 and self.limit is None and len(waiting) < TOGETHER * workers:
            return self.line.take(max(1, len(waiting) // (4 * workers)), last=True)
        return self.line.take(max(1, min(TOGETHER, len(waiting) // workers)))

    def take(self, number: int, result: list[Run] | Exception) -> None:
        """Enter what a worker found, or that it died."""
        tasks = self.running.pop(number)
        if isinstance(result, Died):
            self._strike(tasks)
            return
        if isinstance(result, Exception):
            raise result
        for task, (cells, left) in zip(tasks, result, strict=False):  # the last ones may not have been begun
            task.strikes = 0
            self.line.finish(task, len(cells), left)
            self.count += len(cells)
            if not cells.sound:
                self.store.flaws[STALLED] = None
            if len(cells):
                self.store.add(task, cells)
                if self.coverage is not None:
                    self.coverage.add(cells.packed)
        for task in tasks[len(result) :]:
            task.state, task.strikes = "open", 0
        self.size = min(self.full, 2 * self.size)

    def _strike(self, tasks: list[Task]) -> None:
        for task in tasks:
            task.state, task.strikes = "open", task.strikes + 1
            if task.strikes >= DEADLY:
                task.state = "failed"
        given_up = any(task.state == "failed" for task in tasks)
        self.failed = self.failed or given_up
        self.notes.append(
            f"a worker died {DEADLY} times of the same task, which was given up: its cells are missing"
            if given_up else f"a worker died; its {len(tasks)} task(s) were given again"
        )  # fmt: skip

    def tick(self) -> Tick:
        """Return how far it is."""
        seconds = time.monotonic() - self.began
        found = self.count - self.before
        covered = None if self.coverage is None else self.coverage.fraction
        remaining = seconds * (1 - covered) / covered if covered and not self.before else None
        rate = found / seconds if seconds else 0.0
        return Tick(self.count, seconds, rate, covered, remaining, len(self.running), len(self.line.open))

    def end(self, runner: Runner) -> Harvest:
        """Stop the workers, write down what was found and return it."""
        self.pool.close(kill=bool(self.running))
        for tasks in self.running.values():
            for task in tasks:
                task.state = "open"
        if self.limit is not None and self.count > self.limit:
            self._cut(runner, self.limit)
        self.store.save(self.line, now=True)
        if self.coverage is not None and self.cut:
            self.coverage.restart(cells.packed for cells in self.store.cells(self.line))
        left = self.line.left
        return Harvest(
            lambda: self.store.cells(self.line), self.count, tuple(task.name for task in left), self.interrupted,
            tuple(dict.fromkeys([*self.store.flaws, *self.notes])), time.monotonic() - self.began, self.coverage,
            self.line, not self.store.flaws,
        )  # fmt: skip

    def _cut(self, runner: Runner, limit: int) -> None:
        """Keep the first cells only."""
        self.cut = True
        self.line, split, room = self.line.cut(limit)
        if split is not None and room:
            cells, left = runner.run(split.name, limit=room)
            self.line.finish(split, len(cells), left)
            self.store.add(split, cells)
        self.count = sum(task.count for task in self.line)
