"""What a run should be told about itself: outputs that are no logits, an error that swamps the loss, one class."""

from __future__ import annotations

import torch
from torch import Tensor

from splinegraph.training.datasets.data import TrainingData
from splinegraph.training.objective.settings import Objective

__all__ = ["one_class", "probabilities", "swamped", "undivided"]

MANY = 10.0
"""How many times the mean square of the inputs a reconstruction error is that makes a network vanish."""

ROWS = 200
"""Samples that are looked at."""


def probabilities(outputs: Tensor) -> str:
    """Return what to say of outputs, shape (B, C), that are probabilities in place of logits; '' if they are none."""
    sums = outputs.sum(1)
    if outputs.shape[1] < 2 or not bool((outputs >= 0).all() & torch.isclose(sums, torch.ones_like(sums)).all()):
        return ""
    return (
        "the outputs look like probabilities (nonnegative, with sum 1), and the loss takes them for logits: remove the "
        "softmax at the end of the model"
    )


def one_class(data: TrainingData) -> str:
    """Return what to say of data of which every guess is right, or all test samples are one class; '' otherwise."""
    if data.classes == 1:
        return f"{data.name} has one class: every network has it right, and the accuracy says nothing"
    if len(data.y_test) < 2 or bool((data.y_test != data.y_test[0]).any()):
        return ""
    which = f"all {len(data.y_test)} test samples of {data.name} are of class {int(data.y_test[0])}"
    return f"{which}: the accuracy says nothing of the {data.classes - 1} others"


def swamped(error: float, weight: float, x: Tensor, objective: Objective) -> str:
    """Return what to say of the reconstruction error of the first step; '' if it is of the size of the inputs.

    Parameters
    ----------
    error : float
        R of the first step.
    weight : float
        Of R, when it is largest.
    x : Tensor of shape (B, *in)
    objective : Objective
    """
    if objective.form != "squared" or not weight:
        return ""
    energy = float(x[:ROWS].double().square().mean()) * (x[0].numel() if objective.reduction == "sum" else 1)
    if not error > MANY * energy:
        return ""
    return (
        f"the reconstruction error is {error:.3g} at first, and {energy:.3g} for a network that gives nothing: "
        "the network may vanish to lower it; set form='cosine' in the objective, or a smaller beta"
    )


def undivided(predicted: Tensor, y: Tensor) -> str:
    """Return what to say of predictions that are all the same for samples that are not; '' otherwise."""
    if not len(predicted) or bool((y == y[0]).all()) or bool((predicted != predicted[0]).any()):
        return ""
    return (
        f"all {len(predicted)} test samples are put into class {int(predicted[0])}: the network tells nothing apart; "
        "look at the terms of the loss, and lower the learning rate or the weights of those without labels"
    )
