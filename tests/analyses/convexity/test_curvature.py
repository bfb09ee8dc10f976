"""Composition rules: what they say is true of random networks, and what they should find they find."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.analyses.convexity.curvature import by_curvature, course, propagate
from splinegraph.analyses.convexity.place import Place
from splinegraph.analyses.convexity.ranges import ranges
from splinegraph.core.graph import SplineGraph
from splinegraph.core.walk import walk
from tests.zoo import ZOO, Apply, Stack
from tests.zoo import graph as zoo_graph

U, V, C, A = 0, 1, 2, 3  # unknown, convex, concave, affine


def box(low: float, high: float, *shape: int) -> sg.Box:
    return sg.Box(torch.full(shape, low, dtype=torch.float64), torch.full(shape, high, dtype=torch.float64))


def flags(function: Callable[[Tensor], Tensor], on: object = None, n: int = 2) -> list[int]:
    graph = sg.trace(Apply(function).double().eval(), torch.zeros(1, n, dtype=torch.float64))
    found = propagate(graph, on)
    return [int(f) for name in graph.outputs for f in found[name].reshape(-1)]


@pytest.mark.parametrize(
    ("function", "on", "expected"),
    [
        (lambda x: x.relu() - 2 * x, None, [V, V]),
        (lambda x: -(x.relu()), None, [C, C]),
        (lambda x: x.relu() - x.abs(), None, [U, U]),
        (lambda x: x.abs().relu(), None, [V, V]),
        (lambda x: (x.abs() - 1).abs(), None, [U, U]),
        (lambda x: (x.abs() + 1).abs(), None, [V, V]),
        (lambda x: (-x.relu() + 3).relu(), box(-1, 1, 2), [C, C]),
        (lambda x: (2 * x + 3).relu(), box(-1, 1, 2), [A, A]),
        (lambda x: x.clamp(0, 2), box(-3, 1.5, 2), [V, V]),
        (lambda x: x.clamp(0, 2), box(0.5, 3, 2), [C, C]),
        (lambda x: x.amax(1, keepdim=True), None, [V]),
        (lambda x: torch.stack([x[:, 0], x[:, 1].abs() - 9], 1).amax(1, keepdim=True), box(-1, 1, 2), [A]),
        (lambda x: torch.stack([x[:, 0], -x[:, 1].abs() - 9, x[:, 1]], 1).amax(1), box(-1, 1, 2), [V]),
        (lambda x: torch.stack([x[:, 0], -x[:, 1].abs()], 1).amax(1), box(-1, 1, 2), [U]),
        (lambda x: torch.minimum(x[:, 0], -x[:, 1].abs()), None, [C]),
        (lambda x: x.sort(1).values, None, [C, V]),
        (lambda x: x.exp().sum(1), None, [V]),
        (lambda x: x.relu().exp(), None, [V, V]),
        (lambda x: torch.nn.functional.softplus(x.abs()), None, [V, V]),
        (lambda x: torch.sigmoid(x), box(-4, 0, 2), [V, V]),
        (lambda x: torch.sigmoid(x), box(0, 4, 2), [C, C]),
        (lambda x: torch.sigmoid(x), None, [U, U]),
        (lambda x: torch.logsumexp(x.abs(), 1), None, [V]),
        (lambda x: torch.logsumexp(-x.abs(), 1), None, [U]),
        (lambda x: torch.log_softmax(x, 1), None, [C, C]),
        (lambda x: torch.linalg.vector_norm(x, dim=1), None, [V]),
        (lambda x: torch.linalg.vector_norm(x.relu(), dim=1), None, [V]),
        (lambda x: torch.linalg.vector_norm(x.relu() - 1, dim=1), None, [U]),
        (lambda x: (1 + x.exp()).log(), None, [U, U]),
        (lambda x: (x + 2).log(), box(-1, 1, 2), [C, C]),
        (lambda x: x * x.sign(), box(1, 2, 2), [A, A]),
        (lambda x: x[:, :1] * x[:, 1:], None, [U]),
        (lambda x: x.sign(), None, [U, U]),
    ],
)
def test_rules(function: Callable[[Tensor], Tensor], on: object, expected: list[int]) -> None:
    assert flags(function, on) == expected


def test_a_factor_that_the_domain_fixes() -> None:
    on = sg.Box(torch.tensor([-1.0, -2.0]), torch.tensor([1.0, -2.0]))
    assert flags(lambda x: x[:, :1].abs() * x[:, 1:], on) == [C]
    assert flags(lambda x: x[:, 1:].exp().sin(), on) == [A]


def _midpoint_gaps(graph: SplineGraph, on: object) -> dict[str, tuple[Tensor, Tensor]]:
    """Return f(mid) - (f(x) + f(y)) / 2 of every value, and its size."""
    place, generator = Place.of(graph, on), torch.Generator().manual_seed(0)
    x, y = (place.sample(64 if graph.batched else 1, generator) for _ in range(2))
    found = {}
    names = [node.name for node in graph.operators]
    every = []
    for points in ([(a + b) / 2 for a, b in zip(x, y, strict=True)], x, y):
        operators = graph.resolved(torch.float64, torch.device("cpu"), len(points[0]))
        every.append(walk(graph, points, lambda _, op, xs: op.forward(*xs), operators=operators, keep=names)[1])
    for name in names:
        middle, first, second = (v[name] for v in every)
        if middle.is_floating_point():
            node = graph[name]
            found[name] = node.rows(middle - (first + second) / 2), node.rows(first).abs().amax() + 1
    return found


@pytest.mark.parametrize("name", ZOO)
@pytest.mark.parametrize("bounded", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_what_is_claimed_of_values_holds_at_midpoints(name: str, bounded: bool) -> None:
    graph = zoo_graph(name)
    on = tuple(box(-1, 1, *shape) for shape in graph.input_shapes) if bounded else None
    claims = propagate(graph, on)
    with torch.no_grad():
        gaps = _midpoint_gaps(graph, on)
    for node, (gap, size) in gaps.items():
        known, slack = graph[node].rows(claims[node]), 1e-12 * float(size)
        assert float((gap * ((known & V) > 0)).max()) <= slack
        assert float((gap * ((known & C) > 0)).min()) >= -slack


def _icnn(flip: int = 0) -> nn.Module:
    """An input-convex network; `flip` of its inner weights are negative."""

    class Icnn(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.inner = nn.Linear(20, 30), nn.Linear(30, 30)
            self.skip, self.head = nn.Linear(20, 30), nn.Linear(30, 2)
            with torch.no_grad():
                for part in (self.inner, self.head):
                    part.weight.abs_()
                self.inner.weight.view(-1)[:flip] *= -1

        def forward(self, x: Tensor) -> Tensor:
            return self.head(torch.relu(self.inner(torch.relu(self.first(x))) + self.skip(x)))

    return Icnn().eval()


def test_input_convex_networks_are_certified() -> None:
    for flip, convex in ((0, True), (1, False)):
        graph = sg.trace(_icnn(flip), torch.zeros(1, 20))
        found = by_curvature(course(graph, Place.of(graph, None)), [0, 1])
        assert [f.convex is not None for f in found.values()] == [convex] * 2
        assert [f.concave for f in found.values()] == [None, None]
    assert "lose track" in found[0].note


def test_input_convex_convolutions_and_batch_norm() -> None:
    body = [nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2)]
    net = Stack(*body, nn.Conv2d(3, 2, 2), nn.BatchNorm2d(2), nn.LeakyReLU(), nn.AvgPool2d(2)).eval()
    with torch.no_grad():
        net[4].weight.abs_()
        net[5].weight.copy_(torch.tensor([0.5, -0.5]))
    graph = sg.trace(net, torch.zeros(1, 1, 6, 6))
    assert propagate(graph)[graph.outputs[0]].reshape(-1).tolist() == [V, U]


@pytest.mark.parametrize("name", ["mlp", "cnn", "residual", "heads", "gru", "maxout", "groupsort"])
def test_ranges_hold_all_values(name: str) -> None:
    graph = zoo_graph(name)
    place = Place.of(graph, tuple(box(-1, 1, *shape) for shape in graph.input_shapes))
    operators = graph.resolved(torch.float64, torch.device("cpu"), 1)
    found = ranges(graph, place, operators)
    for _ in range(20):
        x = place.sample(1, torch.Generator().manual_seed(_))
        names = [node.name for node in graph.operators]
        with torch.no_grad():
            _, kept = walk(graph, x, lambda _, op, xs: op.forward(*xs), operators=operators, keep=names)
        for node, value in kept.items():
            assert bool((value >= found[node].lower - 1e-14).all())
            assert bool((value <= found[node].upper + 1e-14).all())


def test_flat_domains_and_balls_are_exact_up_to_the_first_bend() -> None:
    weight = torch.randn(5, 3, dtype=torch.float64)
    graph = sg.trace(nn.Linear(3, 5).double().eval(), torch.zeros(1, 3, dtype=torch.float64))
    graph_weight = next(iter(p for p in graph.parameters() if p.dim() == 2))
    with torch.no_grad():
        graph_weight.copy_(weight)
    ball = sg.Ball(torch.ones(3, dtype=torch.float64), 0.5)
    operators = graph.resolved(torch.float64, torch.device("cpu"), 1)
    wide = ranges(graph, Place.of(graph, ball), operators)[graph.outputs[0]]
    torch.testing.assert_close((wide.upper - wide.lower)[0], weight.norm(dim=1), rtol=1e-9, atol=1e-9)
    plane = sg.Plane(torch.zeros(3), torch.tensor([1.0, 2, 0]), torch.tensor([0.0, 1, 1]), extent=2.0)
    wide = ranges(graph, Place.of(graph, plane), operators)[graph.outputs[0]]
    width = 4 * ((weight @ plane.u).abs() + (weight @ plane.v).abs())
    torch.testing.assert_close((wide.upper - wide.lower)[0], width, rtol=1e-9, atol=1e-9)


def test_a_unit_that_is_zero_at_its_least_does_not_bend() -> None:
    assert flags(lambda x: (x.relu() + 2 * x.relu().roll(1, 1)).relu(), box(-1, 1, 2)) == [V, V]
    assert flags(lambda x: -((-x.relu()).relu()), box(-1, 1, 2)) == [A, A]


def test_samples_lie_in_the_domain() -> None:
    graph = sg.trace(nn.ReLU().eval(), torch.zeros(1, 3))
    corner = sg.Polytope(-torch.eye(3), torch.zeros(3))
    simplex = sg.Polytope(torch.cat([-torch.eye(3), torch.ones(1, 3)]), torch.tensor([0.0, 0, 0, 1]))
    half = sg.Box(torch.tensor([0.0, -math.inf, -1]), torch.tensor([math.inf, math.inf, 1]))
    ball, segment = sg.Ball(torch.ones(3), 2.0), sg.Segment(torch.zeros(3), torch.ones(3))
    for on in (None, corner, simplex, half, ball, segment, sg.Plane(torch.zeros(3), torch.eye(3)[0], torch.eye(3)[1])):
        place = Place.of(graph, on)
        (x,) = place.sample(100, torch.Generator().manual_seed(0))
        assert x.shape == (100, 3)
        assert on is None or bool(on.contains(x, slack=1e-12).all())
