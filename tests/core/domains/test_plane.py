"""Planes and segments through input space, and how they, boxes and products become charts."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import splinegraph as sg
from splinegraph.core.domains.chart import chart_of
from splinegraph.core.domains.plane import Plane
from splinegraph.core.domains.segment import Segment
from splinegraph.core.values import Box
from splinegraph.errors import DomainError, ShapeError


def random_points(count: int, *shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def graph_of(*shapes: tuple[int, ...]) -> sg.SplineGraph:
    class Sum(nn.Module):
        def forward(self, *xs: torch.Tensor) -> torch.Tensor:
            return sum(x.flatten(1).sum(1) for x in xs).relu()

    return sg.trace(Sum().eval(), tuple(torch.zeros(1, *s, dtype=torch.float64) for s in shapes))


@pytest.mark.parametrize("seed", range(5))
def test_a_plane_keeps_lengths_and_areas(seed: int) -> None:
    x1, x2, x3 = random_points(3, 2, 3, seed=seed)
    plane = Plane.through(x1, x2, x3, margin=0.0)
    t = plane.coordinates(torch.stack([x1, x2, x3]))
    torch.testing.assert_close(plane.lift(t), torch.stack([x1, x2, x3]))
    torch.testing.assert_close(torch.cdist(t, t), torch.cdist(*[torch.stack([x1, x2, x3]).flatten(1)] * 2))
    # the triangle's area, by Heron's formula in input space
    a, b, c = ((p - q).norm() for p, q in ((x1, x2), (x2, x3), (x3, x1)))
    s = (a + b + c) / 2
    cross = (t[1] - t[0])[0] * (t[2] - t[0])[1] - (t[1] - t[0])[1] * (t[2] - t[0])[0]
    assert cross > 0  # v turns towards x3
    torch.testing.assert_close(cross / 2, (s * (s - a) * (s - b) * (s - c)).sqrt())


def test_a_plane_through_points_holds_them_with_a_margin() -> None:
    points = random_points(3, 5)
    plane = Plane.through(*points, margin=0.25)
    tight = Plane.through(*points, margin=0.0)
    t = plane.coordinates(points)
    sides = tight.chart.upper - tight.chart.lower
    room = 0.25 * float(sides.max())
    for near, far in ((t.amin(0), plane.chart.lower), (plane.chart.upper, t.amax(0))):
        torch.testing.assert_close(near - far, torch.full((2,), room, dtype=torch.float64))
    assert bool(plane.contains(points).all())
    assert plane.area == pytest.approx(float((sides + 2 * room).prod()))


def test_directions_are_made_orthonormal() -> None:
    u, v = random_points(2, 7, seed=3) * torch.tensor([[1e-200], [1e150]], dtype=torch.float64)
    plane = Plane(torch.zeros(7), u, v, extent=((-1.0, 2.0), (0.0, 3.0)))
    basis = torch.stack([plane.u, plane.v])
    torch.testing.assert_close(basis @ basis.T, torch.eye(2, dtype=torch.float64))
    torch.testing.assert_close(plane.u, (u * 1e200) / (u * 1e200).norm())
    assert float((plane.v * (v * 1e-150)).sum()) > 0
    assert plane.chart.lower.tolist() == [-1.0, 0.0]
    assert plane.chart.upper.tolist() == [2.0, 3.0]


@pytest.mark.parametrize(
    ("extent", "sides"),
    [(2, [-2, 2, -2, 2]), ((0, 1), [0, 1, 0, 1]), ([[0, 1], [2, 3]], [0, 1, 2, 3]), (torch.ones(()), [-1, 1, -1, 1])],
)
def test_extents(extent: object, sides: list[float]) -> None:
    chart = Plane(torch.zeros(2), torch.tensor([1.0, 0]), torch.tensor([0, 1.0]), extent).chart  # type: ignore[arg-type]
    assert [chart.lower[0], chart.upper[0], chart.lower[1], chart.upper[1]] == sides


def test_membership_in_a_plane() -> None:
    plane = Plane.through(*random_points(3, 4, seed=1))
    inside = plane.sample(50, generator=torch.Generator().manual_seed(0))
    assert inside.shape == (50, 4)
    assert bool(plane.contains(inside).all())
    normal = torch.linalg.svd(torch.stack([plane.u, plane.v])).Vh[-1]
    assert not bool(plane.contains(inside + 1e-3 * normal).any())
    assert bool(plane.contains(inside + 1e-3 * normal, slack=2e-3).all())
    corner = plane.lift(plane.chart.upper[None])
    assert not bool(plane.contains(corner + 1e-3 * plane.u).any())
    assert plane.contains(inside[0]).shape == ()


def test_a_plane_without_bounds() -> None:
    plane = Plane(torch.zeros(3), torch.tensor([1.0, 0, 0]), torch.tensor([0, 1.0, 0]), extent=math.inf)
    assert not plane.bounded
    assert bool(plane.contains(torch.tensor([1e9, 0, 0])))
    with pytest.raises(DomainError, match="unbounded"):
        plane.sample(3)


e1, e2 = torch.eye(2, dtype=torch.float64)


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: Plane.through(e1, 2 * e1, 3 * e1), "lie on a line"),
        (lambda: Plane.through(e1, e1, e2), "is zero"),
        (lambda: Plane.through(e1, e2, 0 * e1, margin=-1.0), "margin"),
        (lambda: Plane(e1, e1, e1 + 1e-13 * e2), "parallel"),
        (lambda: Plane(e1 * math.nan, e1, e2), "NaN"),
        (lambda: Plane(e1, e1, e2, extent=(1.0, 1.0)), "empty along u"),
        (lambda: Plane(e1, e1, e2, extent=((0.0, 1.0), (2.0, 1.0))), "empty along v"),
        (lambda: Plane(e1, e1, e2, extent=math.nan), "empty along u"),
        (lambda: Plane(e1, e1, e2, extent=(1.0, 2.0, 3.0)), "extent"),  # type: ignore[arg-type]
        (lambda: Plane(e1[:1], e1[:1], e1[:1]), "two entries"),
        (lambda: Plane(e1, e1, torch.ones(3)), "different shapes"),
        (lambda: Segment(e1, e1), "x1 == x2"),
        (lambda: Segment(e1, torch.tensor([math.inf, 0])), "infinite"),
        (lambda: Segment(e1, torch.ones(3)), "different shapes"),
        (lambda: Box(torch.tensor(math.inf), torch.tensor(math.inf)).chart, "infinity"),
    ],
)
def test_what_is_no_domain(make: object, what: str) -> None:
    with pytest.raises((DomainError, ShapeError), match=what) as caught:
        make()  # type: ignore[operator]
    assert "\n" not in str(caught.value)


def test_a_segment_runs_from_0_to_1() -> None:
    x1, x2 = random_points(2, 3, 2)
    segment = Segment(x1.float(), x2)
    assert segment.shape == (3, 2)
    assert (float(segment.chart.lower), float(segment.chart.upper)) == (0.0, 1.0)
    torch.testing.assert_close(
        segment.lift(torch.tensor([[0.0], [1.0], [0.5]])), torch.stack([x1, x2, (x1 + x2) / 2]), rtol=1e-6, atol=1e-6
    )
    assert segment.length == pytest.approx(float((x2 - x1).norm()), rel=1e-6)
    assert bool(segment.contains(segment.sample(9)).all())
    assert not bool(segment.contains(2 * x2 - x1))


def test_only_coordinates_with_lower_below_upper_are_free() -> None:
    box = Box(torch.tensor([[0.0, 1.0], [-1.0, 2.0]]), torch.tensor([[1.0, 1.0], [3.0, 2.0]]))
    chart = box.chart
    assert chart.dim == 2
    x = chart.lift(torch.tensor([[0.25, -1.0]]))[0]
    assert x.tolist() == [[[0.25, 1.0], [-1.0, 2.0]]]
    assert chart.coordinates((x,)).tolist() == [[0.25, -1.0]]


def test_forms_are_pulled_back_to_the_chart() -> None:
    domains = (Plane.through(*random_points(3, 4)), Box(-torch.ones(2), torch.tensor([1.0, -1.0])))
    chart = chart_of(graph_of((4,), (2,)), domains)
    assert chart.dim == 3
    rows = (random_points(5, 4, seed=4), random_points(5, 2, seed=5))
    t = random_points(6, 3, seed=6)
    offset = chart.flatten(chart.lift(torch.zeros(1, 3))) @ chart.flatten(rows).T
    values = chart.flatten(chart.lift(t)) @ chart.flatten(rows).T
    torch.testing.assert_close(values, offset + t @ chart.pullback(rows).T)
    torch.testing.assert_close(chart.coordinates(chart.lift(t)), t)
    for v, basis in zip(chart.lift(torch.eye(3)), chart.basis(), strict=True):
        torch.testing.assert_close(v - chart.lift(torch.zeros(1, 3))[0 if v.shape[1] == 4 else 1], basis)


def test_constraints_say_what_contains_says() -> None:
    chart = chart_of(graph_of((3,)), Box(torch.tensor([-1.0, 0, -math.inf]), torch.tensor([1.0, math.inf, 5])))
    G, h = chart.constraints()
    assert len(h) == 4
    t = 4 * random_points(200, 3)
    assert torch.equal((t @ G.T <= h).all(1), chart.contains(t))
    assert not chart.bounded


@pytest.mark.parametrize(
    ("domain", "what"),
    [
        (Box(torch.zeros(2), torch.ones(2)), "the input has"),
        ((Box(torch.zeros(3), torch.ones(3)),) * 2, "2 domains for 1 inputs"),
        (torch.zeros(3), "Tensor is no domain"),
    ],
)
def test_domains_that_do_not_fit_the_graph(domain: object, what: str) -> None:
    with pytest.raises((DomainError, ShapeError), match=what):
        chart_of(graph_of((3,)), domain)


def test_one_number_fits_every_input() -> None:
    assert chart_of(graph_of((2, 3)), Box(torch.tensor(-1.0), torch.tensor(1.0))).dim == 6
