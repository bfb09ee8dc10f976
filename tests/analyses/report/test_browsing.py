"""Browsing activation cells: all samples are in them, and their steps; what is not listed is counted."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch import Tensor

import splinegraph as sg
from splinegraph.analyses.report import browsing
from splinegraph.analyses.report.report import analyze
from tests.zoo import graph as traced

SAMPLES = 700


def told(name: str, data: Tensor, labels: Tensor | None = None) -> dict[str, Any]:
    report = analyze(traced(name), data=data, labels=labels, sections=["activation"])
    found: dict[str, Any] = json.loads(json.dumps(report.to_dict(), allow_nan=False))["sections"]["activation"]
    return found


def data(width: int) -> Tensor:
    return torch.randn(SAMPLES, width, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("name", ["mlp", "abs", "hardtanh"])
def test_all_samples_are_in_cells_and_steps(name: str) -> None:
    x = data(3)
    labels = torch.arange(SAMPLES) % 2 + 3 * (x[:, 0] > 0)
    section = told(name, x, labels)
    browser = section["browser"]
    assert (browser["left_out"], browser["edges_left_out"]) == (0, 0)
    assert len(browser["nodes"]) == section["cells"]
    assert len(browser["edges"]) == section["edges"]
    patterns = sg.codes(traced(name), x)
    for layer, known in enumerate(patterns.layers):
        nodes = [node for node in browser["nodes"] if node[0] == layer]
        assert sum(node[2] for node in nodes) == SAMPLES
        assert len({node[1] for node in nodes}) == len(nodes)
        packed = patterns.packed[:, known.start : known.stop]
        for _, _, count, classes, samples in nodes:
            same = (packed == packed[samples[0]]).all(1).nonzero()[0].tolist()
            assert len(same) == count
            assert samples == same[:5]
            assert classes == {str(c): labels[same].tolist().count(c) for c in labels[same].unique().tolist()}
    for place, (layer, _, count, _, _) in enumerate(browser["nodes"]):
        leaving = sum(edge[2] for edge in browser["edges"] if edge[0] == place)
        coming = sum(edge[2] for edge in browser["edges"] if edge[1] == place)
        assert leaving == (count if layer + 1 < len(patterns.layers) else 0)
        assert coming == (count if layer else 0)


def test_the_most_visited_are_listed_and_the_others_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = told("mlp", data(3))
    monkeypatch.setattr(browsing, "NODES", 8)
    monkeypatch.setattr(browsing, "EDGES", 3)
    part = told("mlp", data(3))["browser"]
    counts = sorted((node[2] for node in whole["browser"]["nodes"]), reverse=True)
    assert sorted((node[2] for node in part["nodes"]), reverse=True) == counts[:8]
    assert part["left_out"] == whole["cells"] - 8
    assert len(part["edges"]) == 3
    assert part["edges_left_out"] == whole["edges"] - 3
    assert all(node[3] is None for node in part["nodes"])
    for start, end, count in part["edges"]:
        assert part["nodes"][start][0] + 1 == part["nodes"][end][0]
        assert 0 < count <= min(part["nodes"][start][2], part["nodes"][end][2])


def test_without_cells_there_is_nothing_to_browse() -> None:
    assert told("affine", data(3))["browser"] is None
