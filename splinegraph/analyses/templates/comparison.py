"""How templates differ from the optimum of Theorem 5: all of them multiples of the input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from splinegraph.analyses.templates.local import cosine

__all__ = ["TemplateComparison", "compared"]


@dataclass(frozen=True, eq=False)
class TemplateComparison:
    """Centred templates beside the optimal ones, with Y the label (or the largest score) and c other chosen classes.

    Parameters
    ----------
    to_input : Tensor of shape (B,)
        cos(A_Y, x); 1 at the optimum.
    to_wrong : Tensor of shape (B,)
        Mean of cos(A_Y, A_c); -1 at the optimum.
    between_wrong : Tensor of shape (B,)
        Mean of cos(A_c, A_c') over pairs; 1 at the optimum, NaN with fewer than two.
    norm_ratio : Tensor of shape (B,)
        l2 norm of A_Y over the mean of those of A_c; C - 1 at the optimum.
    classes : int
        C.
    """

    to_input: Tensor
    to_wrong: Tensor
    between_wrong: Tensor
    norm_ratio: Tensor
    classes: int

    def __repr__(self) -> str:
        told = ", ".join(f"{n} {v:.2f} ({b:g})" for n, (v, b) in self._means().items() if v is not None)
        return f"<TemplateComparison: means, and the optimum: {told or 'not defined'}>"

    def _means(self) -> dict[str, tuple[float | None, float]]:
        best = {"to_input": 1.0, "to_wrong": -1.0, "between_wrong": 1.0, "norm_ratio": self.classes - 1.0}
        return {name: (_mean(getattr(self, name)), optimum) for name, optimum in best.items()}

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types: means, and what they are at the optimum."""
        return {name: {"mean": mean, "optimum": optimum} for name, (mean, optimum) in self._means().items()}


def _mean(values: Tensor) -> float | None:
    known = values[values.isfinite()]
    return float(known.mean()) if len(known) else None


def compared(rows: Tensor, x: Tensor, wrong: Tensor, classes: int) -> TemplateComparison:
    """Compare centred templates.

    Parameters
    ----------
    rows : Tensor of shape (B, K + 1, *in)
        Those of the chosen classes, and of the label last.
    x : Tensor of shape (B, *in)
    wrong : Tensor of shape (B, K), bool
        Which of the chosen ones are not the label.
    classes : int
    """
    flat = rows.flatten(2)
    own, others = flat[:, -1], flat[:, :-1]
    largest = others.abs().amax(2, keepdim=True)
    units = torch.nn.functional.normalize(others / torch.where(largest > 0, largest, 1.0), dim=2)
    alive = wrong & others.any(2)
    count = alive.sum(1)
    beside = cosine(own[:, None].expand_as(others), others)
    between = ((units * alive[..., None]).sum(1).square().sum(1) - count) / (count * (count - 1))
    return TemplateComparison(
        to_input=cosine(own, x.flatten(1)),
        to_wrong=torch.where(alive, beside, 0).sum(1) / count,
        between_wrong=torch.where(count > 1, between, torch.nan),
        norm_ratio=own.norm(dim=1) * wrong.sum(1) / torch.where(wrong, others.norm(dim=2), 0).sum(1),
        classes=classes,
    )
