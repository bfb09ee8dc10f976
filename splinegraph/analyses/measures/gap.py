"""The generalization measure of a network, and the choice of a topology by it (paper Def 6-7, Eq 56-57)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from splinegraph.analyses.measures.weights import scores_per_sample
from splinegraph.core.graph import SplineGraph, require_graph
from splinegraph.core.notebook import card
from splinegraph.core.walk import evaluate
from splinegraph.data.reading import read_data
from splinegraph.errors import DataError, ShapeError

__all__ = ["GeneralizationGap", "TopologySelection", "generalization_gap", "topology_selection"]

BATCH = 512
"""Samples of one forward pass."""


@dataclass(frozen=True)
class GeneralizationGap:
    """How much better a network is on what it was trained on; made by `splinegraph.generalization_gap`.

    Parameters
    ----------
    train, held_out : float
        Accuracies: exact on these samples.
    train_samples, held_out_samples : int
    low, high : float
        Interval of the accuracy on new samples (Clopper and Pearson): it holds the true one in at least `level` of all
        draws of the held-out samples, if these were drawn independently and nothing was chosen by them.
    level : float
    """

    train: float
    held_out: float
    train_samples: int
    held_out_samples: int
    low: float
    high: float
    level: float

    @property
    def gap(self) -> float:
        """|train - held_out| (Eq 56): of these samples."""
        return abs(self.train - self.held_out)

    @property
    def interval(self) -> tuple[float, float]:
        """Interval of |train - accuracy on new samples|, at the same level."""
        ends = abs(self.train - self.low), abs(self.train - self.high)
        return (0.0 if self.low <= self.train <= self.high else min(ends)), max(ends)

    def __repr__(self) -> str:
        low, high = self.interval
        accuracies = f"{100 * self.train:.2f} % beside {100 * self.held_out:.2f} % held out"
        return f"<GeneralizationGap: {accuracies}, gap {100 * self.gap:.2f} ({100 * low:.2f} to {100 * high:.2f})>"

    def _repr_html_(self) -> str:
        return card(self)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        low, high = self.interval
        return {
            "kind": "estimate", "train": self.train, "held_out": self.held_out, "train_samples": self.train_samples,
            "held_out_samples": self.held_out_samples, "gap": self.gap, "gap_low": low, "gap_high": high,
            "level": self.level,
        }  # fmt: skip

    def plot(self, ax: Any = None) -> Any:
        """Draw both accuracies and the interval of that on new samples; return the axes."""
        from splinegraph.analyses.measures.figures import plot_gap

        return plot_gap(self, ax)


def generalization_gap(
    graph: SplineGraph, train: Any, held_out: Any, *, level: float = 0.95, dtype: torch.dtype | None = None
) -> GeneralizationGap:
    """Return the gap between the accuracies on samples trained on and on others (paper Def 6).

    Parameters
    ----------
    graph : SplineGraph
        With one output of shape (classes,).
    train, held_out : (x, y), path, Dataset or DataSource
        Labelled samples; one with a score that is NaN counts as wrong. Take a validation split for `held_out` while
        anything is still chosen by the result, and the test set for the last network only.
    level : float, default 0.95
        Of the interval.
    dtype : torch.dtype, optional
        Arithmetic; default: that of the samples.

    Returns
    -------
    GeneralizationGap

    Raises
    ------
    DataError
        If samples have no labels, or labels that are no classes of the output.
    ShapeError
        If samples do not fit the network, or it has not one score per class.

    Notes
    -----
    One forward pass over all samples.

    References
    ----------
    .. [1] R. Balestriero and R. Baraniuk, "A Spline Theory of Deep Learning", 2017, Def 6 and Eq 56.
    .. [2] C. Clopper and E. Pearson, "The use of confidence or fiducial limits", Biometrika 26, 1934.

    Examples
    --------
    >>> import torch, splinegraph as sg
    >>> graph = sg.trace(torch.nn.Linear(2, 2).eval(), torch.zeros(1, 2))
    >>> x = torch.randn(20, 2)
    >>> y = graph(x).argmax(1)
    >>> sg.generalization_gap(graph, (x, y), (x[:10], 1 - y[:10])).gap
    1.0
    """
    require_graph(graph)
    if not 0 < level < 1:
        raise ShapeError(f"level is {level}", remedy="give a share between 0 and 1, such as 0.95")
    right, count = _right(graph, train, "train", dtype)
    also, held = _right(graph, held_out, "held_out", dtype)
    low, high = _clopper_pearson(also, held, level)
    return GeneralizationGap(right / count, also / held, count, held, low, high, level)


def _right(graph: SplineGraph, samples: Any, name: str, dtype: torch.dtype | None) -> tuple[int, int]:
    """Return how many samples are classified right, and how many there are."""
    source = read_data(samples, name=name)
    if not source.labeled:
        raise DataError(f"{source.name} has no labels", remedy="give a pair (x, y) with one class per sample")
    classes = scores_per_sample(graph)
    right = count = 0
    if dtype is None:
        floating = [t.dtype for t in graph.parameters() if t.is_floating_point()]
        dtype = floating[0] if floating else torch.float32
    with torch.no_grad():
        for batch in source.cast(dtype).batches(BATCH if graph.batched else 1):
            assert batch.labels is not None
            low, high = int(batch.labels.min()), int(batch.labels.max())
            if low < 0 or high >= classes:
                why = f"they go from {low} to {high}, and the output has {classes} entries"
                raise DataError(f"labels of {source.name} are no classes of the network", why=why)
            graph.check_inputs(batch.inputs)
            (scores,) = evaluate(graph, batch.inputs)
            known = ~scores.isnan().any(1).cpu()  # argmax would choose NaN
            right += int(((scores.argmax(1).cpu() == batch.labels) & known).sum())
            count += len(batch.labels)
    return right, count


def _clopper_pearson(right: int, count: int, level: float) -> tuple[float, float]:
    """Return the exact binomial interval of a share."""
    from scipy.stats import beta

    tail = (1 - level) / 2
    low = 0.0 if right == 0 else float(beta.ppf(tail, right, count - right + 1))
    high = 1.0 if right == count else float(beta.ppf(1 - tail, right + 1, count - right))
    return low, high


@dataclass(frozen=True)
class TopologySelection:
    """Which of several networks to take; made by `splinegraph.topology_selection`.

    Parameters
    ----------
    best : str
    objective : dict from name to float
        -accuracy on the training set plus the gap (Eq 57), smallest first.
    degenerate : bool
        Whether all networks are at least as good on the training set, so that the objective is nothing but
        -accuracy on the held-out samples: those that it is measured on have chosen.
    """

    best: str
    objective: Mapping[str, float]
    degenerate: bool

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {"best": self.best, "objective": dict(self.objective), "degenerate": self.degenerate}

    def _repr_html_(self) -> str:
        return card(self)


def topology_selection(gaps: Mapping[str, GeneralizationGap]) -> TopologySelection:
    """Return the network with the smallest loss plus generalization measure (paper Def 7, Eq 57).

    Parameters
    ----------
    gaps : mapping from name to GeneralizationGap
        Whose held-out samples are a validation split: by the identity
        ``-train + |train - held_out| = -held_out`` for ``train >= held_out`` the objective is a choice by the held-out
        accuracy. With the test set, as the paper has it, no unbiased figure is left to report.

    Raises
    ------
    DataError
        If there is nothing to choose from.

    Examples
    --------
    >>> found = topology_selection({
    ...     "wide": GeneralizationGap(1.0, 0.9, 100, 100, 0.82, 0.95, 0.95),
    ...     "deep": GeneralizationGap(0.95, 0.92, 100, 100, 0.85, 0.96, 0.95),
    ... })
    >>> found.best, found.degenerate
    ('deep', True)
    """
    if not gaps:
        raise DataError("no networks to choose from", remedy="give at least one")
    values = {name: found.gap - found.train for name, found in gaps.items()}
    ordered = dict(sorted(values.items(), key=lambda item: item[1]))
    return TopologySelection(next(iter(ordered)), ordered, all(g.train >= g.held_out for g in gaps.values()))
