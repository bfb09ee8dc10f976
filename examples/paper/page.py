"""What a script of the gallery gives, and what it is given: data and trained networks."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

import splinegraph as sg

DIGITS_SIZE = 12
"""LargeCNN pools three times: 8x8 digits get a border of zeros."""

RECIPES = {"small-cnn": (2e-3, 300), "large-cnn": (1e-3, 180), "resnet3-16": (2e-3, 250)}
"""Learning rate and steps of 32 images each, for some seconds of training; the paper's rates, 0.005 and 0.0005, take
more steps."""


def to(error: float) -> str:
    """Return how well an identity holds, as a phrase."""
    return f"to {error:.0e}" if error else "exactly"


@dataclass(frozen=True)
class Page:
    """A figure or a table, or both, and what was measured while making them."""

    figure: Figure | None = None
    table: tuple[tuple[str, ...], ...] = ()
    measured: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trained:
    """A network before and after training."""

    before: sg.SplineGraph
    after: sg.SplineGraph
    accuracy: float


@dataclass(frozen=True)
class Setting:
    """What the scripts depend on."""

    out: Path
    dataset: str = "digits"
    effort: float = 1.0
    _networks: dict[str, Trained] = field(default_factory=dict, repr=False)

    @functools.cached_property
    def data(self) -> sg.training.TrainingData:
        """Images with mean 0 and largest absolute value 1, as the paper has them."""
        if self.dataset != "digits":
            root = os.environ.get("SPLINEGRAPH_MNIST") if self.dataset == "mnist" else None
            return sg.training.load_data(self.dataset, root=root, normalisation="paper")
        raw = sg.training.load_data("digits", normalisation="none")
        border = (DIGITS_SIZE - raw.x_train.shape[-1]) // 2
        x_train, x_test = (torch.nn.functional.pad(x, [border] * 4) for x in (raw.x_train, raw.x_test))
        given = {"x_train": x_train, "y_train": raw.y_train, "x_test": x_test, "y_test": raw.y_test}
        return sg.training.load_data(given, normalisation="paper")

    def first(self, label: int, count: int = 1) -> Tensor:
        """Return the first test images of a class."""
        found = (self.data.y_test == label).nonzero()[:count, 0]
        return self.data.x_test[found]

    def network(self, topology: str) -> Trained:
        """Return a network of the paper, trained with cross entropy; cached in the folder."""
        if topology not in self._networks:
            self._networks[topology] = self._trained(topology)
        return self._networks[topology]

    def _trained(self, topology: str) -> Trained:
        data = self.data
        steps = max(1, round(self.effort * RECIPES[topology.rpartition("-")[0]][1]))
        file = self.out / "networks" / f"{self.dataset}-{topology}-{steps}.pt"
        channels, *size = data.x_test.shape[1:]
        with torch.random.fork_rng():
            torch.manual_seed(0)
            nets = [sg.training.topology(topology, size=tuple(size), channels=channels) for _ in range(2)]
            if not file.exists():
                self._train(topology, nets[0], steps, file)
        found: dict[str, Any] = torch.load(file, weights_only=True)
        graphs = []
        for net, weights in zip(nets, (found["before"], found["after"]), strict=True):
            net.load_state_dict(weights)
            graphs.append(sg.trace(net.float().eval(), data.x_test[:1]))
        return Trained(graphs[0], graphs[1], found["accuracy"])

    def _train(self, topology: str, net: torch.nn.Module, steps: int, file: Path) -> None:
        before = {name: value.clone() for name, value in net.state_dict().items()}
        rate = RECIPES[topology.rpartition("-")[0]][0]
        settings = sg.training.Settings(
            labels=len(self.data.y_train), preset="supervised", labelled_batch=32, steps=steps, learning_rate=rate,
            evaluate_every=steps, probe=0, figures=False,
        )  # fmt: skip
        result = sg.training.Trainer(net, self.data, settings).fit()
        file.parent.mkdir(parents=True, exist_ok=True)
        torch.save({"before": before, "after": net.state_dict(), "accuracy": result.accuracy}, file)
