"""From codes to inequalities: the cells that they bound are the cells of the codes."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

import splinegraph as sg
from splinegraph.analyses.regions.cells import code_layers
from splinegraph.analyses.regions.geometry import hrep as module
from splinegraph.analyses.regions.geometry.chebyshev import chebyshev
from splinegraph.analyses.regions.geometry.facets import facets
from splinegraph.analyses.regions.geometry.hrep import hrep, hreps
from splinegraph.analyses.regions.geometry.polytopes import Floats, Polytopes
from splinegraph.core.domains.chart import Chart, chart_of
from splinegraph.core.domains.plane import Plane
from splinegraph.core.graph import SplineGraph
from splinegraph.core.values import Box
from splinegraph.errors import ShapeError, UnsupportedOperatorError
from tests.analyses.regions.nets import mlp
from tests.zoo import EXACT, ZOO, graph

FREE = 4
"""Free coordinates: the first of each input; the others stay at random values."""


def domain(shapes: tuple[tuple[int, ...], ...], seed: int = 0) -> tuple[Box, ...]:
    generator = torch.Generator().manual_seed(seed)
    boxes = []
    for shape in shapes:
        center = torch.randn(shape, generator=generator, dtype=torch.float64)
        radius = torch.zeros(math.prod(shape), dtype=torch.float64)
        radius[:FREE] = 1.0
        boxes.append(Box.around(center, radius=radius.reshape(shape)))
    return tuple(boxes)


def sample(chart: Chart, count: int, seed: int = 0) -> Floats:
    lower, upper = chart.lower.numpy(), chart.upper.numpy()
    return np.random.default_rng(seed).uniform(lower, upper, (count, chart.dim))


def codes_at(of: SplineGraph, chart: Chart, t: Floats) -> Floats:
    return sg.codes(of, *chart.lift(torch.from_numpy(t))).packed


@pytest.mark.parametrize("name", EXACT)
def test_a_ball_in_the_cell_has_its_code_and_all_codes_change_across_facets(name: str) -> None:
    of = graph(name)
    chart = chart_of(of, domain(ZOO[name].shapes))
    points = sample(chart, 12)
    packed = codes_at(of, chart, points)
    cells = hrep(of, chart, packed, points)
    assert cells.slacks(points).min() > 0
    centers, radii = chebyshev(cells, points)
    step = np.random.default_rng(1).normal(size=centers.shape)
    step *= (0.999 * radii / np.linalg.norm(step, axis=1))[:, None]
    np.testing.assert_array_equal(codes_at(of, chart, centers + step), packed)
    found = facets(cells, points)
    cell = np.repeat(np.arange(12), np.diff(found.offsets))
    normal, reach = cells.G[found.row], np.minimum(1e-7, 1e-2 * found.radii)[:, None]
    within, beyond = (codes_at(of, chart, found.points + sign * reach * normal) for sign in (-1.0, 1.0))
    np.testing.assert_array_equal(within, packed[cell])
    changed = (beyond != packed[cell]).any(1)
    assert (changed | (cells.layer[found.row] < 0)).all()
    # what changes is the layer that the row names; those before it stay
    layers = code_layers(of)
    for f in np.flatnonzero(changed & (cells.layer[found.row] >= 0)):
        layer = layers[cells.layer[found.row[f]]]
        assert (beyond[f, : layer.start] == packed[cell[f], : layer.start]).all()
        assert (beyond[f, layer.start : layer.stop] != packed[cell[f], layer.start : layer.stop]).any()


@pytest.mark.parametrize("name", EXACT)
def test_points_satisfy_the_rows_of_a_code_iff_they_have_it(name: str) -> None:
    of = graph(name)
    chart = chart_of(of, domain(ZOO[name].shapes))
    points, others = sample(chart, 4), sample(chart, 300, seed=7)
    others[:200] = points[np.arange(200) % 4] + 0.1 * (others[:200] - points[np.arange(200) % 4])
    packed, theirs = codes_at(of, chart, points), codes_at(of, chart, others)
    cells = hrep(of, chart, packed)  # from the codes alone
    for i, (G, h) in enumerate(cells):
        slack = (h - others @ G.T).min(1)
        sure = np.abs(slack) > 1e-9
        assert sure.any()
        np.testing.assert_array_equal((slack > 0)[sure], (theirs == packed[i]).all(1)[sure])


def traced(model: nn.Module, *shape: int) -> SplineGraph:
    return sg.trace(model.eval(), torch.zeros(1, *shape, dtype=torch.float64))


def square(dim: int) -> Box:
    return Box(-torch.ones(dim, dtype=torch.float64), torch.ones(dim, dtype=torch.float64))


def as_lists(cells: Polytopes) -> list[list[float]]:
    rows: list[list[float]] = np.c_[cells.G, cells.h, cells.layer, cells.unit].round(12).tolist()
    return rows


def test_rows_are_named_and_in_order() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Hardtanh()).double()
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[2.0, 0], [0, 4.0]]))
        model[0].bias.copy_(torch.tensor([0.5, 0.0]))
    of = traced(model, 2)
    cells = hrep(of, chart_of(of, square(2)), points=np.array([[0.0, 0.0], [0.9, 0.0]]))
    own = [[-1, 0, 1, -1, 0], [0, -1, 1, -1, 1], [1, 0, 1, -1, 2], [0, 1, 1, -1, 3]]
    inner = [[1, 0, 0.25, 0, 0], [-1, 0, 0.75, 0, 0], [0, 1, 0.25, 0, 1], [0, -1, 0.25, 0, 1]]
    assert sorted(as_lists(cells[0])[4:]) == sorted(inner)
    assert as_lists(cells[0])[:4] == own == as_lists(cells[1])[:4]
    assert sorted(as_lists(cells[1])[4:]) == sorted([[-1, 0, -0.25, 0, 0], *inner[2:]])


def test_parts_agree_with_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    of = graph("cnn")
    chart = chart_of(of, domain(ZOO["cnn"].shapes))
    points = sample(chart, 7)
    whole = hrep(of, chart, points=points)
    parts = list(hreps(of, chart, points=points, batch_size=3))
    assert [(p.start, p.stop) for p, _ in parts] == [(0, 3), (3, 6), (6, 7)]
    joined = Polytopes.concat([part for _, part in parts])
    np.testing.assert_array_equal(joined.offsets, whole.offsets)
    np.testing.assert_allclose(joined.G, whole.G, atol=1e-13)
    np.testing.assert_allclose(joined.h, whole.h, atol=1e-13)
    monkeypatch.setattr(module, "ENTRIES", 1)
    assert len(list(hreps(of, chart, points=points))) == 7


def test_data_and_conditions_give_the_same_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("mlp", "hardtanh", "cnn", "rnn"):
        of = graph(name)
        chart = chart_of(of, domain(ZOO[name].shapes))
        points = sample(chart, 5)
        quick = hrep(of, chart, points=points)
        with monkeypatch.context() as patch:
            patch.setattr(module._Pass, "_breaks", lambda *_: None)
            slow = hrep(of, chart, points=points)
        np.testing.assert_array_equal(quick.offsets, slow.offsets)
        for i in range(5):
            a, b = (np.array(sorted(as_lists(cells[i]))) for cells in (quick, slow))
            np.testing.assert_allclose(a, b, atol=1e-12)


def test_a_slice_through_many_dimensions() -> None:
    of = traced(mlp(40, 12, 12, 2), 40)
    corners = torch.randn(3, 40, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    chart = chart_of(of, Plane.through(*corners))
    points = sample(chart, 30)
    packed = codes_at(of, chart, points)
    cells = hrep(of, chart, packed, points)
    centers, radii = chebyshev(cells, points)
    inside = np.random.default_rng(0).normal(size=(30, 2))
    inside *= (0.99 * radii / np.linalg.norm(inside, axis=1))[:, None]
    np.testing.assert_array_equal(codes_at(of, chart, centers + inside), packed)


def degenerate(kind: str) -> nn.Sequential:
    model = mlp(3, 6, 6, 2, seed=4)
    first, second = model[0], model[2]
    with torch.no_grad():
        if kind == "no bias":
            first.bias.zero_()
            second.bias.zero_()
        elif kind == "doubled":
            first.weight[3:] = first.weight[:3]
            first.bias[3:] = first.bias[:3]
            second.weight[3:] = -2 * second.weight[:3]
            second.bias[3:] = -2 * second.bias[:3]
        elif kind == "dead":
            first.weight[:2] = 0
            first.bias[:2] = torch.tensor([0.0, -100.0])
            second.weight[2] = 0
            second.bias[2] = 0
        elif kind == "integer":
            for layer in (first, second):
                layer.weight.copy_((3 * layer.weight).round())
                layer.bias.copy_((2 * layer.bias).round())
    return model


@pytest.mark.parametrize("kind", ["no bias", "doubled", "dead", "integer"])
def test_degenerate_networks(kind: str) -> None:
    of = traced(degenerate(kind), 3)
    chart = chart_of(of, square(3))
    points = sample(chart, 40)
    packed = codes_at(of, chart, points)
    cells = hrep(of, chart, packed, points)
    centers, radii = chebyshev(cells, points)
    assert radii.min() > 1e-6
    step = np.random.default_rng(1).normal(size=centers.shape)
    step *= (0.99 * radii / np.linalg.norm(step, axis=1))[:, None]
    np.testing.assert_array_equal(codes_at(of, chart, centers + step), packed)
    if kind == "dead":  # rows that hold everywhere are no rows
        assert not (cells.unit[cells.layer == 0] == 0).any()
    if kind == "doubled":
        found = facets(cells, points)
        rows = [found.rows(f) for f in range(len(found)) if cells.layer[found.row[f]] == 0]
        assert rows
        assert all(sorted(cells.unit[r] % 3) == [cells.unit[r[0]] % 3] * 2 for r in rows)


def test_a_code_that_no_point_has_has_no_cell() -> None:
    of = traced(degenerate("dead"), 3)
    chart = chart_of(of, square(3))
    packed = codes_at(of, chart, np.zeros((1, 3)))
    packed[0, 0] |= 0b01000000  # the unit that is -100 everywhere is on
    cells = hrep(of, chart, packed)
    assert [-0.0, -0.0, -0.0, -100.0, 0.0, 1.0] in as_lists(cells)  # 0 <= -100
    assert chebyshev(cells)[1][0] < 0
    packed = codes_at(of, chart, np.zeros((1, 3)))
    packed[0, 0] |= 0b10000000  # the unit that is zero everywhere: it may be on as well as off
    assert chebyshev(hrep(of, chart, packed))[1][0] > 0


def test_float32_weights_and_unbounded_domains() -> None:
    of = sg.trace(mlp(3, 5, 2).float(), torch.zeros(1, 3))
    everywhere = Box.everything((3,))
    chart = chart_of(of, everywhere)
    points = np.random.default_rng(0).normal(size=(5, 3))
    cells = hrep(of, chart, points=points)
    assert cells.G.dtype == np.float64
    assert np.diff(cells.offsets).tolist() == [5] * 5  # no rows of its own
    assert cells.slacks(points).min() > 0
    assert module.size_of(chart) == 1.0


def bad(call: Callable[[SplineGraph, Chart], object], what: str) -> None:
    of = traced(mlp(3, 5, 2), 3)
    with pytest.raises(ShapeError, match=what):
        call(of, chart_of(of, square(3)))


def test_bad_input() -> None:
    bad(lambda of, chart: hrep(of, chart), "no cells")
    bad(lambda of, chart: hrep(of, chart, np.zeros((2, 9), dtype=np.uint8)), "codes of shape")
    bad(lambda of, chart: hrep(of, chart, points=np.zeros((2, 2))), "points of shape")
    bad(lambda of, chart: hrep(of, chart, np.zeros((2, 1), dtype=np.uint8), np.zeros((3, 3))), "2 codes for 3 points")
    smooth = traced(nn.Sequential(nn.Linear(3, 2), nn.Tanh()).double(), 3)
    with pytest.raises(UnsupportedOperatorError, match=r"not piecewise affine at node 'tanh'.*sg\.spline"):
        hrep(smooth, chart_of(smooth, square(3)), points=np.zeros((1, 3)))
