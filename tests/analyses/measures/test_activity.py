"""Activity of units: counts by hand, distances by pairs."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import nn

import splinegraph as sg
from splinegraph.errors import DataError


def _digits(n: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(n, 5, generator=generator), torch.arange(n) % 3


def _net(*modules: nn.Module) -> sg.SplineGraph:
    torch.manual_seed(0)
    return sg.trace(nn.Sequential(*modules).eval(), torch.zeros(1, 5))


@pytest.mark.parametrize("rectifier", [nn.ReLU(), nn.LeakyReLU(0.1), nn.PReLU(init=0.2), nn.ELU().eval()])
def test_active_units_are_those_with_positive_inputs(rectifier: nn.Module) -> None:
    torch.manual_seed(0)
    first = nn.Linear(5, 7)
    x, _ = _digits()
    found = sg.activity(sg.trace(nn.Sequential(first, rectifier).eval(), torch.zeros(1, 5)), x)
    positive = (first(x.double().float()) > 0).double().mean(1)
    if isinstance(rectifier, nn.ELU):  # smooth: no units
        assert not found.layers
        assert found.active is None
        return
    (layer,) = found.layers
    assert layer.active == pytest.approx(float(positive.mean()))
    assert (layer.least, layer.most) == (pytest.approx(float(positive.min())), pytest.approx(float(positive.max())))
    assert found.active == layer.active


def test_the_papers_count_of_nonzero_outputs_says_nothing_of_a_leaky_rectifier() -> None:
    x, _ = _digits()
    net = nn.Sequential(nn.Linear(5, 7), nn.LeakyReLU(0.1)).eval()
    assert bool((net(x) != 0).all())
    active = sg.activity(sg.trace(net, torch.zeros(1, 5)), x).active
    assert active is not None
    assert active < 1


def test_a_clamped_unit_is_active_between_its_ends() -> None:
    net = nn.Sequential(nn.Hardtanh()).eval()
    graph = sg.trace(net, torch.zeros(1, 2))
    (layer,) = sg.activity(graph, torch.tensor([[0.5, -3.0], [2.0, 0.1]])).layers
    assert layer.active == 0.5


def test_maxima_are_neither_on_nor_off() -> None:
    graph = sg.trace(nn.Sequential(nn.MaxPool1d(2)).eval(), torch.zeros(1, 1, 4))
    (layer,) = sg.activity(graph, torch.randn(6, 1, 4)).layers
    assert layer.active is None
    assert layer.entropy <= 1


def test_entropies_and_effective_patterns_by_hand() -> None:
    graph = sg.trace(nn.Sequential(nn.ReLU()).eval(), torch.zeros(1, 2))
    x = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0], [-1.0, -1.0]])
    (layer,) = sg.activity(graph, x).layers
    quarter = -0.25 * math.log2(0.25) - 0.75 * math.log2(0.75)
    assert layer.entropy == pytest.approx((1 + quarter) / 2)
    assert layer.patterns == 3
    assert layer.effective == pytest.approx(2**1.5)
    assert layer.constant == 0


def test_distances_are_those_of_all_pairs() -> None:
    x, y = _digits()
    graph = _net(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 4), nn.Hardtanh())
    found, hamming = sg.activity(graph, x, y), sg.codes(graph, x)
    for layer in found.layers:
        distance = hamming.only(layer.name).hamming() / layer.units
        inside = [distance[i, j] for i, j in itertools.combinations(range(len(x)), 2) if y[i] == y[j]]
        across = [distance[i, j] for i, j in itertools.combinations(range(len(x)), 2) if y[i] != y[j]]
        assert layer.within == pytest.approx(sum(inside) / len(inside), abs=1e-12)
        assert layer.between == pytest.approx(sum(across) / len(across), abs=1e-12)


def test_one_class_has_no_pairs_between() -> None:
    x, _ = _digits(4)
    (layer,) = sg.activity(_net(nn.Linear(5, 6), nn.ReLU()), x, torch.zeros(4, dtype=torch.int64)).layers
    assert layer.between is None
    assert layer.within is not None
    (single,) = sg.activity(_net(nn.Linear(5, 6), nn.ReLU()), x, torch.arange(4)).layers
    assert single.within is None


def test_dead_units_are_constant() -> None:
    net = nn.Sequential(nn.Linear(5, 6), nn.ReLU()).eval()
    nn.init.zeros_(net[0].weight)
    nn.init.constant_(net[0].bias, -1.0)
    found = sg.activity(sg.trace(net, torch.zeros(1, 5)), _digits()[0])
    (layer,) = found.layers
    assert (layer.active, layer.entropy, layer.constant, layer.patterns, layer.effective) == (0, 0, 6, 1, 1)


@pytest.mark.parametrize("y", [torch.zeros(3, dtype=torch.int64), torch.zeros(40)])
def test_labels_that_do_not_fit(y: torch.Tensor) -> None:
    with pytest.raises(DataError, match="one integer per sample"):
        sg.activity(_net(nn.Linear(5, 6), nn.ReLU()), _digits()[0], y)


def test_results_are_plain_and_drawn() -> None:
    x, y = _digits()
    found = sg.activity(_net(nn.Linear(5, 6), nn.ReLU()), x, y)
    assert found.to_dict()["layers"][0]["units"] == 6
    assert "6 units in 1 layers" in repr(found)
    assert found.plot().get_legend() is not None


def test_units_without_a_steeper_piece_are_neither_on_nor_off() -> None:
    class Both(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.abs() + x.sign()

    x = torch.tensor([[1.0, -1.0], [2.0, 3.0]])
    layers = sg.activity(sg.trace(Both().eval(), x), x).layers
    assert [layer.active for layer in layers] == [None, None]
    with pytest.raises(DataError, match="one integer per sample"):
        sg.activity(sg.trace(nn.ReLU().eval(), x), x, ["a", "b"])
