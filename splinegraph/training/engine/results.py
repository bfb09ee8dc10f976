"""What a run tells: while it goes on, and at its end."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from splinegraph.analyses.provenance import version
from splinegraph.core.notebook import card
from splinegraph.training.engine.facts import SplineFacts
from splinegraph.training.engine.settings import Settings

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["FORMAT", "Measured", "Progress", "TrainingResult"]

FORMAT = "splinegraph training 1"


@dataclass(frozen=True)
class Progress:
    """Where a run is; what a progress callback gets after every step.

    Parameters
    ----------
    step, steps : int
        Steps taken, and of how many.
    epoch : float
    losses : mapping of str to float
        'total' and the terms, at this step.
    rate : float
        Learning rate of this step.
    accuracy, validation : float or None
        As last measured, on the test set and on the validation labels.
    seconds : float
        Since the beginning, sessions before this one included.
    left : float
        Seconds to go, at the pace of this session.
    """

    step: int
    steps: int
    epoch: float
    losses: Mapping[str, float]
    rate: float
    accuracy: float | None
    validation: float | None
    seconds: float
    left: float


@dataclass(frozen=True)
class Measured:
    """A point of the accuracy curve.

    Parameters
    ----------
    step : int
    accuracy : float
        Share of the test set; nothing is ever chosen by it.
    validation : float or None
        Share of the validation labels.
    score : float or None
        Mean of the unsupervised part of the loss since the measurement before, with the weights of the last step; None
        where a term of it was not worked out.
    losses : mapping of str to float
        Means of the total and of the terms since the measurement before.
    """

    step: int
    accuracy: float
    validation: float | None
    score: float | None
    losses: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "step": self.step, "accuracy": self.accuracy, "validation": self.validation, "score": self.score,
            "losses": dict(self.losses),
        }  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False)
class TrainingResult:
    """A run at its end, or where it was interrupted.

    Parameters
    ----------
    complete : bool
        Whether it took all its steps.
    step, steps : int
    chosen : int
        The step whose weights these are; the model holds them.
    accuracy : float
        Share of the test set that is classified right.
    validation : float or None
        Share of the validation labels.
    confusion : Tensor of shape (C, C), int64
        Test samples by true class (rows) and predicted class (columns).
    curve : tuple of Measured
    reconstruction_error : float or None
        Mean over the probe and its entries of (A[x]^T f(x) - x)^2.
    before, after : SplineFacts or None
        Of the initial weights and of those chosen.
    settings : Settings
    model : mapping
        Name, number of parameters.
    data : mapping
        Name, checksum, numbers of rows.
    seconds : float
        In all sessions.
    device : str
    folder : Path or None
        Where the files are.
    notes : tuple of str
        What the run warned of.
    callbacks : tuple
        What callbacks with a `to_dict` have to tell.
    """

    complete: bool
    step: int
    steps: int
    chosen: int
    accuracy: float
    validation: float | None
    confusion: Tensor
    curve: tuple[Measured, ...]
    reconstruction_error: float | None
    before: SplineFacts | None
    after: SplineFacts | None
    settings: Settings
    model: Mapping[str, Any]
    data: Mapping[str, Any]
    seconds: float
    device: str
    folder: Path | None = None
    notes: tuple[str, ...] = ()
    callbacks: tuple[Any, ...] = field(default=())

    def __repr__(self) -> str:
        part = "" if self.complete else f", interrupted at step {self.step} of {self.steps}"
        return f"<TrainingResult: {100 * self.accuracy:.2f} % of the test set{part}>"

    def _repr_html_(self) -> str:
        return card(self)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw test accuracy over the steps; `figures` has more.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; by default on a figure of its own, which pyplot does not know of: ``ax.figure`` is it.
        """
        from splinegraph.training.engine.figures import plot_accuracies

        steps, accuracies = [point.step for point in self.curve], [point.accuracy for point in self.curve]
        return plot_accuracies({self.settings.preset: [(steps, accuracies)]}, ax)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain JSON types."""
        return {
            "format": FORMAT,
            "complete": self.complete,
            "step": self.step,
            "steps": self.steps,
            "chosen": self.chosen,
            "accuracy": self.accuracy,
            "validation": self.validation,
            "confusion": self.confusion.tolist(),
            "curve": [point.to_dict() for point in self.curve],
            "reconstruction_error": _finite(self.reconstruction_error),
            "before": None if self.before is None else self.before.to_dict(),
            "after": None if self.after is None else self.after.to_dict(),
            "settings": self.settings.to_dict(),
            "model": dict(self.model),
            "data": dict(self.data),
            "seconds": self.seconds,
            "device": self.device,
            "versions": {"splinegraph": version(), "torch": torch.__version__},
            "notes": list(self.notes),
            "callbacks": list(self.callbacks),
        }


def _finite(value: float | None) -> float | None:
    return value if value is None or math.isfinite(value) else None
