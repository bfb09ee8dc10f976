"""Counts that are theorems: arrangements, sawtooths, orderings, orientations."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import networkx as nx
import pytest
import torch
from torch import Tensor, nn

import splinegraph as sg

METHODS = ("mesh", "search")


def layer(weights: Sequence[Sequence[float]] | Tensor, bias: Sequence[float] | Tensor) -> nn.Linear:
    """Return a linear layer with these weights."""
    w = torch.as_tensor(weights, dtype=torch.float64)
    linear = nn.Linear(w.shape[1], w.shape[0]).double()
    with torch.no_grad():
        linear.weight.copy_(w)
        linear.bias.copy_(torch.as_tensor(bias, dtype=torch.float64))
    return linear


def one_layer(weights: Sequence[Sequence[float]] | Tensor, bias: Sequence[float] | Tensor) -> nn.Sequential:
    return nn.Sequential(layer(weights, bias), nn.ReLU())


def cells(
    net: nn.Module, dim: int, radius: float = 1.0, method: str = "auto", low: float | None = None
) -> sg.Partition:
    """Return the partition of a box, with every check passed."""
    graph = sg.trace(net.double().eval(), torch.zeros(1, dim, dtype=torch.float64))
    box = sg.Box(torch.full((dim,), -radius if low is None else low), torch.full((dim,), radius))
    found = sg.enumerate_regions(graph, on=box, method=method)
    assert found.complete
    assert found.verified, found.verified
    return found


def methods(dim: int) -> tuple[str, ...]:
    return METHODS if dim == 2 else ("auto",)


def zaslavsky(n: int, d: int) -> int:
    return sum(math.comb(n, j) for j in range(d + 1))


@pytest.mark.parametrize(("n", "d"), [(4, 1), (9, 2), (6, 3), (5, 4)])
@pytest.mark.parametrize("activation", [nn.ReLU, lambda: nn.LeakyReLU(0.1), lambda: nn.LeakyReLU(-1.0)])
def test_generic_hyperplanes(n: int, d: int, activation: Callable[[], nn.Module]) -> None:
    """Zaslavsky: sum of C(n, j), j <= d. All vertices of the arrangement lie in the box."""
    generator = torch.Generator().manual_seed(n * 10 + d)
    weights = torch.randn(n, d, generator=generator, dtype=torch.float64)
    net = nn.Sequential(layer(weights, 0.01 * torch.randn(n, generator=generator, dtype=torch.float64)), activation())
    for method in methods(d):
        assert cells(net, d, 1e3, method).count == zaslavsky(n, d)


@pytest.mark.parametrize(("n", "d"), [(7, 2), (6, 3), (5, 4)])
def test_hyperplanes_through_the_origin(n: int, d: int) -> None:
    """Cover: twice the sum of C(n - 1, j), j < d."""
    weights = torch.randn(n, d, generator=torch.Generator().manual_seed(n), dtype=torch.float64)
    expected = 2 * sum(math.comb(n - 1, j) for j in range(d))
    for method in methods(d):
        assert cells(one_layer(weights, torch.zeros(n)), d, method=method).count == expected


def test_a_grid_of_parallel_lines() -> None:
    net = one_layer([[1, 0]] * 3 + [[0, 1]] * 2, [-0.5, 0, 0.5, -0.25, 0.25])
    for method in METHODS:
        assert cells(net, 2, method=method).count == 4 * 3


def test_duplicates_dead_units_and_concurrent_lines() -> None:
    net = one_layer([[1, 0], [2, 0], [-1, 0], [0, 0], [0, 1], [1, 1]], [0, 0, 0, 3, 0, 0])
    for method in METHODS:
        assert cells(net, 2, method=method).count == 6


@pytest.mark.parametrize("n", [3, 4])
def test_braid_arrangement(n: int) -> None:
    """The hyperplanes x_i = x_j cut space into n! cells."""
    pairs = list(itertools.combinations(range(n), 2))
    weights = torch.zeros(len(pairs), n)
    for row, (i, j) in enumerate(pairs):
        weights[row, i], weights[row, j] = 1, -1
    assert cells(one_layer(weights, torch.zeros(len(pairs))), n).count == math.factorial(n)


def test_sorting_is_the_braid_arrangement() -> None:
    class Sorted(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.sort(-1).values

    assert cells(Sorted(), 4).count == 24


def test_orthants() -> None:
    found = cells(one_layer(torch.eye(5), torch.zeros(5)), 5)
    assert found.count == found.maximal_count == 32


@pytest.mark.parametrize(("d", "expected"), [(2, 14), (3, 104)])
def test_threshold_functions(d: int, expected: int) -> None:
    """All affine forms on {0, 1}^d: one cell per linear threshold function."""
    weights = torch.tensor([[1.0, *x] for x in itertools.product((0.0, 1.0), repeat=d)])
    assert cells(one_layer(weights, torch.zeros(len(weights))), d + 1).count == expected


class Windows(nn.Module):
    """The maximum of each pair of inputs that is an edge of a graph."""

    def __init__(self, edges: Sequence[tuple[int, ...]]) -> None:
        super().__init__()
        self.edges = edges

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([x[:, list(e)].amax(1) for e in self.edges], 1)


@pytest.mark.parametrize(
    "edges", [[(0, 1), (1, 2), (2, 3)], [(0, 1), (1, 2), (2, 3), (3, 0)], list(itertools.combinations(range(4), 2))]
)
def test_windows_of_two_are_acyclic_orientations(edges: list[tuple[int, int]]) -> None:
    expected = sum(
        nx.is_directed_acyclic_graph(
            nx.DiGraph([(a, b) if up else (b, a) for up, (a, b) in zip(p, edges, strict=True)])
        )
        for p in itertools.product((True, False), repeat=len(edges))
    )
    assert cells(Windows(edges), 4).count == expected


def test_disjoint_windows_multiply() -> None:
    assert cells(Windows([(0, 1), (2, 3, 4)]), 5).count == 6


def test_maximum_behind_relu() -> None:
    """Dead zeros that tie in a maximum are no boundary: two cells where both are positive, three elsewhere."""

    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(x).amax(1)

    for method in METHODS:
        assert cells(Net(), 2, method=method).count == 5


def tent(depth: int, copies: int = 1) -> nn.Sequential:
    """Return Telgarsky's sawtooth, for each coordinate on its own."""
    eye, layers = torch.eye(copies), []
    for i in range(depth):
        w = torch.tensor([[1.0], [1.0]] if i == 0 else [[2.0, -4.0], [2.0, -4.0]])
        layers += [layer(torch.kron(eye, w), torch.tensor([0.0, -0.5]).repeat(copies)), nn.ReLU()]
    return nn.Sequential(*layers, layer(torch.kron(eye, torch.tensor([[2.0, -4.0]])), torch.zeros(copies)))


