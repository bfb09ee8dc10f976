"""How smooth a network is between samples: how much its slope turns along the chords that join them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from splinegraph.analyses.affine_map import affine_map
from splinegraph.analyses.provenance import Provenance
from splinegraph.analyses.regions.chords.chords import chords
from splinegraph.analyses.separation.statistics import labels_for
from splinegraph.core.graph import SplineGraph, require_graph
from splinegraph.core.notebook import card
from splinegraph.errors import ShapeError, require_seed, require_whole

__all__ = ["Smoothness", "smoothness"]

SAMPLED = 33
"""Places along a chord at which the slope of a network with smooth operators is taken."""


@dataclass(frozen=True, eq=False)
class Smoothness:
    """How much the slope of a network turns between samples; made by `splinegraph.smoothness`.

    Parameters
    ----------
    pairs : array of int64, shape (P, 2)
        The samples that each chord joins.
    variation : array of float64, shape (P,)
        Total variation of the slope along each chord, in l2 of the outputs: the sum of |jump| over the facets met, the
        slope taken by the length of the input.
    largest : array of float64, shape (P,)
        The largest jump on each chord; of sampled slopes the largest step.
    crossed : array of int64, shape (P,), or None
        Facets met on each chord; None where the network is not piecewise affine.
    lengths : array of float64, shape (P,)
        Of the chords, l2.
    same : array of bool, shape (P,), or None
        Whether both ends are of one class.
    kind : {'exact', 'lower'}
        Of `variation`: exact on these chords, or a lower bound, from slopes at some places along them.
    provenance : Provenance
    """

    pairs: NDArray[np.int64]
    variation: NDArray[np.float64]
    largest: NDArray[np.float64]
    crossed: NDArray[np.int64] | None
    lengths: NDArray[np.float64]
    same: NDArray[np.bool_] | None
    kind: Literal["exact", "lower"]
    provenance: Provenance

    @property
    def mean(self) -> float:
        """Mean variation over the chords: an estimate of that over all pairs."""
        return float(self.variation.mean())

    @property
    def rate(self) -> float:
        """Variation by the length of the chords: how much the slope turns on the way of one unit."""
        return float(self.variation.sum() / self.lengths.sum())

    @property
    def within(self) -> float | None:
        """Mean variation between samples of one class; None without such chords."""
        return None if self.same is None or not self.same.any() else float(self.variation[self.same].mean())

    @property
    def between(self) -> float | None:
        """Mean variation between samples of two classes."""
        return None if self.same is None or self.same.all() else float(self.variation[~self.same].mean())

    @property
    def stale(self) -> bool:
        """Whether the weights have changed since."""
        return self.provenance.weights.stale

    def __repr__(self) -> str:
        less = "" if self.kind == "exact" else "at least "
        return f"<Smoothness: the slope varies by {less}{self.mean:.4g} along {len(self.pairs)} chords>"

    def _repr_html_(self) -> str:
        return card(self)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "kind": self.kind, "chords": len(self.pairs), "mean": self.mean, "rate": self.rate, "within": self.within,
            "between": self.between, "largest": float(self.largest.max()),
            "crossed": None if self.crossed is None else float(self.crossed.mean()),
            "provenance": self.provenance.to_dict(),
        }  # fmt: skip

    def plot(self, ax: Any = None) -> Any:
        """Draw the variation of the chords beside their lengths; return the axes."""
        from splinegraph.analyses.measures.figures import plot_smoothness

        return plot_smoothness(self, ax)


def smoothness(
    graph: SplineGraph, X: Tensor, y: Tensor | None = None, *, pairs: int = 100, seed: int = 0
) -> Smoothness:
    """Return how much the slope of a network turns along chords between samples.

    Parameters
    ----------
    graph : SplineGraph
        Continuous, with one input.
    X : Tensor of shape (B, *in)
    y : Tensor of shape (B,), integers, optional
        Classes, to tell chords within a class from those between two.
    pairs : int, default 100
        Chords, between pairs drawn at random.
    seed : int, default 0

    Returns
    -------
    Smoothness

    Raises
    ------
    ShapeError
        If inputs do not fit, or there are fewer than two different samples.
    DataError
        If labels do not fit the samples.

    Notes
    -----
    Along the chord from p to q a piecewise affine f has the slope A[x] (q - p) / |q - p|, which changes where a facet
    is crossed. Of such networks every facet is found. Of others slopes are compared at 33 places, and the sum of their
    changes is at most the total variation. A network that is affine between its samples has 0.

    Cost: that of `splinegraph.chords`, or 33 forward and tangent passes per chord.

    Examples
    --------
    >>> import torch, splinegraph as sg
    >>> graph = sg.trace(torch.nn.Sequential(torch.nn.ReLU()).eval(), torch.zeros(1, 1))
    >>> sg.smoothness(graph, torch.tensor([[-1.0], [2.0]]), pairs=1).variation.tolist()
    [1.0]
    """
    require_graph(graph)
    require_whole("pairs", pairs)
    seed = require_seed(seed)
    if len(graph.inputs) != 1:
        raise ShapeError(f"{graph.name} takes {len(graph.inputs)} inputs", remedy="take a network of one input")
    if not graph.continuous:
        node = next(node for node in graph.operators if not node.op.continuous)
        raise ShapeError("a network that jumps has no slope there", where=node.where, why=f"{node.op.label} jumps")
    graph.check_inputs((X,))
    labels = labels_for(y, len(X))
    X = X.detach().double()
    chosen = _pairs(X, pairs, seed)
    starts, ends = X[chosen[:, 0]], X[chosen[:, 1]]
    lengths = torch.linalg.vector_norm((ends - starts).reshape(len(starts), -1), dim=1).cpu().numpy()
    variation, largest, crossed = _exact(graph, starts, ends) if graph.exact else _sampled(graph, starts, ends)
    return Smoothness(
        chosen, variation / lengths, largest / lengths, crossed, lengths,
        None if labels is None else labels[chosen[:, 0]] == labels[chosen[:, 1]],
        "exact" if graph.exact else "lower", Provenance.of(graph, dtype=torch.float64, seed=seed, pairs=pairs),
    )  # fmt: skip


def _pairs(X: Tensor, count: int, seed: int) -> NDArray[np.int64]:
    """Draw pairs of samples that are not equal."""
    random = np.random.default_rng(seed)
    flat = X.reshape(len(X), -1)
    found = np.empty((0, 2), dtype=np.int64)
    for _ in range(100):
        drawn = random.integers(len(X), size=(count, 2))
        apart = (flat[drawn[:, 0]] != flat[drawn[:, 1]]).any(1).cpu().numpy()
        found = np.concatenate([found, drawn[apart]])[:count]
        if len(found) == count:
            return found
    raise ShapeError(f"nearly all of {len(X)} samples are equal", remedy="give samples that differ")


Turning = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64] | None]


def _exact(graph: SplineGraph, starts: Tensor, ends: Tensor) -> Turning:
    """Return the sum and the largest of the jumps of A (q - p), and how many facets are crossed."""
    found = chords(graph, starts, ends)
    slope, owner = found.slopes, found.owner
    jump = np.asarray(torch.linalg.vector_norm(slope[1:] - slope[:-1], dim=1))
    inside = owner[1:] == owner[:-1]
    variation = np.bincount(owner[1:][inside], jump[inside], minlength=len(found)).astype(np.float64)
    largest = np.zeros(len(found))
    np.maximum.at(largest, owner[1:][inside], jump[inside])
    return variation, largest, found.counts - 1


def _sampled(graph: SplineGraph, starts: Tensor, ends: Tensor) -> Turning:
    """Return the same of slopes at places along the chords."""
    place = torch.linspace(0, 1, SAMPLED, dtype=torch.float64, device=starts.device)
    slopes = []
    for t in place.tolist():
        local = affine_map(graph, torch.lerp(starts, ends, t))
        slopes.append(
            torch.cat([s.reshape(len(s), -1) for s in _several(local.matvec(ends - starts))], 1).detach().cpu()
        )
    step = torch.linalg.vector_norm(torch.stack(slopes).diff(dim=0), dim=2).numpy()
    if not math.isfinite(float(step.sum())):
        raise ShapeError("slopes are not finite along the chords", remedy="check the samples and the weights")
    return step.sum(0), step.max(0), None


def _several(found: Any) -> tuple[Tensor, ...]:
    return found if isinstance(found, tuple) else (found,)
