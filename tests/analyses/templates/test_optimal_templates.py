"""Optimal templates against closed forms, cvxpy and gradient descent."""

from __future__ import annotations

import math

import cvxpy
import numpy as np
import pytest
import torch
from scipy.optimize import brentq

import splinegraph as sg
from splinegraph.analyses.templates.dynamics import margin_flow
from splinegraph.errors import DataError, ShapeError, SplineGraphError


@pytest.mark.parametrize(
    ("classes", "energy", "norm"), [(2, 2.5, 1.0), (3, 1.0, 4.0), (10, 0.3, 0.1), (1000, 50.0, 2.0)]
)
def test_theorem_5_corrected(classes: int, energy: float, norm: float) -> None:
    x = torch.nn.functional.normalize(torch.randn(3, 2, 4, dtype=torch.float64).flatten(1), dim=1).reshape(3, 2, 4)
    found = sg.optimal_templates(norm * x, [0, 1, 1], classes, energy=energy)
    assert found.rows.shape == (3, classes, 2, 4)
    torch.testing.assert_close(found.rows[1, 1], math.sqrt((classes - 1) * energy / classes) * x[1])
    torch.testing.assert_close(found.rows[1, 0], -math.sqrt(energy / (classes * (classes - 1))) * x[1])
    torch.testing.assert_close(found.energy, torch.full((3,), energy, dtype=torch.float64))
    assert float(found.coefficients.sum(1).abs().max()) < 1e-12
    # Theorem 8, corrected: sum <A_c, x> A_c is K x
    rows = found.rows.flatten(2)
    back = torch.einsum("bcd,bce,be->bd", rows, rows, norm * x.flatten(1))
    torch.testing.assert_close(back, energy * norm * x.flatten(1))


@pytest.mark.parametrize(("classes", "lam"), [(2, 0.1), (5, 0.003), (10, 4.0)])
def test_tikhonov_solves_the_scalar_equation(classes: int, lam: float) -> None:
    x = torch.tensor([[0.6, 0.8]], dtype=torch.float64)
    found = sg.optimal_templates(x, [0], classes, tikhonov=lam)
    beta = brentq(lambda b: 2 * lam * b * (classes - 1 + math.exp(classes * b)) - 1, 0, 50)
    assert float(found.coefficients[0, 0]) == pytest.approx((classes - 1) * beta, rel=1e-9)
    assert float(found.coefficients[0, 1]) == pytest.approx(-beta, rel=1e-9)


@pytest.mark.parametrize("how", ["energy", "tikhonov"])
def test_unequal_biases_agree_with_a_convex_solver(how: str) -> None:
    rng = np.random.default_rng(0)
    x, bias, y, weight = rng.normal(size=3), 2 * rng.normal(size=4), 2, 0.7
    a = cvxpy.Variable((4, 3))
    scores = a @ x + bias
    loss = cvxpy.log_sum_exp(scores) - scores[y]
    if how == "energy":
        problem = cvxpy.Problem(cvxpy.Minimize(loss), [cvxpy.sum_squares(a) <= weight])
    else:
        problem = cvxpy.Problem(cvxpy.Minimize(loss + weight * cvxpy.sum_squares(a)))
    problem.solve(solver=cvxpy.CLARABEL)
    found = sg.optimal_templates(torch.from_numpy(x)[None], [y], 4, bias=bias.tolist(), **{how: weight})
    np.testing.assert_allclose(found.rows[0].numpy(), a.value, atol=2e-5)
    wrong = np.delete(found.coefficients[0].numpy(), y)
    assert np.ptp(wrong) > 1e-2  # which the paper's formula has equal
    objective = float(found.loss[0]) + (weight * float(found.energy[0]) if how == "tikhonov" else 0.0)
    assert objective == pytest.approx(problem.value, abs=1e-6)


