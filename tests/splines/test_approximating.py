"""Best piecewise affine approximants: closed forms, certified bounds, optimality, shape, sides, bad input."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, ndtr

from splinegraph.errors import DomainError, SplineGraphError
from splinegraph.splines import PiecewiseAffine, Univariate, approximate
from splinegraph.splines.certifying import certify

INF = math.inf
LINE = (-INF, INF)
RISING = ((0.0, 0.0), (1.0, 0.0))
SILU_TURN = 2.3993572805154675

SQUARE = Univariate(lambda x: x * x, lambda x: 2 * x, values=(INF, INF), slopes=(-INF, INF))
EXP = Univariate(np.exp, np.exp, values=(0.0, INF), slopes=(0.0, INF))
SQRT = Univariate(
    np.sqrt, lambda x: 0.5 / np.sqrt(x), (), (2,), domain=(0.0, INF), values=(0.0, INF), slopes=(INF, 0.0)
)
LOG = Univariate(np.log, lambda x: 1 / x, (), (2,), (0.0, INF), (-INF, INF), (INF, 0.0))
SOFTPLUS = Univariate(lambda x: np.logaddexp(0, x), expit, values=(0.0, INF), slopes=(0.0, 1.0), asymptotes=RISING)
SIGMOID = Univariate(expit, lambda x: expit(x) * expit(-x), (0.0,), (1, 2), values=(0.0, 1.0), slopes=(0.0, 0.0))
TANH = Univariate(np.tanh, lambda x: 1 - np.tanh(x) ** 2, (0.0,), (1, 2), values=(-1.0, 1.0), slopes=(0.0, 0.0))
GELU = Univariate(
    lambda x: x * ndtr(x), lambda x: ndtr(x) + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi),
    (-math.sqrt(2), math.sqrt(2)), (2, 1, 2), values=(0.0, INF), slopes=(0.0, 1.0), asymptotes=RISING,
)  # fmt: skip
SILU = Univariate(
    lambda x: x * expit(x), lambda x: expit(x) * (1 + x * expit(-x)), (-SILU_TURN, SILU_TURN), (2, 1, 2),
    values=(0.0, INF), slopes=(0.0, 1.0), asymptotes=RISING,
)  # fmt: skip
ELU = Univariate(
    lambda x: np.where(x > 0, x, 2 * np.expm1(np.minimum(x, 0))), lambda x: np.where(x > 0, 1.0, 2 * np.exp(x)),
    (0.0,), (1, 3), values=(-2.0, INF), slopes=(0.0, 1.0), kinks=((0.0, 2.0, 1.0),), 
    asymptotes=((0.0, -2.0), (1.0, 0.0)),
)  # fmt: skip
HARDSWISH = Univariate(
    lambda x: x * np.clip(x / 6 + 0.5, 0, 1), lambda x: np.where(x <= -3, 0.0, np.where(x <= 3, x / 3 + 0.5, 1.0)),
    (-3.0, 3.0), (3, 1, 3), values=(0.0, INF), slopes=(0.0, 1.0), asymptotes=RISING,
    kinks=((-3.0, 0.0, -0.5), (3.0, 1.5, 1.0)),
)  # fmt: skip

CASES = [
    ("square", SQUARE, (-1.0, 2.0)), ("exp", EXP, (-INF, 1.0)), ("sqrt", SQRT, (0.0, 4.0)), 
    ("softplus", SOFTPLUS, LINE),
    ("sigmoid", SIGMOID, LINE), ("tanh", TANH, (-1.0, 4.0)), ("gelu", GELU, LINE), ("silu", SILU, (-3.0, INF)),
    ("elu", ELU, LINE), ("hardswish", HARDSWISH, LINE),
]  # fmt: skip


def _grid(p: PiecewiseAffine) -> np.ndarray:
    low, high = max(p.interval[0], -60.0), min(p.interval[1], 60.0)
    grids = [np.linspace(low, high, 20_001), np.linspace(-8, 8, 40_001).clip(low, high)]
    return np.concatenate([*grids, p.knots[(p.knots > low) & (p.knots < high)]])


@pytest.mark.parametrize("pieces", [1, 2, 5, 40])
def test_square_has_equal_pieces(pieces: int) -> None:
    p = approximate(SQUARE, (0.0, 1.0), pieces=pieces)
    assert p.pieces == pieces
    assert p.error == pytest.approx(1 / (8 * pieces**2), rel=1e-9)
    np.testing.assert_allclose(p.knots, np.arange(1, pieces) / pieces, atol=1e-8)


def test_softplus_on_the_line() -> None:
    two = approximate(SOFTPLUS, pieces=2)
    assert two.error == pytest.approx(math.log(2) / 2, rel=1e-9)
    np.testing.assert_allclose(two.knots, 0, atol=1e-9)  # a ReLU, shifted
    assert approximate(SOFTPLUS, pieces=65).error * 65**2 == pytest.approx(0.6289, abs=1e-4)


@pytest.mark.parametrize(("pieces", "scaled"), [(2, 0.743469), (64, 0.73813)])
def test_exp(pieces: int, scaled: float) -> None:
    assert approximate(EXP, (0.0, 2.0), pieces=pieces).error * pieces**2 == pytest.approx(scaled, abs=1e-5)


@pytest.mark.parametrize(
    ("function", "tol", "pieces"),
    [(SIGMOID, 1e-2, 7), (SIGMOID, 1e-3, 19), (SIGMOID, 1e-4, 61), (TANH, 1e-2, 9), (TANH, 1e-3, 27)],
)
def test_fewest_pieces_on_the_line(function: Univariate, tol: float, pieces: int) -> None:
    p = approximate(function, tol=tol)
    assert p.pieces == pieces
    assert p.error <= tol


@pytest.mark.slow
@pytest.mark.parametrize(("function", "most"), [(GELU, 1.14e-3), (SILU, 1.69e-3)], ids=["gelu", "silu"])
def test_activations_with_three_stretches(function: Univariate, most: float) -> None:
    p = approximate(function, (-8.0, 8.0), pieces=32)
    x = np.linspace(-8, 8, 20_001)
    steep = np.sqrt(np.abs(np.diff(function.slope(x))) * np.diff(x)).sum()  # of sqrt(abs(f''))
    assert p.error <= most
    assert p.error == pytest.approx(steep**2 / (16 * 32**2), rel=0.05)  # what very many pieces need


ONE_SIDED = [pytest.param(*c, side, id=f"{c[0]}-{side}", marks=[pytest.mark.slow] * (i > 4))
             for side in ("upper", "lower") for i, c in enumerate(CASES)]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "function", "interval", "side"),
    [*(pytest.param(*c, "minimax", id=c[0]) for c in CASES), *ONE_SIDED],
)
def test_bounds_hold_and_are_reached(name: str, function: Univariate, interval: tuple[float, float], side: str) -> None:
    p = approximate(function, interval, tol=2e-2, side=side)
    x = _grid(p)
    off = function(x) - p(x)
    assert p.below <= off.min()
    assert off.max() <= p.above
    assert p.error <= np.abs(off).max() * (1 + 1e-4)
    assert p.error <= 2e-2
    assert side != "upper" or p.above == 0
    assert side != "lower" or p.below == 0


@pytest.mark.parametrize(("name", "function", "interval"), CASES[:6], ids=[c[0] for c in CASES[:6]])
def test_bound_is_that_of_the_stationary_points(name: str, function: Univariate, interval: tuple[float, float]) -> None:
    """Within 1e-9 of what bounded minimisation finds on each piece."""
    p = approximate(function, interval, tol=1e-2)
    x = _grid(p)
    off = np.abs(function(x) - p(x))
    peak = float(x[off.argmax()])
    near = np.clip(np.linspace(peak - 1e-3, peak + 1e-3, 200_001), *np.clip(interval, -60, 60))
    assert p.error <= np.abs(function(near) - p(near)).max() * (1 + 1e-9)


def test_certificate_does_not_rest_on_the_root_finder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong tangent points may only loosen the bounds."""
    p = approximate(GELU, (-4.0, 4.0), tol=5e-2)
    monkeypatch.setattr("splinegraph.splines.certifying.slope_points", lambda f, s, a, b, sign: 0.3 * a + 0.7 * b)
    below, above = certify(GELU, p, (-4.0, 4.0))
    assert below <= p.below
    assert p.above <= above


