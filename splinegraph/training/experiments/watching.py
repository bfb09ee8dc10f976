"""What may look on while a trial goes on: the regions of its network, and weights that are learned."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from splinegraph.core.files import make_folder, write_json, writing
from splinegraph.errors import DataError
from splinegraph.training.engine.facts import SplineFacts
from splinegraph.training.engine.slices import SlicePicture
from splinegraph.training.engine.tracker import RegionTracker, Snapshot
from splinegraph.training.engine.trainer import Trainer
from splinegraph.training.experiments.running import Watch

__all__ = ["REGIONS", "LearnedWeights", "Regions", "watching"]

REGIONS = "regions"
"""Name of the files about regions, and of their part of a report."""

SAMPLES = 200
"""Test samples whose codes are followed."""

LIMIT = 500
"""Cells of the slice to count: so many of a residual network take ten seconds, and there are many snapshots."""

BUDGET = 0.5
"""Seconds for the Lipschitz bracket of a snapshot."""


@dataclass
class Regions:
    """A `RegionTracker` whose history outlives an interruption: it is in the folder of the trial.

    Codes are of the first test samples, the slice goes through the first three of them, and the weights are those that
    are trained, not their moving average.

    Parameters
    ----------
    trainer : Trainer
        About to begin or to go on.
    every : int
        Steps between two snapshots; the first is of step 0, the last of the last step.
    """

    trainer: Trainer
    every: int

    def __post_init__(self) -> None:
        run, self.folder = self.trainer.run, self.trainer.out
        drawn = self.folder is not None and self.trainer.settings.figures
        self.tracker = RegionTracker(run.model, run.data.x_test[:SAMPLES], limit=LIMIT, budget=BUDGET, pictures=drawn)
        self._known = self._kept() if self.trainer.resume else []
        if not self.trainer.resume:
            self._look(0)

    def __call__(self, step: int) -> None:
        """Take a snapshot if it is time for one."""
        if self._known:  # those after the checkpoint that the trial goes on from are of work that was lost
            self._take_up([item for item in self._known if item[0].step < step])
            self._known = []
        if step % self.every == 0 or step == self.trainer.run.steps:
            self._look(step)

    def _look(self, step: int) -> None:
        self.tracker.snapshot(step)
        if self.folder is not None:
            write_json(self.to_dict(), make_folder(self.folder) / f"{REGIONS}.json")
            self._keep_pictures(self.folder / f"{REGIONS}.npz")

    def _keep_pictures(self, path: Path) -> None:
        pictures = self.tracker.pictures
        if pictures:
            with writing(path) as file:
                np.savez_compressed(
                    file, step=[p.step for p in pictures], title=[p.title for p in pictures],
                    classes=np.stack([p.classes for p in pictures]), switches=np.stack([p.switches for p in pictures]),
                )  # fmt: skip

    def _kept(self) -> list[tuple[Snapshot, SlicePicture | None]]:
        """Return the snapshots in the folder, with their pictures where there are any."""
        assert self.folder is not None
        path = self.folder / f"{REGIONS}.json"
        try:
            history = json.loads(path.read_text(encoding="utf-8"))["history"]
            snapshots = [Snapshot(**{**row, "facts": _facts(row["facts"])}) for row in history]
            with contextlib.suppress(FileNotFoundError), np.load(path.with_suffix(".npz")) as held:
                columns = (held["step"].tolist(), held["classes"], held["switches"], held["title"].tolist())
                drawn = {p.step: p for p in map(SlicePicture, *columns)}
                return [(s, drawn.get(s.step)) for s in snapshots]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, KeyError, TypeError) as error:
            why, remedy = f"{type(error).__name__}: {error}", f"remove {path}, and what it tells is lost"
            raise DataError(f"cannot read {path}", why=why, remedy=remedy) from error
        return [(s, None) for s in snapshots]

    def _take_up(self, known: Sequence[tuple[Snapshot, SlicePicture | None]]) -> None:
        self.tracker.history[:0] = [snapshot for snapshot, _ in known]
        if self.tracker.pictures is not None:
            self.tracker.pictures[:0] = [picture for _, picture in known if picture is not None]

    def to_dict(self) -> dict[str, Any]:
        """Return every snapshot."""
        return {"name": REGIONS, "every": self.every, **self.tracker.to_dict()}

    def close(self) -> None:
        """Draw churn, cells, dead units and the Lipschitz bracket over the steps, and the slice as an animation."""
        if self._known:  # interrupted again before a step
            self._take_up(self._known)
        if self.folder is None or not self.trainer.settings.figures or not self.tracker.history:
            return
        with writing(self.folder / f"{REGIONS}.png") as file:
            self.tracker.plot().savefig(file, format="png", dpi=120)
        if self.tracker.pictures:
            self.tracker.animate(self.folder / "slice.gif")


def _facts(row: dict[str, Any]) -> SplineFacts:
    return SplineFacts(**{**row, "notes": tuple(row["notes"])})


@dataclass
class LearnedWeights:
    """Tells the weights of the objective that were learned from the validation labels."""

    trainer: Trainer

    def __call__(self, step: int) -> None:
        """Nothing: the trainer moves them."""

    def to_dict(self) -> dict[str, Any]:
        """Return the last ones."""
        tuner = self.trainer.run.tuner
        return {"name": "learned weights", "weights": {} if tuner is None else dict(tuner.weights)}

    def close(self) -> None:
        """Nothing: the report holds them."""


def watching(every: int | None) -> Callable[[Trainer], Sequence[Watch]]:
    """Return what makes the watches of a trial: its regions every so many steps if asked for, and learned weights."""

    def make(trainer: Trainer) -> Sequence[Watch]:
        learned: list[Watch] = [] if trainer.settings.tune is None else [LearnedWeights(trainer)]
        if every is None or not trainer.processes.first:
            return learned
        return [*learned, Regions(trainer, every)]

    return make
