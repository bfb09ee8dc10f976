"""The mesh in torch alone: theorems, random points, and the compiled mesh as another algorithm."""

from __future__ import annotations

import dataclasses
import itertools
import time
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.analyses.regions.cells import code_layers
from splinegraph.analyses.regions.mesh.cutting import Exceeded
from splinegraph.analyses.regions.mesh.mesh import MeshResult, mesh
from splinegraph.analyses.regions.mesh_torch import mesh as module
from splinegraph.analyses.regions.mesh_torch.mesh import mesh_torch
from splinegraph.core.domains.chart import Chart, chart_of
from splinegraph.core.values import Box
from splinegraph.errors import DomainError, UnsupportedOperatorError

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA"))]


class Residual(nn.Module):
    """Skips, a concatenation, and three kinds of kinks."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(2, 8), nn.Linear(8, 8), nn.Linear(16, 8)

    def forward(self, x: Tensor) -> Tensor:
        y = F.leaky_relu(self.a(x), 0.1)
        z = F.hardtanh(y + 2 * self.b(F.relu(y)), -0.3, 0.3)
        return F.relu(self.c(torch.cat([y, z], 1)))


class Maxout(nn.Module):
    def __init__(self, pieces: int) -> None:
        super().__init__()
        self.pieces, self.a, self.b = pieces, nn.Linear(2, 6 * pieces), nn.Linear(6, 2 * pieces)

    def forward(self, x: Tensor) -> Tensor:
        y = self.a(x).unflatten(1, (6, self.pieces)).amax(-1)
        return torch.maximum(*self.b(y).unflatten(1, (2, self.pieces)).amin(-1).unbind(1))


class Ranked(nn.Module):
    def __init__(self, count: int | None) -> None:
        super().__init__()
        self.count, self.a = count, nn.Linear(2, 7)

    def forward(self, x: Tensor) -> Tensor:
        y = self.a(x)
        return torch.sort(y, -1, descending=True)[0] if self.count is None else torch.topk(y, self.count)[0]


class Pooled(nn.Module):
    """A convolutional network on an image that depends on two numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.image, self.conv, self.head = nn.Linear(2, 36), nn.Conv2d(1, 3, 3, padding=1), nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.conv(self.image(x).reshape(-1, 1, 6, 6)))
        y = F.max_pool2d(y, 3, stride=2, padding=1)
        return F.relu(self.head(F.avg_pool2d(y, 2, ceil_mode=True).flatten(1)[:, :12]))


