"""How far a training is: a bar for its steps, losses, accuracy and the time left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn
from rich.text import Text

from splinegraph.cli.progress import span
from splinegraph.training.engine.results import Progress as Step
from splinegraph.training.experiments.findings import Failure, Key, Trial

__all__ = ["Shown", "failure_line", "shown", "told"]

OFTEN = 0.1
"""Seconds between two changes of the line."""


class _Bars(Progress):
    """Bars with a line of text below them, as wide as the terminal."""

    text = ""

    def get_renderables(self) -> Iterator[RenderableType]:
        yield from super().get_renderables()
        yield Text(self.text, style="dim", no_wrap=True, overflow="ellipsis")


class Shown:
    """Shows the trial that is going on, and a line for each that is over.

    Parameters
    ----------
    progress : _Bars or None
        None shows no bar.
    console : Console or None
        For the lines; None prints none.
    planned : int
        Trials of the study.
    """

    def __init__(self, progress: _Bars | None, console: Console | None, planned: int) -> None:
        self._progress, self._console, self._planned = progress, console, planned
        self._number = 0
        self._task: TaskID | None = None

    def begun(self, key: Key, draw: int) -> Callable[[Step], None]:
        """Show a trial; what comes back takes its steps."""
        self._number += 1
        title = f"{self._number}/{self._planned}: {key}, draw {draw}"
        if self._progress is not None:
            self._task = self._progress.add_task(title, total=None)
        last = 0.0

        def step(now: Step) -> None:
            nonlocal last
            if self._progress is not None and self._task is not None:
                clock = time.monotonic()
                if clock - last > OFTEN or now.step == now.steps:
                    last = clock
                    self._progress.text = told(now)
                    self._progress.update(self._task, completed=now.step, total=now.steps)

        return step

    def ended(self, trial: Trial) -> None:
        """Take the bar away, and print what came of it."""
        self._clear()
        if self._console is not None:
            seconds = trial.report.get("seconds", 0.0)
            state = "" if trial.complete else f", interrupted at step {trial.report.get('step')}"
            text = f"{trial.key}, draw {trial.draw}: {100 * trial.accuracy:.2f} %, {span(seconds)}{state}"
            self._console.print(Text(text, style="dim" if trial.complete else "yellow"))

    def failed(self, failure: Failure) -> None:
        """Take the bar away, and print what failed; of an error that is no refusal of ours, where it happened too."""
        self._clear()
        if self._console is not None:
            self._console.print(Text(f"{failure.traceback}{failure_line(failure)}", style="red"), soft_wrap=True)

    def _clear(self) -> None:
        if self._progress is not None and self._task is not None:
            self._progress.remove_task(self._task)
            self._progress.text = ""
            self._task = None


def failure_line(failure: Failure) -> str:
    """Return which trial failed, and why."""
    return f"{failure.key}, draw {failure.draw} failed: {failure.why}"


def told(now: Step) -> str:
    """Return time left, accuracy and losses in words.

    Examples
    --------
    >>> from splinegraph.training.engine.results import Progress as Step
    >>> told(Step(5, 10, 0.5, {"total": 1.5, "entropy": 0.25}, 0.005, 0.913, None, 60.0, 61.0))
    'about 61 s left; accuracy 91.3 %; total 1.5, entropy 0.25'
    """
    losses = ", ".join(f"{name} {value:.3g}" for name, value in now.losses.items())
    measured = [
        f"{name} {100 * value:.1f} %"
        for name, value in (("accuracy", now.accuracy), ("validation", now.validation))
        if value is not None
    ]
    return "; ".join([f"about {span(now.left)} left", *measured, losses])


@contextmanager
def shown(planned: int, *, quiet: bool) -> Iterator[Shown]:
    """Show a study while the block runs: bars only where somebody watches, lines for trials that end always."""
    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    if quiet or not console.is_terminal:
        yield Shown(None, None if quiet else console, planned)
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with _Bars(*columns, console=console, transient=True) as progress:
        yield Shown(progress, progress.console, planned)
