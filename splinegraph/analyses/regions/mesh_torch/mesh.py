"""The exact partition of a polygon of inputs into the faces of a mesh, on any device that torch knows."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from splinegraph.analyses.codes import Layer
from splinegraph.analyses.packing import Bytes, pack
from splinegraph.analyses.regions.cells import Cells
from splinegraph.analyses.regions.mesh.cutting import Exceeded
from splinegraph.analyses.regions.mesh.mesh import Doubt, MeshResult
from splinegraph.analyses.regions.mesh.polygon import polygon
from splinegraph.analyses.regions.mesh.stages import Stage, stages
from splinegraph.analyses.regions.mesh_torch.merging import merge
from splinegraph.analyses.regions.mesh_torch.net import Net
from splinegraph.analyses.regions.mesh_torch.result import centers, to_mesh
from splinegraph.analyses.regions.mesh_torch.rounds import cut_all
from splinegraph.analyses.regions.mesh_torch.rules import BreaksRule, ContestRule
from splinegraph.analyses.regions.mesh_torch.values import Values
from splinegraph.analyses.regions.tolerances import ON_BOUNDARY, blur
from splinegraph.core.domains.chart import Chart
from splinegraph.core.graph import SplineGraph
from splinegraph.core.switching import Breaks
from splinegraph.errors import DomainError, ParameterError

__all__ = ["mesh_torch"]


def mesh_torch(
    graph: SplineGraph,
    chart: Chart,
    *,
    layers: Sequence[Layer],
    limit: int | None = None,
    deadline: float | None = None,
    device: torch.device | str | None = None,
) -> MeshResult:
    """Return the partition of a domain with two free coordinates as a mesh, worked out by torch alone.

    Parameters
    ----------
    graph : SplineGraph
        Continuous and piecewise affine up to its last switching node.
    chart : Chart
        Bounded, of two free coordinates.
    layers : sequence of Layer
        Where the codes go; of `code_layers(graph)`.
    limit : int, optional
        Most faces.
    deadline : float, optional
        Of `time.monotonic`.
    device : torch.device or str, optional
        Where to work; default 'cpu'. It needs float64.

    Returns
    -------
    MeshResult
        The same as that of `splinegraph.analyses.regions.mesh.mesh`, faces in another order.

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
    Edges are subdivided as in [1]_, but every face is cut by a line of its own at the same time, so that the number
    of steps grows with the logarithm of the width, not with the width, and no step is small. Memory: the values
    that are needed later, of all vertices, twice while they grow.

    References
    ----------
    .. [1] A. Berzins, "Polyhedral Complex Extraction from ReLU Networks using Edge Subdivision", ICML 2023.
    """
    if chart.dim != 2:
        raise DomainError(f"the domain has {chart.dim} free coordinates", remedy="a mesh needs two")
    started = time.monotonic()
    where = torch.device("cpu" if device is None else device)
    with torch.no_grad():
        making = _Making(graph, chart, layers, limit, deadline, where)
        for stage in stages(graph, layers):
            making.run(stage)
        return making.result(started)


class _Making:
    """A mesh on the way from one face to the cells of all switching nodes."""

    def __init__(
        self,
        graph: SplineGraph,
        chart: Chart,
        layers: Sequence[Layer],
        limit: int | None,
        deadline: float | None,
        device: torch.device,
    ) -> None:
        self.layers = {layer.name: layer for layer in layers}
        self.limit, self.deadline, self.tolerance = limit, deadline, ON_BOUNDARY * blur(chart)
        self.net = Net(torch.from_numpy(polygon(chart)).to(device))
        self.values = Values(graph, chart, device)
        self.passes: list[tuple[Layer, Tensor, Bytes, Tensor]] = []
        self.stats: dict[str, Any] = {"faces": {}}

    def run(self, stage: Stage) -> None:
        """Cut all faces where the units of one node switch."""
        self._look(stage)
        self.values.run(stage, self.net.x.all)
        name, net = stage.node.name, self.net
        rows = [self.values.kept[arg] for arg in stage.node.args]
        if not all(math.isfinite(float(r.sum())) or bool(r.isfinite().all()) for r in rows):
            raise ParameterError(
                "a value is NaN or infinite",
                where=stage.node.where,
                remedy="look for such weights, or for a huge domain",
            )
        net.begin()
        if isinstance(stage.switching, Breaks):
            codes, odd = self._breaks(stage, rows[0])
        else:
            codes, odd = self._contest(stage, torch.cat(rows, 1))
        for old in stage.after:
            del self.values.kept[old]
        self.values.extend(net.cuts)
        used = net.used()
        if not bool(used.all()):
            net.keep_vertices(used)
            self.values.keep(used)
        layer = self.layers[name]
        self.passes.append((layer, net.root.all, pack(codes, layer.bits), odd))
        self.stats["faces"][name] = net.faces

    def _breaks(self, stage: Stage, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Cut where units meet breakpoints; return the codes of the faces, and which faces were odd."""
        assert isinstance(stage.switching, Breaks)
        rule = BreaksRule(stage.switching, rows, self.tolerance)
        odd = cut_all(self.net, rule, lambda: self._look(stage))
        if stage.node.args[0] in self.values.kept:
            self.values.kept[stage.node.args[0]] = rule.values.all
        return rule.codes(self.net), odd

    def _contest(self, stage: Stage, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Cut where winners change, one rank after the other, and join what has the same winners."""
        assert not isinstance(stage.switching, Breaks)
        sizes = [self.values.kept[arg].shape[1] for arg in stage.node.args]
        rule = ContestRule(stage.switching, sizes, rows, self.tolerance)
        odd = []
        for rank in range(len(rule.ranks)):
            rule.begin(self.net, rank)
            odd.append(cut_all(self.net, rule, lambda: self._look(stage)))
        return merge(self.net, rule.codes(self.net)), torch.cat(odd).unique()

    def _look(self, stage: Stage) -> None:
        """Raise if there are too many faces, or no time is left."""
        if self.limit is not None and self.net.faces > self.limit:
            raise Exceeded("limit", self.net.faces, stage.node.name)
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise Exceeded("deadline", self.net.faces, stage.node.name)

    def result(self, started: float) -> MeshResult:
        """Return the mesh with the codes of its faces."""
        self.values.kept.clear()
        mesh = to_mesh(self.net)
        points, radii, areas = centers(mesh)
        now, parts, doubts = torch.arange(self.net.faces), [], []
        for layer, root, packed, odd in reversed(self.passes):
            parts.append(torch.from_numpy(packed)[now])
            now = root.cpu()[now]
            doubts += [Doubt(layer.name, (now == face).nonzero()[:, 0].numpy()) for face in odd.cpu()]
        codes = torch.cat([torch.zeros(self.net.faces, 0, dtype=torch.uint8), *reversed(parts)], 1)
        cells = Cells(codes.numpy(), points.numpy(), radii.numpy())
        stats = {**self.stats, "seconds": time.monotonic() - started}
        return MeshResult(mesh, cells, areas.numpy(), len(doubts), tuple(doubts), stats)
