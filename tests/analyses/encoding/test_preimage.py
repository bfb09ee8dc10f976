"""Preimages of code and amplitude: dimension by exact ranks, witnesses by evaluation, distances by cvxpy."""

from __future__ import annotations

import json

import cvxpy as cp
import numpy as np
import pytest
import torch
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.analyses.encoding.spectra import exact_rank, flat_rows, spectrum, spectrum_at
from splinegraph.core.graph import SplineGraph
from splinegraph.errors import DomainError, ShapeError, UnsupportedOperatorError
from tests import zoo

NETS = ["mlp", "plane", "cnn", "leaky", "relu6", "residual", "upsample", "maxout", "round", "single", "affine"]


def linear(weight: list[list[float]], *after: nn.Module) -> SplineGraph:
    layer = nn.Linear(len(weight[0]), len(weight), bias=False, dtype=torch.float64)
    layer.weight.data = torch.tensor(weight, dtype=torch.float64)
    return sg.trace(nn.Sequential(layer, *after).eval(), torch.zeros(1, len(weight[0]), dtype=torch.float64))


class Cancelling(nn.Module):
    """The first entry of the input, and rounding where large terms cancel."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleList(nn.Linear(6, 6, bias=False, dtype=torch.float64) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        a, b, c = (part(x) for part in self.parts)
        return 1e6 * (a + b - c - a - b + c) + nn.functional.pad(x[:, :1], (0, 5))


class Kinked(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.sum(-1, keepdim=True) + x.relu().sum(-1, keepdim=True)


@pytest.mark.parametrize("name", NETS)
def test_dimension_and_witness(name: str) -> None:
    graph, (x,) = zoo.graph(name), zoo.inputs(name, 2)
    for point in x:
        found, exact = sg.preimage(graph, point), sg.preimage(graph, point, exact=True)
        rank = exact_rank(graph, point)
        assert found.rank.contains(rank)
        assert found.numerical_rank == rank
        assert exact.dimension.kind == "exact"
        assert exact.dimension.lower == point.numel() - rank == len(exact.nullspace)
        assert exact.unique == (rank == point.numel())
        assert found.unique in (exact.unique, None)
        if exact.unique:
            continue
        other = exact.witness
        assert other is not None
        assert not torch.equal(other, point)
        pair = sg.encode(graph, torch.stack([point, other]))
        assert pair.distinct == 1
        torch.testing.assert_close(pair.amplitude[1], pair.amplitude[0])


def test_the_free_directions_are_an_orthonormal_basis_of_what_the_map_does_not_see() -> None:
    graph, (x,) = zoo.graph("cnn"), zoo.inputs("cnn", 1)
    found = sg.preimage(graph, x)
    basis = found.nullspace.reshape(len(found.nullspace), -1)
    torch.testing.assert_close(basis @ basis.T, torch.eye(70, dtype=torch.float64))
    moved = found.map.matvec(found.nullspace[:1])
    assert float(moved.abs().max()) < 1e-13
    v = torch.randn(2, *found.x.shape, dtype=torch.float64)
    torch.testing.assert_close(found.free(v).reshape(2, -1), v.reshape(2, -1) @ basis.T @ basis)
    torch.testing.assert_close(found.lift(torch.zeros(70)), found.x)


@pytest.mark.parametrize("name", ["mlp", "cnn", "residual", "relu6", "affine", "abs"])
def test_the_nearest_point_is_that_of_a_quadratic_program(name: str) -> None:
    graph, (x,) = zoo.graph(name), zoo.inputs(name, 1)
    found = sg.preimage(graph, x)
    y = torch.randn(found.x.shape, dtype=torch.float64) + 1
    near = found.nearest(y)
    u = cp.Variable(found.x.numel())
    A = found.map.dense().A.reshape(-1, found.x.numel()).numpy()
    within = [A @ u == A @ found.x.reshape(-1).numpy()]
    if found.cell.total:
        G, h = found.cell.conditions()
        within.append(G.numpy() @ u <= h.numpy())
    cp.Problem(cp.Minimize(cp.sum_squares(u - y.reshape(-1).numpy())), within).solve(solver=cp.CLARABEL)
    assert near.distance.kind == "exact"
    assert near.distance.upper == pytest.approx(float(np.linalg.norm(u.value - y.reshape(-1).numpy())), rel=1e-6)
    assert float((near.point - y).norm()) == near.distance.upper
    assert np.abs(near.point.reshape(-1).numpy() - u.value).max() < 1e-4


def test_rounds_that_end_early_leave_a_bracket(monkeypatch: pytest.MonkeyPatch) -> None:
    found = sg.preimage(zoo.graph("cnn"), *zoo.inputs("cnn", 1))
    y = 1 + 3 * torch.randn(found.x.shape, dtype=torch.float64)
    exact = found.nearest(y).distance
    monkeypatch.setattr("splinegraph.analyses.encoding.slices.ROUNDS", 1)
    near = found.nearest(y)
    assert near.distance.kind == "bracket"
    assert near.distance.lower <= exact.lower <= near.distance.upper
    assert torch.equal(near.point, found.x)


def test_ranges_of_a_segment() -> None:
    graph, (x,) = zoo.graph("plane"), zoo.inputs("plane", 1)
    found = sg.preimage(graph, x)
    (way,) = found.nullspace
    ends = torch.stack([found.x - found.cell.along(-way) * way, found.x + found.cell.along(way) * way])
    expected = torch.stack([ends.amin(0), ends.amax(0)], 1)
    torch.testing.assert_close(found.ranges(), expected, rtol=1e-7, atol=1e-7)
    assert bool(found.polytope.contains(torch.zeros(1, 1, dtype=torch.float64)).all())
    beyond = found.x + 2 * found.cell.along(way) * way  # A does not see the difference, but the code is another
    assert found.contains(torch.stack([found.x, ends.mean(0), beyond])).tolist() == [True, True, False]


def test_conditions_that_hold_with_equality_may_leave_one_input() -> None:
    graph = sg.trace(Kinked().eval(), torch.zeros(1, 2, dtype=torch.float64))
    found = sg.preimage(graph, torch.zeros(2), exact=True)
    assert (found.rank.upper, found.unique) == (1, True)
    assert sg.preimage(graph, torch.zeros(2)).unique is None  # rounding could hide a little room
    free = sg.preimage(graph, torch.tensor([0.0, -1.0]), exact=True)
    assert free.cell.tied
    assert free.unique is False
    assert free.witness is not None


def test_a_dead_network_forgets_all() -> None:
    found = sg.preimage(linear([[0.0, 0.0]], nn.ReLU()), torch.ones(2))
    assert found.dimension.upper == 2
    assert found.unique is False
    assert found.ranges().isinf().all()


def test_rank_within_rounding_is_not_known() -> None:
    graph = linear([[1.0, 0.0], [0.0, 1e-17]])
    found = sg.preimage(graph, torch.ones(2))
    assert found.unique is None
    assert (found.rank.lower, found.rank.upper) == (1, 2)
    assert sg.preimage(graph, torch.ones(2), exact=True).unique is True
    near = linear([[1.0, 0.0], [0.0, 2e-15]])
    assert sg.preimage(near, torch.ones(2)).numerical_rank is None
    assert sg.preimage(linear([[1.0, 0.0], [0.0, 1e-3]]), torch.ones(2)).unique is True
    assert spectrum(torch.zeros(3, 2, dtype=torch.float64), 1).rank == 0


def test_what_large_terms_leave_is_rounding() -> None:
    graph = sg.trace(Cancelling().eval(), torch.zeros(1, 6, dtype=torch.float64))
    local = sg.affine_map(graph, torch.ones(1, 6))
    found, alone = spectrum_at(local), spectrum(flat_rows(local)[0], len(graph))
    assert found.rank == exact_rank(graph, torch.ones(6)) == 1
    assert found.tolerance > 1e-11 > alone.tolerance


def test_a_single_input_has_ranges_of_no_width() -> None:
    graph, (x,) = zoo.graph("abs"), zoo.inputs("abs", 1)
    found = sg.preimage(graph, x)
    torch.testing.assert_close(found.ranges(), torch.stack([x[0], x[0]], 1))
    with pytest.raises(DomainError, match="single point"):
        _ = found.polytope
    assert json.dumps(found.to_dict(), allow_nan=False)
    assert repr(found) == "<Preimage: one input, A leaves 0 of 3 dimensions free>"


def test_float32_networks() -> None:
    net = nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3)).eval()
    found = sg.preimage(sg.trace(net, torch.zeros(1, 5)), torch.randn(5))
    assert found.unique is False
    assert found.dimension.lower == 2


def test_refusals() -> None:
    with pytest.raises(UnsupportedOperatorError, match=r"not piecewise affine.*sg\.spline"):
        sg.preimage(zoo.graph("gelu"), zoo.inputs("gelu", 1)[0])
    with pytest.raises(ShapeError, match=r"one input and one output.*has 2 and 2"):
        sg.preimage(zoo.graph("two"), torch.zeros(1, 3))
    with pytest.raises(ShapeError, match="2 samples"):
        sg.preimage(zoo.graph("mlp"), torch.zeros(2, 3))
    with pytest.raises(ShapeError, match="give finite numbers"):
        sg.preimage(zoo.graph("mlp"), torch.zeros(3)).nearest(torch.zeros(4))
