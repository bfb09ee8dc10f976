"""`memorization`: how far templates are their own inputs (paper 4.2.2), and `update_balance` (Prop 2, corrected)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from splinegraph.analyses.templates.local import Local, centered, checked_labels, cosine, local_templates
from splinegraph.core.graph import SplineGraph
from splinegraph.core.notebook import card
from splinegraph.errors import DataError, ShapeError

__all__ = ["Memorization", "UpdateBalance", "memorization", "update_balance"]


@dataclass(frozen=True, eq=False)
class Memorization:
    """Cosines of templates to inputs; made by `splinegraph.memorization`.

    Parameters
    ----------
    own : Tensor of shape (B,)
        Of the centred template of the label at x, to x: 1 at the optimum of Theorem 5.
    same, other : Tensor of shape (B,)
        Of the same template, to other inputs of the class and to those of other classes, on average; NaN without any.
    held_out : Tensor of shape (B',) or None
        `own` of inputs that were not trained on.
    kind : {'exact', 'tangent'}
    """

    own: Tensor
    same: Tensor
    other: Tensor
    held_out: Tensor | None
    kind: str

    @property
    def excess(self) -> float | None:
        """Mean of `own` - `same`: how much nearer a template is to its input than to its class."""
        return _mean(self.own - self.same)

    @property
    def gap(self) -> float | None:
        """Mean of `own` minus its mean on held-out inputs: what is memorised of these samples alone."""
        own, held_out = _mean(self.own), None if self.held_out is None else _mean(self.held_out)
        return None if own is None or held_out is None else own - held_out

    def __repr__(self) -> str:
        told = [f"{name} {value:.3f}" for name, value in self._means().items() if value is not None]
        return f"<Memorization: {len(self.own)} samples, mean cosines {', '.join(told) or 'undefined'}>"

    def _repr_html_(self) -> str:
        return card(self)

    def _means(self) -> dict[str, float | None]:
        held_out = None if self.held_out is None else _mean(self.held_out)
        return {"own": _mean(self.own), "same": _mean(self.same), "other": _mean(self.other), "held_out": held_out}

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types: means."""
        return {
            "kind": "estimate", "templates": self.kind, "samples": len(self.own), **self._means(),
            "excess": self.excess, "gap": self.gap,
        }  # fmt: skip

    def plot(self, ax: Any = None) -> Any:
        """Draw the distributions of the cosines; return the axes."""
        from splinegraph.analyses.templates.figures import plot_memorization

        return plot_memorization(self, ax)


def _mean(values: Tensor) -> float | None:
    known = values[~values.isnan()]
    return float(known.mean()) if len(known) else None


def memorization(
    graph: SplineGraph, X: Tensor, y: Tensor | Sequence[int], *,
    held_out: tuple[Tensor, Tensor | Sequence[int]] | None = None, dtype: torch.dtype | None = torch.float64,
    batch_size: int | None = None,
) -> Memorization:  # fmt: skip
    """Compare the templates of inputs with the inputs themselves, with others, and with unseen ones.

    Parameters
    ----------
    graph : SplineGraph
        From one input to one score per class.
    X : Tensor of shape (B, *in)
        Samples that were trained on.
    y : Tensor of shape (B,), integers
    held_out : (Tensor, Tensor), optional
        Samples that were not, with their classes.
    dtype, batch_size
        As in `affine_map`.

    Returns
    -------
    Memorization
        Exact of these samples; estimates of what others would give.

    Raises
    ------
    DataError
        If labels are no classes of the network.
    ShapeError
        If inputs do not fit.

    Notes
    -----
    Memorisation is, in the paper, templates collinear to their inputs, on new ones too: a large `own` with a small
    `gap` is an encoder, a large `gap` is overfitting. Inputs of one class resemble each other, images all the more:
    compare `own` with `same`.

    Examples
    --------
    >>> import torch, splinegraph as sg
    >>> graph = sg.trace(torch.nn.Linear(4, 3).eval(), torch.zeros(1, 4))
    >>> found = memorization(graph, torch.randn(6, 4), [0, 0, 1, 1, 2, 2])
    >>> found.own.shape, found.held_out is None
    (torch.Size([6]), True)
    """
    row, x, labels, kind = _own_rows(graph, X, y, dtype, batch_size)
    units = (torch.nn.functional.normalize(v, dim=1) for v in (row, x))
    cosines = torch.mm(next(units), next(units).T)
    cosines[~row.any(1)] = torch.nan
    same = labels[:, None] == labels
    apart = ~torch.eye(len(labels), dtype=torch.bool, device=same.device)
    unseen = None
    if held_out is not None:
        unseen_row, unseen_x, _, _ = _own_rows(graph, *held_out, dtype, batch_size)
        unseen = cosine(unseen_row, unseen_x)
    return Memorization(cosine(row, x), _over(cosines, same & apart), _over(cosines, ~same), unseen, kind)


def _own_rows(
    graph: SplineGraph, X: Tensor, y: Tensor | Sequence[int], dtype: torch.dtype | None, batch_size: int | None
) -> tuple[Tensor, Tensor, Tensor, str]:
    """Return the centred template of each input's label, the inputs, the labels and the kind of the map."""
    local, labels = _labeled(graph, X, y, dtype, batch_size)
    rows = centered(local.rows).flatten(2)
    return rows[torch.arange(len(rows)), labels], local.map.inputs[0].flatten(1), labels, local.map.kind


def _labeled(
    graph: SplineGraph, X: Tensor, y: Tensor | Sequence[int], dtype: torch.dtype | None, batch_size: int | None
) -> tuple[Local, Tensor]:
    local = local_templates(graph, X, dtype=dtype, batch_size=batch_size)
    labels = checked_labels(y, *local.rows.shape[:2])
    if labels is None:
        raise DataError("no labels", remedy="give one integer per sample")
    if local.rows.shape[1] < 2:
        raise ShapeError("the network has one output", why="centred templates are zero", remedy="give two or more")
    return local, labels.to(local.rows.device)


def _over(cosines: Tensor, pairs: Tensor) -> Tensor:
    """Return the mean over some entries of each row, NaN where there are none."""
    return torch.where(pairs, cosines, 0).sum(1) / pairs.sum(1)


@dataclass(frozen=True, eq=False)
class UpdateBalance:
    """What one step on cross entropy does to the scores' templates; made by `splinegraph.update_balance`.

    Parameters
    ----------
    pushes : Tensor of shape (B, C)
        A free template of class c moves along x by this, times the rate: 1[c = y] - p_c.
    gradient_sum : float
        Largest l2 norm of the sum over classes of the gradients of p_c by x, relative to the largest of them: 0 but for
        rounding.
    """

    pushes: Tensor
    gradient_sum: float

    @property
    def right(self) -> Tensor:
        """Push of the label's template, 1 - p_y, shape (B,)."""
        return self.pushes.clamp(min=0).amax(1)

    @property
    def wrong(self) -> Tensor:
        """Mean push of a wrong class, -(1 - p_y) / (C - 1), shape (B,)."""
        return self.pushes.clamp(max=0).sum(1) / (self.pushes.shape[1] - 1)

    def __repr__(self) -> str:
        return (
            f"<UpdateBalance: right {float(self.right.mean()):+.3g}, each wrong class {float(self.wrong.mean()):+.3g}>"
        )

    def _repr_html_(self) -> str:
        return card(self)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types: means."""
        return {
            "kind": "exact, up to rounding", "samples": len(self.pushes), "right": float(self.right.mean()),
            "wrong": float(self.wrong.mean()), "gradient_sum": self.gradient_sum,
        }  # fmt: skip


def update_balance(
    graph: SplineGraph, X: Tensor, y: Tensor | Sequence[int], *, dtype: torch.dtype | None = torch.float64,
    batch_size: int | None = None,
) -> UpdateBalance:  # fmt: skip
    """Return how a step on cross entropy pushes the template of the label, and those of the wrong classes against it.

    Parameters
    ----------
    graph : SplineGraph
        From one input to one score per class.
    X : Tensor of shape (B, *in)
    y : Tensor of shape (B,), integers
    dtype, batch_size
        As in `affine_map`.

    Notes
    -----
    Proposition 2 equates two true statements with each other, and so is false: the pushes of the wrong classes add up
    to minus that of the label, since probabilities add up to 1; and the gradients of the probabilities *by x* add up to
    0, since their sum is constant. A gradient by x is p_c (A_c - sum_k p_k A_k), and no multiple of x.

    Examples
    --------
    >>> import torch, splinegraph as sg
    >>> graph = sg.trace(torch.nn.Linear(4, 3).eval(), torch.zeros(1, 4))
    >>> found = update_balance(graph, torch.randn(6, 4), [0, 0, 1, 1, 2, 2])
    >>> bool((found.right + 2 * found.wrong).abs().max() < 1e-12), found.gradient_sum < 1e-12
    (True, True)
    """
    local, labels = _labeled(graph, X, y, dtype, batch_size)
    p = local.map.value.softmax(1)
    rows = local.rows.flatten(2)
    gradients = p[:, :, None] * (rows - (p[:, :, None] * rows).sum(1, keepdim=True))
    largest = gradients.norm(dim=2).amax().clamp(min=torch.finfo(rows.dtype).tiny)
    pushes = torch.nn.functional.one_hot(labels, p.shape[1]) - p
    return UpdateBalance(pushes, float(gradients.sum(1).norm(dim=1).amax() / largest))
