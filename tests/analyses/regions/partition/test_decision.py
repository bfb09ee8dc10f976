"""Where classes meet, against the network on dense points and against formulas."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from splinegraph.analyses.regions.partition.decision import Crossing
from splinegraph.analyses.regions.partition.partition import Partition
from splinegraph.core.graph import SplineGraph
from splinegraph.errors import SplineGraphError
from tests.analyses.regions.partition.brute import brute, function, mlp


@pytest.fixture(scope="module")
def graph() -> SplineGraph:
    return mlp(2, 8, 6, 4, seed=2)


@pytest.fixture(scope="module")
def partition(graph: SplineGraph) -> Partition:
    return brute(graph, samples=100_000)


@pytest.fixture(scope="module")
def boundary(partition: Partition) -> dict[tuple[int, int], Crossing]:
    return partition.decision_boundary()


def test_both_classes_are_largest_on_a_segment(graph: SplineGraph, boundary: dict[tuple[int, int], Crossing]) -> None:
    assert len(boundary) >= 2
    for (a, b), crossing in boundary.items():
        assert crossing.segments is not None
        for share in (0.001, 0.5, 0.999):
            points = crossing.segments[:, 0] + share * (crossing.segments[:, 1] - crossing.segments[:, 0])
            f = graph(torch.from_numpy(points)).detach()
            assert torch.allclose(f[:, a], f[:, b], rtol=0, atol=1e-13)
            assert (f[:, a] >= f.amax(1) - 1e-13).all()


def test_the_first_class_is_on_the_left(graph: SplineGraph, boundary: dict[tuple[int, int], Crossing]) -> None:
    for (a, b), crossing in boundary.items():
        assert crossing.segments is not None
        start, end = torch.from_numpy(crossing.segments).unbind(1)
        way = (end - start) / (end - start).norm(dim=1, keepdim=True)
        left = torch.stack([-way[:, 1], way[:, 0]], 1)
        f = graph((start + end) / 2 + 1e-6 * left).detach()
        assert (f[:, a] > f[:, b]).all()


def test_no_change_of_class_is_missed(graph: SplineGraph, boundary: dict[tuple[int, int], Crossing]) -> None:
    """Between neighboring points of a grid the class changes only near a segment of that pair."""
    axis = torch.linspace(-1, 1, 81, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    classes = graph(grid).argmax(1).reshape(81, 81)
    step = float(axis[1] - axis[0])
    changes = 0
    for (i, j), (k, m) in ((p, q) for p in itertools.product(range(80), repeat=2) for q in ((1, 0), (0, 1))):
        one, other = int(classes[i, j]), int(classes[i + k, j + m])
        if one == other:
            continue
        changes += 1
        here = np.array([axis[i], axis[j]])
        met = [c.segments for pair, c in boundary.items() if one in pair or other in pair]
        assert min(_distance(here, s).min() for s in met if s is not None) < 1.5 * step
    assert changes > 50


def _distance(point: np.ndarray, segments: np.ndarray) -> np.ndarray:
    start, way = segments[:, 0], segments[:, 1] - segments[:, 0]
    share = np.clip(((point - start) * way).sum(1) / (way * way).sum(1), 0, 1)
    return np.linalg.norm(start + share[:, None] * way - point, axis=1)


def test_cells_without_a_mesh_are_the_same(partition: Partition, boundary: dict[tuple[int, int], Crossing]) -> None:
    bare = dataclasses.replace(partition, mesh=None, _cache={}).decision_boundary()
    assert bare.keys() == boundary.keys()
    for pair, crossing in bare.items():
        assert crossing.cells.tolist() == boundary[pair].cells.tolist()
        assert crossing.segments is not None
        assert np.allclose(crossing.segments, boundary[pair].segments, rtol=0, atol=1e-12)  # turned alike too


def test_three_dimensions_have_no_segments() -> None:
    crossing = brute(mlp(3, 4, 2)).boundary_cells(0, 1)
    assert len(crossing)
    assert crossing.segments is None
    with pytest.raises(SplineGraphError, match="two dimensions"):
        _ = crossing.length


def test_a_network_that_jumps_is_refused() -> None:
    """Classes change at x = 0 although the outputs are never equal there."""
    jumps = brute(function(lambda x: torch.sign(x) * torch.tensor([1.0, -1.0], dtype=torch.float64), (2,)))
    with pytest.raises(SplineGraphError, match="not continuous"):
        jumps.decision_boundary()
    with pytest.raises(SplineGraphError, match="not continuous"):
        jumps.boundary_cells(0, 1)


def test_a_circle_of_ones_norm() -> None:
    """f = |x| + |y| - 1/2 is 0 on a square of side 1 / sqrt 2, one segment in each quadrant."""
    crossing = brute(function(lambda x: x.abs().sum(1, keepdim=True) - 0.5, (2,))).boundary_cells(0, 1)
    assert len(crossing) == 4
    assert crossing.length == pytest.approx(4 * np.sqrt(0.5))


def test_three_classes_meet_in_a_point() -> None:
    def star(x: Tensor) -> Tensor:
        return torch.cat([x[:, :1], x[:, 1:], -x.sum(1, keepdim=True)], 1) + 0 * torch.relu(x[:, :1])

    boundary = brute(function(star, (2,))).decision_boundary()
    assert set(boundary) == {(0, 1), (0, 2), (1, 2)}
    assert boundary[0, 1].length == pytest.approx(np.sqrt(2))  # from the middle to the corner
    assert boundary[0, 2].length == pytest.approx(np.sqrt(1.25))  # x = -x - y: towards (1/2, -1)


def test_a_boundary_along_a_side_is_found_once() -> None:
    plateau = brute(function(lambda x: torch.relu(x[:, :1]), (2,)))  # a tie is of the lower class
    assert plateau.boundary_cells(0, 1).length == pytest.approx(2.0)
    slope = brute(function(lambda x: torch.relu(x[:, :1]) - torch.relu(-x[:, :1]), (2,)))
    assert slope.boundary_cells(0, 1).length == pytest.approx(2.0)


def test_the_order_of_classes_turns_segments_around(partition: Partition) -> None:
    pair = next(iter(partition.decision_boundary()))
    one, other = partition.boundary_cells(*pair), partition.boundary_cells(*pair[::-1])
    assert one.cells.tolist() == other.cells.tolist()
    assert np.array_equal(one.segments, other.segments[:, ::-1])


def test_classes_that_do_not_exist_are_refused(partition: Partition) -> None:
    for pair in ((0, 4), (-1, 1), (2, 2)):
        with pytest.raises(SplineGraphError, match="give two of 0 to 3"):
            partition.boundary_cells(*pair)
