"""Certified bounds against what is observed, on networks of all kinds."""

from __future__ import annotations

import functools
import itertools
import math
import random

import pytest
import torch
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.core.graph import SplineGraph
from splinegraph.transforms.spline.spline import spline
from splinegraph.transforms.spline.substitution import SplineSubstitution

SMOOTH = [nn.Tanh, nn.GELU, nn.SiLU, nn.Sigmoid, nn.Softplus, nn.ELU, nn.Mish, nn.Hardswish, nn.SELU, nn.LogSigmoid]


class Mixed(nn.Module):
    """A small network of a kind: residual, gated, normalized, pooled, with waves, quotients, matrix products."""

    def __init__(self, kind: int) -> None:
        super().__init__()
        self.kind, self.inputs, n = kind, random.choice([1, 2]), random.choice([2, 3])
        self.a, self.b = random.choice(SMOOTH)(), random.choice([*SMOOTH, nn.ReLU])()
        self.first, self.second = nn.Linear(self.inputs, n), nn.Linear(n, n)
        self.last, self.conv = nn.Linear(n, 2), nn.Conv1d(1, 2, 2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.a(self.first(x))
        return self.last(self.middle(h, self.second(h)))

    def middle(self, h: Tensor, z: Tensor) -> Tensor:
        match self.kind:
            case 0:
                return h + self.b(z)
            case 1:
                return h * self.b(z)
            case 2:
                return z.softmax(-1) * h
            case 3:
                pooled = nn.functional.max_pool1d(self.b(self.conv(h[:, None])), 2, 1)
                return pooled.flatten(1)[:, : h.shape[1]]
            case 4:
                return torch.sin(z) + torch.cos(2 * h)
            case 5:
                return torch.sqrt(1 + h * h) / (2 + torch.exp(0.3 * h))
            case 6:
                return z.log_softmax(-1) + torch.logsumexp(h, -1, keepdim=True)
            case 7:
                return self.b(self.second(torch.sort(h, -1).values)).abs()
            case _:
                q = h[:, :, None] * h[:, None, :]
                return (q @ torch.exp(0.3 * q)).sum(-1)


KINDS = 9


def grid(on: sg.Box, count: int) -> Tensor:
    axes = [
        torch.linspace(float(a), float(b), count, dtype=torch.float64) for a, b in zip(on.lower, on.upper, strict=True)
    ]
    return torch.cartesian_prod(*axes).reshape(-1, len(axes))


def assert_certified(graph: SplineGraph, found: SplineSubstitution, points: Tensor) -> Tensor:
    """Check that f~ - f lies in its certified interval; return it."""
    assert found.graph.exact
    with torch.no_grad():
        gap = found.graph(points) - graph(points)
    box = found.error_intervals[0]
    slack = 1e-13 * (1 + float(gap.abs().max()))
    assert bool((gap >= box.lower - slack).all())
    assert bool((gap <= box.upper + slack).all())
    return gap


@pytest.mark.slow
@pytest.mark.parametrize("kind", range(KINDS))
def test_bounds_hold(kind: int) -> None:
    random.seed(kind)
    torch.manual_seed(kind)
    net = Mixed(kind).eval()
    graph = sg.trace(net, torch.zeros(1, net.inputs))
    on = sg.Box.around(torch.randn(net.inputs, dtype=torch.float64) / 2, radius=0.4)
    for pieces, cells in ((1, 1), (3, 16)):
        found = spline(graph, on, pieces=pieces, cells=cells)
        assert_certified(graph, found, grid(on, 60 if net.inputs == 2 else 2000))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_bounds_hold_at_random(seed: int) -> None:
    for trial in range(3):
        random.seed(100 * seed + trial)
        torch.manual_seed(100 * seed + trial)
        net = Mixed(random.randrange(KINDS)).eval()
        graph = sg.trace(net, torch.zeros(1, net.inputs))
        on = sg.Box.around(torch.randn(net.inputs, dtype=torch.float64) / 2, radius=random.choice([0.1, 0.5, 0.8]))
        found = spline(graph, on, pieces=random.choice([1, 2, 5]), cells=random.choice([1, 9, 64]))
        assert_certified(graph, found, torch.cat([grid(on, 40), on.sample(3000)]))


@functools.cache
def mlp(activation: type[nn.Module]) -> SplineGraph:
    torch.manual_seed(0)
    layers = nn.Linear(2, 16), activation(), nn.Linear(16, 16), activation(), nn.Linear(16, 1)
    return sg.trace(nn.Sequential(*layers).eval(), torch.zeros(1, 2))


SQUARE = sg.Box(-torch.ones(2, dtype=torch.float64), torch.ones(2, dtype=torch.float64))


@pytest.mark.parametrize("activation", [pytest.param(nn.Tanh, marks=pytest.mark.slow), nn.GELU])
def test_bound_is_near_what_is_observed(activation: type[nn.Module]) -> None:
    graph = mlp(activation)
    found = spline(graph, SQUARE, tol=1e-2)
    gap = assert_certified(graph, found, grid(SQUARE, 300))
    assert found.largest_error <= 1e-2
    assert found.largest_error <= 3 * float(gap.abs().max())


def test_more_cells_do_not_widen_the_bound_by_more_than_rounding() -> None:
    graph = sg.trace(nn.Sequential(nn.Linear(2, 8), nn.Softplus(), nn.Linear(8, 1)).eval(), torch.zeros(1, 2))
    bounds = [spline(graph, SQUARE, pieces=4, cells=n).largest_error for n in (1, 4, 64, 1024)]
    assert all(more <= less * (1 + 1e-9) for less, more in itertools.pairwise(bounds))
    assert bounds[-1] < 0.8 * bounds[0]


def test_all_of_space() -> None:
    torch.manual_seed(0)
    graph = sg.trace(nn.Sequential(nn.Linear(2, 3), nn.Softplus(), nn.Linear(3, 1)).eval(), torch.zeros(1, 2))
    found = spline(graph, pieces=5)
    far = torch.cat([grid(SQUARE, 50) * scale for scale in (1.0, 10.0, 1e3)])
    assert_certified(graph, found, far)
    assert spline(graph, tol=0.02).largest_error <= 0.02
    # Softplus alone: pi^2 / 16 / n^2 nearly
    assert found.nodes[0].error < 0.05
    assert math.isfinite(found.largest_error)


def test_planes_are_cut_along_their_own_coordinates() -> None:
    torch.manual_seed(0)
    graph = sg.trace(nn.Sequential(nn.Linear(6, 5), nn.Softplus(), nn.Linear(5, 2)).eval(), torch.zeros(1, 6))
    plane = sg.Plane.through(*(torch.randn(6, dtype=torch.float64) for _ in range(3)))
    found = spline(graph, plane, pieces=4)
    assert found.cells > 100
    low, high = plane.chart.lower, plane.chart.upper
    t = low + (high - low) * torch.rand(5000, 2, dtype=torch.float64)
    gap = assert_certified(graph, found, plane.chart.lift(t)[0])
    assert found.largest_error <= 2 * float(gap.abs().max())
