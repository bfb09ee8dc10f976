"""f = g - h: equal in exact rationals, both sides certified convex by the rules, on every kind of network."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from splinegraph.analyses.convexity.curvature import propagate
from splinegraph.core.domains.plane import Plane
from splinegraph.core.graph import SplineGraph
from splinegraph.core.values import Box, Curvature
from splinegraph.errors import UnsupportedOperatorError
from splinegraph.nn import icnn
from splinegraph.tracers.tracing import trace
from splinegraph.transforms.difference.columns import halves
from splinegraph.transforms.difference.difference import Difference, difference_of_convex
from splinegraph.transforms.spline.spline import spline
from tests import zoo

NUMBERS = st.fractions(-5, 5, max_denominator=8)


def traced(*parts: object, size: int = 3) -> SplineGraph:
    return trace(zoo.Stack(*parts).double().eval(), torch.zeros(1, size, dtype=torch.float64))


def float_error(found: Difference, *xs: Tensor) -> float:
    values = [v if isinstance(v, tuple) else (v,) for v in (found.graph(*xs), found.g(*xs), found.h(*xs))]
    return max(float((f - (g - h)).detach().abs().max()) for f, g, h in zip(*values, strict=True))


QUICK = ("hardtanh", "cnn", "maximum", "two", "heads", "single")


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in zoo.CONTINUOUS]
)
def test_every_network_of_the_zoo(name: str) -> None:
    found = difference_of_convex(zoo.graph(name))
    assert found.exact
    assert found.verify(points=1)
    assert float_error(found, *zoo.inputs(name, 20)) < 1e-12


@pytest.mark.parametrize("name", ["hardtanh", "cnn", "maximum", "two"])
def test_on_a_domain(name: str) -> None:
    boxes = tuple(Box.around(torch.zeros(s, dtype=torch.float64), radius=0.3) for s in zoo.ZOO[name].shapes)
    found = difference_of_convex(zoo.graph(name), boxes)
    assert found.verify(points=2)
    assert float_error(found, *(box.sample(50) for box in boxes)) < 1e-12


@settings(max_examples=40, deadline=None)
@given(st.data(), st.integers(0, 6))
def test_a_univariate_function_is_the_difference_of_its_halves(data: st.DataObject, count: int) -> None:
    """Brute force on a grid, in exact rationals; slopes of either half rise, and zero is among them if it can be."""
    breakpoints = sorted(data.draw(st.sets(NUMBERS, min_size=count, max_size=count)))
    slopes = data.draw(st.lists(NUMBERS, min_size=count + 1, max_size=count + 1))
    lines = [(slopes[0], data.draw(NUMBERS))]
    for b, slope in zip(breakpoints, slopes[1:], strict=True):
        p, c = lines[-1]
        lines.append((slope, c + (p - slope) * b))
    upper, lower = halves(lines, breakpoints)
    for half in (upper, lower):
        assert all(p < q for (p, _), (q, _) in itertools.pairwise(half.lines))
    assert min(p for p, _ in lower.lines) <= 0 <= max(p for p, _ in lower.lines)
    for t in [*breakpoints, *(Fraction(k, 3) for k in range(-18, 19))]:
        p, c = lines[sum(b < t for b in breakpoints)]
        value = max(p * t + c for p, c in upper.lines) - max(p * t + c for p, c in lower.lines)
        assert value == p * t + c


FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "leaky": lambda x: nn.functional.leaky_relu(x, 0.01),
    "steep on the left": lambda x: nn.functional.leaky_relu(x, 1.7),
    "falling on the left": lambda x: nn.functional.leaky_relu(x, -0.3),
    "abs": torch.abs,
    "clamp": lambda x: x.clamp(-0.3, 0.4),
    "upper clamp": lambda x: x.clamp(max=0.1),
    "softshrink": nn.functional.softshrink,
    "max": lambda x: x.amax(-1, keepdim=True).expand_as(x),
    "sort": lambda x: torch.cumsum(x.sort(-1).values, -1),
    "middle": lambda x: x.sort(-1, descending=True).values[:, 1:3],
    "smallest two": lambda x: x.topk(2, largest=False).values,
    "minimum": lambda x: torch.minimum(x, x.flip(-1).abs()),
    "concat": lambda x: torch.cat([x, x.relu(), -x.abs(), torch.ones_like(x)], 1),
    "padded pool": lambda x: nn.functional.max_pool1d(x[:, None], 3, 1, 1)[:, 0],
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_kind_of_operator_between_mixed_signs(name: str) -> None:
    """Before and behind it are layers with weights of both signs, so that its arguments are true differences."""
    function = FUNCTIONS[name]
    width = function(torch.zeros(1, 5)).shape[1]
    graph = traced(nn.Linear(3, 5), torch.relu, nn.Linear(5, 5), function, nn.Linear(width, 2))
    found = difference_of_convex(graph)
    assert found.exact
    assert found.verify(points=2)


def test_rounded_factors_are_said_to_be_so() -> None:
    smooth = traced(nn.Linear(3, 4), torch.relu, nn.Linear(4, 4), nn.Softplus(), nn.Linear(4, 1))
    domain = Box(-torch.ones(3), torch.ones(3))
    every = (difference_of_convex(spline(smooth, domain, pieces=pieces).graph) for pieces in range(5, 12))
    found = next(found for found in every if not found.exact)  # by the last bits of slopes, which processors differ in
    assert found.verify()
    assert float_error(found, torch.randn(100, 3, dtype=torch.float64)) < 1e-12


def test_convexity_along_chords() -> None:
    """Not by the rules: midpoints of random chords of g and h."""
    for name in ("hardtanh", "cnn", "maximum"):
        found = difference_of_convex(zoo.graph(name))
        x, y = zoo.inputs(name, 200)[0], zoo.inputs(name, 200, seed=1)[0]
        for side in (found.g, found.h):
            ends = side(x) / 2 + side(y) / 2
            assert bool((side((x + y) / 2) <= ends + 1e-12 * (1 + ends.abs())).all())


def test_what_is_convex_affine_or_concave_already_stays_whole() -> None:
    graph = trace(icnn(3, [5, 5], 2).double().eval(), torch.zeros(1, 3, dtype=torch.float64))
    convex, concave = difference_of_convex(graph), difference_of_convex(-graph)
    assert convex.sizes["g"]["units"] == convex.sizes["f"]["units"]
    assert convex.sizes["h"]["units"] == concave.sizes["g"]["units"] == 0
    affine = difference_of_convex(zoo.graph("affine"))
    assert affine.sizes["parts"]["units"] == 0
    assert convex.verify()
    assert concave.verify()


def test_units_that_are_stable_on_the_domain_are_affine() -> None:
    graph = traced(nn.Linear(3, 6), lambda x: torch.relu(x + 9) - 9, nn.Linear(6, 4), torch.relu, nn.Linear(4, 1))
    whole = difference_of_convex(graph)
    small = difference_of_convex(graph, Box.around(torch.zeros(3, dtype=torch.float64), radius=1.0))
    assert small.verify()
    assert whole.sizes["parts"]["units"] == 10
    assert small.sizes["parts"]["units"] == 4  # those of the second layer, convex as they stand


def test_other_domains() -> None:
    graph = zoo.graph("mlp")
    plane = Plane.through(*torch.randn(3, 3, dtype=torch.float64))
    found = difference_of_convex(graph, plane)
    assert found.verify()
    assert str(found).startswith("<Difference of convex functions")
    assert set(found.to_dict()) == {"domain", "exact", "sizes"}


def test_smooth_networks_where_rules_find_a_side() -> None:
    found = difference_of_convex(trace(icnn(2, [5], activation=nn.Softplus).eval(), torch.zeros(1, 2)))
    assert found.verify()
    with pytest.raises(UnsupportedOperatorError, match=r"for GELU.*at node 'gelu'.*not piecewise affine.*spline"):
        difference_of_convex(zoo.graph("gelu"))


def test_what_has_no_difference_is_named() -> None:
    with pytest.raises(UnsupportedOperatorError, match=r"at node 'sign'.*: it is not continuous"):
        difference_of_convex(zoo.graph("sign"))
    wide = traced(nn.Linear(3, 16), lambda x: x.sort(-1).values)
    with pytest.raises(UnsupportedOperatorError, match=r"Sort at node.*compares \d+ sets of \d+ of 16 entries"):
        difference_of_convex(wide)


def test_the_parts_do_not_follow_the_network() -> None:
    net = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1)).double().eval()
    graph = trace(net, torch.zeros(1, 2, dtype=torch.float64))
    x = torch.randn(5, 2, dtype=torch.float64)
    found = difference_of_convex(graph)
    before = (found.g(x) - found.h(x)).detach()
    with torch.no_grad():
        for p in net.parameters():
            p.mul_(3.0)
    assert torch.equal((found.g(x) - found.h(x)).detach(), before)
    assert not found.verify()  # the network is another one now


def test_verify_notices_parts_that_are_not_convex() -> None:
    """The planted fault: g and h swapped for functions with the same difference, of which one is not convex."""
    graph = zoo.graph("plane")
    found = difference_of_convex(graph)
    assert not Difference(graph, joined(found.g, found.g), None, True).verify()
    assert not Difference(graph, joined(graph + graph, graph), None, True).verify()


def joined(g: SplineGraph, h: SplineGraph) -> SplineGraph:
    both = g - h
    (last,) = both.outputs
    return SplineGraph(both.nodes[:-1], both.inputs, both[last].args, dtype=torch.float64)


@pytest.mark.slow
def test_random_networks_by_brute_force() -> None:
    rng = np.random.default_rng(0)
    for seed in range(20):
        torch.manual_seed(seed)
        sizes = [2, *rng.integers(1, 7, rng.integers(1, 4)).tolist(), 1]
        layers: list[nn.Module] = []
        for a, b in itertools.pairwise(sizes):
            layers += [nn.Linear(a, b), [nn.ReLU(), nn.LeakyReLU(0.3), nn.Hardtanh(), nn.Softshrink()][seed % 4]]
        net = nn.Sequential(*layers[:-1]).double().eval()
        if seed % 3 == 0:  # degenerate weights
            for p in net.parameters():
                p.data = torch.randint(-1, 2, p.shape).double()
        found = difference_of_convex(trace(net, torch.zeros(1, 2, dtype=torch.float64)))
        assert found.verify(points=4, seed=seed)
        flags = propagate(found.parts)
        assert all(bool(Curvature.CONVEX.held_by(flags[name]).all()) for name in found.parts.outputs)


@pytest.mark.parametrize("width", [1.0, 4.0])
def test_values_that_no_float_holds(width: float) -> None:
    # 3 * float(1/6) has 54 bits, and the last piece of a hardsigmoid is twice that, not 1
    graph = trace(nn.Hardsigmoid().eval(), torch.zeros(1, 1).double())
    found = difference_of_convex(graph, Box(torch.tensor([-width]).double(), torch.tensor([width]).double()))
    assert found.exact
    assert found.verify()


def test_a_hardsigmoid_behind_a_layer_is_exact() -> None:
    found = difference_of_convex(
        traced(nn.Linear(3, 4), torch.relu, nn.Linear(4, 4), nn.Hardsigmoid(), nn.Linear(4, 1))
    )
    assert found.exact
    assert found.verify()
