"""The partition of a domain: all cells that an enumeration found, and what can be asked of them."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from splinegraph.analyses.codes import ActivationPattern, Layer
from splinegraph.analyses.packing import Bytes
from splinegraph.analyses.provenance import Provenance
from splinegraph.analyses.regions.cells import Cells, Floats, Mesh
from splinegraph.analyses.regions.partition.adjacency import Adjacency
from splinegraph.analyses.regions.partition.cell import Cell
from splinegraph.analyses.regions.partition.kept import kept
from splinegraph.analyses.regions.partition.lookup import CodeIndex
from splinegraph.analyses.regions.partition.maps import Maps, classes_of, evaluate, maps_of, norms_of
from splinegraph.core.domains.chart import Chart
from splinegraph.core.graph import SplineGraph
from splinegraph.core.notebook import card
from splinegraph.errors import ShapeError

if TYPE_CHECKING:
    import networkx
    import pandas
    from matplotlib.axes import Axes

    from splinegraph.analyses.regions.partition.decision import Crossing
    from splinegraph.analyses.regions.partition.location import Located
    from splinegraph.analyses.regions.partition.volumes import Volumes
    from splinegraph.analyses.regions.verify.verification import Verification

__all__ = ["Partition"]

KEEP_ENTRIES = 2**27
"""Entries of all cells' maps that are kept once made (1 GiB)."""

MIXED = 16
"""Outputs beyond which maps are compared through this many random combinations of them: different maps then
have different combinations with probability one."""


