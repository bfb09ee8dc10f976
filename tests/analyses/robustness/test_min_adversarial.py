"""Exact adversarial distances: dense grids, all cells by brute force, planted faults, refusals."""

from __future__ import annotations

import itertools
import math
import signal

import numpy as np
import pytest
import torch
from torch import nn

import splinegraph as sg
from splinegraph.analyses.regions.neighborhood.distance import nearest
from splinegraph.analyses.robustness.adversarial import AdversarialDistance, min_adversarial
from splinegraph.analyses.robustness.goal import Goal, solve
from splinegraph.analyses.robustness.search import Search
from splinegraph.errors import DomainError, ShapeError, SplineGraphError
from tests.marks import few_rows

NORMS = (2, math.inf)


def traced(net: nn.Module, *shape: int) -> sg.SplineGraph:
    return sg.trace(net.double().eval(), torch.zeros(1, *shape, dtype=torch.float64))


def mlp(*widths: int, seed: int = 0) -> sg.SplineGraph:
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for n, m in itertools.pairwise(widths):
        layers += [nn.Linear(n, m), nn.ReLU()]
    return traced(nn.Sequential(*layers[:-1]), widths[0])


def on_grid(graph: sg.SplineGraph, x: torch.Tensor, norm: float, radius: float, target: int | None = None) -> float:
    """Return the distance to the nearest point of another class on a dense grid around x."""
    steps = torch.linspace(-radius, radius, 601 if len(x) == 2 else 81, dtype=torch.float64)
    offsets = torch.cartesian_prod(*[steps] * len(x))
    labels = graph(x + offsets).argmax(1)
    wrong = labels != graph(x[None]).argmax() if target is None else labels == target
    assert bool(wrong.any())
    return float(torch.linalg.vector_norm(offsets[wrong], norm, dim=1).min())


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(("widths", "seed"), few_rows([((2, 8, 8, 3), 0), ((2, 12, 2), 3)]))
def test_grid_finds_nothing_nearer_and_something_as_near(norm: float, widths: tuple[int, ...], seed: int) -> None:
    graph = mlp(*widths, seed=seed)
    for x in torch.randn(1, widths[0], dtype=torch.float64):
        found = min_adversarial(graph, x, norm)
        assert found.distance.kind == "exact"
        assert found.complete
        d, n = found.distance.upper, len(x)
        spacing = 2 * (1.2 * d + 1e-9) / (600 if n == 2 else 80)
        grid = on_grid(graph, x, norm, 1.2 * d + 1e-9)
        assert d <= grid * (1 + 1e-9)
        assert grid <= d + 20 * spacing
        assert found.point is not None
        assert int(graph(found.point[0][None]).argmax()) == found.adversarial_label != found.label
        assert float(torch.linalg.vector_norm(found.point[0] - x, norm)) == pytest.approx(d, rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("widths", [(2, 6, 6, 3), (3, 6, 4, 3)])
def test_all_cells_by_cvxpy_give_the_same(norm: float, widths: tuple[int, ...]) -> None:
    import cvxpy as cp

    graph, n = mlp(*widths, seed=5), widths[0]
    x = torch.tensor([0.3, -0.2, 0.1], dtype=torch.float64)[:n]
    box = sg.Box.around(torch.zeros(n, dtype=torch.float64), radius=6.0)
    c = int(graph(x[None]).argmax())
    least = math.inf
    for cell in sg.enumerate_regions(graph, box):
        A, b = (v[0].numpy() for v in sg.affine_map(graph, torch.as_tensor(cell.point)[None]).dense())
        G, h = cell.inequalities()
        for k in {0, 1, 2} - {c}:
            t = cp.Variable(n)
            goal = cp.Problem(cp.Minimize(cp.norm(t - x.numpy(), 2 if norm == 2 else "inf")),
                              [G @ t <= h, (A[k] - A[c]) @ t + b[k] - b[c] >= 0])  # fmt: skip
            goal.solve(solver=cp.CLARABEL)
            least = min(least, float(goal.value))
    assert min_adversarial(graph, x, norm, on=box).distance.upper == pytest.approx(least, rel=1e-6)


def test_target_is_reached_and_is_no_nearer() -> None:
    graph = mlp(2, 10, 4, seed=2)
    x = torch.tensor([0.1, 0.4], dtype=torch.float64)
    free = min_adversarial(graph, x)
    met = []
    for target in {0, 1, 2, 3} - {free.label}:
        found = min_adversarial(graph, x, target=target, on=sg.Box.around(x, radius=10.0), budget=2.0)
        assert found.distance.lower >= free.distance.lower * (1 - 1e-6)
        if found.point is not None:
            met.append(found.distance.upper)
            assert int(graph(found.point[0][None]).argmax()) == target
            grid = on_grid(graph, x, 2, 1.2 * found.distance.upper, target)
            assert found.distance.upper <= grid * (1 + 1e-9)
    assert min(met) == pytest.approx(free.distance.upper, rel=1e-5)


def test_domain_restricts_and_may_hold_no_other_class() -> None:
    net = nn.Linear(2, 2)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[1.0, 1.0], [0.0, 0.0]]))
        net.bias.zero_()
    graph = traced(net, 2)
    x = torch.tensor([1.0, 0.5], dtype=torch.float64)
    zero, inf = torch.tensor([-0.25, -9.0]), torch.tensor([9.0, 9.0])
    assert min_adversarial(graph, x).distance.upper == pytest.approx(1.5 / math.sqrt(2))
    kept = min_adversarial(graph, x, on=sg.Box(zero, inf))
    assert kept.distance.upper == pytest.approx(1.5 / math.sqrt(2))
    fixed = min_adversarial(graph, x, on=sg.Box(torch.tensor([1.0, -9.0]), torch.tensor([1.0, 9.0])))
    assert fixed.distance.upper == pytest.approx(1.5)
    none = min_adversarial(graph, x, on=sg.Box(torch.tensor([0.1, 0.1]), torch.tensor([2.0, 2.0])))
    assert none.distance.kind == "exact"
    assert none.distance.lower == math.inf
    assert none.point is None


