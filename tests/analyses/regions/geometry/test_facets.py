"""Largest balls, facets and bounding boxes, against HiGHS and against what they must be."""

from __future__ import annotations

import numpy as np
import pytest

from splinegraph.analyses.regions.geometry.boxes import bounding_boxes
from splinegraph.analyses.regions.geometry.chebyshev import chebyshev
from splinegraph.analyses.regions.geometry.facets import facets
from splinegraph.analyses.regions.geometry.polytopes import Polytopes
from splinegraph.errors import DomainError, ShapeError
from tests.analyses.regions.geometry.shapes import KINDS, TINY, ball, batch, highs, necessary, polytope

SEEDS = range(2)
EACH = [(kind, dim) for kind in KINDS for dim in (1, 2, 3)]


@pytest.mark.parametrize(("kind", "dim"), EACH)
def test_balls_are_as_large_as_those_of_highs(kind: str, dim: int) -> None:
    polytopes = batch(kind, dim, SEEDS)
    centers, radii = chebyshev(polytopes)
    for i, (G, h) in enumerate(polytopes):
        assert (h - G @ centers[i]).min() >= radii[i] - 1e-12
        expected = TINY * ball(*polytope("random", dim, i)) if kind == "tiny" else ball(G, h)
        if np.isfinite(expected):
            assert radii[i] == pytest.approx(expected, rel=1e-6, abs=1e-12)
        else:
            assert radii[i] >= 1.0


@pytest.mark.parametrize(("kind", "dim"), EACH)
def test_facets_are_the_rows_that_highs_finds_necessary(kind: str, dim: int) -> None:
    polytopes = batch(kind, dim, SEEDS)
    found = facets(polytopes)
    for i, (G, h) in enumerate(polytopes):
        low = polytopes.rows(i).start
        G, h = polytope("random", dim, i) if kind == "tiny" else (G, h)
        mine = found.owner[polytopes.rows(i)] >= 0
        for r in range(len(h)):
            excess = necessary(G, h, r)
            if kind == "thin" and abs(excess) < 1e-7:
                continue  # beyond what HiGHS resolves; see the tests of thin polytopes
            assert mine[r] == (excess > 1e-8), (i, r, excess)
        owners = found.row[found.of(i)] - low
        assert (np.diff(owners) > 0).all()


@pytest.mark.parametrize(("kind", "dim"), EACH)
def test_a_ball_in_a_facet_lies_in_its_plane_and_in_the_polytope(kind: str, dim: int) -> None:
    polytopes = batch(kind, dim, SEEDS)
    found = facets(polytopes)
    rng = np.random.default_rng(0)
    for i, (G, h) in enumerate(polytopes):
        for f in range(found.offsets[i], found.offsets[i + 1]):
            g, point = polytopes.G[found.row[f]], found.points[f]
            assert abs(polytopes.h[found.row[f]] - g @ point) < 1e-12 * (1 + np.abs(point).max())
            if dim == 1:
                assert found.radii[f] == np.inf
                continue
            radius = min(found.radii[f], 10.0)
            step = rng.normal(size=(20, dim))
            step -= np.outer(step @ g, g)
            around = point + radius * step / np.linalg.norm(step, axis=1, keepdims=True)
            assert (around @ G.T - h).max() < 1e-12 * (1 + np.abs(around).max())


@pytest.mark.parametrize("dim", [2, 3, 5])
def test_balls_in_facets_are_the_largest(dim: int) -> None:
    polytopes = batch("random", dim, SEEDS)
    found = facets(polytopes)
    for i, (G, h) in enumerate(polytopes):
        for f in range(found.offsets[i], found.offsets[i + 1]):
            r = found.row[f] - polytopes.offsets[i]
            others = np.delete(np.arange(len(h)), r)
            norms = np.sqrt(1 - (G[others] @ G[r]) ** 2)
            rows = np.concatenate([np.c_[G[others], norms], [[*G[r], 0.0], [*-G[r], 0.0]]])
            best = highs(np.eye(dim + 1)[-1], rows, np.concatenate([h[others], [h[r], -h[r]]]))
            assert found.radii[f] == pytest.approx(-best.fun, rel=1e-7)


def test_coincident_rows_share_a_facet() -> None:
    polytopes = batch("doubled", 4, SEEDS)
    found = facets(polytopes)
    for f in range(len(found)):
        rows = found.rows(f)
        assert len(rows) == 2
        assert rows[0] == found.row[f]
        np.testing.assert_allclose(polytopes.G[rows[0]], polytopes.G[rows[1]], atol=1e-14)


