"""Numbers of cells that theorems give, and those of other programs and of all sign patterns tried one by one."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.optimize import linprog
from torch import Tensor, nn

from tests.analyses.regions.search.nets import Layer, cells_of, mlp

Floats = NDArray[np.float64]


def arrangement(units: int, dim: int) -> int:
    """Zaslavsky: cells of hyperplanes in general position."""
    return sum(math.comb(units, j) for j in range(dim + 1))


def random(*shape: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).standard_normal(shape)


def clique(n: int) -> Floats:
    """The differences of n coordinates: the braid arrangement."""
    rows = [[(i == a) - (i == b) for i in range(n)] for a, b in itertools.combinations(range(n), 2)]
    return np.array(rows, dtype=float)


@pytest.mark.parametrize(("units", "dim"), [(6, 2), (6, 3), (7, 4), (7, 5), (8, 6)])
def test_general_position(units: int, dim: int) -> None:
    # near the origin all hyperplanes pass; far away the box is all of space
    model = Layer(random(units, dim), 0.01 * random(units, seed=1))
    assert len(cells_of(model, dim, -100, 100)) == arrangement(units, dim)


@pytest.mark.parametrize(("units", "dim"), [(5, 2), (6, 3), (7, 4)])
def test_zero_bias(units: int, dim: int) -> None:
    """Cover: hyperplanes through the origin."""
    expected = 2 * sum(math.comb(units - 1, j) for j in range(dim))
    assert len(cells_of(Layer(random(units, dim), np.zeros(units)), dim)) == expected


@pytest.mark.parametrize("n", [3, 4, 5])
def test_braid(n: int) -> None:
    assert len(cells_of(Layer(clique(n), np.zeros(len(clique(n)))), n)) == math.factorial(n)


@pytest.mark.parametrize("dim", [3, 5, 7])
def test_boolean(dim: int) -> None:
    assert len(cells_of(Layer(np.eye(dim), np.zeros(dim)), dim)) == 2**dim


@pytest.mark.parametrize(("variables", "expected"), [(2, 14), (3, 104)])
def test_threshold_functions(variables: int, expected: int) -> None:
    corners = np.array(list(itertools.product([0.0, 1.0], repeat=variables)))
    model = Layer(np.c_[corners, np.ones(len(corners))], np.zeros(len(corners)))
    assert len(cells_of(model, variables + 1)) == expected


def test_grid_duplicates_negations_and_dead_units() -> None:
    rows = np.array([[1, 0, 0]] * 3 + [[0, 1, 0]] * 2 + [[1, 0, 0], [-1, 0, 0], [0, 2, 0], [0, 0, 0]], dtype=float)
    bias = np.array([-0.5, 0, 0.5, -0.3, 0.3, 0, 0, 0.6, -1], dtype=float)
    assert len(cells_of(Layer(rows, bias), 3)) == 4 * 3


def test_hyperplanes_that_touch_the_box_do_not_cut_it() -> None:
    rows, bias = np.array([[1.0, 1, 1], [1, 0, 0], [0, -1, 0], [1, 1, 0]]), np.array([-3.0, -1, -1, 2])
    assert len(cells_of(Layer(rows, bias), 3)) == 1


def test_coincident_hyperplanes_of_two_layers() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 2), nn.ReLU()).double()
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0, 0, 0], [-1, 0, 0]]))
        model[0].bias.zero_()
        model[2].weight.copy_(torch.tensor([[1.0, -1], [-1, 1]]))  # x and -x again
        model[2].bias.zero_()
    assert len(cells_of(model, 3)) == 2


@pytest.mark.parametrize("width", [1e-3, 1e-6, 1e-9])
def test_slivers_are_found(width: float) -> None:
    g = np.array([0.6, 0.0, 0.8])
    assert len(cells_of(Layer(np.array([g, g]), np.array([0.1, 0.1 + width])), 3)) == 3


class Windows(nn.Module):
    """Maxima over the edges of a graph."""

    def __init__(self, edges: list[tuple[int, int]]) -> None:
        super().__init__()
        self.edges = edges

    def forward(self, x: Tensor) -> Tensor:
        first, second = ([e[i] for e in self.edges] for i in range(2))
        return torch.maximum(x[:, first], x[:, second])


@pytest.mark.parametrize(
    ("edges", "expected"),
    [
        ([(0, 1), (1, 2), (2, 3)], 8),
        ([(0, 1), (1, 2), (2, 3), (0, 3)], 14),
        (list(itertools.combinations(range(4), 2)), 24),
    ],
    ids=["path", "cycle", "clique"],
)
def test_windows_are_acyclic_orientations(edges: list[tuple[int, int]], expected: int) -> None:
    assert len(cells_of(Windows(edges), 4)) == expected


class Sorted(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.sort(dim=-1).values


@pytest.mark.parametrize("n", [3, 4, 5])
def test_sorting_has_one_cell_per_permutation(n: int) -> None:
    assert len(cells_of(Sorted(), n)) == math.factorial(n)


def test_top_k_ranks_winners_only() -> None:
    class Top(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.topk(2, dim=-1).values

    assert len(cells_of(Top(), 5)) == 5 * 4


def test_disjoint_pools_multiply() -> None:
    class Pool(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.nn.functional.max_pool1d(x[:, None], 3)[:, 0]

    assert len(cells_of(Pool(), 6)) == 9


class Maxout(nn.Module):
    def __init__(self, pieces: Floats) -> None:
        super().__init__()
        self.linear = nn.Linear(pieces.shape[1] - 1, len(pieces))
        self.linear.weight = nn.Parameter(torch.from_numpy(pieces[:, :-1].copy()))
        self.linear.bias = nn.Parameter(torch.from_numpy(pieces[:, -1].copy()))

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x).amax(-1)


def test_maxout_is_the_upper_hull() -> None:
    """A piece is largest somewhere exactly if its point is a vertex of the upper hull."""
    from scipy.spatial import ConvexHull

    pieces = random(30, 4, seed=3)
    hull = ConvexHull(pieces)
    upper = np.unique(hull.simplices[hull.equations[:, 3] > 1e-12])
    assert len(cells_of(Maxout(pieces), 3, -1e3, 1e3)) == len(upper)


class Tent(nn.Module):
    """The tent map on each coordinate, again and again: 2^depth pieces each."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.depth = depth

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(self.depth):
            x = 2 * x.relu() - 4 * (x - 0.5).relu()
        return x


