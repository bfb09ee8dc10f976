"""Progress bars on stderr, only where somebody watches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

__all__ = ["Stages", "span", "stages"]


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


def span(seconds: float) -> str:
    """Return a time in the unit that suits it."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


@contextmanager
def stages(*, shown: bool) -> Iterator[Stages]:
    """Show progress while the block runs; it leaves nothing on the screen."""
    console = Console(stderr=True)
    if not (shown and console.is_terminal):
        yield Stages(None)
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
