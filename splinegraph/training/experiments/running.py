"""Several ways to train, each on the same draws of labels and from the same weights."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from torch import nn

from splinegraph.errors import DataError, SplineGraphError
from splinegraph.training.datasets import TrainingData
from splinegraph.training.engine.closing import REPORT
from splinegraph.training.engine.randomness import seed_all
from splinegraph.training.engine.results import Progress
from splinegraph.training.engine.settings import Settings
from splinegraph.training.engine.trainer import CHECKPOINT, Trainer
from splinegraph.training.experiments.findings import Findings, Key, Trial

__all__ = ["Arm", "Listener", "study"]


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
    """

    network: str
    way: str
    settings: Settings
    make: Callable[[], nn.Module] = field(compare=False)

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


def study(
    arms: Sequence[Arm], data: TrainingData, draws: int, *, out: Path | None = None, resume: bool = False,
    listener: Listener | None = None,
) -> Findings:  # fmt: skip
    """Train every arm on every draw.

    The k-th draw has the labelled samples, the initial weights and the order of the batches that its seeds give, the
    same for all arms, so that differences between arms are paired. Draws come one after the other: what is there when a
    study is interrupted can be compared.

    Parameters
    ----------
    arms : sequence of Arm
    data : TrainingData
    draws : int
    out : Path, optional
        Each trial has a folder in it: `Key.folder`, then the number of the draw.
    resume : bool, default False
        Take trials that are over from there, and go on with the one that is not.
    listener : Listener, optional

    Returns
    -------
    Findings
        With those until then where one was interrupted.

    Raises
    ------
    SplineGraphError
        If two arms have one key, a trial fails, or `out` holds one of other settings.
    """
    keys = [arm.key for arm in arms]
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise SplineGraphError(f"two arms are called {twice}", remedy="name one of them differently")
    trials: list[Trial] = []
    planned = draws * len(arms)
    for draw in range(draws):
        for arm in arms:
            folder = None if out is None else out / arm.key.folder / str(draw)
            trial = _kept(arm, draw, folder) if resume and folder is not None else None
            if trial is None:
                heard = None if listener is None else listener.begun(arm.key, draw)
                try:
                    trial = _train(arm, draw, data, folder, resume=resume, heard=heard)
                except KeyboardInterrupt:  # before its first step, or while it was reported on
                    return Findings(tuple(trials), planned)
                if listener is not None:
                    listener.ended(trial)
            trials.append(trial)
            if not trial.complete:
                return Findings(tuple(trials), planned)
    return Findings(tuple(trials), planned)


def _settings(arm: Arm, draw: int) -> Settings:
    return dataclasses.replace(arm.settings, draw=arm.settings.draw + draw, seed=arm.settings.seed + draw)


def _train(
    arm: Arm, draw: int, data: TrainingData, folder: Path | None, *, resume: bool,
    heard: Callable[[Progress], None] | None,
) -> Trial:  # fmt: skip
    """Train one arm on one draw."""
    settings = _settings(arm, draw)
    seed_all(settings.seed)
    again = resume and folder is not None and (folder / CHECKPOINT).exists()
    trainer = Trainer(arm.make(), data, settings, folder, progress=heard, resume=again)
    result = trainer.fit()
    return Trial(arm.key, draw, result.accuracy, result.complete, result.to_dict())


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
        remedy = "remove its folder, and that trial is done again"
        raise DataError(f"cannot read {path}", why=f"{type(error).__name__}: {error}", remedy=remedy) from error
    differ = _settings(arm, draw).differences(settings)
    if differ:
        why, remedy = "; ".join(differ[:3]), "go on with the settings it was begun with, or begin anew"
        raise SplineGraphError(f"{folder} holds another trial", why=why, remedy=remedy)
    return Trial(arm.key, draw, accuracy, complete, report) if complete else None
