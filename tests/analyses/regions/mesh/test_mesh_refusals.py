"""What ends a mesh, what it refuses, and that the checks of these tests can fail."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from splinegraph.analyses.regions.cells import Cells, Mesh, code_layers
from splinegraph.analyses.regions.mesh.mesh import Exceeded, MeshResult, mesh
from splinegraph.analyses.regions.mesh.stages import Stage
from splinegraph.analyses.regions.mesh.values import Values
from splinegraph.core.domains.chart import Chart, chart_of
from splinegraph.core.values import Box
from splinegraph.errors import DomainError, ParameterError, UnsupportedOperatorError
from tests.analyses.regions.mesh.oracles import SQUARE, assert_exact, graph_of, linear, mlp, run


def test_more_faces_than_the_limit() -> None:
    graph = graph_of(mlp(2, 32, 32, 32, 1))
    with pytest.raises(Exceeded) as caught:
        mesh(graph, chart_of(graph, SQUARE), layers=code_layers(graph), limit=300)
    assert caught.value.why == "limit"
    assert caught.value.faces > 300
    assert caught.value.layer in [layer.name for layer in code_layers(graph)]
    assert len(mesh(graph, chart_of(graph, SQUARE), layers=code_layers(graph), limit=1180).mesh) == 1180
    with pytest.raises(Exceeded):
        mesh(graph, chart_of(graph, SQUARE), layers=code_layers(graph), limit=1179)


def test_the_limit_is_looked_at_inside_of_a_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("splinegraph.analyses.regions.mesh.cutting.STEPS", 50)
    graph = graph_of(mlp(2, 200, 1))
    with pytest.raises(Exceeded) as caught:
        mesh(graph, chart_of(graph, SQUARE), layers=code_layers(graph), limit=500)
    assert 500 < caught.value.faces <= 551


def test_a_deadline_that_has_passed() -> None:
    graph = graph_of(mlp(2, 8, 1))
    with pytest.raises(Exceeded, match="deadline"):
        mesh(graph, chart_of(graph, SQUARE), layers=code_layers(graph), deadline=time.monotonic() - 1)


def test_pauses_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(2, 24), nn.Linear(6, 9)

        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(self.b(torch.relu(self.a(x)).reshape(-1, 6, 4).amax(2)))

    torch.manual_seed(0)
    net = Both()
    whole = run(net)[2]
    monkeypatch.setattr("splinegraph.analyses.regions.mesh.cutting.STEPS", 3)
    monkeypatch.setattr("splinegraph.analyses.regions.mesh.values.SPARE", 3)
    monkeypatch.setattr("splinegraph.analyses.regions.mesh.net.SPACE", 4)
    graph, chart, result = run(net)
    assert_exact(graph, chart, result)
    assert (result.cells.packed == whole.cells.packed).all()
    assert (result.mesh.vertices == whole.mesh.vertices).all()


@pytest.mark.parametrize("net", [(nn.Tanh(), nn.ReLU()), (nn.Hardshrink(), nn.ReLU()), (nn.ReLU(), nn.Sigmoid())])
def test_nodes_that_are_not_piecewise_affine_or_not_continuous(net: tuple[nn.Module, ...]) -> None:
    graph = graph_of(nn.Sequential(nn.Linear(2, 3), *net))
    with pytest.raises(UnsupportedOperatorError, match=r"is not (continuous|piecewise affine) at node"):
        mesh(graph, chart_of(graph, SQUARE), layers=code_layers(graph))


def test_weights_that_are_not_finite() -> None:
    net = mlp(2, 4, 1)
    graph = graph_of(net)
    layers = code_layers(graph)
    assert isinstance(net[0], nn.Linear)
    net[0].weight.data[1, 0] = torch.nan
    with pytest.raises(ParameterError, match="NaN or infinite at node"):
        mesh(graph, chart_of(graph, SQUARE), layers=layers)


def test_domains_that_are_no_polygon() -> None:
    graph = graph_of(mlp(2, 4, 1))
    layers = code_layers(graph)
    one, zero = torch.ones(2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    for box in (Box(-one, torch.inf * one), Box(torch.stack([-one[0], one[1]]), one)):
        with pytest.raises(DomainError):
            mesh(graph, chart_of(graph, box), layers=layers)
    for G, h in (([[1.0, 0.0], [-1.0, 0.0]], [0.0, 0.0]), ([[1.0, 0.0]], [-2.0])):
        rows = torch.tensor(G, dtype=torch.float64), torch.tensor(h, dtype=torch.float64)
        chart = Chart(((2,),), zero, -one, one, index=torch.arange(2), G=rows[0], h=rows[1])
        with pytest.raises(DomainError, match="no interior"):
            mesh(graph, chart, layers=layers)


def test_a_face_that_a_line_crosses_more_than_twice_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def saddle(self: Values, stage: Stage, x: np.ndarray) -> None:
        """Give values that no affine function has: + - + - around the square."""
        self.kept[stage.node.args[0]] = np.concatenate([np.array([[1.0], [-1.0], [1.0], [-1.0]]), np.zeros((60, 1))])

    monkeypatch.setattr(Values, "run", saddle)
    _, _, result = run(nn.Sequential(nn.Linear(2, 1), nn.ReLU(), nn.Linear(1, 1)))
    assert result.anomalies > 0
    assert [doubt.layer for doubt in result.doubts] == ["relu"]
    assert result.doubts[0].faces.tolist() == list(range(len(result.mesh)))
    assert result.mesh.euler == 1


# planted faults: each must be caught


def forget_a_cut(result: MeshResult) -> MeshResult:
    """Merge two neighbors into one face."""
    m = result.mesh
    f, g = next((f, g) for f, g in m.edge_faces if g >= 0)
    keep = np.arange(len(m)) != g
    loops = [m.corners[m.offsets[i] : m.offsets[i + 1]].tolist() for i in range(len(m))]
    shared = [set(e) for e, s in zip(m.edges.tolist(), m.edge_faces.tolist(), strict=True) if set(s) == {f, g}]
    a, b = loops[f], loops[g]
    while {a[-1], a[0]} not in shared:
        a = a[1:] + a[:1]
    while {b[-1], b[0]} not in shared:
        b = b[1:] + b[:1]
    loops[f] = a + b[1:-1]
    loops = [loop for loop, k in zip(loops, keep, strict=True) if k]
    number = np.cumsum(keep) - 1
    sides = m.edge_faces[[set(s) != {f, g} for s in m.edge_faces.tolist()]]
    edges = m.edges[[set(s) != {f, g} for s in m.edge_faces.tolist()]]
    sides = np.where(sides == g, f, sides)
    new = Mesh(
        m.vertices,
        np.cumsum([0, *map(len, loops)]),
        np.array([v for loop in loops for v in loop], dtype=np.int32),
        edges,
        np.where(sides >= 0, number[sides], -1).astype(np.int32),
    )
    areas = result.areas.copy()
    areas[f] += areas[g]
    return dataclasses.replace(result, mesh=new, cells=result.cells[keep], areas=areas[keep])


def flip_a_bit(result: MeshResult) -> MeshResult:
    packed = result.cells.packed.copy()
    packed[3, 0] ^= 16
    return dataclasses.replace(result, cells=Cells(packed, result.cells.points, result.cells.radii))


def move_a_vertex(result: MeshResult) -> MeshResult:
    vertices = result.mesh.vertices.copy()
    inner = np.flatnonzero((np.abs(vertices) < 0.9).all(1))[0]
    vertices[inner] += 1e-3
    return dataclasses.replace(result, mesh=dataclasses.replace(result.mesh, vertices=vertices))


def drop_a_face(result: MeshResult) -> MeshResult:
    m = result.mesh
    corners = m.corners[: m.offsets[-2]]
    sides = np.where(m.edge_faces == len(m) - 1, -1, m.edge_faces)
    new = Mesh(m.vertices, m.offsets[:-1], corners, m.edges, sides)
    return dataclasses.replace(result, mesh=new, cells=result.cells[:-1], areas=result.areas[:-1])


@pytest.mark.parametrize("fault", [forget_a_cut, flip_a_bit, move_a_vertex, drop_a_face])
def test_faults_are_caught(fault: Callable[[MeshResult], MeshResult]) -> None:
    graph, chart, result = run(mlp(2, 16, 16, 1))
    assert_exact(graph, chart, result)
    with pytest.raises(AssertionError):
        assert_exact(graph, chart, fault(result))


def test_a_tolerance_of_zero_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    angle = torch.linspace(0, 3.0, 40, dtype=torch.float64)
    weight = torch.stack([angle.cos(), angle.sin()], 1)
    point = torch.tensor([0.3, -0.21], dtype=torch.float64)
    net = nn.Sequential(linear(weight.tolist(), (-weight @ point).tolist()), nn.ReLU())
    assert len(run(net)[2].mesh) == 80
    monkeypatch.setattr("splinegraph.analyses.regions.mesh.cutting.ON_BOUNDARY", 0.0)
    assert len(run(net)[2].mesh) > 80
