"""Several ways to train, each on the same draws of labels and from the same weights."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from torch import nn

from splinegraph.errors import DataError, SplineGraphError
from splinegraph.training.datasets import TrainingData
from splinegraph.training.engine.closing import REPORT
from splinegraph.training.engine.processes import several
from splinegraph.training.engine.randomness import seed_all
from splinegraph.training.engine.results import Progress
from splinegraph.training.engine.settings import Settings
from splinegraph.training.engine.trainer import CHECKPOINT, Trainer
from splinegraph.training.experiments.findings import Failure, Findings, Key, Trial, failure_of

__all__ = ["Arm", "Listener", "Watch", "study"]


class Watch(Protocol):
    """A callback of the trainer with something to tell and to write when it is over."""

    def __call__(self, step: int, /) -> None:
        """Hear of a step."""

    def to_dict(self) -> dict[str, Any]:
        """Return what the report holds of it, as plain values."""

    def close(self) -> None:
        """Write its files; the trial is over or was interrupted."""


@dataclass(frozen=True)
class Arm:
    """A network and a way to train it.

    Parameters
    ----------
    network : str
    way : str
        A preset or a variant of it.
    settings : Settings
        Its draw and seed are those of the first draw, and are counted up.
    make : callable
        Gives the network with new weights, drawn by the global generators.
    watch : callable, optional
        Gives what looks on, from the trainer that is about to begin or to go on.
    """

    network: str
    way: str
    settings: Settings
    make: Callable[[], nn.Module] = field(compare=False)
    watch: Callable[[Trainer], Sequence[Watch]] | None = field(default=None, compare=False)

    @property
    def key(self) -> Key:
        """No other arm of a study has it."""
        return Key(self.network, self.settings.labels, self.way)


class Listener(Protocol):
    """Hears of trials while a study goes on."""

    def begun(self, key: Key, draw: int) -> Callable[[Progress], None]:
        """Hear of a trial that begins, and return what hears of its steps."""

    def ended(self, trial: Trial) -> None:
        """Hear of a trial that is over or was interrupted."""

    def failed(self, failure: Failure) -> None:
        """Hear of a trial that ended with an error."""


def study(
    arms: Sequence[Arm], data: TrainingData, draws: int, *, out: Path | None = None, resume: bool = False,
    listener: Listener | None = None,
) -> Findings:  # fmt: skip
    """Train every arm on every draw.

    The k-th draw has the labelled samples, the initial weights and the order of the batches that its seeds give, the
    same for all arms, so that differences between arms are paired. Draws come one after the other: what is there when a
    study is interrupted can be compared.

    A trial that ends with an error is told of in `Findings.failures`, and the others go on, unless several processes
    share each batch: the others of them wait for the one that failed. An error of the first trial is raised, since
    nothing is lost with it.

    Parameters
    ----------
    arms : sequence of Arm
    data : TrainingData
    draws : int
    out : Path, optional
        Each trial has a folder in it: `Key.folder`, then the number of the draw.
    resume : bool, default False
        Take trials that are over from there, go on with those that were interrupted or failed, from their last
        checkpoints, and do the others.
    listener : Listener, optional

    Returns
    -------
    Findings
        With those until then where one was interrupted.

    Raises
    ------
    SplineGraphError
        If two arms have one key, or the first trial fails.
    """
    keys = [arm.key for arm in arms]
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise SplineGraphError(f"two arms are called {twice}", remedy="name one of them differently")
    found = _Study(data, out, resume, listener)
    with contextlib.suppress(KeyboardInterrupt):  # before the first step of a trial, or while it is reported on
        all(found.add(arm, draw) for draw in range(draws) for arm in arms)
    return found.findings(draws * len(arms))


class _Study:
    """The trials until now."""

    def __init__(self, data: TrainingData, out: Path | None, resume: bool, listener: Listener | None) -> None:
        self.data, self.out, self.resume, self.listener = data, out, resume, listener
        self.trials: list[Trial] = []
        self.failures: list[Failure] = []

    def findings(self, planned: int) -> Findings:
        return Findings(tuple(self.trials), planned, tuple(self.failures))

    def add(self, arm: Arm, draw: int) -> bool:
        """Do a trial, or take it as it is there; returns whether the study can go on."""
        folder = None if self.out is None else self.out / arm.key.folder / str(draw)
        interrupted = False
        try:
            trial = _kept(arm, draw, folder) if self.resume and folder is not None else None
            if trial is None:
                trial, interrupted = self._done(arm, draw, folder)
        except Exception as error:
            if not self.trials:
                raise
            self.failures.append(failure := failure_of(error, arm.key, draw, folder))
            if self.listener is not None:
                self.listener.failed(failure)
            return not several()
        self.trials.append(trial)
        return trial.complete and not interrupted  # Ctrl-C may come in the last step

    def _done(self, arm: Arm, draw: int, folder: Path | None) -> tuple[Trial, bool]:
        heard = None if self.listener is None else self.listener.begun(arm.key, draw)
        trial, interrupted = _train(arm, draw, self.data, folder, resume=self.resume, heard=heard)
        if self.listener is not None:
            self.listener.ended(trial)
        return trial, interrupted


def _settings(arm: Arm, draw: int) -> Settings:
    return dataclasses.replace(arm.settings, draw=arm.settings.draw + draw, seed=arm.settings.seed + draw)


def _train(
    arm: Arm, draw: int, data: TrainingData, folder: Path | None, *, resume: bool,
    heard: Callable[[Progress], None] | None,
) -> tuple[Trial, bool]:  # fmt: skip
    """Train one arm on one draw; returns whether it was interrupted, too."""
    settings = _settings(arm, draw)
    seed_all(settings.seed)
    again = resume and folder is not None and (folder / CHECKPOINT).exists()
    trainer = Trainer(arm.make(), data, settings, folder, progress=heard, resume=again)
    watches = () if arm.watch is None else tuple(arm.watch(trainer))
    trainer.callbacks = watches
    result = trainer.fit()
    for watch in watches:
        watch.close()
    return Trial(arm.key, draw, result.accuracy, result.complete, result.to_dict()), trainer.interrupted


def _kept(arm: Arm, draw: int, folder: Path) -> Trial | None:
    """Return a trial that is over, from its report; None if there is none.

    Raises
    ------
    SplineGraphError
        If it was trained with other settings.
    DataError
        If its report is damaged.
    """
    path = folder / REPORT
    if not path.exists():
        return None
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        settings, accuracy, complete = report["settings"], float(report["accuracy"]), bool(report["complete"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        why, remedy = f"{type(error).__name__}: {error}", f"remove {folder}, and that trial is done again"
        raise DataError(f"cannot read {path}", why=why, remedy=remedy) from error
    differ = _settings(arm, draw).differences(settings)
    if differ:
        why, remedy = "; ".join(differ[:3]), "go on with the settings it was begun with, or begin anew"
        raise SplineGraphError(f"{folder} holds another trial", why=why, remedy=remedy)
    return Trial(arm.key, draw, accuracy, complete, report) if complete else None
