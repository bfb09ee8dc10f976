"""Activation patterns: which piece every unit is on, for a batch of inputs (paper Def 3, Eq 25-30)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from splinegraph.analyses.batches import chunks, promote
from splinegraph.analyses.packing import Bytes, bits_for, differing, pack, pack_greater, unpack
from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.layout import BatchLayout
from splinegraph.core.notebook import card
from splinegraph.core.operator import Operator, SplineOperator
from splinegraph.core.walk import walk
from splinegraph.operators.base import PiecewiseElementwise, for_numpy

__all__ = ["ActivationPattern", "Layer", "UniquePatterns", "codes"]


@dataclass(frozen=True)
class Layer:
    """Where the codes of one operator lie in a packed pattern.

    Parameters
    ----------
    name : str
        Node of the graph.
    shape : tuple of int
        Shape of the units of one sample.
    alphabet : int
        How many pieces a unit has; 0 if unbounded.
    bits : int
        Bits per unit.
    start, stop : int
        Columns of the packed pattern.
    dtype : torch.dtype
        Of the unpacked codes.
    """

    name: str
    shape: tuple[int, ...]
    alphabet: int
    bits: int
    start: int
    stop: int
    dtype: torch.dtype

    @property
    def units(self) -> int:
        """Number of units."""
        return math.prod(self.shape)


@dataclass(frozen=True, eq=False)
class ActivationPattern:
    """The codes of B samples, packed to bits; made by `splinegraph.codes`.

    Parameters
    ----------
    layers : tuple of Layer
        The switching operators, in the graph's topological order.
    packed : array of uint8, shape (B, bytes)
    """

    layers: tuple[Layer, ...]
    packed: Bytes

    def __len__(self) -> int:
        return len(self.packed)

    def __repr__(self) -> str:
        return f"<ActivationPattern: {len(self)} samples, {len(self.layers)} operators, {self.units} units>"

    def _repr_html_(self) -> str:
        return card(self)

    @property
    def units(self) -> int:
        """Number of units that switch."""
        return sum(layer.units for layer in self.layers)

    def layer(self, name: str) -> Layer:
        """Return the layer of a node."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(f"node {name!r} has no codes; switching nodes: {', '.join(x.name for x in self.layers)}")

    def only(self, *names: str) -> ActivationPattern:
        """Return the pattern of some operators alone."""
        columns, layers, start = [self.packed[:, :0]], [], 0
        for layer in map(self.layer, names):
            columns.append(self.packed[:, layer.start : layer.stop])
            width = layer.stop - layer.start
            layers.append(Layer(layer.name, layer.shape, layer.alphabet, layer.bits, start, start + width, layer.dtype))
            start += width
        return ActivationPattern(tuple(layers), np.ascontiguousarray(np.concatenate(columns, axis=1)))

    def __getitem__(self, rows: Any) -> ActivationPattern:
        """Return some samples' patterns (a slice, a mask or a list of indices)."""
        packed = self.packed[rows]
        return ActivationPattern(self.layers, packed[None] if packed.ndim == 1 else packed)

    def unpack(self, name: str) -> Tensor:
        """Return the codes of one operator, shape (B, *units)."""
        layer = self.layer(name)
        flat = unpack(self.packed[:, layer.start : layer.stop], layer.units, layer.bits, layer.dtype)
        return flat.reshape(len(self), *layer.shape)

    def usage(self, name: str) -> Tensor:
        """Return how many samples put each unit on each piece, shape (pieces, *units), int64."""
        layer, unpacked = self.layer(name), self.unpack(name)
        if not layer.alphabet:
            raise ValueError(f"the pieces of node {name!r} are unbounded; count the codes of .unpack({name!r})")
        return torch.stack([(unpacked == piece).sum(0) for piece in range(layer.alphabet)])

    def unique(self) -> UniquePatterns:
        """Return the distinct patterns, ordered by their bytes, with counts.

        Exact: bytes are compared, not hashes. O(B log B) comparisons.
        """
        rows = np.ascontiguousarray(self.packed)
        if not rows.shape[1]:  # nothing switches: one pattern
            count = np.array([len(rows)] * bool(len(rows)))
            return UniquePatterns(self[:1], np.zeros(len(rows), dtype=np.int64), count)
        keys = rows.view(np.dtype((np.void, rows.shape[1])))[:, 0]
        _, first, inverse, counts = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
        return UniquePatterns(self[first], inverse, counts)

    @property
    def count(self) -> int:
        """Number of distinct patterns: a lower bound of the number of activation cells."""
        return len(self.unique().patterns)

    def hamming(self, other: ActivationPattern | None = None) -> NDArray[np.int64]:
        """Return on how many units two samples differ, shape (B, B'); `other` defaults to this one.

        O(B B' bytes) byte operations.
        """
        other = self if other is None else other
        if self.layers != other.layers:
            raise ValueError("the patterns belong to different graphs")
        result = np.zeros((len(self), len(other)), dtype=np.int64)
        for layer in self.layers:
            mine, theirs = (p.packed[:, layer.start : layer.stop] for p in (self, other))
            step = max(1, 2**24 // max(theirs.size, 1))
            for i in range(0, len(mine), step):
                part = differing(mine[i : i + step, None], theirs[None], layer.units, layer.bits)
                result[i : i + step] += part
        return result

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe summary."""
        return {
            "samples": len(self),
            "units": self.units,
            "distinct": self.count,
            "operators": [{"name": x.name, "units": x.units, "pieces": x.alphabet} for x in self.layers],
        }


@dataclass(frozen=True, eq=False)
class UniquePatterns:
    """Distinct patterns, for each sample which one it has, and how many samples have each."""

    patterns: ActivationPattern
    inverse: NDArray[np.int64]
    counts: NDArray[np.int64]


def codes(
    graph: SplineGraph,
    *inputs: Tensor,
    dtype: torch.dtype | None = torch.float64,
    batch_size: int | None = None,
) -> ActivationPattern:
    """Return the activation patterns of a batch.

    Parameters
    ----------
    graph : SplineGraph
    *inputs : Tensor of shape (B, *in)
        One per input of the graph.
    dtype : torch.dtype or None, default torch.float64
        Arithmetic to decide the codes in; None for that of the inputs.
    batch_size : int, optional
        Samples per forward pass. Default: as many as keep the widest operator under 2^27 entries.

    Returns
    -------
    ActivationPattern

    Raises
    ------
    ShapeError
        If an input does not fit, or the batch is empty.

    Notes
    -----
    One forward pass; the result takes about units / 8 bytes per sample. A tie goes to the left of a
    breakpoint and to the first entry of a window.

    References
    ----------
    .. [1] R. Balestriero and R. Baraniuk, "A Spline Theory of Deep Learning", 2017, Def 3 and Eq 25-30.

    Examples
    --------
    >>> import torch, splinegraph as sg
    >>> graph = sg.trace(torch.nn.Sequential(torch.nn.ReLU()).eval(), torch.zeros(1, 2))
    >>> sg.codes(graph, torch.tensor([[1.0, -1.0], [2.0, -3.0], [0.0, 1.0]])).unpack("relu").tolist()
    [[1, 0], [1, 0], [0, 1]]
    """
    inputs = promote(inputs, dtype)
    parts = [_codes(graph, part) for part in chunks(graph, inputs, batch_size)]
    if len(parts) == 1:
        return parts[0]
    return ActivationPattern(parts[0].layers, np.concatenate([part.packed for part in parts]))


def _codes(graph: SplineGraph, inputs: tuple[Tensor, ...]) -> ActivationPattern:
    # what does not depend on the data is worked out in the first pass over the graph
    plan: dict[str, Layer | None] = graph._cache.setdefault("code_layers", {})
    thresholds: dict[str, float] | None = graph._cache.get("code_thresholds")
    if thresholds is None:
        thresholds = graph._cache["code_thresholds"] = _thresholds(graph)
    columns: list[Bytes] = []

    def visit(node: Node, operator: Operator, xs: tuple[Tensor, ...]) -> Tensor:
        if node.name not in plan:
            plan[node.name] = _layer(node, operator, xs, plan)
        layer = plan[node.name]
        if layer is None:
            return operator.forward(*xs)
        if node.name in thresholds and for_numpy(xs[0]):
            columns.append(pack_greater(xs[0], thresholds[node.name]))
            return operator.forward(*xs)
        assert isinstance(operator, SplineOperator)
        value, code = operator.switch(*xs)
        columns.append(pack(node.rows(code), layer.bits))
        return value

    with torch.no_grad():
        operators = graph.resolved(inputs[0].dtype, inputs[0].device, inputs[0].shape[0])
        walk(graph, inputs, visit, operators=operators)
    layers = tuple(layer for layer in plan.values() if layer is not None)
    if not columns:
        return ActivationPattern((), np.zeros((len(inputs[0]), 0), dtype=np.uint8))
    return ActivationPattern(layers, columns[0] if len(columns) == 1 else np.concatenate(columns, axis=1))


def _thresholds(graph: SplineGraph) -> dict[str, float]:
    """Return the nodes whose code is one comparison of their argument, samples first, with a number."""
    return {
        node.name: node.op.breakpoints[0]
        for node in graph.operators
        if isinstance(node.op, PiecewiseElementwise)
        and type(node.op).code is PiecewiseElementwise.code
        and node.op.closed_left == (True,)
        and node.layout == BatchLayout()
    }


def _layer(node: Node, operator: Operator, xs: tuple[Tensor, ...], before: dict[str, Layer | None]) -> Layer | None:
    """Return where the codes of a node will lie behind those of the nodes before; None if it never switches."""
    shapes = [x.shape for x in xs]
    if not isinstance(operator, SplineOperator) or operator.alphabet(shapes) == 1:
        return None
    code = operator.code(*xs)
    units = node.layout.samples_first(code) if node.layout else code[None]
    alphabet, shape = operator.alphabet(shapes), tuple(units.shape[1:])
    bits = bits_for(alphabet, code.dtype)
    start = max((layer.stop for layer in before.values() if layer is not None), default=0)
    return Layer(node.name, shape, alphabet, bits, start, start + bits * -(-math.prod(shape) // 8), code.dtype)
