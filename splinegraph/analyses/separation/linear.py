"""`splinegraph.linear_separable`: whether hyperplanes separate classes, with what proves it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from splinegraph.analyses.batches import promote
from splinegraph.analyses.codes import codes
from splinegraph.analyses.separation.hyperplanes import Floats, Status, decide
from splinegraph.analyses.separation.separation import chosen_layers
from splinegraph.analyses.separation.statistics import labels_for
from splinegraph.analyses.separation.values import layer_values
from splinegraph.core.graph import SplineGraph, require_graph
from splinegraph.core.notebook import card
from splinegraph.errors import DataError, ShapeError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["LinearDecision", "LinearSeparability", "SeparableLayers", "linear_separable", "separable_layers"]

SCHEMES = ("pairwise", "one-vs-rest")

LARGEST = 1e150
"""Points are refused above it: sums of their squares could overflow."""


@dataclass(frozen=True, eq=False)
class LinearDecision:
    """Whether a hyperplane has one class strictly on one side and another, or all others, on the other.

    Parameters
    ----------
    positive : int
    negative : int or None
        None for all other classes.
    status : {'separable', 'not separable', 'undecided'}
    proof : str
        'hyperplane': checked in float64 with a bound of its rounding. 'overlapping hulls': a convex combination of
        each class that nearly agree, and so much room that an exact pair exists. 'a point of both classes', 'rational
        simplex': exact.
    weights : array of shape (D,), or None
    bias : float or None
        ``weights @ z + bias`` is positive for `positive`, negative for the others.
    margin : float or None
        Lower bound of the distance of every sample to the hyperplane, l2; 0 where only rational arithmetic tells.
    combination : array of shape (N,), or None
        Weights of the samples, one convex combination for each side; 0 for samples of other classes.
    gap : float or None
        Upper bound of the distance of the two combinations, l2.
    """

    positive: int
    negative: int | None
    status: Status
    proof: str
    weights: Floats | None
    bias: float | None
    margin: float | None
    combination: Floats | None
    gap: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types, without weights."""
        names = ("positive", "negative", "status", "proof", "margin", "gap")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, eq=False)
