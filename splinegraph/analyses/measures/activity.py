"""How active the units of a network are, and how much their codes say (paper 4.3, sparsity of activations)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from splinegraph.analyses.codes import ActivationPattern, Layer, codes
from splinegraph.analyses.separation.statistics import labels_for
from splinegraph.core.graph import SplineGraph, require_graph
from splinegraph.core.notebook import card
from splinegraph.operators.base import PiecewiseElementwise

__all__ = ["Activity", "LayerActivity", "activity"]


@dataclass(frozen=True)
class LayerActivity:
    """The units of one switching operator.

    Parameters
    ----------
    name : str
    units : int
    active : float or None
        Mean share of units on the steepest piece; None where units select (maxima), and where no piece is steeper than
        another (absolute values, steps): those are neither on nor off.
    least, most : float or None
        The same of the samples with the fewest and the most.
    entropy : float
        Mean over the units of the entropy of the piece they are on, in bits: at most log2 of the pieces.
    constant : int
        Units on one piece for all samples.
    patterns : int
        Distinct codes of the layer.
    effective : float
        2^H, H the entropy of the layer's code over these samples: how many patterns would say as much if all were
        equally frequent. At most the number of samples: an estimate that is too small where that binds.
    within, between : float or None
        Mean share of units on which two samples of one class, and of two classes, differ; None without such pairs.
    """

    name: str
    units: int
    active: float | None
    least: float | None
    most: float | None
    entropy: float
    constant: int
    patterns: int
    effective: float
    within: float | None
    between: float | None


@dataclass(frozen=True)
class Activity:
    """What the units of a network do; made by `splinegraph.activity`.

    Parameters
    ----------
    layers : tuple of LayerActivity
        In topological order.
    samples : int
    """

    layers: tuple[LayerActivity, ...]
    samples: int

    def __repr__(self) -> str:
        units = sum(layer.units for layer in self.layers)
        share = self.active
        told = "" if share is None else f", {100 * share:.0f} % active"
        return f"<Activity: {self.samples} samples, {units} units in {len(self.layers)} layers{told}>"

    def _repr_html_(self) -> str:
        return card(self)

    @property
    def active(self) -> float | None:
        """Mean share of active units, of those that are on or off."""
        found = [(layer.active, layer.units) for layer in self.layers if layer.active is not None]
        total = sum(units for _, units in found)
        return sum(share * units for share, units in found) / total if total else None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        layers = [dict(vars(layer)) for layer in self.layers]
        return {"kind": "estimate", "samples": self.samples, "active": self.active, "layers": layers}

    def plot(self, ax: Any = None) -> Any:
        """Draw the share of active units and the mean entropy, layer by layer; return the axes."""
        from splinegraph.analyses.measures.figures import plot_activity

        return plot_activity(self, ax)


def activity(
    graph: SplineGraph, X: Tensor, y: Tensor | None = None, *, dtype: torch.dtype | None = torch.float64
) -> Activity:
    """Return how active the units are, and how much their codes tell samples apart.

    Parameters
    ----------
    graph : SplineGraph
    X : Tensor of shape (B, *in)
    y : Tensor of shape (B,), integers, optional
        Classes, for the distances within and between them.
    dtype : torch.dtype or None
        Arithmetic that decides the codes; see `splinegraph.codes`.

    Returns
    -------
    Activity
        Exact of these samples, and estimates of what others would give.

    Raises
    ------
    ShapeError
        If inputs do not fit.
    DataError
        If labels do not fit the samples.

    Notes
    -----
    A unit of a rectifier is active if its input is positive. So it is for LeakyReLU: the paper's count of nonzero
    outputs is there the number of units, always. In general a unit is active on the piece with the steepest slope, the
    right one of two that are equally steep.

    One forward pass, then counts over units: distances come from counts of pieces by class, not from pairs.

    A layer that keeps its k largest values (k-winners-take-all) is sparse and no better behaved: its mask jumps, so
    that its Lipschitz constant is infinite, whatever k is.

    References
    ----------
    .. [1] R. Balestriero and R. Baraniuk, "A Spline Theory of Deep Learning", 2017, section 4.3.

    Examples
    --------
    >>> import torch, splinegraph as sg
    >>> graph = sg.trace(torch.nn.Sequential(torch.nn.LeakyReLU()).eval(), torch.zeros(1, 2))
    >>> sg.activity(graph, torch.tensor([[1.0, -1.0], [2.0, 3.0]])).layers[0].active
    0.75
    """
    require_graph(graph)
    found = codes(graph, X, dtype=dtype)
    labels = labels_for(y, len(found))
    classes = None if labels is None else torch.from_numpy(labels)
    return Activity(tuple(_layer(graph, found, layer, classes) for layer in found.layers if layer.units), len(found))


def _layer(graph: SplineGraph, found: ActivationPattern, layer: Layer, y: Tensor | None) -> LayerActivity:
    flat = found.unpack(layer.name).reshape(len(found), layer.units)
    pieces = flat.unique().tolist()
    counts = torch.stack([(flat == piece).sum(0) for piece in pieces]).double()
    share = counts / len(found)
    entropy = -(share * share.clamp(min=torch.finfo(share.dtype).tiny).log2()).sum(0).mean()
    alone = found.only(layer.name).unique().counts / len(found)
    steep = _steepest(graph[layer.name].op)
    on = None if steep is None else (flat == steep).double().mean(1)
    within, between = (None, None) if y is None else _distances(flat, pieces, y)
    return LayerActivity(
        name=layer.name, units=layer.units,
        active=None if on is None else float(on.mean()), least=None if on is None else float(on.min()),
        most=None if on is None else float(on.max()), entropy=float(entropy) + 0.0,  # no -0
        constant=int((counts == len(found)).any(0).sum()), patterns=len(alone),
        effective=float(2 ** -(alone * np.log2(alone)).sum()), within=within, between=between,
    )  # fmt: skip


def _steepest(operator: Any) -> int | None:
    """Return the code of the steepest piece of an elementwise operator, or None if none is steeper than another."""
    if not isinstance(operator, PiecewiseElementwise) or not operator.breakpoints:
        return None
    slopes = [torch.as_tensor(slope).detach().double().abs().max() for slope in operator.slopes]
    if max(slopes) == min(slopes):  # as of |x| and of steps: no piece is more active than another
        return None
    return max(range(len(slopes)), key=lambda at: (float(slopes[at]), at))


def _distances(flat: Tensor, pieces: list[int], y: Tensor) -> tuple[float | None, float | None]:
    """Return the mean share of units that differ, over pairs within classes and between them."""
    classes, index = y.unique(return_inverse=True)
    hot = torch.nn.functional.one_hot(index, len(classes)).double()
    same_in = same_all = 0.0
    for piece in pieces:
        there = hot.T @ (flat == piece).double()  # (classes, units)
        same_in += float((there * there).sum())
        same_all += float((there.sum(0) ** 2).sum())
    sizes, units = hot.sum(0), flat.shape[1]
    inside, all_pairs = float((sizes * sizes).sum()), float(len(flat)) ** 2
    # a sample beside itself differs nowhere and is no pair
    pairs_in, pairs_out = inside - len(flat), all_pairs - inside
    within = (inside * units - same_in) / (pairs_in * units) if pairs_in else None
    between = ((all_pairs - inside) * units - (same_all - same_in)) / (pairs_out * units) if pairs_out else None
    return within, between
