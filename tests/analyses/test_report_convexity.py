"""The section on convexity: the library's verdicts, the same each time, or a reason for none."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import splinegraph as sg
from splinegraph.analyses.convexity.convexity import convexity
from splinegraph.analyses.report import convexity as module
from splinegraph.analyses.report.convexity import ConvexitySection
from splinegraph.analyses.report.report import analyze
from tests.analyses.regions.nets import mlp


def section(net: nn.Module) -> ConvexitySection:
    graph = sg.trace(net.double().eval(), torch.zeros(1, 3, dtype=torch.float64))
    first, again = (analyze(graph, sections=["convexity"]) for _ in range(2))
    assert first.complete
    assert first.to_dict() == again.to_dict()  # the clock has no part in it
    found = first["convexity"]
    assert isinstance(found, ConvexitySection)
    return found


def test_the_verdicts_are_those_of_the_library() -> None:
    torch.manual_seed(0)
    net = mlp(3, 7, 5, 2)
    found = section(net)
    whole = convexity(sg.trace(net, torch.zeros(1, 3, dtype=torch.float64)), methods=module.METHODS)
    assert found.counts == whole.counts
    assert [row.status for row in found.outputs] == [str(verdict.status) for verdict in whole]
    assert "off a chord" in found.outputs[0].proof


def test_signs_that_fail_are_named() -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    with torch.no_grad():
        net[2].weight.abs_()
    found = section(net)
    assert found.counts == {"convex": 2}
    assert found.layers == ()
    with torch.no_grad():
        net[2].weight[1, 2] = -3.0
    found = section(net)
    assert [(row.node, row.asks, row.units, row.total) for row in found.layers] == [
        ("linear_1", "weights >= 0", 1, 3.0)
    ]
    assert found.outputs[0].status == "convex"
    assert found.outputs[1].status != "convex"
    assert found.headline.endswith("signs first fail at linear_1")


def test_large_networks_are_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PARAMETERS", 10)
    found = section(nn.Sequential(nn.Linear(3, 4), nn.ReLU()))
    assert found.counts is None
    assert found.headline.startswith("not worked out: 16 parameters")
