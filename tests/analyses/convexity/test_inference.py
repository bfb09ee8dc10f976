"""The paper's statements on global inference: its counterexamples, the check-list, the three questions kept apart."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from splinegraph.analyses.convexity.blame import blame_of
from splinegraph.analyses.convexity.checklist import checklist
from splinegraph.analyses.convexity.curvature import propagate
from splinegraph.analyses.convexity.facets import by_facets
from splinegraph.analyses.convexity.frozen import frozen
from splinegraph.analyses.convexity.inference import inference
from splinegraph.analyses.convexity.pullout import pullouts
from splinegraph.analyses.convexity.verdict import Certificate
from splinegraph.analyses.regions.enumerate import enumerate_regions
from splinegraph.core.graph import SplineGraph
from splinegraph.core.values import Box, Curvature
from splinegraph.tracers.tracing import trace
from tests.analyses.convexity.random_nets import random_graph


def box(dim: int, size: float = 2.0) -> Box:
    return Box(torch.full((dim,), -size).double(), torch.full((dim,), size).double())


class Apply(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def graph_of(function: Callable[[Tensor], Tensor], dim: int = 1) -> SplineGraph:
    return trace(Apply(function).eval(), torch.zeros(1, dim).double())


def linear(z: Tensor, weight: list[list[float]], bias: list[float] | None = None) -> Tensor:
    shift = None if bias is None else torch.tensor(bias).to(z)
    return nn.functional.linear(z, torch.tensor(weight).to(z), shift)


def holds(graph: SplineGraph, layer: str, output: int | None, on: Box) -> bool | None:
    return next(p.holds for p in pullouts(graph, on) if p.layer.startswith(layer) and p.output == output)


# Theorem 10


def test_theorem_10_holds_where_the_order_is_reversed() -> None:
    """W = -1, b = 10, B = 1: (W + b) kappa = 9 > 0, and the largest piece gives the smallest value."""
    assert holds(graph_of(lambda y: linear(y.abs(), [[-1.0]], [10.0])), "abs", 0, box(1)) is False


def test_theorem_10_fails_where_the_order_is_kept() -> None:
    """W = 1, b = -10: (W + b) kappa = -9 < 0."""
    assert holds(graph_of(lambda y: linear(y.abs(), [[1.0]], [-10.0])), "abs", 0, box(1)) is True


def test_theorem_10_overlooks_that_slopes_depend_on_the_choice() -> None:
    """W = (-1, 2), b = (5, -100): the column's sum is 1 > 0, but only the first unit is on."""
    graph = graph_of(lambda y: torch.relu(linear(y.abs(), [[-1.0], [2.0]], [5.0, -100.0])).sum(1, keepdim=True))
    assert holds(graph, "abs", 0, box(1, 4.0)) is False


def test_theorem_10_asks_something_of_units_without_a_choice() -> None:
    """A negative column of a unit with one piece does not matter."""

    def function(y: Tensor) -> Tensor:
        u = torch.cat([y[:, :1], y[:, 1:].abs()], 1)
        return torch.relu(linear(u, [[-2.0, 0.5], [-0.5, 1.0]], [0.3, 0.1])).sum(1, keepdim=True)

    assert holds(graph_of(function, 2), "abs", 0, box(2)) is True


def test_biases_need_no_sign() -> None:
    """W >= 0 and biases far below 0."""
    graph = graph_of(lambda y: torch.relu(linear(y.abs(), [[1.0, 0.5], [0.2, 2.0]], [-3.0, -1.0])), 2)
    assert [p.holds for p in pullouts(graph, box(2))] == [True] * 6


def test_proposition_3_needs_signs_of_entries_not_of_sums() -> None:
    graph = graph_of(lambda y: linear(torch.relu(y), [[2.0, -1.0], [-1.0, 2.0]]), 2)
    assert {p.output: p.holds for p in pullouts(graph, box(2))} == {0: False, 1: False, None: True}
    found = inference(graph, box(2))
    assert found.maximum == (False, False)


