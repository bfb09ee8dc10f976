"""Drawings of graphs that have no layers, such as the dual graph of a partition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["spread"]

Points = np.ndarray[Any, np.dtype[np.float64]]

_PIVOTS = 50
_SMALL, _MIDDLE = 50, 400
"""Up to so many nodes all distances are fitted; up to so many forces push the nodes of a component apart."""


def spread(count: int, edges: Sequence[tuple[int, int]]) -> Points:
    """Return points, shape (count, 2): neighbors about 1 apart, far nodes far apart, components side by side.

    Parameters
    ----------
    count : int
    edges : sequence of (int, int)

    Notes
    -----
    Small components are placed by Kamada and Kawai's method, others by PivotMDS [1]_: distances to 50 nodes
    in O(50 (nodes + edges)) time, projected to two dimensions. Nothing is random.

    References
    ----------
    .. [1] U. Brandes, C. Pich, Eigensolver methods for progressive multidimensional scaling of large data,
       Graph Drawing 2006.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not count:
        return np.empty((0, 2))
    ends = np.array(edges, dtype=np.int64).reshape(-1, 2)
    ends = ends[ends[:, 0] != ends[:, 1]]
    both = np.concatenate([ends, ends[:, ::-1]])
    matrix = coo_array((np.ones(len(both)), (both[:, 0], both[:, 1])), shape=(count, count)).tocsr()
    matrix.data[:] = 1.0
    parts, member = connected_components(matrix, directed=False)
    order = np.argsort(member, kind="stable")
    groups = np.split(order, np.cumsum(np.bincount(member, minlength=parts))[:-1])
    points = np.zeros((count, 2))
    for group in groups:
        if len(group) > 1:
            points[group] = _component(matrix[group][:, group])
    return _packed(points, groups)


def _component(matrix: Any) -> Points:
    """Return points of a connected graph, centered, neighbors about 1 apart."""
    import networkx as nx

    count = matrix.shape[0]
    points = _pivot_mds(matrix)
    if count <= _MIDDLE:
        graph = nx.from_scipy_sparse_array(matrix)
        # equal points repel each other along no direction
        start = {i: tuple(p) for i, p in enumerate(points + 0.01 * _circle(count))}
        if count <= _SMALL:
            placed = nx.kamada_kawai_layout(graph, pos=start)
        else:
            placed = nx.spring_layout(graph, pos=start, iterations=60, seed=0)
        points = np.array([placed[i] for i in range(count)])
    rows, columns = matrix.nonzero()
    lengths = np.linalg.norm(points[rows] - points[columns], axis=1)
    usual = float(np.median(lengths[lengths > 0])) if (lengths > 0).any() else 1.0
    return np.asarray((points - points.mean(0)) / usual)


def _circle(count: int) -> Points:
    angles = 2 * np.pi * np.arange(count) / count
    return np.stack([np.cos(angles), np.sin(angles)], 1)


def _pivot_mds(matrix: Any) -> Points:
    from scipy.sparse.csgraph import dijkstra

    count = matrix.shape[0]
    nearest = np.full(count, np.inf)
    distances = []
    pivot = 0
    for _ in range(min(_PIVOTS, count)):  # each pivot is as far as can be from those before
        found = dijkstra(matrix, indices=pivot, unweighted=True)
        distances.append(found)
        nearest = np.minimum(nearest, found)
        pivot = int(nearest.argmax())
        if not nearest[pivot]:
            break
    squares = np.stack(distances, 1) ** 2
    centered = -0.5 * (squares - squares.mean(0) - squares.mean(1, keepdims=True) + squares.mean())
    _, vectors = np.linalg.eigh(centered.T @ centered)
    axes = vectors[:, ::-1][:, :2]
    axes = axes * np.where(axes[np.abs(axes).argmax(0), range(axes.shape[1])] < 0, -1, 1)  # one sign on all machines
    points = np.zeros((count, 2))
    points[:, : axes.shape[1]] = centered @ axes
    return points


def _packed(points: Points, groups: Sequence[np.ndarray[Any, Any]]) -> Points:
    """Put the components beside each other, large ones first, in rows about as wide as all are high."""
    result = points.copy()
    boxes = [np.ptp(points[group], axis=0) + 1.0 for group in groups]
    width = max(np.sqrt(sum(box[0] * box[1] for box in boxes)), max(box[0] for box in boxes))
    x = y = height = 0.0
    for index in sorted(range(len(groups)), key=lambda i: (-boxes[i][1], i)):
        wide, high = boxes[index]
        if x and x + wide > width:
            x, y, height = 0.0, y - height, 0.0
        group = groups[index]
        corner = np.array([points[group, 0].min(), points[group, 1].max()])
        result[group] = points[group] - corner + [x, y]
        x, height = x + wide, max(height, high)
    return result