def test_softmax_and_several_kinds_of_switches_do_not_matter() -> None:
    torch.manual_seed(4)
    body = [nn.Linear(2, 8), nn.LeakyReLU(0.2), nn.Linear(8, 6), nn.Hardtanh(), nn.Linear(6, 3)]
    x = torch.tensor([0.2, 0.1], dtype=torch.float64)
    bare, soft = (
        min_adversarial(traced(nn.Sequential(*body, *end), 2), x, on=sg.Box.around(x, radius=20.0))
        for end in ([], [nn.Softmax(-1)])
    )
    assert bare.distance.upper == soft.distance.upper


@pytest.mark.slow
@pytest.mark.parametrize("norm", NORMS)
def test_both_ends_hold_when_stopped_early(norm: float) -> None:
    graph = mlp(2, 16, 16, 3, seed=7)
    x = torch.tensor([0.5, 0.1], dtype=torch.float64)
    exact = min_adversarial(graph, x, norm).distance.upper
    for limit in (1, 2, 5):
        found = min_adversarial(graph, x, norm, limit=limit, budget=0.5)
        assert found.distance.lower <= exact * (1 + 1e-9)
        assert exact <= found.distance.upper * (1 + 1e-6)
    nothing = min_adversarial(graph, x, norm, budget=0.0)
    assert nothing.distance.lower <= exact * (1 + 1e-9) <= nothing.distance.upper * (1 + 1e-6)
    assert "budget" in nothing.reason


