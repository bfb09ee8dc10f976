"""How unusual inputs are, judged by the cells that they visit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from splinegraph.analyses.activation.paths import paths, surprise
from splinegraph.analyses.activation.tables import Floats
from splinegraph.data.reading import read_data

if TYPE_CHECKING:
    from splinegraph.analyses.activation.result import ActivationGraph

__all__ = ["OutlierScores", "outlier_scores"]

PART = 256
"""Inputs in one pass."""

COARSE = 0.5
"""Share of the held-out inputs with the largest score from which the p-values cannot tell outliers."""


@dataclass(frozen=True, eq=False)
class OutlierScores:
    """How rare the cells on the paths of inputs are.

    Parameters
    ----------
    scores : array of float64, shape (B,)
        -log2 of the share of inputs in the node of a layer, averaged over the layers; a cell without visitors
        counts as half an input.
    p_values : array of float64, shape (B,), or None
        Conformal: (1 + number of held-out inputs with a score at least as large) / (1 + number of held-out inputs).
    held_out : array of float64, shape (M,), or None
        Scores of the held-out inputs, ascending.
    """

    scores: Floats
    p_values: Floats | None
    held_out: Floats | None

    @property
    def tied(self) -> float:
        """Share of the held-out inputs that have the largest score among them; 0 without any."""
        return 0.0 if self.held_out is None else float((self.held_out == self.held_out.max()).mean())

    @property
    def note(self) -> str:
        """Whether the score can tell outliers at all; '' if so, or if it is not known."""
        if self.tied < COARSE:
            return ""
        return (
            f"{100 * self.tied:.3g} % of the held-out inputs have the largest score: the cells are too fine to tell "
            "outliers; coarsen them"
        )

    def __repr__(self) -> str:
        mean = f"mean score {self.scores.mean():.3g} bits"
        if self.p_values is None:
            return f"<OutlierScores: {len(self.scores)} inputs, {mean}, not calibrated>"
        few = int((self.p_values <= 0.05).sum())
        note = f"; {self.note}" * bool(self.note)
        return f"<OutlierScores: {len(self.scores)} inputs, {mean}, {few} with p <= 0.05{note}>"

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, but for the held-out scores."""
        return {
            "scores": self.scores.tolist(),
            "p_values": None if self.p_values is None else self.p_values.tolist(),
            "held_out": 0 if self.held_out is None else len(self.held_out),
            "tied": self.tied,
            "note": self.note,
        }


def outlier_scores(ag: ActivationGraph, inputs: Any, calibration: Any) -> OutlierScores:
    """Return scores of inputs, with p-values if there are held-out data.

    Parameters
    ----------
    ag : ActivationGraph
    inputs : Tensor, or anything that `read_data` takes
    calibration : the same, or None
        Inputs like those that the graph was made of, but not among them.

    Notes
    -----
    For an input that is exchangeable with the held-out ones (drawn from the same distribution, independently),
    P(p <= a) <= a for every a, whatever the score: the p-value is a conformal one [1]_. This fails if held-out
    inputs were used to make the graph, and it is for one input at a time: p-values of several inputs share their
    held-out data. A large p-value does not say that an input is normal.

    References
    ----------
    .. [1] V. Vovk, A. Gammerman and G. Shafer, "Algorithmic Learning in a Random World", 2005, Proposition 2.8.
    """
    scores = _scores(ag, inputs)
    if calibration is None:
        return OutlierScores(scores, None, None)
    held_out = np.sort(_scores(ag, calibration))
    at_least = len(held_out) - np.searchsorted(held_out, scores, side="left")
    return OutlierScores(scores, (1 + at_least) / (1 + len(held_out)), held_out)


def _scores(ag: ActivationGraph, inputs: Any) -> Floats:
    source = read_data(inputs)
    source = source.cast(*(getattr(torch, ag.provenance.dtype) for _ in source.dtypes))
    return np.concatenate([surprise(ag, paths(ag, batch.inputs)).mean(1) for batch in source.batches(PART)])
