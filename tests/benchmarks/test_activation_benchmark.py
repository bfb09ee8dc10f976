"""The benchmark of the activation graph: as many cells as BLAKE2b tells apart, the same images given again."""

from __future__ import annotations

import pytest
import torch

import splinegraph as sg
from benchmarks.activation_graph import Again, images, measure

pytestmark = pytest.mark.slow


def test_both_ways_find_as_many_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPLINEGRAPH_MNIST", raising=False)
    costs = measure("small-cnn-mean", 20)  # asserts that
    assert (costs.inputs, costs.nodes, costs.data) == (20, 80, "random images")
    assert min(costs.forward, costs.hashing, costs.ours) > 0
    assert "x forward + hashing" in str(costs)


def test_images_given_again_bring_no_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPLINEGRAPH_MNIST", raising=False)
    x, _, _ = images(5)
    graph = sg.trace(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 20), torch.nn.ReLU()).eval(), x[:1])
    ag = sg.activation_graph(graph, Again(x, 23), batch_size=4)
    assert ag.samples == 23
    assert ag.counts.tolist() == [5, 5, 5, 4, 4]
