"""Cells found depth-first, against the mesh, forward passes, and themselves in parts."""

from __future__ import annotations

import functools
import hashlib
import itertools
import time
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.analyses.regions.cells import code_layers
from splinegraph.analyses.regions.mesh.mesh import mesh
from splinegraph.analyses.regions.stream.level import Leaf, Level
from splinegraph.analyses.regions.stream.result import StreamResult
from splinegraph.analyses.regions.stream.stream import stream
from splinegraph.core.domains.chart import Chart, chart_of
from splinegraph.errors import DomainError, UnsupportedOperatorError
from tests import zoo
from tests.analyses.regions.nets import DEGENERATE, FAMILIES, degenerate, family, mlp

SQUARE = sg.Box(torch.full((2,), -1.0), torch.full((2,), 1.0))


def plane(graph: sg.SplineGraph, extent: float = 2.0) -> Chart:
    """Return a plane through all inputs of a graph."""
    generator = torch.Generator().manual_seed(0)
    entries = sum(int(np.prod(shape)) for shape in graph.input_shapes)
    origin = 0.3 * torch.randn(entries, generator=generator, dtype=torch.float64)
    directions = torch.linalg.qr(torch.randn(entries, 2, generator=generator, dtype=torch.float64))[0].T
    half = torch.full((2,), extent, dtype=torch.float64)
    return Chart(graph.input_shapes, origin, -half, half, directions=directions)


def keys(rows: np.ndarray) -> set[bytes]:
    return {row.tobytes() for row in np.ascontiguousarray(rows)}


def graph_of(net: nn.Module) -> sg.SplineGraph:
    return sg.trace(net, torch.zeros(1, 2, dtype=torch.float64))


def check(graph: sg.SplineGraph, chart: Chart, found: StreamResult) -> None:
    """Codes are those of forward passes, no two alike, and the polygons cover the domain once."""
    assert found.complete
    assert len(keys(found.cells.packed)) == len(found)
    assert np.array_equal(sg.codes(graph, *chart.lift(torch.from_numpy(found.cells.points))).packed, found.cells.packed)
    assert found.covered == pytest.approx(found.area, rel=1e-9)
    assert found.stats["unplaced"] == 0
    assert np.all(found.cells.radii > 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", zoo.EXACT)
def test_every_kind_of_network(name: str) -> None:
    graph = zoo.graph(name)
    chart = plane(graph)
    found = stream(graph, chart)
    if zoo.ZOO[name].switches:
        check(graph, chart, found)
        points = torch.rand(2000, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 4 - 2
        assert keys(sg.codes(graph, *chart.lift(points)).packed) <= keys(found.cells.packed)
    else:
        assert len(found) == 1
        assert found.covered == pytest.approx(16)


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        *((name, None) for name in FAMILIES),
        *zip(FAMILIES, itertools.cycle(DEGENERATE), strict=False),
        *itertools.product(["relu", "pooled"], DEGENERATE),
    ],
)
def test_the_mesh_has_the_same_cells(name: str, spoil: str | None) -> None:
    net = family(name, 2, 6, seed=1)
    graph = graph_of(net if spoil is None else degenerate(net, spoil, seed=1))
    chart = chart_of(graph, SQUARE)
    found = stream(graph, chart)
    assert keys(found.cells.packed) == keys(mesh(graph, chart, layers=code_layers(graph)).cells.packed)
    assert len(found) == len(keys(found.cells.packed))


def test_a_known_count() -> None:
    graph = graph_of(mlp(2, 64, 64, 64, 1, seed=0))
    assert len(stream(graph, chart_of(graph, SQUARE))) == 6668