def pieces_of(z: Tensor, slope: float) -> list[tuple[float, ...]]:
    """Return all values that the units of an activation max(z, slope z) can give."""
    return list(itertools.product(*[(float(v), slope * float(v)) for v in z]))


@pytest.mark.parametrize("seed", range(12))
def test_what_is_said_of_pulling_out_is_true(seed: int) -> None:
    """Against all choices of pieces at many inputs."""
    random = np.random.default_rng(seed)
    slope = float(random.choice([0.0, 0.2, -1.0]))
    w, c, w2, c2, v = (
        torch.from_numpy(random.standard_normal(shape)) for shape in ((3, 2), (3,), (3, 3), (3,), (1, 3))
    )
    if seed % 3:
        w2, v = w2.abs(), v.abs()
    if seed % 3 == 2:
        w2[0, 0] *= -0.2

    def tail(u: Tensor) -> Tensor:
        return torch.relu(u @ w2.T + c2) @ v.T

    graph = graph_of(lambda y: tail(nn.functional.leaky_relu(y @ w.T + c, slope)), 2)
    found = next(p for p in pullouts(graph, box(2)) if p.layer.startswith("leaky"))
    y = box(2).sample(200, generator=torch.Generator().manual_seed(seed))
    z = y @ w.T + c
    own = tail(nn.functional.leaky_relu(z, slope))[:, 0]
    every = torch.stack([tail(torch.tensor(pieces_of(row, slope), dtype=z.dtype)).amax() for row in z])
    wrong = bool((every > own + 1e-9).any())
    assert not (wrong and found.holds)
    assert found.holds is not None or wrong is False
    if found.challenge is not None:
        row = found.challenge.x[0] @ w.T + c
        codes = found.challenge.pieces[found.layer]
        u = torch.where(codes > 0, row, slope * row)
        assert float(tail(u[None])) == pytest.approx(found.challenge.value)
        assert found.challenge.value > found.challenge.actual == pytest.approx(float(graph(found.challenge.x[0][None])))


# the three questions


def test_convex_outputs_need_not_be_pulled_out() -> None:
    """max(u, -3 u - 40) of u = |y| is |y|; but the other piece of u gives 50 > 30 at y = 30."""
    graph = graph_of(lambda y: torch.maximum(y.abs(), -3 * y.abs() - 40))
    found = inference(graph, box(1, 50.0))
    assert found.maximum == (True,)
    assert found.pulled_out == (False,)
    assert found.dominated == (False,)
    assert found.first_failing is None


def test_a_layer_that_is_not_convex_may_do_no_harm() -> None:
    """The second term bends down at 0 by 1, the first up by 2."""

    def function(y: Tensor) -> Tensor:
        u = y.abs()
        return u + torch.relu(0.3 - 0.5 * u)

    graph = graph_of(function)
    found = inference(graph, box(1))
    assert found.maximum == (True,)
    assert found.first_failing == "relu"
    assert [prefix.holds for prefix in found.prefixes] == [True, False]
    assert not found.blame


@pytest.mark.parametrize("seed", range(6))
def test_what_is_dominated_is_convex(seed: int) -> None:
    _, graph = random_graph(seed)
    dim = graph.input_shapes[0][0]
    convex = by_facets(enumerate_regions(graph, on=box(dim)))
    for found in frozen(graph, box(dim)):
        if found.holds:
            assert isinstance(convex[found.output].convex, Certificate)
        elif found.challenge is not None:
            assert found.challenge.value > found.challenge.actual


# layers and blame


