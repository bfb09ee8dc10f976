"""What is special to smooth operators: derivatives, constants, infinite ends, domains."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor

import splinegraph.operators.powers  # noqa: F401  # fills the table
from splinegraph.core.operator import Operator
from splinegraph.core.values import Box, Curvature, Monotonicity
from splinegraph.operators.registry import LOWERINGS, Value
from splinegraph.operators.smooth import (
    Exp,
    Expm1,
    Log,
    Log1p,
    Pow,
    Reciprocal,
    Rsqrt,
    SmoothElementwise,
    Sqrt,
    Square,
)
from splinegraph.operators.smooth_functions import (
    ELU,
    GELU,
    Atan,
    Cos,
    Erf,
    Hardswish,
    LogSigmoid,
    Mish,
    Sigmoid,
    SiLU,
    Sin,
    Softplus,
    Tanh,
)

INF = math.inf
SELU = ELU(1.6732632423543772848170429916717, 1.0507009873554804934193349852946)
WHOLE, POSITIVE = (-4.0, 4.0), (0.1, 4.0)

SMOOTH: list[tuple[Operator, tuple[float, float]]] = [
    *((op, WHOLE) for op in (Sigmoid(), Tanh(), Erf(), Atan(), GELU(), GELU("tanh"), Softplus())),
    (LogSigmoid(), WHOLE),
    (Softplus(5.0), WHOLE),
    *((op, (-6.0, 6.0)) for op in (SiLU(), Mish(), Hardswish())),
    *((op, WHOLE) for op in (ELU(), ELU(0.5), ELU(2.0), ELU(0.0), ELU(-1.5), SELU, ELU(2.0, 1.0, 0.5))),
    *((op, WHOLE) for op in (Exp(), Expm1(), Square(), Pow(3.0), Pow(4.0), Sin(), Cos())),
    *((op, POSITIVE) for op in (Log(), Sqrt(), Rsqrt(), Reciprocal(), Pow(2.5), Pow(0.75), Pow(-1.5))),
    (Reciprocal(), (-4.0, -0.1)), (Log1p(), (-0.9, 3.0)),
]  # fmt: skip

OPERATORS: list[Any] = [pytest.param(operator, span, id=operator.label) for operator, span in SMOOTH]


@pytest.mark.parametrize(("operator", "span"), OPERATORS)
def test_derivative_is_that_of_autograd_and_of_differences(operator: Any, span: tuple[float, float]) -> None:
    x = torch.linspace(*span, 1001, dtype=torch.float64)[1:-1].requires_grad_()
    (auto,) = torch.autograd.grad(operator.forward(x).sum(), x)
    h = 1e-5
    difference = (operator.forward(x + h) - operator.forward(x - h)) / (2 * h)
    away = torch.ones_like(x, dtype=torch.bool)
    for kink in getattr(getattr(operator, "profile", None), "kinks", ()):
        away &= (x - kink.at).abs() > 1e-3  # one-sided conventions differ there
    slope = operator.derivative(x)
    torch.testing.assert_close(slope[away], auto[away], rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(slope[away], difference[away], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("operator", "span"), OPERATORS)
def test_piece_takes_leading_axes_and_differentiates(operator: Operator, span: tuple[float, float]) -> None:
    x = torch.linspace(*span, 6, dtype=torch.float64).reshape(2, 3) + 1e-3
    y, piece = operator.value_and_piece(x)
    assert not piece.exact
    torch.testing.assert_close(piece.apply(x), y)
    v, u = torch.randn(4, 5, 2, 3, dtype=torch.float64), torch.randn(4, 5, 2, 3, dtype=torch.float64)
    slope = torch.func.jvp(operator.forward, (x,), (torch.ones_like(x),))[1]
    torch.testing.assert_close(piece.tangent(v), v * slope)
    torch.testing.assert_close(piece.adjoint(u)[0], u * slope)
    assert torch.autograd.gradcheck(lambda z: operator.linearize(z).tangent(v[0, 0]), (x.requires_grad_(),))


@pytest.mark.parametrize(("operator", "span"), OPERATORS)
def test_bounds_and_constants_are_attained(operator: Operator, span: tuple[float, float]) -> None:
    """Compare the facts of many boxes with a fine grid of each, kinks and extrema among its points."""
    ends = torch.linspace(*span, 14, dtype=torch.float64)
    pairs = torch.tensor(list(itertools.combinations(ends.tolist(), 2)), dtype=torch.float64)
    t = torch.linspace(0, 1, 4001, dtype=torch.float64)[:, None]
    grid = pairs[:, 0] * (1 - t) + pairs[:, 1] * t
    box = Box(pairs[:, 0], pairs[:, 1])
    y, (low, high) = operator.forward(grid), operator.bounds(box)
    assert (low <= y.amin(0) + 1e-12).all()
    assert (high >= y.amax(0) - 1e-12).all()
    # the grid misses a kink by up to a step
    torch.testing.assert_close(low, y.amin(0), rtol=1e-5, atol=2e-3)
    torch.testing.assert_close(high, y.amax(0), rtol=1e-5, atol=2e-3)
    quotients = ((y[1:] - y[:-1]) / (grid[1:] - grid[:-1])).abs().amax(0)
    for i in range(len(pairs)):
        constant = operator.lipschitz(2, on=[Box(pairs[i, 0], pairs[i, 1])])
        assert constant >= quotients[i] * (1 - 1e-9)
        assert constant == pytest.approx(float(quotients[i]), rel=2e-2, abs=1e-3)


@pytest.mark.parametrize(("operator", "span"), OPERATORS)
def test_curvature_and_direction_are_exact_on_boxes(operator: Any, span: tuple[float, float]) -> None:
    """What the second and first differences on a fine grid say is claimed, no more and no less."""
    ends = torch.linspace(*span, 14, dtype=torch.float64)
    pairs = torch.tensor(list(itertools.combinations(ends.tolist(), 2)), dtype=torch.float64)
    t = torch.linspace(0, 1, 1001, dtype=torch.float64)[:, None]
    y = operator.forward(pairs[:, 0] * (1 - t) + pairs[:, 1] * t)
    first, second = y.diff(dim=0), y.diff(n=2, dim=0)
    boxes = [Box(pairs[:, 0], pairs[:, 1])]
    noise = 1e-13 * (1 + y.abs().amax(0))
    for flags, differences, claims in (
        (operator.curvature(boxes), second, (Curvature.CONVEX, Curvature.CONCAVE)),
        (operator.monotonicity(0, boxes), first, (Monotonicity.NONDECREASING, Monotonicity.NONINCREASING)),
    ):
        up, down = (differences >= -noise).all(0), (differences <= noise).all(0)
        assert (up | ~claims[0].held_by(flags)).all()
        assert (down | ~claims[1].held_by(flags)).all()
        clear = differences.abs().amax(0) > 1e-8
        assert (claims[0].held_by(flags) == up)[clear].all()
        assert (claims[1].held_by(flags) == down)[clear].all()


def test_constants_of_the_table() -> None:
    table: list[tuple[Operator, float]] = [
        (ELU(), 1.0), (Tanh(), 1.0), (Softplus(), 1.0), (Sigmoid(), 0.25), (SELU, 1.758099),
        (GELU(), 1.128904), (SiLU(), 1.099839), (Mish(), 1.088498), (Hardswish(), 1.5),
        (Erf(), 2 / math.sqrt(math.pi)),
    ]  # fmt: skip
    for operator, constant in table:
        for norm in (1, 2, INF):
            assert operator.lipschitz(norm) == pytest.approx(constant, abs=1e-6), operator.label
        everywhere = [Box.everything((2, 3))]
        assert operator.lipschitz(on=everywhere) == pytest.approx(constant, abs=1e-6), operator.label
    for operator, least in ((GELU(), -0.129), (SiLU(), -0.0998), (Mish(), -0.1125)):
        turn = torch.tensor(operator.profile.inflections[0], dtype=torch.float64)
        assert float(operator.derivative(turn)) == pytest.approx(least, abs=1e-4)


@pytest.mark.parametrize("operator", [GELU(), GELU("tanh"), SiLU(), Mish()], ids=lambda op: op.label)
def test_turning_points_are_where_the_derivatives_vanish(operator: SmoothElementwise) -> None:
    h = 1e-4
    inflections, extrema = (
        torch.tensor(p, dtype=torch.float64) for p in (operator.profile.inflections, operator.profile.extrema)
    )
    second = (operator.derivative(inflections + h) - operator.derivative(inflections - h)) / (2 * h)
    assert second.abs().max() < 1e-8
    assert operator.derivative(extrema).abs().max() < 1e-15


@pytest.mark.parametrize(
    ("operator", "low", "high"),
    [
        (Sigmoid(), 0.0, 1.0), (Tanh(), -1.0, 1.0), (GELU(), -0.16997120747990, INF),
        (SiLU(), -0.27846454276107, INF), (Mish(), -0.30884341301725, INF), (Hardswish(), -0.375, INF),
        (ELU(2.0), -2.0, INF), (Softplus(), 0.0, INF), (LogSigmoid(), -INF, 0.0), (Exp(), 0.0, INF),
        (Square(), 0.0, INF), (Pow(3.0), -INF, INF), (Sin(), -1.0, 1.0), (Reciprocal(), -INF, INF),
        (Log(), -INF, INF), (Sqrt(), -INF, INF),
    ],
    ids=lambda p: p.label if isinstance(p, Operator) else "",
)  # fmt: skip
def test_infinite_boxes(operator: Operator, low: float, high: float) -> None:
    """The last three leave their domain: anything."""
    box = operator.bounds(Box.everything((2,)))
    expected = torch.tensor([low, low, high, high], dtype=torch.float64)
    torch.testing.assert_close(torch.cat(list(box)), expected, rtol=1e-12, atol=1e-12)


def test_half_lines() -> None:
    zero, inf = torch.zeros(1, dtype=torch.float64), torch.full((1,), INF, dtype=torch.float64)
    right, left = Box(zero, inf), Box(-inf, zero)
    assert [float(b) for b in GELU().bounds(left)] == pytest.approx([-0.16997120747990369, 0.0])
    assert [float(b) for b in Reciprocal().bounds(Box(zero, zero + 2))] == [0.5, INF]
    assert [float(b) for b in Reciprocal().bounds(Box(zero - 2, zero))] == [-INF, -0.5]
    assert [float(b) for b in Reciprocal().bounds(right)] == [0.0, INF]
    assert [float(b) for b in Log().bounds(right)] == [-INF, INF]
    assert [float(b) for b in Rsqrt().bounds(Box(zero, zero + 4))] == [0.5, INF]
    assert Sigmoid().lipschitz(on=[Box(zero + 3, inf)]) == pytest.approx(0.04517665973)
    assert Exp().lipschitz(on=[left]) == 1.0
    assert Exp().lipschitz() == Log().lipschitz() == Sqrt().lipschitz(on=[right]) == INF
    assert Log().lipschitz(on=[Box(zero + 0.5, inf)]) == 2.0
    assert Curvature.CONVEX.held_by(Reciprocal().curvature([right])).all()
    assert Curvature.CONCAVE.held_by(Reciprocal().curvature([left])).all()


def test_nothing_is_claimed_outside_the_domain() -> None:
    box = Box(torch.tensor([-1.0, 0.5]), torch.tensor([1.0, 1.0]))
    for operator in (Log(), Sqrt(), Rsqrt(), Reciprocal(), Pow(0.75), Pow(-1.5)):
        low, high = operator.bounds(box)
        assert low[0] == -INF
        assert high[0] == INF
        assert low[1].isfinite()
        assert high[1].isfinite()
        assert operator.lipschitz(on=[box]) == INF
        assert operator.curvature([box])[0] == operator.monotonicity(0, [box])[0] == 0
        assert operator.curvature([box])[1] != 0
    assert Reciprocal().curvature() == Reciprocal().monotonicity() == 0
    assert Curvature.CONCAVE.held_by(Log().curvature())


def test_kinks_of_hardswish_and_selu() -> None:
    def constant(operator: Operator, low: float, high: float) -> float:
        return operator.lipschitz(on=[Box(torch.tensor([low]), torch.tensor([high]))])

    assert constant(Hardswish(), 3.0, 4.0) == 1.0
    assert constant(Hardswish(), 2.0, 3.0) == 1.5
    assert constant(Hardswish(), -4.0, -3.0) == 0.0
    assert constant(Hardswish(), -4.0, -2.9) == pytest.approx(0.5)
    assert constant(SELU, 0.0, 1.0) == pytest.approx(1.0507009873554805)
    assert constant(SELU, -1.0, 0.0) == pytest.approx(1.7580993408473766)
    assert SELU.curvature() == Curvature.UNKNOWN
    assert ELU().curvature() == ELU(0.5).curvature() == Curvature.CONVEX


def test_softplus_steps_down_at_its_threshold() -> None:
    x = torch.tensor([20.0, 20.0 + 1e-12], dtype=torch.float64)
    step = Softplus().forward(x).diff().neg()
    assert 0 < float(step) < 2.1e-9


def test_powers_that_are_other_operators_are_refused() -> None:
    for exponent in (0.0, 1.0, -1.0, -2.0):
        with pytest.raises(ValueError, match="no node for the power"):
            Pow(exponent)


class FakeCall:
    """Runs what a lowering emits, on tensors."""

    shape, shapes, batch_axis, dtype = (1, 3), ((1, 3),), 0, torch.float64

    def __init__(self, target: str, x: Tensor) -> None:
        self.target, self.values = target, {"x": x}

    def emit(self, operator: Operator, *args: Value, shape: Any = None) -> Value:
        name = f"v{len(self.values)}"
        self.values[name] = operator.forward(*(self.values[a.name] for a in args))
        return Value(name, (1, 3))

    def opaque(self) -> str:
        return "opaque"


@pytest.mark.parametrize(
    ("target", "args"),
    [
        *((t, (0,)) for t in sorted(LOWERINGS) if t.split(".")[1] in {
            "atan", "celu", "cos", "elu", "erf", "erfc", "exp", "exp2", "expm1", "gelu", "hardswish", "log",
            "log10", "log1p", "log2", "log_sigmoid", "mish", "reciprocal", "rsqrt", "selu", "sigmoid", "silu",
            "sin", "softplus", "special_expit", "sqrt", "square", "tanh",
        }),
        *(("aten.pow.Tensor_Scalar", (0, p)) for p in (2, 0.5, -0.5, -1, 3, 4.0, 1.7, -2, 1)),
        ("aten.pow.Scalar", (2.5, 0)), ("aten.elu.default", (0, 1.5)), ("aten.softplus.default", (0, 3.0)),
        ("aten.celu.default", (0, 2.0)), ("aten.elu.default", (0, 1.5, 2.0, 0.5)),
    ],
)  # fmt: skip
def test_lowerings_equal_torch(target: str, args: tuple[Any, ...]) -> None:
    x = torch.tensor([[0.3, 1.1, 2.7]], dtype=torch.float64)
    place = 1 if target == "aten.pow.Scalar" else 0
    call = FakeCall(target, x)
    live = [Value("x", (1, 3)) if i == place else a for i, a in enumerate(args)]
    got = LOWERINGS[target](call, *live)
    packet, overload = target.split(".")[1:]
    want = getattr(getattr(torch.ops.aten, packet), overload)(*(x if i == place else a for i, a in enumerate(args)))
    torch.testing.assert_close(call.values[got.name], want, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize(
    ("target", "args"),
    [
        ("aten.softplus.default", (1.0, 1.0)), ("aten.softplus.default", (-1.0,)),
        ("aten.celu.default", (-1.0,)), ("aten.pow.Tensor_Scalar", (2j,)), ("aten.elu.default", (1.0, -1.0)),
    ],
)  # fmt: skip
def test_lowerings_refuse_what_has_no_facts(target: str, args: tuple[Any, ...]) -> None:
    call = FakeCall(target, torch.ones(1, 3))
    assert LOWERINGS[target](call, Value("x", (1, 3)), *args) == "opaque"
