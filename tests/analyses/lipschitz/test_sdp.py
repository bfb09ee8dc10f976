"""The semidefinite bound: another solver, two methods of our own, tampered multipliers, deadlines, degenerate units."""

from __future__ import annotations

import itertools
import math
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import splinegraph as sg
from splinegraph.analyses.lipschitz.sdp.bounded import bounded
from splinegraph.analyses.lipschitz.sdp.descent import descend
from splinegraph.analyses.lipschitz.sdp.forms import Forms
from splinegraph.analyses.lipschitz.sdp.inequality import Inequality
from splinegraph.analyses.lipschitz.sdp.interior import solve
from splinegraph.analyses.lipschitz.sdp.starting import start
from splinegraph.analyses.lipschitz.taking_apart import units
from splinegraph.analyses.lipschitz.units import Block, Units


def inequality(net: nn.Module, *shape: int) -> Inequality:
    graph = sg.trace(net.double().eval(), torch.zeros(1, *shape, dtype=torch.float64))
    found = units(graph)
    assert found is not None
    return Inequality(found.reduced())


def layers(*widths: int, activation: type[nn.Module] = nn.ReLU, **options: float) -> Inequality:
    """Return the inequality of torch's own initialization in float32, seed 0, then cast."""
    torch.manual_seed(0)
    net: list[nn.Module] = []
    for n, m in itertools.pairwise(widths):
        net += [nn.Linear(n, m), activation(**options)]
    return inequality(nn.Sequential(*net[:-1]), widths[0])


def pooled() -> Inequality:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1), nn.LeakyReLU(0.2), nn.MaxPool2d(2), nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(12, 3),
    )  # fmt: skip
    return inequality(net, 1, 4, 4)


def drawn(seed: int) -> Units:
    """Return units with slopes of both signs that all see all values before them."""
    draw = np.random.default_rng(seed)
    n0, sizes = 2, (3, 2, 4)
    n = sum(sizes)
    stops = np.cumsum(sizes)
    blocks = tuple(Block(str(i), int(s - k), int(s)) for i, (s, k) in enumerate(zip(stops, sizes, strict=True)))
    forms = np.zeros((n0 + n, n))
    for block in blocks:
        known = n0 + block.start
        forms[:known, block.start : block.stop] = draw.standard_normal((known, block.stop - block.start))
    low = draw.uniform(-0.6, 0.5, n)
    outputs = draw.standard_normal((n0 + n, 2))
    return Units(forms, np.zeros(n), outputs, n0, low, low + draw.uniform(0.1, 0.6, n), np.full((2, n), np.nan), blocks)


def by_cvxpy(units: Units, solver: str = "CLARABEL", **options: float) -> float:
    """Return the smallest rho by a general solver, with the matrix as the literature writes it.

    Rows S of the units' differences and of what they see: S' [[-2 low high D, (low + high) D], [.., -2 D]] S is not
    negative for the network.
    """
    import cvxpy

    n0, n = units.inputs, units.count
    rho, T = cvxpy.Variable(nonneg=True), cvxpy.Variable(n, nonneg=True)
    seen, own = units.forms, np.concatenate([np.zeros((n0, n)), np.eye(n)])
    p, q = own - seen * units.low, own - seen * units.high
    half = p @ cvxpy.multiply(T[:, None], q.T)  # type: ignore[attr-defined]
    E0 = np.diag(np.r_[np.ones(n0), np.zeros(n)])
    M = rho * E0 + half + half.T - units.outputs @ units.outputs.T
    problem = cvxpy.Problem(cvxpy.Minimize(rho), [(M + M.T) / 2 >> 0])
    problem.solve(solver=solver, **options)  # type: ignore[no-untyped-call]
    assert rho.value is not None
    return float(rho.value)


def direct(units: Units, rho: float, T: np.ndarray) -> np.ndarray:
    """Return the matrix by its definition, one unit after the other."""
    M = np.diag(np.r_[np.full(units.inputs, rho), np.zeros(units.count)]) - units.outputs @ units.outputs.T
    for i in range(units.count):
        p, q = -units.low[i] * units.forms[:, i], -units.high[i] * units.forms[:, i]
        p[units.inputs + i] += 1
        q[units.inputs + i] += 1
        M += T[i] * (np.outer(p, q) + np.outer(q, p))
    return M


