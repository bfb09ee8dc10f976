"""Measurements of a network: predictions, the confusion matrix, reconstructions."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from splinegraph.tracers.modes import evaluating
from splinegraph.training.engine.memory import is_out_of_memory
from splinegraph.training.network import SplineNetwork

__all__ = ["accuracy_of", "confusion_of", "predictions", "reconstructions"]

ROWS = 1000
"""Samples of one forward pass, where memory allows it."""


@torch.no_grad()
def predictions(network: SplineNetwork, x: Tensor) -> Tensor:
    """Return the largest logit of each sample in evaluation mode, shape (N,)."""
    with evaluating(network):
        return _in_parts(lambda part: network.logits(part).argmax(1), x)


def accuracy_of(predicted: Tensor, y: Tensor) -> float:
    """Return the share of right predictions."""
    return float((predicted == y).double().mean())


def confusion_of(predicted: Tensor, y: Tensor, classes: int) -> Tensor:
    """Return the number of samples by true class (rows) and predicted class (columns), shape (C, C), int64.

    Examples
    --------
    >>> confusion_of(torch.tensor([0, 1, 1]), torch.tensor([0, 0, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    return torch.bincount(y * classes + predicted, minlength=classes * classes).reshape(classes, classes).cpu()


@torch.no_grad()
def reconstructions(network: SplineNetwork, x: Tensor) -> Tensor:
    """Return A[x]^T f(x) of each sample in evaluation mode, shape (N, *in)."""
    with evaluating(network):
        return _in_parts(lambda part: network(part).reconstruction, x)


def _in_parts(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Apply a function to as many rows at a time as memory has room for."""
    rows = ROWS
    while True:
        try:
            return torch.cat([function(part) for part in x.split(rows)])
        except (RuntimeError, MemoryError) as error:
            if rows == 1 or not is_out_of_memory(error):
                raise
        rows //= 2
