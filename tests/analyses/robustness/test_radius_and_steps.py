"""Certified radii, adversarial steps and softmax constants against exact distances, autograd and samples."""

from __future__ import annotations

import itertools
import math
import signal

import pytest
import torch
from torch import nn

import splinegraph as sg
from splinegraph.analyses.robustness import radius as module
from splinegraph.analyses.robustness.classes import Classifier
from splinegraph.core.functionals import combinations
from splinegraph.errors import DomainError, ShapeError, SplineGraphError

NORMS = (1, 2, math.inf)


def traced(net: nn.Module, *shape: int) -> sg.SplineGraph:
    return sg.trace(net.double().eval(), torch.zeros(1, *shape, dtype=torch.float64))


def mlp(*widths: int, end: tuple[nn.Module, ...] = (), seed: int = 0) -> sg.SplineGraph:
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for n, m in itertools.pairwise(widths):
        layers += [nn.Linear(n, m), nn.ReLU()]
    return traced(nn.Sequential(*layers[:-1], *end), widths[0])


# differences of classes


def test_combinations_are_what_they_say_and_fold_the_last_layer() -> None:
    graph, rows = mlp(3, 5, 4), torch.tensor([[1.0, -1.0, 0.0, 0.0], [0.5, 0.0, 2.0, -1.0]], dtype=torch.float64)
    found, x = combinations(graph, rows), torch.randn(6, 3, dtype=torch.float64)
    torch.testing.assert_close(found(x), graph(x) @ rows.T)
    assert [node.op.label for node in found.operators] == ["Linear", "ReLU", "Functionals"]
    with pytest.raises(ShapeError, match=r"rows of shape \(1, 2\) for 4 outputs"):
        combinations(graph, [[1.0, 2.0]])


def test_a_trailing_softmax_is_no_part_of_the_logits() -> None:
    soft = Classifier.of(mlp(3, 5, 4, end=(nn.LogSoftmax(-1),)))
    x = torch.randn(6, 3, dtype=torch.float64)
    torch.testing.assert_close(soft.graph(x), mlp(3, 5, 4)(x))


