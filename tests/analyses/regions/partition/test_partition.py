"""What a partition says of its cells, against the network, autograd and theorems."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch

from splinegraph.analyses.regions.partition.partition import Partition
from splinegraph.core.domains.plane import Plane
from splinegraph.core.graph import SplineGraph
from splinegraph.core.values import Box
from splinegraph.errors import DomainError, ShapeError, SplineGraphError
from tests.analyses.regions.partition.brute import brute, function, mlp


@pytest.fixture(scope="module")
def graph() -> SplineGraph:
    return mlp(2, 8, 6, 3)


@pytest.fixture(scope="module")
def partition(graph: SplineGraph) -> Partition:
    return brute(graph)


def test_summary_is_plain_and_readable(partition: Partition) -> None:
    json.dumps(partition.to_dict(), allow_nan=False)
    assert partition.to_dict()["count"] == partition.count == len(partition) == len(list(partition))
    assert f"{len(partition)} cells, D = 2, complete, not verified" in repr(partition)


def test_the_summary_asks_for_nothing_costly(graph: SplineGraph) -> None:
    fresh = brute(graph)
    assert fresh.to_dict()["maximal_count"] is None
    assert fresh.maximal_count == fresh.to_dict()["maximal_count"]


def test_maps_are_the_network_and_its_derivatives(graph: SplineGraph, partition: Partition) -> None:
    maps = partition.affine_maps()
    x = torch.from_numpy(partition.points)
    assert np.allclose(maps(partition.points), graph(x).detach().numpy(), rtol=0, atol=1e-14)
    jacobians = torch.func.vmap(torch.func.jacrev(lambda one: graph(one[None])[0]))(x).detach().numpy()
    assert np.allclose(maps.A, jacobians, rtol=0, atol=1e-14)


def test_some_maps_are_those_of_all(graph: SplineGraph) -> None:
    some = brute(graph).affine_maps([3, 1])
    every = brute(graph).affine_maps()
    assert np.allclose(some.A, every.A[[3, 1]], rtol=0, atol=1e-15)
    assert np.allclose(some.b, every.b[[3, 1]], rtol=0, atol=1e-15)


@pytest.mark.parametrize("norm", [1, 2, np.inf])
def test_norms_are_those_of_numpy(partition: Partition, norm: float) -> None:
    expected = [np.linalg.norm(A, norm) for A in partition.affine_maps().A]
    assert np.allclose(partition.map_norms(norm), expected, rtol=1e-12)


def test_a_norm_that_is_none_is_refused(partition: Partition) -> None:
    with pytest.raises(SplineGraphError, match="1, 2 or inf"):
        partition.map_norms(3)


def test_classes_are_those_of_the_network(graph: SplineGraph, partition: Partition) -> None:
    expected = graph(partition.inputs()).argmax(1)
    assert partition.classes().tolist() == expected.tolist()
    assert partition.cell(2).output_class == expected[2]


def test_a_single_output_has_two_classes() -> None:
    partition = brute(mlp(1, 4, 1))
    assert partition.classes().tolist() == (partition.outputs()[:, 0] > 0).astype(int).tolist()


def test_several_outputs_have_no_class_but_maps() -> None:
    two = brute(function(lambda x: (torch.relu(x), x.abs().sum(1)), (2,)))
    with pytest.raises(ShapeError, match="one output"):
        two.classes()
    assert two.affine_maps().A.shape == (4, 3, 2)
    assert "class" not in two.dual_graph().nodes[0]


def test_a_cell_is_the_set_of_inputs_with_its_code(graph: SplineGraph, partition: Partition) -> None:
    x = partition.domain.sample(500, generator=torch.Generator().manual_seed(1))
    cells = partition.locate(x).cells
    for i in (0, 5):
        cell = partition.cell(i)
        G, h = cell.inequalities()
        inside = (x.numpy() @ G.T <= h).all(axis=1)
        assert inside.any()
        assert (inside == (cells == i)).all()
        least, right = cell.inequalities(minimal=True)
        assert len(least) == len(cell.vertices)
        assert ((x.numpy() @ least.T <= right).all(axis=1) == inside).all()


def test_a_cell_knows_its_figures(graph: SplineGraph, partition: Partition) -> None:
    cell = partition.cell(-1)
    assert cell.index == len(partition) - 1
    assert cell.volume == pytest.approx(cell.polytope.volume)
    assert cell.code.packed.tolist() == partition.packed[-1:].tolist()
    assert np.allclose(cell.affine_map.A @ cell.point + cell.affine_map.b, graph(cell.input[None])[0].detach())
    assert cell.radius > 0
    with pytest.raises(IndexError):
        partition.cell(len(partition))


def test_cells_without_a_mesh_are_the_same_polytopes(partition: Partition) -> None:
    bare = dataclasses.replace(partition, mesh=None, _cache={})
    for i in range(3):
        assert bare.cell(i).volume == pytest.approx(partition.cell(i).volume)
        assert len(bare.cell(i).vertices) == len(partition.cell(i).inequalities(minimal=True)[0])


def test_what_was_worked_out_survives_new_fields(partition: Partition) -> None:
    region = partition.linear_region
    assert partition.replace(notes=("checked",)).linear_region is region
    half = partition.replace(cells=partition.cells[:3], mesh=None, complete=False)
    assert len(half.linear_region) == 3


def test_a_plane_has_coordinates_of_its_own() -> None:
    graph = mlp(5, 6, 2)
    plane = Plane(torch.zeros(5), torch.randn(5), torch.randn(5), (-1.0, 1.0))
    partition = brute(graph, plane)
    x = partition.inputs()
    assert x.shape == (len(partition), 5)
    assert np.allclose(partition.affine_maps()(partition.points), graph(x).detach().numpy(), rtol=0, atol=1e-13)
    located = partition.locate(torch.cat([x, x + 0.1]))
    assert located.cells[: len(x)].tolist() == list(range(len(x)))
    assert not located.inside[len(x) :].any()


def test_a_point_is_a_partition_of_one_cell() -> None:
    partition = brute(mlp(2, 4, 1), Box(torch.ones(2), torch.ones(2)), samples=1)
    assert (partition.count, partition.maximal_count, len(partition.adjacency)) == (1, 1, 0)
    assert partition.affine_maps().A.shape == (1, 1, 0)
    assert partition.dual_graph().number_of_nodes() == 1
    assert [partition.map_norms(norm).tolist() for norm in (1, 2, np.inf)] == [[0.0]] * 3
    assert partition.cell(0).vertices.shape == (1, 0)
    assert partition.decision_boundary() == {}
    assert partition.locate(torch.tensor([[1.0, 1.0], [1.0, 2.0]])).cells.tolist() == [0, -1]
    with pytest.raises(DomainError, match="single point"):
        _ = partition.cell(0).polytope
    (symbolic,) = partition.to_sympy()
    assert [float(b) for b in symbolic.b] == pytest.approx(partition.outputs()[0].tolist())


# where points are


def test_points_are_found_and_others_are_not(partition: Partition) -> None:
    x = torch.cat([partition.inputs(), torch.tensor([[2.0, 0.0]])])
    located = partition.locate(x)
    assert located.cells.tolist() == [*range(len(partition)), -1]
    assert located.inside.tolist() == [True] * len(partition) + [False]
    assert not located.boundary.any()


@pytest.mark.parametrize("value", [100.0, np.inf, np.nan])
def test_only_points_outside(partition: Partition, value: float) -> None:
    located = partition.locate(torch.full((1, 2), value))
    assert (located.cells.tolist(), located.inside.tolist()) == ([-1], [False])


def test_what_is_no_batch_is_refused(partition: Partition) -> None:
    for wrong in (torch.zeros(4, 3), torch.zeros(2), torch.zeros(0, 2), np.zeros((1, 2))):
        with pytest.raises(ShapeError):
            partition.locate(wrong)
    both = brute(
        function(lambda a, b: torch.relu(a) + b, (1,), (1,)),
        (Box(-torch.ones(1), torch.ones(1)), Box(-torch.ones(1), torch.ones(1))),
    )
    with pytest.raises(ShapeError, match="takes 2 input"):
        both.locate(torch.zeros(1, 1))


def test_a_point_between_cells_is_said_to_be_and_belongs_to_one() -> None:
    partition = brute(function(torch.relu, (2,)))
    located = partition.locate(torch.tensor([[0.0, 0.5], [0.0, 0.0], [0.5, 0.5]]))
    assert located.boundary.tolist() == [True, True, False]
    assert (located.cells >= 0).all()


def test_units_that_are_identically_at_a_breakpoint_do_not_hide_a_cell() -> None:
    # the sum is 0 up to rounding wherever the first unit is off: its code there is noise
    graph = function(lambda x: torch.relu(torch.relu(x[:, :1]) * 3 + (0.1 + x[:, 1:] * 0) * 3 - 0.3), (2,))
    partition = brute(graph)
    kept = partition.replace(cells=partition.cells[[int(np.argmax(partition.radii))]], mesh=None)
    for i in range(len(kept)):
        assert kept.locate(kept.inputs()).cells.tolist() == [0] * len(kept), i
    everywhere = Box(torch.tensor([-1.0, -1.0]), torch.tensor([-0.1, 1.0])).sample(200)
    codes = np.unique(partition.locate(everywhere.double()).cells)
    assert (codes >= 0).all()


# volumes


def test_volumes_by_three_ways_agree(partition: Partition) -> None:
    areas = partition.volumes()
    hulls = dataclasses.replace(partition, mesh=None, _cache={}).volumes()
    assert areas.kind == hulls.kind == "exact"
    assert np.allclose(areas.values, hulls.values, rtol=1e-9)
    assert areas.values.sum() == pytest.approx(4.0, rel=1e-12)
    sampled = partition.volumes(samples=50_000)
    assert sampled.kind == "sampled"
    assert (np.abs(sampled.values - areas.values) <= 5 * sampled.errors).all()


def test_volumes_in_one_and_three_dimensions_fill_the_box() -> None:
    line = brute(mlp(1, 6, 5, 2))
    assert line.volumes().values.sum() == pytest.approx(2.0, rel=1e-12)
    orthants = brute(function(torch.relu, (3,)))
    assert np.allclose(orthants.volumes().values, 1.0)
