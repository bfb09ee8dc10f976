"""What one evaluation of the objective gives."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from splinegraph.errors import SplineGraphError

__all__ = ["Losses"]


@dataclass(frozen=True, eq=False)
class Losses:
    """The objective of a batch and its terms.

    Parameters
    ----------
    total : Tensor, a scalar
        Call ``total.backward()``.
    parts : dict of str to Tensor
        The terms before they are weighted, with their gradients.
    weights : dict of str to float
        By which they add up to the total.
    logits : Tensor of shape (B, C)
        Of the labelled rows, then the unlabelled ones, without gradients.
    """

    total: Tensor
    parts: Mapping[str, Tensor]
    weights: Mapping[str, float]
    logits: Tensor

    @property
    def terms(self) -> dict[str, Tensor]:
        """The terms before they are weighted, without gradients."""
        return {name: part.detach() for name, part in self.parts.items()}

    def values(self) -> dict[str, float]:
        """Return the total and the terms as Python floats; waits for the device once."""
        names = ["total", *self.parts]
        numbers = torch.stack([self.total.detach().double(), *(p.double() for p in self.terms.values())]).tolist()
        return dict(zip(names, numbers, strict=True))

    def check(self, step: int) -> None:
        """Refuse a total that is NaN or infinite.

        Parameters
        ----------
        step : int
            For the message.

        Raises
        ------
        SplineGraphError
            Naming the step and the terms that caused it.
        """
        if bool(torch.isfinite(self.total)):
            return
        values = self.values()
        values.pop("total")
        bad = [f"{name} is {value}" for name, value in values.items() if not math.isfinite(value)]
        raise SplineGraphError(
            f"the loss is {float(self.total.detach())}", where=f"step {step}",
            why="; ".join(bad) if bad else "its terms are finite and their weighted sum overflows",
            remedy="lower the learning rate, clip gradients, or look for NaN in the inputs",
        )  # fmt: skip
