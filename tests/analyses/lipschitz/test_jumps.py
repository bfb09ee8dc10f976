"""Jumps are found where there are some, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.analyses.lipschitz import jumps
from splinegraph.analyses.lipschitz.jumps import jump


class Apply(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def traced(function: Callable[[Tensor], Tensor]) -> sg.SplineGraph:
    return sg.trace(Apply(function).eval(), torch.zeros(1, 3, dtype=torch.float64))


@pytest.mark.parametrize("on", [None, sg.Box(-torch.ones(3), torch.ones(3)), sg.Ball(torch.zeros(3), 1.0)])
@pytest.mark.parametrize(
    ("function", "least"),
    [
        (torch.sign, 1.0),
        (lambda x: 3 * torch.sign(x - 0.1) + 1000 * x, 3.0),
        (lambda x: nn.functional.hardshrink(x, 0.2), 0.2),
        (lambda x: torch.round(x.sum(1, keepdim=True)), 1.0),
    ],
)
def test_two_points_on_both_sides(function: Callable[[Tensor], Tensor], least: float, on: object) -> None:
    graph = traced(function)
    found = jump(graph, on)
    assert found is not None
    (a,), (b,) = found.first, found.second
    assert 0 < float((a - b).norm()) == found.distance < 1e-11
    moved = float((graph(a[None]) - graph(b[None])).norm())
    assert moved == found.moved >= least * 0.99
    if isinstance(on, (sg.Box, sg.Ball)):
        assert bool(on.contains(torch.stack([a, b])).all())
    assert found.to_dict()["moved"] == moved
    assert "node" in found.node


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x * torch.sign(x),  # |x|: the operator jumps, the network does not
        lambda x: torch.relu(x),
        lambda x: 1e9 * torch.relu(x) + 0 * torch.sign(x),  # steep, and continuous
    ],
)
def test_no_jump_is_made_up(function: Callable[[Tensor], Tensor]) -> None:
    assert jump(traced(function)) is None


def test_a_jump_that_the_domain_leaves_out() -> None:
    graph = traced(torch.sign)
    assert jump(graph, sg.Box(torch.ones(3), 2 * torch.ones(3))) is None


def test_without_the_comparison_steep_slopes_would_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: looking at few halvings only, any slope is a jump."""
    monkeypatch.setattr(jumps, "HALVINGS", 3)
    monkeypatch.setattr(jumps, "EARLIER", 5)
    assert jump(traced(lambda x: x * torch.sign(x))) is not None
