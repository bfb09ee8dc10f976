"""Reconstruction at every layer that all paths run through (paper Eq 84)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from splinegraph.analyses.batches import chunks, promote
from splinegraph.analyses.encoding.inverse import ratio
from splinegraph.analyses.encoding.spectra import single_ports
from splinegraph.analyses.provenance import Provenance
from splinegraph.core.algebra import find, prune
from splinegraph.core.graph import Node, SplineGraph, require_graph
from splinegraph.core.notebook import card
from splinegraph.core.operator import Operator, Piece
from splinegraph.core.walk import walk, walk_back
from splinegraph.errors import SplineGraphError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["LayerErrors", "LayerReconstruction", "bottlenecks", "reconstruct_layers"]


@dataclass(frozen=True, eq=False)
class LayerErrors:
    """How one layer z is reconstructed from the output, and the input from z.

    Parameters
    ----------
    name : str
        Node of the graph.
    module : str
    size : int
        Entries of z.
    energy : Tensor of shape (B,)
        |z|^2.
    above : Tensor of shape (B,)
        |(df/dz)^T f(x) - z|^2, the paper's R^(l) (Eq 84).
    below : Tensor of shape (B,)
        |(dz/dx)^T z - x|^2.
    relative_above, relative_below : Tensor of shape (B,)
        The same, divided by |z|^2 and |x|^2.
    """

    name: str
    module: str
    size: int
    energy: Tensor
    above: Tensor
    below: Tensor
    relative_above: Tensor
    relative_below: Tensor


@dataclass(frozen=True, eq=False)
class LayerReconstruction:
    """Reconstruction errors layer by layer; made by `splinegraph.reconstruct_layers`.

    Parameters
    ----------
    graph : SplineGraph
    layers : tuple of LayerErrors
        In topological order, the input first: there `above` is the error of A[x]^T f(x), and `below` is 0.
    skipped : int
        How many operators lie beside a path, so that no layer is there.
    provenance : Provenance
    """

    graph: SplineGraph
    layers: tuple[LayerErrors, ...]
    skipped: int
    provenance: Provenance

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Any:
        return iter(self.layers)

    def __getitem__(self, name: str) -> LayerErrors:
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(f"no layer {name!r}; there are {', '.join(layer.name for layer in self.layers)}")

    def __repr__(self) -> str:
        return f"<LayerReconstruction: {len(self)} layers, {len(self.layers[0].above)} samples>"

    def _repr_html_(self) -> str:
        return card(self)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the median relative errors of the layers.

        Returns
        -------
        matplotlib.axes.Axes
        """
        from splinegraph.analyses.encoding.figures import plot_layers

        return plot_layers(self, ax)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe summary."""
        return {
            "graph": self.graph.name,
            "samples": len(self.layers[0].above),
            "skipped": self.skipped,
            "layers": [
                {
                    "name": layer.name, "module": layer.module, "size": layer.size,
                    "above": float(layer.above.median()), "below": float(layer.below.median()),
                    "relative_above": _finite(layer.relative_above), "relative_below": _finite(layer.relative_below),
                }
                for layer in self.layers
            ],
            "provenance": self.provenance.to_dict(),
        }  # fmt: skip


def _finite(values: Tensor) -> float | None:
    middle = float(values.median())
    return middle if middle < float("inf") else None


def bottlenecks(graph: SplineGraph) -> tuple[Node, ...]:
    """Return the operators that all paths from the inputs to the outputs pass, in topological order."""
    place = {node.name: i for i, node in enumerate(graph.nodes)}
    reached = set(graph.inputs)
    farthest = [0] * len(graph)  # where the values up to a place are read last
    ends = dict.fromkeys(graph.outputs, len(graph))
    for node in graph.nodes:
        if any(arg in reached for arg in node.args):
            reached.add(node.name)
        for arg in node.args:
            if arg in reached:
                farthest[place[arg]] = max(farthest[place[arg]], place[node.name])
    found, last = [], 0
    for i, node in enumerate(graph.nodes):
        if node.name in reached and not node.is_input and last <= i:
            found.append(node)
        if node.name in reached:
            last = max(last, farthest[i], ends.get(node.name, 0))
    return tuple(found)


def reconstruct_layers(
    graph: SplineGraph, X: Tensor, *, layers: Sequence[str] | None = None, batch_size: int | None = None
) -> LayerReconstruction:
    """Return how well the paper's inverse reconstructs every layer from the output, and the input from every layer.

    Parameters
    ----------
    graph : SplineGraph
        With one input and one output.
    X : Tensor of shape (B, *in)
    layers : sequence of str, optional
        Nodes or module paths. Default: all operators that every path passes; with the input, in any case.
    batch_size : int, optional

    Returns
    -------
    LayerReconstruction

    Raises
    ------
    SplineGraphError
        If a path leads around a layer: its value then does not hold all that reaches the output, and the paper's
        f(z) does not exist.

    Notes
    -----
    From above: the paper's R^(l) (Eq 84), one pass back for all layers. From below: one pass back per layer over the
    part before it. The paper sums R^(l) over layers of different scales: compare the relative ones. Smooth operators
    take their tangent. In float64.

    References
    ----------
    .. [1] R. Balestriero and R. Baraniuk, "A Spline Theory of Deep Learning", 2017, Eq 83-84.

    Examples
    --------
    >>> import torch, splinegraph as sg
    >>> layer = torch.nn.Linear(2, 2, bias=False)
    >>> layer.weight.data = torch.eye(2)
    >>> graph = sg.trace(torch.nn.Sequential(layer, torch.nn.ReLU()).eval(), torch.zeros(1, 2))
    >>> found = sg.reconstruct_layers(graph, torch.tensor([[3.0, -4.0]]))
    >>> [(layer.name, layer.above.item(), layer.below.item()) for layer in found]
    [('input', 16.0, 0.0), ('linear', 16.0, 0.0), ('relu', 0.0, 16.0)]
    """
    require_graph(graph)
    single_ports(graph, "a reconstruction by layers")
    cuts = bottlenecks(graph)
    nodes = cuts if layers is None else _chosen(graph, layers, cuts)
    nodes = (graph[graph.inputs[0]], *nodes)
    table: dict[str, list[tuple[Tensor, Tensor, Tensor]]] = {node.name: [] for node in nodes}
    sizes = []
    with torch.no_grad():
        for (part,) in chunks(graph, promote((X,), torch.float64), batch_size):
            sizes.append(part.reshape(len(part), -1).square().sum(1))
            for name, errors in _part(graph, part, nodes).items():
                table[name].append(errors)
    found = [_errors(node, table[node.name], torch.cat(sizes)) for node in nodes]
    provenance = Provenance.of(graph, dtype=torch.float64, seed=0)
    return LayerReconstruction(graph, tuple(found), len(graph.operators) - len(cuts), provenance)


def _chosen(graph: SplineGraph, layers: Sequence[str], cuts: Sequence[Node]) -> tuple[Node, ...]:
    known = {node.name for node in cuts}
    found = [find(graph, name) for name in layers]
    for node in found:
        if not node.is_input and node.name not in known:
            raise SplineGraphError(
                f"layer {node.name!r} cannot be reconstructed", where=node.where, why="a path leads around it",
                remedy="choose one of " + ", ".join(list(known)[:20]),
            )  # fmt: skip
    wanted = {node.name for node in found}
    return tuple(node for node in cuts if node.name in wanted)


def _errors(node: Node, parts: Sequence[tuple[Tensor, Tensor, Tensor]], size: Tensor) -> LayerErrors:
    energy, above, below = (torch.cat(column) for column in zip(*parts, strict=True))
    width = math.prod(node.shape)  # the batch's axis, wherever it is, has length one
    return LayerErrors(
        node.name, node.module, width, energy, above, below, ratio(above, energy), ratio(below, size)
    )  # fmt: skip


def _part(graph: SplineGraph, x: Tensor, nodes: Sequence[Node]) -> dict[str, tuple[Tensor, Tensor, Tensor]]:
    """Return |z|^2 and both errors of every layer, for part of a batch."""
    pieces: dict[str, Piece] = {}

    def forth(node: Node, operator: Operator, xs: tuple[Tensor, ...]) -> Tensor:
        value, pieces[node.name] = operator.value_and_piece(*xs)
        return value

    (start,) = graph.inputs
    operators = graph.resolved(x.dtype, x.device, len(x))
    wanted = [node.name for node in nodes if not node.is_input]
    (y,), values = walk(graph, (x,), forth, operators=operators, keep=wanted)
    values[start] = x
    pulled: dict[str, Tensor] = {}

    def back(node: Node, u: Tensor) -> tuple[Tensor | None, ...]:
        pulled[node.name] = u
        return pieces[node.name].adjoint(u)

    (arrived,) = walk_back(graph, (y,), back, add=torch.add)
    pulled[start] = torch.zeros_like(x) if arrived is None else arrived
    found = {}
    for node in nodes:
        z = values[node.name]
        above = pulled.get(node.name, torch.zeros_like(z))
        below = x
        if not node.is_input:
            before = replace(
                graph, nodes=prune(graph.nodes, (node.name,), graph.inputs), outputs=(node.name,), _cache={}
            )
            (seen,) = walk_back(before, (z,), lambda n, u: pieces[n.name].adjoint(u), add=torch.add)
            below = torch.zeros_like(x) if seen is None else seen
        found[node.name] = (
            node.rows(z).square().sum(1),
            node.rows(above - z).square().sum(1),
            (below - x).reshape(len(x), -1).square().sum(1),
        )
    return found