def planted() -> SplineGraph:
    """An input-convex network but for one weight, into unit 1 of the second layer from unit 2 of the first."""
    random = np.random.default_rng(5)
    numbers = [
        random.standard_normal((4, 2)), 0.3 * random.standard_normal(4), np.abs(random.standard_normal((3, 4))),
        0.2 * random.standard_normal(3) + 0.5, np.abs(random.standard_normal((1, 3))), np.zeros(1),
    ]  # fmt: skip
    numbers[2][1, 2] *= -3
    net = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 1)).double().eval()
    for value, number in zip(net.parameters(), numbers, strict=True):
        value.data = torch.from_numpy(number)
    return trace(net, torch.zeros(1, 2).double())


def test_a_planted_weight_is_found_and_blamed() -> None:
    graph = planted()
    found = inference(graph, box(2, 1.0))
    assert found.first_failing == "relu_1"
    assert found.prefixes[0].convex == (True,) * 4
    assert found.prefixes[1].convex == (True, False, True)
    assert found.maximum == found.pulled_out == found.dominated == (False,)
    (failing,) = found.checklist.failing
    assert (failing.node, failing.failing) == ("linear_1", 1)
    weight = next(p for p in graph.parameters() if p.shape == (3, 4))[1, 2].item()
    assert failing.total == failing.largest == pytest.approx(-weight)
    assert next(iter(found.blame)) == ("relu", 2)
    w, _, inner, _, last, _ = (p.detach().numpy() for p in graph.parameters())
    patterns = itertools.product((0, 1), repeat=3)
    jumps = [np.linalg.norm(w[2]) * (last[0] * pattern) @ inner[:, 2] for pattern in patterns]
    assert min(np.abs(np.array(jumps) - found.blame["relu", 2])) < 1e-12


def test_blame_is_on_units_of_falling_facets() -> None:
    graph = graph_of(lambda y: linear(torch.relu(y), [[1.0, -0.5, 2.0], [1.0, 1.0, -3.0]]), 3)
    partition = enumerate_regions(graph, on=box(3))
    assert blame_of(partition, 0) == {("relu", 1): pytest.approx(-0.5)}
    assert blame_of(partition) == {("relu", 2): pytest.approx(-3.0), ("relu", 1): pytest.approx(-0.5)}


def test_prefixes_agree_with_the_layers_as_networks() -> None:
    for seed in (0, 3, 4, 5):
        _, graph = random_graph(seed)
        domain = box(graph.input_shapes[0][0])
        for prefix in inference(graph, domain).prefixes:
            alone = by_facets(enumerate_regions(graph.between(graph.inputs[0], prefix.layer), on=domain))
            exact = [isinstance(alone[i].convex, Certificate) for i in range(len(alone))]
            assert list(prefix.convex) == exact


@pytest.mark.parametrize("limit", [2, 20_000])
def test_reports_are_plain_values(limit: int) -> None:
    found = inference(planted(), Box(-torch.ones(2).double(), torch.ones(2).double()), limit=limit)
    json.dumps(found.to_dict(), allow_nan=False)
    assert "relu_1" in str(found)
    assert (found.partition is not None and found.partition.complete) == (limit > 2)
    assert found.prefixes[1].convex == (True, False if limit > 2 else None, True)


def test_all_of_space_is_known_by_rules() -> None:
    found = inference(planted())
    assert found.partition is None
    assert found.prefixes[0].convex == (True,) * 4
    assert found.prefixes[1].convex == (True, None, True)
    assert "bounded domains only" in found.notes[0]


# Corollary 2


def layers(*parts: nn.Module) -> SplineGraph:
    net = nn.Sequential(*parts).double().eval()
    with torch.no_grad():
        for part in parts[1:]:
            if isinstance(part, nn.Linear):
                part.weight.abs_()
    first = parts[0]
    assert isinstance(first, nn.Linear)
    return trace(net, torch.zeros(1, first.in_features).double())


def convex(graph: SplineGraph, size: float = 3.0) -> bool:
    found = by_facets(enumerate_regions(graph, on=box(graph.input_shapes[0][0], size)))
    return all(isinstance(finding.convex, Certificate) for finding in found.values())