@pytest.mark.parametrize(("depth", "dim"), [(2, 3), (10, 1), (3, 2)])
def test_tent_maps(depth: int, dim: int) -> None:
    assert len(cells_of(Tent(depth), dim, 0, 1)) == (2**depth) ** dim


class Fold(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        for shift in (0.5, 0.25, 0.125):
            x = (x.abs() - shift).abs() - shift / 2
        return x


def test_folding_is_the_grid_of_its_breakpoints() -> None:
    one = len(cells_of(Fold(), 1))
    assert len(cells_of(Fold(), 3)) == one**3


KNOWN = [
    ((3, 16, 16, 1), 1276),
    ((4, 16, 16, 1), 6658),
    ((6, 12, 12, 1), 7990),
    ((8, 10, 10, 1), 8197),
    ((2, 32, 32, 32, 1), 1180),
]


@pytest.mark.parametrize(("widths", "expected"), KNOWN)
def test_counts_that_other_programs_agree_on(widths: tuple[int, ...], expected: int) -> None:
    assert len(cells_of(mlp(*widths), widths[0])) == expected


def patterns(model: nn.Sequential, dim: int) -> set[tuple[int, ...]]:
    """Return the sign patterns of a small ReLU network whose cells have an interior: an LP for each of all."""
    layers = [m for m in model if isinstance(m, nn.Linear)][:-1]
    sizes = [m.out_features for m in layers]
    found = set()
    for pattern in itertools.product([0, 1], repeat=sum(sizes)):
        A, b, rows, rhs, at = np.eye(dim), np.zeros(dim), [], [], 0
        for m, size in zip(layers, sizes, strict=True):
            W, c = m.weight.detach().numpy(), m.bias.detach().numpy()
            A, b = W @ A, W @ b + c
            on = np.array(pattern[at : at + size], dtype=float)
            sign = 1 - 2 * on
            rows.append(sign[:, None] * A)
            rhs.append(-sign * b)
            A, b, at = on[:, None] * A, on * b, at + size
        G, h = np.concatenate(rows), np.concatenate(rhs)
        norms = np.linalg.norm(G, axis=1)
        if (h[norms == 0] < 0).any():
            continue
        # every row, dead ones too: an inactive unit of constant value -c needs c > 0
        result = linprog(
            [0] * dim + [-1.0], A_ub=np.c_[G, norms], b_ub=h, bounds=[(-1, 1)] * dim + [(None, 1)], method="highs"
        )
        if result.status == 0 and result.x[-1] > 1e-9:
            found.add(pattern)
    return found


@pytest.mark.parametrize(("widths", "seed"), [((3, 4, 3, 1), 0), ((3, 3, 2, 2, 1), 1), ((2, 4, 4, 1), 2)])
def test_all_sign_patterns_one_by_one(widths: tuple[int, ...], seed: int) -> None:
    model = mlp(*widths, seed=seed)
    cells = cells_of(model, widths[0])
    bits, starts, at = [], np.cumsum([0, *[-(-w // 8) for w in widths[1:-1]]]), 0
    for width, start in zip(widths[1:-1], starts, strict=False):
        bits.append(np.unpackbits(cells.packed[:, start : start + -(-width // 8)], axis=1, count=width))
        at += width
    found = {tuple(int(v) for v in row) for row in np.concatenate(bits, axis=1)}
    assert found == patterns(model, widths[0])


def test_tolerances_change_nothing() -> None:
    from splinegraph.analyses.regions.search.search import Search
    from tests.analyses.regions.search.nets import box, compiled

    for model, expected in ((mlp(3, 8, 8, 1), None), (mlp(3, 8, 8, 1, bias=False), None)):
        program = compiled(model, box(3), 3)[2]
        counts = {len(Search(program, tolerance=t, thin=t).run(None, limit=10**6)[0]) for t in (1e-12, 1e-11, 1e-10)}
        assert len(counts) == 1, expected