@pytest.mark.parametrize("weight", [1e-12, 1e-4, 1.0, 1e4, 1e8])
def test_stationary_at_all_scales(weight: float) -> None:
    """The gradient is that of a multiplier times the templates, however small the probabilities are."""
    x = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    bias = torch.randn(4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 3
    found = sg.optimal_templates(x, [0, 1, 2, 3], 5, tikhonov=weight, bias=bias)
    rho = x.norm(dim=1, keepdim=True)
    log_p = (found.coefficients * rho + bias).log_softmax(1)
    wrong = torch.ones(4, 5, dtype=torch.bool).scatter(1, torch.arange(4)[:, None], False)
    stationary = (log_p + rho.log() - math.log(2 * weight))[wrong].exp()
    torch.testing.assert_close(-found.coefficients[wrong], stationary, rtol=1e-7, atol=0.0)
    torch.testing.assert_close(found.loss, -log_p.diagonal(), rtol=1e-7, atol=1e-15)


def test_a_bound_and_its_multiplier_are_one_problem() -> None:
    x, bias = torch.tensor([[1.0, 2.0]]), [0.3, -1.0, 2.0]
    penalised = sg.optimal_templates(x, [1], 3, tikhonov=0.2, bias=bias)
    bounded = sg.optimal_templates(x, [1], 3, energy=float(penalised.energy), bias=bias)
    torch.testing.assert_close(bounded.rows, penalised.rows)
    assert bounded.plot().get_xlabel() == "input"


@pytest.mark.parametrize("how", [{"energy": 1.0}, {"tikhonov": 1.0}])
def test_biases_that_drown_the_others(how: dict[str, float]) -> None:
    """The label is pushed against the one wrong class that counts, like for two classes with no others."""
    x, bias = torch.tensor([[0.6, 0.8]]), [1000.0, -1000.0, 0.0]
    found = sg.optimal_templates(x, [1], 3, bias=bias, **how).coefficients[0]
    alone = sg.optimal_templates(x, [1], 2, bias=bias[:2], **how).coefficients[0]
    torch.testing.assert_close(found[:2], alone)
    assert float(found[2]) == 0.0


def test_refusals() -> None:
    x = torch.ones(2, 3)
    with pytest.raises(ShapeError, match="either energy= or tikhonov="):
        sg.optimal_templates(x, [0, 1], 2)
    with pytest.raises(ShapeError, match="energy is -1"):
        sg.optimal_templates(x, [0, 1], 2, energy=-1)
    with pytest.raises(DataError, match="input 1 has norm 0"):
        sg.optimal_templates(torch.tensor([[1.0], [0.0]]), [0, 1], 2, energy=1)
    with pytest.raises(SplineGraphError, match="classes is 1"):
        sg.optimal_templates(x, [0, 0], 1, energy=1)
    with pytest.raises(ShapeError, match="bias of shape"):
        sg.optimal_templates(x, [0, 1], 2, energy=1, bias=[0.0])
    with pytest.raises(DataError, match="no classes"):
        sg.optimal_templates(x, [0, 2], 2, energy=1)
    with pytest.raises(ShapeError, match="loss may climb"):
        sg.template_dynamics(x[0], 0, classes=3, rate=5.0)
    with pytest.raises(DataError, match="label 3"):
        sg.template_dynamics(x[0], 3, classes=3)


@pytest.mark.parametrize("learn_bias", [False, True])
def test_dynamics_conserve_and_have_rank_one(learn_bias: bool) -> None:
    x = torch.randn(5, dtype=torch.float64)
    found = sg.template_dynamics(x, 1, classes=4, steps=200, rate=0.05, learn_bias=learn_bias, bias=[0.5, -1, 0, 2])
    assert found.drift < 1e-13
    assert found.off_line < 1e-13
    assert bool((found.loss.diff() < 0).all())
    assert bool((found.biases.diff(dim=0) == 0).all()) == (not learn_bias)
    # each step against automatic differentiation (Eq 59-60)
    a = found.path[7].clone().requires_grad_()
    scores = a @ x + found.biases[7]
    (slope,) = torch.autograd.grad(scores.logsumexp(0) - scores[1], a)
    torch.testing.assert_close(found.path[8], found.path[7] - 0.05 * slope, rtol=1e-12, atol=1e-13)


def test_biases_interfere() -> None:
    """The paper says that they do not: they change probabilities, and so every step."""
    x = torch.tensor([0.6, 0.8])
    start = torch.zeros(3, 2)
    one = sg.template_dynamics(x, 0, classes=3, steps=50, start=start)
    other = sg.template_dynamics(x, 0, classes=3, steps=50, start=start, bias=[-2.0, 1.0, 0.0])
    assert float((one.path[-1] - other.path[-1]).norm()) > 0.1


def test_margins_follow_the_closed_form_of_the_flow() -> None:
    x, rate, steps = torch.tensor([1.2, 0.0, 0.5]), 1e-3, 4000
    found = sg.template_dynamics(x, 0, classes=3, steps=steps, rate=rate, start=torch.zeros(3, 3))
    norm = float(x.norm())
    flow = margin_flow([rate * t for t in range(steps + 1)], 3, norm=norm)
    torch.testing.assert_close(found.margins[:, 1], flow, rtol=0.0, atol=2e-3)
    late = margin_flow([5.0], 3, norm=norm, start=float(margin_flow([2.0], 3, norm=norm)))
    torch.testing.assert_close(late, margin_flow([7.0], 3, norm=norm))
    m = margin_flow([3.0], 4, norm=norm, start=-0.5)
    assert float(3 * m + m.exp()) == pytest.approx(4 * norm**2 * 3 + 3 * -0.5 + math.exp(-0.5))


def test_a_penalty_leads_to_the_optimum_from_anywhere() -> None:
    x, bias = torch.tensor([0.6, 0.8]), [0.0, 1.0, -1.0]
    best = sg.optimal_templates(x[None], [0], 3, tikhonov=0.05, bias=bias).rows[0]
    for seed in (0, 1):
        found = sg.template_dynamics(x, 0, classes=3, tikhonov=0.05, steps=1500, rate=0.5, bias=bias, seed=seed)
        torch.testing.assert_close(found.path[-1], best, rtol=1e-8, atol=1e-9)
    assert found.drift > 0.1
    assert found.to_dict()["cosines"][1][0] == pytest.approx(1.0)
    assert found.plot().get_xlabel() == "along x"


def test_margins_beyond_the_exponential_are_refused() -> None:
    for start in (800.0, float("nan"), float("-inf")):
        with pytest.raises(ShapeError, match="start is"):
            margin_flow([1.0], 3, start=start)
