"""Lower ends from points: large networks, short budgets."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.analyses.lipschitz import jacobians
from splinegraph.analyses.lipschitz.domain import Domain
from splinegraph.analyses.lipschitz.jacobians import local_norms
from splinegraph.analyses.lipschitz.lower import climb
from splinegraph.analyses.lipschitz.relaxing.levels import levels
from splinegraph.analyses.lipschitz.relaxing.tightening import jacobian_on
from splinegraph.analyses.lipschitz.taking_apart import units

NORMS = (1, 2, math.inf)


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(6, 12), nn.Linear(4, 12)

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        z = torch.relu(self.a(x) + self.b(y))
        return z, (z * 2 - self.a(x))[:, :5]


@pytest.mark.parametrize("norm", NORMS)
def test_the_power_method_stays_below_the_norm_and_comes_near_it(norm: float, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    graph = sg.trace(TwoInputs().eval(), (torch.zeros(1, 6), torch.zeros(1, 4)))
    inputs = (torch.randn(20, 6), torch.randn(20, 4))
    for free in (None, torch.arange(10) % 3 > 0):
        exact = local_norms(graph, norm, inputs, free)
        with monkeypatch.context() as patch:
            patch.setattr(jacobians, "is_small", lambda *sides: False)
            found = local_norms(graph, norm, inputs, free)
        assert (found <= exact * (1 + 1e-9)).all()
        assert (found >= 0.7 * exact).all()
        assert float((found / exact).mean()) > 0.9


@pytest.mark.slow
def test_the_matrices_of_large_maps_are_not_written_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*args: object) -> None:
        raise AssertionError("a matrix of 2^32 entries")

    monkeypatch.setattr(jacobians, "matrices", refused)
    torch.manual_seed(0)
    graph = sg.trace(nn.Conv2d(64, 64, 3, padding=1).eval(), torch.zeros(1, 64, 32, 32))
    for norm in NORMS:
        bound = sg.lipschitz(graph, norm, budget=0)
        assert 0.8 * bound.upper < bound.lower <= bound.upper


def test_a_climb_that_is_late_looks_at_some_points() -> None:
    torch.manual_seed(0)
    graph = sg.trace(nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2)).eval(), torch.zeros(1, 3))
    assert climb(graph, 2, Domain(), deadline=time.monotonic() - 1) is not None
    points = torch.randn(300_000, 3)
    started = time.monotonic()
    found = climb(graph, 2, Domain(), starts=[points], deadline=started)
    assert found is not None
    assert math.isfinite(found.value)


@pytest.mark.parametrize("norm", NORMS)
def test_bounds_that_come_late_are_wider_and_hold(norm: float) -> None:
    torch.manual_seed(1)
    layers = (nn.Linear(3, 12), nn.ReLU(), nn.Linear(12, 12), nn.Tanh(), nn.Linear(12, 9), nn.ReLU(), nn.Linear(9, 2))
    graph = sg.trace(nn.Sequential(*layers).eval(), torch.zeros(1, 3))
    domain, past = Domain((sg.Box(-torch.ones(3), torch.ones(3)),)), time.monotonic() - 1
    found = units(graph, domain.intervals(graph))
    assert found is not None
    assert units(graph, deadline=past) is None
    full, cut = levels(found, domain), levels(found, domain, deadline=past)
    assert (cut.low <= full.low + 1e-12).all()
    assert (cut.high >= full.high - 1e-12).all()
    assert (cut.low < full.low - 1e-3).any()
    seen, _ = found.levels(np.random.default_rng(0).uniform(-1, 1, (200, 3)))
    assert (seen >= cut.low).all()
    assert (seen <= cut.high).all()
    wide = jacobian_on(found, domain, norm, deadline=past).norm(norm)
    assert jacobian_on(found, domain, norm).norm(norm) < wide < math.inf


def test_an_upper_end_does_not_vanish_where_squares_underflow() -> None:
    layers = nn.Sequential(nn.Linear(1, 1), nn.Tanh(), nn.Linear(1, 1)).double().eval()
    with torch.no_grad():
        for p in layers.parameters():
            p.fill_(1e-100)
    graph = sg.trace(layers, torch.zeros(1, 1, dtype=torch.float64))
    for domain in (None, sg.Box(-torch.ones(1), torch.ones(1))):
        bound = sg.lipschitz(graph, 2, domain, budget=0.2)
        assert bound.upper >= 1e-200
