"""LSTM cells, attention and gated networks as spline graphs whose regions can be enumerated."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.core.graph import SplineGraph
from splinegraph.transforms.spline.spline import spline
from splinegraph.transforms.spline.substitution import SplineSubstitution

EXAMPLES = Path(__file__).parents[2] / "examples"


class Cell(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(2, 3)

    def forward(self, x: Tensor) -> Tensor:
        zero = torch.zeros(x.shape[0], 3)
        return self.cell(x, (zero, zero))[0]


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(2, 1, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.attention(x, x, x, need_weights=False)[0]


def box(center: Tensor, radius: Tensor | float) -> sg.Box:
    return sg.Box(center - radius, center + radius)


def traced(net: nn.Module, *shape: int) -> SplineGraph:
    return sg.trace(net.eval(), torch.zeros(1, *shape))


def check(graph: SplineGraph, found: SplineSubstitution, on: sg.Box, tol: float) -> None:
    """The bound holds, and the cells of the spline graph tell its values."""
    assert found.graph.exact
    assert found.largest_error <= tol
    x = on.sample(4000, generator=torch.Generator().manual_seed(0))
    assert found.observed_error(x).lower <= found.largest_error
    with torch.no_grad():
        gap = float((found.graph(x) - graph(x)).abs().max())
    assert gap <= found.largest_error
    partition = sg.enumerate_regions(found.graph, on, limit=100_000)
    assert partition.complete
    assert partition.verified
    assert len(partition) > 1


def test_gated_mlp() -> None:
    torch.manual_seed(0)
    graph = traced(nn.Sequential(nn.Linear(2, 8), nn.GELU(), nn.Linear(8, 1)), 2)
    on = box(torch.zeros(2, dtype=torch.float64), 1.0)
    check(graph, spline(graph, on, tol=1e-2), on, 1e-2)


def test_attention_block() -> None:
    torch.manual_seed(0)
    graph = traced(Attention(), 3, 2)
    radius = torch.zeros(3, 2, dtype=torch.float64)
    radius[0] = 1.0  # one token moves
    on = box(torch.randn(3, 2, dtype=torch.float64), radius)
    found = spline(graph, on, tol=1e-2)
    assert {node.function for node in found.nodes} == {"Product", "Exp", "Reciprocal"}
    check(graph, found, on, 1e-2)


@pytest.mark.slow
def test_lstm_cell() -> None:
    torch.manual_seed(0)
    graph = traced(Cell(), 2)
    on = box(torch.zeros(2, dtype=torch.float64), 1.0)
    found = spline(graph, on, tol=1e-2)
    assert {node.function for node in found.nodes} == {"Product", "Sigmoid", "Tanh"}
    check(graph, found, on, 1e-2)


@pytest.mark.slow
def test_the_digits_lstm() -> None:
    """Eight steps of 16 cells, so 56 nodes that are functions or products of others."""
    with np.load(EXAMPLES / "digits.npz") as data:
        image = torch.from_numpy(data["x"][:1]).double()
    net = runpy.run_path(str(EXAMPLES / "digits_lstm.py"))["model"].double()
    graph = sg.trace(net, image)
    across, down = torch.zeros(2, 1, 8, 8, dtype=torch.float64)
    across[0, 6, 3] = down[0, 7, 4] = 1.0
    on = sg.Plane(image[0], across, down, ((-0.05, 0.05), (-0.05, 0.05)))
    found = spline(graph, on, tol=1e-2)
    assert found.largest_error <= 1e-2
    seen = found.observed_error(on.sample(1000, generator=torch.Generator().manual_seed(0)))
    assert 0 < seen.lower <= found.largest_error
    partition = sg.enumerate_regions(found.graph, on)
    assert partition.complete
    assert partition.verified


def test_layer_norm_away_from_where_it_has_no_slope() -> None:
    torch.manual_seed(0)
    graph = traced(nn.Sequential(nn.Linear(2, 4), nn.LayerNorm(4), nn.Linear(4, 2)), 2)
    on = box(torch.zeros(2, dtype=torch.float64), 0.1)
    check(graph, spline(graph, on, tol=2e-2), on, 2e-2)


def test_module_paths_stay_on_the_new_nodes() -> None:
    graph = traced(Attention(), 3, 2)
    found = spline(graph, box(torch.zeros(3, 2, dtype=torch.float64), 0.2), pieces=2)
    new = [node for node in found.graph.operators if node.name not in {n.name for n in graph.nodes}]
    assert new
    assert {node.module for node in new} == {"attention"}
    assert found.graph.outputs == graph.outputs
