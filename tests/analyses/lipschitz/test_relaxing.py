"""Levels and Jacobians on domains lie within their bounds, which are exact where theory says so."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.analyses.lipschitz.domain import Domain
from splinegraph.analyses.lipschitz.jacobians import matrices, norms
from splinegraph.analyses.lipschitz.relaxing import levels as levels_module
from splinegraph.analyses.lipschitz.relaxing.jacobian import jacobian_bounds
from splinegraph.analyses.lipschitz.relaxing.levels import levels
from splinegraph.analyses.lipschitz.relaxing.lines import Lines, curved, kinked
from splinegraph.analyses.lipschitz.relaxing.tightening import jacobian_on, tightened
from splinegraph.analyses.lipschitz.taking_apart import units
from splinegraph.analyses.lipschitz.units import Units
from tests.analyses.lipschitz.test_units import Compared, Mixed
from tests.marks import few_rows

NORMS = (1, 2, math.inf)


class Smooth(nn.Module):
    """Batch norm, a skip, average pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
        self.norm, self.head = nn.BatchNorm2d(3), nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = nn.functional.gelu(self.norm(self.first(x)))
        y = nn.functional.avg_pool2d(y + torch.tanh(self.second(y)), 2)
        head: Tensor = self.head(y.flatten(1))
        return head


def mlp(activation: Callable[[], nn.Module], *widths: int) -> nn.Module:
    layers: list[nn.Module] = []
    for n, m in itertools.pairwise(widths):
        layers += [nn.Linear(n, m), activation()]
    return nn.Sequential(*layers[:-1])


CASES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "relu": (lambda: mlp(nn.ReLU, 3, 12, 12, 3), (3,)),
    "leaky": (lambda: mlp(lambda: nn.LeakyReLU(-1.5), 3, 12, 12, 2), (3,)),
    "hardtanh": (lambda: mlp(nn.Hardtanh, 3, 12, 12, 2), (3,)),
    "tanh": (lambda: mlp(nn.Tanh, 3, 12, 12, 2), (3,)),
    "gelu": (lambda: mlp(nn.GELU, 3, 12, 12, 2), (3,)),
    "max pooling": (Mixed, (1, 4, 4)),
    "comparisons": (Compared, (3,)),
    "average pooling": (Smooth, (1, 4, 4)),
}


@functools.cache
def case(name: str) -> tuple[sg.SplineGraph, tuple[int, ...]]:
    torch.manual_seed(1)
    make, shape = CASES[name]
    return sg.trace(make().double().eval(), torch.zeros(1, *shape, dtype=torch.float64)), shape


def around(shape: tuple[int, ...], kind: str, radius: float) -> sg.Box | sg.Ball:
    center = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    if kind == "fixed":
        sides = torch.full(shape, radius, dtype=torch.float64)
        sides.view(-1)[0] = 0.0
        return sg.Box(center - sides, center + sides)
    return sg.Ball(center, radius) if kind == "ball" else sg.Box.around(center, radius=radius)


def taken_apart(graph: sg.SplineGraph, on: sg.Box | sg.Ball) -> tuple[Units, Domain]:
    domain = Domain.of(graph, on)
    found = units(graph, domain.intervals(graph))
    assert found is not None
    return found, domain


