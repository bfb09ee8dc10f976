"""The trainable product: equal to the product bound, with right gradients, and it trains."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import splinegraph as sg
from splinegraph.analyses.lipschitz.product import product
from splinegraph.analyses.robustness import penalty as module
from splinegraph.errors import SplineGraphError, UnsupportedOperatorError

NORMS = (1, 2, math.inf)


class Skip(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.relu(self.a(x))
        return torch.cat([x + self.b(h), h], 1)


def value(penalty: torch.Tensor) -> float:
    return float(penalty.detach())


def traced(net: nn.Module, *shape: int) -> sg.SplineGraph:
    torch.manual_seed(0)
    return sg.trace(net.double().eval(), torch.zeros(1, *shape, dtype=torch.float64))


@pytest.mark.parametrize("norm", NORMS)
def test_it_equals_the_product(norm: float) -> None:
    for net in (nn.Sequential(nn.Linear(4, 6), nn.LeakyReLU(0.1), nn.Linear(6, 3)), Skip()):
        graph = traced(net, 4 if isinstance(net, nn.Sequential) else 3)
        assert value(sg.contraction_penalty(graph, norm)) == pytest.approx(product(graph, norm).upper, rel=1e-9)


@pytest.mark.parametrize("norm", NORMS)
def test_gradients_are_right(norm: float) -> None:
    net = Skip()
    graph = traced(net, 3)
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(torch.randn(p.shape, dtype=torch.float64))
    weight = net.b.weight
    sg.contraction_penalty(graph, norm).backward()
    for i in ((0, 0), (1, 2)):
        ends = []
        for step in (1e-6, -1e-6):
            with torch.no_grad():
                weight[i] += step
                ends.append(float(sg.contraction_penalty(graph, norm)))
                weight[i] -= step
        assert float(weight.grad[i]) == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-5, abs=1e-7)


def test_power_iteration_estimates_convolutions_from_below(monkeypatch: pytest.MonkeyPatch) -> None:
    net = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(108, 2))
    graph = traced(net, 2, 6, 6)
    exact = value(sg.contraction_penalty(graph))
    monkeypatch.setattr(module, "MOST_DENSE", 0)
    few, many = (value(sg.contraction_penalty(graph, steps=n)) for n in (1, 500))
    assert few <= exact * (1 + 1e-12)
    assert many == pytest.approx(exact, rel=1e-6)
    assert many <= exact * (1 + 1e-12)
    kept = sg.ContractionPenalty(graph, steps=2)
    assert [value(kept()) for _ in range(200)][-1] == pytest.approx(exact, rel=1e-6)
    penalty = kept()
    penalty.backward()
    assert all(p.grad is not None for n, p in net.named_parameters() if n.endswith("weight"))


def test_training_with_it_makes_a_contraction() -> None:
    net = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))
    graph = traced(net, 3)
    with torch.no_grad():
        for p in net.parameters():
            p.mul_(3)
    before = sg.lipschitz(graph, budget=0.1).upper
    adam, penalty = torch.optim.Adam(net.parameters(), lr=0.02), sg.ContractionPenalty(graph)
    x, y = torch.randn(64, 3, dtype=torch.float64), torch.randint(2, (64,))
    for _ in range(150):
        adam.zero_grad()
        (nn.functional.cross_entropy(net(x), y) + torch.relu(penalty() - 1)).backward()
        adam.step()
    assert before > 2
    assert product(graph, 2).upper < 1.1
    assert sg.lipschitz(graph, budget=0.1).upper < 1.1


def test_operators_without_a_constant_are_named() -> None:
    class Square(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * x

    with pytest.raises(UnsupportedOperatorError, match="has no Lipschitz constant"):
        sg.contraction_penalty(traced(Square(), 2))
    with pytest.raises(SplineGraphError, match="steps=0"):
        sg.contraction_penalty(traced(nn.Linear(2, 2), 2), steps=0)
