"""Families of paths through recurrent cells, by source time and layer (Eq 48-50 corrected)."""

from __future__ import annotations

import functools
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.analyses.paths.cells import find_cells, lattice_counts
from splinegraph.errors import SplineGraphError
from tests.analyses.test_paper_recurrent import STEPS, unrolled

CLOSE = {"rtol": 1e-10, "atol": 1e-11}


class Reader(nn.Module):
    """A recurrent layer, and a linear map of its last state, or of the mean of all."""

    def __init__(self, kind: type[nn.Module], layers: int, *, mean: bool = False, **options: Any) -> None:
        super().__init__()
        self.cells = kind(2, 3, layers, batch_first=True, **options)
        self.head = nn.Linear(6 if options.get("bidirectional") else 3, 2)
        self.mean = mean

    def forward(self, x: Tensor) -> Tensor:
        states = self.cells(x)[0]
        return self.head(states.mean(1) if self.mean else states[:, -1])


@functools.cache
def read(kind: type[nn.Module], layers: int, **options: Any) -> tuple[sg.SplineGraph, Tensor]:
    torch.manual_seed(layers)
    if kind is nn.RNN:
        options.setdefault("nonlinearity", "relu")
    x = torch.randn(2, 4, 2, dtype=torch.float64)
    return sg.trace(Reader(kind, layers, **options).double().eval(), x, check=False), x


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_sources_are_the_paths_of_the_paper(layers: int) -> None:
    """z^(L,T) = sum P_(l,t) (W_in^l x^t + b^l): each term is a family, and so are its lattice paths."""
    net = unrolled(layers)
    found = sg.paths(net.graph, net.x, by="source")
    assert found.kind == "exact"
    family = dict(zip(found.names, range(len(found)), strict=True))
    for layer in range(1, layers + 1):
        for t in range(1, STEPS + 1):
            i, P = family[f"layer {layer} step {t}"], net.paths(layer, t)
            torch.testing.assert_close(found.biases[i, 0], torch.as_tensor(P @ net.bias[layer]), **CLOSE)
            carried = P @ net.up[1] @ net.x[0, t - 1].numpy() if layer == 1 else 0 * net.bias[layer]
            torch.testing.assert_close(found.inputs[i, 0], torch.as_tensor(carried), **CLOSE)
            assert found.counts[i] == math.comb(STEPS - t + layers - layer, layers - layer)
    assert float(found.contributions[family["outside"]].abs().max()) == 0
    assert sum(c or 0 for c in found.counts) == math.comb(STEPS + layers, layers) - 1


@pytest.mark.parametrize(
    ("kind", "layers", "options", "exact"),
    [
        (nn.RNN, 2, {}, "exact"),
        (nn.RNN, 2, {"bidirectional": True}, "exact"),
        (nn.RNN, 2, {"mean": True}, "exact"),
        (nn.GRU, 1, {}, "tangent"),
        (nn.LSTM, 1, {"bidirectional": True}, "tangent"),
    ],
)
def test_families_add_up(kind: type[nn.Module], layers: int, options: dict[str, Any], exact: str) -> None:
    graph, x = read(kind, layers, **options)
    local = sg.affine_map(graph, x)
    by_source = sg.paths(graph, x, by="source").contributions[1:].reshape(layers, 4, 2, 2)
    for by, axis in (("time", 0), ("layer", 1)):
        found = sg.paths(graph, x, by=by)
        assert found.kind == exact
        assert found.error is not None
        assert found.error < 1e-12
        templates = found.templates([0, 1])
        torch.testing.assert_close(templates.sum(0), local.rows([0, 1]), **CLOSE)
        torch.testing.assert_close(torch.einsum("fbkti,bti->fbk", templates, x), found.inputs, **CLOSE)
        torch.testing.assert_close(found.contributions[1:], by_source.sum(axis), **CLOSE)


def test_an_input_reaches_the_output_from_its_own_step() -> None:
    graph, x = read(nn.RNN, 2)
    found = sg.paths(graph, x, by="time")
    carried = torch.einsum("bti,bti->tb", sg.affine_map(graph, x).rows([0])[:, 0], x)
    torch.testing.assert_close(found.inputs[1:, :, 0], carried, **CLOSE)


@pytest.mark.parametrize("mean", [True, False])
def test_ways_between_cells_are_counted(mean: bool) -> None:
    """Monotone lattice paths; where all states are read, those that end anywhere."""
    graph, x = read(nn.RNN, 2, **({"mean": True} if mean else {}))
    counts = lattice_counts(graph, (x[:1],), find_cells(graph))
    assert counts is not None
    for cell, count in counts.items():
        up = 2 - cell.layer
        ends = range(cell.step, 5) if mean else [4]
        assert count == sum(math.comb(end - cell.step + up, up) for end in ends)


def test_weights_that_are_zero_make_no_way() -> None:
    model = Reader(nn.RNN, 2, nonlinearity="relu").double().eval()
    for name, p in model.cells.named_parameters():
        if name == "weight_ih_l1":
            p.data.zero_()
    x = torch.randn(1, 4, 2, dtype=torch.float64)
    found = sg.paths(sg.trace(model, x, check=False), x, by="layer")
    assert found.counts == (None, 0, 4)


def test_an_initial_state_enters_at_the_first_step() -> None:
    class Started(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cells = nn.RNN(2, 3, 2, nonlinearity="relu", batch_first=True)

        def forward(self, x: Tensor, h: Tensor) -> Tensor:
            return self.cells(x, h.transpose(0, 1).contiguous())[0][:, -1]

    torch.manual_seed(0)
    x, h = torch.randn(2, 4, 2, dtype=torch.float64), torch.rand(2, 2, 3, dtype=torch.float64)
    graph = sg.trace(Started().double().eval(), (x, h))
    assert {node.step for node in graph.operators} == {None, 0, 1, 2, 3}
    found = sg.paths(graph, (x, h), by="source")
    assert len(found) == 9
    assert found.error is not None
    assert found.error < 1e-12
    rows = sg.affine_map(graph, x, h).rows([0])[1][:, 0]  # (B, layers, 3)
    for layer in range(2):
        carried = (rows[:, layer] * h[:, layer]).sum(1)
        torch.testing.assert_close(found.by_input[1, 1 + 4 * layer, :, 0], carried, **CLOSE)


def test_without_cells_there_is_no_time() -> None:
    class Loop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = nn.RNNCell(2, 3, nonlinearity="relu")

        def forward(self, x: Tensor) -> Tensor:
            state = x.new_zeros(len(x), 3)
            for t in range(4):
                state = self.cell(x[:, t], state)
            return state

    torch.manual_seed(0)
    graph = sg.trace(Loop().double().eval(), torch.zeros(1, 4, 2, dtype=torch.float64))
    x = torch.randn(2, 4, 2, dtype=torch.float64)
    with pytest.raises(SplineGraphError, match="has no time steps"):
        sg.paths(graph, x, by="time")
    # its cells are branches: through j of them comes the step j before the last
    carried = torch.einsum("bti,bti->tb", sg.affine_map(graph, x).rows([0])[:, 0], x)
    torch.testing.assert_close(sg.paths(graph, x).inputs[:, :, 0], carried.flip(0), **CLOSE)
