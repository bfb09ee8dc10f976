"""128-bit keys of activation patterns, straight from the units, without keeping the patterns.

A pattern is a string of bits, and its key two sums over the bits that are set, of random 64-bit coefficients,
modulo 2^64. Two patterns differ in a bit whose coefficient is uniform and independent of the others, so that
each of the two sums agrees with probability 2^-64 exactly, and both with 2^-128.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from splinegraph.analyses.codes import Layer
from splinegraph.analyses.regions.cells import code_layers
from splinegraph.analyses.regions.chords.resolving import Resolved
from splinegraph.analyses.regions.sampling.dense import Dense, dense_layers
from splinegraph.analyses.regions.sampling.levels import level_of
from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.operator import Operator, SplineOperator
from splinegraph.core.walk import walk
from splinegraph.operators.base import for_numpy

__all__ = ["Hasher"]


class Hasher:
    """Keys of the patterns of a graph's inputs.

    Parameters
    ----------
    graph : SplineGraph
    dtype : torch.dtype
        Arithmetic to decide the codes in.
    device : torch.device
    """

    def __init__(self, graph: SplineGraph, dtype: torch.dtype, device: torch.device) -> None:
        self.graph, self.device = graph, device
        self.layers = {layer.name: layer for layer in code_layers(graph)}
        self.operators = Resolved(graph, dtype, device)
        self._wanted = _ahead_of(graph, set(self.layers))
        self._levels = {name: level_of(graph, graph[name]) for name in self.layers}
        self._coefficients = {
            layer.name: [_random(i, plane, layer.units).to(device) for plane in range(layer.bits)]
            for i, layer in enumerate(self.layers.values())
        }
        self._dense: dict[str, Dense] = {}
        if for_numpy(torch.zeros(1, dtype=dtype, device=device)):
            visited = (self._wanted | set(self.layers)) - set(graph.inputs)
            first = {name: planes[0] for name, planes in self._coefficients.items() if planes}
            self._dense = dense_layers(self.operators, self._levels, first, visited)
        self._deferred = {graph[name].args[0] for name in self._dense}

    def __call__(self, inputs: Sequence[Tensor]) -> Tensor:
        """Return the keys of a batch, shape (B, 2), int64."""
        keys = torch.zeros(len(inputs[0]), 2, dtype=torch.int64, device=self.device)

        def visit(node: Node, _: Operator, xs: tuple[Any, ...]) -> Any:
            layer, wanted = self.layers.get(node.name), node.name in self._wanted
            if node.name in self._deferred:  # computed by the level that reads it
                return xs[0]
            if node.name in self._dense:
                return self._dense[node.name].switch(xs[0], keys, wanted)
            if layer is None and not wanted:
                return None
            operator = self.operators.of(node, len(keys))
            if layer is None:
                return operator.forward(*xs)
            return self._switch(node, layer, operator, xs, keys, wanted)

        with torch.no_grad():
            walk(self.graph, tuple(inputs), visit)
        return keys

    def _switch(
        self, node: Node, layer: Layer, operator: Operator, xs: tuple[Tensor, ...], keys: Tensor, wanted: bool
    ) -> Tensor | None:
        """Add the bits of one node; return its value if another switching node reads it."""
        level, planes = self._levels[node.name], self._coefficients[layer.name]
        if level is not None:
            _add_above(xs[0].reshape(len(keys), -1), level.at, planes[0], keys)
            return operator.forward(xs[0]) if wanted else None
        assert isinstance(operator, SplineOperator)
        value, code = operator.switch(*xs)
        units = node.layout.samples_first(code) if node.layout and self.graph.batched else code.reshape(1, -1)
        flat = units.reshape(len(keys), -1).to(torch.int64)  # shifts of a negative value keep its sign
        for plane, coefficients in enumerate(planes):
            _add_above(((flat >> plane) & 1).to(torch.int8), 0.5, coefficients, keys)
        return value if wanted else None


def _add_above(x: Tensor, level: float, coefficients: Tensor, keys: Tensor) -> None:
    """Add to the keys the coefficients of the entries above a level; x of shape (B, units)."""
    if for_numpy(x):
        from splinegraph.analyses.regions.sampling.kernels import signs

        signs.add_above(x.contiguous().numpy(), level, coefficients.numpy(), keys.numpy())
        return
    above = x > level
    for i in range(2):
        keys[:, i] += torch.where(above, coefficients[i], 0).sum(1)


def _random(layer: int, plane: int, units: int) -> Tensor:
    """Return the coefficients of one plane of bits, shape (2, units); the same in every process."""
    generator = np.random.Generator(np.random.PCG64([128, layer, plane]))
    return torch.from_numpy(generator.integers(-(2**63), 2**63, (2, units), dtype=np.int64))


def _ahead_of(graph: SplineGraph, switching: set[str]) -> set[str]:
    """Return the nodes whose values some switching node depends on."""
    wanted: set[str] = set()
    for node in reversed(graph.nodes):
        if node.name in switching or node.name in wanted:
            wanted.update(node.args)
    return wanted