class TwoInputs(nn.Module):
    """Folds its inputs before it mixes them."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(2, 6), nn.Linear(6, 6)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        z = F.relu(self.a(torch.cat([F.relu(x), y.abs()], 1)))
        return torch.maximum(self.b(z), z)


class Tent(nn.Module):
    def __init__(self, depth: int) -> None:
        super().__init__()
        self.depth = depth

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(self.depth):
            x = 1 - torch.abs(2 * x - 1)
        return x


def mlp(*widths: int) -> nn.Sequential:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(widths):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def rounded() -> nn.Sequential:
    net = mlp(2, 12, 12, 1)
    torch.manual_seed(3)
    for p in net.parameters():
        p.data = torch.randint(-2, 3, p.shape).float()
    return net


def without_bias() -> nn.Sequential:
    net = mlp(2, 16, 16, 1)
    for name, p in net.named_parameters():
        if name.endswith("bias"):
            p.data.zero_()
    return net


def repeated() -> nn.Sequential:
    """Units twice, negated, dead, and in the next layer those of the first again."""
    net = mlp(2, 8, 8, 1)
    first, second = net[0], net[2]
    assert isinstance(first, nn.Linear)
    assert isinstance(second, nn.Linear)
    with torch.no_grad():
        first.weight[4], first.bias[4] = first.weight[0], first.bias[0]
        first.weight[5], first.bias[5] = -first.weight[1], -first.bias[1]
        first.weight[6], first.bias[6] = 0.0, 0.0
        second.weight[0] = 0.0
        second.weight[0, 0], second.bias[0] = 1.0, 0.0
        second.weight[1] = 0.0
        second.bias[1] = 0.0
    return net


def setting(net: nn.Module, low: float = -1.0, high: float = 1.0) -> tuple[sg.SplineGraph, Chart]:
    graph = sg.trace(net.double().eval(), torch.zeros(1, 2, dtype=torch.float64))
    corner = torch.ones(2, dtype=torch.float64)
    return graph, chart_of(graph, Box(low * corner, high * corner))


def found(graph: sg.SplineGraph, chart: Chart, **options: Any) -> MeshResult:
    return mesh_torch(graph, chart, layers=code_layers(graph), **options)


def rows(packed: np.ndarray) -> set[bytes]:
    return {row.tobytes() for row in packed}


def check(graph: sg.SplineGraph, chart: Chart, result: MeshResult) -> None:
    """Assert what is true of every partition into convex faces, and that random points have known codes."""
    cells, net = result.cells, result.mesh
    assert result.anomalies == 0
    assert len(rows(cells.packed)) == len(cells)
    assert net.euler == 1
    areas = net.areas()
    assert (areas > 0).all()
    assert areas.sum() == pytest.approx(float((chart.upper - chart.lower).prod()), rel=1e-12)
    assert np.allclose(areas, result.areas, atol=1e-15)
    assert (cells.radii > 0).all()
    inside = sg.codes(graph, *chart.lift(torch.from_numpy(cells.points))).packed
    assert (inside == cells.packed).all()
    assert len(net.edges) * 2 == len(net.corners) + (net.edge_faces < 0).sum()
    at = {frozenset(pair): set(faces) for pair, faces in zip(net.edges.tolist(), net.edge_faces.tolist(), strict=True)}
    for i in range(0, len(net), max(1, len(net) // 50)):
        loop = net.corners[net.offsets[i] : net.offsets[i + 1]].tolist()
        assert all(i in at[frozenset(pair)] for pair in itertools.pairwise([*loop, loop[0]]))
    generator = torch.Generator().manual_seed(1)
    share = torch.rand(20_000, 2, generator=generator, dtype=torch.float64)
    share = (share * 2**38).round() / 2**38  # integer weights then give exact zeros, not rounding errors
    t = chart.lower + share * (chart.upper - chart.lower)
    assert rows(sg.codes(graph, *chart.lift(t)).packed) <= rows(cells.packed)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("widths", "count"),
    [((2, 16, 16, 1), 127), ((2, 32, 32, 32, 1), 1180), ((2, 64, 64, 64, 1), 6668)],
    ids=str,
)
def test_counts_that_other_programs_agree_on(widths: tuple[int, ...], count: int, device: str) -> None:
    graph, chart = setting(mlp(*widths))
    result = found(graph, chart, device=device)
    assert len(result.cells) == count
    check(graph, chart, result)


NETS = {
    "residual": Residual,
    "maxout 2": lambda: Maxout(2),
    "maxout 7": lambda: Maxout(7),
    "sort": lambda: Ranked(None),
    "top-k": lambda: Ranked(3),
    "pooled": Pooled,
    "rounded": rounded,
    "without bias": without_bias,
    "repeated": repeated,
}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", NETS)
def test_same_cells_as_the_compiled_mesh(name: str, device: str) -> None:
    torch.manual_seed(5)
    graph, chart = setting(NETS[name](), -2.0, 2.0)
    result = found(graph, chart, device=device)
    check(graph, chart, result)
    other = mesh(graph, chart, layers=code_layers(graph))
    assert rows(other.cells.packed) == rows(result.cells.packed)
    mine, theirs = (dict(zip(map(bytes, r.cells.packed), r.areas, strict=True)) for r in (result, other))
    assert max(abs(mine[code] - theirs[code]) for code in mine) < 1e-11


def test_two_inputs_and_a_polygon() -> None:
    torch.manual_seed(2)
    graph = sg.trace(TwoInputs().double().eval(), (torch.zeros(1, 1).double(), torch.zeros(1, 1).double()))
    interval = Box(-torch.ones(1).double(), torch.ones(1).double())
    chart = chart_of(graph, (interval, interval))
    result = found(graph, chart)
    check(graph, chart, result)
    assert rows(mesh(graph, chart, layers=code_layers(graph)).cells.packed) == rows(result.cells.packed)
    half = dataclasses.replace(chart, G=torch.tensor([[1.0, 1.0]]).double(), h=torch.tensor([0.25]).double())
    part = found(graph, half)
    assert float(part.areas.sum()) == pytest.approx(4 - 1.75**2 / 2)
    assert rows(part.cells.packed) < rows(result.cells.packed)
    assert bool(half.contains(torch.from_numpy(part.cells.points)).all())


def test_a_network_that_takes_one_sample_at_a_time() -> None:
    torch.manual_seed(2)
    graph, chart = setting(mlp(2, 6, 6, 1))
    single = dataclasses.replace(graph, batched=False, _cache={})
    assert rows(found(single, chart).cells.packed) == rows(found(graph, chart).cells.packed)


@pytest.mark.parametrize("depth", [1, 3, 5])
def test_tent_maps_give_a_grid(depth: int) -> None:
    graph, chart = setting(Tent(depth), 0.0, 1.0)
    result = found(graph, chart)
    assert len(result.cells) == 4**depth  # Telgarsky: 2^L pieces in each of the two coordinates
    check(graph, chart, result)


@pytest.mark.parametrize("lines", [1, 5, 40])
def test_lines_through_one_point(lines: int) -> None:
    net = nn.Sequential(nn.Linear(2, lines), nn.ReLU()).double()
    with torch.no_grad():
        angle = torch.arange(lines).double() * torch.pi / lines
        net[0].weight.copy_(torch.stack([angle.cos(), angle.sin()], 1))
        net[0].bias.copy_(-net[0].weight @ torch.tensor([0.25, -0.5], dtype=torch.float64))
    graph, chart = setting(net)
    assert len(found(graph, chart).cells) == 2 * lines


@pytest.mark.parametrize("seed", range(3))
def test_lines_in_general_position_obey_zaslavsky(seed: int) -> None:
    """Cells = 1 + lines that meet the box + crossings inside of it (Zaslavsky 1975, relative to a convex set)."""
    generator = torch.Generator().manual_seed(seed)
    w = torch.randn(30, 2, generator=generator, dtype=torch.float64)
    b = torch.randn(30, generator=generator, dtype=torch.float64)
    net = nn.Sequential(nn.Linear(2, 30), nn.ReLU()).double()
    net[0].weight.data, net[0].bias.data = w, b
    meets = int((b.abs() < w.abs().sum(1)).sum())
    pairs = list(itertools.combinations(range(30), 2))
    crossings = torch.linalg.solve(torch.stack([w[list(p)] for p in pairs]), -torch.stack([b[list(p)] for p in pairs]))
    graph, chart = setting(net)
    assert len(found(graph, chart).cells) == 1 + meets + int((crossings.abs() < 1).all(1).sum())


def test_parallel_lines_are_cut_in_a_logarithm_of_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    net = nn.Sequential(nn.Linear(2, 127), nn.ReLU()).double()
    net[0].weight.data = torch.tensor([[1.0, 0.0]]).double().repeat(127, 1)
    net[0].bias.data = torch.linspace(-0.9, 0.9, 127).double()
    graph, chart = setting(net)
    rounds = []
    split = module.cut_all.__globals__["_split"]
    monkeypatch.setitem(module.cut_all.__globals__, "_split", lambda *args: rounds.append(1) or split(*args))
    assert len(found(graph, chart).cells) == 128
    assert len(rounds) == 7


def test_what_is_compared_for_nothing_is_joined_again(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(5)
    graph, chart = setting(Maxout(7), -2.0, 2.0)
    right = found(graph, chart)
    monkeypatch.setattr(module, "merge", lambda net, codes: codes)
    wrong = found(graph, chart)
    assert len(wrong.cells) > len(right.cells)
    assert rows(wrong.cells.packed) == rows(right.cells.packed)


def test_a_cut_that_is_left_out_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The checks of this file bite: without the last unit of the first layer they fail."""
    graph, chart = setting(mlp(2, 16, 16, 1))
    start = module.BreaksRule.start

    def forgetful(rule: Any, net: Any) -> tuple[Tensor, Tensor]:
        face, unit = start(rule, net)
        return face[unit != 3], unit[unit != 3]

    monkeypatch.setattr(module.BreaksRule, "start", forgetful)
    with pytest.raises(AssertionError):
        check(graph, chart, found(graph, chart))


def test_limits_and_what_is_refused() -> None:
    graph, chart = setting(mlp(2, 64, 64, 64, 1))
    with pytest.raises(Exceeded, match="limit"):
        found(graph, chart, limit=1000)
    with pytest.raises(Exceeded, match="deadline"):
        found(graph, chart, deadline=time.monotonic() - 1)
    cube = sg.trace(mlp(3, 4, 1).eval(), torch.zeros(1, 3))
    with pytest.raises(DomainError, match="3 free coordinates"):
        found(cube, chart_of(cube, Box(-torch.ones(3), torch.ones(3))))
    signs = sg.trace(nn.Sequential(nn.Linear(2, 3), nn.Hardshrink()).eval(), torch.zeros(1, 2))
    with pytest.raises(UnsupportedOperatorError, match="not continuous"):
        found(signs, chart)