@dataclass(frozen=True, eq=False)
class Partition:
    """The activation cells of a network on a domain; made by `splinegraph.enumerate_regions`.

    Parameters
    ----------
    graph : SplineGraph
    chart : Chart
        The domain in its D free coordinates, in which points, maps and inequalities of cells are given.
    domain : Box, Plane, Segment, Polytope, tuple of them or None
        As the user gave it; None after loading.
    layers : tuple of Layer
        The switching operators and where their codes lie.
    cells : Cells
        Codes, interior points and radii, N of each.
    mesh : Mesh or None
        The faces, for D = 2.
    complete : bool
        Whether every cell of the domain was found, as far as the method can tell; see `verified`.
    left : tuple
        What is left to do if it is not complete.
    seconds : float
        Time of the enumeration.
    method : str
    notes : tuple of str
        What a user should know.
    provenance : Provenance
    verified : Verification or None
        Which checks ran and passed; None if none ran.

    Notes
    -----
    Everything beyond codes and points is worked out when it is first asked for, and kept.
    """

    graph: SplineGraph
    chart: Chart
    domain: Any
    layers: tuple[Layer, ...]
    cells: Cells
    mesh: Mesh | None
    complete: bool
    left: tuple[Any, ...]
    seconds: float
    method: str
    notes: tuple[str, ...]
    provenance: Provenance
    verified: Verification | None = None
    _cache: dict[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def of(
        cls,
        graph: SplineGraph,
        chart: Chart,
        domain: Any,
        layers: Sequence[Layer],
        cells: Cells,
        mesh: Mesh | None = None,
        *,
        complete: bool = True,
        left: Sequence[Any] = (),
        seconds: float = 0.0,
        method: str = "",
        notes: Sequence[str] = (),
        seed: int = 0,
        **settings: Any,
    ) -> Partition:
        """Return the partition of what an enumeration found; `settings` go into the provenance."""
        provenance = Provenance.of(graph, dtype=torch.float64, seed=seed, method=method, **settings)
        return cls(
            graph, chart, domain, tuple(layers), cells, mesh, complete, tuple(left), seconds, method, tuple(notes),
            provenance,
        )  # fmt: skip

    def replace(self, **changes: Any) -> Partition:
        """Return the same partition with other fields; what was worked out is kept unless cells change."""
        if changes.keys() & {"cells", "mesh", "graph", "chart", "layers"}:
            changes.setdefault("_cache", {})
            changes.setdefault("verified", None)
        return dataclasses.replace(self, **changes)

    # the cells

    def __len__(self) -> int:
        return len(self.cells)

    def __iter__(self) -> Iterator[Cell]:
        return (self.cell(i) for i in range(len(self)))

    def __repr__(self) -> str:
        state = "complete" if self.complete else f"incomplete, {len(self.left)} tasks left"
        checks = "not verified" if self.verified is None else self.verified.summary
        checks += ", stale" if self.stale else ""
        return f"<Partition of {self.graph.name}: {self.count} cells, D = {self.dim}, {state}, {checks}>"

    def _repr_html_(self) -> str:
        from splinegraph.analyses.regions.figures.plot import thumbnail

        return card(self, picture=thumbnail(self))

    @property
    def dim(self) -> int:
        """D, the number of free coordinates of the domain."""
        return self.chart.dim

    @property
    def count(self) -> int:
        """Number of activation cells: cells with one activation pattern each."""
        return len(self.cells)

    @kept
    def maximal_count(self) -> int:
        """Count maximal linear regions: neighboring cells with the same affine map are one.

        Maps are the same if they differ by less than `tolerances.SAME_MAP`, relative to the larger.
        """
        labels = self.linear_region
        return int(labels.max()) + 1 if len(labels) else 0

    @property
    def stale(self) -> bool:
        """Whether the network's weights have changed since: maps and outputs would be those of another one."""
        return self.provenance.weights.stale

    @property
    def packed(self) -> Bytes:
        """Codes, shape (N, bytes)."""
        return self.cells.packed

    @property
    def points(self) -> Floats:
        """Interior points in the chart's coordinates, shape (N, D)."""
        return self.cells.points

    @property
    def radii(self) -> Floats:
        """Radius of a ball around each point inside its cell, shape (N,); nan where not worked out."""
        return self.cells.radii

    @property
    def codes(self) -> ActivationPattern:
        """The activation patterns of all cells."""
        return ActivationPattern(self.layers, self.packed)

    def inputs(self, rows: Any = slice(None)) -> Any:
        """Return the interior points of some cells as inputs of the network, (N, *in), a tuple if several."""
        xs = self.chart.lift(torch.from_numpy(np.atleast_2d(self.points[rows])))
        return xs[0] if len(xs) == 1 else xs

    def cell(self, i: int) -> Cell:
        """Return one cell."""
        if not -len(self) <= i < len(self):
            raise IndexError(f"cell {i} of {len(self)}")
        return Cell(self, int(i) % len(self))

    @kept
    def index(self) -> CodeIndex:
        """Index the cells by their codes."""
        return CodeIndex(self.packed)

    # what the network does on them

    def affine_maps(self, rows: Any = slice(None)) -> Maps:
        """Return f(t) = A t + b of some cells, in the chart's coordinates: A (N, out, D), b (N, out).

        Notes
        -----
        D + 1 columns a cell through the pieces that its code names. Those of all cells are kept if they take
        less than 1 GiB. To go back to inputs: x = origin + t @ directions, see `Chart`.
        """
        maps: Maps | None = self._cache.get("maps")
        if maps is not None:
            return Maps(maps.A[rows], maps.b[rows])
        whole = isinstance(rows, slice) and rows == slice(None)
        if not whole or len(self) * self._out * (self.dim + 1) > KEEP_ENTRIES:
            return maps_of(self.graph, self.chart, self.layers, self.cells[rows])
        maps = self._cache["maps"] = maps_of(self.graph, self.chart, self.layers, self.cells)
        return maps

    def map_norms(self, norm: float = 2) -> Floats:
        """Return the norm of A on every cell that the vector norm 1, 2 or inf induces, shape (N,)."""
        if len(self) * self._out * (self.dim + 1) <= KEEP_ENTRIES:
            return norms_of(self.affine_maps().A, norm)
        step = max(1, KEEP_ENTRIES // (8 * self._out * (self.dim + 1)))
        parts = [norms_of(self.affine_maps(slice(i, i + step)).A, norm) for i in range(0, len(self), step)]
        return np.concatenate(parts)

    def outputs(self) -> Floats:
        """Return the network's outputs at the interior points, flattened, shape (N, out)."""
        if "outputs" not in self._cache:
            self._cache["outputs"] = evaluate(self.graph, self.chart, self.points)
        return np.asarray(self._cache["outputs"])

    def classes(self) -> NDArray[np.int64]:
        """Return the class at each interior point: the largest output; of a single one, whether it is positive."""
        self._one_output("classes")
        return classes_of(self.outputs())

    # how they touch

    @kept
    def adjacency(self) -> Adjacency:
        """Return which cells share a facet."""
        from splinegraph.analyses.regions.partition.facets import adjacency_of

        return adjacency_of(self)

    @kept
    def linear_region(self) -> NDArray[np.int64]:
        """Return the maximal linear region of each cell, numbered by first cells, shape (N,)."""
        from splinegraph.analyses.regions.partition.regions import linear_regions, same_map

        same = same_map(self._comparable_maps(), self.points, self.extent, self.adjacency.pairs)
        return linear_regions(len(self), self.adjacency, same)

    def dual_graph(self) -> networkx.Graph[int]:
        """Return the graph of cells and shared facets, with scalar attributes that graph files can hold.

        Returns
        -------
        networkx.Graph
            Vertices are the numbers of cells, with `class`, `radius`, `volume` (D = 1, 2), `linear_region`
            and a point; edges say which `nodes` and `units` flip, how many (`flips`), whether the `map`
            changes, and the facet's `length` for D = 2. Sides of the domain are no edges.
        """
        from splinegraph.analyses.regions.partition.dual import dual_graph

        return dual_graph(self)

    # where things are

    def locate(self, *inputs: Tensor) -> Located:
        """Return the cells of inputs (B, *in): -1 outside of the domain or where no known cell is.

        Notes
        -----
        By code. An input on a boundary between cells is said to be so, and belongs to one of them. One that
        holds NaN or infinite values is outside.
        """
        from splinegraph.analyses.regions.partition.location import locate

        return locate(self, inputs)

    def volumes(self, *, samples: int | None = None, seed: int = 0) -> Volumes:
        """Return the volume of each cell in the chart's coordinates, with its error."""
        from splinegraph.analyses.regions.partition.volumes import volumes_of

        return volumes_of(self, samples=samples, seed=seed)

    def boundary_cells(self, c1: int, c2: int) -> Crossing:
        """Return the cells in which the classes c1 and c2 meet: f[c1] = f[c2] >= all other outputs.

        Returns
        -------
        Crossing
            The cells, and for D = 2 the segments, shape (S, 2, 2), in the chart's coordinates.

        Raises
        ------
        SplineGraphError
            If there are no such classes, or the network is not continuous: classes then also change where it
            jumps, without a tie.
        """
        from splinegraph.analyses.regions.partition.decision import crossing

        self._one_output("boundary_cells")
        return crossing(self, c1, c2)

    def decision_boundary(self) -> dict[tuple[int, int], Crossing]:
        """Return `boundary_cells` of all pairs of classes that meet somewhere."""
        from splinegraph.analyses.regions.partition.decision import decision_boundary

        self._one_output("decision_boundary")
        return decision_boundary(self)

    # other forms

    def plot(self, ax: Axes | None = None, *, color: Literal["class", "norm", "region"] = "class", **more: Any) -> Axes:
        """Draw the cells of D = 1 or 2; `more` as in `figures.plot.plot_partition`."""
        from splinegraph.analyses.regions.figures.plot import plot_partition

        return plot_partition(self, ax, color=color, **more)

    def to_dataframe(self) -> pandas.DataFrame:
        """Return one row per cell."""
        from splinegraph.analyses.regions.partition.tables import to_dataframe

        return to_dataframe(self)

    def to_sympy(self) -> Any:
        """Return the network on the domain as exact symbolic expressions; for small partitions.

        See Also
        --------
        splinegraph.analyses.regions.partition.symbolic.to_sympy
        """
        from splinegraph.analyses.regions.partition.symbolic import to_sympy

        return to_sympy(self)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe summary."""
        from splinegraph.analyses.regions.partition.tables import summary

        return summary(self)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write everything into one Parquet file, one row per cell."""
        from splinegraph.analyses.regions.partition.storage import save

        return save(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str], graph: SplineGraph) -> Partition:
        """Read what `save` wrote; a file of other weights is refused."""
        from splinegraph.analyses.regions.partition.storage import load

        return load(path, graph)

    # helpers that the modules beside this one share

    @kept
    def extent(self) -> Floats:
        """Size of the domain in each coordinate, shape (D,)."""
        size = (self.chart.upper - self.chart.lower).numpy()
        spread = np.ptp(self.points, axis=0) if len(self) else np.ones(self.dim)
        return np.where(np.isfinite(size), size, spread)

    @property
    def _out(self) -> int:
        return sum(math.prod(shape) for shape in self.graph.output_shapes)

    def _comparable_maps(self) -> Maps:
        """Return the maps, or random combinations of their outputs where there are many of them."""
        if self._out <= MIXED:
            return self.affine_maps()
        mix = np.random.default_rng(0).standard_normal((MIXED, self._out))
        return maps_of(self.graph, self.chart, self.layers, self.cells, mix=mix)

    def _one_output(self, what: str) -> None:
        if len(self.graph.outputs) > 1:
            raise ShapeError(f"{what} needs a graph with one output", remedy="choose one with graph.output(i)")
