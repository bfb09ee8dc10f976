"""Objectives by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from splinegraph.data.near import near
from splinegraph.errors import SplineGraphError
from splinegraph.training.objective.schedules import Linear
from splinegraph.training.objective.settings import Objective

__all__ = ["PRESETS", "preset"]


def _balanced(steps: int, **more: Any) -> Objective:
    ramp = Linear(0.0, 1.0, steps=max(1, steps // 4))
    return Objective(alpha=0.7, beta=0.2, ramp=ramp, balance=0.24, rows="unlabelled", **more)


PRESETS: Mapping[str, Callable[[int], Objective]] = MappingProxyType(
    {
        "supervised": lambda steps: Objective(alpha=1.0),
        "paper": lambda steps: Objective(alpha=0.7, beta=0.2),
        "balanced": _balanced,
        "strong": lambda steps: _balanced(steps, consistency=0.7),
        "unsupervised": lambda steps: Objective(alpha=0.0, beta=1.0),
        "clustering": lambda steps: Objective(alpha=0.0, beta=0.2, balance=1.0),
    }
)
"""Name -> function of the number of training steps, which ramps take a quarter of.

supervised
    Cross entropy alone.
paper
    Eq 82 with the (alpha, beta) of most cells of Table 4, and errors averaged over pixels.
balanced
    The same with class balance, and entropy ramped up from 0.
strong
    Balanced, and consistency under shifts.
unsupervised
    Reconstruction alone.
clustering
    No labels: reconstruction, entropy and class balance; the outputs are clusters, in no order.
"""


def preset(name: str, *, steps: int = 1000, **changes: Any) -> Objective:
    """Return the objective of a preset.

    Parameters
    ----------
    name : str
        One of `PRESETS`.
    steps : int
        Of the whole training, for the lengths of ramps.
    **changes
        Fields of `Objective` to set otherwise.

    Raises
    ------
    SplineGraphError
        For an unknown name or field.

    Examples
    --------
    >>> objective = preset("balanced", steps=1000, alpha=0.5)
    >>> objective.at(0)
    {'cross_entropy': 0.5, 'reconstruction': 0.1, 'balance': 0.24}
    >>> objective.at(1000)["entropy"]
    0.4
    """
    if name not in PRESETS:
        close = near(name, PRESETS)
        raise SplineGraphError(
            f"no preset {name!r}",
            remedy=f"did you mean {close[0]!r}?" if close else f"choose from {', '.join(PRESETS)}",
        )
    return PRESETS[name](steps).changed(**changes)
