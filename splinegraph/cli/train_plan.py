"""From what a user typed to the arms of a study."""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from torch import nn

from splinegraph.cli.opening import is_attribute
from splinegraph.errors import DataError, TargetError
from splinegraph.tracers.loading.target import load, load_object
from splinegraph.training.datasets import TrainingData, draw_labels, load_data
from splinegraph.training.engine.settings import Settings
from splinegraph.training.experiments.findings import SUPERVISED
from splinegraph.training.experiments.running import Arm
from splinegraph.training.experiments.table4 import rows
from splinegraph.training.experiments.watching import watching
from splinegraph.training.topologies import topology

__all__ = ["arms", "data_of", "defaults", "own_network", "paper_network"]

SUP1000 = 1000
"""Labels of the paper's supervised column."""

_SETTINGS = (
    "validation", "steps", "labelled_batch", "unlabelled_batch", "average", "select", "device", "precision", "probe",
    "figures", "tune", "clip", "schedule", "weight_decay", "channels_last", "evaluate_every", "checkpoint_every",
)  # fmt: skip
"""Options that are settings of the same name."""


def defaults(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was asked for, with what is left open filled in.

    Raises
    ------
    click.UsageError
        If there is nothing to train, or two things where one is meant.
    """
    table4 = asked["table4"]
    usual: dict[str, Any] = (
        {"labels": (50, 100), "draws": 5, "preset": "paper", "epochs": 100, "data": "mnist"}
        if table4
        else {"labels": (50,), "draws": 1, "preset": "balanced", "epochs": 20}
    )
    found = {name: usual.get(name) if value is None else value for name, value in asked.items()}
    if asked["model"] is not None and (asked["topologies"] or table4):
        raise click.UsageError("--model is a network of yours; leave out --topology and --table4")
    if asked["model"] is None and not asked["topologies"] and not table4:
        raise click.UsageError(
            "nothing to train: give --topology NAME, such as small-cnn-mean, or --model file.py:attr"
        )
    if found["data"] is None:
        raise click.UsageError("nothing to train on: give --data digits, mnist, fashion-mnist, cifar10 or a path")
    if asked["epochs"] is not None and asked["steps"] is not None:
        raise click.UsageError("--epochs and --steps both say how long; give one")
    if table4:
        found["topologies"] = tuple(row.topology for row in rows(asked["topologies"]))
    return found


def data_of(asked: Mapping[str, Any], command: str) -> TrainingData:
    """Return the samples to train on and to test on."""
    what = asked["data"]
    if is_attribute(what):
        what = load_object(what, command=f"{command} --data")
    return load_data(what, root=asked["root"], download=asked["download"], normalisation=asked["normalisation"])


def arms(asked: Mapping[str, Any], data: TrainingData, command: str) -> tuple[Arm, ...]:
    """Return every way to train every network that was asked for, the baselines among them.

    Raises
    ------
    SplineGraphError
        If labels cannot be drawn: better now than when hours of training come to them.
    """
    for count in asked["labels"]:
        draw_labels(data.y_train, count, asked["seed"], validation=asked["validation"], classes=data.classes)
    return tuple(arm for network, make in _networks(asked, data, command) for arm in _ways(asked, network, make))


def _networks(
    asked: Mapping[str, Any], data: TrainingData, command: str
) -> Iterator[tuple[str, Callable[[], nn.Module]]]:
    if asked["model"] is not None:
        file = asked["model"].partition(":")[0]
        name = Path(file).stem if file.endswith(".py") else file
        yield name, own_network(asked["model"], f"{command} --model")
        return
    for name in asked["topologies"]:
        yield name, paper_network(name, data)


def paper_network(name: str, data: TrainingData) -> Callable[[], nn.Module]:
    """Return what makes one of the paper's networks, for these images.

    Raises
    ------
    DataError
        If the samples are no images.
    """
    if len(data.shape) != 3:
        why = f"samples of {data.name} have shape {data.shape}"
        raise DataError("the paper's networks take images", why=why, remedy="give a model of yours: file.py:attribute")
    channels, height, width = data.shape
    return functools.partial(topology, name, size=(height, width), channels=channels, classes=data.classes)


def own_network(target: str, command: str) -> Callable[[], nn.Module]:
    """Return what makes a new copy of the user's model, in training mode; a Python file draws its weights anew."""

    def make() -> nn.Module:
        model = load(target, command=command).model
        if not isinstance(model, nn.Module):
            remedy = "give one in Python code: an exported one is fixed"
            raise TargetError(f"{target} is no torch.nn.Module", remedy=remedy)
        return copy.deepcopy(model).train()

    return make


def _ways(asked: Mapping[str, Any], network: str, make: Callable[[], nn.Module]) -> Iterator[Arm]:
    base, watch = _settings(asked, network), watching(asked["track"])
    alone = dataclasses.replace(
        base, preset=SUPERVISED, objective={}, tune=None,
        learning_rate=asked["baseline_learning_rate"] or base.learning_rate,
    )  # fmt: skip
    baseline = asked["baseline"] and asked["preset"] != SUPERVISED
    for count in asked["labels"]:
        yield Arm(network, asked["preset"], dataclasses.replace(base, labels=count), make, watch)
        if baseline and not asked["table4"]:
            yield Arm(network, SUPERVISED, dataclasses.replace(alone, labels=count), make, watch)
    if asked["baseline"] and asked["table4"]:
        yield Arm(network, SUPERVISED, dataclasses.replace(alone, labels=SUP1000), make, watch)


def _settings(asked: Mapping[str, Any], network: str) -> Settings:
    """Return what a network is trained with, and the first number of labels."""
    # squares of what a convex network reconstructs at first are so large that it vanishes
    objective = {**({"form": "cosine"} if network.endswith("-convex") else {}), **asked["objective"]}
    if asked["table4"] and asked["preset"] == "paper":
        (row,) = rows((network,))
        objective = {"alpha": row.alpha, "beta": row.beta, **objective}
    given = {name: asked[name] for name in ("alpha", "beta") if asked[name] is not None}
    objective |= given | ({"gamma": asked["gamma"]} if asked["gamma"] else {})
    rate = asked["learning_rate"] or (5e-4 if network.startswith("large-") else 5e-3)
    return Settings(
        labels=asked["labels"][0], draw=asked["seed"], seed=asked["seed"], epochs=asked["epochs"],
        preset=asked["preset"], objective=objective, learning_rate=rate, compile=asked["compiled"],
        **{name: asked[name] for name in _SETTINGS},
    )  # fmt: skip
