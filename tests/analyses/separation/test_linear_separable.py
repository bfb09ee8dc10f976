"""Linear separability: certificates are checked in rational arithmetic, decisions against theorems."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import splinegraph as sg
from splinegraph.analyses.regions.geometry.exact import exact_feasible
from splinegraph.analyses.separation.hyperplanes import proved_margin
from splinegraph.analyses.separation.linear import LinearDecision

XOR = np.array([[0.0, 0.0], [1.0, 1.0], [0.0, 1.0], [1.0, 0.0]])


def _separates(decision: LinearDecision, Z: np.ndarray, y: np.ndarray) -> bool:
    """Check a hyperplane with Fractions."""
    assert decision.weights is not None
    assert decision.bias is not None
    w, b = [Fraction(v) for v in decision.weights.tolist()], Fraction(decision.bias)
    for z, label in zip(Z.tolist(), y.tolist(), strict=True):
        if decision.negative is not None and label not in (decision.positive, decision.negative):
            continue
        height = sum((a * Fraction(v) for a, v in zip(w, z, strict=True)), b)
        if (height > 0) != (label == decision.positive) or height == 0:
            return False
    return True


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3), st.booleans()), min_size=2, max_size=9).filter(
        lambda rows: len({row[2] for row in rows}) == 2
    )
)
def test_small_cases_are_decided_as_in_rational_arithmetic(rows: list[tuple[int, int, bool]]) -> None:
    Z, y = np.array([row[:2] for row in rows], dtype=float), np.array([int(row[2]) for row in rows])
    signs = np.where(y == 0, -1.0, 1.0)[:, None] * np.column_stack([Z, np.ones(len(Z))])
    truth = bool(exact_feasible(-signs, [-1] * len(Z)))
    found = sg.linear_separable(Z, y)
    assert found.separable is truth
    if truth:
        assert _separates(found.decisions[0], Z, y)
        assert (found.decisions[0].margin or 0) > 0


def test_xor_is_refuted_by_the_meeting_of_both_diagonals() -> None:
    (decision,) = sg.linear_separable(XOR, [0, 0, 1, 1]).decisions
    assert (decision.status, decision.proof) == ("not separable", "overlapping hulls")
    assert decision.combination is not None
    np.testing.assert_allclose(decision.combination, 0.5)
    assert decision.gap is not None
    assert decision.gap < 1e-12


@pytest.mark.parametrize(("n", "d"), [(60, 3), (200, 30)])
def test_random_labels_in_few_dimensions(n: int, d: int) -> None:
    """By Cover's theorem the probability that random labels are separable is below 1e-6 here."""
    rng = np.random.default_rng(n)
    Z, y = rng.normal(size=(n, d)), rng.integers(0, 2, n)
    (decision,) = sg.linear_separable(Z, y).decisions
    assert decision.status == "not separable"
    assert decision.combination is not None
    for label in (0, 1):
        assert decision.combination[y == label].sum() == pytest.approx(1)
        assert (decision.combination[y == label] > 0).all()
    apart = decision.combination[y == 0] @ Z[y == 0] - decision.combination[y == 1] @ Z[y == 1]
    assert np.linalg.norm(apart) <= (decision.gap or 0) <= 1e-9


def test_points_in_general_position_are_separable_in_many_dimensions() -> None:
    rng = np.random.default_rng(1)
    Z, y = rng.normal(size=(20, 40)), np.arange(20) % 3
    for scheme in ("pairwise", "one-vs-rest"):
        found = sg.linear_separable(Z, y, scheme=scheme)
        assert found.separable
        assert len(found.decisions) == 3
        assert all(_separates(decision, Z, y) for decision in found.decisions)


def test_a_narrow_gap_is_found_or_left_undecided_but_never_wrong() -> None:
    base = np.linspace(0, 1, 30)
    for gap in (1e-3, 1e-9, 1e-13, 1e-15):
        Z = np.concatenate([np.column_stack([base, base]), np.column_stack([base, base + gap])])
        y = np.repeat([0, 1], 30)
        (decision,) = sg.linear_separable(Z, y).decisions
        truth = (Z[30:, 1] > Z[30:, 0]).all()
        assert decision.status == ("separable" if truth else "not separable") or decision.status == "undecided"
        if gap >= 1e-9:
            assert decision.status == "separable"
            assert decision.margin == pytest.approx(gap / 2 / np.sqrt(2), rel=1e-3)


