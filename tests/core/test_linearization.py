"""The chain of pieces at a batch of points, on graphs made by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from splinegraph.core.algebra import LinearCombination
from splinegraph.core.graph import Input, Node, SplineGraph
from splinegraph.core.layout import BatchLayout
from splinegraph.core.linearization import TIE_TOLERANCE, Linearization, boundary, ties
from splinegraph.operators.elementwise import Abs, ReLU
from splinegraph.operators.linear import Linear
from splinegraph.operators.maximum import Maximum
from splinegraph.operators.shape import Permute
from splinegraph.operators.smooth_functions import Tanh

EPS = torch.finfo(torch.float64).eps


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


W, V = numbers(4, 3, seed=1), numbers(4, 2, seed=2)
ROOTS = (Node("x", Input(), shape=(1, 3)), Node("y", Input(), shape=(1, 2)))
BODY = (
    Node("wx", Linear(W), ("x",), (1, 4)), Node("vy", Linear(V), ("y",), (1, 4)), Node("relu", ReLU(), ("wx",), (1, 4)),
    Node("diff", LinearCombination((1.0, -1.0)), ("relu", "vy"), (1, 4)), Node("abs", Abs(), ("diff",), (1, 4)),
)  # fmt: skip
TWO = SplineGraph((*ROOTS, *BODY), ("x", "y"), ("abs", "vy"))
X, Y = numbers(5, 3, seed=3), numbers(5, 2, seed=4)


def line(operator: Any, *, shape: tuple[int, ...] = (1, 2), **options: Any) -> SplineGraph:
    """Return the graph of one operator."""
    return SplineGraph((Node("x", Input(), shape=shape), Node("f", operator, ("x",), shape, **options)), ("x",), ("f",))


def by_hand(x: Tensor, y: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Return ((d abs / d x, d abs / d y), (d vy / d x, d vy / d y)) for one sample."""
    on = (W @ x > 0).double()
    sign = torch.where(on * (W @ x) - V @ y > 0, 1.0, -1.0).double()
    return (sign[:, None] * on[:, None] * W, -sign[:, None] * V), (torch.zeros(4, 3).double(), V)


def test_the_pieces_are_those_of_every_operator() -> None:
    local = Linearization(TWO, (X, Y))
    assert set(local.pieces) == {"wx", "vy", "relu", "diff", "abs"}
    assert local.exact
    for mine, theirs in zip(local.value, TWO(X, Y), strict=True):
        assert torch.equal(mine, theirs)
    for mine, theirs in zip(local.apply(X, Y), TWO(X, Y), strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-14, atol=1e-14)


def test_tangents_and_adjoints_are_the_matrix_by_hand() -> None:
    local = Linearization(TWO, (X, Y))
    v, w = numbers(5, 3, seed=5), numbers(5, 2, seed=6)
    u, t = numbers(5, 4, seed=7), numbers(5, 4, seed=8)
    forward, back = local.tangent(v, w), local.adjoint(u, t)
    for i in range(5):
        matrices = by_hand(X[i], Y[i])
        for mine, (a, b) in zip(forward, matrices, strict=True):
            assert torch.allclose(mine[i], a @ v[i] + b @ w[i], rtol=1e-13, atol=1e-13)
        for k in range(2):
            expected = matrices[0][k].T @ u[i] + matrices[1][k].T @ t[i]
            assert torch.allclose(back[k][i], expected, rtol=1e-13, atol=1e-13)


def test_leading_axes_are_taken_together() -> None:
    local = Linearization(TWO, (X, Y))
    v, w, u = numbers(2, 6, 5, 3, seed=1), numbers(2, 6, 5, 2, seed=2), numbers(2, 6, 5, 4, seed=3)
    forward, back = local.tangent(v, w), local.adjoint(u, None)
    for i in range(2):
        for j in range(6):
            for mine, theirs in zip(forward, local.tangent(v[i, j], w[i, j]), strict=True):
                assert torch.allclose(mine[i, j], theirs, rtol=1e-14, atol=1e-14)
            for mine, theirs in zip(back, local.adjoint(u[i, j], None), strict=True):
                assert torch.allclose(mine[i, j], theirs, rtol=1e-14, atol=1e-14)


