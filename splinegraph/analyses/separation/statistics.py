"""How classes lie in a matrix of distances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from splinegraph.errors import DataError

__all__ = ["ClassStatistics", "class_statistics", "labels_for"]


@dataclass(frozen=True)
class ClassStatistics:
    """How classes lie in the distances between samples.

    Parameters
    ----------
    within, between : float or None
        Mean distance of two samples of one class, and of two classes; None without such pairs.
    order : float or None
        Share of (pair within, pair between) in which the first is nearer, ties counted half: the area under the ROC
        curve of 'nearer than a threshold'. 0.5 says nothing, 1 that a threshold tells the pairs apart.
    purity : float or None
        Share of samples whose nearest other sample is of their class (leave one out); of several that are equally
        near, each counts its part.
    chance : float or None
        Expected purity of a neighbor drawn at random.
    silhouette : float or None
        Mean over the samples of (b - a) / max(a, b): a the mean distance to the others of the class, b the smallest
        mean distance to another class; 0 for a sample alone in its class.
    """

    within: float | None
    between: float | None
    order: float | None
    purity: float | None
    chance: float | None
    silhouette: float | None


def labels_for(y: Any, samples: int) -> NDArray[np.int64] | None:
    """Return labels as an array; refuse what does not fit."""
    if y is None:
        return None
    try:
        found = np.asarray(y.detach().cpu() if isinstance(y, Tensor) else y)
    except ValueError as error:  # lists of different lengths
        raise DataError("the labels are no array", why=str(error), remedy="give one integer per sample") from error
    if found.shape != (samples,) or found.dtype.kind not in "iu":
        raise DataError(
            f"labels of shape {found.shape}, type {found.dtype}, for {samples} samples",
            remedy="give one integer per sample",
        )
    return found.astype(np.int64)


def class_statistics(distances: NDArray[Any], y: NDArray[np.int64]) -> ClassStatistics:
    """Return how classes lie in symmetric distances, shape (N, N). O(N^2 log N)."""
    rows, columns = np.triu_indices(len(y), 1)
    pairs, same = distances[rows, columns].astype(np.float64), (y[:, None] == y)[rows, columns]
    within, between = np.sort(pairs[same]), pairs[~same]
    sizes = np.bincount(np.unique(y, return_inverse=True)[1])
    if not len(within) or not len(between):
        return ClassStatistics(
            within=float(within.mean()) if len(within) else None,
            between=float(between.mean()) if len(between) else None,
            order=None, purity=None, chance=None, silhouette=None,
        )  # fmt: skip
    nearer = np.searchsorted(within, between, "left") + np.searchsorted(within, between, "right")
    return ClassStatistics(
        within=float(within.mean()), between=float(between.mean()),
        order=float(nearer.mean() / (2 * len(within))), purity=_purity(distances, y),
        chance=float((sizes * (sizes - 1)).sum() / (len(y) * (len(y) - 1))), silhouette=_silhouette(distances, y),
    )  # fmt: skip


def _purity(distances: NDArray[Any], y: NDArray[np.int64]) -> float:
    others = distances.astype(np.float64)
    np.fill_diagonal(others, np.inf)
    nearest = others == others.min(1, keepdims=True)
    return float(((nearest & (y[:, None] == y)).sum(1) / nearest.sum(1)).mean())


def _silhouette(distances: NDArray[Any], y: NDArray[np.int64]) -> float:
    classes, place = np.unique(y, return_inverse=True)
    hot = (place[:, None] == np.arange(len(classes))).astype(np.float64)
    sums, sizes, own = distances @ hot, hot.sum(0), (np.arange(len(y)), place)
    a = sums[own] / np.maximum(sizes[place] - 1, 1)
    means = sums / sizes
    means[own] = np.inf
    b = means.min(1)
    largest = np.maximum(a, b)
    found = np.divide(b - a, largest, out=np.zeros_like(a), where=largest > 0)
    return float(np.where(sizes[place] > 1, found, 0.0).mean())
