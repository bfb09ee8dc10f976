"""Time steps of unrolled recurrent modules."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.core.graph import Node, SplineGraph
from splinegraph.tracers.steps import Clock
from tests.tracers.models import Recurrent

T = 4


def traced(cell: nn.Module) -> SplineGraph:
    x = torch.randn(2, T, 3) if getattr(cell, "batch_first", False) else torch.randn(T, 2, 3)
    return sg.trace(Recurrent(cell).eval(), x, batch_dim=0 if getattr(cell, "batch_first", False) else 1, check=False)


def labelled(graph: SplineGraph, label: str) -> list[Node]:
    return [node for node in graph.operators if node.op.label == label]


def test_clock_follows_a_forward_pass() -> None:
    clock = Clock()
    assert clock.slice("x0", 0) == 0
    assert clock.tick("h0", ["x0"], gathers=False, recurrent=0) == 0
    assert clock.tick("u0", ["h0"], gathers=False, recurrent=1) == 1
    assert clock.slice("x1", 1) == 1
    assert clock.tick("h1", ["x1", "u0"], gathers=False, recurrent=0) == 1
    assert clock.tick("all", ["h0", "h1"], gathers=True, recurrent=0) is None
    assert clock.tick("after", ["all"], gathers=False, recurrent=0) is None


def test_clock_follows_a_reversed_pass() -> None:
    clock = Clock()
    clock.slice("x2", 2)
    assert clock.tick("u", ["x2"], gathers=False, recurrent=-1) == 1
    clock.slice("x1", 1)
    assert clock.tick("h", ["x1", "u"], gathers=False, recurrent=0) == 1
    assert clock.tick("v", ["h"], gathers=False, recurrent=-1) == 0


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_every_step_has_its_cell(kind: type[nn.Module], batch_first: bool) -> None:
    graph = traced(kind(3, 5, batch_first=batch_first))
    label = {"RNN": "Tanh", "GRU": "Tanh", "LSTM": "Sigmoid"}[kind.__name__]
    steps = Counter(node.step for node in labelled(graph, label))
    assert set(steps) == set(range(T))
    assert len(set(steps.values())) == 1
    assert all(node.step is None for node in labelled(graph, "Concat")[-1:])


def test_steps_never_go_back() -> None:
    graph = traced(nn.GRU(3, 5, batch_first=True))
    for node in graph.operators:
        before = [graph[arg].step for arg in node.args if not graph[arg].is_input]
        known = [step for step in before if step is not None]
        if node.step is not None and known:
            assert node.step >= max(known)


def test_both_directions() -> None:
    graph = traced(nn.RNN(3, 5, nonlinearity="relu", bidirectional=True, batch_first=True))
    relus = labelled(graph, "ReLU")
    assert Counter(node.step for node in relus) == dict.fromkeys(range(T), 2)
    assert [node.step for node in relus] == [*range(T), *range(T)[::-1]]


def test_states_of_a_reversed_pass_are_of_their_own_step() -> None:
    graph = traced(nn.LSTM(3, 5, bidirectional=True, batch_first=True))
    assert Counter(node.step for node in labelled(graph, "Tanh")) == dict.fromkeys(range(T), 4)


def test_layers_have_the_same_steps() -> None:
    graph = traced(nn.RNN(3, 5, 2, nonlinearity="relu", batch_first=True))
    assert Counter(node.step for node in labelled(graph, "ReLU")) == dict.fromkeys(range(T), 2)


def test_what_is_outside_has_no_step() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inside = nn.Linear(3, 3)
            self.cell = nn.RNN(3, 5, batch_first=True)
            self.head = nn.Linear(5, 2)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.head(self.cell(self.inside(x))[0][:, -1])
            return out

    graph = sg.trace(Model().eval(), torch.randn(2, T, 3))
    assert {node.step for node in graph.operators if node.module in ("inside", "head", "")} == {None}
    last = max(node.step for node in graph.operators if node.step is not None)
    assert last == T - 1
    assert "step 3" in next(node.where for node in graph.operators if node.step == 3)


def test_a_cell_called_in_a_loop_has_no_step() -> None:
    class Loop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = nn.GRUCell(3, 5)

        def forward(self, x: Tensor) -> Tensor:
            h = x.new_zeros(x.shape[0], 5)
            for t in range(x.shape[1]):
                h = self.cell(x[:, t], h)
            return h

    graph = sg.trace(Loop().eval(), torch.randn(2, T, 3))
    assert sg.affine_map(graph, torch.randn(2, T, 3)).verify() < 1e-10
    assert not any(node.op.family == "opaque" for node in graph.operators)


def test_a_cell_whose_first_state_is_an_input() -> None:
    class Loop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = nn.RNNCell(3, 5, nonlinearity="relu")

        def forward(self, x: Tensor, h: Tensor) -> Tensor:
            for t in range(T):
                h = self.cell(x[:, t], h)
            return h

    inputs = torch.randn(2, T, 3), torch.randn(2, 5)
    model = Loop().eval()
    graph = sg.trace(model, inputs)
    assert torch.allclose(graph(*inputs), model(*inputs), atol=1e-5)