@pytest.mark.parametrize("depth", [1, 3, 6, 10])
def test_sawtooth(depth: int) -> None:
    found = cells(tent(depth), 1, 1.0, low=0.0)
    assert found.count == found.maximal_count == 2**depth


@pytest.mark.parametrize("method", METHODS)
def test_product_of_sawtooths(method: str) -> None:
    found = cells(tent(4, 2), 2, 1.0, method, low=0.0)
    assert found.count == found.maximal_count == 16**2


@pytest.mark.parametrize("depth", [1, 3, 6])
def test_folding(depth: int) -> None:
    """| |x| - 1 |, then halves: every fold doubles the cells."""
    layers: list[nn.Module] = []
    for i in range(depth):
        layers += [layer([[1.0]], [0.0 if i == 0 else -2.0 / 2**i]), nn.LeakyReLU(-1.0)]
    assert cells(nn.Sequential(*layers), 1, 2.0).count == 2**depth


def test_two_cells_one_linear_region() -> None:
    net = nn.Sequential(layer([[1.0], [1.0]], [0.0, 0.0]), nn.ReLU(), layer([[1.0, -1.0]], [0.0]))
    found = cells(net, 1)
    assert (found.count, found.maximal_count) == (2, 1)


def test_a_linear_network_is_one_cell() -> None:
    for dim in (1, 2, 3):
        found = cells(layer(torch.ones(1, dim), [0.5]), dim)
        assert (found.count, found.maximal_count) == (1, 1)


def test_residual_block_cuts_like_its_layer() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = layer(torch.randn(3, 3, generator=torch.Generator().manual_seed(0)), [0.01, -0.01, 0.02])

        def forward(self, x: Tensor) -> Tensor:
            return x + torch.relu(self.inner(x))

    assert cells(Block(), 3, 100.0).count == zaslavsky(3, 3)


def test_maxout_unit_is_an_upper_hull() -> None:
    """The winners of a maximum of affine functions are the vertices of the upper hull of (w, b)."""
    from scipy.spatial import ConvexHull

    generator = torch.Generator().manual_seed(3)
    w, b = torch.randn(8, 2, generator=generator).double(), 0.3 * torch.randn(8, generator=generator).double()
    hull = ConvexHull(torch.cat([w, b[:, None]], 1).numpy())
    upper = {int(i) for s, e in zip(hull.simplices, hull.equations, strict=True) if e[2] > 1e-12 for i in s}
    net = nn.Sequential(layer(w, b), Windows([tuple(range(8))]))
    for method in METHODS:
        assert cells(net, 2, 1e3, method).count == len(upper)
