"""Composition of constants along a graph: above every local map, and no more than it has to be."""

from __future__ import annotations

import json
import math

import pytest
import torch
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.analyses.lipschitz.intervals import intervals
from splinegraph.analyses.lipschitz.jacobians import matrices, norms
from splinegraph.analyses.lipschitz.product import Product, product
from splinegraph.analyses.lipschitz.stretches import stretch
from splinegraph.core.graph import SplineGraph
from splinegraph.core.values import Box

NORMS = (1, 2, math.inf)


class Skip(nn.Module):
    """A residual block, and a value that is read twice."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.inner, self.outer, self.head = (nn.Linear(5, 5) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        return self.head(x + self.outer(torch.relu(self.inner(x)))) - 0.5 * x


class Stack(nn.Module):
    """Branches side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(4, 3), nn.Linear(4, 6), nn.Linear(9, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.c(torch.cat([torch.relu(self.a(x)), torch.tanh(self.b(x))], 1))


class Several(nn.Module):
    """Two inputs and two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(3, 4), nn.Linear(2, 4)

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        z = torch.relu(self.a(x) + self.b(y))
        return z, torch.maximum(z[:, :2], y)


class Normed(nn.Module):
    """Convolutions with batch norms, a padding of its own, a pool and a head."""

    def __init__(self, size: int = 6) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(2, 3, 3, padding=1, padding_mode="replicate"), nn.BatchNorm2d(3), nn.ReLU(),
            nn.ConvTranspose2d(3, 4, 2, 2), nn.BatchNorm2d(4), nn.ReLU(), nn.AvgPool2d(4),
        )  # fmt: skip
        self.head = nn.Linear(4 * (size // 2) ** 2, 3)
        for module in self.body:
            if isinstance(module, nn.BatchNorm2d):
                module.running_var.uniform_(0.1, 3)
                module.weight.data.uniform_(-2, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).flatten(1))


CASES: dict[str, tuple[type[nn.Module], list[tuple[int, ...]]]] = {
    "skip": (Skip, [(5,)]),
    "stack": (Stack, [(4,)]),
    "several": (Several, [(3,), (2,)]),
    "normed": (Normed, [(2, 6, 6)]),
}


def traced(name: str, seed: int) -> SplineGraph:
    torch.manual_seed(seed)
    kind, shapes = CASES[name]
    return sg.trace(kind().double().eval(), tuple(torch.zeros(1, *s, dtype=torch.float64) for s in shapes))


def sampled(graph: SplineGraph, norm: float, points: list[Tensor]) -> float:
    A, boundary = matrices(graph, *points)
    return float(norms(A[~boundary], norm).max())


@pytest.mark.parametrize("name", CASES)
def test_is_above_the_norms_of_local_maps(name: str) -> None:
    for seed in range(4):
        graph = traced(name, seed)
        points = [torch.randn(200, *shape, dtype=torch.float64) * 3 for shape in graph.input_shapes]
        for norm in NORMS:
            assert sampled(graph, norm, points) <= product(graph, norm).upper


@pytest.mark.parametrize("name", ["skip", "stack", "normed"])
def test_on_a_box_with_coordinates_that_do_not_move(name: str) -> None:
    for seed in range(3):
        graph = traced(name, seed)
        (shape,) = graph.input_shapes
        lower = torch.randn(shape, dtype=torch.float64)
        free = torch.rand(shape) < 0.5
        free.view(-1)[:2] = torch.tensor([True, False])
        box = Box(lower, lower + 0.5 * free)
        boxes = intervals(graph, [box])
        points = lower + 0.5 * free * torch.rand(100, *shape, dtype=torch.float64)
        A, boundary = matrices(graph, points)
        for norm in NORMS:
            moving = A[..., free.reshape(-1)]
            found = product(graph, norm, boxes).upper
            assert float(norms(moving[~boundary], norm).max()) <= found < product(graph, norm).upper


def test_a_convolution_and_its_batch_norm_count_as_one() -> None:
    torch.manual_seed(0)
    graph = sg.trace(Normed().body[:2].double().eval(), torch.zeros(1, 2, 6, 6, dtype=torch.float64))
    A, _ = matrices(graph, torch.zeros(1, 2, 6, 6, dtype=torch.float64))
    for norm in NORMS:
        assert product(graph, norm).upper == pytest.approx(float(torch.linalg.matrix_norm(A[0], norm)), rel=1e-9)


@pytest.mark.parametrize("transposed", [False, True])
def test_large_pairs_merge_into_one_convolution(transposed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    conv = nn.ConvTranspose2d(4, 6, 3, padding=1, groups=2) if transposed else nn.Conv2d(4, 6, 3, padding=1, groups=2)
    norm = nn.BatchNorm2d(6)
    norm.weight.data.uniform_(-2, 2)
    graph = sg.trace(nn.Sequential(conv, norm).double().eval(), torch.zeros(1, 4, 8, 8, dtype=torch.float64))
    A, _ = matrices(graph, torch.zeros(1, 4, 8, 8, dtype=torch.float64))
    monkeypatch.setattr("splinegraph.analyses.lipschitz.stretches.is_small", lambda rows, columns: False)
    for order in NORMS:
        exact = float(torch.linalg.matrix_norm(A[0], order))
        found = product(graph, order).upper
        assert exact * (1 - 1e-12) <= found <= exact * (1.08 if order == 2 else 1 + 1e-9)


def test_affine_branches_that_cancel_leave_nothing() -> None:
    class Cancels(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return 3 * x - x.flip(1).flip(1) * 3

    graph = sg.trace(Cancels().eval(), torch.zeros(1, 4, dtype=torch.float64))
    for norm in NORMS:
        assert product(graph, norm).upper < 1e-6


def test_gains_along_the_chain_multiply_to_the_whole_and_blocks_share_it() -> None:
    found = product(traced("normed", 0), 2)
    assert math.prod(entry.gain for entry in found.chain) == pytest.approx(found.upper)
    assert found.blocks[0].module == "body"
    assert sum(block.share for block in found.blocks) == pytest.approx(1)
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert told["upper"] == found.upper
    assert [block["module"] for block in told["blocks"]] == [block.module for block in found.blocks]


def test_an_operator_without_a_constant_is_named() -> None:
    class Squares(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(x) * x

    found = product(sg.trace(Squares().eval(), torch.zeros(1, 3)), 2)
    assert found.upper == math.inf
    assert [node.target for node in found.unbounded] == ["aten.mul.Tensor"]
    assert isinstance(found, Product)
    assert json.dumps(found.to_dict(), allow_nan=False)


def test_an_optimistic_join_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check of this file bites: the larger of two branches is no bound of their sum."""
    from splinegraph.analyses.lipschitz import product as module
    from splinegraph.core.algebra import LinearCombination

    class Doubles(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(x) + torch.tanh(x)

    monkeypatch.setattr(LinearCombination, "join", lambda self, constants, norm=2: max(constants))
    graph = sg.trace(Doubles().eval(), torch.zeros(1, 2, dtype=torch.float64))
    points = [torch.full((1, 2), 1e-3, dtype=torch.float64)]
    assert sampled(graph, 2, points) > module.product(graph, 2).upper


def test_a_stretch_is_the_linear_part_of_the_network() -> None:
    graph = traced("normed", 1)
    found = stretch(graph, graph.outputs[0], graph.resolved(torch.float64, torch.device("cpu"), 1))
    assert found is not None
    (source,) = found.sources
    shape = graph[source].shape
    v = torch.randn(3, *shape, dtype=torch.float64)
    one_by_one = torch.stack([found.linear(source, x) for x in v])
    assert torch.allclose(found.linear(source, v), one_by_one)
    assert [node.op.label.split("(")[0] for node in found.nodes] == ["AvgPool", "Reshape", "Linear"]
