"""Exact values against Fractions worked out by hand, against floats, and at ties that floats cannot see."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from splinegraph.analyses.affine_map import affine_map
from splinegraph.core.exact import ExactGraph, dyadic, evaluate_exact
from splinegraph.core.graph import SplineGraph
from splinegraph.core.walk import walk
from splinegraph.errors import DomainError, ShapeError, SplineGraphError, UnsupportedOperatorError
from splinegraph.operators.comparison import Comparison
from splinegraph.tracers.tracing import trace
from tests import zoo

TINY = Fraction(1, 10**40)
"""Far below the spacing of floats near 1."""


def tuple_of(y: Any) -> tuple[Any, ...]:
    return y if isinstance(y, tuple) else (y,)


def function(f: Callable[[Tensor], Any], *shape: int) -> SplineGraph:
    return trace(zoo.Apply(f).double().eval(), torch.zeros(1, *shape, dtype=torch.float64))


def by_hand(net: nn.Sequential, x: list[Fraction]) -> list[Fraction]:
    """Run Linear, ReLU and LeakyReLU layers in Fractions."""
    for layer in net:
        if isinstance(layer, nn.Linear):
            weight = [[Fraction(w) for w in row] for row in layer.weight.tolist()]
            bias = [Fraction(b) for b in layer.bias.tolist()]
            x = [sum((w * v for w, v in zip(row, x, strict=True)), b) for row, b in zip(weight, bias, strict=True)]
        else:
            low = Fraction(getattr(layer, "negative_slope", 0))
            x = [v if v > 0 else low * v for v in x]
    return x


# tables of integers


def test_floats_become_integers_without_loss() -> None:
    values = torch.tensor([[0.1, -3.5, 0.0], [5e-324, 2.0**60, 1 / 3]], dtype=torch.float64)
    assert dyadic.dyadic(values).fractions() == [[Fraction(v) for v in row] for row in values.tolist()]
    assert dyadic.dyadic(torch.tensor([4.0, -0.25])).shift == 2


def test_infinite_weights_are_refused() -> None:
    with pytest.raises(SplineGraphError, match="infinity or NaN"):
        dyadic.dyadic(torch.tensor([1.0, float("nan")]))


@pytest.mark.parametrize("chunk", [1, 3, 2**19])
def test_sparse_products_are_those_of_fractions(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(dyadic, "CHUNK", chunk)
    generator = torch.Generator().manual_seed(1)
    A = torch.randn(5, 4, generator=generator, dtype=torch.float64)
    A[A.abs() < 0.7] = 0.0
    A[2] = 0.0
    x = torch.randn(4, 3, generator=generator, dtype=torch.float64)
    sparse = dyadic.Sparse.read(iter([(0, A.T[:1]), (1, A.T[1:])]), (5, 4))
    rows = [[Fraction(v) for v in row] for row in A.tolist()]
    columns = [[Fraction(v) for v in column] for column in x.T.tolist()]
    expected = [[sum(a * b for a, b in zip(row, column, strict=True)) for column in columns] for row in rows]
    assert (sparse @ dyadic.dyadic(x)).fractions() == expected
    back = sparse.transpose.transpose
    assert (back @ dyadic.dyadic(x)).fractions() == expected


# values


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_mlp_is_what_fractions_make_of_it(dtype: torch.dtype) -> None:
    torch.manual_seed(3)
    net = (
        nn.Sequential(nn.Linear(3, 6), nn.ReLU(), nn.Linear(6, 5), nn.LeakyReLU(0.1), nn.Linear(5, 2)).to(dtype).eval()
    )
    exact = ExactGraph(trace(net, torch.zeros(1, 3, dtype=dtype)))
    for x in ([Fraction(1, 3), Fraction(-7, 5), 2], [0.1, -0.2, 1e-300], [0, 0, 0]):
        assert exact.at(x).value.tolist() == by_hand(net, [Fraction(v) for v in x])


@pytest.mark.parametrize("name", zoo.EXACT)
def test_values_and_maps_are_those_of_floats(name: str) -> None:
    graph, xs = zoo.graph(name), zoo.inputs(name, 2)
    floats = tuple_of(graph(*xs))
    exact = ExactGraph(graph)
    for i in range(2):
        point = exact.at(*(x[i] for x in xs))
        for y, f in zip(tuple_of(point.value), floats, strict=True):
            assert np.allclose(y.astype(float), f[i].detach().numpy(), rtol=0, atol=1e-14)
        assert not point.boundary
    if len(graph.outputs) == 1:
        found, dense = point.affine_map(), affine_map(graph, *(x[1:] for x in xs)).dense()
        for A, B in zip(tuple_of(found.A), tuple_of(dense.A), strict=True):
            assert np.allclose(A.astype(float), B[0].detach().numpy(), rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", ["cnn", "residual", "rnn", "maximum", "topk", "single"])
def test_the_map_at_a_rational_point_gives_exactly_the_value(name: str) -> None:
    graph = zoo.graph(name)
    (shape,) = zoo.ZOO[name].shapes
    size = int(np.prod(shape))
    x = np.array([Fraction(5 * k % 13 - 6, 7) for k in range(size)], dtype=object)
    point = graph.exact_point(x.reshape(shape))
    A, b = point.affine_map()
    out = b.reshape(-1)
    assert (A.reshape(len(out), size).dot(x) + out).tolist() == point.value.reshape(-1).tolist()


def test_codes_are_those_of_floats_at_generic_points() -> None:
    graph, (x,) = zoo.graph("cnn"), zoo.inputs("cnn", 1)
    codes = graph.exact_point(x[0]).codes
    seen = {}

    def visit(node: Any, operator: Any, args: Any) -> Tensor:
        value, seen[node.name] = operator.switch(*args)
        return value

    walk(graph, (x,), visit)
    assert len(codes) == 3
    assert all(torch.equal(codes[name], seen[name].long()) for name in codes)


def test_a_continuous_function_has_no_jump_by_rounding() -> None:
    """min + (max - min) of floats is not always max."""
    low, high = -0.7, 0.1
    assert low + (high - low) != high
    graph = function(lambda x: x.clamp(low, high), 1)
    assert evaluate_exact(graph, [Fraction(high) + TINY]).tolist() == [Fraction(high)]
    assert evaluate_exact(graph, [Fraction(high) - TINY]).tolist() == [Fraction(high) - TINY]


# ties


def test_ties_go_left_and_to_the_lowest_place() -> None:
    graph = function(lambda x: torch.relu(x), 3)
    point = graph.exact_point([0, TINY, -TINY])
    assert point.codes["relu"].tolist() == [[0, 1, 0]]
    assert point.ties["relu"].tolist() == [[True, False, False]]
    pool = function(lambda x: nn.functional.max_pool1d(x[:, None], 3)[:, 0], 3)
    (code,) = pool.exact_point([1, 1 + TINY, 1 + TINY]).codes.values()
    assert code.item() == 1
    assert pool.exact_point([1, 1 + TINY, 1 + TINY]).boundary
    assert not pool.exact_point([1, 1 + TINY, 1 + 2 * TINY]).boundary


def test_a_thousandth_of_a_rounding_unit_decides() -> None:
    graph = function(lambda x: torch.relu(x[:, :1] - x[:, 1:]), 2)
    third = Fraction(1, 3)
    assert graph.evaluate_exact([third + TINY, third]).tolist() == [TINY]
    assert graph.exact_point([third, third]).boundary
    assert not graph.exact_point([third + TINY, third]).boundary


def test_what_does_not_bend_or_move_is_no_boundary() -> None:
    assert not function(lambda x: nn.functional.leaky_relu(x, 1.0), 1).exact_point([0]).boundary
    dead = function(lambda x: nn.functional.max_pool1d(torch.relu(x - 9)[:, None], 2)[:, 0], 2)
    assert not dead.exact_point([1, 2]).boundary
    assert dead.exact_point([9, 2]).boundary


def test_order_statistics_rank_exactly() -> None:
    graph = function(lambda x: x.sort(-1).values, 3)
    values = [1 + 2 * TINY, 1 + TINY, Fraction(1)]
    point = graph.exact_point(values)
    assert point.value.tolist() == sorted(values)
    assert next(iter(point.codes.values())).tolist() == [[2, 1, 0]]
    assert not point.boundary
    assert graph.exact_point([1, 1, 0]).boundary


def test_jumps_are_taken_on_their_own_side() -> None:
    shrink = function(lambda x: nn.functional.hardshrink(x, 0.5), 3)
    assert shrink.evaluate_exact([0.5, Fraction(1, 2) + TINY, -0.5]).tolist() == [0, Fraction(1, 2) + TINY, 0]
    steps = function(torch.round, 4)
    assert steps.evaluate_exact([0.5, Fraction(1, 2) + TINY, 1.5, Fraction(5, 2) - TINY]).tolist() == [0, 1, 2, 2]
    sign = function(torch.sign, 3)
    assert sign.evaluate_exact([0, TINY, -TINY]).tolist() == [0, 1, -1]


def test_choices_are_decided_exactly() -> None:
    level = 0.1
    graph = function(lambda x: torch.where(x > level, x, -x), 4)
    at = [Fraction(level), Fraction(level) + TINY, Fraction(level) - TINY, Fraction(1, 3)]
    assert graph.evaluate_exact(at).tolist() == [-at[0], at[1], -at[2], at[3]]
    least = function(lambda x: torch.where(x >= level, x, -x), 3)
    assert least.evaluate_exact(at[:3]).tolist() == [at[0], at[1], -at[2]]
    pair = function(lambda x: torch.where(x[:, :2] > x[:, 2:], x[:, :2], 0.0), 4)
    assert pair.evaluate_exact([1 + TINY, 5, 1, 5]).tolist() == [1 + TINY, 0]
    assert pair.exact_point([1 + TINY, 5, 1, 5]).boundary
    third = Fraction(1, 3)  # no float, and ties with itself; the others round to the same float
    assert pair.evaluate_exact([third + 2 * TINY, third, third + TINY, third]).tolist() == [third + 2 * TINY, 0]


def test_what_floats_cannot_decide_is_refused() -> None:
    level = 0.1
    levels = torch.tensor([level, np.nextafter(level, 1)], dtype=torch.float64)
    between = (Fraction(levels[0].item()) + Fraction(levels[1].item())) / 2
    graph = function(lambda x: torch.where(x == levels, x, 0.0), 2)
    assert any(isinstance(node.op, Comparison) for node in graph.operators)
    with pytest.raises(UnsupportedOperatorError, match="cannot be decided exactly at node"):
        graph.evaluate_exact([between, between])


# several inputs, and what does not fit


def test_several_inputs_and_outputs_come_as_tuples() -> None:
    graph = zoo.graph("two")
    first, second = graph.evaluate_exact([1, 2, Fraction(1, 3)], [0.5, -1])
    assert (first.shape, second.shape) == ((3,), (2, 2))
    A, b = graph.output(1).exact_point([1, 2, 3], [0.5, -1]).affine_map()
    assert [a.shape for a in A] == [(2, 2, 3), (2, 2, 2)]
    assert not A[0].any()
    assert (A[1].dot(np.array([Fraction(1, 2), -1], dtype=object)) + b).tolist() == second.tolist()
    with pytest.raises(ShapeError, match="2 outputs"):
        graph.exact_point([1, 2, 3], [0, 0]).affine_map()


def test_points_that_do_not_fit_are_refused() -> None:
    graph = zoo.graph("mlp")
    with pytest.raises(ShapeError, match="without the batch axis"):
        graph.evaluate_exact(torch.zeros(1, 3))
    with pytest.raises(ShapeError, match="takes 1 input"):
        graph.evaluate_exact([1, 2, 3], [1])
    with pytest.raises(DomainError, match="holds nan"):
        graph.evaluate_exact([1, 2, float("nan")])


def test_smooth_nodes_are_named() -> None:
    with pytest.raises(UnsupportedOperatorError, match=r"GELU has no exact rational values at node 'gelu'.*spline"):
        zoo.graph("gelu").evaluate_exact([1, 2, 3])
