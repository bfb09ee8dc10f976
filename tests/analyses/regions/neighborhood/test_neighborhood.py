"""Cells around a point: theorems on hyperplanes, other algorithms, balls, and what is refused."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.analyses.regions.cells import code_layers
from splinegraph.analyses.regions.mesh.mesh import mesh
from splinegraph.analyses.regions.neighborhood import walls
from splinegraph.analyses.regions.neighborhood.neighborhood import neighborhood
from splinegraph.analyses.regions.neighborhood.result import Neighborhood
from splinegraph.analyses.regions.partition.adjacency import adjacent_faces
from splinegraph.analyses.regions.stream.stream import stream
from splinegraph.core.domains.chart import Chart, chart_of
from splinegraph.errors import DomainError, SplineGraphError, UnsupportedOperatorError
from tests import zoo
from tests.analyses.regions.nets import DEGENERATE, FAMILIES, degenerate, family, mlp


def box(dim: int) -> sg.Box:
    return sg.Box(-torch.ones(dim), torch.ones(dim))


class Flat:
    """A polytope in three dimensions that nobody has checked."""

    shape = (3,)

    def __init__(self, G: Tensor, h: Tensor) -> None:
        side = torch.full((3,), torch.inf, dtype=torch.float64)
        zero = torch.zeros(3, dtype=torch.float64)
        self.chart = Chart(((3,),), zero, -side, side, torch.arange(3), G=G.double(), h=h.double())


def graph_of(net: nn.Module, dim: int) -> sg.SplineGraph:
    return sg.trace(net, torch.zeros(1, dim, dtype=torch.float64))


def orthants(dim: int) -> sg.SplineGraph:
    return graph_of(nn.ReLU().eval(), dim)


def ordering(dim: int) -> sg.SplineGraph:
    return graph_of(zoo.Stack(lambda x: x.sort(-1).values).eval(), dim)


def keys(found: Any) -> set[bytes]:
    return {row.tobytes() for row in np.ascontiguousarray(found)}


def check(found: Neighborhood) -> None:
    """Points have the codes of their cells, hops are distances in the dual graph, no code comes twice."""
    import networkx as nx

    points = torch.from_numpy(found.cells.points)
    assert np.array_equal(sg.codes(found.graph, *found.chart.lift(points)).packed, found.cells.packed)
    assert not len(found.doubtful)
    assert not len(found.unsure)
    assert len(keys(found.cells.packed)) == len(found)
    assert nx.single_source_shortest_path_length(found.dual_graph(), 0) == dict(enumerate(found.hops.tolist()))
    assert bool(found.chart.contains(points).all())


# theorems


def test_orthants_are_a_hypercube() -> None:
    """Around a point of an orthant, C(D, k) orthants lie k facets away; D 2^(D-1) facets in all."""
    found = neighborhood(orthants(5), torch.full((5,), 0.3))
    check(found)
    assert found.complete
    assert bool(found.expanded.all())
    assert np.bincount(found.hops).tolist() == [math.comb(5, k) for k in range(6)]
    assert len(found.edges) == 5 * 2**4


def test_hops_bound_the_distance() -> None:
    found = neighborhood(orthants(6), torch.full((6,), 0.3), hops=2)
    check(found)
    assert found.complete
    assert np.bincount(found.hops).tolist() == [1, 6, 15]
    assert found.expanded.tolist() == [True] * 7 + [False] * 15
    assert len(neighborhood(orthants(6), torch.full((6,), 0.3), hops=0)) == 1


def test_orderings_are_a_permutohedron() -> None:
    """Facets away from a permutation: inversions, counted by the Mahonian numbers."""
    found = neighborhood(ordering(4), torch.tensor([0.1, 0.2, 0.3, 0.5]))
    check(found)
    assert np.bincount(found.hops).tolist() == [1, 3, 5, 6, 5, 3, 1]
    assert len(found.edges) == 24 * 3 // 2


@pytest.mark.parametrize("dim", [7, 40, 200])
def test_fewer_hyperplanes_than_coordinates_meet_in_every_way(dim: int) -> None:
    """n hyperplanes in general position in n or more dimensions: all 2^n sign patterns."""
    torch.manual_seed(0)
    graph = graph_of(nn.Sequential(nn.Linear(dim, 5), nn.ReLU()).double().eval(), dim)
    found = neighborhood(graph, torch.full((dim,), 0.1))
    check(found)
    assert (len(found), len(found.edges)) == (2**5, 5 * 2**4)


# other algorithms


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        *((name, None) for name in FAMILIES),
        *zip(FAMILIES, itertools.cycle(DEGENERATE), strict=False),
        ("relu", "zero bias"),
        ("relu", "twins"),
        ("pooled", "integer"),
    ],
)
def test_all_cells_of_a_square(name: str, spoil: str | None) -> None:
    net = family(name, 2, 5, seed=3)
    graph = graph_of(net if spoil is None else degenerate(net, spoil, seed=3), 2)
    found = neighborhood(graph, torch.tensor([0.31, -0.17]), on=box(2))
    assert found.complete
    whole = stream(graph, chart_of(graph, box(2)))
    assert keys(found.cells.packed) == keys(whole.cells.packed)
    if spoil is None:
        check(found)


@pytest.mark.parametrize(("dim", "widths", "count"), [(3, (16, 16, 1), 1276), (6, (7, 6, 1), None)])
def test_known_counts_and_random_points(dim: int, widths: tuple[int, ...], count: int | None) -> None:
    graph = graph_of(mlp(dim, *widths, seed=0), dim)
    found = neighborhood(graph, torch.zeros(dim), on=box(dim))
    check(found)
    assert count is None or len(found) == count
    points = 2 * torch.rand(20_000, dim, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 1
    assert keys(sg.codes(graph, points).packed) <= keys(found.cells.packed)


@pytest.mark.parametrize("name", ["relu", "pooled", "sorted"])
def test_facets_are_the_sides_of_a_mesh(name: str) -> None:
    """Which cells meet: from the edges of the mesh, and from linear programs."""
    graph = graph_of(family(name, 2, 6, seed=2), 2)
    found = neighborhood(graph, torch.tensor([0.31, -0.17]), on=box(2))
    faces = mesh(graph, chart_of(graph, box(2)), layers=code_layers(graph))
    both = adjacent_faces(faces.mesh).pairs
    assert len(both) > 10
    sides = {frozenset(faces.cells.packed[i].tobytes() for i in pair) for pair in both}
    assert {frozenset(found.cells.packed[i].tobytes() for i in pair) for pair in found.edges} == sides


@pytest.mark.parametrize("name", ["cnn", "residual", "two", "heads", "rnn", "topk", "maximum"])
def test_networks_of_every_shape(name: str) -> None:
    graph = zoo.graph(name)
    found = neighborhood(graph, tuple(x[0] for x in zoo.inputs(name, 1)), hops=1, limit=40)
    check(found)
    assert len(found) > 1


@pytest.mark.parametrize("domain", [None, "box"])
def test_many_dimensions_agree_with_few(monkeypatch: pytest.MonkeyPatch, domain: str | None) -> None:
    graph = graph_of(mlp(6, 8, 6, 1, seed=0), 6)
    on = None if domain is None else box(6)
    few = neighborhood(graph, torch.full((6,), 0.1), on=on, hops=2, limit=12)
    monkeypatch.setattr(walls, "COMPILED", 0)
    many = neighborhood(graph, torch.full((6,), 0.1), on=on, hops=2, limit=12)
    check(many)
    assert np.array_equal(few.cells.packed, many.cells.packed)
    assert np.array_equal(few.edges, many.edges)


# thin and degenerate


def test_a_sliver_is_not_stepped_over() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU()).double().eval()
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[1.0, 0.0], [1.0, 0.0]]))
        net[0].bias.copy_(torch.tensor([0.0, -1e-9]))
    found = neighborhood(graph_of(net, 2), torch.tensor([-0.5, 0.0]), on=box(2))
    assert found.hops.tolist() == [0, 1, 2]
    assert found.cells.radii[1] == pytest.approx(5e-10, rel=1e-3)


def test_units_that_switch_together_are_one_facet() -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.ReLU()).double().eval()
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[1.0, 2.0, 3.0], [-2.0, -4.0, -6.0], [1.0, 0.0, 0.0]]))
        net[0].bias.zero_()
    found = neighborhood(graph_of(net, 3), torch.tensor([0.5, 0.1, 0.1]))
    assert (len(found), len(found.edges)) == (4, 4)
    assert sorted(d["flips"] for *_, d in found.dual_graph().edges(data=True)) == [1, 1, 2, 2]


def test_a_point_on_a_boundary_starts_in_a_cell_that_it_belongs_to() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU()).double().eval()
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]))
        net[0].bias.zero_()
    found = neighborhood(graph_of(net, 2), torch.zeros(2))  # neither unit is on there, and in no cell both are off
    check(found)
    assert (len(found), found.complete) == (2, True)


# balls


@pytest.mark.parametrize("norm", [2, np.inf])
def test_orthants_that_meet_a_ball(norm: float) -> None:
    """The distance to an orthant is the norm of the coordinates that change sign."""
    x = torch.tensor([0.1, 0.25, 0.4, 0.7])
    graph = orthants(4)
    found = neighborhood(graph, x, radius=0.45, norm=norm)
    check(found)
    signs = itertools.product([0, 1], repeat=4)
    near = {s for s in signs if np.linalg.norm([v for v, on in zip(x, s, strict=True) if not on] or [0], norm) <= 0.45}
    assert {tuple(row) for row in found.patterns.unpack("relu").tolist()} == near
    assert np.all(found.distances[:, 0] <= found.distances[:, 1] + 1e-12)
    assert np.allclose(found.distances[:, 0], found.distances[:, 1])


@pytest.mark.parametrize("norm", [2, np.inf])
def test_a_ball_holds_what_it_should(norm: float) -> None:
    """Cells of points in the ball are found; the nearest point of every cell found lies in the ball."""
    graph = graph_of(mlp(3, 16, 16, 1, seed=1), 3)
    x, radius = torch.tensor([0.2, -0.1, 0.3], dtype=torch.float64), 0.2
    found = neighborhood(graph, x, radius=radius, norm=norm)
    check(found)
    steps = 2 * torch.rand(20_000, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 1
    steps = steps[torch.linalg.vector_norm(steps, norm, dim=1) <= 1] * radius
    assert keys(sg.codes(graph, x + steps).packed) <= keys(found.cells.packed)
    assert bool((found.distances[:, 1] <= radius + 1e-9).all())
    assert 1 < len(found) < len(neighborhood(graph, x, on=box(3)))


def test_lengths_are_those_of_input_space() -> None:
    """On a plane with skew directions the ball is an ellipse in the coordinates."""
    graph = orthants(3)
    one = torch.ones(2, dtype=torch.float64)
    directions = torch.tensor([[1.0, 0.0, 0.0], [3.0, 4.0, 0.0]], dtype=torch.float64)
    chart = Chart(((3,),), torch.tensor([0.3, 0.8, 0.5], dtype=torch.float64), -9 * one, 9 * one, directions=directions)

    class Skew:
        shape = (3,)

        def __init__(self) -> None:
            self.chart = chart

    x = torch.tensor([0.3, 0.8, 0.5])
    assert [len(neighborhood(graph, x, on=Skew(), radius=r)) for r in (0.29, 0.31, 0.79, 0.81, 0.86)] == [1, 2, 2, 3, 4]
    with pytest.raises(DomainError, match="along the axes"):
        neighborhood(graph, x, on=Skew(), radius=0.1, norm=np.inf)


# limits


def test_a_limit_cuts_the_same_list_short() -> None:
    graph = graph_of(mlp(4, 10, 8, 1, seed=0), 4)
    whole = neighborhood(graph, torch.zeros(4), on=box(4))
    for limit in (1, 5, 30):
        part = neighborhood(graph, torch.zeros(4), on=box(4), limit=limit)
        assert (len(part), part.complete) == (limit, False)
        assert part.left > 0
        assert np.array_equal(part.cells.packed, whole.cells.packed[:limit])
        assert {tuple(e) for e in part.edges.tolist()} <= {tuple(e) for e in whole.edges.tolist()}


def test_a_budget_that_is_spent_returns_the_first_cells() -> None:
    graph = graph_of(mlp(6, 16, 16, 1, seed=0), 6)
    found = neighborhood(graph, torch.zeros(6), budget=1e-9)
    assert (len(found), found.complete) == (1, False)
    assert found.left > 0


def test_what_is_refused() -> None:
    graph, x = orthants(3), torch.zeros(3)
    with pytest.raises(DomainError, match="outside of the domain"):
        neighborhood(graph, torch.full((3,), 2.0), on=box(3))
    with pytest.raises(DomainError, match="NaN"):
        neighborhood(graph, torch.full((3,), torch.nan))
    with pytest.raises(DomainError, match="2 points"):
        neighborhood(graph, torch.zeros(2, 3))
    with pytest.raises(SplineGraphError, match="shape"):
        neighborhood(graph, torch.zeros(4))
    with pytest.raises(UnsupportedOperatorError, match="not piecewise affine"):
        neighborhood(zoo.graph("gelu"), x)
    G = torch.tensor([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]])
    with pytest.raises(DomainError, match="flat"):
        neighborhood(graph, x, on=Flat(G, torch.zeros(2)))
    for wrong in ({"hops": -1}, {"radius": -0.1}, {"norm": 1}, {"limit": 0}, {"budget": 0.0}):
        with pytest.raises(SplineGraphError, match=next(iter(wrong))):
            neighborhood(graph, x, **wrong)  # type: ignore[arg-type]


def test_the_summary_is_plain_and_knows_when_it_is_stale() -> None:
    net = mlp(2, 4, 1, seed=0)
    found = neighborhood(graph_of(net, 2), torch.zeros(2))
    summary = found.to_dict()
    assert (summary["cells"], sum(summary["hops"])) == (len(found), len(found))
    assert "complete" in repr(found)
    assert not found.stale
    with torch.no_grad():
        net[0].weight.add_(1.0)
    assert found.stale


def test_a_network_without_switches_has_one_cell() -> None:
    x: Tensor = torch.zeros(3)
    found = neighborhood(zoo.graph("affine"), x)
    assert (len(found), found.complete, len(code_layers(found.graph))) == (1, True, 0)
