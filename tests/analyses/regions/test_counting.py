"""Upper bounds of counts: formulas against theorems, bounds against cells that are there."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from splinegraph.analyses.codes import codes
from splinegraph.analyses.regions.arrangements import montufar, parallel_families, serra, zaslavsky
from splinegraph.analyses.regions.counting import count_bound
from splinegraph.analyses.regions.reach import input_boxes, reach
from splinegraph.core.domains.chart import chart_of
from splinegraph.core.domains.plane import Plane
from splinegraph.core.graph import SplineGraph
from splinegraph.core.values import Box
from splinegraph.core.walk import walk
from splinegraph.errors import UnsupportedOperatorError
from tests.analyses.regions.partition.brute import function, graph_of, mlp


def space(dim: int) -> Box:
    return Box(torch.full((dim,), -torch.inf), torch.full((dim,), torch.inf))


def seen(graph: SplineGraph, on: Box, count: int = 50_000) -> int:
    """Count the patterns of random points: a lower bound of the cells."""
    return codes(graph, on.sample(count, generator=torch.Generator().manual_seed(0)).double()).count


# formulas


@pytest.mark.parametrize(
    ("planes", "dim", "cells"), [(0, 3, 1), (3, 1, 4), (3, 2, 7), (4, 2, 11), (3, 5, 8), (5, 3, 26)]
)
def test_zaslavsky_by_hand(planes: int, dim: int, cells: int) -> None:
    assert zaslavsky(planes, dim) == cells == sum(math.comb(planes, j) for j in range(dim + 1))


def test_parallel_lines_make_a_grid() -> None:
    assert parallel_families({3: 1, 2: 1}, 2) == (3 + 1) * (2 + 1)
    assert parallel_families({2: 3}, 3) == 3**3
    assert parallel_families({2: 3}, 2) == 1 + 3 * 2 + 3 * 4


@pytest.mark.parametrize("seed", range(3))
def test_parallel_families_are_counted_right(seed: int) -> None:
    """Three families of two lines in general position, whose cells random points find."""
    normals = np.random.default_rng(seed).normal(size=(3, 2))
    points = (
        40 * np.random.default_rng(1).normal(size=(400_000, 2)) * np.random.default_rng(2).random((400_000, 1)) ** 3
    )
    sides = [(points @ n > c) for n in normals for c in (-0.3, 0.2 + 0.1 * seed)]
    assert len(np.unique(np.packbits(sides, axis=0), axis=1).T) == parallel_families({2: 3}, 2)


def test_sequential_formulas_by_hand() -> None:
    assert serra(3, [7]) == montufar(3, [7]) == zaslavsky(7, 3)
    assert serra(2, [1, 5]) == (1 + 5) + 1  # on where the first unit is, nothing where it is not
    assert montufar(2, [1, 5]) == (1 + 1) * (1 + 5)
    for widths in itertools.product(range(1, 5), repeat=3):
        assert serra(2, widths) <= montufar(2, widths)


# any graph


@pytest.mark.parametrize("widths", [(2, 6, 1), (1, 5, 4, 1), (2, 5, 5, 2), (3, 4, 4, 3, 2)])
def test_a_sequential_network_has_the_formula_of_its_kind(widths: tuple[int, ...]) -> None:
    bound = count_bound(mlp(*widths), space(widths[0]))
    assert bound.upper == serra(widths[0], widths[1:-1])
    assert bound.certificate.method == ("Serra" if len(widths) > 3 else "Zaslavsky")
    leaky = count_bound(mlp(*widths, activation=nn.LeakyReLU), space(widths[0]))
    assert leaky.upper == montufar(widths[0], widths[1:-1])
    assert leaky.certificate.method == ("Montufar" if len(widths) > 3 else "Zaslavsky")


def test_the_sequential_formula_is_no_bound_where_the_input_is_seen_again() -> None:
    """A first layer of one unit hides nothing from a second one that sees the input too."""
    first, second = nn.Linear(2, 1), nn.Linear(3, 5)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in (*first.parameters(), *second.parameters()):
            parameter.copy_(torch.randn(parameter.shape))
        second.bias.mul_(0.2)
    second.double()
    first.double()
    graph = function(lambda x: torch.relu(second(torch.cat([torch.relu(first(x)), x], 1))), (2,))
    box = Box(torch.full((2,), -9.0), torch.full((2,), 9.0))
    there = seen(graph, box, 400_000)
    assert there > montufar(2, [1, 5]) > serra(2, [1, 5])
    bound = count_bound(graph, space(2))
    assert there <= bound.upper == zaslavsky(1, 2) * zaslavsky(5, 2)
    assert bound.certificate.method == "product"


def residual(x: Tensor) -> Tensor:
    z = torch.relu(x @ W[:2]) + x @ W[2:4]
    return torch.relu(z @ W.T) + torch.relu(-z @ W[:5].T)[:, :1]


W = torch.randn(6, 4, generator=torch.Generator().manual_seed(5), dtype=torch.float64)

SHAPES: dict[str, tuple[Callable[[Tensor], Tensor], int]] = {
    "residual": (residual, 2),
    "pooling": (lambda x: nn.functional.max_pool1d((x @ W[:3].T @ W[:3])[:, None], 2, 1), 4),
    "sorting": (lambda x: (x @ W[:2]).sort(1).values, 2),
    "top two": (lambda x: (x @ W[:2]).topk(2, 1).values, 2),
    "clamp": (lambda x: (x @ W[:2]).clamp(-0.5, 0.3).abs(), 2),
    "maximum": (lambda x: torch.maximum(x @ W[:2], torch.relu(-x @ W[2:4])), 2),
    "sign": (lambda x: torch.sign(x @ W[:2]), 2),
    "round": (lambda x: torch.round(3 * x), 2),
}


@pytest.mark.parametrize("name", SHAPES)
def test_no_network_has_more_cells_than_its_bound(name: str) -> None:
    f, dim = SHAPES[name]
    graph = function(f, (dim,))
    for radius in (0.1, 1.0):
        box = Box(-radius * torch.ones(dim), radius * torch.ones(dim))
        bound = count_bound(graph, box)
        assert bound.contains(seen(graph, box))
        assert bound.verify()
        json.dumps(bound.to_dict(), allow_nan=False)


def test_comparisons_of_overlapping_windows_count_once() -> None:
    pool = function(lambda x: nn.functional.max_pool1d(x[:, None], 3, 1), (5,))
    (node,) = count_bound(pool, space(5)).certificate.nodes
    assert node.families == {1: 4 + 3}  # neighbors, and those two apart
    assert node.codes == 27
    ordered = function(lambda x: x.sort(1).values, (4,))
    bound = count_bound(ordered, space(4))
    assert bound.certificate.nodes[0].families == {1: 6}
    assert bound.upper == math.factorial(4)


def test_units_that_never_switch_on_the_domain_do_not_count() -> None:
    graph = function(lambda x: torch.relu(x + torch.tensor([0.0, 2.0, -2.0])), (3,))
    box = Box(-torch.ones(3), torch.ones(3))
    assert count_bound(graph, box).upper == 2
    assert count_bound(graph, space(3)).upper == 8
    still = count_bound(function(lambda x: torch.relu(x + 3), (2,)), Box(-torch.ones(2), torch.ones(2)))
    assert (still.lower, still.upper, still.kind) == (1, 1, "exact")


def test_a_narrow_cut_bounds_the_dimension_behind_it() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 1), nn.Linear(1, 7), nn.ReLU())
    bound = count_bound(graph_of(net, (6,)), space(6))
    assert bound.upper == 7 + 1
    assert bound.certificate.nodes[0].dim == 1


def test_a_plane_has_two_dimensions() -> None:
    plane = Plane(torch.zeros(6), torch.randn(6), torch.randn(6), (-100.0, 100.0))
    bound = count_bound(mlp(6, 8, 1), plane)
    assert bound.upper <= zaslavsky(8, 2)
    assert bound.certificate.nodes[0].dim == 2


def test_wide_networks_have_huge_bounds() -> None:
    bound = count_bound(mlp(64, 64, 64, 64, 1), space(64))
    assert isinstance(bound.upper, int)
    assert bound.log10 == pytest.approx(math.log10(bound.upper))
    assert bound.upper > 10**18


def test_a_certificate_that_was_tampered_with_is_none() -> None:
    certificate = count_bound(mlp(2, 5, 5, 2), space(2)).certificate
    assert certificate.verify()
    assert not dataclasses.replace(certificate, upper=certificate.upper - 1).verify()
    product = count_bound(function(residual, (2,)), space(2)).certificate
    assert not dataclasses.replace(product, upper=product.upper + 1).verify()
    small = dataclasses.replace(product.nodes[0], cells=1)
    assert not dataclasses.replace(product, nodes=(small, *product.nodes[1:])).verify()


def test_smooth_networks_are_refused_by_name() -> None:
    with pytest.raises(UnsupportedOperatorError, match=r"not piecewise affine.*sg\.spline"):
        count_bound(function(lambda x: torch.relu(torch.tanh(x)), (2,)), space(2))


# reach


@pytest.mark.parametrize("name", SHAPES)
def test_values_stay_within_reach(name: str) -> None:
    f, dim = SHAPES[name]
    graph = function(f, (dim,))
    box = Box(-torch.ones(dim), torch.rand(dim))
    boxes = reach(graph, chart_of(graph, box))

    def visit(node, op, xs):  # type: ignore[no-untyped-def]
        for x, side in zip(xs, boxes[node.name], strict=True):
            assert ((x >= side.lower) & (x <= side.upper)).all()
        return op.forward(*xs)

    walk(graph, [box.sample(1000).double()], visit, operators=graph.resolved(torch.float64, torch.device("cpu"), 1000))


def test_a_plane_stays_within_the_box_around_it() -> None:
    plane = Plane(torch.randn(3), torch.randn(3), torch.randn(3), (-1.0, 2.0))
    (box,) = input_boxes(plane.chart)
    corners = torch.cartesian_prod(*torch.stack([plane.chart.lower, plane.chart.upper], 1))
    (x,) = plane.chart.lift(corners)
    assert torch.allclose(box.lower[0], x.amin(0))
    assert torch.allclose(box.upper[0], x.amax(0))


def test_an_unbounded_direction_reaches_everything() -> None:
    graph = mlp(2, 3, 1)
    boxes = reach(graph, chart_of(graph, space(2)))
    (switching,) = count_bound(graph, space(2)).certificate.nodes
    assert not any(box.lower.isfinite().any() or box.upper.isfinite().any() for box in boxes[switching.node])