# the matrix


@pytest.mark.parametrize("seed", range(3))
def test_matrix_is_its_definition(seed: int) -> None:
    found = drawn(seed)
    T = np.random.default_rng(9).uniform(0.1, 2, found.count)
    np.testing.assert_allclose(Inequality(found).matrix(1.7, T), direct(found, 1.7, T), atol=1e-13)


@pytest.mark.parametrize("sparse", [False, True])
def test_products_of_forms_are_dense_ones(sparse: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if sparse:
        monkeypatch.setattr("splinegraph.analyses.lipschitz.sdp.forms.LARGE", 0)
        monkeypatch.setattr("splinegraph.analyses.lipschitz.sdp.forms.SPARSE", 1.0)
    found = pooled().units
    forms, draw = Forms(found), np.random.default_rng(0)
    X = draw.standard_normal((found.size, found.size))
    X += X.T
    weights, M = draw.standard_normal(found.count), X.copy()
    np.testing.assert_allclose(forms.seen(X), found.forms.T @ X, atol=1e-12)
    np.testing.assert_allclose(forms.symmetric(forms.seen(X)), found.forms.T @ X @ found.forms, atol=1e-12)
    forms.add_weighted(M, weights)
    np.testing.assert_allclose(M - X, (found.forms * weights) @ found.forms.T, atol=1e-12)


# the bound


@pytest.mark.parametrize(
    "found",
    [
        layers(2, 6, 5, 1), layers(3, 8, 4, 2, activation=nn.LeakyReLU, negative_slope=0.3),
        layers(3, 8, 4, 2, activation=nn.LeakyReLU, negative_slope=-0.5), Inequality(drawn(0)), Inequality(drawn(1)),
    ],
)  # fmt: skip
def test_meets_another_solver(found: Inequality) -> None:
    T = start(found)
    assert T is not None
    solved = solve(found, T)
    assert not solved.note
    assert solved.rho == pytest.approx(by_cvxpy(found.units), rel=2e-6)
    assert found.certified(solved.T) == pytest.approx(solved.rho, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("widths", [(2, 16, 16, 1), (10, 20, 15, 10, 3)])
def test_meets_another_solver_on_published_networks(widths: tuple[int, ...]) -> None:
    found = layers(*widths)
    solved = bounded(found, tol=1e-7)
    assert solved is not None
    assert solved.rho == pytest.approx(by_cvxpy(found.units), rel=2e-6)


@pytest.mark.parametrize("make", [lambda: layers(3, 8, 6, 2), pooled])
def test_first_order_and_interior_point_agree(make: object) -> None:
    assert callable(make)
    found = make()
    T = start(found)
    assert T is not None
    inside, first = solve(found, T), descend(found, T)
    assert (inside.method, first.method) == ("interior point", "first order")
    assert inside.rho * (1 - inside.gap - 1e-9) <= first.rho <= inside.rho * 1.02
    assert first.rho < found.least(T)[0]


@pytest.mark.parametrize("widths", [(4, 9, 2), (3, 8, 6, 5, 2)])
def test_start_is_no_worse_than_the_product_of_norms(widths: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    matrices = [nn.Linear(n, m).weight.detach().double() for n, m in itertools.pairwise(widths)]
    product = math.prod(float(torch.linalg.matrix_norm(W, 2)) for W in matrices)
    found = layers(*widths)
    T = start(found)
    assert T is not None
    assert found.least(T)[0] <= product**2 * (1 + 1e-4)


def test_start_follows_a_recurrent_network_through_time() -> None:
    """Multipliers fall by orders of magnitude from the first step to the last where states grow."""

    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.head = nn.RNN(2, 6, nonlinearity="relu", batch_first=True), nn.Linear(6, 2)
            for parameter in self.rnn.parameters():
                parameter.data *= 4

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            states, _ = self.rnn(x)
            out: torch.Tensor = self.head(states[:, -1])
            return out

    torch.manual_seed(0)
    found = inequality(Recurrent(), 8, 2)
    T = start(found)
    assert T is not None
    assert T[0] > 100 * T[-1]
    solved = solve(found, T)
    assert not solved.note
    assert solved.rho < 0.5 * found.least(T)[0]
    assert found.certified(solved.T) == pytest.approx(solved.rho, rel=1e-4)


# proofs


def test_tampered_multipliers_prove_nothing() -> None:
    found = layers(3, 8, 6, 2)
    solved = bounded(found)
    assert solved is not None
    rho = found.certified(solved.T)
    assert found.proved(rho, solved.T)
    assert not found.proved(rho * (1 - 1e-6), solved.T)
    for k in (0, 5, 13):
        T = solved.T.copy()
        T[k] *= 1.05
        assert not found.proved(rho, T)
        T[k] = -T[k]
        assert not found.proved(rho, T)
    assert not found.proved(math.nan, solved.T)
    assert not found.proved(rho, np.full_like(solved.T, math.nan))
    assert not found.proved(rho, np.full_like(solved.T, math.inf))


def test_a_zero_diagonal_left_by_cancellation_proves_nothing() -> None:
    """An input that the outputs see as much as rho allows is singular, not free."""
    one = Units(
        np.zeros((1, 0)), np.zeros(0), np.ones((1, 1)), 1, np.zeros(0), np.zeros(0), np.zeros((2, 0)), ()
    )  # fmt: skip
    assert not Inequality(one).proved(1.0, np.zeros(0))
    assert Inequality(one).certified(np.zeros(0)) == pytest.approx(1, rel=1e-6)


# deadlines


@pytest.mark.parametrize("seconds", [-1.0, 0.0, 0.02])
def test_a_deadline_leaves_valid_multipliers(seconds: float) -> None:
    found = pooled()
    at_start = start(found)
    assert at_start is not None
    solved = bounded(found, deadline=time.monotonic() + seconds)
    assert solved is not None
    assert solved.note or seconds > 0
    assert solved.rho <= found.least(at_start)[0]
    assert found.proved(found.certified(solved.T), solved.T)


def test_failing_steps_leave_valid_multipliers(monkeypatch: pytest.MonkeyPatch) -> None:
    found = layers(3, 8, 6, 2)
    monkeypatch.setattr("splinegraph.analyses.lipschitz.sdp.interior._newton", lambda *_: None)
    solved = bounded(found)
    assert solved is not None
    assert "failed" in solved.note
    assert math.isfinite(found.certified(solved.T))


# degenerate networks


def empty(n0: int, m: int) -> Units:
    return Units(np.zeros((n0, 0)), np.zeros(0), np.ones((n0, m)), n0, np.zeros(0), np.zeros(0), np.zeros((2, 0)), ())


@pytest.mark.parametrize("n0", [0, 3])
@pytest.mark.parametrize("m", [0, 2])
def test_networks_without_units(n0: int, m: int) -> None:
    solved = bounded(Inequality(empty(n0, m)))
    assert solved is not None
    assert solved.rho == pytest.approx(n0 * m)
    assert Inequality(empty(n0, m)).certified(solved.T) == pytest.approx(n0 * m, rel=1e-6)


@pytest.mark.parametrize("what", ["zero outputs", "dead", "duplicate", "opposite", "no inputs", "zero forms"])
def test_degenerate_units(what: str) -> None:
    found = layers(3, 8, 6, 2).units
    forms, outputs = found.forms.copy(), found.outputs.copy()
    if what == "zero outputs":
        outputs[:] = 0
    elif what == "dead":
        forms[found.inputs :, 8:][:4] = 0
        outputs[-2:] = 0
    elif what in ("duplicate", "opposite"):
        forms[:, 1] = forms[:, 0] if what == "duplicate" else -forms[:, 0]
    elif what == "zero forms":
        forms[:] = 0
    changed = replace(found, forms=forms, outputs=outputs)
    if what == "no inputs":
        changed = replace(found, forms=forms[3:], outputs=outputs[3:], inputs=0)
    inequality = Inequality(changed)
    solved = bounded(inequality)
    assert solved is not None
    rho = inequality.certified(solved.T)
    assert math.isfinite(rho)
    if what in ("zero outputs", "no inputs", "zero forms"):
        assert rho < 1e-6
    else:
        assert rho == pytest.approx(by_cvxpy(changed), rel=1e-5)
