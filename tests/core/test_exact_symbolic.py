"""Expressions of small graphs: exactly the network at rational points, and as numpy functions at others."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy
import torch
from torch import Tensor, nn

from splinegraph.core.exact import evaluate_exact
from splinegraph.core.graph import SplineGraph
from splinegraph.errors import SplineGraphError, UnsupportedOperatorError
from splinegraph.operators.smooth import DifferentiableElementwise
from splinegraph.testing.sample import Sample
from splinegraph.tracers.tracing import trace
from tests import zoo
from tests.operators.samples_smooth import SMOOTH

POINTS = [Fraction(-7, 3), Fraction(-1, 2), Fraction(0), Fraction(1, 7), Fraction(9, 4)]


def function(f: Callable[[Tensor], Tensor], *shape: int) -> SplineGraph:
    return trace(zoo.Apply(f).double().eval(), torch.zeros(1, *shape, dtype=torch.float64))


UNIVARIATE: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "relu": (torch.relu, "Max(0, x0)"),
    "abs": (torch.abs, "Abs(x0)"),
    "leaky": (lambda x: nn.functional.leaky_relu(x, 0.25), "Max(x0/4, x0)"),
    "folded": (lambda x: nn.functional.leaky_relu(x, 2.0), "Min(x0, 2*x0)"),
    "clamp": (lambda x: x.clamp(-1, 2), "Min(2, Max(-1, x0))"),
    "clamp from above": (lambda x: x.clamp(max=2), "Min(2, x0)"),
    "softshrink": (lambda x: nn.functional.softshrink(x, 0.5), "Max(x0 - 1/2, Min(0, x0 + 1/2))"),
    "zigzag": (lambda x: x - 2 * torch.relu(x) + 3 * torch.relu(x - 1), ""),
    "hardshrink": (nn.functional.hardshrink, "Piecewise((x0, x0 < -1/2), (0, x0 <= 1/2), (x0, True))"),
    "sign": (torch.sign, "Piecewise((-1, x0 < 0), (0, x0 <= 0), (1, True))"),
    "where": (lambda x: torch.where(x >= 0.5, x, -x), ""),
    "constant": (lambda x: torch.relu(0 * x - 3) + 1, "1"),
}  # fmt: skip


@pytest.mark.parametrize("name", UNIVARIATE)
def test_one_dimension_exactly(name: str) -> None:
    f, text = UNIVARIATE[name]
    graph = function(f, 1)
    found = graph.to_sympy()
    (x,) = found.symbols
    assert text in ("", str(found[0]))
    for t in POINTS:
        (value,) = evaluate_exact(graph, [t])
        assert found[0].subs(x, sympy.Rational(t.numerator, t.denominator)) == sympy.Rational(*value.as_integer_ratio())


@pytest.mark.parametrize("name", ["plane", "widening"])
def test_two_dimensions_exactly(name: str) -> None:
    graph = zoo.graph(name)
    found = graph.to_sympy()
    assert [str(s) for s in found.symbols] == ["x0", "x1"]
    for point in ([Fraction(1, 3), Fraction(-5, 7)], [Fraction(-2), Fraction(11, 6)]):
        at = dict(zip(found.symbols, (sympy.Rational(*v.as_integer_ratio()) for v in point), strict=True))
        values = evaluate_exact(graph, point).tolist()
        assert [e.subs(at) for e in found] == [sympy.Rational(*v.as_integer_ratio()) for v in values]


QUICK = ["leaky", "abs", "clamp", "line", "maxout", "maximum", "groupsort", "topk", "two", "sign", "gelu", "mixed"]
LONG = [pytest.param(name, marks=pytest.mark.slow) for name in ("hardtanh", "prelu", "rnn", "heads", "gru")]


@pytest.mark.parametrize("name", [*QUICK, *LONG])
def test_numpy_functions_are_the_network(name: str) -> None:
    graph, xs = zoo.graph(name), zoo.inputs(name, 3)
    found = graph.to_sympy().lambdify()
    outputs = graph(*xs)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    expected = torch.cat([y.detach().reshape(3, -1) for y in outputs], 1).numpy()
    for i in range(3):
        values = found(*(v for x in xs for v in x[i].reshape(-1).tolist()))
        assert np.allclose(np.array(values, dtype=float), expected[i], rtol=0, atol=1e-13)


def test_a_median_is_a_maximum_of_minima() -> None:
    graph = function(lambda x: x.sort(-1, descending=True).values[:, 1:2], 3)
    (found,) = graph.to_sympy()
    assert str(found) == "Max(Min(x0, x1), Min(x0, x2), Min(x1, x2))"


SAMPLES = [s for s in SMOOTH if isinstance(s.operator, DifferentiableElementwise)]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.operator.label)
def test_formulas_of_smooth_operators(sample: Sample) -> None:
    """Every one has a formula, whose values are those of torch, to 30 digits before rounding."""
    operator = sample.operator
    assert isinstance(operator, DifferentiableElementwise)
    low, high = operator.profile.domain if hasattr(operator, "profile") else (-3.0, 3.0)
    x = torch.linspace(max(low, -3.0), min(high, 3.0), 8, dtype=torch.float64)[1:-1]
    symbol = sympy.Symbol("t", real=True)
    (formula,) = operator.symbolic(np.array([symbol], dtype=object))
    exactly = sympy.lambdify(symbol, formula, "mpmath")
    with mpmath.workdps(30):
        for t, y in zip(x.tolist(), operator.forward(x).tolist(), strict=True):
            assert abs(float(exactly(mpmath.mpf(t))) - y) <= 1e-12 * max(1, abs(y))


def test_normalizers_are_the_formulas_that_one_knows() -> None:
    soft = function(lambda x: x.softmax(-1), 2).to_sympy()
    x0, x1 = soft.symbols
    assert soft[0] == sympy.exp(x0) / (sympy.exp(x0) + sympy.exp(x1))
    logs = function(lambda x: x.log_softmax(-1), 2).to_sympy()
    assert logs[1] == logs.symbols[1] - sympy.log(sympy.exp(x0) + sympy.exp(x1))
    (total,) = function(lambda x: x.logsumexp(-1, keepdim=True), 2).to_sympy()
    assert total == sympy.log(sympy.exp(x0) + sympy.exp(x1))
    layer = function(lambda x: nn.functional.layer_norm(x, (3,)), 3)
    values = layer.to_sympy().lambdify()(0.3, -1.0, 2.0)
    assert np.allclose(values, layer(torch.tensor([[0.3, -1.0, 2.0]], dtype=torch.float64)).numpy()[0])


def test_long_expressions_and_strange_nodes_are_refused() -> None:
    with pytest.raises(SplineGraphError, match=r"too long to be written out at node .*exact_point"):
        zoo.graph("mlp").to_sympy(limit=200)
    with pytest.raises(
        SplineGraphError, match="too large to be written out: it has 130 parameters and values, limit=50"
    ):
        zoo.graph("mlp").to_sympy(limit=50)
    with pytest.raises(UnsupportedOperatorError, match="Round has no symbolic form at node"):
        zoo.graph("round").to_sympy()
    with pytest.raises(SplineGraphError, match="has no short formula"):
        function(lambda x: x.sort(-1).values, 20).to_sympy()
