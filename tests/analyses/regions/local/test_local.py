"""The cell around one input: against random points, exact segments, linear programs and theorems."""

from __future__ import annotations

import itertools
import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from splinegraph.analyses.codes import codes
from splinegraph.analyses.regions.chords import chords
from splinegraph.analyses.regions.local import LocalRegion, local_region
from splinegraph.analyses.regions.local.norms import row_bounds
from splinegraph.core.domains.plane import Plane
from splinegraph.core.domains.polytope import Polytope
from splinegraph.core.graph import SplineGraph
from splinegraph.core.values import Box
from splinegraph.errors import DomainError, ShapeError, UnsupportedOperatorError
from splinegraph.tracers.tracing import trace
from tests import zoo
from tests.zoo import Stack

SOME = ["clamp", "cnn", "grouped", "groupsort", "maximum", "prelu", "residual", "rnn", "topk", "two"]
EXACT = [name for name, net in zoo.ZOO.items() if net.exact and net.switches]


def flat(xs: tuple[Tensor, ...]) -> Tensor:
    return torch.cat([x.reshape(len(x), -1) for x in xs], 1)


def region(name: str, **options: Any) -> tuple[SplineGraph, tuple[Tensor, ...], LocalRegion]:
    graph, xs = zoo.graph(name), zoo.inputs(name, 1, seed=3)
    return graph, xs, local_region(graph, *xs, **options)


def split(t: Tensor, like: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    parts = t.split([x[0].numel() for x in like], 1)
    return tuple(p.reshape(len(t), *x.shape[1:]) for p, x in zip(parts, like, strict=True))


@pytest.mark.parametrize("name", EXACT)
def test_the_conditions_are_met_exactly_where_the_code_is_the_same(name: str) -> None:
    graph, xs, found = region(name)
    G, h = found.conditions()
    generator = torch.Generator().manual_seed(1)
    reach = 6 * found.distance[2].upper
    center = flat(xs)
    noise = torch.randn(300, center.shape[1], dtype=torch.float64, generator=generator)
    y = center + reach * torch.rand(300, 1, generator=generator, dtype=torch.float64) * F.normalize(noise, dim=1)
    gap = (y @ G.T - h) / G.norm(dim=1)
    clear = gap.abs().amin(1) > 1e-9
    same = (codes(graph, *split(y, xs)).packed == found.code.packed).all(1)
    inside = (gap <= 0).all(1).numpy()
    assert np.array_equal(inside[clear], same[clear])
    assert not inside.all()


@pytest.mark.parametrize("name", SOME)
def test_distances_and_witnesses(name: str) -> None:
    graph, xs, found = region(name)
    G, h = found.conditions()
    x = flat(xs)[0]
    slack = (h - G @ x).clamp(min=0)
    expected = {2: (slack / G.norm(dim=1)).min(), math.inf: (slack / G.abs().sum(1)).min()}
    for norm, bound in found.distance.items():
        assert bound.kind == "exact"
        assert bound.lower == bound.upper == pytest.approx(float(expected[norm]), rel=1e-9)
        y = flat(bound.witness)[0]
        assert torch.linalg.vector_norm(y - x, norm) == pytest.approx(bound.upper, rel=1e-9)
        ends = split(torch.stack([x + s * (y - x) for s in (1 - 1e-6, 1 + 1e-6)]), xs)
        same = (codes(graph, *ends).packed == found.code.packed).all(1)
        assert same.tolist() == [True, False]  # it lies on the boundary of the cell


@pytest.mark.parametrize("name", ["mlp", "cnn", "residual", "two", "topk", "hardtanh", "round"])
def test_directions_leave_the_cell_where_exact_segments_do(name: str) -> None:
    _, xs, found = region(name)
    generator = torch.Generator().manual_seed(2)
    vs = tuple(torch.randn(8, *x.shape[1:], dtype=torch.float64, generator=generator) for x in xs)
    steps = [found.along(*(v[i] for v in vs)) for i in range(8)]
    scale = 3 * max(s for s in steps if math.isfinite(s))
    starts = tuple(x.expand(8, *x.shape[1:]) for x in xs)
    lines = chords(found.graph, starts, tuple(x + scale * v for x, v in zip(starts, vs, strict=True)))
    for i, step in enumerate(steps):
        exit_ = lines.of(i)[1] * scale if lines.counts[i] > 1 else math.inf
        assert step == pytest.approx(exit_, rel=1e-7)
        assert step * math.sqrt(sum(float(v[i].square().sum()) for v in vs)) >= found.distance[2].lower * (1 - 1e-9)


@pytest.mark.parametrize("name", SOME)
@pytest.mark.parametrize("budget", [1, 24])
def test_a_budget_brackets_the_distance(name: str, budget: int) -> None:
    exact = region(name)[2]
    part = region(name, budget=budget, batch=5)[2]
    for norm, bound in part.distance.items():
        true = exact.distance[norm].upper
        assert bound.lower <= true * (1 + 1e-9)
        assert bound.upper >= true * (1 - 1e-9)
        assert (bound.kind == "exact") == (bound.lower == bound.upper)


@pytest.mark.parametrize("name", SOME)
def test_bounds_of_the_norms_hold(name: str) -> None:
    found = region(name)[2]
    l2, l1 = row_bounds(found.rows)
    assert bool((found.margins.norms[2] <= l2 * (1 + 1e-12)).all())
    assert bool((found.margins.norms[math.inf] <= l1 * (1 + 1e-12)).all())


def test_many_coordinates_are_settled_by_a_few_rows() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3000, 40), nn.ReLU(), nn.Linear(40, 3)).double().eval()
    graph = trace(model, torch.zeros(1, 3000).double())
    x = torch.randn(3000, dtype=torch.float64)
    found = local_region(graph, x)
    weight, bias = (p.detach() for p in list(graph.parameters())[:2])
    values = weight @ x + bias
    assert found.distance[2].upper == pytest.approx(float((values.abs() / weight.norm(dim=1)).min()))
    assert found.complete
    first = found.tightest(3)
    order = (values.abs() / weight.norm(dim=1)).argsort()[:3]
    assert [c.unit for c in first] == [(int(u),) for u in order]
    sign = torch.where(values > 0, -1.0, 1.0)[order]
    assert torch.allclose(torch.stack([c.row[0] for c in first]), sign[:, None] * weight[order])


