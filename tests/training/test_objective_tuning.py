"""Hyper-gradients of the weights against finite differences, where these are exact."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from splinegraph.errors import SplineGraphError
from splinegraph.training.objective import SemiSupervisedLoss, WeightTuner, hypergradient, onto_simplex

RATE = 0.05


def _quadratics(count: int) -> list[Callable[[Tensor], Tensor]]:
    """Return random quadratic functions of 4 numbers."""

    def quadratic() -> Callable[[Tensor], Tensor]:
        root, b = torch.randn(4, 4).double(), torch.randn(4).double()
        return lambda theta: 0.5 * (root @ theta).square().sum() + b @ theta

    return [quadratic() for _ in range(count)]


def _gradient(f: Callable[[Tensor], Tensor], theta: Tensor) -> Tensor:
    leaf = theta.detach().requires_grad_()
    return torch.autograd.grad(f(leaf), leaf)[0]


def _differences(f: Callable[[Tensor], Tensor], weights: Tensor, step: float = 0.5) -> Tensor:
    """Return central differences, which are exact for a quadratic function whatever the step."""
    moves = step * torch.eye(len(weights), dtype=torch.float64)
    return torch.stack([(f(weights + m) - f(weights - m)) / (2 * step) for m in moves])


@pytest.mark.parametrize("seed", range(5))
def test_hypergradient_equals_differences_on_quadratics(seed: int) -> None:
    torch.manual_seed(seed)
    *training, held_out = _quadratics(4)
    theta, weights = torch.randn(4).double(), torch.rand(3).double()
    gradients = torch.stack([_gradient(f, theta) for f in training])

    def stepped(w: Tensor) -> Tensor:
        return theta - RATE * w @ gradients

    def derivatives(at: Tensor) -> Tensor:
        named = {str(i): [g] for i, g in enumerate(gradients)}
        return torch.tensor(list(hypergradient(named, [_gradient(held_out, at)], RATE).values()), dtype=torch.float64)

    expected = _differences(lambda w: held_out(stepped(w)), weights)
    assert torch.allclose(derivatives(stepped(weights)), expected, rtol=1e-9, atol=1e-9)
    # planted faults: the gradient before the step; Eq 87 as printed, which differentiates the training loss
    assert not torch.allclose(derivatives(theta), expected, rtol=1e-3)
    values = torch.stack([f(stepped(weights)) for f in training])
    printed = _differences(lambda w: w @ torch.stack([f(stepped(w)) for f in training]), weights, 1e-4)
    assert not torch.allclose(printed, expected, rtol=1e-3)
    on_training = _gradient(lambda t: weights @ torch.stack([f(t) for f in training]), stepped(weights))
    assert torch.allclose(printed, values - RATE * gradients @ on_training, rtol=1e-6)  # the direct term and the other


@pytest.mark.parametrize("total", [1.0, 0.3])
def test_projection_is_the_nearest_point_of_the_simplex(total: float) -> None:
    for size in (1, 2, 5, 20):
        w = 2 * torch.randn(size).double()
        p = onto_simplex(w, total)
        assert p.min() >= 0
        assert float(p.sum()) == pytest.approx(total, rel=1e-14)
        # the angle to every corner is at least a right one, which no other point has
        corners = total * torch.eye(size, dtype=torch.float64)
        assert ((corners - p) @ (w - p)).max() <= 1e-13
        assert torch.allclose(onto_simplex(p, total), p, rtol=0, atol=1e-15)


def test_a_tuner_moves_weights_as_differences_of_whole_steps_say() -> None:
    model = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)).double()
    x, y, u = torch.randn(4, 3).double(), torch.tensor([0, 1, 1, 0]), torch.randn(6, 3).double()
    held_x, held_y = torch.randn(5, 3).double(), torch.tensor([1, 0, 1, 1, 0])
    loss = SemiSupervisedLoss(model, x, alpha=0.5, balance=0.2)
    start = {name: value.clone() for name, value in model.state_dict().items()}
    tuner = WeightTuner(model.parameters(), loss.objective.at(0), rate=0.1)
    names = list(tuner.weights)

    def after(weights: Tensor) -> Tensor:
        model.load_state_dict(start)
        losses = loss(x, y, u, weights=dict(zip(names, weights.tolist(), strict=True)))
        tuner.before_step(losses.parts)
        optimizer = torch.optim.SGD(model.parameters(), RATE)
        optimizer.zero_grad()
        losses.total.backward()
        optimizer.step()
        return F.cross_entropy(model(held_x), held_y)

    weights = torch.tensor(list(tuner.weights.values()), dtype=torch.float64)
    expected = _differences(lambda w: after(w).detach(), weights, 1e-4)
    found = tuner.after_step(after(weights), RATE)
    assert list(found.values()) == pytest.approx(expected.tolist(), rel=1e-5)
    moved = onto_simplex(weights - 0.1 * expected, float(weights.sum()))
    assert list(tuner.weights.values()) == pytest.approx(moved.tolist(), rel=1e-6)


def test_a_term_that_harms_loses_its_weight_to_one_that_helps() -> None:
    theta = torch.zeros(2, requires_grad=True)
    goal = torch.tensor([1.0, -1.0])
    tuner = WeightTuner([theta], {"helps": 0.5, "harms": 0.5}, rate=1.0)
    for _ in range(30):
        parts = {"helps": (theta - goal).square().sum(), "harms": (theta + goal).square().sum()}
        tuner.before_step(parts)
        step = sum(tuner.weights[name] * torch.autograd.grad(part, theta)[0] for name, part in parts.items())
        with torch.no_grad():
            theta -= RATE * step
        tuner.after_step((theta - goal).square().sum(), RATE)
        assert sum(tuner.weights.values()) == pytest.approx(1)
    assert tuner.weights == {"helps": 1.0, "harms": 0.0}


def test_checkpoints_hold_the_weights() -> None:
    theta = torch.ones(2, requires_grad=True)
    first = WeightTuner([theta], {"a": 0.25, "b": 0.5}, rate=0.5)
    first.before_step({"a": theta.sum(), "b": theta.square().sum()})
    first.after_step(theta.square().sum(), 0.1)
    second = WeightTuner([theta], {"a": 1.0, "b": 0.0}, rate=0.5)
    second.load_state_dict(first.state_dict())
    assert (second.weights, second.total) == (first.weights, 0.75)
    with pytest.raises(SplineGraphError, match=r"saved weights of \['a', 'b'\] for the terms \['c'\]"):
        WeightTuner([theta], {"c": 1.0}, rate=1).load_state_dict(first.state_dict())


def test_bad_weights_and_calls_are_refused() -> None:
    theta = torch.ones(2, requires_grad=True)
    for weights in ({}, {"a": 0.0}, {"a": -1.0, "b": 2.0}, {"a": float("nan")}):
        with pytest.raises(SplineGraphError, match="give some >= 0"):
            WeightTuner([theta], weights, rate=1)
    with pytest.raises(SplineGraphError, match="rate=0"):
        WeightTuner([theta], {"a": 1}, rate=0)
    with pytest.raises(SplineGraphError, match=r"call before_step\(losses.parts\) first"):
        WeightTuner([theta], {"a": 1}, rate=1).after_step(theta.sum(), 0.1)
    with pytest.raises(SplineGraphError, match="a simplex of total 0"):
        onto_simplex(theta, 0)
    tuner = WeightTuner([theta], {"a": 1}, rate=1)
    tuner.before_step({"a": theta.sum()})
    with pytest.raises(SplineGraphError, match=r"the hyper-gradient is .*nan"):
        tuner.after_step(theta.sum() * float("nan"), 0.1)
