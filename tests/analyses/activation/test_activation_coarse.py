"""Coarser nodes: unions of cells, each as its name says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import splinegraph as sg
from tests import zoo

NAMES = ("channel-any", "channel-majority", "position-any", "position-majority", "top-4", "informative-4", "clusters-4")


def same(rows: Tensor) -> Tensor:
    return (rows[:, None] == rows[None]).flatten(2).all(-1)


def shared(ag: sg.ActivationGraph, x: Tensor, layer: int) -> Tensor:
    return same(torch.from_numpy(ag.path(x)[:, layer])[:, None])


@pytest.mark.parametrize("name", NAMES)
def test_nodes_are_unions_of_cells(name: str) -> None:
    x, y = zoo.inputs("cnn", 80)[0], torch.arange(80) % 3
    fine, coarse = (sg.activation_graph(zoo.graph("cnn"), x, y, coarsen=c) for c in (None, name))
    for layer in range(3):
        assert (shared(coarse, x, layer) | ~shared(fine, x, layer)).all()
    assert len(coarse) <= len(fine)
    assert len(coarse.edges) <= len(fine.edges)
    assert "no cells" in coarse.notes[0]
    assert name in coarse.notes[0]
    assert coarse.to_dict()["coarse"] == name


@pytest.mark.parametrize("name", NAMES[:4])
def test_channels_and_positions(name: str) -> None:
    x = zoo.inputs("cnn", 60)[0]
    ag, codes = sg.activation_graph(zoo.graph("cnn"), x, coarsen=name), sg.codes(zoo.graph("cnn"), x)
    for place, layer in enumerate(codes.layers):
        units = codes.unpack(layer.name).flatten(2)
        units = units if name.startswith("channel") else units.transpose(1, 2)
        pooled = units.amax(-1) if name.endswith("any") else units.mode(-1).values  # torch takes the lowest of equals
        assert (shared(ag, x, place) == same(pooled)).all()


def test_a_layer_without_positions_keeps_its_cells() -> None:
    x = zoo.inputs("mlp", 30)[0]
    fine, coarse = (sg.activation_graph(zoo.graph("mlp"), x, coarsen=c) for c in (None, "channel-any"))
    assert (fine.keys == coarse.keys).all()


def test_top_units_are_balanced_and_informative_ones_know_the_label() -> None:
    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            # 0: never; 1: half, not the label; 2: the label, a quarter; 3: rare
            return torch.relu(torch.stack([x[:, 0] - 9, x[:, 0], x[:, 1], x[:, 0] - 1.9], dim=1))

    generator = torch.Generator().manual_seed(0)
    x = torch.rand(400, 2, generator=generator) * 4 - 2
    x[:, 1] = torch.where(torch.arange(400) % 4 == 0, 1.0, -1.0)
    y = (x[:, 1] > 0).long()
    graph = sg.trace(Net().eval(), x[:1])
    for name, unit in (("top-1", 0), ("informative-1", 1)):
        ag = sg.activation_graph(graph, x, y, coarsen=name)
        assert (shared(ag, x, 0) == same(x[:, unit, None] > 0)).all()
    assert ag.summary[0].purity == 1


def test_clusters_take_the_nearest_medoid_and_no_more_than_asked() -> None:
    x = zoo.inputs("cnn", 200)[0]
    ag = sg.activation_graph(zoo.graph("cnn"), x, coarsen="clusters-5")
    assert all(s.cells <= 5 for s in ag.summary)
    # inputs of one cluster differ on fewer units than others
    codes = sg.codes(zoo.graph("cnn"), x)
    distance, together = codes.only(codes.layers[0].name).hamming(), shared(ag, x, 0).numpy()
    apart = ~together
    np.fill_diagonal(together, False)
    assert distance[together].mean() < distance[apart].mean() - 0.5
    again = sg.activation_graph(zoo.graph("cnn"), x, coarsen="clusters-5")
    assert (again.counts == ag.counts).all()


def test_fitting_takes_samples_from_all_of_the_data() -> None:
    """Units are chosen on samples spread over sorted data, not on its first class."""
    x = torch.cat([torch.zeros(2000, 2), torch.tensor([1.0, -1.0]).expand(2000, 2)])
    x[:2000, 1] = torch.rand(2000, generator=torch.Generator().manual_seed(0)) - 0.9  # rarely on
    graph = sg.trace(nn.Sequential(nn.ReLU()).eval(), x[:1])
    ag = sg.activation_graph(graph, x, coarsen="top-1")
    assert ag.counts.tolist() == [2000, 2000]
    assert ag.coarse is not None
    assert ag.coarse.fitted == 1024


def test_units_that_labels_chose_are_not_tested_on_these_labels() -> None:
    """Units chosen by labels without a meaning seem to know of them: three of ten such tests at 5 % said so."""
    x = torch.randn(50, 10, generator=torch.Generator().manual_seed(0))
    graph = sg.trace(nn.Sequential(nn.ReLU()).eval(), x[:1])
    ag = sg.activation_graph(graph, x, [0, 1] * 25, coarsen="informative-4")
    assert any("by their labels: purity is flattered" in note for note in ag.notes)
    with pytest.raises(sg.SplineGraphError, match="no p-value holds; choose 'top-K'"):
        ag.separation_depth()
    assert len(sg.activation_graph(graph, x, [0, 1] * 25, coarsen="top-4").separation_depth().tests) == 1


def test_a_partition_can_be_made_coarser() -> None:
    box = sg.Box(torch.full((2,), -1.0), torch.full((2,), 1.0))
    partition = sg.enumerate_regions(zoo.graph("plane"), box)
    ag = sg.activation_graph(zoo.graph("plane"), partition, partition.classes(), coarsen="informative-2")
    assert ag.volumes is not None
    assert all(s.cells <= 4 for s in ag.summary)
    assert ag.volumes[ag.nodes(0)].sum() == pytest.approx(4.0)