def test_rows_that_only_touch_are_no_facets() -> None:
    polytopes = batch("touching", 3, range(10))
    found = facets(polytopes)
    for i in range(len(polytopes)):
        assert found.owner[polytopes.rows(i)][:3].max() == -1


@pytest.mark.parametrize("dim", [2, 3, 4])
def test_slivers_keep_their_long_sides(dim: int) -> None:
    polytopes = batch("thin", dim, range(8))
    found = facets(polytopes)
    for i in range(len(polytopes)):
        rows = found.row[found.of(i)] - polytopes.offsets[i]
        assert found.sizes[i] == pytest.approx(5e-10, rel=1e-6)
        assert {0, 1} <= set(rows.tolist())  # the two planes it lies between
        assert found.radii[found.of(i)][:2].min() > 1e-4


@pytest.mark.parametrize(("kind", "dim"), EACH)
def test_bounding_boxes_agree_with_highs(kind: str, dim: int) -> None:
    polytopes = batch(kind, dim, range(2))
    lower, upper = bounding_boxes(polytopes)
    size = TINY if kind == "tiny" else 1.0
    for i, (G, h) in enumerate(polytopes):
        for d in range(dim):
            for side, sign in ((lower[i, d] / size, -1.0), (upper[i, d] / size, 1.0)):
                best = highs(sign * np.eye(dim)[d], G, h / size)
                if best.status == 3:
                    assert side == sign * np.inf
                else:
                    assert side == pytest.approx(-sign * best.fun, rel=1e-6, abs=2e-7 if kind == "thin" else 1e-9)


def test_polytopes_without_interior() -> None:
    G = [[1.0, 0], [-1, 0], [0, 1], [0, -1]]
    polytopes = Polytopes.of(G * 2, [0.5, -0.5, 1, 1, 0.4, -0.5, 1, 1], [0, 4, 8])  # flat, and empty
    radii = chebyshev(polytopes)[1]
    assert radii == pytest.approx([0.0, -0.05])
    assert len(facets(polytopes)) == 0
    assert np.isnan(bounding_boxes(polytopes)[0][1]).all()
    never = Polytopes.of([[1.0, 0], [0.0, 0.0]], [1.0, -1.0])
    assert chebyshev(never)[1][0] < 0


def test_the_start_does_not_matter() -> None:
    polytopes = batch("random", 3, SEEDS)
    found, moved = facets(polytopes), facets(polytopes, np.full((2, 3), 7.0))
    assert found.row.tolist() == moved.row.tolist()
    np.testing.assert_allclose(found.radii, moved.radii)


def test_each_polytope_as_alone() -> None:
    polytopes = Polytopes.concat([batch(kind, 3, range(2)) for kind in KINDS])
    together = facets(polytopes)
    for i in range(len(polytopes)):
        alone = facets(polytopes[i])
        assert (together.row[together.of(i)] - polytopes.offsets[i]).tolist() == alone.row.tolist()
        np.testing.assert_array_equal(together.points[together.of(i)], alone.points)


def test_rows_are_normalized_and_void_ones_dropped() -> None:
    polytopes = Polytopes.of(
        [[2.0, 0], [0, 0], [0, 4], [0, 0], [1, 1]], [4, 1, 2, -1, np.inf], [0, 2, 5], unit=range(5)
    )
    np.testing.assert_array_equal(polytopes.G, [[1, 0], [0, 1], [0, 0]])
    assert polytopes.h.tolist() == [2, 0.5, -1]
    assert polytopes.offsets.tolist() == [0, 1, 3]
    assert polytopes.unit.tolist() == [0, 2, 3]
    assert polytopes[1].h.tolist() == [0.5, -1]
    assert len(polytopes[[1, 0]].h) == 3
    assert polytopes[[False, True]].offsets.tolist() == [0, 2]


def test_no_polytopes() -> None:
    none = Polytopes.of(np.zeros((0, 3)), [], [0])
    assert len(facets(none)) == 0
    assert len(chebyshev(none)[1]) == 0
    free = Polytopes.of(np.zeros((0, 3)), [], [0, 0])  # all of space
    assert chebyshev(free)[1][0] == np.inf
    assert np.isinf(bounding_boxes(free)[1]).all()
    assert len(facets(free)) == 0


def test_bad_input() -> None:
    with pytest.raises(DomainError, match="NaN"):
        Polytopes.of([[np.nan]], [1.0])
    with pytest.raises(ShapeError, match="right-hand sides"):
        Polytopes.of([[1.0]], [1.0, 2.0])
    with pytest.raises(ShapeError, match="points of shape"):
        facets(batch("random", 2, SEEDS), np.zeros((2, 3)))
