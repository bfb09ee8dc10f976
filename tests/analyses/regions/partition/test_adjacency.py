"""Which cells touch, and which are one linear region, by theorems and by independent ways."""

from __future__ import annotations

import dataclasses
import io
import itertools
from collections.abc import Callable

import networkx as nx
import numpy as np
import pytest
import torch
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.analyses.codes import codes
from splinegraph.analyses.regions.cells import Cells
from splinegraph.analyses.regions.partition.adjacency import components
from splinegraph.analyses.regions.partition.beyond import codes_beyond
from splinegraph.analyses.regions.partition.partition import Partition
from tests.analyses.regions.partition.brute import brute, function, graph_of, mlp


def pairs(partition: Partition) -> set[tuple[int, int]]:
    return {(int(i), int(j)) for i, j in partition.adjacency.pairs}


def bare(partition: Partition) -> Partition:
    return dataclasses.replace(partition, mesh=None, _cache={})


@pytest.mark.parametrize("seed", [0, 2, 3])
def test_the_mesh_and_linear_programs_see_the_same_neighbors(seed: int) -> None:
    partition = brute(mlp(2, 6, 5, 2, seed=seed))
    other = bare(partition)
    assert pairs(other) == pairs(partition)
    assert (other.adjacency.open, other.adjacency.one_way) == (0, 0)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_cells_of_an_arrangement_touch_if_one_hyperplane_is_between(dim: int) -> None:
    partition = bare(brute(mlp(dim, 5, 1)))
    apart = partition.codes.hamming()
    assert pairs(partition) == {(int(i), int(j)) for i, j in zip(*np.nonzero(apart == 1), strict=True) if i < j}


def test_neighbors_on_random_lines_are_neighbors() -> None:
    partition = bare(brute(mlp(3, 6, 4, 2), samples=100_000))
    ends = partition.domain.sample(60, generator=torch.Generator().manual_seed(3)).double().reshape(2, 30, 3)
    found = set()
    steps = torch.linspace(0, 1, 4001, dtype=torch.float64)[:, None]
    for start, end in zip(*ends, strict=True):
        way = partition.locate(start + steps * (end - start)).cells
        way = way[way >= 0]
        found |= {(int(min(a, b)), int(max(a, b))) for a, b in itertools.pairwise(way) if a != b}
    assert len(found) > 10
    assert found <= pairs(partition)


def test_a_cell_that_random_points_miss_leaves_open_facets() -> None:
    """Its area is 1.2e-6: 20 000 random points are not enough, and no look at known points would tell."""
    partition = bare(brute(mlp(2, 6, 5, 2, seed=1)))
    assert sorted(partition.adjacency.open_points[:, 1]) == pytest.approx([0.99924, 0.99924], abs=1e-5)
    assert partition.adjacency.open == 2


def test_a_missing_cell_leaves_open_facets() -> None:
    partition = bare(brute(mlp(2, 6, 5, 2)))
    rest = np.arange(len(partition)) != 4
    without = partition.replace(cells=partition.cells[rest])
    degree = sum(4 in pair for pair in pairs(partition))
    assert without.adjacency.open == degree


def test_coincident_hyperplanes_flip_together() -> None:
    layer = nn.Linear(2, 3)
    layer.weight.data = torch.tensor([[1.0, 0.0], [-2.0, 0.0], [0.0, 1.0]])
    layer.bias.data = torch.tensor([0.25, -0.5, 0.0])
    partition = bare(brute(graph_of(nn.Sequential(layer, nn.ReLU()), (2,))))
    edges = {units for _, _, units in partition.dual_graph().edges(data="units")}
    assert partition.count == 4
    name = partition.layers[0].name
    assert edges == {f"{name}[0] {name}[1]", f"{name}[2]"}


def test_units_that_only_move_behind_the_facet_flip_with_it() -> None:
    partition = bare(brute(function(lambda x: torch.relu(torch.relu(x)), (1,))))
    assert partition.count == 2
    assert pairs(partition) == {(0, 1)}
    assert partition.dual_graph().edges[0, 1]["flips"] == 2


# an infinitely small step

WAYS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "clamp": lambda x: x.clamp(-0.5, 0.25),
    "sort": lambda x: x.sort(1).values,
    "topk": lambda x: x.topk(2, 1).values,
    "smallest": lambda x: x.topk(2, 1, largest=False).values,
    "max": lambda x: x.amax(1, keepdim=True),
    "pool": lambda x: nn.functional.max_pool1d(x[:, None], 2, 1)[:, 0],
    "deep": lambda x: torch.relu(torch.relu(x[:, 1:]) - torch.relu(x[:, :-1])),
}