def test_the_chebyshev_center_is_as_far_from_the_boundary_as_its_radius() -> None:
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(3, 12), nn.ReLU(), nn.Linear(12, 9), nn.ReLU()).double().eval()
    graph = trace(model, torch.zeros(1, 3).double())
    x = torch.randn(3, dtype=torch.float64)
    cell = local_region(graph, x).polytope()
    box = Box(x - 50, x + 50)
    sides = Polytope.of_box(box)
    both = Polytope(torch.cat([cell.G, sides.G]), torch.cat([cell.h, sides.h]))
    center = local_region(graph, both.center)
    assert np.array_equal(center.code.packed, local_region(graph, x).code.packed)
    assert center.distance[2].upper >= both.radius * (1 - 1e-6)
    again = center.polytope()
    nearest = ((again.h - again.G @ both.center) / again.G.norm(dim=1)).min()
    assert float(nearest) == pytest.approx(center.distance[2].upper)


def test_a_plane_limits_where_x_may_move() -> None:
    graph, xs, free = region("cnn")
    generator = torch.Generator().manual_seed(3)
    u, v = torch.randn(2, *xs[0].shape[1:], generator=generator, dtype=torch.float64)
    plane = Plane(xs[0][0], u, v, extent=1.0)
    flat_ = local_region(graph, *xs, on=plane)
    assert flat_.distance[2].upper >= free.distance[2].upper
    exits = []
    for angle in np.linspace(0, 2 * np.pi, 721):
        exits.append(free.along(math.cos(angle) * plane.u + math.sin(angle) * plane.v))
    assert min(exits) == pytest.approx(flat_.distance[2].upper, rel=1e-3)
    assert min(exits) >= flat_.distance[2].upper * (1 - 1e-9)
    part = local_region(graph, *xs, on=plane, budget=1)
    assert part.distance[2].lower <= flat_.distance[2].upper <= part.distance[2].upper


# degenerate


def test_on_a_boundary_the_distance_is_zero_and_tied() -> None:
    graph = trace(nn.Sequential(nn.ReLU()).eval(), torch.zeros(1, 3))
    found = local_region(graph, torch.tensor([1.0, 0.0, -2.0]))
    assert found.tied
    assert found.distance[2].upper == 0
    assert found.along(torch.tensor([0.0, 1.0, 0.0])) == 0
    assert found.along(torch.tensor([0.0, -1.0, 0.0])) == math.inf


