"""All kinds of networks, not only sequences of linear layers and ReLU."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from splinegraph import trace
from splinegraph.analyses.codes import ActivationPattern
from splinegraph.analyses.regions.cells import code_layers
from splinegraph.analyses.regions.mesh.mesh import MeshResult, mesh
from splinegraph.core.domains.chart import Chart, chart_of
from splinegraph.core.graph import SplineGraph
from splinegraph.core.values import Box
from tests.analyses.regions.mesh.oracles import SQUARE, assert_exact, graph_of, linear, run, slice_of


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c, self.d = nn.Linear(2, 9), nn.Linear(9, 9), nn.Linear(9, 9), nn.Linear(20, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.a(x))
        k = h + torch.relu(self.b(h))
        k = k + nn.functional.leaky_relu(self.c(k), 0.1)
        return nn.functional.hardtanh(self.d(torch.cat([k, h, x], 1)))


class Sorted(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(2, 6), nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.b(torch.sort(self.a(x), dim=1, descending=True).values))


class Best(nn.Module):
    def __init__(self, largest: bool = True) -> None:
        super().__init__()
        self.a, self.b, self.largest = nn.Linear(2, 10), nn.Linear(3, 5), largest

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.b(torch.topk(self.a(x), 3, dim=1, largest=self.largest).values))


class Maxima(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(2, 12), nn.Linear(2, 12)

    def forward(self, x: Tensor) -> Tensor:
        return torch.maximum(self.a(x), self.b(x)).reshape(-1, 3, 4).amax(1)


class Largest(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.amax(1)


class Unrolled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.RNN(1, 5, nonlinearity="relu", batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.rnn(x[..., None])[0][:, -1]


NETS = {
    "residual": Residual,
    "sort": Sorted,
    "best": Best,
    "worst": lambda: Best(False),
    "maxima": Maxima,
    "recurrent": Unrolled,
    "prelu": lambda: nn.Sequential(nn.Linear(2, 8), nn.PReLU(8), nn.Linear(8, 6), nn.PReLU()),
    "breakpoints": lambda: nn.Sequential(
        nn.Linear(2, 8), nn.Hardtanh(-0.3, 0.4), nn.Linear(8, 8), nn.ReLU6(), nn.Softshrink(0.1)
    ),
    "wide": lambda: nn.Sequential(nn.Linear(2, 6), nn.Threshold(0.1, 0.1), nn.Linear(6, 70), nn.Hardsigmoid()),
}


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("seed", range(2))
def test_networks_of_two_inputs(name: str, seed: int) -> None:
    torch.manual_seed(seed)
    graph, chart, result = run(NETS[name](), Box(-3 * torch.ones(2).double(), 3 * torch.ones(2).double()))
    assert len(result.mesh) > 3
    assert_exact(graph, chart, result)


def convolutional(pool: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(), pool, nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten()
    )


@pytest.mark.parametrize(
    "pool", [nn.MaxPool2d(2), nn.MaxPool2d(3, stride=2, padding=1), nn.AvgPool2d(2)], ids=["max", "overlap", "average"]
)
def test_slices_of_convolutional_networks(pool: nn.Module) -> None:
    graph, chart = graph_of(convolutional(pool), 1, 6, 6), slice_of((1, 6, 6))
    result = mesh(graph, chart, layers=code_layers(graph))
    assert len(result.mesh) > 100
    assert_exact(graph, chart, result)


def test_two_inputs() -> None:
    class Pair(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = nn.Linear(1, 6), nn.Linear(3, 6), nn.Linear(6, 6)

        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return torch.relu(self.c(torch.relu(self.a(x) + self.b(y))))

    torch.manual_seed(0)
    graph = trace(Pair().double().eval(), (torch.zeros(1, 1).double(), torch.zeros(1, 3).double()))
    low, high = torch.tensor([0.5, -1.0, 0.2]).double(), torch.tensor([0.5, 1.0, 0.2]).double()
    chart = chart_of(graph, (Box(torch.tensor([-1.0]).double(), torch.tensor([2.0]).double()), Box(low, high)))
    result = mesh(graph, chart, layers=code_layers(graph))
    assert len(result.mesh) > 5
    assert_exact(graph, chart, result)


def test_a_float32_model_is_meshed_in_float64() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 1)).eval()
    graph = trace(net, torch.zeros(1, 2))
    chart = chart_of(graph, SQUARE)
    result = mesh(graph, chart, layers=code_layers(graph))
    assert len(result.mesh) == 127
    assert_exact(graph, chart, result)


def test_one_sample_at_a_time() -> None:
    graph, chart, batched = run(Residual())
    single = SplineGraph(graph.nodes, graph.inputs, graph.outputs, False, graph.dtype)
    result = mesh(single, chart, layers=code_layers(graph))
    assert (result.cells.packed == batched.cells.packed).all()
    assert np.allclose(result.mesh.vertices, batched.mesh.vertices)


def test_many_vertices_are_worked_out_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, chart, whole = run(Residual())
    monkeypatch.setattr("splinegraph.analyses.regions.mesh.values.CHUNK", 60)
    result = mesh(graph, chart, layers=code_layers(graph))
    assert (result.cells.packed == whole.cells.packed).all()


# maxima: what is a cell, and what is not


def places(graph: SplineGraph, result: MeshResult) -> set[tuple[int, ...]]:
    layers = code_layers(graph)
    return {tuple(c.flatten().tolist()) for c in ActivationPattern(layers, result.cells.packed).unpack(layers[-1].name)}


def test_disjoint_windows_of_a_plane_have_one_cell_per_winner() -> None:
    # the maximum of three directions at 120 degrees: three cells, whatever the order of the losers
    angle = 2 * torch.pi * torch.arange(3, dtype=torch.float64) / 3 + 0.1
    net = nn.Sequential(linear(torch.stack([angle.cos(), angle.sin()], 1).tolist()), Largest())
    graph, chart, result = run(net)
    assert len(result.mesh) == 3
    assert_exact(graph, chart, result)


@pytest.mark.parametrize("width", [5, 9, 70])
def test_a_maximum_has_the_cells_of_its_upper_envelope(width: int) -> None:
    generator = torch.Generator().manual_seed(width)
    weight = torch.randn(width, 2, generator=generator, dtype=torch.float64)
    bias = -0.5 * (weight**2).sum(1)  # a Voronoi diagram: every site that lies in the square has a cell
    graph, chart, result = run(nn.Sequential(linear(weight.tolist(), bias.tolist()), Largest()))
    sites = {(i,) for i in np.flatnonzero((weight.abs() < 1).all(1).numpy())}
    assert sites <= places(graph, result)
    assert len(places(graph, result)) == len(result.mesh)
    assert_exact(graph, chart, result)
    u = torch.rand(20_000, 2, generator=generator, dtype=torch.float64) * 2 - 1
    nearest = torch.cdist(u, weight).argmin(1)
    assert {(int(i),) for i in nearest.unique()} <= places(graph, result)


def test_sorting_four_values_has_all_orders() -> None:
    # the pairwise differences of four points in general position: a braid arrangement cut by a plane
    class Order(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = linear([[1, 0.2], [-0.3, 1], [-0.8, -0.7], [0.1, 0.05]], [0, 0.1, 0.05, 0.3])

        def forward(self, x: Tensor) -> Tensor:
            return torch.sort(self.a(x), dim=1).values

    net = Order()
    graph, chart, result = run(net)
    w, b = net.a.weight.detach().numpy(), net.a.bias.detach().numpy()
    pairs = list(itertools.combinations(range(4), 2))
    lines = nn.Sequential(linear([list(w[i] - w[j]) for i, j in pairs], [b[i] - b[j] for i, j in pairs]), nn.ReLU())
    assert len(result.mesh) == len(run(lines)[2].mesh)
    assert_exact(graph, chart, result)


def test_ties_on_whole_cells_are_no_cut() -> None:
    # behind ReLU whole windows are zero: the order of zeros must not matter
    net = nn.Sequential(linear([[1, 0], [0, 1]]), nn.ReLU(), Largest())
    graph, chart, result = run(net)
    assert places(graph, result) == {(0,), (1,)}
    assert len(result.mesh) == 5
    assert_exact(graph, chart, result)


def test_equal_candidates_count_as_the_first() -> None:
    net = nn.Sequential(linear([[1, 0], [1, 0], [-1, 0], [-1, 0]]), Largest())
    graph, _, result = run(net)
    assert places(graph, result) == {(0,), (2,)}
    assert len(result.mesh) == 2


def test_a_polygon_that_is_no_box() -> None:
    torch.manual_seed(0)
    graph = graph_of(nn.Sequential(nn.Linear(2, 30), nn.ReLU(), nn.Linear(30, 8), nn.ReLU()))
    two = torch.ones(2, dtype=torch.float64)
    G, h = torch.tensor([[1.0, 1.0], [-1.0, 2.0], [1.0, 0.0]]).double(), torch.tensor([0.8, 1.1, 5.0]).double()
    chart = Chart(((2,),), torch.zeros(2).double(), -two, two, index=torch.arange(2), G=G, h=h)
    result = mesh(graph, chart, layers=code_layers(graph))
    assert_exact(graph, chart, result)
    everything = mesh(graph, chart_of(graph, SQUARE), layers=code_layers(graph))
    assert {bytes(c) for c in result.cells.packed} < {bytes(c) for c in everything.cells.packed}
    assert float(result.areas.sum()) == pytest.approx(4 - 0.72 - 0.9025 + 0.605 / 3, abs=1e-6)