@pytest.mark.parametrize("name", WAYS)
def test_an_infinitely_small_step_is_a_small_one(name: str) -> None:
    """From integer points, where nearly everything ties, against a step that is small and not zero."""
    graph = function(WAYS[name], (4,))
    t = torch.randint(-1, 2, (300, 4), generator=torch.Generator().manual_seed(0)).double() / 4
    d = torch.randn(300, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    chart = sg.Box(-torch.ones(4), torch.ones(4)).chart
    layers = codes(graph, t).layers
    found = codes_beyond(graph, chart, layers, t.numpy(), d.numpy())
    assert np.array_equal(found, codes(graph, t + 1e-6 * d).packed)
    assert not np.array_equal(found, codes(graph, t).packed)


def test_units_that_never_leave_a_breakpoint_stay_on_the_left() -> None:
    graph = function(lambda x: torch.relu(torch.cat([x * 0, x], 1)), (1,))
    chart = sg.Box(-torch.ones(1), torch.ones(1)).chart
    layers = codes(graph, torch.zeros(1, 1)).layers
    found = codes_beyond(graph, chart, layers, np.zeros((2, 1)), np.array([[1.0], [-1.0]]))
    assert np.unpackbits(found, axis=1)[:, :2].tolist() == [[0, 1], [0, 0]]


# linear regions


@pytest.mark.parametrize(
    ("f", "cells", "regions"),
    [
        (lambda x: torch.relu(x) - torch.relu(x), 2, 1),
        (lambda x: torch.relu(x) - torch.relu(-x), 2, 1),
        (lambda x: torch.relu(x) + torch.relu(-x), 2, 2),
        (lambda x: torch.relu(torch.relu(x) + 1), 2, 2),
        (lambda x: torch.relu(-torch.relu(x)), 2, 1),
        (lambda x: torch.relu(x.abs() - 0.5) - torch.relu(x.abs()), 4, 4),
    ],
)
def test_cells_and_linear_regions_by_hand(f: Callable[[Tensor], Tensor], cells: int, regions: int) -> None:
    partition = brute(function(f, (1,)))
    assert (partition.count, partition.maximal_count) == (cells, regions)


@pytest.mark.parametrize(("bend", "regions"), [(1e-6, 2), (1e-12, 1)])
def test_a_bend_counts_unless_it_is_rounding(bend: float, regions: int) -> None:
    assert brute(function(lambda x: x + bend * torch.relu(x), (1,))).maximal_count == regions


def test_equal_maps_that_do_not_touch_are_two_regions() -> None:
    partition = brute(function(lambda x: torch.relu(x - 0.5) + torch.relu(-x - 0.5), (1,)))
    flat = brute(function(lambda x: (x.abs() - 0.5).abs(), (1,)))
    assert partition.maximal_count == 3
    assert flat.maximal_count == 4  # slopes -1, 1, -1, 1


def test_many_outputs_are_compared_through_combinations() -> None:
    wide, narrow = nn.Linear(2, 4), nn.Linear(4, 40)
    with torch.no_grad():
        narrow.weight[:, 1] = 0.0  # unit 1 does nothing
    partition = brute(graph_of(nn.Sequential(wide, nn.ReLU(), narrow), (2,)))
    fewer = brute(graph_of(nn.Sequential(wide, nn.ReLU(), nn.Linear(4, 2)), (2,)))
    assert partition.count == fewer.count == fewer.maximal_count
    maps = partition.affine_maps()
    expected = {tuple(np.round(A.ravel(), 9)) for A in maps.A}
    assert partition.maximal_count == len(expected) < partition.count


def test_components_are_numbered_by_their_first_members() -> None:
    assert components(5, np.array([[1, 3], [4, 2]])).tolist() == [0, 1, 2, 1, 2]
    assert components(3, np.zeros((0, 2), dtype=np.int64)).tolist() == [0, 1, 2]


# the dual graph


def test_the_dual_graph_goes_through_graph_files(tmp_path: object) -> None:
    partition = brute(mlp(2, 6, 5, 2))
    graph = partition.dual_graph()
    assert graph.number_of_nodes() == partition.count
    assert {tuple(sorted(e)) for e in graph.edges} == pairs(partition)
    for data in (*(d for _, d in graph.nodes(data=True)), *(d for _, _, d in graph.edges(data=True))):
        assert all(type(value) in (bool, int, float, str) for value in data.values())
    assert sum(d["volume"] for _, d in graph.nodes(data=True)) == pytest.approx(4.0)
    nx.write_graphml(graph, io.BytesIO())
    path = f"{tmp_path}/dual.gexf"
    sg.write_gexf(graph, path)
    assert nx.read_gexf(path).number_of_edges() == graph.number_of_edges()


def test_sides_of_a_mesh_are_facets_of_their_length() -> None:
    partition = brute(function(torch.relu, (2,)))
    assert sorted(partition.adjacency.sizes) == pytest.approx([1.0] * 4)
    assert nx.is_isomorphic(partition.dual_graph(), nx.cycle_graph(4))


def test_flips_say_which_units() -> None:
    partition = brute(mlp(2, 6, 5, 2))
    unpacked = {layer.name: partition.codes.unpack(layer.name) for layer in partition.layers}
    for i, j, data in partition.dual_graph().edges(data=True):
        differ = [
            f"{name}[{unit}]" for name, code in unpacked.items() for unit in torch.nonzero(code[i] != code[j])[:, 0]
        ]
        assert data["units"].split() == differ
        assert data["flips"] == len(differ) == 1


def test_no_cells_have_no_neighbors() -> None:
    partition = brute(mlp(2, 4, 1))
    empty = partition.replace(cells=Cells.empty(partition.packed.shape[1], 2), mesh=None)
    assert (len(empty.adjacency), empty.maximal_count) == (0, 0)
