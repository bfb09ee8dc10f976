"""Polytopes of inputs, against theorems and random points."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from splinegraph.core.domains.polytope import Polytope
from splinegraph.core.values import Box
from splinegraph.errors import DomainError, ShapeError


def cube(dim: int) -> Polytope:
    return Polytope.of_box(Box(-torch.ones(dim), torch.ones(dim)))


def simplex(dim: int) -> Polytope:
    return Polytope(torch.cat([-torch.eye(dim), torch.ones(1, dim)]), torch.cat([torch.zeros(dim), torch.ones(1)]))


def random_polytope(dim: int, rows: int, seed: int) -> Polytope:
    generator = torch.Generator().manual_seed(seed)
    G = torch.cat([torch.randn(rows, dim, generator=generator), torch.eye(dim), -torch.eye(dim)]).double()
    return Polytope(G, torch.rand(len(G), generator=generator).double() + 0.1)


@pytest.mark.parametrize("dim", [1, 2, 3, 5])
def test_volumes_and_vertices_of_a_cube_and_a_simplex(dim: int) -> None:
    corners = {tuple(v) for v in cube(dim).vertices.round(decimals=9).tolist()}
    assert corners == set(itertools.product((-1.0, 1.0), repeat=dim))
    assert cube(dim).volume == pytest.approx(2.0**dim)
    assert len(simplex(dim).vertices) == dim + 1
    assert simplex(dim).volume == pytest.approx(1 / math.factorial(dim))
    # the inscribed ball touches all facets: r (dim + sqrt(dim)) = 1
    assert simplex(dim).radius == pytest.approx(1 / (dim + math.sqrt(dim)))


@pytest.mark.parametrize("seed", range(4))
def test_facets_are_the_rows_that_matter(seed: int) -> None:
    polytope = random_polytope(3, 12, seed)
    twice = Polytope(torch.cat([polytope.G, 3 * polytope.G]), torch.cat([polytope.h, 3 * polytope.h]))
    assert twice.facets.tolist() == polytope.facets.tolist()
    # a facet holds three vertices or more, every other row fewer
    tight = (polytope.vertices @ polytope.G.T - polytope.h).abs() < 1e-9
    assert polytope.facets.tolist() == torch.nonzero(tight.sum(0) >= 3)[:, 0].tolist()
    assert polytope.irredundant().volume == pytest.approx(polytope.volume)


@pytest.mark.parametrize("seed", range(3))
def test_samples_are_inside_and_spread(seed: int) -> None:
    polytope = random_polytope(3, 6, seed)
    x = polytope.sample(4000, generator=torch.Generator().manual_seed(1))
    assert bool(polytope.contains(x, slack=1e-12).all())
    # rejection from the bounding box is exactly uniform
    y = polytope.bounding_box.sample(40000, generator=torch.Generator().manual_seed(2))
    y = y[polytope.contains(y)]
    error = (x.var(0) / len(x) + y.var(0) / len(y)).sqrt()
    assert bool(((x.mean(0) - y.mean(0)).abs() < 5 * error).all())
    share = len(y) / 40000
    sides = (polytope.bounding_box.upper - polytope.bounding_box.lower).prod()
    assert share * float(sides) == pytest.approx(polytope.volume, abs=5 * float(sides) * math.sqrt(share / 40000))
    for d in range(3):  # and the same quarters
        for q in (0.25, 0.75):
            assert float((x[:, d] < y[:, d].quantile(q)).double().mean()) == pytest.approx(q, abs=0.05)


def test_shapes_and_membership() -> None:
    polytope = Polytope(torch.eye(6).reshape(6, 2, 3), torch.ones(6))
    assert polytope.shape == (2, 3)
    assert Polytope(torch.eye(6), torch.ones(6), (2, 3)).shape == (2, 3)
    assert polytope.contains(torch.zeros(4, 5, 2, 3)).shape == (4, 5)
    assert not bool(polytope.contains(torch.full((2, 3), 1.5)))
    assert bool(polytope.contains(torch.full((2, 3), 1.5), slack=0.5))


def test_the_chart_has_exact_sides_where_rows_set_them() -> None:
    polytope = Polytope(torch.tensor([[-1.0, 0], [0, -2], [1, 1], [0, 1]]), torch.tensor([0.1, 0, 1, 0.7]).double())
    chart = polytope.chart
    assert float(chart.lower[0]) == -float(torch.tensor(0.1))
    assert (float(chart.lower[1]), float(chart.upper[1])) == (0.0, float(torch.tensor(0.7)))
    assert 1.0 < float(chart.upper[0]) < 1.0 + 1e-6  # from a linear program: a little outside
    assert len(chart.h) == 1
    t = polytope.bounding_box.sample(500, generator=torch.Generator().manual_seed(0))
    assert torch.equal(chart.contains(t), polytope.contains(t))
    torch.testing.assert_close(chart.lift(t)[0], t)


def test_what_is_unbounded_says_so() -> None:
    quadrant = Polytope(-torch.eye(2), torch.zeros(2))
    assert not quadrant.bounded
    assert quadrant.radius == math.inf
    assert bool(quadrant.contains(quadrant.center))
    assert quadrant.facets.tolist() == [0, 1]
    assert quadrant.bounding_box.upper.tolist() == [math.inf, math.inf]
    assert quadrant.bounding_box.lower.tolist() == pytest.approx([0.0, 0.0])
    for ask in (quadrant.sample, lambda _: quadrant.vertices, lambda _: quadrant.volume):
        with pytest.raises(DomainError, match="unbounded"):
            ask(3)
    strip = Polytope(torch.tensor([[1.0, 0], [-1, 0]]), torch.ones(2))
    assert strip.radius == pytest.approx(1.0)
    assert not strip.bounded


def test_what_is_empty_or_flat_says_so() -> None:
    empty = Polytope(torch.tensor([[1.0], [-1.0]]), torch.tensor([0.0, -1.0]))
    assert empty.empty
    flat = Polytope(torch.tensor([[1.0, 0], [-1, 0], [0, 1], [0, -1]]), torch.tensor([0.5, -0.5, 1, 1]))
    assert not flat.empty
    for polytope, what in ((empty, "empty"), (flat, "flat")):
        for ask in ("chart", "center", "bounding_box", "facets", "vertices", "bounded"):
            with pytest.raises(DomainError, match=what):
                getattr(polytope, ask)
    thin = Polytope(flat.G, torch.tensor([0.5, -0.5 + 1e-9, 1, 1], dtype=torch.float64))
    assert thin.radius == pytest.approx(5e-10, rel=1e-3)
    assert thin.chart.dim == 2


@pytest.mark.parametrize(
    ("G", "h", "what"),
    [
        ([[1.0, math.nan]], [1.0], "NaN"),
        ([[1.0, math.inf]], [1.0], "infinite"),
        ([[1.0, 0.0]], [math.nan], "NaN"),
        ([[0.0, 0.0]], [-1.0], "empty"),
        ([[1.0, 0.0]], [1.0, 2.0], "shape"),
        ([1.0, 0.0], [1.0, 2.0], "shape"),
    ],
)
def test_bad_rows(G: list[object], h: list[float], what: str) -> None:
    with pytest.raises((DomainError, ShapeError), match=what):
        Polytope(torch.tensor(G), torch.tensor(h))


def test_bad_shapes_and_too_many_vertices() -> None:
    with pytest.raises(ShapeError, match="points of shape"):
        Polytope(torch.eye(3), torch.ones(3), (2,))
    with pytest.raises(DomainError, match="too many"):
        _ = cube(9).vertices


def test_rows_that_say_nothing_are_no_facets() -> None:
    square = cube(2)
    more = Polytope(
        torch.cat([torch.zeros(1, 2), square.G, torch.tensor([[1.0, 0], [1.0, 1.0]])]),
        torch.cat([torch.ones(1), square.h, torch.tensor([math.inf, 2.0])]),  # the last one touches a corner
    )
    assert more.facets.tolist() == [1, 2, 3, 4]
    assert more.volume == pytest.approx(4.0)
    assert np.isfinite(more.radius)
