"""Amplitude and phase: f = A x + b at every layer, and Proposition 1 of the paper as a counterexample."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

import splinegraph as sg
from splinegraph.errors import ShapeError
from tests import zoo

ONE = [name for name in zoo.EXACT if name in zoo.SINGLE]


@pytest.mark.parametrize("name", [*ONE, "gelu"])
def test_amplitude_and_bias_are_those_of_the_map(name: str) -> None:
    graph, (x,) = zoo.graph(name), zoo.inputs(name, 3)
    found = sg.encode(graph, x)
    A, b = sg.affine_map(graph, x).dense()
    dense = A.reshape(3, -1, x[0].numel()) @ x.reshape(3, -1, 1)
    torch.testing.assert_close(found.amplitude.reshape(3, -1), dense[..., 0])
    torch.testing.assert_close(found.bias, b)
    torch.testing.assert_close(found.value, graph(x))
    assert (found.phase.packed == sg.codes(graph, x).packed).all()


@pytest.mark.parametrize("name", ["mlp", "cnn", "residual"])
def test_layers_have_amplitudes_too(name: str) -> None:
    graph, (x,) = zoo.graph(name), zoo.inputs(name, 3)
    found = sg.encode(graph, x, batch_size=2)
    for node in graph.operators:
        part, layer = graph.between(graph.inputs[0], node.name), found.layer(node.name)
        local = sg.affine_map(part, x)
        torch.testing.assert_close(layer.amplitude, local.matvec(x))
        torch.testing.assert_close(layer.bias, local.bias)
        assert [a.name for a in layer.phase.layers] == [a.name for a in sg.codes(part, x).layers]
    torch.testing.assert_close(found.layer(graph.outputs[0]).amplitude, found.amplitude)


def test_two_inputs_share_amplitude_and_phase() -> None:
    layer = nn.Linear(2, 1, bias=False)
    layer.weight.data = torch.tensor([[1.0, 0.0]])
    found = sg.encode(
        sg.trace(nn.Sequential(layer, nn.ReLU()).eval(), torch.zeros(1, 2)), torch.tensor([[1.0, 0.0], [1.0, 5.0]])
    )
    assert (found.amplitude.tolist(), found.distinct) == ([[1.0], [1.0]], 1)
    assert bool((found.bias_share == 0).all())


def test_summaries_and_refusals() -> None:
    found = sg.encode(zoo.graph("mlp"), *zoo.inputs("mlp", 3))
    assert json.dumps(found.to_dict(), allow_nan=False)
    assert repr(found) == "<Encoding: 3 samples, 2 amplitudes, 14 units, exact>"
    with pytest.raises(ShapeError, match=r"2 outputs; choose one with graph\.output"):
        sg.encode(zoo.graph("two"), *zoo.inputs("two", 2))