def test_a_softmax_over_other_axes_than_the_classes_is_kept() -> None:
    class Inner(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.softmax(x.reshape(-1, 2, 3), 1).flatten(1)

    graph = Classifier.of(traced(nn.Sequential(nn.Linear(3, 6), Inner()), 3)).graph
    assert "Softmax" in [node.op.label for node in graph.operators]


# certified radii


@pytest.mark.parametrize("norm", [2, math.inf])
def test_no_radius_exceeds_the_exact_distance(norm: float) -> None:
    graph = mlp(2, 6, 3, seed=3)
    for x in torch.randn(2, 2, dtype=torch.float64):
        (found,) = sg.certified_radius(graph, x, norm, budget=0.3)
        exact = sg.min_adversarial(graph, x, norm).distance.upper
        assert 0 < found.radius <= exact * (1 + 1e-9)
        within = sg.certified_radius(graph, x, norm, on=sg.Box.around(x, radius=0.05), budget=0.2)[0]
        assert within.radius <= min(0.05 * (1 + 1e-9), exact)


@pytest.mark.parametrize("norm", NORMS)
def test_affine_networks_have_the_exact_radius(norm: float) -> None:
    graph = mlp(3, 3)
    x = torch.randn(2, 3, dtype=torch.float64)
    W, y = sg.affine_map(graph, x[:1]).dense().A[0], graph(x).detach()
    dual = {1: math.inf, 2: 2, math.inf: 1}[norm]
    for i, found in enumerate(sg.certified_radius(graph, x, norm, budget=0.2)):
        c = int(y[i].argmax())
        expected = min(
            float((y[i, c] - y[i, k]) / torch.linalg.vector_norm(W[c] - W[k], dual)) for k in range(3) if k != c
        )
        assert found.radius == pytest.approx(expected, rel=1e-6)
        assert found.radius <= expected * (1 + 1e-12)
        assert found.runner_up in found.constants


def test_planted_fault_of_halved_constants_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, x = mlp(3, 2), torch.randn(3, dtype=torch.float64)
    exact = sg.min_adversarial(graph, x).distance.upper
    real = module.lipschitz

    class Half:
        def __init__(self, *args: object, **kwargs: object) -> None:
            found = real(*args, **kwargs)  # type: ignore[arg-type]
            self.upper, self.interrupted = found.upper / 2, found.interrupted

    monkeypatch.setattr(module, "lipschitz", Half)
    assert sg.certified_radius(graph, x, budget=0.2)[0].radius > exact * 1.5


def test_interrupt_leaves_a_proved_radius(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, x = mlp(2, 6, 3, seed=3), torch.tensor([0.5, 0.1], dtype=torch.float64)
    exact = sg.min_adversarial(graph, x).distance.upper
    calls = []

    def interrupted(*args: object) -> None:
        calls.append(args)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("splinegraph.analyses.lipschitz.lipschitz.rungs", interrupted)
    (found,) = sg.certified_radius(graph, x, budget=5.0)
    assert 0 < found.radius <= exact
    assert len(calls) <= 2


def test_radius_is_zero_with_a_reason() -> None:
    graph, x = mlp(3, 2), torch.ones(3, dtype=torch.float64)
    c = int(graph(x[None]).argmax())
    (wrong,) = sg.certified_radius(graph, x, label=1 - c)
    assert wrong.radius == 0
    assert wrong.reason == f"class {c} is predicted"
    tied = traced(nn.Linear(2, 2, bias=False), 2)
    (tie,) = sg.certified_radius(tied, torch.zeros(2))
    assert tie.radius == 0
    assert "tie" in tie.reason
    (edge,) = sg.certified_radius(graph, x, on=sg.Box(torch.zeros(3), torch.ones(3)))
    assert edge.radius == 0 < edge.within
    assert "boundary" in edge.reason


def test_bad_input_is_told_in_one_line() -> None:
    graph, x = mlp(3, 2), torch.ones(3)
    with pytest.raises(SplineGraphError, match=r"norm=3; give 1, 2 or math\.inf"):
        sg.certified_radius(graph, x, 3)
    with pytest.raises(ShapeError, match="holds NaN"):
        sg.certified_radius(graph, x * math.nan)
    with pytest.raises(ShapeError, match="two or more classes"):
        sg.certified_radius(mlp(3, 1), x)
    with pytest.raises(DomainError, match="outside of the domain"):
        sg.certified_radius(graph, x, on=sg.Box(torch.zeros(3), 0.5 * torch.ones(3)))
    with pytest.raises(ShapeError, match="label of shape"):
        sg.certified_radius(graph, x, label=[0, 1])


# steps


@pytest.mark.parametrize("end", [(), (nn.Softmax(-1),)])
def test_steps_follow_autograd(end: tuple[nn.Module, ...]) -> None:
    graph = mlp(4, 6, 3, end=end)
    x = torch.randn(5, 4, dtype=torch.float64)
    k = [0, 1, 2, 1, 0]
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(graph(leaf)[range(5), k].sum(), leaf)
    moved = sg.adversarial_step(graph, x, k, 0.3)
    torch.testing.assert_close(moved, x + 0.3 * gradient)
    found = sg.sensitivity_ratio(graph, x, moved)
    torch.testing.assert_close(found.moved_in, 0.3 * gradient.norm(dim=1))
    if end:  # not the template of the logit: the template against the average one
        y, A = graph(x), sg.affine_map(mlp(4, 6, 3), x).dense().A
        rows = torch.arange(5)
        expected = y[rows, k][:, None] * (A[rows, k] - (y[:, :, None] * A).sum(1))
        torch.testing.assert_close(gradient, expected)


def test_at_optimal_templates_wrong_classes_step_along_minus_x() -> None:
    C, K = 4, 2.5
    x = torch.randn(6, dtype=torch.float64)
    x /= x.norm()
    net = nn.Sequential(nn.Linear(6, C, bias=False), nn.Softmax(-1))
    with torch.no_grad():
        net[0].weight.copy_(-math.sqrt(K / (C * (C - 1))) * x.float().expand(C, -1))
        net[0].weight[0] = math.sqrt((C - 1) * K / C) * x
    step = sg.adversarial_step(traced(net, 6), x[None].float().double(), 2, 1.0)[0] - x.float().double()
    assert float(torch.nn.functional.cosine_similarity(step, x, dim=0)) == pytest.approx(-1, abs=1e-6)


@pytest.mark.parametrize("norm", NORMS)
def test_no_ratio_exceeds_the_constant(norm: float) -> None:
    graph = mlp(3, 5, 2)
    a, b = torch.randn(2, 500, 3, dtype=torch.float64)
    assert float(sg.sensitivity_ratio(graph, a, b, norm).ratio.max()) <= sg.lipschitz(graph, norm, budget=0.2).upper
    assert float(sg.sensitivity_ratio(graph, a, a, norm).ratio.max()) == 0


# softmax


@pytest.mark.parametrize("norm", NORMS)
def test_softmax_constants_hold_and_are_attained(norm: float) -> None:
    z = 4 * torch.randn(2000, 5, dtype=torch.float64)
    local = sg.softmax_constant(z, norm)
    assert float(local.max()) <= 0.5
    worst = torch.tensor([0.0, 0.0, -40.0, -40.0], dtype=torch.float64)
    assert float(sg.softmax_constant(worst, norm)) == pytest.approx(0.5)
    v = torch.randn(2000, 5, dtype=torch.float64)
    out = torch.softmax(z + 1e-6 * v, -1) - torch.softmax(z, -1)
    ratio = torch.linalg.vector_norm(out, norm, dim=1) / torch.linalg.vector_norm(1e-6 * v, norm, dim=1)
    assert bool((ratio <= local * (1 + 1e-3) + 1e-9).all())


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("radius", [None, 0.2])
def test_softmax_networks_stay_below_their_bound(norm: float, radius: float | None) -> None:
    graph = mlp(3, 6, 3, end=(nn.Softmax(-1),))
    center = 3 * torch.ones(3, dtype=torch.float64)
    on = None if radius is None else sg.Box.around(center, radius=radius)
    bound = sg.softmax_lipschitz(graph, norm, on, budget=0.2)
    a, b = (
        3 * torch.randn(2, 1000, 3, dtype=torch.float64)
        if on is None
        else (on.sample(1000), on.sample(1000))
    )  # fmt: skip
    assert float(sg.sensitivity_ratio(graph, a, b, norm).ratio.max()) <= bound.upper
    assert bound.upper <= 0.5 * sg.lipschitz(mlp(3, 6, 3), norm, on, budget=0.2).upper * (1 + 1e-6)
