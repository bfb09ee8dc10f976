"""Small data and networks that the tests of the engine train."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from splinegraph.training.datasets.data import TrainingData
from splinegraph.training.engine.results import Progress
from splinegraph.training.engine.settings import Settings

__all__ = ["conv_net", "interrupt_at", "settings", "small_net", "stripes"]


def stripes(count: int = 60, *, seed: int = 0, size: int = 6) -> TrainingData:
    """Return noisy images of horizontal, vertical and no stripes."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(2 * count) % 3
    row = torch.tensor([1.0, -1.0]).repeat(size // 2)
    patterns = torch.stack([row[:, None].expand(size, size), row.expand(size, size), torch.zeros(size, size)])
    x = (patterns[y] + 0.3 * torch.randn(len(y), size, size, generator=generator))[:, None]
    return TrainingData(x[:count], y[:count], x[count:], y[count:], 3, "stripes", f"seed {seed}")


def conv_net() -> nn.Sequential:
    """Return a network with batch statistics and dropout."""
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.LeakyReLU(0.01), nn.Dropout(0.2), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(36, 3),
    )  # fmt: skip


def small_net() -> nn.Sequential:
    """Return a network in which no sample depends on another."""
    return nn.Sequential(nn.Flatten(), nn.Linear(36, 8), nn.ReLU(), nn.Linear(8, 3))


def settings(**changes: Any) -> Settings:
    """Return those of a short run."""
    plain = {"labels": 9, "labelled_batch": 6, "unlabelled_batch": 10, "epochs": 3, "probe": 0, "learning_rate": 0.02}
    return Settings(**{**plain, **changes})


def interrupt_at(step: int) -> Callable[[Progress], None]:
    """Return a progress callback that presses Ctrl-C after a step."""

    def tell(progress: Progress) -> None:
        if progress.step == step:
            os.kill(os.getpid(), signal.SIGINT)

    return tell
