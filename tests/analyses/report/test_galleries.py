"""Galleries: images decode to what they are of, numbers are the network's, and what is left out is said."""

from __future__ import annotations

import base64
import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.analyses.report import galleries
from splinegraph.analyses.report.images import Image, image
from splinegraph.analyses.report.report import analyze


def decoded(told: dict[str, Any] | Image) -> Any:
    held = told if isinstance(told, dict) else vars(told)
    steps = np.frombuffer(base64.b64decode(held["data"]), dtype=np.uint8).reshape(held["shape"])
    return held["low"] + steps / 255 * (held["high"] - held["low"])


def step(told: dict[str, Any]) -> float:
    return float(told["high"] - told["low"]) / 255


def conv() -> sg.SplineGraph:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(27, 4)).double().eval()
    return sg.trace(model, torch.zeros(1, 2, 5, 5, dtype=torch.float64))


def told(graph: sg.SplineGraph, data: Tensor, labels: Tensor | None = None) -> dict[str, Any]:
    report = analyze(graph, data=data, labels=labels, sections=["templates", "encoding"])
    assert report.complete
    sections: dict[str, Any] = json.loads(json.dumps(report.to_dict(), allow_nan=False))["sections"]
    return sections


@pytest.mark.parametrize("shape", [(7,), (4, 5), (1, 3, 3), (3, 6, 5)])
def test_images_decode_to_half_a_step(shape: tuple[int, ...]) -> None:
    values = 1e3 + torch.randn(shape, dtype=torch.float64)
    found = image(values)
    assert found is not None
    assert found.shape == ((1, *shape) if len(shape) == 2 else shape)
    half = 0.5001 * (found.high - found.low) / 255
    assert np.abs(decoded(found).reshape(shape) - values.numpy()).max() <= half


def test_what_is_no_image() -> None:
    assert image(torch.tensor([0.0, math.nan])) is None
    assert image(torch.tensor([-1e308, 1e308], dtype=torch.float64)) is None
    assert image(torch.zeros(1, 1, 1, 1)) is None
    assert image(torch.zeros(2, 0)) is None
    constant = image(torch.full((2, 3), 0.7, dtype=torch.float64))
    assert constant is not None
    assert decoded(constant).tolist() == [[[0.7] * 3] * 2]


def test_templates_are_those_of_the_network() -> None:
    graph, data = conv(), torch.randn(20, 2, 5, 5, dtype=torch.float64)
    scores = graph(data).detach()
    labels = scores.argmax(1)
    labels[[7, 12]] = scores[[7, 12]].argmin(1)
    gallery = told(graph, data, labels)["templates"]["gallery"]
    assert [row["sample"] for row in gallery["samples"]][:2] == [7, 12]
    assert len(gallery["samples"]) == 6
    assert "14 of 20 samples" in gallery["left_out"]
    for row in gallery["samples"]:
        i, order = row["sample"], scores[row["sample"]].argsort(descending=True).tolist()
        shown = [template["output"] for template in row["rows"]]
        assert shown == list(dict.fromkeys([*order[:2], row["label"]]))
        assert (row["output"], row["label"]) == (order[0], int(labels[i]))
        assert np.abs(decoded(row["x"]) - data[i].numpy()).max() <= step(row["x"])
        for template in row["rows"]:
            own = sg.templates(graph, data[i : i + 1]).rows[0, template["output"]]
            assert np.abs(decoded(template["template"]) - own.numpy()).max() <= step(template["template"])
            assert template["score"] == pytest.approx(float(scores[i, template["output"]]))
            assert template["score"] == pytest.approx(template["matching"] + template["bias"])
            assert template["matching"] == pytest.approx(float((own * data[i]).sum()))
            cosine = torch.cosine_similarity(own.flatten(), data[i].flatten(), dim=0)
            assert template["cosine"] == pytest.approx(float(cosine))


def test_samples_of_different_classes_come_first() -> None:
    scores = torch.tensor([[1.0, 0, 0], [1, 0, 0], [0, 0, 1], [0, 1, 0], [0, 0, 1]])
    assert galleries.picked(scores, None) == [0, 2, 3, 1, 4]
    assert galleries.picked(scores, torch.tensor([0, 0, 2, 1, 1])) == [4, 0, 2, 3, 1]


def test_reconstructions_are_those_of_the_network() -> None:
    graph, data = conv(), torch.randn(8, 2, 5, 5, dtype=torch.float64)
    section = told(graph, data)["encoding"]
    gallery = section["gallery"]
    assert [row["sample"] for row in gallery["samples"]] == [row["sample"] for row in section["rows"]]
    for shown, row in zip(gallery["samples"], section["rows"], strict=True):
        x = data[shown["sample"]]
        assert [back["name"] for back in shown["rows"]] == ["adjoint", "least_squares"]
        for back in shown["rows"]:
            assert back["error"] == row[back["name"]]
            left = torch.from_numpy(decoded(back["image"])) - x
            slack = step(back["image"]) * x.numel() ** 0.5
            assert float(left.norm()) == pytest.approx(float(x.norm()) * back["error"] ** 0.5, abs=slack)


def test_what_there_is_no_room_for_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, data = conv(), torch.randn(8, 2, 5, 5, dtype=torch.float64)
    monkeypatch.setattr(galleries, "ROOM", 1600)
    sections = told(graph, data)
    assert len(sections["templates"]["gallery"]["samples"]) == 3
    assert "5 of 8 samples" in sections["templates"]["gallery"]["left_out"]
    assert "2×5×5" in sections["encoding"]["gallery"]["left_out"]
    monkeypatch.setattr(galleries, "ROOM", 100)
    for section in told(graph, data).values():
        assert section["gallery"] == {"samples": [], "left_out": "inputs of 2×5×5 are too large to be shown"}


def test_inputs_of_many_axes_are_not_shown() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 3)).double().eval()
    graph = sg.trace(model, torch.zeros(1, 2, 2, 2, 2, dtype=torch.float64))
    for section in told(graph, torch.randn(6, 2, 2, 2, 2, dtype=torch.float64)).values():
        assert section["gallery"]["samples"] == []
        assert "2×2×2×2" in section["gallery"]["left_out"]


def test_tokens_are_shown_as_a_matrix() -> None:
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Flatten(), nn.Linear(15, 3)).double().eval()
    graph = sg.trace(model, torch.zeros(1, 3, 4, dtype=torch.float64))
    gallery = told(graph, torch.randn(6, 3, 4, dtype=torch.float64))["templates"]["gallery"]
    assert gallery["samples"][0]["x"]["shape"] == [1, 3, 4]


class Log(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x.log(), -x], dim=1)


def test_samples_without_a_finite_output_are_left_out() -> None:
    data = torch.tensor([[-1.0, 2.0], [1.0, 3.0], [-2.0, -1.0], [0.5, 1.0]], dtype=torch.float64)
    graph = sg.trace(Log().eval(), torch.ones(1, 2, dtype=torch.float64))
    sections = told(graph, data, torch.tensor([0, 3, 1, 2]))
    assert sorted(row["sample"] for row in sections["templates"]["gallery"]["samples"]) == [1, 3]
    assert {row["sample"]: row["label"] for row in sections["templates"]["gallery"]["samples"]} == {1: 3, 3: 2}
    assert sections["templates"]["samples"] == 2
    assert [row["sample"] for row in sections["encoding"]["rows"]] == [1, 3]
    assert [row["sample"] for row in sections["encoding"]["gallery"]["samples"]] == [1, 3]
    for name in ("templates", "encoding"):
        assert told(graph, -data.abs())[name]["headline"].startswith("not worked out: no")