@pytest.mark.slow
def test_interrupt_keeps_both_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = mlp(2, 16, 16, 3, seed=7)
    x = torch.tensor([0.5, 0.1], dtype=torch.float64)
    exact = min_adversarial(graph, x).distance.upper
    look = Search._look

    def interrupted(self: Search, *args: object) -> None:
        look(self, *args)  # type: ignore[arg-type]
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Search, "_look", interrupted)
    found = min_adversarial(graph, x)
    assert found.reason == "interrupted"
    assert found.cells == 1
    assert found.distance.lower <= exact * (1 + 1e-9) <= found.distance.upper * (1 + 1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("place", ["forms", "certificate"])
def test_interrupt_of_attack_or_certificate_keeps_both_ends(monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    graph = mlp(2, 16, 16, 3, seed=7)
    x = torch.tensor([0.5, 0.1], dtype=torch.float64)
    exact = min_adversarial(graph, x).distance.upper
    if place == "forms":
        forms = Goal.forms

        def interrupted(self: Goal, *args: object) -> object:
            signal.raise_signal(signal.SIGINT)
            return forms(self, *args)  # type: ignore[arg-type]

        monkeypatch.setattr(Goal, "forms", interrupted)
    else:
        monkeypatch.setattr(
            "splinegraph.analyses.lipschitz.lipschitz.rungs", lambda *_: signal.raise_signal(signal.SIGINT)
        )
    found = min_adversarial(graph, x, limit=1)
    assert found.reason == ("interrupted" if place == "forms" else "limit of 1 cells")
    assert not found.complete
    assert found.distance.lower <= exact * (1 + 1e-9) <= found.distance.upper * (1 + 1e-6)


def test_cells_too_thin_to_cross_leave_no_exact_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, x = mlp(2, 8, 8, 3), torch.tensor([1.0, -0.9], dtype=torch.float64)
    exact = min_adversarial(graph, x).distance.upper
    first = iter([False])
    monkeypatch.setattr("splinegraph.analyses.robustness.search.thin", lambda *_: [next(first, True)])
    monkeypatch.setattr(Goal, "attack", lambda *_: None)
    found = min_adversarial(graph, x, budget=1.0)
    assert found.distance.kind == "lower"
    assert found.distance.lower <= exact


@pytest.mark.parametrize("norm", NORMS)
def test_an_unsure_solver_leaves_no_exact_answer(monkeypatch: pytest.MonkeyPatch, norm: float) -> None:
    def weak(*args: object) -> tuple[float, float, object]:
        lower, upper, point = solve(*args)  # type: ignore[arg-type]
        return lower / 2, upper, point

    monkeypatch.setattr("splinegraph.analyses.robustness.search.solve", weak)
    x = torch.tensor([0.3, -0.2], dtype=torch.float64)
    found = min_adversarial(mlp(2, 4, 3, seed=1), x, norm, on=sg.Box.around(x, radius=9.0), budget=20.0)
    assert found.distance.kind == "bracket"
    assert found.distance.lower < found.distance.upper * 0.9
    assert "not confirmed" in found.reason


@pytest.mark.slow
@pytest.mark.parametrize("norm", NORMS)
def test_bounds_of_paper_corollary_1_on_a_dense_grid(norm: float) -> None:
    """Margin over constant, exact distance and a grid of .01: in this order, the last two a step apart."""
    graph = mlp(2, 8, 8, 3, seed=1)
    x = torch.tensor([0.3, -0.2], dtype=torch.float64)
    exact = min_adversarial(graph, x, norm).distance
    (proved,) = sg.certified_radius(graph, x, norm, budget=0.3)
    half = math.ceil(100 * exact.upper) + 5
    steps = 0.01 * torch.arange(-half, half + 1, dtype=torch.float64)
    offsets = torch.cartesian_prod(steps, steps)
    wrong = graph(x + offsets).argmax(1) != graph(x[None]).argmax()
    grid = float(torch.linalg.vector_norm(offsets[wrong], norm, dim=1).min())
    assert 0 < proved.radius <= exact.lower <= grid <= exact.upper + 0.05


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_rows_of_any_size_have_their_exact_distance(norm: float, scale: float) -> None:
    lower, upper, point = nearest(scale * np.array([[3.0, 4.0, 0.7]]), np.array([-10.0 * scale]), norm)
    assert lower == pytest.approx(10 / (math.hypot(3, 4, 0.7) if norm == 2 else 7.7), rel=1e-12)
    assert upper == pytest.approx(lower, rel=1e-12)
    assert float(np.linalg.norm(point, norm)) == upper


def test_planted_fault_of_skipped_cells_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = mlp(2, 8, 8, 3)
    x = torch.tensor([1.0, -0.9], dtype=torch.float64)
    exact = min_adversarial(graph, x).distance.upper
    monkeypatch.setattr(Search, "_cross", lambda *_: None)
    monkeypatch.setattr(Goal, "attack", lambda *_: None)
    assert min_adversarial(graph, x, budget=1.0).distance.upper > exact * 1.01


def test_smooth_networks_get_a_bracket_with_the_node_named() -> None:
    torch.manual_seed(0)
    graph = traced(nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 3)), 2)
    x = torch.tensor([0.3, 0.2], dtype=torch.float64)
    found = min_adversarial(graph, x, math.inf, budget=0.5)
    assert "Tanh is not piecewise affine" in found.reason
    assert 0 < found.distance.lower
    grid = on_grid(graph, x, math.inf, 1.2 * found.distance.upper)
    assert found.distance.lower <= grid
    assert found.distance.upper >= grid * 0.99 - 1e-3


def test_ties_and_wrong_labels_have_distance_zero() -> None:
    graph = traced(nn.Sequential(nn.Linear(2, 2, bias=False)), 2)
    tied = min_adversarial(graph, torch.zeros(2, dtype=torch.float64))
    assert tied.distance.upper == 0
    x = torch.tensor([1.0, 2.0], dtype=torch.float64)
    other = 1 - int(graph(x[None]).argmax())
    assert min_adversarial(graph, x, label=other).distance.upper == 0


def test_result_is_json_safe() -> None:
    import json

    found = min_adversarial(mlp(2, 4, 2), torch.tensor([0.5, 0.1]))
    assert isinstance(found, AdversarialDistance)
    assert json.loads(json.dumps(found.to_dict()))["label"] == found.label


def test_bad_input_is_told_in_one_line() -> None:
    graph, x = mlp(2, 4, 2), torch.tensor([0.5, 0.1])
    with pytest.raises(SplineGraphError, match=r"norm=1; give 2 or math\.inf"):
        min_adversarial(graph, x, 1)
    with pytest.raises(ShapeError, match="holds NaN"):
        min_adversarial(graph, torch.tensor([math.nan, 0.0]))
    with pytest.raises(ShapeError, match="expected"):
        min_adversarial(graph, torch.zeros(3))
    with pytest.raises(ShapeError, match="2 inputs; give one"):
        min_adversarial(graph, torch.zeros(2, 2))
    with pytest.raises(ShapeError, match="two or more classes"):
        min_adversarial(mlp(2, 4, 1), x)
    with pytest.raises(DomainError, match="outside of the domain"):
        min_adversarial(graph, x, on=sg.Box(torch.ones(2), 2 * torch.ones(2)))
    with pytest.raises(SplineGraphError, match="is the class of the input"):
        min_adversarial(graph, x, target=int(graph(x[None]).argmax()))
    with pytest.raises(ShapeError, match="classes are 0 to 1"):
        min_adversarial(graph, x, target=2)
