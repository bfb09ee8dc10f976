"""Nonnegative weights as functions of free parameters, and where to start them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from splinegraph.errors import SplineGraphError

__all__ = ["Positive", "initial", "nonnegative", "raw_of"]

Positive = Literal["softplus", "square", "exp", "relu"]
"""How a free parameter becomes a nonnegative weight. With relu, weights at zero have no gradient."""

_FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "softplus": F.softplus,
    "square": torch.square,
    "exp": torch.exp,
    "relu": torch.relu,
}

LEAST = 1e-8
"""Initial weights are at least this, where the inverse needs a positive one."""


def nonnegative(raw: Tensor, kind: Positive) -> Tensor:
    """Return the weight of free parameters."""
    return _FUNCTIONS[kind](raw)


def raw_of(weight: Tensor, kind: Positive) -> Tensor:
    """Return free parameters whose weight this is; weights below `LEAST` become that."""
    if kind == "relu":
        return weight.clone()
    weight = weight.clamp(min=LEAST)
    if kind == "softplus":
        return weight + torch.log(-torch.expm1(-weight))
    return weight.sqrt() if kind == "square" else weight.log()


def checked(kind: str) -> None:
    """Raise unless there is such a way to make weights nonnegative."""
    if kind not in get_args(Positive):
        raise SplineGraphError(
            f"weights cannot be made nonnegative by {kind!r}", remedy="give one of " + ", ".join(get_args(Positive))
        )


def initial(weight: Tensor, fan_in: int) -> tuple[Tensor, float]:
    """Return random nonnegative weights, and the bias that goes with them.

    Parameters
    ----------
    weight : Tensor
        Of the shape and dtype wanted.
    fan_in : int
        n, how many entries a unit reads.

    Returns
    -------
    weight : Tensor
        Log-normal, of variance 1/n.
    bias : float
        Negative.

    Notes
    -----
    Nonnegative weights add up what their inputs have in common. With these moments, pre-activations that are
    standard normal with correlation 1/2, over inputs and weights together, stay so through layers of ReLUs [1]_.

    References
    ----------
    .. [1] P.-J. Hoedt and G. Klambauer, "Principled Weight Initialisation for Input-Convex Neural Networks",
       NeurIPS 2023, arXiv:2312.12474.
    """
    n = max(fan_in, 1)
    # n times the variance of a sum of n ReLUs with correlation 1/2, up to a factor
    together = 6 * (math.pi - 1) + (n - 1) * (3 * math.sqrt(3) + 2 * math.pi - 6)
    mean = math.sqrt(6 * math.pi / (n * together))
    spread = math.sqrt(math.log1p(1 / (n * mean**2)))
    drawn = torch.exp(math.log(mean) - spread**2 / 2 + spread * torch.randn_like(weight))
    return drawn, -math.sqrt(3 * n / together)
