"""`template_scores`: what the templates of an untrained network are like, on data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from splinegraph.analyses.templates.local import centered, checked_labels, local_templates
from splinegraph.core.graph import SplineGraph, require_graph
from splinegraph.core.notebook import card
from splinegraph.errors import ShapeError

__all__ = ["SCORES", "Score", "TemplateScores", "template_scores"]

JITTER = 1e-5
"""Added to the eigenvalues of a correlation matrix, as in the source of `covariance`."""


class Score(NamedTuple):
    """A candidate criterion; larger is taken to be better.

    Parameters
    ----------
    meaning : str
    labels : bool
        Whether it needs labels.
    """

    meaning: str
    labels: bool = False


SCORES: dict[str, Score] = {
    "alignment": Score("cosine of an input to the span of its templates"),
    "reconstruction": Score("cosine of A^T A x to x"),
    "rank": Score("effective rank of the Gram matrix, over classes - 1"),
    "diversity": Score("1 - mean cosine between the templates of two inputs"),
    "covariance": Score("how little the summed templates of the inputs correlate (Mellor et al., 2020)"),
    "scale": Score("- |log10| of the size of A x over that of x: 0 where templates keep sizes"),
    "separation": Score("how much nearer templates are within a class than between classes", labels=True),
    "matching": Score("accuracy of the nearest class mean in template matching values, left out", labels=True),
}
"""The candidates. None is given by the paper, which announces a criterion and does not define it."""


@dataclass(frozen=True)
class TemplateScores:
    """Scores of one network; made by `splinegraph.template_scores`.

    Parameters
    ----------
    values : dict from name to float or None
        For the names of `SCORES`; None where it is not defined, or needs labels and there are none.
    samples : int
    kind : {'exact', 'tangent'}
        Whether templates are those of whole cells, or of tangents of a smooth network.
    """

    values: dict[str, float | None]
    samples: int
    kind: str

    def __repr__(self) -> str:
        told = ", ".join(f"{name} {value:.3g}" for name, value in self.values.items() if value is not None)
        return f"<TemplateScores: {self.samples} samples, {told or 'none defined'}>"

    def _repr_html_(self) -> str:
        return card(self)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {"kind": "estimate", "templates": self.kind, "samples": self.samples, "scores": dict(self.values)}


def template_scores(
    graph: SplineGraph, X: Tensor, y: Tensor | Sequence[int] | None = None, *,
    dtype: torch.dtype | None = torch.float64, batch_size: int | None = None,
) -> TemplateScores:  # fmt: skip
    """Score a network, untrained as a rule, by its templates on data.

    Parameters
    ----------
    graph : SplineGraph
        From one input to one score per class.
    X : Tensor of shape (B, *in)
        At least 2 inputs; some dozens will do.
    y : Tensor of shape (B,), integers, optional
        Classes, for the scores that need them.
    dtype, batch_size
        As in `affine_map`.

    Returns
    -------
    TemplateScores
        Numbers of these inputs and estimates of what others would give.

    Raises
    ------
    ShapeError
        If it is no such network, or there are fewer than 2 inputs.
    DataError
        If labels are no classes of it.

    Notes
    -----
    Templates are centred: minus their mean over classes, which the softmax does not see; `covariance` takes their sum,
    as its source does. One adjoint pass per class, then products of all templates: O(B C D + B^2 D) numbers.

    The paper promises a criterion for untrained topologies "simply based on the induced templates and their
    potentials" and does not define it. These are the candidates that its Theorems 5 and 8 suggest, and one from the
    literature [2]_; docs/templates.md has how well each foretells the accuracy after training.

    References
    ----------
    .. [1] R. Balestriero and R. Baraniuk, "A Spline Theory of Deep Learning", 2017, 4.2 and 5.
    .. [2] J. Mellor et al., "Neural Architecture Search without Training", 2020, arXiv:2006.04647v1.

    Examples
    --------
    >>> import torch, splinegraph as sg
    >>> graph = sg.trace(torch.nn.Linear(2, 3).eval(), torch.zeros(1, 2))
    >>> scores = template_scores(graph, torch.randn(5, 2)).values
    >>> round(scores["alignment"], 6), abs(round(scores["diversity"], 6))  # two dimensions, one map for all inputs
    (1.0, 0.0)
    """
    require_graph(graph)
    if len(X) < 2:
        raise ShapeError(f"{len(X)} inputs", why="templates of different inputs are compared", remedy="give 2 or more")
    local = local_templates(graph, X, dtype=dtype, batch_size=batch_size)
    count, classes = local.rows.shape[:2]
    labels = checked_labels(y, count, classes)
    raw = local.rows.reshape(count, classes, -1)
    rows, x = centered(raw), local.map.inputs[0].reshape(count, -1)
    values = {**_alone(rows, x), **_together(rows, raw), **_labeled(rows, x, labels)}
    finite = {name: value if value is not None and math.isfinite(value) else None for name, value in values.items()}
    return TemplateScores({name: finite[name] for name in SCORES}, count, local.map.kind)


def _alone(rows: Tensor, x: Tensor) -> dict[str, float]:
    """Score the templates (B, C, D) of each input beside it, and average."""
    _, sigma, span = torch.linalg.svd(rows, full_matrices=False)
    kept = sigma > sigma[:, :1] * torch.finfo(rows.dtype).eps * max(rows.shape[1:])
    unit = torch.nn.functional.normalize(x, dim=1)
    parts = torch.einsum("bkd,bd->bk", span, unit) * kept
    energy = sigma.square()
    back = torch.nn.functional.normalize(parts * energy, dim=1)
    size = torch.einsum("bcd,bd->bc", rows, unit).norm(dim=1).mean()
    tiny = torch.finfo(rows.dtype).tiny
    rank = energy.sum(1).square() / energy.square().sum(1).clamp(min=tiny)
    return {
        "alignment": float(parts.norm(dim=1).mean()),
        "reconstruction": float((back * parts).sum(1).mean()),
        "rank": float((rank / max(rows.shape[1] - 1, 1)).mean()),
        "scale": -abs(math.log10(size)) if size > 0 else -math.inf,
    }


def _together(rows: Tensor, raw: Tensor) -> dict[str, float | None]:
    """Score the templates of different inputs beside each other."""
    flat = _unit(rows)
    count = len(flat)
    mean = (float(flat.sum(0).square().sum()) - float(flat.square().sum())) / (count * (count - 1))
    summed = raw.sum(1)[: max(2, raw.shape[2] // 2)]  # more rows than entries are never independent
    summed = _unit(summed - summed.mean(1, keepdim=True))
    alive = bool(summed.any(1).all())
    eigenvalues = torch.linalg.eigvalsh(summed @ summed.T) + JITTER
    return {
        "diversity": 1 - mean if bool(flat.any()) else None,
        "covariance": -float((eigenvalues.log() + 1 / eigenvalues).mean()) if alive else None,
    }


def _labeled(rows: Tensor, x: Tensor, y: Tensor | None) -> dict[str, float | None]:
    """Score how the templates tell classes apart."""
    if y is None or len(y.unique()) < 2:
        return {"separation": None, "matching": None}
    flat = _unit(rows)
    y = y.to(flat.device)
    same = y[:, None] == y
    other = ~same
    same = same & ~torch.eye(len(y), dtype=torch.bool, device=y.device)
    cosines = flat @ flat.T
    separation = None
    if bool(same.any()) and bool(flat.any()):
        within, between = float(cosines[same].mean()), float(cosines[other].mean())
        apart = 1 - between  # nothing to tell apart where all inputs have one map
        separation = (within - between) / apart if apart > math.sqrt(torch.finfo(rows.dtype).eps) else 0.0
    return {"separation": separation, "matching": _nearest_mean(torch.einsum("bcd,bd->bc", rows, x), y)}


def _unit(rows: Tensor) -> Tensor:
    flat = rows.reshape(len(rows), -1)
    largest = flat.abs().amax(1, keepdim=True)
    return torch.nn.functional.normalize(flat / torch.where(largest > 0, largest, 1.0), dim=1)


def _nearest_mean(points: Tensor, y: Tensor) -> float:
    """Return the share of points nearer to the mean of their class, without them, than to all other means."""
    hot = torch.nn.functional.one_hot(y).to(points)
    sizes, sums = hot.sum(0), hot.T @ points
    means = sums / sizes.clamp(min=1)[:, None]
    distances = torch.cdist(points, means).masked_fill(sizes == 0, math.inf)
    own = sizes[y] - 1
    left = (sums[y] - points) / own.clamp(min=1)[:, None]
    at_own = (points - left).norm(dim=1).masked_fill(own == 0, math.inf)
    others = distances.scatter(1, y[:, None], math.inf).amin(1)
    return float((at_own < others).double().mean())
