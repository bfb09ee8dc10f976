"""What a neighborhood holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.codes import ActivationPattern, Layer
from splinegraph.analyses.provenance import Provenance
from splinegraph.analyses.regions.cells import Cells
from splinegraph.core.domains.chart import Chart
from splinegraph.core.graph import SplineGraph
from splinegraph.core.notebook import card

if TYPE_CHECKING:
    import networkx

__all__ = ["Neighborhood"]


@dataclass(frozen=True, eq=False)
class Neighborhood:
    """The activation cells around a point; made by `splinegraph.neighborhood`.

    Parameters
    ----------
    graph : SplineGraph
    chart : Chart
        The coordinates that points and distances of cells are in.
    layers : tuple of Layer
    cells : Cells
        Cell 0 holds the point; then in the order found.
    hops : array of int64, shape (N,)
        Facets to cross from cell 0.
    edges : array of int64, shape (E, 2)
        Cells that share a facet, the smaller number first, ordered.
    expanded : array of bool, shape (N,)
        Cells all of whose neighbors were looked for. Edges between two others are not known.
    distances : array of float64, shape (N, 2)
        Lower and upper bound of the distance to the point; nan where no radius was asked for.
    complete : bool
        Whether everything asked for was found. False where a limit or budget ended the work, or an answer was unsure.
    left : int
        Cells that were seen and not looked at.
    unsure : array of int64
        Cells whose facets a solver could not settle.
    doubtful : array of int64
        Cells at whose point the network has another code: thinner than rounding.
    thin : int
        Cells that were met and left out, as they have no interior to rounding.
    seconds : float
    provenance : Provenance
    """

    graph: SplineGraph
    chart: Chart
    layers: tuple[Layer, ...]
    cells: Cells
    hops: NDArray[np.int64]
    edges: NDArray[np.int64]
    expanded: NDArray[np.bool_]
    distances: NDArray[np.float64]
    complete: bool
    left: int
    unsure: NDArray[np.int64]
    doubtful: NDArray[np.int64]
    thin: int
    seconds: float
    provenance: Provenance

    def __len__(self) -> int:
        return len(self.cells)

    def __repr__(self) -> str:
        state = "complete" if self.complete else f"{self.left} cells left"
        reach = int(self.hops.max(initial=0))
        return f"<Neighborhood: {len(self)} cells within {reach} hops, {len(self.edges)} facets, {state}>"

    def _repr_html_(self) -> str:
        return card(self)

    @property
    def patterns(self) -> ActivationPattern:
        """The cells' codes."""
        return ActivationPattern(self.layers, self.cells.packed)

    @property
    def stale(self) -> bool:
        """Whether a weight has changed since."""
        return self.provenance.weights.stale

    def dual_graph(self) -> networkx.Graph[int]:
        """Return the graph of cells and shared facets, with scalar attributes that graph files can hold.

        Returns
        -------
        networkx.Graph
            Vertices with `hops`, `radius` and `expanded`; edges say which `nodes` and `units` flip.
        """
        import networkx as nx

        from splinegraph.analyses.regions.partition.flips import flip_texts

        graph: networkx.Graph[int] = nx.Graph(name=self.graph.name, cells=len(self), complete=self.complete)
        for i, (hops, radius, expanded) in enumerate(zip(self.hops, self.cells.radii, self.expanded, strict=True)):
            graph.add_node(i, hops=int(hops), radius=float(radius), expanded=bool(expanded))
        i, j = self.edges.T
        nodes, units, count = flip_texts(self.layers, self.cells.packed[i], self.cells.packed[j])
        for a, b, node, unit, flips in zip(i.tolist(), j.tolist(), nodes, units, count.tolist(), strict=True):
            graph.add_edge(a, b, nodes=node, units=unit, flips=flips)
        return graph

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe summary."""
        return {
            "graph": self.graph.name,
            "cells": len(self),
            "hops": np.bincount(self.hops).tolist(),
            "facets": len(self.edges),
            "expanded": int(self.expanded.sum()),
            "complete": self.complete,
            "left": self.left,
            "unsure": len(self.unsure),
            "doubtful": len(self.doubtful),
            "thin": self.thin,
            "seconds": self.seconds,
            "provenance": self.provenance.to_dict(),
        }
