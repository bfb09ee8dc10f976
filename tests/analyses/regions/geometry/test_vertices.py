"""Vertices and volumes, against theorems and qhull."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.spatial import ConvexHull, HalfspaceIntersection

from splinegraph.analyses.regions.geometry.chebyshev import chebyshev
from splinegraph.analyses.regions.geometry.polytopes import Polytopes
from splinegraph.analyses.regions.geometry.vertices import vertices, volumes
from splinegraph.errors import DomainError
from tests.analyses.regions.geometry.shapes import batch

BOUNDED = ("random", "integer", "doubled", "touching", "tiny")


def cube(dim: int) -> Polytopes:
    return Polytopes.of(np.concatenate([np.eye(dim), -np.eye(dim)]), np.ones(2 * dim))


@pytest.mark.parametrize("dim", range(1, 7))
def test_theorems(dim: int) -> None:
    assert volumes(cube(dim))[0] == pytest.approx(2.0**dim)
    simplex = Polytopes.of([*(-np.eye(dim)), np.ones(dim)], [0.0] * dim + [1.0])
    assert volumes(simplex)[0] == pytest.approx(1 / math.factorial(dim))
    if dim <= 4:  # the cross polytope: vertices in which many facets meet
        signs = np.array(list(itertools.product((-1.0, 1.0), repeat=dim)))
        cross = Polytopes.of(np.concatenate([signs, signs]), np.ones(2 * len(signs)))
        assert volumes(cross)[0] == pytest.approx(2.0**dim / math.factorial(dim))
        assert len(vertices(cross)[0]) == 2 * dim
        assert {tuple(v) for v in vertices(cube(dim))[0].round(9).tolist()} == {tuple(v) for v in signs.tolist()}


@pytest.mark.parametrize(("kind", "dim"), [*itertools.product(BOUNDED, (2, 3, 4))])
def test_volumes_agree_with_qhull(kind: str, dim: int) -> None:
    polytopes = batch(kind, dim, range(3))
    centers, radii = chebyshev(polytopes)
    found = volumes(polytopes)
    for i, (G, h) in enumerate(polytopes):
        scaled = np.c_[G, -(h - G @ centers[i]) / radii[i]]
        hull = ConvexHull(HalfspaceIntersection(scaled, np.zeros(dim)).intersections)
        assert found[i] == pytest.approx(hull.volume * radii[i] ** dim, rel=1e-9)


def test_slivers_have_their_volume() -> None:
    polytopes = batch("thin", 2, range(6))
    corners, offsets = vertices(polytopes)
    for i, volume in enumerate(volumes(polytopes)):
        mine = corners[offsets[i] : offsets[i + 1]]
        length = np.linalg.norm(mine[:, None] - mine[None], axis=2).max()
        assert volume == pytest.approx(1e-9 * length, rel=1e-5)


@pytest.mark.parametrize("kind", BOUNDED)
def test_polygons_run_counterclockwise_along_their_sides(kind: str) -> None:
    polytopes = batch(kind, 2, range(5))
    corners, offsets = vertices(polytopes)
    areas = volumes(polytopes)
    for i, (G, h) in enumerate(polytopes):
        mine = corners[offsets[i] : offsets[i + 1]]
        following = np.roll(mine, -1, axis=0)
        origin = mine[0]
        a, b = (mine - origin), (following - origin)
        assert 0.5 * (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum() == pytest.approx(areas[i])
        middle = (mine + following) / 2
        assert np.abs((middle @ G.T - h).max(1)).max() < 1e-12  # each side lies in a row's plane


@pytest.mark.parametrize("dim", [1, 2, 3, 5])
def test_what_is_unbounded(dim: int) -> None:
    quadrant = Polytopes.of(-np.eye(dim), np.zeros(dim))
    assert volumes(quadrant)[0] == np.inf
    if dim in (2, 3):
        with pytest.raises(DomainError, match="unbounded"):
            vertices(quadrant)


def test_no_interior_no_volume() -> None:
    G = [[1.0, 0], [-1, 0], [0, 1], [0, -1]]
    flat = Polytopes.of(G * 3, [0.5, -0.5, 1, 1, 0.4, -0.5, 1, 1, 1, 1, 1, 1], [0, 4, 8, 12])
    assert volumes(flat).tolist() == pytest.approx([0.0, 0.0, 4.0])
    assert np.diff(vertices(flat)[1]).tolist() == [0, 0, 4]


def test_parts_of_a_cube_fill_it() -> None:
    """Random planes cut a cube; the volumes of all parts add up."""
    rng = np.random.default_rng(0)
    for dim in (2, 3, 4):
        G, h = rng.normal(size=(4, dim)), rng.uniform(-0.3, 0.3, 4)
        box = np.concatenate([np.eye(dim), -np.eye(dim)])
        parts = []
        for signs in itertools.product((-1.0, 1.0), repeat=4):
            rows = np.concatenate([box, np.array(signs)[:, None] * G])
            parts.append(Polytopes.of(rows, np.concatenate([np.ones(2 * dim), np.array(signs) * h])))
        assert volumes(Polytopes.concat(parts)).sum() == pytest.approx(2.0**dim)
