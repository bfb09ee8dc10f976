"""`templates`: the rows of A[x], and how they match their inputs (paper Def 4, Fig 8-10)."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from splinegraph.analyses.affine_map import AffineMap, affine_map
from splinegraph.analyses.provenance import Provenance
from splinegraph.analyses.templates.comparison import TemplateComparison, compared
from splinegraph.analyses.templates.local import centered, checked_labels, class_count, cosine, require_room
from splinegraph.core.graph import SplineGraph
from splinegraph.core.notebook import card
from splinegraph.errors import ShapeError

__all__ = ["Templates", "templates"]


@dataclass(frozen=True, eq=False)
class Templates:
    """Templates of chosen classes at a batch of inputs; made by `splinegraph.templates`.

    Parameters
    ----------
    map : AffineMap
    classes : tuple of int
        K of them.
    rows : Tensor of shape (B, K, *in)
        A[x]_c.
    values, biases : Tensor of shape (B, K)
        <A[x]_c, x> and b[x]_c: their sum is f(x)_c.
    common : Tensor of shape (B, *in)
        Mean of the templates of *all* classes, which the softmax does not see.
    common_value, common_bias : Tensor of shape (B,)
        Means of all matching values and biases.
    labels : Tensor of shape (B,) or None
    comparison : TemplateComparison
        With the optimum of Theorem 5.
    provenance : Provenance
    """

    map: AffineMap
    classes: tuple[int, ...]
    rows: Tensor
    values: Tensor
    biases: Tensor
    common: Tensor
    common_value: Tensor
    common_bias: Tensor
    labels: Tensor | None
    comparison: TemplateComparison
    provenance: Provenance

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"<Templates: {len(self)} inputs, {len(self.classes)} classes, {self.kind}>"

    def _repr_html_(self) -> str:
        from splinegraph.analyses.templates.thumbnails import thumbnail

        return card(self, picture=thumbnail(self))

    @property
    def kind(self) -> str:
        """'exact' on the whole cell of each input, 'tangent' at the inputs alone (smooth networks)."""
        return self.map.kind

    @property
    def scores(self) -> Tensor:
        """f(x)_c, shape (B, K)."""
        return self.values + self.biases

    @property
    def centered(self) -> Tensor:
        """Templates minus the mean of all classes, shape (B, K, *in)."""
        return centered(self.rows, self.common)

    @property
    def norms(self) -> Tensor:
        """Norms of the templates, l2, shape (B, K)."""
        found: Tensor = self.rows.flatten(2).norm(dim=2)
        return found

    @property
    def bias_share(self) -> Tensor:
        """|b_c| / (|b_c| + |<A_c, x>|), shape (B, K): 0 if the match decides, 1 if the bias does; NaN if both are 0."""
        return _share(self.biases, self.values)

    @property
    def centered_bias_share(self) -> Tensor:
        """The same of matching values and biases minus their means over all classes: what the softmax sees."""
        parts = (self.biases, self.common_bias), (self.values, self.common_value)
        return _share(*(centered(part[..., None], common[:, None])[..., 0] for part, common in parts))

    @functools.cached_property
    def cosines(self) -> Tensor:
        """Cosine of each template to its input, shape (B, K); NaN where one is zero."""
        return self._cosines(self.rows)

    @functools.cached_property
    def centered_cosines(self) -> Tensor:
        """Cosine of each centred template to its input, shape (B, K)."""
        return self._cosines(self.centered)

    @functools.cached_property
    def gram(self) -> Tensor:
        """A[x] A[x]^T of the chosen classes, shape (B, K, K)."""
        return _gram(self.rows)

    @functools.cached_property
    def centered_gram(self) -> Tensor:
        """Gram matrix of the centred templates, shape (B, K, K)."""
        return _gram(self.centered)

    def _cosines(self, rows: Tensor) -> Tensor:
        x = self.map.inputs[0].flatten(1)[:, None]
        return cosine(rows.flatten(2), x.expand(-1, rows.shape[1], -1))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types: numbers per input and class, without the templates."""
        columns = {
            "values": self.values, "biases": self.biases, "norms": self.norms, "cosines": self.cosines,
            "centered_cosines": self.centered_cosines, "bias_share": self.bias_share,
        }  # fmt: skip
        return {
            "kind": self.kind,
            "samples": len(self),
            "classes": list(self.classes),
            "labels": None if self.labels is None else self.labels.tolist(),
            **{name: _plain(column) for name, column in columns.items()},
            "comparison": self.comparison.to_dict(),
            "provenance": self.provenance.to_dict(),
        }

    def save(self, folder: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write templates.npy, inputs.npy, values.npy, biases.npy and index.json, which says what is in them.

        Raises
        ------
        DataError
            If one of them is there and `overwrite` is not set, or the folder cannot be written.
        """
        from splinegraph.analyses.templates.saving import save_templates

        return save_templates(self, folder, overwrite=overwrite)

    def plot(self, ax: Any = None, *, centered: bool = False, image: tuple[int, ...] | None = None) -> Any:
        """Draw inputs beside their templates and the correlations of these (Fig 9-10); return the axes.

        Parameters
        ----------
        ax : Axes, optional
        centered : bool
            Draw templates minus their mean over the classes.
        image : (H, W) or (C, H, W), optional
            Shape to draw inputs in that are no images.
        """
        from splinegraph.analyses.templates.figures import plot_templates

        return plot_templates(self, ax, centered=centered, image=image)


def _share(bias: Tensor, value: Tensor) -> Tensor:
    return bias.abs() / (bias.abs() + value.abs())


def _gram(rows: Tensor) -> Tensor:
    flat = rows.flatten(2)
    return flat @ flat.transpose(1, 2)


def _plain(values: Tensor) -> list[list[float | None]]:
    return [[v if v == v else None for v in row] for row in values.tolist()]


def templates(
    graph: SplineGraph, X: Tensor, y: Tensor | Sequence[int] | None = None, *, classes: Sequence[int] | None = None,
    dtype: torch.dtype | None = torch.float64, batch_size: int | None = None,
) -> Templates:  # fmt: skip
    """Return the patterns that a network matches its inputs with.

    At each input f(x)_c = <A[x]_c, x> + b[x]_c, and A[x]_c is the template of class c: another one in each cell.

    Parameters
    ----------
    graph : SplineGraph
        From one input to one score per class.
    X : Tensor of shape (B, *in)
    y : Tensor of shape (B,), integers, optional
        Classes, which the templates are compared with the optimum for. Default: the largest score.
    classes : sequence of int, optional
        Whose templates to return. Default: all.
    dtype, batch_size
        As in `affine_map`.

    Returns
    -------
    Templates
        Of kind 'exact', or 'tangent' where the network is smooth: A[x] then is the derivative at x, and no template of
        a whole cell.

    Raises
    ------
    ShapeError
        If it is no such network, there is no such class, or the templates are too large to hold.
    DataError
        If labels are no classes of the network.

    Notes
    -----
    One forward pass and one adjoint pass per class, over the batch. Cross entropy leaves a vector that is common to the
    templates of all classes free: `Templates.centered` has it taken away.

    References
    ----------
    .. [1] R. Balestriero and R. Baraniuk, "A Spline Theory of Deep Learning", 2017, Def 4, 3.4.3 and Fig 8-10.

    Examples
    --------
    >>> import torch, splinegraph as sg
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    >>> x = torch.randn(5, 4)
    >>> found = sg.templates(sg.trace(net, x), x)
    >>> found, bool((found.scores - net(x)).abs().max() < 1e-5)
    (<Templates: 5 inputs, 3 classes, exact>, True)
    """
    count = class_count(graph)
    chosen = _chosen(classes, count)
    require_room(graph, len(X), len(chosen) + 2)
    local = affine_map(graph, X, dtype=dtype, batch_size=batch_size)
    labels = checked_labels(y, len(local), count)
    scores, bias = local.value, local.bias
    target = scores.argmax(1) if labels is None else labels.to(scores.device)
    everywhere = torch.tensor(chosen, device=scores.device).expand(len(local), -1)
    rows = local.rows(torch.cat([everywhere, target[:, None]], 1))
    common = rows[:, :-1].mean(1) if len(chosen) == count else local.rmatvec(torch.full_like(scores, 1 / count))
    x = local.inputs[0]
    values = torch.einsum("bkd,bd->bk", rows.flatten(2), x.flatten(1))[:, :-1]
    common_value = (common.flatten(1) * x.flatten(1)).sum(1)
    return Templates(
        local, chosen, rows[:, :-1], values, bias[:, list(chosen)], common, common_value, bias.mean(1), labels,
        compared(centered(rows, common), x, everywhere != target[:, None], count),
        Provenance.of(graph, dtype=x.dtype, seed=0),
    )  # fmt: skip


def _chosen(classes: Sequence[int] | None, count: int) -> tuple[int, ...]:
    if classes is None:
        return tuple(range(count))
    chosen = tuple(int(c) for c in classes)
    bad = [c for c in chosen if not 0 <= c < count]
    if bad:
        raise ShapeError(f"there is no class {bad[0]}", why=f"the output has {count} scores", remedy="count from 0")
    if not chosen or len(set(chosen)) < len(chosen):
        raise ShapeError(f"classes {list(chosen)}", remedy="give one or more, each once")
    return chosen
