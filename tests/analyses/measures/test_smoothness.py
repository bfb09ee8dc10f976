"""Smoothness along chords: by hand, by sampling, and of affine networks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import splinegraph as sg
from splinegraph.errors import DataError, ShapeError


def _net(kind: nn.Module) -> sg.SplineGraph:
    torch.manual_seed(4)
    return sg.trace(nn.Sequential(nn.Linear(3, 8), kind, nn.Linear(8, 2)).double().eval(), torch.zeros(1, 3).double())


def _x(n: int = 12) -> torch.Tensor:
    return torch.randn(n, 3, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


def test_an_affine_network_does_not_turn() -> None:
    graph = sg.trace(nn.Linear(3, 2).double().eval(), torch.zeros(1, 3).double())
    found = sg.smoothness(graph, _x(), pairs=20)
    assert found.variation.tolist() == [0.0] * 20
    assert found.kind == "exact"


def test_one_unit_by_hand() -> None:
    """|u| along the line: the slope jumps by 2 |w| wherever the chord crosses its hyperplane."""

    class Fold(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (3 * x[:, :1]).abs()

    graph = sg.trace(Fold().eval(), torch.zeros(1, 2))
    x = torch.tensor([[-1.0, 0.0], [1.0, 0.0], [1.0, 2.0]])
    found = sg.smoothness(graph, x, pairs=30)
    for (i, j), variation, crossed in zip(found.pairs, found.variation, found.crossed, strict=True):
        across = bool(x[i, 0] * x[j, 0] < 0)
        step = (x[j] - x[i]).double()
        assert variation == pytest.approx(6 * float(step[0].abs() / step.norm()) * across)
        assert crossed == across


def test_variation_is_that_of_sampled_slopes() -> None:
    graph, x = _net(nn.ReLU()), _x()
    found = sg.smoothness(graph, x, pairs=10)
    for (i, j), variation, largest in zip(found.pairs, found.variation, found.largest, strict=True):
        t = torch.linspace(0, 1, 20001, dtype=torch.float64)[:, None]
        direction = (x[j] - x[i]) / (x[j] - x[i]).norm()
        local = sg.affine_map(graph, x[i] + t * (x[j] - x[i]))
        slopes = local.matvec(direction.expand(len(t), 3))
        steps = slopes.diff(dim=0).norm(dim=1)
        assert variation == pytest.approx(float(steps.sum()), rel=1e-9, abs=1e-9)
        assert largest == pytest.approx(float(steps.max()), rel=1e-9, abs=1e-9)


def test_a_smooth_network_gets_a_lower_bound() -> None:
    """The slope of tanh(x) varies by 2 (1 - tanh'(end)) on the way through 0."""
    graph = sg.trace(nn.Sequential(nn.Tanh()).double().eval(), torch.zeros(1, 1).double())
    found = sg.smoothness(graph, torch.tensor([[-2.0], [2.0]]).double(), pairs=1)
    truth = 2 * (1 - (1 - np.tanh(2.0) ** 2))
    assert found.kind == "lower"
    assert found.variation[0] <= truth + 1e-12
    assert found.variation[0] == pytest.approx(truth, rel=1e-6)  # a place sampled is the top itself
    assert "at least" in repr(found)


def test_classes_split_the_chords() -> None:
    graph, x, y = _net(nn.ReLU()), _x(), torch.arange(12) % 2
    found = sg.smoothness(graph, x, y, pairs=40)
    assert found.same is not None
    assert found.same.tolist() == [bool(y[i] == y[j]) for i, j in found.pairs]
    both = [found.variation[found.same].mean(), found.variation[~found.same].mean()]
    assert [found.within, found.between] == pytest.approx(both)
    assert sg.smoothness(graph, x, [0] * 12, pairs=5).between is None
    assert found.to_dict()["chords"] == 40
    assert found.plot().get_xlabel().startswith("length")


def test_it_says_when_the_weights_have_changed() -> None:
    net = nn.Sequential(nn.Linear(3, 2), nn.ReLU()).eval()
    found = sg.smoothness(sg.trace(net, torch.zeros(1, 3)), _x(), pairs=3)
    assert not found.stale
    with torch.no_grad():
        net[0].weight.mul_(2)
    assert found.stale


def test_refusals() -> None:
    graph = _net(nn.ReLU())
    with pytest.raises(ShapeError, match="are equal"):
        sg.smoothness(graph, torch.ones(4, 3))
    for labels in (torch.zeros(3, dtype=torch.int64), torch.zeros(12), ["a"] * 12):
        with pytest.raises(DataError, match="one integer per sample"):
            sg.smoothness(graph, _x(), labels)

    class Step(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.sign()

    with pytest.raises(ShapeError, match="jumps"):
        sg.smoothness(sg.trace(Step().eval(), torch.zeros(1, 3)), _x())


class _OneByOne(nn.Module):
    """The same network, written for a batch of one."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.inner(x.reshape(1, 3))
        return found


def test_networks_that_take_one_sample_at_a_time() -> None:
    torch.manual_seed(4)
    inner = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2)).double()
    alone = sg.trace(_OneByOne(inner).eval(), torch.zeros(1, 3, 1).double())
    assert not alone.batched
    found = sg.smoothness(alone, _x()[:, :, None], pairs=8)
    batched = sg.smoothness(_net(nn.ReLU()), _x(), pairs=8)
    np.testing.assert_allclose(found.variation, batched.variation, atol=1e-12)
    assert found.variation.any()


def test_a_report_leaves_out_slopes_that_take_long(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = sg.trace(nn.Sequential(nn.Linear(3, 4), nn.ReLU()).double().eval(), torch.zeros(1, 3).double())
    data = torch.randn(8, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for chords in (2, 0):
        monkeypatch.setattr("splinegraph.analyses.report.measures.WORK", chords * 4 * 11)  # 4 units, 11 entries
        found = sg.analyze(graph, data=data, sections=["measures"])["measures"]
        assert found.chords == chords
    assert "no slopes between samples: 4 units, values of 11 entries" in found.why
