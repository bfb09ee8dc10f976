"""The templates of a batch in one pass, and what their inputs have to be like."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from splinegraph.analyses.affine_map import AffineMap, affine_map
from splinegraph.analyses.separation.statistics import labels_for
from splinegraph.core.graph import SplineGraph, require_graph
from splinegraph.errors import DataError, ShapeError

__all__ = ["Local", "centered", "checked_labels", "class_count", "cosine", "local_templates", "require_room"]

ENTRIES = 2**28
"""Most numbers of all templates together: 2 GiB in float64."""


NOISE = 16
"""Rounding units of the largest template, up to which a difference of templates counts as zero."""


class Local(NamedTuple):
    """Templates of a batch.

    Parameters
    ----------
    map : AffineMap
    rows : Tensor of shape (B, C, *in)
        A[x], all classes.
    """

    map: AffineMap
    rows: Tensor


def local_templates(
    graph: SplineGraph, X: Tensor, *, dtype: torch.dtype | None = torch.float64, batch_size: int | None = None
) -> Local:
    """Return all templates of a classifier at each input, by adjoint passes over the batch.

    Raises
    ------
    ShapeError
        If it is no network from one input to one score per class, or the templates are too large to hold.
    """
    classes = class_count(graph)
    require_room(graph, len(X), classes)
    found = affine_map(graph, X, dtype=dtype, batch_size=batch_size)
    rows = found.rows(range(classes))
    assert isinstance(rows, Tensor)
    return Local(found, rows)


def class_count(graph: SplineGraph) -> int:
    """Return the number of scores of a network from one input to one score per class.

    Raises
    ------
    ShapeError
        If it is none.
    """
    require_graph(graph)
    shapes = graph.output_shapes
    if len(graph.input_shapes) != 1:
        many = f"{len(graph.input_shapes)} inputs"
        raise ShapeError(many, why="a template is compared with one input", remedy="give a network with one")
    if len(shapes) != 1 or len(shapes[0]) != 1:
        found = ", ".join(map(str, shapes))
        raise ShapeError(f"outputs of shape {found}", remedy="give a network with one score per class")
    return shapes[0][0]


def require_room(graph: SplineGraph, samples: int, rows: int) -> None:
    """Refuse templates that are too large to hold.

    Raises
    ------
    ShapeError
    """
    size = math.prod(graph.input_shapes[0])
    if samples * rows * size > ENTRIES:
        raise ShapeError(
            f"{samples} inputs have {samples * rows:,} templates of {size:,} entries",
            why=f"together more than {ENTRIES:,}", remedy="give fewer inputs, or choose classes where that is possible",
        )  # fmt: skip


def checked_labels(y: Tensor | Sequence[int] | None, samples: int, classes: int) -> Tensor | None:
    """Return labels as int64, after checking that they are classes of the output, one per sample.

    Raises
    ------
    DataError
        If they are not.
    """
    found = labels_for(y, samples)
    if found is None:
        return None
    low, high = int(found.min()), int(found.max())
    if low < 0 or high >= classes:
        why = f"they go from {low} to {high}, and the output has {classes} entries"
        raise DataError("labels are no classes of the network", why=why, remedy="number the classes from 0 on")
    return torch.from_numpy(found)


def centered(rows: Tensor, common: Tensor | None = None) -> Tensor:
    """Return templates (B, C, ...) minus `common`, by default their mean over the classes; 0 where that is rounding.

    The softmax does not see a vector that is common to all classes, and no gradient of its loss moves it. What rounding
    leaves of equal templates is no template: it has a direction of its own.
    """
    common = rows.mean(1) if common is None else common
    rest = (rows - common[:, None]).reshape(*rows.shape[:2], -1)
    size = torch.maximum(rows.flatten(2).norm(dim=2).amax(1), common.flatten(1).norm(dim=1))
    noise = size * torch.finfo(rows.dtype).eps * NOISE
    kept: Tensor = torch.where((rest.norm(dim=2) > noise[:, None])[..., None], rest, 0.0)
    return kept.reshape(rows.shape)


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """Return the cosine along the last axis, NaN where a vector is zero."""
    # scaled by the largest entry first: squares of small numbers vanish
    a, b = (v / v.abs().amax(-1, keepdim=True) for v in (a, b))
    found: Tensor = (a * b).sum(-1) / (a.norm(dim=-1) * b.norm(dim=-1))
    return found.clamp(-1, 1)
