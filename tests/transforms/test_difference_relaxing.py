"""Relaxations on a box: on the right side everywhere, certified in shape, never looser than intervals."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor, nn

from splinegraph.analyses.convexity.curvature import propagate
from splinegraph.analyses.lipschitz.intervals import intervals
from splinegraph.core.graph import SplineGraph
from splinegraph.core.values import Box, Curvature
from splinegraph.errors import DomainError
from splinegraph.tracers.tracing import trace
from splinegraph.transforms.difference import relaxing
from splinegraph.transforms.difference.difference import difference_of_convex
from splinegraph.transforms.difference.forms import forms
from tests import zoo

SLACK = 1e-12
"""Rounding of the values themselves; bounds hold for exact ones."""


def box_of(graph: SplineGraph, radius: float = 0.5) -> tuple[Box, ...]:
    return tuple(Box.around(torch.zeros(s, dtype=torch.float64), radius=radius) for s in graph.input_shapes)


def points(boxes: tuple[Box, ...]) -> list[Tensor]:
    """Random points, and random vertices, where affine bounds are attained."""
    found = []
    for box in boxes:
        inner = box.sample(200)
        corners = torch.where(torch.rand_like(inner) < 0.5, box.lower, box.upper)
        found.append(torch.cat([inner, corners]))
    return found


def several(values: object) -> tuple[Tensor, ...]:
    return values if isinstance(values, tuple) else (values,)  # type: ignore[return-value]


@pytest.mark.parametrize(
    "name",
    [
        "hardtanh",
        "maximum",
        "two",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("cnn", "concat", "leaky")),
    ],
)
def test_relaxations(name: str) -> None:
    graph = zoo.graph(name)
    boxes = box_of(graph)
    found = difference_of_convex(graph, boxes).relaxed()
    xs = points(boxes)
    bounds = intervals(graph, boxes)
    for f, below, above, output in zip(
        *(several(g(*xs)) for g in (graph, found.below, found.above)), graph.outputs, strict=True
    ):
        assert bool((below <= f + SLACK).all())
        assert bool((f <= above + SLACK).all())
        assert bool((below >= bounds[output].lower - SLACK).all())
        assert bool((above <= bounds[output].upper + SLACK).all())
    for side, flag in ((found.below, Curvature.CONVEX), (found.above, Curvature.CONCAVE)):
        flags = propagate(side, boxes)
        assert all(bool(flag.held_by(flags[output]).all()) for output in side.outputs)


@pytest.mark.parametrize("vertices", [0, 1024])
def test_both_ways_to_find_planes(vertices: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relaxing, "VERTICES", vertices)
    graph = zoo.graph("mlp")
    difference = difference_of_convex(graph)
    (box,) = boxes = box_of(graph)
    corners = torch.tensor(list(itertools.product(*zip(*box, strict=True))), dtype=torch.float64)
    x = torch.cat([corners, box.sample(500)])
    for side in (difference.g, difference.h):
        (plane,) = relaxing._planes(side, boxes)
        height = x @ plane[:-1].flatten(1) + plane[-1]
        gap = (height - side(x)).detach()
        assert bool((gap >= -SLACK).all())
        if vertices:  # no plane above the vertices is lower in the middle: it touches them
            assert float(gap[: len(corners)].amin(0).max()) < 1e-6


def test_forms_are_around_the_values_of_every_output() -> None:
    for name in ("mlp", "hardtanh", "maximum", "gelu"):
        graph = zoo.graph(name)
        boxes = box_of(graph, 0.7)
        xs = points(boxes)
        flat = torch.cat([x.flatten(1) for x in xs] + [torch.ones(len(xs[0]), 1, dtype=torch.float64)], 1)
        for value, found in zip(several(graph(*xs)), forms(graph, boxes), strict=True):
            low, high = (flat @ rows.flatten(1) for rows in (found.below, found.above))
            assert bool((low <= value.flatten(1) + SLACK).all())
            assert bool((value.flatten(1) <= high + SLACK).all())


def test_the_gap_closes_on_small_boxes_where_intervals_stay_behind() -> None:
    graph = zoo.graph("mlp")
    difference = difference_of_convex(graph)
    for radius in (0.5, 0.1):
        (box,) = boxes = box_of(graph, radius)
        found = difference.relaxed(box)
        x = box.sample(200)
        gap = float((found.above(x) - found.below(x)).detach().mean())
        bounds = intervals(graph, boxes)[graph.outputs[0]]
        assert gap < 0.5 * float((bounds.upper - bounds.lower).mean())


def test_a_wrong_plane_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted fault: planes below g and h."""
    graph = zoo.graph("mlp")
    boxes = box_of(graph)
    right = relaxing._planes
    monkeypatch.setattr(relaxing, "_planes", lambda g, b: [p - 0.5 * (p.abs().amax()) for p in right(g, b)])
    found = difference_of_convex(graph, boxes).relaxed()
    x = points(boxes)[0]
    assert not bool((found.below(x) <= graph(x) + SLACK).all())


def test_domains_that_do_not_do() -> None:
    graph = trace(nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)).eval(), torch.zeros(1, 2))
    with pytest.raises(DomainError, match=r"a relaxation needs a bounded box.*give on=Box"):
        difference_of_convex(graph).relaxed()
    inner = difference_of_convex(graph, Box([-1.0, -1.0], [1.0, 1.0]))
    with pytest.raises(DomainError, match="not inside the domain of the difference"):
        inner.relaxed(Box([-2.0, -1.0], [1.0, 1.0]))
    assert "convex below" in repr(inner.relaxed(Box([-0.5, -0.5], [1.0, 1.0])))