def test_a_margin_is_not_claimed_within_rounding() -> None:
    points, sign = np.array([[1e16], [1e16 + 4]]), np.array([-1.0, 1.0])
    assert proved_margin(points, sign, np.array([1.0]), -1e16 - 2) <= 0
    assert proved_margin(np.array([[-1.0], [1.0]]), sign, np.array([2.0]), 0.0) == pytest.approx(1.0)


def test_shared_points_touching_hulls_and_dead_features() -> None:
    (shared,) = sg.linear_separable([[0.0], [1.0], [1.0], [2.0]], [0, 0, 1, 1]).decisions
    assert (shared.status, shared.proof, shared.gap) == ("not separable", "a point of both classes", 0.0)
    touching = np.array([[0.0, 0.0], [2.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
    assert sg.linear_separable(touching, [0, 0, 1, 1]).decisions[0].proof == "rational simplex"
    dead = np.column_stack([XOR, np.full(4, 7.0), np.zeros(4)])
    assert sg.linear_separable(dead, [0, 0, 1, 1]).separable is False
    assert sg.linear_separable(dead, [0, 1, 1, 1]).separable


def test_layers_of_a_network_that_solves_xor() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1)).double().eval()
    with torch.no_grad():
        net[0].weight.copy_(torch.ones(2, 2))
        net[0].bias.copy_(torch.tensor([0.0, -1.0]))
        net[2].weight.copy_(torch.tensor([[1.0, -2.0]]))
        net[2].bias.zero_()
    graph = sg.trace(net, torch.zeros(1, 2).double())
    found = sg.separable_layers(graph, torch.from_numpy(XOR), [0, 0, 1, 1])
    assert {name: layer.separable for name, layer in found.layers.items()} == {
        graph.inputs[0]: False,
        "relu": True,
        graph.outputs[0]: True,
    }
    assert found.first == "relu"
    assert len(found.plot().patches) == 9
    assert len(found.layers["relu"].plot().patches) == 1


class Pair(nn.Module):
    def forward(self, a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.relu(b), a + b


def test_all_inputs_and_outputs_are_layers() -> None:
    graph = sg.trace(Pair().eval(), (torch.zeros(1, 1), torch.zeros(1, 1)))
    a, b = torch.tensor([[0.0], [1.0], [0.0], [1.0]]), torch.tensor([[0.0], [0.0], [-1.0], [-1.0]])
    found = sg.separable_layers(graph, (a, b), [0, 0, 1, 1])
    told = [decided.separable for decided in found.layers.values()]
    assert (list(found.layers), told) == (["a", "b", "relu", "add"], [False, True, False, False])


def test_bad_points_are_refused() -> None:
    for Z, y, text in (
        ([[0.0], [np.nan]], [0, 1], "NaN"),
        ([[0.0], [1.0]], [1, 1], "one class"),
        ([[0.0], [1.0]], None, "no labels"),
        ([[0.0], [1.0]], [0, 1, 2], "one integer per sample"),
        ([0.0, 1.0], [0, 1], "one row of features"),
        ([[0.0], [1e200]], [0, 1], "up to 1e\\+200"),
        ([["a"], ["b"]], [0, 1], "give real numbers"),
        ([[0.0, 1.0], [1.0]], [0, 1], "no array"),
        (torch.tensor([[1j], [2j]]), [0, 1], "complex64; give real numbers"),  # the imaginary part is not dropped
    ):
        with pytest.raises(sg.SplineGraphError, match=text):
            sg.linear_separable(Z, y)
    with pytest.raises(sg.SplineGraphError, match="no scheme 'all'"):
        sg.linear_separable([[0.0], [1.0]], [0, 1], scheme="all")
