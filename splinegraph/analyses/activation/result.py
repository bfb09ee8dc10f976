"""The activation graph of a set of inputs: nodes, edges, counts and classes, as arrays."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from splinegraph.analyses.activation.coarsening import Coarsening
from splinegraph.analyses.activation.histograms import Histogram, permuted_purity
from splinegraph.analyses.activation.keys import Keys
from splinegraph.analyses.activation.tables import Floats, Ints, Table
from splinegraph.analyses.provenance import Provenance
from splinegraph.core.graph import SplineGraph
from splinegraph.core.notebook import card
from splinegraph.errors import DataError, one_line

if TYPE_CHECKING:
    import networkx
    from matplotlib.axes import Axes

    from splinegraph.analyses.activation.outliers import OutlierScores
    from splinegraph.analyses.activation.paths import InputPath, Similarity
    from splinegraph.analyses.activation.separation import SeparationDepth

__all__ = ["ActivationGraph", "ActivationLayer", "LayerSummary"]

ALONE = 0.9
"""Share of inputs alone in their cell from which purity says nothing."""

ROUNDS = 20
"""Permutations that the baseline is the mean of."""


@dataclass(frozen=True)
class ActivationLayer:
    """A switching operator.

    Parameters
    ----------
    name : str
        Node of the graph.
    operator, module : str
    units : int
    """

    name: str
    operator: str
    module: str
    units: int


@dataclass(frozen=True)
class LayerSummary:
    """What the nodes of one layer say.

    Parameters
    ----------
    name : str
    cells : int
        Nodes that were visited.
    alone : int
        Nodes that one input alone visited.
    alone_cells, alone_inputs : float
        Their share of the nodes, and of the inputs.
    largest : float
        Share of the inputs (of the volume) in the largest node.
    purity : float or None
        Share of the inputs (of the volume) that is of the majority of its node; None without labels.
    baseline : float or None
        The same with permuted labels, the mean of 20 permutations; None without labels or for volumes.
    agreeing : float or None
        Share of inputs whose label is that of most others in their node. It is not raised by small nodes.
    entropy : float or None
        Of the classes in a node, in bits, averaged over the inputs (the volume).
    says_nothing : bool
        Whether nearly all inputs are alone, so that purity is near 1 whatever the labels.
    """

    name: str
    cells: int
    alone: int
    alone_cells: float
    alone_inputs: float
    largest: float
    purity: float | None
    baseline: float | None
    agreeing: float | None
    entropy: float | None
    says_nothing: bool


@dataclass(frozen=True, eq=False)
class ActivationGraph:
    """The (layer, cell) pairs that inputs visit, and the steps between them; made by `splinegraph.activation_graph`.

    Parameters
    ----------
    graph : SplineGraph
    layers : tuple of ActivationLayer
        The switching operators, in the graph's topological order.
    start : array of int64, shape (L + 1,)
        The nodes of layer l are ``start[l]``, ..., ``start[l + 1] - 1``, in the order of their first inputs.
    keys : array of uint64, shape (V, 2)
        Of the nodes' codes, see `keys.row_keys`.
    counts : array of int64, shape (V,)
        Inputs that visit each node; of a partition, its cells.
    first : array of int64, shape (V,)
        Index of the first input with each.
    edges : array of int64, shape (E, 2)
        From a node to one of the next layer.
    edge_counts : array of int64, shape (E,)
    classes : tuple of int
        The labels that occur, ascending; none without labels.
    class_names : tuple of str
        Their names.
    histogram : Histogram or None
        Classes, by their place in `classes`, in each node.
    samples : int
    volumes, edge_volumes : array of float64, shapes (V,) and (E,), or None
        For a partition.
    coarse : Coarsening or None
    notes : tuple of str
        What a reader should know.
    provenance : Provenance

    Notes
    -----
    72 bytes a node and 24 an edge.
    """

    graph: SplineGraph
    layers: tuple[ActivationLayer, ...]
    start: Ints
    keys: Keys
    counts: Ints
    first: Ints
    edges: Ints
    edge_counts: Ints
    classes: tuple[int, ...]
    class_names: tuple[str, ...]
    histogram: Histogram | None
    samples: int
    volumes: Floats | None
    edge_volumes: Floats | None
    coarse: Coarsening | None
    notes: tuple[str, ...]
    provenance: Provenance

    def __len__(self) -> int:
        return len(self.counts)

    def __repr__(self) -> str:
        weights = "cells of a partition" if self.volumes is not None else "inputs"
        found = f"{len(self.layers)} layers, {len(self)} nodes, {len(self.edges)} edges, {self.samples} {weights}"
        nothing = [one_line(layer.name) for layer in self.summary if layer.says_nothing]
        warning = ""
        if nothing:
            where = ", ".join(nothing) if len(nothing) < 4 else f"{len(nothing)} of {len(self.layers)} layers"
            who = "inputs are alone in their cell" if self.volumes is None else "cells are alone in their node"
            warning = f"; nearly all {who} in {where}: purity says nothing there"
        return f"<ActivationGraph of {one_line(self.graph.name)}: {found}{', stale' if self.stale else ''}{warning}>"

    def _repr_html_(self) -> str:
        return card(self)

    @property
    def stale(self) -> bool:
        """Whether the network's weights have changed since."""
        return self.provenance.weights.stale

    @property
    def weights(self) -> Ints | Floats:
        """Volumes of the nodes of a partition, else counts, shape (V,)."""
        return self.counts if self.volumes is None else self.volumes

    @property
    def edge_weights(self) -> Ints | Floats:
        """Volumes of the edges of a partition, else counts, shape (E,)."""
        return self.edge_counts if self.edge_volumes is None else self.edge_volumes

    @functools.cached_property
    def layer_of(self) -> Ints:
        """The layer of each node, shape (V,)."""
        return np.repeat(np.arange(len(self.layers)), np.diff(self.start))

    def nodes(self, layer: int | str) -> slice:
        """Return the nodes of a layer, by its number or name, as a slice of all arrays over nodes."""
        place = self._place(layer)
        return slice(int(self.start[place]), int(self.start[place + 1]))

    def _place(self, layer: int | str) -> int:
        names = [known.name for known in self.layers]
        if isinstance(layer, str):
            if layer not in names:
                raise DataError(f"there is no layer {layer!r}", remedy=f"choose of {', '.join(names)}")
            return names.index(layer)
        if not -len(names) <= layer < len(names):
            raise DataError(f"there is no layer {layer}", why=f"there are {len(names)}, counted from 0")
        return layer % len(names)

    # classes

    @functools.cached_property
    def summary(self) -> tuple[LayerSummary, ...]:
        """What each layer says: cells, inputs that are alone, purity beside the permuted baseline."""
        return tuple(self._summary(place, layer) for place, layer in enumerate(self.layers))

    def _summary(self, place: int, layer: ActivationLayer) -> LayerSummary:
        rows = self.nodes(place)
        counts, weights = self.counts[rows], self.weights[rows]
        total, alone = float(weights.sum()) or 1.0, int((counts == 1).sum())
        purity = agreeing = entropy = baseline = None
        if self.histogram is not None:
            found = self.histogram.of(rows.start, rows.stop)
            purity = float(found.most.sum() / total)
            entropy = float((found.entropy * found.totals).sum() / total)
            if self.volumes is None:
                agreeing = found.agreeing
                baseline = float(self.permuted(place, ROUNDS).mean())
        return LayerSummary(
            layer.name, len(counts), alone, alone / len(counts), alone / self.samples, float(weights.max() / total),
            purity, baseline, agreeing, entropy, says_nothing=alone >= ALONE * self.samples,
        )  # fmt: skip

    def permuted(self, layer: int | str, rounds: int = ROUNDS, seed: int | None = None) -> Floats:
        """Return the purity of a layer with permuted labels, shape (rounds,).

        Raises
        ------
        DataError
            If there are no labels, or nodes have volumes and no counts.
        """
        if self.histogram is None:
            raise DataError("there are no labels to permute", remedy="give one integer per sample as `y`")
        if self.volumes is not None:
            raise DataError("a partition has no inputs whose labels could be permuted")
        seed = self.provenance.seed if seed is None else seed
        inputs = self.histogram.of(0, int(self.start[1]))  # all of them visit the first layer
        totals = np.bincount(inputs.place, inputs.mass).astype(np.int64)
        return permuted_purity(self.counts[self.nodes(layer)], totals, rounds, seed)

    def class_counts(self, node: int) -> dict[str, int | float]:
        """Return how much of each class is in a node, the most common first."""
        if not 0 <= node < len(self):
            raise DataError(f"there is no node {node}", why=f"there are {len(self)}, counted from 0")
        if self.histogram is None:
            return {}
        found = self.histogram.of(node, node + 1)
        order = np.lexsort((found.place, -found.mass))
        return {self.class_names[found.place[i]]: found.mass[i].item() for i in order}

    def most_shared(self, k: int = 10, *, layer: int | str | None = None) -> Ints:
        """Return the k nodes that most inputs visit (of largest volume), of one layer or of all."""
        if k < 0:
            raise DataError(f"k is {k}", remedy="give at least 0")
        rows = slice(0, len(self)) if layer is None else self.nodes(layer)
        return np.argsort(-self.weights[rows], kind="stable")[:k] + rows.start

    # inputs

    @functools.cached_property
    def tables(self) -> tuple[Table, ...]:
        """The nodes of each layer as a table of keys."""
        slices = [self.nodes(place) for place in range(len(self.layers))]
        return tuple(Table(self.keys[rows], self.counts[rows], self.first[rows]) for rows in slices)

    def path(self, *inputs: Tensor) -> Ints:
        """Return E(x): the node of each layer that each input visits, -1 where no input was before, shape (B, L)."""
        from splinegraph.analyses.activation.paths import paths

        return paths(self, inputs)

    def subgraph(self, *inputs: Tensor) -> networkx.DiGraph[str]:
        """Return the union of E(x) over some inputs, drawn as in `to_networkx`; cells without a node are left out."""
        from splinegraph.analyses.activation.drawing import drawn

        visited = self.path(*inputs)
        return drawn(self, np.unique(visited[visited >= 0]))

    def describe(self, *inputs: Tensor) -> tuple[InputPath, ...]:
        """Return what the nodes on each input's path say of it: shares, classes, how rare they are."""
        from splinegraph.analyses.activation.paths import describe

        return describe(self, inputs)

    def similarity(self, first: Any, second: Any) -> Similarity:
        """Return which nodes the inputs `first` share with the inputs `second` (tensors, or tuples of tensors)."""
        from splinegraph.analyses.activation.paths import similarity

        return similarity(self, first, second)

    def outlier_score(self, inputs: Any, *, calibration: Any = None) -> OutlierScores:
        """Return how rare the cells on each input's path are, with p-values if there is held-out data; see there."""
        from splinegraph.analyses.activation.outliers import outlier_scores

        return outlier_scores(self, inputs, calibration)

    def separation_depth(self, *, level: float = 0.05, share: float = 0.9) -> SeparationDepth:
        """Return the layer at which classes separate; see `separation.separation_depth`."""
        from splinegraph.analyses.activation.separation import separation_depth

        return separation_depth(self, level, share)

    # other forms

    def to_networkx(
        self, *, max_nodes: int | None = 10_000, nodes: Sequence[int] | None = None
    ) -> networkx.DiGraph[str]:
        """Return a bipartite DiGraph with positions, sizes and colors.

        Parameters
        ----------
        max_nodes : int or None
            Keep the nodes that most inputs visit; the others of a layer are merged into one, with `merged` true
            and `cells` their number. None keeps all.
        nodes : sequence of int, optional
            Take these nodes and the edges between them instead.

        Returns
        -------
        networkx.DiGraph
            Vertices ``"layer/number"`` with `layer`, `operator`, `module`, `bipartite` (parity of the layer),
            `count` (and `volume`), `share`, `first`, `class`, `purity`, `entropy`, `classes`, `cells`, `merged`, and
            `x`, `y`, `size`, `color` for drawing; edges with `count` (and `volume`) and `weight`.
        """
        from splinegraph.analyses.activation.drawing import drawn, largest

        return largest(self, max_nodes) if nodes is None else drawn(self, np.asarray(nodes, dtype=np.int64))

    def plot(self, ax: Axes | None = None, *, max_nodes: int = 200) -> Axes:
        """Draw the nodes that most inputs visit, layer by layer."""
        from splinegraph.analyses.activation.figure import plot_activation

        return plot_activation(self, ax, max_nodes)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe summary; nodes and edges themselves are for `write_json`."""
        from splinegraph.analyses.report.values import jsonable

        return {
            "name": self.graph.name,
            "samples": self.samples,
            "nodes": len(self),
            "edges": len(self.edges),
            "weights": "count" if self.volumes is None else "volume",
            "coarse": None if self.coarse is None else self.coarse.name,
            "classes": list(self.class_names),
            "layers": jsonable(self.summary),
            "notes": list(self.notes),
            "provenance": self.provenance.to_dict(),
        }
