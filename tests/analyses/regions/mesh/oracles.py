"""Other ways to the same answer, and what any mesh must satisfy."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from splinegraph import trace
from splinegraph.analyses.codes import codes
from splinegraph.analyses.regions.cells import code_layers
from splinegraph.analyses.regions.mesh.mesh import MeshResult, mesh
from splinegraph.core.domains.chart import Chart, chart_of
from splinegraph.core.graph import SplineGraph
from splinegraph.core.values import Box

Floats = NDArray[np.float64]

SQUARE = Box(-torch.ones(2, dtype=torch.float64), torch.ones(2, dtype=torch.float64))
UNIT = Box(torch.zeros(2, dtype=torch.float64), torch.ones(2, dtype=torch.float64))


def mlp(*sizes: int, seed: int = 0, act: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    """Return a network with default weights, and no activation behind the last layer."""
    torch.manual_seed(seed)
    modules: list[nn.Module] = []
    for a, b in itertools.pairwise(sizes):
        modules += [nn.Linear(a, b), act()]
    return nn.Sequential(*modules[:-1]).double().eval()


def linear(weight: Sequence[Sequence[float]], bias: Sequence[float] | None = None) -> nn.Linear:
    w = torch.tensor(weight, dtype=torch.float64)
    layer = nn.Linear(w.shape[1], w.shape[0], dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(w)
        layer.bias.copy_(torch.zeros(len(w)) if bias is None else torch.tensor(bias, dtype=torch.float64))
    return layer


def graph_of(net: nn.Module, *shape: int) -> SplineGraph:
    return trace(net.double().eval(), torch.zeros(1, *(shape or (2,)), dtype=torch.float64))


def run(net: nn.Module, on: Box = SQUARE) -> tuple[SplineGraph, Chart, MeshResult]:
    graph = graph_of(net, *on.shape)
    chart = chart_of(graph, on)
    return graph, chart, mesh(graph, chart, layers=code_layers(graph))


def slice_of(shape: Sequence[int], seed: int = 0, extent: float = 1.0) -> Chart:
    """Return a random plane through inputs of the given shape."""
    generator = torch.Generator().manual_seed(seed)
    size = int(np.prod(shape))
    origin = torch.rand(size, generator=generator, dtype=torch.float64)
    directions = torch.randn(2, size, generator=generator, dtype=torch.float64) / size**0.5 * 4
    side = torch.full((2,), extent, dtype=torch.float64)
    return Chart((tuple(shape),), origin, -side, side, directions=directions)


def inside(result: MeshResult, seed: int = 0) -> tuple[Tensor, NDArray[np.int64]]:
    """Return a random point of each face that is not too thin, and the faces."""
    m = result.mesh
    owner = np.repeat(np.arange(len(m)), np.diff(m.offsets))
    weight = np.random.default_rng(seed).exponential(size=len(owner))
    total = np.bincount(owner, weight)
    points = np.stack([np.bincount(owner, weight * m.vertices[m.corners, d]) / total for d in range(2)], 1)
    faces = np.flatnonzero(result.cells.radii > 1e-8)
    return torch.from_numpy(points[faces]), faces


def assert_tiles(chart: Chart, result: MeshResult) -> None:
    """Assert that the faces tile the domain, meet edge to edge, and hold their points."""
    m, side = result.mesh, chart.upper - chart.lower
    assert m.euler == 1
    if not len(chart.h):
        assert abs(result.areas.sum() / float(side.prod()) - 1) < 1e-12
    assert result.areas.min() > 0
    assert np.allclose(m.areas(), result.areas, rtol=1e-6, atol=1e-20)
    # each edge belongs to the loops of its two faces, once each way
    owner = np.repeat(np.arange(len(m)), np.diff(m.offsets))
    following = np.arange(len(m.corners)) + 1
    following[m.offsets[1:] - 1] = m.offsets[:-1]
    around = np.stack([m.corners, m.corners[following], owner], 1)
    inner = m.edge_faces[:, 1] >= 0
    there = np.concatenate([m.edges, m.edge_faces[:, :1]], 1)
    back = np.concatenate([m.edges[inner, ::-1], m.edge_faces[inner, 1:]], 1)
    both = np.concatenate([there, back])
    assert len(both) == len(around)
    assert (both[np.lexsort(both.T)] == around[np.lexsort(around.T)]).all()
    assert (result.cells.radii >= 0).all()
    assert bool(chart.contains(torch.from_numpy(result.cells.points), slack=1e-12).all())


def assert_codes(graph: SplineGraph, chart: Chart, result: MeshResult) -> None:
    """Assert that codes are distinct, and those of the network at two points of each face."""
    assert len(np.unique(result.cells.packed, axis=0)) == len(result.cells)
    thick = np.flatnonzero(result.cells.radii > 1e-12)
    at = codes(graph, *chart.lift(torch.from_numpy(result.cells.points[thick])))
    assert at.layers == code_layers(graph)
    assert (at.packed == result.cells.packed[thick]).all()
    points, faces = inside(result)
    assert (codes(graph, *chart.lift(points)).packed == result.cells.packed[faces]).all()


def assert_members(graph: SplineGraph, chart: Chart, result: MeshResult, count: int = 5_000) -> None:
    """Assert that the codes of random points are all found."""
    u = torch.rand(count, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    t = chart.lower + u * (chart.upper - chart.lower)
    seen = codes(graph, *chart.lift(t[chart.contains(t)])).packed
    assert {bytes(row) for row in seen} <= {bytes(row) for row in result.cells.packed}


def assert_exact(graph: SplineGraph, chart: Chart, result: MeshResult) -> None:
    """Assert all that makes faces cells: they tile, each has one code, no two have the same."""
    assert result.anomalies == 0
    assert not result.doubts
    assert_tiles(chart, result)
    assert_codes(graph, chart, result)
    assert_members(graph, chart, result)


def by_clipping(net: nn.Sequential, on: Box = SQUARE) -> set[tuple[int, ...]]:
    """Return the codes of a ReLU network by clipping a polygon of its own for each cell, in plain floats."""
    (x0, y0), (x1, y1) = on.lower.tolist(), on.upper.tolist()
    square = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
    layers = [(m.weight.detach().numpy(), m.bias.detach().numpy()) for m in net if isinstance(m, nn.Linear)]
    found: set[tuple[int, ...]] = set()

    def descend(polygon: Floats, depth: int, A: Floats, b: Floats, code: tuple[int, ...]) -> None:
        if depth == len(layers) - 1:
            found.add(code)
            return
        W, c = layers[depth]
        rows, offsets = W @ A, W @ b + c
        parts = [(polygon, ())]
        for g, h in zip(rows, offsets, strict=True):
            halves = [(_above(p, s * g, s * h), (*k, bit)) for p, k in parts for s, bit in ((1.0, 1), (-1.0, 0))]
            parts = [(p, k) for p, k in halves if _area(p) > 1e-14]
        for part, bits in parts:
            on_ = np.array(bits, dtype=np.float64)
            descend(part, depth + 1, rows * on_[:, None], offsets * on_, (*code, *bits))

    descend(square, 0, np.eye(2), np.zeros(2), ())
    return found


def _above(polygon: Floats, g: Floats, h: float) -> Floats:
    value, kept = polygon @ g + h, []
    for i in range(len(polygon)):
        j = (i + 1) % len(polygon)
        if value[i] >= 0:
            kept.append(polygon[i])
        if value[i] * value[j] < 0:
            kept.append(polygon[i] + value[i] / (value[i] - value[j]) * (polygon[j] - polygon[i]))
    return np.array(kept).reshape(-1, 2)


def _area(p: Floats) -> float:
    if len(p) < 3:
        return 0.0
    q = p - p[0]
    return float(np.sum(q[:-1, 0] * q[1:, 1] - q[:-1, 1] * q[1:, 0])) / 2


def unpacked(graph: SplineGraph, result: MeshResult) -> set[tuple[int, ...]]:
    """Return the codes of all faces, unit by unit."""
    from splinegraph.analyses.codes import ActivationPattern

    layers = code_layers(graph)
    pattern = ActivationPattern(layers, result.cells.packed)
    columns = torch.cat([pattern.unpack(layer.name).flatten(1).long() for layer in layers], 1)
    return {tuple(row) for row in columns.tolist()}
