"""Witnesses from chords: they hold in exact rationals, and are found where there are any."""

from __future__ import annotations

import time

import pytest
import torch
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.analyses.convexity import refuting
from splinegraph.analyses.convexity.place import Place
from splinegraph.analyses.convexity.refuting import by_chords
from splinegraph.core.graph import SplineGraph
from tests.analyses.convexity.random_nets import random_graph
from tests.zoo import Apply


def dent(at: float, width: float, n: int = 2) -> SplineGraph:
    """A convex function with a flat tent on a small square: not convex there only."""

    def function(x: Tensor) -> Tensor:
        tent = (width - (x - at).abs().sum(1, keepdim=True)).relu()
        return (x.abs().sum(1, keepdim=True) * 0.1) + tent

    return sg.trace(Apply(function).double().eval(), torch.zeros(1, n, dtype=torch.float64))


def square(n: int = 2) -> sg.Box:
    return sg.Box(-torch.ones(n, dtype=torch.float64), torch.ones(n, dtype=torch.float64))


def test_all_witnesses_hold_in_rationals() -> None:
    count = 0
    for seed in range(12):
        _, graph = random_graph(seed)
        found = by_chords(graph, Place.of(graph, square(graph.input_shapes[0][0])), [0, 1], count=100)
        for finding in found.values():
            for witness, what in ((finding.convex, "convex"), (finding.concave, "concave")):
                if witness is not None:
                    count += 1
                    assert witness.against == what
                    assert witness.verify()
    assert count > 25


@pytest.mark.parametrize(("at", "width"), [(0.3, 0.3), (0.3, 0.03), (0.95, 0.1), (-0.98, 0.02)])
def test_small_dents_are_found(at: float, width: float) -> None:
    graph = dent(at, width)
    found = by_chords(graph, Place.of(graph, square()), [0])[0]
    assert found.convex is not None
    assert found.convex.verify()


def test_convex_functions_are_never_refuted() -> None:
    graph = sg.trace(Apply(lambda x: x.abs().amax(1, keepdim=True) + x.relu()).eval(), torch.zeros(1, 2))
    for on in (None, square(), sg.Ball(torch.zeros(2), 1.0)):
        found = by_chords(graph, Place.of(graph, on), [0, 1], count=500)
        assert [f.convex for f in found.values()] == [None, None]
        assert all(f.concave is not None and f.concave.verify() for f in found.values())


def test_affine_functions_are_refuted_neither_way() -> None:
    net = nn.Sequential(nn.Linear(3, 50), nn.Linear(50, 4)).eval()  # float32 weights, rounding everywhere
    graph = sg.trace(net, torch.zeros(1, 3))
    found = by_chords(graph, Place.of(graph, None), range(4), count=300)
    assert all(f.convex is None and f.concave is None for f in found.values())
    cancelling = Apply(lambda x: (1e6 * x).relu() - (-1e6 * x).relu() - 1e6 * x)
    graph = sg.trace(cancelling.double().eval(), torch.zeros(1, 2).double())
    found = by_chords(graph, Place.of(graph, square()), [0, 1], count=300)
    assert all(f.convex is None and f.concave is None for f in found.values())


@pytest.mark.parametrize("function", [torch.tanh, torch.nn.functional.gelu, lambda x: x.sign(), lambda x: x * x.sin()])
def test_networks_that_are_not_piecewise_affine(function: object) -> None:
    graph = sg.trace(Apply(lambda x: 3 * function(3 * x)).double().eval(), torch.zeros(1, 1).double())  # type: ignore[operator]
    found = by_chords(graph, Place.of(graph, sg.Box(-torch.ones(1), torch.ones(1))), [0])[0]
    assert found.convex is not None
    assert found.concave is not None
    assert found.convex.verify()
    assert found.concave.verify()


@pytest.mark.parametrize(
    "on",
    [
        None,
        sg.Box(torch.tensor([0.0, -torch.inf]), torch.tensor([torch.inf, 1.0])),
        sg.Ball(torch.tensor([0.5, 0.5]), 0.4),
        sg.Segment(torch.tensor([0.0, 0.1]), torch.tensor([1.0, 0.8])),
        sg.Plane(torch.zeros(2), torch.tensor([1.0, 1]), torch.tensor([1.0, 0]), extent=(0.0, 1.0)),
        sg.Polytope(torch.cat([-torch.eye(2), torch.ones(1, 2)]), torch.tensor([0.0, 0, 2])),
        sg.Polytope(-torch.eye(2), torch.zeros(2)),
    ],
    ids=lambda on: type(on).__name__,
)
def test_witnesses_lie_in_the_domain(on: object) -> None:
    graph = dent(0.5, 0.4)
    found = by_chords(graph, Place.of(graph, on), [0])[0]
    assert found.convex is not None
    for point in (found.convex.x, found.convex.y):
        assert on is None or bool(on.contains(point[0], slack=1e-12))  # type: ignore[attr-defined]


def test_the_deadline_ends_the_search() -> None:
    graph = dent(0.3, 1e-7)
    assert by_chords(graph, Place.of(graph, square()), [0], deadline=time.monotonic() - 1)[0].convex is None


def test_a_planted_fault_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong gaps are not believed: a witness is worked out again before it counts."""
    plain = refuting._values
    monkeypatch.setattr(refuting, "_values", lambda graph, xs: plain(graph, xs) + torch.rand(len(xs[0]), 1))
    graph = sg.trace(Apply(lambda x: x.abs()).eval(), torch.zeros(1, 2))
    found = by_chords(graph, Place.of(graph, square()), [0, 1], count=16)
    assert [f.convex for f in found.values()] == [None, None]
