"""Norms from one matrix per group or per place: the same as of the whole matrix, in less time."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.analyses.lipschitz.product import product
from splinegraph.analyses.lipschitz.stretches import Stretch, stretch


def whole(operator: nn.Module, *shape: int) -> float:
    """Return the l2 norm of a linear module from its whole matrix."""
    n = torch.Size(shape).numel()
    with torch.no_grad():
        rows = operator(torch.eye(n, dtype=torch.float64).reshape(n, *shape)).reshape(n, -1)
    return float(torch.linalg.matrix_norm(rows, 2))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("groups", "kind"), [(4, nn.Conv2d), (2, nn.Conv2d), (2, nn.ConvTranspose2d)])
def test_groups_are_looked_at_one_by_one(groups: int, kind: type[nn.Module], stride: int) -> None:
    torch.manual_seed(groups + stride)
    net = kind(4, 8, 3, stride=stride, padding=1, groups=groups, bias=False).double().eval()
    graph = sg.trace(net, torch.zeros(1, 4, 5, 5, dtype=torch.float64))
    assert product(graph, 2).upper == pytest.approx(whole(net, 4, 5, 5), rel=1e-9)


@pytest.mark.parametrize("stride", [1, 2])
def test_one_matrix_at_every_place(stride: int) -> None:
    torch.manual_seed(stride)
    net = nn.Conv2d(3, 5, 1, stride=stride, bias=False).double().eval()
    graph = sg.trace(net, torch.zeros(1, 3, 4, 4, dtype=torch.float64))
    assert product(graph, 2).upper == pytest.approx(whole(net, 3, 4, 4), rel=1e-9)


class Residual(nn.Module):
    """Pointwise layers with a skip; with `mixed` the second moves values between places."""

    def __init__(self, mixed: bool) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 6, 1, bias=False)
        self.norm = nn.BatchNorm2d(6)
        self.second = nn.Conv2d(6, 3, 3 if mixed else 1, padding=int(mixed), bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return x and what the layers make of it."""
        return x + self.second(self.norm(self.first(x)))


@pytest.mark.parametrize("mixed", [False, True])
def test_stretches_of_pointwise_layers(mixed: bool) -> None:
    torch.manual_seed(3)
    net = Residual(mixed).double().eval()
    graph = sg.trace(net, torch.zeros(1, 3, 4, 4, dtype=torch.float64))
    found = stretch(graph, graph.outputs[0], graph.resolved(torch.float64, torch.device("cpu"), 1))
    assert isinstance(found, Stretch)
    assert found._places(graph.inputs[0]) == (0 if mixed else 2)
    assert found.constant(graph.inputs[0], 2) == pytest.approx(whole(net, 3, 4, 4), rel=1e-9)


def test_what_broadcasts_is_not_the_same_at_every_place() -> None:
    class Gate(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + x[:, :, :1, :1]

    graph = sg.trace(Gate().eval(), torch.zeros(1, 2, 3, 3))
    truth = whole(Gate(), 2, 3, 3)
    assert product(graph, 2).upper >= truth * (1 - 1e-12)
