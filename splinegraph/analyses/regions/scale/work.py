"""What a worker does: it runs tasks one after the other, up to a number of cells."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

from splinegraph.analyses.regions.cells import Cells

__all__ = ["ROOT", "Bundle", "Run", "Runner", "perform"]

ROOT: bytes | None = None
"""The task that is the whole domain."""

Run = tuple[Cells, list[bytes]]
"""What running a task gives: cells, and the tasks that are left of it, in depth-first order behind them."""


class Runner(Protocol):
    """An enumeration that can be cut in pieces; it is sent to the workers, so it can be pickled.

    The cells of a task, followed by those of the tasks left of it, are the same in the same order whatever
    the limits are.
    """

    def run(self, task: bytes | None, *, limit: int, deadline: float | None = None) -> Run:
        """Return at most `limit` cells of a task, and what is left of it; stop at `deadline` (time.monotonic)."""


@dataclass(frozen=True)
class Bundle:
    """Tasks for one worker, neighbors in depth-first order.

    Parameters
    ----------
    tasks : tuple of bytes or None
    limit : int
        Largest number of cells to return of all of them.
    seconds : float
        When to stop, from now; clocks of two machines differ.
    """

    tasks: tuple[bytes | None, ...]
    limit: int
    seconds: float


def perform(runner: Runner, bundle: Bundle) -> list[Run]:
    """Run the tasks of a bundle until its limit or its time is reached; those not begun are missing at the end.

    The first is begun in any case.
    """
    deadline = time.monotonic() + bundle.seconds
    found: list[Run] = []
    room = bundle.limit
    for task in bundle.tasks:
        if found and (room <= 0 or time.monotonic() >= deadline):
            break
        run = runner.run(task, limit=max(room, 1), deadline=deadline)
        found.append(run)
        room -= len(run[0])
    return found
