"""Progress on stderr: bars where somebody watches, else a line per stage once it takes long."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

__all__ = ["Stages", "span", "stages"]


QUIET = 30.0
"""Seconds of work without a terminal before stages are told: a log of short runs stays empty."""


class Stages:
    """One line per stage of the work: a spinner, and a bar where it is known how much there is."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, stage: str, done: int = 0, total: int | None = None) -> None:
        """Say how far a stage is; the stages before it are over."""
        if self._progress is None:
            return
        if stage not in self._tasks:
            for task in self._tasks.values():
                self._progress.update(task, visible=False)
            self._tasks[stage] = self._progress.add_task(stage, total=total)
        self._progress.update(self._tasks[stage], completed=done, total=total)

    def say(self, stage: str, text: str, done: int = 0, total: int | None = None) -> None:
        """Say how far a stage is in words of its own."""
        self(stage, done, total)
        if self._progress is not None:
            self._progress.update(self._tasks[stage], description=text)


class Lines(Stages):
    """A plain line per stage, where there is no terminal: from the one that runs after `QUIET` seconds on."""

    def __init__(self) -> None:
        super().__init__(None)
        self._stage, self._lock = "", threading.Lock()
        self._told: str | None = None  # the stage of the last line; None before there is any
        self._timer = threading.Timer(QUIET, self._tell)
        self._timer.daemon = True

    def __enter__(self) -> Lines:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        with self._lock:
            self._told, self._stage = None, ""

    def __call__(self, stage: str, done: int = 0, total: int | None = None) -> None:
        self._stage = stage
        if self._told not in (None, stage):
            self._tell()

    def _tell(self) -> None:
        with self._lock:
            if self._stage and self._stage != self._told:
                self._told = self._stage
                click.echo(f"splinegraph: {self._told} ...", err=True)


def span(seconds: float) -> str:
    """Return a time in the unit that suits it."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


@contextmanager
def stages(*, shown: bool) -> Iterator[Stages]:
    """Show progress while the block runs; on a terminal it leaves nothing there."""
    console = Console(stderr=True)
    if not shown:
        yield Stages(None)
        return
    if not console.is_terminal:
        with Lines() as lines:
            yield lines
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield Stages(progress)
