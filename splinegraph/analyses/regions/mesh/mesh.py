"""The exact partition of a polygon of inputs into the faces of a mesh."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from splinegraph.analyses.codes import Layer
from splinegraph.analyses.regions.cells import Cells, Mesh
from splinegraph.analyses.regions.mesh.cutting import Cutting, Exceeded
from splinegraph.analyses.regions.mesh.net import ANOMALIES
from splinegraph.analyses.regions.mesh.polygon import polygon
from splinegraph.analyses.regions.mesh.stages import stages
from splinegraph.core.domains.chart import Chart
from splinegraph.core.graph import SplineGraph
from splinegraph.errors import DomainError

__all__ = ["Doubt", "Exceeded", "MeshResult", "mesh"]


@dataclass(frozen=True, eq=False)
class Doubt:
    """A face that was odd when it was cut.

    Parameters
    ----------
    layer : str
        The switching node whose units cut it.
    faces : array of int64
        The faces that it has become.
    """

    layer: str
    faces: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class MeshResult:
    """The mesh of a polygon, and the cells that its faces are.

    Parameters
    ----------
    mesh : Mesh
    cells : Cells
    areas : array of float64, shape (F,)
    anomalies : int
        How often the zero line of a condition did not cross a face just twice.
    doubts : tuple of Doubt
        Where this was.
    stats : dict
        What it took: faces after each layer, the most vertices and the most bytes kept at a time.
    """

    mesh: Mesh
    cells: Cells
    areas: NDArray[np.float64]
    anomalies: int = 0
    doubts: tuple[Doubt, ...] = ()
    stats: dict[str, Any] = field(default_factory=dict)


def mesh(
    graph: SplineGraph,
    chart: Chart,
    *,
    layers: Sequence[Layer],
    limit: int | None = None,
    deadline: float | None = None,
) -> MeshResult:
    """Return the partition of a domain with two free coordinates as a mesh.

    Parameters
    ----------
    graph : SplineGraph
        Continuous and piecewise affine.
    chart : Chart
        Bounded, of two free coordinates.
    layers : sequence of Layer
        Where the codes go; of `code_layers(graph)`.
    limit : int, optional
        Most faces.
    deadline : float, optional
        Of `time.monotonic`.

    Returns
    -------
    MeshResult
        Its codes are laid out as those of `splinegraph.codes`.

    Raises
    ------
    UnsupportedOperatorError
        If a node is not piecewise affine or not continuous.
    DomainError
        If the domain is unbounded, has no interior, or not two free coordinates.
    Exceeded
        If there are more than `limit` faces, or the deadline has passed.

    Notes
    -----
    A continuous piecewise affine function is known on a mesh by its values at the vertices: one forward pass of
    each operator over about as many points as there are faces, then a few word operations per face and 64 units,
    and a row of values per cut. Memory: the values that are needed later, of all vertices.

    References
    ----------
    .. [1] R. Balestriero and R. Baraniuk, "A Spline Theory of Deep Learning", 2017, Def 2-5 and Eq 25-30.
    .. [2] A. I. Humayun et al., "SplineCam: Exact Visualization and Characterization of Deep Network Geometry and
       Decision Boundaries", CVPR 2023.
    """
    if chart.dim != 2:
        raise DomainError(f"the domain has {chart.dim} free coordinates", remedy="a mesh needs two")
    started = time.monotonic()
    with torch.no_grad():
        cutting = Cutting(graph, chart, layers, polygon(chart), limit, deadline)
        for stage in stages(graph, layers):
            cutting.run(stage)
        cutting.look("the end")
    return _result(cutting, started)


def _result(cutting: Cutting, started: float) -> MeshResult:
    from splinegraph.analyses.regions.kernels.faces import centers
    from splinegraph.analyses.regions.mesh.kernels.faces import edges, loops

    cutting.values.kept.clear()
    net = cutting.net
    offsets, corners, vertices = loops(*net)
    ends, sides = edges(net.half, net.ends, net.number)
    points, radii, areas = centers(vertices, offsets, corners)
    packed, doubts = cutting.codes()
    found = tuple(Doubt(name, faces) for name, faces in doubts)
    stats = {**cutting.stats, "seconds": time.monotonic() - started}
    return MeshResult(
        Mesh(vertices, offsets, corners, ends, sides),
        Cells(packed, points, radii),
        areas,
        int(net.number[ANOMALIES]),
        found,
        stats,
    )
