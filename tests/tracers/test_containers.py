"""Models that take or return dataclasses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

import splinegraph as sg
from tests.tracers.models import Call


@dataclass
class Pair:
    first: Tensor
    rest: list[Any]


def test_dataclasses_that_torch_does_not_know() -> None:
    model = Call(lambda x, m: Pair(m(x).relu(), [x.abs(), {"a": Pair(x * 2, [])}]), nn.Linear(3, 3))
    x = torch.randn(2, 3)
    graph = sg.trace(model, x)
    assert graph.batched
    assert graph.notes == ()
    torch.testing.assert_close(graph(x), (model.parts[0](x).relu(), x.abs(), x * 2))
    assert next(node.module for node in graph.operators) == "parts.0"
    assert isinstance(model(x), Pair)  # the model itself stays as it is
    assert not model._forward_hooks


class Checked(nn.Module):
    def forward(self, x: Tensor) -> Pair:
        if torch.isnan(x).any():
            raise ValueError("not a number")
        return Pair(x.relu(), [x.abs()])


@dataclass
class Known:
    x: Tensor
    y: Tensor


def test_registered_dataclasses_as_inputs() -> None:
    torch.export.register_dataclass(Known)
    x, y = torch.randn(2, 3), torch.randn(2, 3)
    graph = sg.trace(Call(lambda pair, scale: pair.x.relu() * scale + pair.y), (Known(x, y), 2.0))
    assert graph.batched
    torch.testing.assert_close(graph(x, y), x.relu() * 2 + y)


def test_dataclasses_from_a_symbolic_trace() -> None:
    graph = sg.trace(Checked().eval(), torch.ones(2, 3))
    assert "symbolic_trace" in graph.notes[-1]
    assert [y.sum() for y in graph(-torch.ones(2, 3))] == [0, 6]
