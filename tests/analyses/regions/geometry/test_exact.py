"""The exact decision, against hand cases and floating point."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest

from splinegraph.analyses.regions.geometry.chebyshev import chebyshev
from splinegraph.analyses.regions.geometry.exact import ExactBall, exact_feasible
from splinegraph.analyses.regions.geometry.polytopes import Polytopes
from splinegraph.errors import DomainError, ShapeError
from tests.analyses.regions.geometry.shapes import KINDS, polytope

SQUARE = [[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]


def holds(found: ExactBall, G: object, h: object) -> bool:
    """Return whether the ball lies in the polytope, in exact numbers."""
    for row, b in zip(np.asarray(G, dtype=float).tolist(), np.asarray(h, dtype=float).tolist(), strict=True):
        norm = sum(Fraction(g) ** 2 for g in row)
        slack = Fraction(b) - sum(Fraction(g) * t for g, t in zip(row, found.point, strict=True))
        if slack < 0 or slack**2 < found.radius**2 * norm:
            return False
    return True


@pytest.mark.parametrize("width", [1e-9, 2.0**-1000, 5e-324])
def test_a_sliver_of_any_width_has_an_interior(width: float) -> None:
    found = exact_feasible(SQUARE, [width, 0.0, 1.0, 1.0])
    assert found
    assert 0 < found.radius <= Fraction(width) / 2
    assert holds(found, SQUARE, [width, 0.0, 1.0, 1.0])


def test_rounding_decides_nothing() -> None:
    # 0.1 + 0.2 > 0.3 as floating point, by less than 1e-16: x + y >= 0.3, x <= 0.1, y <= 0.2
    G = [[-1.0, -1.0], [1.0, 0.0], [0.0, 1.0]]
    assert exact_feasible(G, [-0.3, 0.1, 0.2])
    assert exact_feasible(G, [-(0.1 + 0.2), 0.1, 0.2]).empty
    tenth = Fraction(1, 10)
    assert exact_feasible(G, [-3 * tenth, tenth, 2 * tenth]).radius == 0


@pytest.mark.parametrize("sign", [-1, 0, 1])
def test_touching_and_coinciding_planes(sign: int) -> None:
    # a row through the corner (1, 1), moved by one unit in the last place
    bound = np.nextafter(-2.0, -np.inf if sign < 0 else np.inf) if sign else -2.0
    found = exact_feasible([*SQUARE, [-1.0, -1.0]], [1, 1, 1, 1, bound])
    assert (bool(found), found.empty) == (sign > 0, sign < 0)
    flat = exact_feasible([[3.0, 1.0], [-6.0, -2.0], *SQUARE], [1.0, -2.0 + sign * 2.0**-50, 9, 9, 9, 9])
    assert (bool(flat), flat.empty) == (sign > 0, sign < 0)


@pytest.mark.parametrize(("kind", "dim"), [*itertools.product(KINDS, (1, 2, 4))])
def test_floating_point_agrees_where_it_is_sure(kind: str, dim: int) -> None:
    for seed in range(2):
        G, h = polytope(kind, dim, seed)
        for shift in (0.0, -0.3, -3.0):
            radius = chebyshev(Polytopes.of(G, h + shift))[1][0]
            found = exact_feasible(G, h + shift)
            if abs(radius) > 1e-11:
                assert bool(found) == (radius > 0)
            if found:
                assert holds(found, G, h + shift)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_the_largest_ball_is_nearly_that_of_chebyshev(dim: int) -> None:
    for seed in range(3):
        G, h = polytope("random", dim, seed)
        found = exact_feasible(G, h, largest=True)
        assert holds(found, G, h)
        assert float(found.radius) == pytest.approx(chebyshev(Polytopes.of(G, h))[1][0], rel=1e-6)


@pytest.mark.parametrize("seed", range(8))
def test_small_integers_by_corners(seed: int) -> None:
    """Among small integers, the plane has an interior iff the mean of its corners satisfies all rows strictly."""
    rng = np.random.default_rng(seed)
    G = [*rng.integers(-2, 3, (4, 2)).tolist(), *([int(v) for v in row] for row in SQUARE)]
    h = [*rng.integers(-1, 3, 4).tolist(), 3, 3, 3, 3]
    corners = []
    for (a, r), (b, s) in itertools.combinations(zip(G, h, strict=True), 2):
        det = a[0] * b[1] - a[1] * b[0]
        if det:
            corner = (Fraction(r * b[1] - s * a[1], det), Fraction(s * a[0] - r * b[0], det))
            if all(g[0] * corner[0] + g[1] * corner[1] <= t for g, t in zip(G, h, strict=True)):
                corners.append(corner)
    mean = [sum(c[d] for c in corners) / max(len(corners), 1) for d in range(2)]
    void = all(t >= 0 for g, t in zip(G, h, strict=True) if not any(g))
    inside = (
        void and bool(corners) and all(g[0] * mean[0] + g[1] * mean[1] < t for g, t in zip(G, h, strict=True) if any(g))
    )
    found = exact_feasible(G, h)
    assert (bool(found), found.empty) == (inside, not (void and corners))


def test_a_start_inside_is_its_own_proof() -> None:
    found = exact_feasible(SQUARE, [1, 1, 1, 1], start=[0.25, 0.5])
    assert found.point == (Fraction(1, 4), Fraction(1, 2))
    assert found.radius == Fraction(1, 2)
    assert exact_feasible(SQUARE, [1, 1, 1, 1], start=[100.0, 0.0])


def test_corner_cases() -> None:
    assert exact_feasible([[0.0, 0.0]], [0.0])
    assert exact_feasible([[0.0, 0.0]], [-1e-300]).empty
    assert exact_feasible([[1.0]], [-7.0])  # a ray
    assert exact_feasible([[-1.0, 0.0]], [-7.0], largest=True).radius >= 1
    assert exact_feasible(np.zeros((0, 2)), [], start=[0, 0])
    for bad in (np.nan, np.inf):
        with pytest.raises(DomainError, match="finite"):
            exact_feasible([[bad]], [1.0])
    with pytest.raises(ShapeError):
        exact_feasible([[1.0]], [1.0, 2.0])
    with pytest.raises(ShapeError):
        exact_feasible([[1.0]], [1.0], start=[1.0, 2.0])
