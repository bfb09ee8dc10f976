"""The section on regions: exact counts of a small slice and along chords, and a reason where there are none."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.analyses.report import regions, slices
from splinegraph.analyses.report.regions import RegionsSection
from splinegraph.analyses.report.report import analyze
from splinegraph.core.domains.plane import Plane


def net(*widths: int) -> sg.SplineGraph:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(widths):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return sg.trace(nn.Sequential(*layers[:-1]).double().eval(), torch.zeros(1, widths[0], dtype=torch.float64))


def section(graph: sg.SplineGraph, data: Tensor, labels: Tensor | None = None) -> RegionsSection:
    report = analyze(graph, data=data, labels=labels, sections=["regions"])
    assert report.complete
    found: RegionsSection = report["regions"]
    assert isinstance(found, RegionsSection)
    return found


def points(count: int, width: int) -> Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_the_counts_are_those_of_the_library() -> None:
    graph, data = net(5, 10, 8, 3), points(20, 5)
    found = section(graph, data, torch.tensor([1, 1, 0, 1] + [2] * 16))
    assert (found.slice, found.samples, found.scale, found.why) == ("plane", (0, 2, 4), 1.0, "")
    exact = sg.enumerate_regions(graph, Plane.through(*data[[0, 2, 4]]))
    assert (found.cells, found.linear_regions) == (exact.count, exact.maximal_count)
    t = torch.linspace(0, 1, 40_001, dtype=torch.float64)[:, None]
    counts = [1 + _changes(graph, (1 - t) * a + t * b) for a, b in itertools.pairwise(data[:8])]
    assert (found.chords, found.crossed_least, found.crossed_most) == (7, min(counts), max(counts))
    assert found.crossed_median == sorted(counts)[3]
    assert f"{exact.count} activation cells" in found.headline


def _changes(graph: sg.SplineGraph, line: Tensor) -> int:
    packed = sg.codes(graph, line).packed
    return int((packed[1:] != packed[:-1]).any(1).sum())


def test_two_entries_are_a_box() -> None:
    graph, data = net(2, 10, 1), points(50, 2)
    found = section(graph, data)
    exact = sg.enumerate_regions(graph, sg.Box(data.amin(0), data.amax(0)))
    assert (found.slice, found.cells, found.samples) == ("box", exact.count, ())


def test_a_slice_of_too_many_cells_is_made_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, data = net(5, 10, 8, 3), points(20, 5)
    whole = section(graph, data)
    assert whole.cells is not None
    monkeypatch.setattr(regions, "CELLS", whole.cells - 1)
    part = section(graph, data)
    assert part.scale is not None
    assert 0.25 <= part.scale < 1
    assert part.cells is not None
    assert part.cells < whole.cells
    assert f"{100 * part.scale:.0f} % of the plane" in part.headline
    monkeypatch.setattr(regions, "CELLS", 1)
    monkeypatch.setattr(slices, "TRIES", 2)
    none = section(graph, data * 100)
    assert none.cells is None
    assert "no slice" in none.headline


class Two(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return torch.relu(x - y) + torch.relu(x)


def test_what_there_is_none_of_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    found = section(net(5, 4, 2), points(2, 5))
    assert (found.slice, found.chords) == (None, 1)
    assert "three samples" in found.why
    found = section(net(5, 4, 2), points(1, 5))
    assert found.chords == 0
    line = torch.outer(torch.arange(4.0, dtype=torch.float64), torch.ones(5, dtype=torch.float64))
    assert "line" in section(net(5, 4, 2), line).why
    two = sg.trace(Two().eval(), (torch.zeros(1, 3), torch.zeros(1, 3)))
    report = analyze(two, data=(points(4, 3), points(4, 3).flip(0)), sections=["regions"])
    assert "several inputs" in report["regions"].why
    assert report["regions"].chords == 3
    tanh = sg.trace(nn.Sequential(nn.Linear(3, 3), nn.Tanh()).eval(), torch.zeros(1, 3))
    assert "not piecewise affine" in section(tanh, points(3, 3).float()).why
    monkeypatch.setattr(regions, "UNITS", 3)
    assert "4 units" in section(net(5, 4, 2), points(3, 5)).why


def test_samples_on_a_line_are_passed_over() -> None:
    graph, data = net(4, 8, 3), points(8, 4)
    data[1], data[2] = data[0], 2 * data[0]
    data[0] = 0.0
    assert section(graph, data).samples == (0, 1, 3)
    assert section(graph, data, torch.tensor([0, 1, 2] + [0] * 5)).samples == (0, 1, 3)
    assert "all of the first 3 samples lie on a line" in section(graph, data[:3]).headline
    assert "the inputs have a single entry" in section(net(1, 4, 2), points(8, 1)).headline


def test_a_chord_in_one_cell_is_one_cell() -> None:
    graph = sg.trace(nn.Linear(3, 2).double().eval(), torch.zeros(1, 3, dtype=torch.float64))
    assert section(graph, points(5, 3)).headline.endswith("crosses 1 cell")


def test_a_slice_of_a_large_network_has_fewer_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, data = net(5, 10, 8, 3), points(20, 5)
    monkeypatch.setattr(regions, "LEAST", 7)
    monkeypatch.setattr(regions, "WORK", 20 * sum(math.prod(node.shape) for node in graph.nodes))
    found = section(graph, data)
    assert found.cells is not None
    assert found.cells <= 20
    assert found.scale is not None
    assert found.scale < 1
