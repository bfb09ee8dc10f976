"""The examples do what their README says, and the same network in two formats has the same facts."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import splinegraph as sg

EXAMPLES = Path(__file__).parents[2] / "examples"
FLOORS = {
    "digits_mlp": 0.97, "digits_cnn": 0.99, "digits_resnet": 0.985, "digits_rnn": 0.98, "digits_gelu": 0.98,
    "digits_icnn": 0.97, "digits_lstm": 0.95,
}  # fmt: skip
SMOOTH = {"digits_gelu", "digits_lstm"}


@pytest.fixture(scope="module")
def digits() -> tuple[Tensor, Tensor]:
    with np.load(EXAMPLES / "digits.npz") as data:
        return torch.from_numpy(data["x"]), torch.from_numpy(data["y"])


def load(name: str) -> dict[str, Any]:
    return runpy.run_path(str(EXAMPLES / f"{name}.py"))


def accuracy(model: nn.Module, digits: tuple[Tensor, Tensor]) -> float:
    x, y = digits
    with torch.no_grad():
        return float((model(x).argmax(1) == y).double().mean())


def row(name: str) -> tuple[int, float]:
    """Return parameters and accuracy as the README states them."""
    found = re.search(rf"\| `{re.escape(name)}` \|.*\| (\d+) \| ([\d.]+) % \|", (EXAMPLES / "README.md").read_text())
    assert found
    return int(found[1]), float(found[2]) / 100


def test_every_example_is_tested_and_recorded() -> None:
    files = {path.stem for path in EXAMPLES.glob("digits_*.py")}
    weights = {path.stem for path in (EXAMPLES / "weights").glob("*.pt")}
    assert files == weights == set(FLOORS)
    assert set(json.loads((EXAMPLES / "weights" / "accuracy.json").read_text())["models"]) == files


@pytest.mark.parametrize("name", FLOORS)
def test_example(name: str, digits: tuple[Tensor, Tensor]) -> None:
    found = load(name)
    model = found["model"]
    assert digits[0].shape[1:] == found["input_shape"]
    reached = accuracy(model, digits)
    assert reached >= FLOORS[name]
    stated = json.loads((EXAMPLES / "weights" / "accuracy.json").read_text())["models"][name]
    parameters, rounded = row(f"{name}.py")
    assert abs(reached - stated["test_accuracy"]) < 1e-3
    assert abs(reached - rounded) <= 5.1e-4
    assert parameters == stated["parameters"] == sum(p.numel() for p in model.parameters())
    graph = sg.trace(model, digits[0][:1])
    assert graph.batched
    assert graph.notes == ()
    assert graph.exact is (name not in SMOOTH)
    assert not any(node.op.family == "opaque" for node in graph.operators)
    local = sg.affine_map(graph, digits[0][:4])
    assert local.kind == ("tangent" if name in SMOOTH else "exact")
    assert local.verify() < 1e-10


def test_steps_of_the_recurrent_example() -> None:
    graph = sg.trace(load("digits_rnn")["model"], torch.zeros(1, 1, 8, 8))
    assert {node.step for node in graph.operators if node.op.label == "ReLU"} == set(range(8))
    assert sg.codes(graph, torch.zeros(1, 1, 8, 8)).units == 8 * 64


def test_onnx_example_has_the_facts_of_the_python_one(digits: tuple[Tensor, Tensor]) -> None:
    onnx = pytest.importorskip("onnx")
    from splinegraph.tracers.onnx import read_onnx

    path = EXAMPLES / "digits_cnn.onnx"
    model, same = read_onnx(path).eval(), load("digits_cnn")["model"]
    x = digits[0]
    with torch.no_grad():
        torch.testing.assert_close(model(x), same(x), rtol=1e-4, atol=1e-4)
    proto = onnx.load(path)
    parameters, rounded = row("digits_cnn.onnx")
    weights = [t for t in proto.graph.initializer if t.name.endswith((".weight", ".bias"))]
    assert parameters == sum(int(np.prod(t.dims)) for t in weights)
    assert abs(accuracy(model, digits) - rounded) <= 5.1e-4
    assert str(EXAMPLES.parent).encode() not in path.read_bytes()
    graphs = [sg.trace(m, x[:1]) for m in (model, same)]
    assert [g.exact for g in graphs] == [True, True]
    assert [g.batched for g in graphs] == [True, True]
    mine, theirs = (sg.codes(g, x) for g in graphs)
    assert mine.units == theirs.units
    assert mine.count == theirs.count
    A, B = (sg.affine_map(g, x[:8]).dense().A for g in graphs)
    torch.testing.assert_close(A, B, rtol=1e-4, atol=1e-4)