class LinearSeparability:
    """Decisions on all classes; made by `splinegraph.linear_separable`.

    Parameters
    ----------
    decisions : tuple of LinearDecision
    scheme : {'pairwise', 'one-vs-rest'}
    samples, features : int
    """

    decisions: tuple[LinearDecision, ...]
    scheme: str
    samples: int
    features: int

    def __repr__(self) -> str:
        told = {None: "undecided", True: "separable", False: "not separable"}[self.separable]
        return (
            f"<LinearSeparability of {self.samples} samples, {self.features} features: {told}; "
            f"{self.count('separable')} of {len(self.decisions)} {self.scheme} yes, "
            f"{self.count('not separable')} no, {self.count('undecided')} undecided>"
        )

    def _repr_html_(self) -> str:
        return card(self)

    @property
    def separable(self) -> bool | None:
        """Whether all decisions are 'separable'; None if that is not known."""
        if self.count("not separable"):
            return False
        return None if self.count("undecided") else True

    def count(self, status: Status) -> int:
        """Return how many decisions are so."""
        return sum(found.status == status for found in self.decisions)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "separable": self.separable,
            "scheme": self.scheme,
            "samples": self.samples,
            "features": self.features,
            "decisions": [found.to_dict() for found in self.decisions],
        }

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the margins; return the axes."""
        from splinegraph.analyses.separation.figures import plot_margins

        return plot_margins(self, ax)


def linear_separable(Z: Any, y: Any, *, scheme: str = "pairwise") -> LinearSeparability:
    """Decide whether hyperplanes separate the classes of points strictly.

    Parameters
    ----------
    Z : Tensor or array of shape (N, ...)
        Points; further axes are flattened.
    y : integers of shape (N,)
        Classes, two or more.
    scheme : {'pairwise', 'one-vs-rest'}
        Which sets have to be separated. Where each class can be separated from the rest, each pair can be.

    Returns
    -------
    LinearSeparability
        Exact statements on the given floats, each proved without trust in the solver, or 'undecided'.

    Raises
    ------
    ShapeError
        If points are empty, NaN, infinite or above 1e150.
    DataError
        If labels do not fit, or are all of one class, or points are no real numbers.

    Notes
    -----
    A linear program (HiGHS) proposes a hyperplane, or weights under which the classes' hulls meet; either is checked
    in float64 with bounds of the rounding. Small cases that this leaves open are decided in rational arithmetic.
    One or two programs of N rows and D + 2 columns per decision.

    That every sample has its nearest neighbor in its class (the paper's condition at the first layer) does not make
    classes linearly separable:

    Examples
    --------
    >>> import torch, splinegraph as sg
    >>> corners = torch.tensor([[0.0, 0.0], [1.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
    >>> X = torch.cat([corners, corners + torch.tensor([0.1, 0.0])])  # XOR: two clusters a class
    >>> y = torch.tensor([0, 0, 1, 1] * 2)
    >>> nearest = (torch.cdist(X, X) + 9 * torch.eye(8)).argmin(1)
    >>> float((y[nearest] == y).double().mean()), sg.linear_separable(X, y).separable
    (1.0, False)
    """
    if scheme not in SCHEMES:
        raise DataError(f"there is no scheme {scheme!r}", remedy=f"choose of {', '.join(SCHEMES)}")
    points = _points(Z)
    labels = labels_for(y, len(points))
    if labels is None:
        raise DataError("there are no labels", remedy="give one integer per sample as `y`")
    classes = [int(c) for c in np.unique(labels)]
    if len(classes) < 2:
        raise DataError("all labels are of one class", why="there is nothing to separate", remedy="give more classes")
    pairs: list[tuple[int, int | None]] = list(itertools.combinations(classes, 2))
    if scheme == "one-vs-rest" and len(classes) > 2:
        pairs = [(c, None) for c in classes]
    made = []
    for positive, negative in pairs:
        here = (labels == positive) | (labels == negative) | (negative is None)
        found = decide(points[here], np.where(labels[here] == positive, 1.0, -1.0))
        combination = None
        if found.combination is not None:
            combination = np.zeros(len(points))
            combination[here] = found.combination
        made.append(
            LinearDecision(
                positive,
                negative,
                found.status,
                found.proof,
                found.weights,
                found.bias,
                found.margin,
                combination,
                found.gap,
            )
        )
    return LinearSeparability(tuple(made), scheme, *points.shape)


def _points(Z: Any) -> Floats:
    try:
        raw = Z.detach().cpu() if isinstance(Z, Tensor) else np.asarray(Z)
    except ValueError as error:  # lists of different lengths
        raise DataError("the points are no array", why=str(error), remedy="give one row per sample") from error
    real = not raw.is_complex() if isinstance(raw, Tensor) else raw.dtype.kind in "biuf"
    if not real:
        raise DataError(f"points of type {raw.dtype}", remedy="give real numbers")
    given = raw.double().numpy() if isinstance(raw, Tensor) else raw.astype(np.float64)
    if given.ndim < 2 or not given.size:
        raise ShapeError(f"points of shape {given.shape}", remedy="give one row of features per sample")
    if not np.isfinite(given).all():
        raise ShapeError("the points hold NaN or infinite values", remedy="give finite numbers")
    if (largest := float(np.abs(given).max())) > LARGEST:
        raise ShapeError(f"the points go up to {largest:.0e}", why="squares overflow", remedy="scale all of them down")
    return given.reshape(len(given), -1)


@dataclass(frozen=True, eq=False)
class SeparableLayers:
    """Linear separability of the values of each layer; made by `splinegraph.separable_layers`.

    Parameters
    ----------
    layers : dict from name to LinearSeparability
        The inputs, the switching operators and the outputs, in this order.
    """

    layers: dict[str, LinearSeparability]

    @property
    def first(self) -> str | None:
        """The first layer in which all decisions are 'separable'."""
        return next((name for name, found in self.layers.items() if found.separable), None)

    def __repr__(self) -> str:
        told = {None: "?", True: "yes", False: "no"}
        return f"<SeparableLayers: {', '.join(f'{name} {told[x.separable]}' for name, x in self.layers.items())}>"

    def _repr_html_(self) -> str:
        return card(self)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {"first": self.first, "layers": {name: found.to_dict() for name, found in self.layers.items()}}

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the share of decisions that are 'separable', layer by layer; return the axes."""
        from splinegraph.analyses.separation.figures import plot_separable

        return plot_separable(self, ax)


def separable_layers(
    graph: SplineGraph,
    X: Tensor | tuple[Tensor, ...],
    y: Any,
    *,
    layers: Sequence[str] | None = None,
    scheme: str = "pairwise",
    dtype: torch.dtype | None = torch.float64,
) -> SeparableLayers:
    """Decide for each layer whether hyperplanes separate the classes of its values.

    Parameters
    ----------
    graph : SplineGraph
    X : Tensor of shape (N, *in), or a tuple of them
    y : integers of shape (N,)
    layers : sequence of str, optional
        Switching nodes beside the inputs and the outputs. Default: all.
    scheme : {'pairwise', 'one-vs-rest'}
        See `linear_separable`.
    dtype : torch.dtype or None, default torch.float64
        Arithmetic for the values.

    Returns
    -------
    SeparableLayers
        On the values as computed: for the exact network it holds where margins are larger than their rounding.

    Raises
    ------
    ShapeError, DataError
        As in `separation` and `linear_separable`.
    """
    require_graph(graph)
    inputs = promote(tuple(X) if isinstance(X, tuple | list) else (X,), dtype)
    found = codes(graph, *inputs, dtype=dtype)
    inner = [layer.name for layer in chosen_layers(found, layers)]
    names = list(dict.fromkeys([*graph.inputs, *inner, *graph.outputs]))
    held = layer_values(graph, inputs, names)
    return SeparableLayers({name: linear_separable(held[name], y, scheme=scheme) for name in names})