def points(on: sg.Box | sg.Ball, count: int) -> Tensor:
    """Return random points, half of them on the boundary or in a corner."""
    draw = torch.Generator().manual_seed(3)
    x = on.sample(count, generator=draw)
    some = x[: count // 2]
    if isinstance(on, sg.Ball):
        x[: count // 2] = on.nearest(on.center + 1e3 * (some - on.center))
    else:
        x[: count // 2] = torch.where(some < (on.lower + on.upper) / 2, on.lower, on.upper)
    return x


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("kind", "radius"), few_rows([("box", 2.0), ("ball", 0.5), ("fixed", 0.5)], 2))
def test_levels_and_jacobians_are_within(name: str, kind: str, radius: float) -> None:
    graph, shape = case(name)
    on = around(shape, kind, radius)
    found, domain = taken_apart(graph, on)
    x = points(on, 120)
    bounds = levels(found, domain)
    seen, slope = found.levels(x.flatten(1).numpy())
    assert (seen >= bounds.low).all()
    assert (seen <= bounds.high).all()
    inside = (seen > bounds.low) & (seen < bounds.high)
    assert (slope >= bounds.least - 1e-12)[inside].all()
    assert (slope <= bounds.most + 1e-12)[inside].all()
    A, boundary = matrices(graph, x[-60:])
    A = A if domain.free is None else A[:, :, domain.free]
    for norm in NORMS:
        jacobian = jacobian_on(found, domain, norm)
        assert (A.numpy() >= jacobian.low - 1e-12).all()
        assert (A.numpy() <= jacobian.high + 1e-12).all()
        value = jacobian.norm(norm)
        assert value >= float(norms(A, norm)[~boundary].max()) * (1 - 1e-12)
        # products put in place are no looser than intervals
        assert value <= jacobian_on(found, domain, norm, work=0).norm(norm) * (1 + 1e-9)


def test_an_unsound_line_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def low(*args: np.ndarray) -> Lines:
        lines = kinked(*args)
        return Lines(lines.below, lines.bottom, lines.above, 0.7 * lines.top, lines.low, lines.high)

    monkeypatch.setattr(levels_module, "kinked", low)
    with pytest.raises(AssertionError):
        test_levels_and_jacobians_are_within("relu", "box", 2.0)


@pytest.mark.parametrize("kind", ["box", "ball"])
def test_levels_of_the_first_block_are_exact(kind: str) -> None:
    graph, shape = case("relu")
    found, domain = taken_apart(graph, around(shape, kind, 2.0))
    bounds, part = levels(found, domain), found.blocks[0].part
    w, c = found.forms[:3, part], found.offsets[part]
    center = around(shape, "ball", 2.0).center.numpy()  # type: ignore[union-attr]
    spread = 2.0 * (np.linalg.norm(w, axis=0) if kind == "ball" else np.abs(w).sum(axis=0))
    np.testing.assert_allclose(bounds.high[part], center @ w + c + spread, rtol=1e-12)
    np.testing.assert_allclose(bounds.low[part], center @ w + c - spread, rtol=1e-12)


@pytest.mark.parametrize("norm", [1, math.inf])
def test_jacobians_of_one_layer_are_exact_where_one_output_is(norm: float) -> None:
    """All units free: of one output the largest sum of |entries| over all slopes, by brute force."""
    draw = np.random.default_rng(0)
    first, second = draw.standard_normal((2, 8)), np.abs(draw.standard_normal((8, 1)))
    first = np.abs(first)  # all signs agree: all slopes 1 is the worst
    found = Units(
        np.concatenate([first, np.zeros((8, 8))]), np.zeros(8), np.concatenate([np.zeros((2, 1)), second]), 2,
        np.zeros(8), np.ones(8), np.stack([np.zeros(8), np.ones(8)]), (_block(8),),
    )  # fmt: skip
    bounds = jacobian_bounds(found, found.low, found.high, norm=norm)
    every = np.array(list(itertools.product([0.0, 1.0], repeat=8)))
    A = np.einsum("iu,bu,uo->boi", first, every, second)
    exact = np.abs(A).sum(axis=1 if norm == 1 else 2).max()
    assert bounds.norm(norm) == pytest.approx(exact, rel=1e-12)
    assert bounds.norm(2) == pytest.approx(np.linalg.norm(A, axis=(1, 2)).max(), rel=1e-12)


def _block(count: int) -> levels_module.Block:
    return levels_module.Block("relu", 0, count)


@pytest.mark.parametrize("norm", NORMS)
def test_a_sum_of_opposite_entries_is_bounded_as_a_whole(norm: float) -> None:
    """relu(x) - relu(x) cancels in one row only if both units' slopes are one number; in ranges they do not."""
    forms = np.array([[1.0, 1.0], [0.0, 0.0], [0.0, 0.0]])
    found = Units(
        forms, np.zeros(2), np.array([[0.0], [1.0], [-1.0]]), 1, np.zeros(2), np.ones(2),
        np.array([[0.0, 0.0], [1.0, 1.0]]), (_block(2),),
    )  # fmt: skip
    assert jacobian_bounds(found, found.low, found.high, norm=norm).norm(norm) == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_tightened_units_are_the_network_on_the_domain(name: str) -> None:
    graph, shape = case(name)
    on = around(shape, "box", 0.1)
    found, domain = taken_apart(graph, on)
    left = tightened(found, domain)
    x = points(on, 20)
    flat = x.flatten(1).numpy()
    seen, _ = found.levels(flat)
    mine, _ = left.units.levels(flat)
    np.testing.assert_allclose(mine, seen[:, left.kept], atol=1e-11)
    assert (left.units.low < left.units.high).all()
    if not np.isnan(found.slopes).any():
        A = matrices(graph, x)[0].numpy()
        for i, point in enumerate(flat):
            states = left.all_states(left.units.states(point))
            np.testing.assert_array_equal(states, found.states(point))
            np.testing.assert_allclose(left.units.fixed(left.units.states(point))[0].outputs.T, A[i], atol=1e-11)


def test_tightening_drops_units() -> None:
    graph, shape = case("relu")
    found, domain = taken_apart(graph, around(shape, "box", 0.1))
    whole = units(graph)
    assert whole is not None
    assert tightened(whole, domain).units.count <= tightened(found, domain).units.count < whole.count


@pytest.mark.parametrize("name", ["relu", "tanh", "max pooling"])
def test_a_ball_is_tighter_than_its_box(name: str) -> None:
    graph, shape = case(name)
    ball = around(shape, "ball", 0.5)
    assert isinstance(ball, sg.Ball)
    found, domain = taken_apart(graph, ball)
    box = Domain.of(graph, ball.box)
    small, large = levels(found, domain), levels(found, box)
    assert (small.high - small.low).sum() < (large.high - large.low).sum()
    for norm in NORMS:
        assert jacobian_on(found, domain, norm).norm(norm) < jacobian_on(found, box, norm).norm(norm)


@pytest.mark.parametrize("activation", [nn.Tanh, nn.GELU, nn.SiLU, nn.Hardtanh, nn.Softplus, nn.Hardswish, nn.ELU])
def test_lines_hold_a_function_on_intervals(activation: Callable[[], nn.Module]) -> None:
    graph = sg.trace(nn.Sequential(nn.Linear(200, 200), activation()).double().eval(), torch.zeros(1, 200).double())
    found = units(graph)
    assert found is not None
    function = found.blocks[0].function
    if function is None:  # one kink
        pytest.fail("a function of one kink needs none of this")
    draw = np.random.default_rng(0)
    low = draw.uniform(-5, 5, 200)
    high = low + 10 ** draw.uniform(-8, 1, 200)
    lines, least, most = curved(function, low, high)
    share = np.linspace(0, 1, 301)[:, None]
    u = low + share * (high - low)
    e, s = function.values(u), function.derivatives(u)
    assert (lines.below * u + lines.bottom <= e).all()
    assert (lines.above * u + lines.top >= e).all()
    assert ((lines.low <= e) & (e <= lines.high)).all()
    inside = (u > low) & (u < high)  # the slope to the left of a kink may be one of none inside
    assert ((least <= s) & (s <= most))[inside].all()
    # and tightly: the strip is no wider than the function bends
    strip = (lines.above - lines.below) * (low + high) / 2 + lines.top - lines.bottom
    assert (strip <= 0.3 * (most - least) * (high - low) + 1e-9).all()


def two_blocks(first: np.ndarray, offsets: np.ndarray, second: np.ndarray) -> Units:
    """Return relu units of inputs, and one relu unit that sees those."""
    n0, n = first.shape
    forms = np.block([[first, np.zeros((n0, 1))], [np.zeros((n, n)), second[:, None]], [np.zeros((1, n + 1))]])
    kinks = np.stack([np.zeros(n + 1), np.ones(n + 1)])
    outputs = np.eye(n0 + n + 1)[:, -1:]
    blocks = (_block(n), levels_module.Block("last", n, n + 1))
    return Units(forms, np.append(offsets, 0.0), outputs, n0, kinks[0], kinks[1], kinks, blocks)


def test_a_level_that_lines_reach_is_exact() -> None:
    """|x| - 0.3 x as relu(x) + relu(-x) - ... on [-1, 1]: both chords meet at the ends."""
    found = two_blocks(np.array([[1.0, -1.0]]), np.zeros(2), np.array([0.7, 1.3]))
    bounds = levels(found, Domain((sg.Box(-torch.ones(1), torch.ones(1)),)))
    seen = found.levels(np.array([[-1.0], [0.0], [1.0]]))[0][:, 2]
    assert ((seen >= bounds.low[2]) & (seen <= bounds.high[2])).all()
    assert bounds.high[2] == pytest.approx(seen.max(), rel=1e-12)


@pytest.mark.parametrize("seed", range(8))
def test_bounds_hold_for_the_rounding_of_sums_that_cancel(seed: int) -> None:
    """Values near 1e6 whose sum is small: without margins the exact sum at zero is outside."""
    draw = np.random.default_rng(seed)
    w = draw.standard_normal(40)
    found = two_blocks(draw.standard_normal((2, 40)), np.full(40, 1e6 + 1 / 3), w - w.mean())
    domain = Domain((sg.Box.around(torch.zeros(2, dtype=torch.float64), radius=1e-13),))
    bounds = levels(found, domain)
    terms = zip(found.forms[2:42, 40], found.offsets[:40], strict=True)
    exact = sum(Fraction(float(c)) * Fraction(float(u)) for c, u in terms)
    assert Fraction(float(bounds.low[-1])) <= exact <= Fraction(float(bounds.high[-1]))
    assert bounds.high[-1] - bounds.low[-1] < 1e-4


@pytest.mark.parametrize("norm", NORMS)
def test_globally_the_bound_is_at_most_that_of_absolute_values(norm: float) -> None:
    graph, _ = case("relu")
    found = units(graph)
    assert found is not None
    value = jacobian_on(found, Domain(), norm).norm(norm)
    weights = [p.detach().abs().numpy() for p in graph.module().parameters() if p.dim() == 2]
    product = weights[2] @ weights[1] @ weights[0]
    assert value < np.linalg.norm(product, norm)
