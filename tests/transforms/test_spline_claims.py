"""What spline substitutions say and refuse, and their parts one by one."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.core.graph import SplineGraph
from splinegraph.errors import DomainError, SplineGraphError, UnsupportedOperatorError
from splinegraph.operators.smooth import Exp, Reciprocal
from splinegraph.operators.smooth_functions import Cos, Sin, Softplus
from splinegraph.splines.certifying import certify
from splinegraph.splines.piecewise import PiecewiseAffine
from splinegraph.transforms.spline.allotting import Allotment
from splinegraph.transforms.spline.cells import cells_of
from splinegraph.transforms.spline.functions import function_on
from splinegraph.transforms.spline.local import local_errors
from splinegraph.transforms.spline.spline import spline
from splinegraph.transforms.spline.unfolding import unfolded


class Of(nn.Module):
    """A function as a module."""

    def __init__(self, function: object) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)  # type: ignore[no-any-return, operator]


def traced(function: object, size: int = 2) -> SplineGraph:
    return sg.trace(Of(function).eval(), torch.full((1, size), 0.5))


def box(low: float, high: float, size: int = 2) -> sg.Box:
    ones = torch.ones(size, dtype=torch.float64)
    return sg.Box(low * ones, high * ones)


def masked(x: Tensor) -> Tensor:
    scores = x[:, :, None] * x[:, None, :] + torch.tensor([[0.0, -torch.inf], [0.0, 0.0]])
    return (2 * scores).softmax(-1).flatten(1)  # a mask is left out only where a softmax reads it itself


def test_outputs_that_no_smooth_node_reaches_meet_any_tolerance() -> None:
    graph = traced(lambda x: 0.0 * torch.tanh(x) + x)
    found = spline(graph, box(-1, 1), tol=0.1)
    assert found.largest_error == 0
    assert found.pieces == 1


def test_a_tolerance_that_single_pieces_seemed_to_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Allotment, "multiplier", lambda *_: float("inf"))
    assert spline(traced(torch.exp), box(-1, 1), tol=0.05).largest_error <= 0.05


@pytest.mark.parametrize("function", [torch.log, torch.rsqrt, torch.reciprocal])
@pytest.mark.parametrize("at", [1e-9, 1e-7])
def test_narrow_domains_near_a_pole(function: object, at: float) -> None:
    graph, on = traced(function), box(at, 1.001 * at)
    found = spline(graph, on, pieces=2)
    low, high = found.nodes[0].interval
    assert 0 < low <= at < high
    x = on.sample(500)
    assert bool(((found.graph(x) - graph(x)).abs() <= found.error_bound).all())


def test_a_product_is_as_near_as_it_can_be() -> None:
    graph = traced(lambda x: x[:, :1] * x[:, 1:])
    on = sg.Box(torch.tensor([-1.0, 2.0]).double(), torch.tensor([3.0, 3.0]).double())
    for pieces in (1, 2, 5):
        found = spline(graph, on, pieces=pieces)
        assert float(found.error_bound) == pytest.approx(2.0 * 0.5 / pieces**2, rel=1e-6)
        assert found.observed_error(on.sample(100_000)).lower > 0.9 * float(found.error_bound)


def test_an_exact_graph_stays_itself() -> None:
    graph = traced(torch.relu)
    found = spline(graph, box(-1, 1), tol=0.1)
    assert found.graph is graph
    assert found.largest_error == 0


@pytest.mark.parametrize("function", [lambda x: x.softmax(-1), lambda x: x.log_softmax(-1), lambda x: x / x.norm()])
def test_unfolding_keeps_the_function(function: object) -> None:
    graph = sg.trace(nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3), nn.Softmax(-1)).eval(), torch.zeros(1, 3))
    x = torch.randn(50, 3, dtype=torch.float64) * 0.3
    for on in (None, (box(-1, 1, 3),), (box(-9, 9, 3),)):
        assert torch.allclose(unfolded(graph, on)(x), graph(x), atol=1e-13)


@pytest.mark.parametrize("operator", [Softplus(), Exp(), Sin(), Cos()])
def test_local_errors_hold_and_are_tight(operator: Softplus) -> None:
    span = (0.2, 2.9)
    function = function_on(operator, span)
    knots = np.linspace(*span, 5)
    inner, slopes = function(knots)[1:-1], np.diff(function(knots)) / np.diff(knots)
    p = PiecewiseAffine.through(knots[1:-1], inner, slopes[0], slopes[-1])
    below, above = certify(function, p, span)
    p = dataclasses.replace(p, interval=span, below=below, above=above)
    low = span[0] + (span[1] - span[0]) * torch.rand(300, dtype=torch.float64)
    high = torch.minimum(low + torch.rand(300, dtype=torch.float64), torch.tensor(span[1], dtype=torch.float64))
    least, most = local_errors(function, p, low, high)
    x = low + (high - low) * torch.linspace(0, 1, 4001, dtype=torch.float64)[:, None]
    gap = torch.from_numpy(p(x.numpy()) - function(x.numpy()))
    assert bool((gap >= least - 1e-13).all())
    assert bool((gap <= most + 1e-13).all())
    assert float((gap.amin(0) - least).max()) < 1e-3
    assert float((most - gap.amax(0)).max()) < 1e-3
    assert float(most.max()) <= -p.below


def test_waves_turn_where_they_should() -> None:
    f = function_on(Cos(), (-20.0, 20.0))
    x = np.linspace(-20, 20, 999)
    bend = np.array(f.curvatures)[np.searchsorted(np.array(f.inflections), x)]
    assert bool((np.cos(x)[bend == 1] <= 0).all() and (np.cos(x)[bend == 2] >= 0).all())


def test_cells_cover_the_domain_and_no_more() -> None:
    graph = traced(torch.tanh, 3)
    on = sg.Box(torch.tensor([0.0, -1.0, 2.0]).double(), torch.tensor([4.0, 0.0, 2.0]).double())
    (cells,) = cells_of(graph, on, 50)
    assert 25 < len(cells.lower) <= 50
    volume = (cells.upper - cells.lower)[:, :2].prod(1).sum()
    assert float(volume) == pytest.approx(4.0)
    x = on.sample(500)
    inside = ((x[:, None] >= cells.lower) & (x[:, None] <= cells.upper)).all(-1)
    assert bool(inside.any(1).all())


def test_claims_and_plain_values() -> None:
    graph = traced(lambda x: torch.exp(x).sum(-1, keepdim=True))
    on = box(-1, 1)
    found = spline(graph, on, tol=0.05)
    e = found.largest_error
    assert found.change_bound(sg.lipschitz(found.graph, on=on, norm=np.inf), 0.1) >= 2 * e
    assert found.change_bound(3.0, 0.0) == pytest.approx(2 * e)
    assert float(found.convexity_gap()[0]) == pytest.approx(2 * e)
    x = on.sample(1000)
    low, high = found.enclosure(x)
    assert bool(((graph(x) >= low) & (graph(x) <= high)).all())
    assert json.loads(json.dumps(found.to_dict()))["nodes"][0]["function"] == "Exp"
    assert "exp" in str(found)
    assert repr(found).startswith("<SplineSubstitution")


def test_pieces_node_by_node() -> None:
    graph = traced(lambda x: torch.exp(torch.nn.functional.softplus(x)))
    first, second = (node.name for node in graph.obstacles)
    found = spline(graph, box(-1, 1), pieces={first: 4, second: 2})
    assert {node.node: node.pieces for node in found.nodes} == {first: 4, second: 2}
    with pytest.raises(SplineGraphError, match="name every smooth node"):
        spline(graph, box(-1, 1), pieces={first: 4})


def test_a_finer_tolerance_takes_more_pieces() -> None:
    graph = traced(lambda x: torch.exp(x).sum(-1))
    found = [spline(graph, box(-1, 1), tol=tol) for tol in (1e-1, 1e-2)]
    assert found[0].largest_error <= 1e-1
    assert 0.5e-2 < found[1].largest_error <= 1e-2
    assert found[0].pieces < found[1].pieces


@pytest.mark.parametrize(
    ("function", "on", "error", "text"),
    [
        (torch.log, box(0.0, 1.0), DomainError, "not defined"),
        (torch.reciprocal, box(-1.0, 1.0), DomainError, "not defined"),
        (lambda x: x[:, :1] / x[:, 1:], box(-1.0, 1.0), DomainError, "Reciprocal .* not defined"),
        (masked, box(-1.0, 1.0), DomainError, "in place of -inf"),
        (lambda x: x * x.flip(-1), None, DomainError, "bounded domain"),
        (lambda x: torch.sign(torch.tanh(x)), box(-1, 1), DomainError, "no bound of the error behind Sign"),
        (lambda x: torch.floor(torch.tanh(x)), box(-1, 1), UnsupportedOperatorError, "jumps"),
        (torch.special.bessel_j0, box(-1, 1), UnsupportedOperatorError, "cannot be made piecewise affine"),
        (torch.sin, None, DomainError, "waves"),
        (torch.exp, None, SplineGraphError, "Exp"),
    ],
)  # fmt: skip
def test_refusals_name_the_node(function: object, on: sg.Box | None, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text) as caught:
        spline(traced(function), on, pieces=3)
    assert "node '" in str(caught.value)


def test_bad_settings() -> None:
    graph = traced(torch.exp)
    for settings in ({}, {"tol": 0.1, "pieces": 3}, {"tol": 0.0}, {"tol": float("nan")}, {"pieces": 0}):
        with pytest.raises(SplineGraphError):
            spline(graph, box(-1, 1), **settings)
    for settings in ({"tol": "0.1"}, {"pieces": 2.5}, {"pieces": 3, "cells": 0}, {"pieces": {"exp": 0}}):
        with pytest.raises(SplineGraphError, match="give a"):
            spline(graph, box(-1, 1), **settings)
    with pytest.raises(SplineGraphError, match="whole number"):  # the squares of a product too
        spline(traced(lambda x: x * x.flip(-1)), box(-1, 1), pieces=-1)
    with pytest.raises(SplineGraphError, match="node 'nonsense'; name only exp"):
        spline(graph, box(-1, 1), pieces={"exp": 2, "nonsense": 2})
    with pytest.raises(SplineGraphError, match="max_pieces"):
        spline(graph, box(-1, 1), tol=1e-6, max_pieces=50)
    with pytest.raises(DomainError):
        spline(graph, "everywhere", tol=0.1)


def test_a_jump_that_no_error_reaches_is_kept() -> None:
    graph = traced(lambda x: torch.sign(x) + torch.exp(x))
    found = spline(graph, box(-1, 1), pieces=3)
    assert found.graph.exact
    assert found.observed_error(box(-1, 1).sample(1000)).lower > 0


def test_reciprocal_operator_is_convex_where_it_is_positive() -> None:
    function = function_on(Reciprocal(), (0.5, 2.0))
    assert {s.curvature for s in function.stretches(0.5, 2.0)} == {1}
