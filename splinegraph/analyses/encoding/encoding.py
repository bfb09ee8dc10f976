"""The encoding of an input: amplitude A[x] x and phase, the pieces that all units are on (paper Prop 1)."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from splinegraph.analyses.affine_map import AffineMap, affine_map
from splinegraph.analyses.codes import ActivationPattern, codes
from splinegraph.analyses.provenance import Provenance
from splinegraph.core.algebra import find
from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.notebook import card
from splinegraph.core.operator import Operator
from splinegraph.core.walk import walk
from splinegraph.errors import ShapeError

__all__ = ["Encoding", "LayerEncoding", "encode"]


class LayerEncoding(NamedTuple):
    """What one layer z = A x + b holds of the input.

    Parameters
    ----------
    amplitude, bias : Tensor of shape (B, *layer)
        A x and b, for the map from the input to this layer.
    phase : ActivationPattern
        Pieces of the switching operators that lead to it, itself included.
    """

    amplitude: Tensor
    bias: Tensor
    phase: ActivationPattern


@dataclass(frozen=True, eq=False)
class Encoding:
    """Amplitude and phase of a batch; made by `splinegraph.encode`.

    Parameters
    ----------
    map : AffineMap
    amplitude, bias : Tensor of shape (B, *out)
        A[x] x and b[x]; their sum is f(x).
    phase : ActivationPattern
        The pieces that all units are on.
    provenance : Provenance
    """

    map: AffineMap
    amplitude: Tensor
    bias: Tensor
    phase: ActivationPattern
    provenance: Provenance

    def __len__(self) -> int:
        return len(self.phase)

    def __repr__(self) -> str:
        numbers = math.prod(self.amplitude.shape[1:])
        return f"<Encoding: {len(self)} samples, {numbers} amplitudes, {self.phase.units} units, {self.map.kind}>"

    def _repr_html_(self) -> str:
        return card(self)

    @property
    def value(self) -> Tensor:
        """f(x), shape (B, *out)."""
        found: Tensor = self.map.value
        return found

    @property
    def bias_share(self) -> Tensor:
        """|b| / (|A x| + |b|) of each output, shape (B, *out); 0 where both are."""
        parts = self.amplitude.abs() + self.bias.abs()
        return torch.where(parts > 0, self.bias.abs() / parts, 0.0)

    @functools.cached_property
    def distinct(self) -> int:
        """How many samples have a phase that no earlier sample has."""
        return self.phase.count

    def layer(self, name: str) -> LayerEncoding:
        """Return amplitude, bias and phase of one node, by its name or the path of its module; two passes."""
        graph = self.map.graph
        node = find(graph, name)
        amplitude: list[Tensor] = []
        bias: list[Tensor] = []
        for part in self.map.parts:
            zeros = tuple(torch.zeros_like(x) for x in part.inputs)
            for found, kind, xs in ((amplitude, "tangent", part.inputs), (bias, "apply", zeros)):
                found.append(_at(graph, node, part.pieces, kind, xs))
        before = _ancestors(graph, node.name)
        names = [layer.name for layer in self.phase.layers if layer.name in before]
        return LayerEncoding(torch.cat(amplitude), torch.cat(bias), self.phase.only(*names))

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe summary."""
        return {
            "graph": self.map.graph.name,
            "kind": self.map.kind,
            "samples": len(self),
            "amplitudes": math.prod(self.amplitude.shape[1:]),
            "units": self.phase.units,
            "distinct_phases": self.distinct,
            "mean_bias_share": float(self.bias_share.mean()) if self.bias_share.numel() else None,
            "provenance": self.provenance.to_dict(),
        }


def _at(graph: SplineGraph, node: Node, pieces: Mapping[str, Any], kind: str, xs: Sequence[Tensor]) -> Tensor:
    """Return what the pieces make of `xs` at one node, samples first."""

    def rule(visited: Node, _: Operator, args: tuple[Tensor, ...]) -> Tensor:
        moved: Tensor = getattr(pieces[visited.name], kind)(*args)
        return moved

    _, kept = walk(graph, tuple(xs), rule, keep=[node.name])
    value = kept[node.name]
    return node.layout.samples_first(value) if node.layout else value[None]


def _ancestors(graph: SplineGraph, name: str) -> set[str]:
    """Return the node and all that it depends on."""
    found = {name}
    for node in reversed(graph.nodes):
        if node.name in found:
            found.update(node.args)
    return found


def encode(
    graph: SplineGraph, *inputs: Tensor, dtype: torch.dtype | None = torch.float64, batch_size: int | None = None
) -> Encoding:
    """Return amplitude and phase of each input: A[x] x, and the pieces that all units are on.

    Parameters
    ----------
    graph : SplineGraph
        With one output.
    *inputs : Tensor of shape (B, *in)
    dtype : torch.dtype or None, default torch.float64
        Arithmetic; None for that of the inputs.
    batch_size : int, optional
        Samples per pass.

    Returns
    -------
    Encoding

    Raises
    ------
    ShapeError
        If an input does not fit, or the graph has several outputs.

    Notes
    -----
    Four passes: pieces, codes, A[x] x and b[x]. Both together do not determine x, as the paper's Proposition 1 has
    it: `splinegraph.preimage` gives all inputs that share them. Smooth operators have no code; the amplitude then
    is that of the tangent.

    References
    ----------
    .. [1] R. Balestriero and R. Baraniuk, "A Spline Theory of Deep Learning", 2017, Prop 1.

    Examples
    --------
    Two inputs with the same amplitude and the same phase:

    >>> import torch, splinegraph as sg
    >>> layer = torch.nn.Linear(2, 1, bias=False)
    >>> layer.weight.data = torch.tensor([[1.0, 0.0]])
    >>> graph = sg.trace(torch.nn.Sequential(layer, torch.nn.ReLU()).eval(), torch.zeros(1, 2))
    >>> found = sg.encode(graph, torch.tensor([[1.0, 0.0], [1.0, 1.0]]))
    >>> found.amplitude.tolist(), found.distinct
    ([[1.0], [1.0]], 1)
    """
    found = affine_map(graph, *inputs, dtype=dtype, batch_size=batch_size)
    if len(graph.outputs) > 1:
        raise ShapeError(f"{graph.name} has {len(graph.outputs)} outputs", remedy="choose one with graph.output(i)")
    phase = codes(graph, *inputs, dtype=dtype, batch_size=batch_size)
    provenance = Provenance.of(graph, dtype=found.inputs[0].dtype, seed=0)
    return Encoding(found, found.matvec(*found.inputs), found.bias, phase, provenance)
