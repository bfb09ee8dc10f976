"""Errors per layer: those of the trainable network, of parts cut out, and where there are no layers."""

from __future__ import annotations

import json

import networkx as nx
import pytest
import torch

import splinegraph as sg
from splinegraph.analyses.encoding.layers import bottlenecks
from splinegraph.errors import SplineGraphError
from splinegraph.training.network.network import SplineNetwork
from tests import zoo

ONE = zoo.SINGLE


@pytest.mark.parametrize("name", ONE)
def test_bottlenecks_are_the_nodes_without_which_nothing_arrives(name: str) -> None:
    graph = zoo.graph(name)
    (start,), (end,) = graph.inputs, graph.outputs
    edges = nx.DiGraph((arg, node.name) for node in graph for arg in node.args)
    alone = [n.name for n in graph.operators if n.name in (end,) or not _reaches(edges, start, end, n.name)]
    assert [node.name for node in bottlenecks(graph)] == [n for n in alone if n in nx.descendants(edges, start)]


def _reaches(edges: nx.DiGraph, start: str, end: str, without: str) -> bool:
    kept = edges.subgraph(set(edges) - {without})
    return bool(nx.has_path(kept, start, end))


@pytest.mark.parametrize("name", ["mlp", "cnn", "residual", "gelu"])
def test_both_errors(name: str) -> None:
    graph, (x,) = zoo.graph(name), zoo.inputs(name, 3)
    found = sg.reconstruct_layers(graph, x)
    first, *layers = found
    torch.testing.assert_close(first.above, sg.invert(graph, x).error)
    assert first.below.tolist() == [0.0] * 3
    names = [layer.name for layer in layers]
    trained = SplineNetwork(zoo.model(name), x, layers=names)(x)
    for layer, z, again in zip(layers, trained.values, trained.layer_reconstructions, strict=True):
        torch.testing.assert_close(layer.above, (again - z).reshape(3, -1).square().sum(1))
        part = graph.between(graph.inputs[0], layer.name)
        torch.testing.assert_close(layer.below, sg.invert(part, x).error)
        torch.testing.assert_close(layer.relative_below, layer.below / x.reshape(3, -1).square().sum(1))
        torch.testing.assert_close(layer.energy, z.reshape(3, -1).square().sum(1))
    assert layers[-1].above.tolist() == [0.0] * 3  # f from f


def test_parts_single_samples_and_chosen_layers() -> None:
    graph, (x,) = zoo.graph("cnn"), zoo.inputs("cnn", 5)
    whole, parts = sg.reconstruct_layers(graph, x), sg.reconstruct_layers(graph, x, layers=["relu"], batch_size=2)
    assert [layer.name for layer in parts] == [graph.inputs[0], "relu"]
    torch.testing.assert_close(whole["relu"].above, parts["relu"].above)
    assert len(sg.reconstruct_layers(zoo.graph("single"), *zoo.inputs("single", 3))["relu"].above) == 3
    assert json.dumps(whole.to_dict(), allow_nan=False)
    assert repr(whole) == "<LayerReconstruction: 8 layers, 5 samples>"
    assert len(whole.plot().get_xticklabels()) == 8
    with pytest.raises(KeyError, match="no layer 'gelu'"):
        _ = whole["gelu"]


def test_a_size_counts_all_numbers_of_one_sample() -> None:
    class Turned(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.relu(x.transpose(0, 1)).transpose(0, 1)

    found = sg.reconstruct_layers(sg.trace(Turned().eval(), torch.zeros(1, 3, 2)), torch.ones(2, 3, 2))
    assert [layer.size for layer in found] == [6] * len(found)


def test_a_layer_beside_a_path_is_refused() -> None:
    graph, (x,) = zoo.graph("residual"), zoo.inputs("residual", 1)
    beside = next(node.name for node in graph.operators if node not in bottlenecks(graph))
    with pytest.raises(SplineGraphError, match="a path leads around it; choose one of"):
        sg.reconstruct_layers(graph, x, layers=[beside])
