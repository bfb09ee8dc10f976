"""How many cells there are: theorems, tables, and another algorithm."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from splinegraph.core.values import Box
from tests.analyses.regions.mesh.oracles import (
    UNIT,
    assert_exact,
    assert_tiles,
    by_clipping,
    linear,
    mlp,
    run,
    unpacked,
)


@pytest.mark.parametrize(
    ("sizes", "count"), [((2, 16, 16, 1), 127), ((2, 32, 32, 32, 1), 1180), ((2, 64, 64, 64, 1), 6668)]
)
def test_known_counts(sizes: tuple[int, ...], count: int) -> None:
    graph, chart, result = run(mlp(*sizes))
    assert len(result.mesh) == len(result.cells) == count
    assert_exact(graph, chart, result)


@pytest.mark.slow
@pytest.mark.parametrize(("sizes", "count"), [((2, 128, 128, 128, 10), 20714), ((2, 256, 256, 1), 37357)])
def test_known_counts_of_wide_networks(sizes: tuple[int, ...], count: int) -> None:
    graph, chart, result = run(mlp(*sizes))
    assert len(result.mesh) == count
    assert_exact(graph, chart, result)


def flats_in_the_square(weight: np.ndarray, bias: np.ndarray) -> int:
    """Return how many flats of a generic arrangement meet the open square: as many as cells (Zaslavsky)."""
    corners = np.array(list(itertools.product((-1, 1), repeat=2)))
    value = corners @ weight.T + bias
    lines = int(((value.min(0) < 0) & (value.max(0) > 0)).sum())
    points = 0
    for i, j in itertools.combinations(range(len(weight)), 2):
        point = np.linalg.solve(weight[[i, j]], -bias[[i, j]])
        points += bool((np.abs(point) < 1).all())
    return 1 + lines + points


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("act", [nn.ReLU, nn.LeakyReLU])
def test_one_layer_has_as_many_cells_as_flats_meet_the_square(seed: int, act: type[nn.Module]) -> None:
    net = mlp(2, 40, 1, seed=seed, act=act)
    assert isinstance(net[0], nn.Linear)
    count = flats_in_the_square(net[0].weight.detach().numpy(), net[0].bias.detach().numpy())
    graph, chart, result = run(net)
    assert len(result.mesh) == count
    assert_exact(graph, chart, result)


@pytest.mark.parametrize("n", [1, 2, 7, 30])
def test_lines_through_one_point_make_two_cells_each(n: int) -> None:
    net = mlp(2, n, 1, seed=n)
    assert isinstance(net[0], nn.Linear)
    nn.init.zeros_(net[0].bias)
    graph, chart, result = run(net)
    assert len(result.mesh) == 2 * n
    assert_exact(graph, chart, result)


def test_a_grid() -> None:
    net = nn.Sequential(linear([[1, 0]] * 5 + [[0, 1]] * 3, [-0.5, -0.3, 0, 0.2, 0.4, -0.1, 0, 0.7]), nn.ReLU())
    graph, chart, result = run(net)
    assert len(result.mesh) == 6 * 4
    assert_exact(graph, chart, result)


def tent(depth: int) -> nn.Sequential:
    """Return a network that folds both coordinates of the unit square in two, `depth` times."""
    fold = [
        linear([[1, 0], [1, 0], [0, 1], [0, 1]], [0, -0.5, 0, -0.5]),
        nn.ReLU(),
        linear([[2, -4, 0, 0], [0, 0, 2, -4]]),
    ]
    return nn.Sequential(*(m for _ in range(depth) for m in fold))


@pytest.mark.parametrize("depth", [1, 2, 4, 6])
def test_tent_maps(depth: int) -> None:
    _, chart, result = run(tent(depth), UNIT)
    assert len(result.mesh) == 4**depth
    assert np.allclose(result.areas, 4.0**-depth)
    assert_tiles(chart, result)


@pytest.mark.parametrize("seed", range(6))
def test_clipping_finds_the_same_codes(seed: int) -> None:
    net = mlp(2, 7, 6, 5, 1, seed=seed)
    with torch.no_grad():
        for m in net:
            if isinstance(m, nn.Linear):
                m.weight *= 2.0
    graph, chart, result = run(net)
    assert_exact(graph, chart, result)
    assert unpacked(graph, result) == by_clipping(net)


def test_clipping_finds_the_same_codes_in_another_box() -> None:
    box = Box(torch.tensor([-3.0, 0.5], dtype=torch.float64), torch.tensor([2.0, 4.0], dtype=torch.float64))
    net = mlp(2, 12, 12, 1)
    graph, chart, result = run(net, box)
    assert_exact(graph, chart, result)
    assert unpacked(graph, result) == by_clipping(net, box)


def test_no_unit_no_cut() -> None:
    _, chart, result = run(nn.Sequential(linear([[1, 2]])))
    assert len(result.mesh) == 1
    assert result.cells.packed.shape == (1, 0)
    assert_tiles(chart, result)
    assert result.cells.points.tolist() == [[0.0, 0.0]]
    assert result.cells.radii[0] == pytest.approx(1.0)
