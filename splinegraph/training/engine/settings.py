"""What a training run depends on, besides the model and the data."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch

from splinegraph.errors import SplineGraphError
from splinegraph.training.objective.schedules import to_json

__all__ = ["FREE", "Precision", "Schedule", "Selection", "Settings", "settings_from"]

Precision = Literal["float32", "bfloat16", "float64"]
Schedule = Literal["cosine", "constant"]
Selection = Literal["last", "validation", "unlabelled"]

FREE = frozenset({"checkpoint_every", "device", "facts_budget", "figures", "probe"})
"""Settings that may differ between a run and the one that continues it: they do not touch the weights."""

CHOICES = {
    "precision": ("float32", "bfloat16", "float64"),
    "schedule": ("cosine", "constant"),
    "select": ("last", "validation", "unlabelled"),
    "inverse": ("explicit", "autograd"),
}


@dataclass(frozen=True)
class Settings:
    """Every hyper-parameter of a run; plain values, so that a report can hold them.

    Parameters
    ----------
    labels : int
        Labelled samples, those kept for validation among them.
    validation : int
        How many of the labels are kept to choose an epoch by.
    draw : int
        Seed of the draw of the labelled samples.
    seed : int
        Of the order of the batches and of all that is random in a step.
    epochs : int
        Passes over the unlabelled samples; the supervised baseline takes as many steps.
    steps : int or None
        Number of steps in place of `epochs`.
    labelled_batch, unlabelled_batch : int
        Rows of a step, over all processes together.
    preset : str
        Of `SemiSupervisedLoss`; 'supervised' is the baseline: cross entropy on the labelled rows alone.
    objective : mapping
        What replaces values of the preset: alpha, beta, gamma and so on, as `SemiSupervisedLoss` takes them.
    inverse : {'explicit', 'autograd'}
        How the reconstruction is computed; see `SplineNetwork`.
    learning_rate, weight_decay : float
        Of Adam, and of its decoupled weight decay (AdamW) if that is not zero.
    schedule : {'cosine', 'constant'}
        Of the learning rate; 'cosine' ends at a thousandth.
    clip : float or None
        Largest l2 norm of the gradient of all parameters.
    average : float or None
        Decay of an exponential moving average of the weights, which then is what is measured and saved.
    precision : {'float32', 'bfloat16', 'float64'}
        'bfloat16' is automatic mixed precision: the parameters stay float32.
    compile : bool
        Whether the network goes through `torch.compile`.
    channels_last : bool
        Whether images and convolutions use that memory format.
    device : str
        As in torch.
    tune : float or None
        Rate at which the weights of the terms follow the loss on the validation labels; see `WeightTuner`. They begin
        as the objective's at its last step, and schedules are not followed.
    select : {'last', 'validation', 'unlabelled'}
        Which weights are the result: the last ones, those with the best accuracy on the validation labels, or, without
        labels, those with the smallest unsupervised part of the loss (the last ones where it has none). Never by the
        test set.
    evaluate_every, checkpoint_every : int or None
        Steps between measurements and between checkpoints; None is an epoch.
    probe : int
        Test samples of which codes, dead units and reconstructions are reported; 0 reports none.
    figures : bool
        Whether the report has figures beside it.
    facts_budget : float
        Seconds for the Lipschitz bracket before and after.

    Examples
    --------
    >>> Settings(labels=20, epochs=3).to_dict()["labels"]
    20
    """

    labels: int = 50
    validation: int = 0
    draw: int = 0
    seed: int = 0
    epochs: int = 20
    steps: int | None = None
    labelled_batch: int = 50
    unlabelled_batch: int = 100
    preset: str = "balanced"
    objective: Mapping[str, Any] = field(default_factory=dict)
    inverse: Literal["explicit", "autograd"] = "explicit"
    learning_rate: float = 5e-3
    weight_decay: float = 0.0
    schedule: Schedule = "cosine"
    clip: float | None = 1.0
    average: float | None = None
    precision: Precision = "float32"
    compile: bool = False
    channels_last: bool = True
    device: str = "cpu"
    tune: float | None = None
    select: Selection = "last"
    evaluate_every: int | None = None
    checkpoint_every: int | None = None
    probe: int = 200
    figures: bool = True
    facts_budget: float = 1.0

    def __post_init__(self) -> None:
        for name in ("labels", "epochs", "labelled_batch", "unlabelled_batch"):
            self._require(name, _whole(getattr(self, name)) and getattr(self, name) >= 1, "give at least 1")
        for name in ("steps", "evaluate_every", "checkpoint_every"):
            value = getattr(self, name)
            self._require(name, value is None or (_whole(value) and value >= 1), "give at least 1, or None")
        for name in ("validation", "probe", "draw", "seed"):
            self._require(name, _whole(getattr(self, name)) and getattr(self, name) >= 0, "give 0 or more")
        for name in ("weight_decay", "facts_budget"):
            self._require(name, _finite(getattr(self, name)) and getattr(self, name) >= 0, "give 0 or more")
        self._require("learning_rate", _finite(self.learning_rate) and self.learning_rate > 0, "give a positive number")
        self._require(
            "clip", self.clip is None or (_finite(self.clip) and self.clip > 0), "give a positive number, or None"
        )
        decay = self.average is None or (_finite(self.average) and 0 <= self.average < 1)
        self._require("average", decay, "give a decay in [0, 1), or None")
        self._require(
            "tune", self.tune is None or (_finite(self.tune) and self.tune > 0), "give a positive number, or None"
        )
        for name, choices in CHOICES.items():
            self._require(name, getattr(self, name) in choices, "give " + ", ".join(map(repr, choices)))
        if self.validation >= self.labels:
            raise SplineGraphError(
                f"validation={self.validation} of labels={self.labels}",
                why="labels used for validation count towards the labels, and none would be left to train on",
                remedy="give more labels, or fewer for validation",
            )
        needing = "select='validation'" if self.select == "validation" else f"tune={self.tune}" if self.tune else ""
        if needing and not self.validation:
            remedy = "set validation=..., or select='unlabelled' and tune=None, which need no labels"
            raise SplineGraphError(f"{needing} without validation labels", remedy=remedy)
        object.__setattr__(self, "objective", dict(self.objective))

    def _require(self, name: str, right: bool, remedy: str) -> None:
        if not right:
            raise SplineGraphError(f"{name}={getattr(self, name)!r}", where="the training settings", remedy=remedy)

    @property
    def dtype(self) -> torch.dtype:
        """Type of the parameters."""
        return torch.float64 if self.precision == "float64" else torch.float32

    @property
    def supervised(self) -> bool:
        """Whether rows without labels are not looked at."""
        return self.preset == "supervised"

    def steps_of(self, epoch: int) -> int:
        """Return the number of steps, given that of an epoch."""
        return self.epochs * epoch if self.steps is None else self.steps

    def rate(self, step: int, steps: int) -> float:
        """Return the learning rate of a step of so many, a function of the two alone.

        Examples
        --------
        >>> settings = Settings(learning_rate=1.0)
        >>> [round(settings.rate(step, 5), 3) for step in range(5)]
        [1.0, 0.854, 0.5, 0.147, 0.001]
        """
        if self.schedule == "constant" or steps < 2:
            return self.learning_rate
        low = 1e-3
        return self.learning_rate * (low + (1 - low) * 0.5 * (1 + math.cos(math.pi * step / (steps - 1))))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; of a function of the user's, among the weights of the objective, its name."""
        plain = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        return {name: _plain(value) for name, value in plain.items()}

    def differences(self, other: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the settings, without those in `FREE`, in which a saved run differs, as 'name: then, now'."""
        mine = self.to_dict()
        names = [name for name in sorted({*mine, *other} - FREE) if mine.get(name) != other.get(name)]
        return tuple(f"{name}: {other.get(name)!r} then, {mine.get(name)!r} now" for name in names)


def settings_from(saved: Mapping[str, Any]) -> Settings:
    """Return the settings that `Settings.to_dict` wrote.

    Raises
    ------
    SplineGraphError
        If a name or a value is none of theirs.
    """
    names = {item.name for item in dataclasses.fields(Settings)}
    unknown = sorted(set(saved) - names)
    if unknown:
        raise SplineGraphError(f"unknown training settings: {', '.join(unknown)}", remedy="known: " + ", ".join(names))
    return Settings(**saved)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    try:
        return to_json(value)
    except SplineGraphError:  # a function of the user's
        return f"{value.__module__}.{getattr(value, '__qualname__', type(value).__qualname__)}"


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)
