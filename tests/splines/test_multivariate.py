"""Multivariate affine splines: ties, insensitivity, and joint partitions against known counts."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from splinegraph.errors import DomainError, ShapeError
from splinegraph.splines.multivariate import AffineSpline, Region, SplineOperator


def _relu(weights: np.ndarray, bias: float) -> AffineSpline:
    """Return relu(w x + b) on R^d."""
    off = Region(weights[None], np.array([-bias]))
    on = Region(-weights[None], np.array([bias]))
    return AffineSpline([off, on], np.stack([0 * weights, weights]), np.array([0.0, bias]))


@pytest.mark.parametrize("seed", range(3))
def test_generic_lines_cut_the_plane(seed: int) -> None:
    """4 lines in general position make 1 + 4 + 6 regions (Zaslavsky)."""
    rng = np.random.default_rng(seed)
    weights, biases = rng.normal(size=(4, 2)), rng.normal(size=4)
    operator = SplineOperator([_relu(w, b) for w, b in zip(weights, biases, strict=True)])
    regions, parents = operator.partition()
    assert len(regions) == len(set(parents)) == 11
    x = rng.normal(size=(500, 2)) * 3
    np.testing.assert_allclose(operator(x), np.maximum(x @ weights.T + biases, 0), atol=1e-12)
    inside = np.stack([r.contains(x) for r in regions])
    assert (inside.sum(0) == 1).all()  # off the boundaries
    codes = (x @ weights.T + biases > 0).astype(int)
    assert [parents[i] for i in inside.argmax(0)] == [tuple(c) for c in codes.tolist()]


def test_knots_on_the_line_merge() -> None:
    """R is one more than the number of distinct knots."""
    operator = SplineOperator([_relu(np.array([1.0]), b) for b in (0.0, 1.0, 0.0, -2.0)])
    assert len(operator.partition()[0]) == 4


def test_the_first_region_holds_where_several_meet() -> None:
    relu = _relu(np.array([1.0]), 0.0)
    assert relu.region(np.array([[0.0], [-1.0], [1.0]])).tolist() == [0, 0, 1]


def test_insensitivity() -> None:
    """Equation 118 corrected: for continuous splines, or cells that do not depend on the inputs."""
    relu = _relu(np.array([1.0, 0.0]), 0.5)
    assert relu.sensitivity_support() == (0,)
    assert relu.insensitive_to((1,))
    assert not relu.insensitive_to((0,))
    x = np.random.default_rng(0).normal(size=(100, 2))
    assert (relu(x) == relu(x + np.array([0.0, 3.0]))).all()
    upper = Region(np.array([[0.0, -1.0]]), np.zeros(1))
    lower = Region(np.array([[0.0, 1.0]]), np.zeros(1))
    same = AffineSpline([lower, upper], np.array([[1.0, 0.0]] * 2), np.zeros(2))
    assert same.insensitive_to((1,))  # continuous, though the cells depend on it
    step = AffineSpline([lower, upper], np.array([[1.0, 0.0]] * 2), np.array([0.0, 1.0]))
    assert not step.continuous()
    assert not step.insensitive_to((1,))


def test_continuity_on_a_fan() -> None:
    """max(x, y, 0) is continuous; with one offset moved it is not."""
    planes = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    regions = [Region(np.array([o - p for o in planes if (o != p).any()]), np.zeros(2)) for p in planes]
    assert AffineSpline(regions, planes, np.zeros(3)).continuous()
    for i in range(3):
        assert not AffineSpline(regions, planes, 0.1 * np.eye(3)[i]).continuous()


def test_products_of_grids() -> None:
    """m1 and m2 parallel lines make (m1 + 1)(m2 + 1) regions."""
    across = [_relu(np.array([1.0, 0.0]), b) for b in (0.0, 1.0)]
    along = [_relu(np.array([0.0, 1.0]), b) for b in (0.0, 1.0, 2.0)]
    for some in itertools.permutations([across, along]):
        assert len(SplineOperator([s for group in some for s in group]).partition()[0]) == 12


def test_bad_input() -> None:
    half = Region(np.array([[1.0]]), np.zeros(1))
    with pytest.raises(ShapeError, match="no affine spline"):
        AffineSpline([half], np.zeros((2, 1)), np.zeros(1))
    with pytest.raises(DomainError, match="in no region"):
        AffineSpline([half], np.ones((1, 1)), np.zeros(1))(np.array([[1.0]]))