def test_negative_biases_are_no_obstacle() -> None:
    inner = nn.Linear(4, 3)
    inner.bias.data = -torch.rand(3) - 1
    graph = layers(nn.Linear(2, 4), nn.ReLU(), inner, nn.ReLU(), nn.Linear(3, 2))
    assert checklist(graph).holds == (True, True)
    assert convex(graph)


def test_strictly_increasing_activations_are_not_enough() -> None:
    graph = layers(nn.Linear(2, 4), nn.LeakyReLU(3.0), nn.Linear(4, 1))
    found = checklist(graph)
    assert [c.asks for c in found.failing] == ["convex"]
    assert not convex(graph)


def test_the_last_layer_needs_signs_too() -> None:
    graph = layers(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1))
    assert checklist(graph).holds == (True,)
    assert checklist(-graph).holds == (False,)
    assert not convex(-graph)


def test_first_layers_may_fall_later_ones_not() -> None:
    absolute = graph_of(lambda y: linear(y.abs(), [[1.0, 2.0]]), 2)
    assert checklist(absolute).holds == (True,)
    twice = graph_of(lambda y: (linear(y.abs(), [[1.0, 2.0]]) - 1).abs(), 2)
    (failing,) = checklist(twice).failing
    assert (failing.asks, failing.total) == ("nondecreasing", 1.0)
    assert not convex(twice)


@pytest.mark.parametrize("inner", [False, True])
def test_batch_norm_needs_a_positive_scale_at_inner_positions(inner: bool) -> None:
    norm = nn.BatchNorm1d(4)
    norm.weight.data = torch.tensor([1.0, -2.0, 0.5, 1.0])
    norm.running_var = torch.full((4,), 4.0)
    parts = [norm, nn.ReLU()] if not inner else [nn.ReLU(), norm]
    graph = layers(nn.Linear(2, 4), *parts, nn.Linear(4, 1))
    found = checklist(graph)
    assert found.holds == (not inner,)
    assert convex(graph) is not inner
    if inner:
        (failing,) = found.failing
        assert failing.failing == 1
        assert failing.largest == pytest.approx(1.0, rel=1e-4)  # 2 / sqrt(4)


def test_recurrent_weights_need_signs_but_those_on_inputs_do_not() -> None:
    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = nn.RNN(1, 3, nonlinearity="relu", batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.rnn(x)[0][:, -1]
            return out

    net = Last().double().eval()
    net.rnn.weight_hh_l0.data.abs_()
    graph = trace(net, torch.zeros(1, 3, 1).double())
    assert all(checklist(graph).holds)
    net.rnn.weight_hh_l0.data[1] *= -1
    assert not all(checklist(graph).holds)


def test_the_softmax_does_not_see_the_shift() -> None:
    torch.manual_seed(3)
    net = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 3)).double().eval()
    graph = trace(net, torch.zeros(1, 2).double())
    found = checklist(graph)
    assert not all(found.holds)
    assert found.holds_up_to_shift
    assert found.shift is not None
    x = torch.randn(50, 2).double()
    with torch.no_grad():
        before = net(x).softmax(1)
        net[2].weight += found.shift
        assert bool((net[2].weight >= 0).all())
        torch.testing.assert_close(net(x).softmax(1), before)
    assert all(checklist(graph).holds)


@pytest.mark.parametrize("seed", range(12))
def test_the_checklist_says_what_the_rules_say(seed: int) -> None:
    _, graph = random_graph(seed)
    flags = propagate(graph)[graph.outputs[0]][0]
    assert list(checklist(graph).holds) == Curvature.CONVEX.held_by(flags).tolist()


def test_smooth_layers_choose_no_pieces() -> None:
    smooth = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1)).double().eval()
    assert inference(trace(smooth, torch.zeros(1, 2).double())).pulled_out == (None,)
