"""Dense layers followed by a comparison of every unit with one number: one product, and one pass over it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np
import torch
from torch import Tensor

from splinegraph.analyses.regions.chords.resolving import Resolved
from splinegraph.analyses.regions.sampling.levels import Level
from splinegraph.core.affine import AffineOperator
from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.layout import BatchLayout
from splinegraph.core.parameters import depends_on_batch

__all__ = ["Dense", "dense_layers"]

LARGEST = 2**24
"""Entries beyond which a linear map is not written as a matrix."""


class Buffers:
    """Values that stay in the cache: the pages of a fresh one cost as much time as the product written to it."""

    def __init__(self, dtype: torch.dtype) -> None:
        self._dtype = dtype
        self._free: dict[int, list[Tensor]] = {}

    def take(self, *shape: int) -> Tensor:
        """Return a tensor with anything in it."""
        size = math.prod(shape)
        free = self._free.get(size)
        return (free.pop() if free else torch.empty(size, dtype=self._dtype)).view(shape)

    def give(self, value: Tensor) -> None:
        """Take back a tensor that nobody reads any more."""
        self._free.setdefault(value.numel(), []).append(value.view(-1))


class Dense:
    """An affine node and the level that reads it, on CPU.

    Parameters
    ----------
    matrix : Tensor of shape (in, units)
    bias : Tensor of shape (units,)
    level : Level
        With lines that all units share.
    coefficients : Tensor of shape (2, units), int64
        What the units that are above add to the keys.
    buffers : Buffers
        Where its value lies.
    frees : bool
        Whether its argument lies there, too, and is read by nothing else.
    """

    def __init__(
        self, matrix: Tensor, bias: Tensor, level: Level, coefficients: Tensor, buffers: Buffers, *, frees: bool
    ) -> None:
        from splinegraph.analyses.regions.sampling.kernels import signs

        assert level.lines is not None
        self._matrix, self._bias = matrix, bias.numpy()
        self._numbers = np.asarray([level.at, *level.lines[0], *level.lines[1]], self._bias.dtype)
        self._coefficients, self._activate = coefficients.numpy(), signs.activate
        self._buffers, self._frees = buffers, frees

    def switch(self, x: Tensor, keys: Tensor, wanted: bool) -> Tensor | None:
        """Add the bits of a batch to its keys; return the level's value if it is wanted."""
        value = self._buffers.take(len(x), self._matrix.shape[1])
        torch.mm(x, self._matrix, out=value)
        self._activate(value.numpy(), self._bias, self._numbers, self._coefficients, keys.numpy())
        if self._frees:
            self._buffers.give(x)
        if wanted:
            return value
        self._buffers.give(value)
        return None


def dense_layers(
    operators: Resolved, levels: Mapping[str, Level | None], coefficients: Mapping[str, Tensor], visited: Iterable[str]
) -> dict[str, Dense]:
    """Return the levels that can be taken together with an affine node ahead that only they read, by name.

    Parameters
    ----------
    operators : Resolved
    levels : dict from switching node to level, or None where it has none
    coefficients : dict from switching node to Tensor of shape (2, units)
    visited : iterable of str
        The nodes that are computed; what others read does not matter.
    """
    graph, buffers = operators.graph, Buffers(operators.dtype)
    readers: dict[str, set[str]] = {node.name: set() for node in graph.nodes}
    for name in visited:
        for arg in graph[name].args:
            readers[arg].add(name)
    found: dict[str, Dense] = {}
    for name, level in levels.items():
        ahead = graph[graph[name].args[0]]
        if level is None or level.lines is None or readers[ahead.name] != {name}:
            continue
        written = _matrix_of(operators, graph, ahead)
        if written is not None:
            before = ahead.args[0]
            frees = before in found and readers[before] == {ahead.name}
            found[name] = Dense(*written, level, coefficients[name], buffers, frees=frees)
    return found


def _matrix_of(operators: Resolved, graph: SplineGraph, node: Node) -> tuple[Tensor, Tensor] | None:
    """Return the matrix (in, out) and bias of an affine node from vectors to vectors, if most entries are not zero."""
    if not isinstance(node.operator, AffineOperator) or len(node.args) != 1 or depends_on_batch(node.operator):
        return None
    before = graph[node.args[0]]
    plain = node.layout == before.layout == BatchLayout() and len(node.shape) == len(before.shape) == 2
    if not plain or before.shape[1] * node.shape[1] > LARGEST:
        return None
    operator = operators.of(node, 1)
    assert isinstance(operator, AffineOperator)
    with torch.no_grad():
        identity = torch.eye(before.shape[1], dtype=operators.dtype)
        matrix, bias = operator.linear(identity).contiguous(), operator.forward(0 * identity[:1])[0].contiguous()
    return (matrix, bias) if 2 * int(matrix.count_nonzero()) > matrix.numel() else None