def test_certificate_sees_a_moved_knot() -> None:
    p = approximate(TANH, (-3.0, 3.0), tol=1e-3)
    worse = replace(p, anchor=p.anchor + 1e-4)
    below, above = certify(TANH, worse, (-3.0, 3.0))
    assert (below, above) == pytest.approx((p.below - 1e-4, p.above - 1e-4), abs=1e-12)


@pytest.mark.parametrize(
    "pieces", [pytest.param(1, marks=pytest.mark.slow), 3, pytest.param(9, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize(("name", "function", "interval"), CASES, ids=[c[0] for c in CASES])
def test_quick_is_almost_the_best(name: str, function: Univariate, interval: tuple[float, float], pieces: int) -> None:
    if pieces == 1 and math.isinf(interval[0]):
        pieces = 2
    best = approximate(function, interval, pieces=pieces, precision=1e-6)
    p = approximate(function, interval, pieces=pieces, precision=0.01)
    assert p.pieces <= pieces
    assert best.error * (1 - 1e-6) <= p.error <= 1.01 * best.error
    assert (p.below, p.above) == pytest.approx(certify(function, p, interval), abs=1e-15)


@pytest.mark.parametrize("precision", [1e-10, 0.01])
def test_slow_tails(precision: float) -> None:
    """Ends that stand for infinity are very far away where a function nears its asymptote like 1 / x."""
    atan = Univariate(
        np.arctan, lambda x: 1 / (1 + x * x), (0.0,), (1, 2), values=(-math.pi / 2, math.pi / 2), slopes=(0.0, 0.0)
    )
    over = Univariate(lambda x: 1 / x, lambda x: -1 / x**2, domain=(0.0, INF), values=(INF, 0.0), slopes=(-INF, 0.0))
    assert approximate(atan, pieces=4, precision=precision).error == pytest.approx(0.2035, rel=0.01)

    assert approximate(over, (1.0, INF), pieces=4, precision=precision).error == pytest.approx(1 / 32, rel=0.01)


def test_not_a_number_inside() -> None:
    f = Univariate(lambda x: np.where(x < 1.5, x * x, np.nan), lambda x: np.where(x < 1.5, 2 * x, np.nan))
    with pytest.raises(SplineGraphError):
        approximate(f, (1.0, 2.0), pieces=2)


def test_convex_and_monotone_functions_stay_so() -> None:
    for precision in (1e-10, 0.01):
        p = approximate(EXP, (-2.0, 1.0), pieces=17, precision=precision)
        assert (np.diff(p.slopes) > 0).all()
    for function, interval in ((EXP, (-2.0, 1.0)), (SOFTPLUS, LINE), (SQUARE, (-1.0, 1.0))):
        assert (np.diff(approximate(function, interval, pieces=17).slopes) > 0).all()
    assert (approximate(SIGMOID, tol=3e-3).slopes >= 0).all()
    assert (approximate(SQRT, (0.0, 2.0), tol=1e-3).slopes > 0).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("function", "interval"),
    [(SIGMOID, (-4.0, 3.0)), (GELU, (-4.0, 2.0)), (HARDSWISH, (-5.0, 4.0)), (ELU, (-3.0, 2.0))],
)
@pytest.mark.parametrize("pieces", [2, 3, 4])
def test_nothing_better_is_found(function: Univariate, interval: tuple[float, float], pieces: int) -> None:
    """Minimise the error over knots and values, from the approximant and from other places."""
    p = approximate(function, interval, pieces=pieces)
    x = np.linspace(*interval, 2001)
    goal = function(x)

    def error(params: np.ndarray) -> float:
        inner = np.sort(np.clip(params[: pieces - 1], *interval))
        return float(np.abs(np.interp(x, [interval[0], *inner, interval[1]], params[pieces - 1 :]) - goal).max())

    rng = np.random.default_rng(0)
    knots = [np.resize(p.knots, pieces - 1), *(np.sort(rng.uniform(*interval, pieces - 1)) for _ in range(2))]
    for start in knots:
        values = function(np.array([interval[0], *start, interval[1]]))
        found = minimize(error, np.concatenate([start, values]), method="Nelder-Mead", options={"maxfev": 800})
        assert p.error <= found.fun * (1 + 1e-4)  # the grid misses a little


def test_many_pieces() -> None:
    p = approximate(EXP, (0.0, 2.0), pieces=1000)
    assert p.pieces == 1000
    assert p.error * 1e6 == pytest.approx((2 * (math.e - 1)) ** 2 / 16, rel=1e-4)


def test_affine_functions_need_one_piece() -> None:
    affine = Univariate(lambda x: 3 * x - 1, lambda x: np.full_like(x, 3.0), (), (3,))
    p = approximate(affine, (-2.0, 5.0), pieces=7)
    assert p.pieces == 1
    assert p.error < 1e-13


@pytest.mark.parametrize(
    ("function", "interval", "settings", "message"),
    [
        (SQUARE, LINE, {"pieces": 3}, "no asymptote at -inf"),
        (SQRT, (-1.0, 1.0), {"pieces": 3}, "leaves the domain"),
        (SQUARE, (1.0, 1.0), {"pieces": 3}, "is empty"),
        (LOG, (0.0, 1.0), {"pieces": 3}, "-inf at 0"),
        (SOFTPLUS, LINE, {"pieces": 1}, "asymptotes differ"),
        (EXP, (0.0, 1.0), {}, "either pieces or tol"),
        (EXP, (0.0, 1.0), {"pieces": 3, "tol": 0.1}, "either pieces or tol"),
        (EXP, (0.0, 1.0), {"tol": -1.0}, "positive"),
        (EXP, (0.0, 1.0), {"pieces": 2, "side": "left"}, "minimax, upper, lower"),
        (EXP, (0.0, 1.0), {"tol": 1e-7, "max_pieces": 50}, "more than 50 pieces"),
        (EXP, (0.0, 1.0), {"tol": 1e-17}, "rounded"),
    ],
)  # fmt: skip
def test_bad_input(
    function: Univariate, interval: tuple[float, float], settings: dict[str, object], message: str
) -> None:
    with pytest.raises(SplineGraphError, match=message):
        approximate(function, interval, **settings)


def test_facts_that_do_not_fit() -> None:
    with pytest.raises(DomainError, match="curvatures"):
        Univariate(np.exp, np.exp, (0.0,), (1,))


def test_an_interval_of_the_smallest_float() -> None:
    for pieces in (1, 3, 100):
        p = approximate(Univariate(np.arctan, lambda x: 1 / (1 + x * x), (0.0,), (1, 2)), (0.0, 5e-324), pieces=pieces)
        assert 0 <= p.error < 1e-300