def test_dead_candidates_that_tie_are_no_boundary() -> None:
    graph = trace(Stack(nn.ReLU(), lambda x: x.amax(-1)).eval(), torch.zeros(1, 3))
    found = local_region(graph, torch.tensor([-1.0, -2.0, -0.5]))
    assert not found.tied
    assert found.distance[2].upper == 0.5
    bracketed = local_region(graph, torch.tensor([-1.0, -2.0, -0.5]), budget=1)
    assert bracketed.distance[2].lower > 0


def test_without_switches_the_cell_is_everything() -> None:
    found = local_region(trace(nn.Linear(2, 2).eval(), torch.zeros(1, 2)), torch.zeros(2))
    assert (found.total, found.distance[2].lower, found.along(torch.ones(2))) == (0, math.inf, math.inf)
    assert found.tightest() == []


def test_a_smooth_head_behind_the_last_switch_is_no_obstacle() -> None:
    torch.manual_seed(0)
    body = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 4)).double().eval()
    x = torch.randn(3, dtype=torch.float64)
    plain = local_region(trace(body, x[None]), x)
    headed = local_region(trace(nn.Sequential(body, nn.Softmax(-1)).eval(), x[None]), x)
    assert headed.distance[2].upper == plain.distance[2].upper
    ahead = trace(nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 4), nn.ReLU()).double().eval(), x[None])
    with pytest.raises(UnsupportedOperatorError, match="Tanh"):
        local_region(ahead, x)


# large


class Small18(nn.Module):
    """The layout of an 18-layer residual network, narrow."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 7, 2, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
        widths = [6, 6, 6, 12, 12, 18, 18, 24, 24]
        pairs = list(itertools.pairwise(widths))
        self.first = nn.ModuleList(nn.Conv2d(a, b, 3, 1 + (a != b), 1) for a, b in pairs)
        self.second = nn.ModuleList(nn.Conv2d(b, b, 3, 1, 1) for _, b in pairs)
        self.skip = nn.ModuleList(nn.Conv2d(a, b, 1, 2) if a != b else nn.Identity() for a, b in pairs)
        self.head = nn.Linear(24, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for first, second, skip in zip(self.first, self.second, self.skip, strict=True):
            x = torch.relu(second(torch.relu(first(x))) + skip(x))
        return self.head(x.mean((2, 3)))


@pytest.mark.slow
def test_a_deep_residual_network_at_64_by_64() -> None:
    torch.manual_seed(0)
    graph = trace(Small18().eval(), torch.zeros(1, 3, 64, 64))
    x = torch.randn(3, 64, 64)
    found = local_region(graph, x, budget=100)
    assert found.total > 20_000
    assert found.done < 2000 + 100
    bound = found.distance[2]
    assert bound.kind == "bracket"
    assert 0 < bound.lower < bound.upper
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        v = torch.randn(3, 64, 64, generator=generator)
        step = found.along(v)
        assert step * float(v.norm()) >= bound.lower
        ends = torch.stack([x.double() + s * step * v.double() for s in (0.999, 1.001)])
        assert (codes(graph, ends).packed == found.code.packed).all(1).tolist() == [True, False]
    nearest = found.tightest(1)[0]
    toward = found.along(nearest.row[0])
    assert toward * float(nearest.row[0].norm()) <= nearest.distances[2] * (1 + 1e-9)


# plain values, bad input


def test_results_as_plain_values() -> None:
    found = region("two")[2]
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert plain["distance"]["l2"]["kind"] == "exact"
    assert plain["conditions"] == plain["conditions_done"] == found.total
    assert "boundary at l2" in repr(found)
    alone = region("two", norm=math.inf)[2]
    assert list(alone.distance) == [math.inf]


@pytest.mark.parametrize(
    ("x", "options", "error", "text"),
    [
        (torch.zeros(3), {}, ShapeError, "shape"),
        (torch.zeros(2, 2), {}, ShapeError, "2 samples"),
        (torch.full((2,), torch.nan), {}, ShapeError, "NaN"),
        (torch.zeros(2), {"norm": 3}, ShapeError, "norm 3"),
        (torch.zeros(2), {"budget": 0}, ShapeError, "budget is 0"),
        (torch.zeros(2), {"batch": 0}, ShapeError, "batch is 0"),
        (torch.zeros(2), {"on": Box(torch.ones(2), 2 * torch.ones(2))}, DomainError, "outside"),
    ],
)
def test_bad_input_is_refused(x: Tensor, options: dict[str, Any], error: type[Exception], text: str) -> None:
    graph = trace(nn.Sequential(nn.ReLU()).eval(), torch.zeros(1, 2))
    with pytest.raises(error, match=text):
        local_region(graph, x, **options)