class Convolutional(nn.Module):
    """Strided convolutions, overlapping pooling with padding, a skip, batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
        self.inner = nn.Sequential(nn.Conv2d(4, 4, 3, 1, 1), nn.ReLU(), nn.Conv2d(4, 4, 3, 1, 1))
        self.head = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        z = self.stem(x)
        head: Tensor = self.head(nn.functional.avg_pool2d(torch.relu(z + self.inner(z)), 2).flatten(1))
        return head


@functools.cache
def convolutional() -> sg.SplineGraph:
    torch.manual_seed(0)
    return sg.trace(Convolutional().double().eval(), torch.zeros(1, 1, 16, 16, dtype=torch.float64))


def test_convolutions_with_a_skip_agree_with_the_mesh() -> None:
    graph = convolutional()
    chart = plane(graph, 0.3)
    found = stream(graph, chart)
    assert len(found) > 100
    check(graph, chart, found)
    assert keys(found.cells.packed) == keys(mesh(graph, chart, layers=code_layers(graph)).cells.packed)


@pytest.mark.parametrize("limit", [1, 7, 40])
def test_parts_make_up_the_whole(limit: int) -> None:
    graph = convolutional()
    chart = plane(graph, 0.2)
    whole = stream(graph, chart)
    parts = [stream(graph, chart, limit=limit)]
    while not parts[-1].complete:
        assert len(parts[-1]) == limit
        assert parts[-1].lost == pytest.approx(0, abs=1e-12)
        parts.append(stream(graph, chart, limit=limit, tasks=parts[-1].left))
    assert len(parts) == -(-len(whole) // limit)
    hashes = np.concatenate([part.hashes for part in parts])
    assert np.array_equal(hashes, whole.hashes)
    assert sum(part.covered for part in parts) == pytest.approx(whole.area)


def test_memory_changes_nothing_but_batches() -> None:
    graph = convolutional()
    chart = plane(graph, 0.2)
    one, many = stream(graph, chart, memory=1), stream(graph, chart)
    assert {bytes(h) for h in one.hashes} == {bytes(h) for h in many.hashes}
    assert one.stats["faces"] == many.stats["faces"]


def test_hashes_are_of_the_packed_codes_whether_these_are_kept_or_not() -> None:
    graph = graph_of(mlp(2, 8, 8, 1, seed=0))
    chart = chart_of(graph, SQUARE)
    kept, dropped = stream(graph, chart), stream(graph, chart, keep_codes=False)
    assert dropped.cells.packed.shape == (len(kept), 0)
    assert np.array_equal(kept.hashes, dropped.hashes)
    digests = [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in kept.cells.packed]
    assert [row.tobytes() for row in kept.hashes] == digests


def test_a_deadline_that_has_passed_leaves_everything() -> None:
    graph = graph_of(mlp(2, 8, 8, 1, seed=0))
    chart = chart_of(graph, SQUARE)
    found = stream(graph, chart, deadline=time.monotonic() - 1)
    assert (len(found), found.complete, found.covered, found.area) == (0, False, 0.0, 4.0)
    assert len(stream(graph, chart, tasks=found.left)) == len(stream(graph, chart))


def test_further_constraints_cut_the_domain() -> None:
    graph = graph_of(mlp(2, 8, 8, 1, seed=0))
    half = torch.ones(2, dtype=torch.float64)
    G, h = torch.tensor([[1.0, 1.0]], dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    chart = Chart(((2,),), torch.zeros(2, dtype=torch.float64), -half, half, torch.arange(2), G=G, h=h)
    found = stream(graph, chart)
    check(graph, chart, found)
    assert found.area == pytest.approx(2)
    assert bool(chart.contains(torch.from_numpy(found.cells.points)).all())
    assert keys(found.cells.packed) < keys(stream(graph, chart_of(graph, SQUARE)).cells.packed)


@pytest.mark.parametrize("width", [1e-9, 1e-6])
def test_slivers(width: float) -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU()).double().eval()
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, width]]))
        net[0].bias.copy_(torch.tensor([0.0, -width, 0.5]))
    graph = graph_of(net)
    found = stream(graph, chart_of(graph, SQUARE))
    assert len(found) == 4
    assert found.cells.radii.min() == pytest.approx(width / 2, rel=1e-6)


def test_tent_maps_fold_deeply() -> None:
    """|2x - 1| composed L times has 2^L pieces on [0, 1]; in two coordinates 4^L cells."""
    depth = 5
    layers: list[nn.Module] = []
    for _ in range(depth):
        linear = nn.Linear(2, 2)
        with torch.no_grad():
            linear.weight.copy_(2 * torch.eye(2))
            linear.bias.copy_(torch.full((2,), -1.0))
        layers += [linear, zoo.Stack(torch.abs)]
    graph = graph_of(nn.Sequential(*layers).double().eval())
    found = stream(graph, chart_of(graph, sg.Box(torch.zeros(2), torch.ones(2))))
    assert len(found) == 4**depth
    assert np.allclose(found.polygons.areas(), 4.0**-depth)


def test_what_is_refused() -> None:
    graph = graph_of(mlp(2, 4, 1, seed=0))
    with pytest.raises(DomainError, match="3 free coordinates"):
        stream(zoo.graph("mlp"), chart_of(zoo.graph("mlp"), sg.Box(-torch.ones(3), torch.ones(3))))
    with pytest.raises(DomainError, match="unbounded"):
        stream(graph, chart_of(graph, sg.Box.everything((2,))))
    with pytest.raises(UnsupportedOperatorError, match="not piecewise affine"):
        stream(zoo.graph("gelu"), plane(zoo.graph("gelu")))


def test_polygons_lost_in_a_level_under_way_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = graph_of(mlp(2, 8, 8, 1, seed=0))
    take, lost, open_ones = Level.take, [0], [0]

    def lossy(self: Level, most: int) -> list[Leaf]:
        self.lost += 1
        lost[0] += 1
        return take(self, most)

    def watch(count: int, so_far: Callable[[], StreamResult]) -> bool:
        found = so_far()
        assert found.stats["unplaced"] == lost[0]
        open_ones[0] += bool(found.left)
        return False

    monkeypatch.setattr("splinegraph.analyses.regions.stream.stream.MOST_FACES", 2)
    monkeypatch.setattr(Level, "take", lossy)
    found = stream(graph, chart_of(graph, SQUARE), watch=watch)
    assert found.stats["unplaced"] == lost[0] > open_ones[0] > 5


def test_the_summary_is_plain() -> None:
    graph = graph_of(mlp(2, 8, 8, 1, seed=0))
    found = stream(graph, chart_of(graph, SQUARE), limit=3)
    assert found.to_dict()["cells"] == 3
    assert "3 cells, " in repr(found)
    assert found.peak_memory > 2**20
