"""Spline spaces: dimension, basis, membership, smoothness; and what scipy says of the same functions."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.interpolate import BSpline

from splinegraph.errors import ShapeError
from splinegraph.splines.spline1d import Spline1d, SplineSpace


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_dimension_is_that_of_the_null_space(order: int) -> None:
    """Piecewise polynomials have m R coefficients; each missing jump is one equation."""
    knots = (0.5, 1.25)
    for times in itertools.product(range(1, order + 1), repeat=2):
        rows = []
        for r, (at, t) in enumerate(zip(knots, times, strict=True)):
            for j in range(order - t):  # derivatives 0 .. m - 1 - M are continuous
                row = np.zeros((3, order))
                for sign, piece in ((1, r), (-1, r + 1)):
                    row[piece] = [sign * _power(k, j, at) for k in range(order)]
                rows.append(row.ravel())
        rank = np.linalg.matrix_rank(np.array(rows)) if rows else 0
        space = SplineSpace(order, (0.0, 2.0), knots, times)
        assert space.dim == 3 * order - rank == order + sum(times)
        basis = space.basis()
        values = np.array([b(np.linspace(0.01, 1.99, 97)) for b in basis])
        assert len(basis) == np.linalg.matrix_rank(values) == space.dim
        np.testing.assert_allclose(values.sum(0), 1)
        assert all(space.contains(b) for b in basis)


def _power(k: int, j: int, x: float) -> float:
    """Return the j-th derivative of x^k."""
    return float(np.polyval(np.polyder(np.eye(k + 1)[0], j), x)) if j <= k else 0.0


def test_a_knot_of_full_multiplicity_is_no_constraint() -> None:
    """The paper has the least and the most constrained case the wrong way round."""
    jump = Spline1d(np.array([0.0, 1.0, 2.0]), np.array([[0.0, 0.0], [0.0, 1.0]]))
    assert jump.smoothness() == (-1,)
    assert jump.multiplicities() == (2,)
    assert SplineSpace(2, (0.0, 2.0), (1.0,), (2,)).contains(jump)
    assert not SplineSpace(2, (0.0, 2.0), (1.0,), (1,)).contains(jump)
    assert not SplineSpace(2, (0.0, 2.0), (0.5,), (2,)).contains(jump)


def test_like_scipy() -> None:
    rng = np.random.default_rng(0)
    theirs = BSpline(np.array([0, 0, 0, 0, 1.0, 1.0, 2.5, 4, 4, 4, 4]), rng.normal(size=7), 3)
    ours = Spline1d.from_bspline(theirs)
    x = np.linspace(0, 3.99, 301)
    np.testing.assert_allclose(ours(x), theirs(x), atol=1e-12)
    np.testing.assert_allclose(ours.derivative()(x), theirs.derivative()(x), atol=1e-11)
    assert ours.integrate(0.0, 4.0) == pytest.approx(float(theirs.integrate(0, 4)))
    assert ours.multiplicities() == (2, 1)
    np.testing.assert_allclose(theirs(ours.roots()), 0, atol=1e-10)
    np.testing.assert_allclose(ours.to_ppoly()(x), ours(x))


@pytest.mark.parametrize("knots", [(1.0, 0.5), (0.0,), (3.0,)])
def test_bad_knots(knots: tuple[float, ...]) -> None:
    with pytest.raises(ShapeError, match="no spline space"):
        SplineSpace(2, (0.0, 2.0), knots)


def test_bad_shapes() -> None:
    with pytest.raises(ShapeError, match="coefficients"):
        Spline1d(np.array([0.0, 1.0]), np.zeros((2, 2)))
    with pytest.raises(ShapeError, match="increase"):
        Spline1d(np.array([1.0, 0.0]), np.zeros((2, 1)))