def test_an_output_may_be_left_out() -> None:
    local = Linearization(TWO, (X, Y))
    u = numbers(3, 5, 4)
    dx, dy = local.adjoint(None, u)
    assert dx.shape == (3, 5, 3)
    assert not dx.any()
    assert torch.allclose(dy, u @ V, rtol=1e-14, atol=1e-14)
    zero, nothing = local.adjoint(None, None)
    assert (zero.shape, nothing.shape) == (X.shape, Y.shape)
    assert not zero.any()


def test_one_smooth_operator_makes_a_tangent() -> None:
    local = Linearization(line(Tanh(), shape=(1, 3)), (X,))
    assert not local.exact
    assert torch.allclose(local.tangent(torch.ones_like(X))[0], 1 - X.tanh() ** 2, rtol=1e-14, atol=1e-14)
    assert torch.allclose(local.apply(X)[0], X.tanh(), rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("ulps", [0.0, 0.5, 2.0, 1e6])
def test_ties_are_decided_within_rounding(ulps: float) -> None:
    """Relative to the sample's largest argument: a sum of such terms is rounded by that much."""
    x = torch.tensor([[1.0, ulps * TIE_TOLERANCE * EPS], [100.0, ulps * TIE_TOLERANCE * EPS]], dtype=torch.float64)
    assert boundary(line(ReLU()), (x,)).tolist() == [ulps <= 1, ulps <= 100]


def test_each_sample_has_its_own_scale() -> None:
    x = torch.tensor([[1e12, 1.0], [1.0, 1e-4]], dtype=torch.float64)
    assert boundary(line(ReLU()), (x,)).tolist() == [False, False]
    infinite = torch.tensor([[torch.inf, 1.0], [torch.nan, 1.0]], dtype=torch.float64)
    assert boundary(line(ReLU()), (infinite,)).tolist() == [False, False]


def test_single_precision_has_wider_ties() -> None:
    x = torch.tensor([[1.0, 1e-7]])
    assert boundary(line(ReLU()), (x,)).tolist() == [True]
    assert boundary(line(ReLU()), (x.double(),)).tolist() == [False]


@pytest.mark.parametrize(
    ("shape", "to", "layout"),
    [
        ((4, 3, 2), (-2, -3, -1), BatchLayout(1)),
        ((4, 3, 2), (-2, -1, -3), BatchLayout(2)),
    ],
)
def test_flags_follow_the_batch_axis(shape: tuple[int, ...], to: tuple[int, ...], layout: BatchLayout) -> None:
    """Sample 2 of 4 has a zero; inside the graph the batch is another axis."""
    x = numbers(*shape)
    x[2, 1, 0] = 0
    moved = tuple(torch.empty(1, *shape[1:]).permute(*to).shape)
    nodes = (
        Node("x", Input(), shape=(1, *shape[1:])), Node("moved", Permute(to), ("x",), moved, layout),
        Node("f", ReLU(), ("moved",), moved, layout),
    )  # fmt: skip
    assert boundary(SplineGraph(nodes, ("x",), ("f",)), (x,)).tolist() == [False, False, True, False]


def test_tied_candidates_that_are_one_function_are_no_boundary() -> None:
    """max(z, z') ties everywhere where z = z'; it bends only where they differ as functions of the input."""
    for second, expected in ((W, False), (W.flip(1), True)):
        nodes = (
            ROOTS[0], Node("a", Linear(W), ("x",), (1, 4)), Node("b", Linear(second), ("x",), (1, 4)),
            Node("max", Maximum(), ("a", "b"), (1, 4)),
        )  # fmt: skip
        x = torch.tensor([[0.7, 0.2, 0.7]], dtype=torch.float64)  # a palindrome: W x = W.flip(1) x
        assert boundary(SplineGraph(nodes, ("x",), ("max",)), (x,)).tolist() == [expected]


def test_ties_are_told_per_operator() -> None:
    x, y = X.clone(), Y.clone()
    x[1] -= (W[2] @ x[1]) / (W[2] @ W[2]) * W[2]
    found = ties(TWO, (x, y))
    assert {name: flags.tolist() for name, flags in found.items()} == {
        "relu": [False, True, False, False, False],
        "abs": [False] * 5,
    }
    assert boundary(TWO, (x, y)).tolist() == [False, True, False, False, False]


def test_the_random_direction_does_not_matter() -> None:
    x = torch.tensor([[0.0, 1.0], [1.0, 2.0]], dtype=torch.float64)
    for seed in range(5):
        assert boundary(line(ReLU()), (x,), seed=seed).tolist() == [True, False]
