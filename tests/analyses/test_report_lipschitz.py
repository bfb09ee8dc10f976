"""The section on the Lipschitz constant: the library's numbers, the same each time, or a reason for none."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.analyses.lipschitz.jacobians import matrices, norms
from splinegraph.analyses.report import ladders, lipschitz
from splinegraph.analyses.report.lipschitz import LipschitzSection
from splinegraph.analyses.report.report import analyze
from tests.analyses.regions.nets import mlp

DATA = torch.randn(20, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def section(net: nn.Module) -> LipschitzSection:
    graph = sg.trace(net.double().eval(), torch.zeros(1, 3, dtype=torch.float64))
    first, again = (analyze(graph, data=DATA, sections=["lipschitz"]) for _ in range(2))
    assert first.complete
    assert first.to_dict() == again.to_dict()  # the clock has no part in it
    found = first["lipschitz"]
    assert isinstance(found, LipschitzSection)
    return found


def test_the_ends_are_those_of_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    net = mlp(3, 7, 5, 2)
    found = section(net)
    graph = sg.trace(net, torch.zeros(1, 3, dtype=torch.float64))
    whole = sg.lipschitz(graph, budget=0)
    assert found.product == whole.upper
    assert found.lower is not None
    assert found.upper is not None
    A, _ = matrices(graph, DATA[:8])
    assert found.lower >= float(norms(A, 2).max()) * (1 - 1e-9)
    assert found.lower <= found.upper < whole.upper
    assert (found.method, found.domain, found.why) == ("semidefinite", "space", "")
    assert [row.operator for row in found.layers] == ["Linear"] * 3
    monkeypatch.setattr(ladders, "UNITS", 3)
    less = section(net)
    assert (less.upper, less.method) == (whole.upper, "product")


class Product(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * x.flip(1)


class Step(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.sign(x)


def test_what_has_no_constant_on_all_of_space_is_bounded_around_the_samples() -> None:
    found = section(Product())
    assert found.domain == "box"
    assert found.upper is not None
    assert found.lower is not None
    assert 0 < found.lower <= found.upper < math.inf
    assert "in the box around the samples" in found.headline


def test_every_node_has_both_constants_and_every_method_its_row() -> None:
    torch.manual_seed(0)
    net = mlp(3, 7, 5, 2)
    found = section(net)
    assert found.constants is not None
    assert found.rungs is not None
    graph = sg.trace(net, torch.zeros(1, 3, dtype=torch.float64))
    assert set(found.constants) == {node.name for node in graph}
    assert found.constants[graph.inputs[0]] == (1.0, 1.0)
    for layer, name in zip(
        (m for m in net if isinstance(m, nn.Linear)), ("linear", "linear_1", "linear_2"), strict=True
    ):
        own = found.constants[name][0]
        assert own == pytest.approx(float(torch.linalg.matrix_norm(layer.weight.detach(), 2)), rel=1e-9)
    assert found.constants["linear_2"][1] == pytest.approx(found.product)
    uppers = [row.upper for row in found.rungs if row.side == "upper"]
    lowers = [row.lower for row in found.rungs if row.side == "lower"]
    assert found.upper == min(u for u in uppers if u is not None)
    assert found.lower == max(low for low in lowers if low is not None)
    assert [row.method for row in found.rungs][:2] == ["product", "points"]
    assert {"semidefinite", "points in the box around the samples"} <= {row.method for row in found.rungs}


def test_near_the_samples_few_cells_give_the_constant_itself() -> None:
    torch.manual_seed(3)
    net = mlp(3, 5, 4, 2)
    found = section(net)
    near = found.local
    assert near is not None
    assert near.upper is not None
    assert found.upper is not None
    assert near.method == "regions"
    assert near.lower == pytest.approx(near.upper, rel=1e-6)
    assert found.lower is not None
    assert near.lower <= found.lower * (1 + 1e-9) <= found.upper * (1 + 1e-9)
    box = sg.Box(DATA.amin(0), DATA.amax(0))
    points = box.lower + torch.rand(500, 3, dtype=torch.float64) * (box.upper - box.lower)
    A, _ = matrices(sg.trace(net, torch.zeros(1, 3, dtype=torch.float64)), points)
    assert float(norms(A, 2).max()) <= near.upper * (1 + 1e-9)  # brute force


def test_networks_too_large_for_spectral_norms_have_bounds_in_the_maximum_norm(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    net = mlp(3, 7, 5, 2)
    monkeypatch.setattr(lipschitz, "PARAMETERS", 10)
    found = section(net)
    assert (found.norm, found.domain, found.method, found.local) == ("inf", "space", "product", None)
    assert found.constants is not None
    assert found.upper is not None
    assert found.lower is not None
    first = net[0]
    assert isinstance(first, nn.Linear)
    assert found.constants["linear"][0] == pytest.approx(float(first.weight.detach().abs().sum(1).max()))
    A, _ = matrices(sg.trace(net, torch.zeros(1, 3, dtype=torch.float64)), DATA)
    assert found.lower <= found.upper
    assert float(norms(A, math.inf).max()) <= found.upper
    assert "linf" in found.headline


def test_a_jump_is_named() -> None:
    found = section(Step())
    assert (found.upper, found.product) == (None, None)
    assert "jumps" in found.why
    assert "no upper bound" in found.headline


def test_large_networks_are_left_to_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lipschitz, "LARGE_PARAMETERS", 10)
    found = section(mlp(3, 7, 5, 2))
    assert (found.domain, found.lower, found.upper, found.layers) == (None, None, None, ())
    assert "splinegraph lipschitz" in found.headline


@pytest.mark.parametrize("width", [(), (3,)])
def test_samples_and_outputs_may_be_single_numbers(width: tuple[int, ...]) -> None:
    class Sum(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.tanh(x).reshape(len(x), -1).sum(1)

    data = torch.randn(9, *width, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    report = analyze(sg.trace(Sum().eval(), data[:1]), data=data)
    assert report.complete, str(report)
    assert report["lipschitz"].upper == pytest.approx(max(1, sum(width)) ** 0.5)
