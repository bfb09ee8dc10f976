"""What a study found: accuracies by arm and draw, their means, and what one arm gains on another."""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from splinegraph.errors import SplineGraphError, one_line
from splinegraph.training.experiments.statistics import Estimate, estimate, paired

__all__ = ["SUPERVISED", "Failure", "Findings", "Key", "Trial", "failure_of"]

SUPERVISED = "supervised"
"""The way that has the labelled rows alone."""


class Key(NamedTuple):
    """What an arm trains, with how many labels, and how."""

    network: str
    labels: int
    way: str

    @property
    def folder(self) -> str:
        """A path for its files."""
        return f"{self.network}/{self.labels}-labels/{self.way}"

    def __str__(self) -> str:
        return f"{self.network}, {self.labels} labels, {self.way}"


@dataclass(frozen=True)
class Trial:
    """One arm on one draw of labels.

    Parameters
    ----------
    key : Key
    draw : int
        From 0 on.
    accuracy : float
        On the test set.
    complete : bool
        Whether it took all its steps.
    report : mapping
        All that the trainer tells of it.
    """

    key: Key
    draw: int
    accuracy: float
    complete: bool
    report: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types; the trainer's report has a file of its own."""
        return {**self.key._asdict(), "draw": self.draw, "accuracy": self.accuracy, "complete": self.complete}


@dataclass(frozen=True)
class Failure:
    """A trial that ended with an error.

    Parameters
    ----------
    key : Key
    draw : int
    why : str
        The error on one line.
    folder : str
        Of the trial; empty where nothing is written.
    traceback : str
        Of an error that is none of this package's; those say all in their line.
    """

    key: Key
    draw: int
    why: str
    folder: str = ""
    traceback: str = field(default="", repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            **self.key._asdict(), "draw": self.draw, "why": self.why, "folder": self.folder,
            "traceback": self.traceback,
        }  # fmt: skip


def failure_of(error: Exception, key: Key, draw: int, folder: Path | None) -> Failure:
    """Return what to keep of an error: text alone, since its frames hold on to the network and the data."""
    where = "" if folder is None else str(folder)
    if isinstance(error, SplineGraphError):
        return Failure(key, draw, str(error), where)
    lines = traceback.format_exception(error)
    return Failure(key, draw, one_line(f"{type(error).__name__}: {error}"), where, "".join(lines))


@dataclass(frozen=True)
class Findings:
    """The trials of a study.

    Parameters
    ----------
    trials : tuple of Trial
    planned : int
        How many there are when all is done.
    failures : tuple of Failure
        Those that ended with an error.
    """

    trials: tuple[Trial, ...]
    planned: int
    failures: tuple[Failure, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every trial took all its steps."""
        return len(self.done) == self.planned

    @property
    def done(self) -> tuple[Trial, ...]:
        """The trials that took all their steps; nothing is said of the others."""
        return tuple(trial for trial in self.trials if trial.complete)

    @property
    def keys(self) -> tuple[Key, ...]:
        """The arms that have a trial that is done, in the order of the study."""
        return tuple(dict.fromkeys(trial.key for trial in self.done))

    def of(self, key: Key) -> dict[int, Trial]:
        """Return the trials of an arm that are done, by their draws."""
        return {trial.draw: trial for trial in self.done if trial.key == key}

    def accuracy(self, key: Key, *, level: float = 0.95) -> Estimate:
        """Return the mean accuracy of an arm over its draws.

        Raises
        ------
        ShapeError
            If it has none.
        """
        return estimate([trial.accuracy for trial in self.of(key).values()], level=level)

    def gain(self, key: Key, over: str = SUPERVISED, *, level: float = 0.95) -> Estimate | None:
        """Return how much an arm gains on another way to train the same network with as many labels, draw by draw.

        Returns
        -------
        Estimate or None
            Over the draws that both have; None if there are none.
        """
        first, second = self.of(key), self.of(key._replace(way=over))
        both = sorted(set(first) & set(second))
        if not both or key.way == over:
            return None
        return paired([first[draw].accuracy for draw in both], [second[draw].accuracy for draw in both], level=level)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        arms: Sequence[dict[str, Any]] = [
            {**key._asdict(), "accuracy": self.accuracy(key).to_dict(),
             "gain": None if (gain := self.gain(key)) is None else gain.to_dict()}
            for key in self.keys
        ]  # fmt: skip
        return {
            "complete": self.complete, "planned": self.planned, "arms": list(arms),
            "trials": [trial.to_dict() for trial in self.trials],
            "failures": [failure.to_dict() for failure in self.failures],
        }  # fmt: skip
