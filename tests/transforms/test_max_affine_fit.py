"""Convex piecewise linear regression: exact data, an optimal convex fit as a bound, decrease, signs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from splinegraph.errors import DataError, SplineGraphError
from splinegraph.transforms.max_affine_fit import max_affine_fit


def data(count: int = 200, size: int = 2, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (count, size))


@pytest.mark.parametrize("method", ["adaptive", "partition"])
def test_a_maximum_of_planes_is_found_again(method: str) -> None:
    X = data()
    A, b = np.array([[1.0, 0.5], [-1.0, 0.2], [0.1, -1.0]]), np.array([0.0, 0.3, -0.1])
    fit = max_affine_fit(X, (X @ A.T + b).max(1), 3, method=method)
    assert fit.error < 1e-20
    found = np.column_stack([fit.module.weight[0].detach(), fit.module.bias[0].detach()])
    expected = np.column_stack([A, b])
    assert np.allclose(found[np.lexsort(found.T)], expected[np.lexsort(expected.T)], atol=1e-8)


def test_one_piece_is_least_squares() -> None:
    X = data(50)
    y = np.exp(X[:, 0]) - X[:, 1]
    Z = np.column_stack([X, np.ones(len(X))])
    residual = np.linalg.lstsq(Z, y, rcond=None)[1][0] / len(X)
    assert max_affine_fit(X, y, 1).error == pytest.approx(residual)


@pytest.mark.slow
def test_no_fit_is_better_than_the_best_convex_function() -> None:
    """Convex regression without a limit of pieces is a quadratic program; with noise, few pieces come near."""
    import cvxpy as cp

    X = data(40, 1, seed=3)
    y = X[:, 0] ** 2 + 0.1 * np.random.default_rng(1).standard_normal(len(X))
    order = np.argsort(X[:, 0])
    t, values = X[order, 0], cp.Variable(len(X))
    slopes = cp.multiply(cp.diff(values), 1 / np.diff(t))
    problem = cp.Problem(cp.Minimize(cp.sum_squares(values - y[order]) / len(X)), [cp.diff(slopes) >= 0])
    best = problem.solve(solver=cp.CLARABEL)
    errors = [max_affine_fit(X, y, pieces).error for pieces in (1, 2, 4, 8)]
    assert min(errors) >= best - 1e-9
    assert errors[-1] <= 1.2 * best
    assert errors[0] > 2 * best


@pytest.mark.parametrize("method", ["adaptive", "partition"])
def test_the_error_falls_and_is_that_of_the_module(method: str) -> None:
    X = data()
    y = (X**2).sum(1)
    fit = max_affine_fit(X, y, 6, method=method)
    assert all(b < a for a, b in itertools.pairwise(fit.history))
    error = float(((fit.module(torch.from_numpy(X))[:, 0].detach() - torch.from_numpy(y)) ** 2).mean())
    assert fit.error == pytest.approx(error)
    assert fit.history[-1] == pytest.approx(error)
    # more pieces: at most the error of n^(-4/n) scaling, far below that of one
    assert fit.error < 0.1 * fit.history[0]


def test_concave_by_sign_and_several_outputs() -> None:
    X = data(100)
    Y = np.column_stack([(X**2).sum(1), np.abs(X[:, 0])])
    up, down = max_affine_fit(X, Y, 4), max_affine_fit(X, -Y, 4, concave=True)
    x = torch.from_numpy(X)
    assert up.module(x).shape == (100, 2)
    assert torch.equal(up.module(x), -down.module(x))
    assert "minimum of 4 affine functions" in repr(down)
    assert down.to_dict()["concave"]


def test_few_points_and_equal_points() -> None:
    assert max_affine_fit(np.zeros((3, 2)), np.ones(3), 5).error < 1e-20
    assert max_affine_fit([[0.0], [1.0]], [0.0, 1.0], 4).error < 1e-20


def test_bad_input() -> None:
    with pytest.raises(DataError, match=r"X of shape \(3, 1\) and y of shape \(2, 1\); give"):
        max_affine_fit(np.zeros((3, 1)), np.zeros(2), 2)
    with pytest.raises(DataError, match="NaN or infinite"):
        max_affine_fit([[0.0], [np.nan]], [0.0, 1.0], 2)
    with pytest.raises(SplineGraphError, match="cannot fit 0 pieces by 'adaptive'"):
        max_affine_fit([[0.0]], [0.0], 0)
    with pytest.raises(SplineGraphError, match="by 'greedy'"):
        max_affine_fit([[0.0]], [0.0], 1, method="greedy")  # type: ignore[arg-type]
    with pytest.raises(SplineGraphError, match=r"cannot fit 2\.5 pieces"):
        max_affine_fit([[0.0]], [0.0], 2.5)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"y of shape \(3, 0\)"):
        max_affine_fit(np.zeros((3, 1)), np.zeros((3, 0)), 2)
