"""What figures of partitions show: every part of the domain in the color of its class, the exact boundary, the data."""

from __future__ import annotations

import functools
import itertools
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from torch import nn

import splinegraph as sg
from splinegraph.analyses.regions.enumerate import enumerate_regions
from splinegraph.analyses.regions.figures.colors import LIGHT, MUTED, PALE, apart, class_colors, rgb, shaded
from splinegraph.analyses.regions.figures.faces import Faces, area, class_pieces, scores
from splinegraph.analyses.regions.figures.line import breakpoints
from splinegraph.analyses.regions.figures.plot import plot_histograms, plot_partition
from splinegraph.analyses.regions.partition.partition import Partition
from splinegraph.core.domains.plane import Plane
from splinegraph.core.domains.segment import Segment
from splinegraph.errors import DomainError, SplineGraphError


def net(*widths: int, seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(widths):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*layers[:-1]).double().eval()


@functools.cache
def square(outputs: int, method: Any = "auto") -> Partition:
    graph = sg.trace(net(2, 8, 8, outputs, seed=4), torch.zeros(1, 2, dtype=torch.float64))
    box = sg.Box(torch.full((2,), -3.0), torch.full((2,), 2.0))
    return enumerate_regions(graph, box, method=method, verify=False)


@pytest.mark.slow
@pytest.mark.parametrize("outputs", [1, 2, 5])
@pytest.mark.parametrize("method", ["mesh", "search"])
def test_pieces_fill_the_domain_and_have_the_class_of_every_point(outputs: int, method: str) -> None:
    partition = square(outputs, method)
    pieces = class_pieces(partition, Faces.of(partition))
    assert sum(map(area, pieces.corners)) == pytest.approx(25.0, rel=1e-9)
    assert len(np.unique(pieces.classes)) > 1
    weights = np.random.default_rng(0)
    inside = np.array([weights.dirichlet(np.ones(len(p))) @ p for p in pieces.corners])
    assert np.array_equal(scores(partition, inside).argmax(1), pieces.classes)
    found = partition.locate(torch.from_numpy(inside)).cells
    assert np.array_equal(found, pieces.cells)


@pytest.mark.parametrize("outputs", [1, 2, 5])
def test_the_boundary_is_where_two_classes_tie_and_all_of_it(outputs: int) -> None:
    partition = square(outputs)
    boundary = class_pieces(partition, Faces.of(partition)).boundary
    middles = boundary.mean(1)
    best = np.sort(scores(partition, middles), axis=1)
    assert np.abs(best[:, -1] - best[:, -2]).max() < 1e-12
    length = np.linalg.norm(boundary[:, 1] - boundary[:, 0], axis=1).sum()
    exact = sum(crossing.length for crossing in partition.decision_boundary().values())
    assert length == pytest.approx(exact, rel=1e-9)


def test_a_class_that_wins_in_the_middle_of_a_face_only() -> None:
    class Tent(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            a = x[:, :1]
            return torch.cat([a, -a, 0 * a + 0.1], dim=1) + torch.relu(x[:, 1:2] - 10)

    graph = sg.trace(Tent().eval(), torch.zeros(1, 2, dtype=torch.float64))
    partition = enumerate_regions(graph, sg.Box(torch.full((2,), -1.0), torch.full((2,), 1.0)))
    assert partition.count == 1
    pieces = class_pieces(partition, Faces.of(partition))
    areas = {c: area(p) for c, p in zip(pieces.classes.tolist(), pieces.corners, strict=True)}
    assert areas == pytest.approx({0: 1.8, 1: 1.8, 2: 0.4})
    assert len(pieces.boundary) == 2


@pytest.mark.parametrize("color", ["class", "norm", "region"])
@pytest.mark.parametrize("outputs", [1, 5])
def test_a_plane(color: Any, outputs: int) -> None:
    partition = square(outputs)
    data = torch.tensor([[0.0, 0.5], [9.0, 9.0], [1.0, -1.0]])
    ax = plot_partition(partition, color=color, data=data, labels=["in", "out", "too"])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x[0]", "x[1]")
    assert ax.get_xlim() == ax.get_ylim() == (-3.0, 2.0)
    assert f"{partition.count} activation cells" in ax.get_title()
    (points,) = ax.collections
    assert np.asarray(points.get_offsets()).tolist() == [[0.0, 0.5], [1.0, -1.0]]
    texts = [text.get_text() for text in ax.texts]
    assert "in" in texts
    assert "out" not in texts
    legend = ax.get_legend()
    if color == "class":
        assert legend is not None
        present = np.unique(class_pieces(partition, Faces.of(partition)).classes).tolist()
        names = ["f ≤ 0", "f > 0"] if outputs == 1 else [f"class {c}" for c in present]
        assert [text.get_text() for text in legend.get_texts()] == names
    elif color == "norm":
        assert "affine map" in ax.child_axes[0].get_ylabel()
    else:
        assert f"{partition.maximal_count} maximal linear regions" in ax.get_title()
    ax.figure.canvas.draw()


def test_what_is_drawn_has_the_color_of_its_class() -> None:
    partition = square(5)
    ax = plot_partition(partition)
    ax.figure.set_dpi(60)
    ax.figure.canvas.draw()
    image = np.asarray(ax.figure.canvas.buffer_rgba())[::-1, :, :3] / 255  # type: ignore[attr-defined]
    draw = np.random.default_rng(0).uniform(-2.9, 1.9, (400, 2))
    classes = scores(partition, draw).argmax(1)
    places = ax.transData.transform(draw).astype(int)
    palette = class_colors(np.unique(class_pieces(partition, Faces.of(partition)).classes).tolist())
    names = list(palette)
    shown = image[places[:, 1], places[:, 0]]
    distance = np.linalg.norm(shown[:, None] - np.array([to_rgb(palette[c]) for c in names])[None], axis=2)
    clear = distance.min(1) < 0.15  # neither a line nor a letter
    assert clear.mean() > 0.5
    nearest = np.array(names)[distance.argmin(1)]
    assert (nearest[clear] == classes[clear]).mean() > 0.97


def test_neighbors_differ_and_few_colors_do() -> None:
    partition = square(5)
    pairs = np.asarray(partition.adjacency.pairs)
    numbers = apart(partition.count, pairs)
    assert (numbers[pairs[:, 0]] != numbers[pairs[:, 1]]).all()
    assert numbers.max() < 6
    assert np.bincount(numbers).min() > 0


def test_colors() -> None:
    assert len({*LIGHT, *MUTED}) == 16
    assert len({*class_colors(range(16)).values()}) == 16
    assert class_colors([3, 8])[3] == class_colors([3])[3]
    assert len({*class_colors([1, 17, 33]).values()}) == 3
    assert class_colors([3, 7]) == class_colors([7, 3])
    base = np.array([rgb(color) for color in PALE])
    changed = shaded(base, np.arange(len(base)))
    assert ((changed >= 0) & (changed <= 1)).all()
    assert 0 < np.abs(changed - base).max() <= 0.1
    assert np.array_equal(changed, shaded(base, np.arange(len(base))))


def test_a_plane_of_inputs_and_a_segment() -> None:
    graph = sg.trace(net(4, 8, 8, 3), torch.zeros(1, 4, dtype=torch.float64))
    torch.manual_seed(1)
    points = torch.randn(3, 4, dtype=torch.float64)
    plane = enumerate_regions(graph, Plane.through(*points), verify=False)
    ax = plot_partition(plane, data=points, labels="abc")
    assert "input units" in ax.get_xlabel()
    assert len(ax.collections[0].get_offsets()) == 3
    assert not plot_partition(plane, data=points + 5).collections
    line = enumerate_regions(graph, Segment(points[0], points[1]), verify=False)
    ends = breakpoints(line)
    assert (ends[0], ends[-1], len(ends)) == (0.0, 1.0, line.count + 1)
    assert (np.diff(ends) > 0).all()
    inside = ends[:-1, None] + np.diff(ends)[:, None] * np.array([1e-6, 1 - 1e-6])
    for cell, both in enumerate(inside):
        assert (sg.codes(graph, *line.chart.lift(torch.from_numpy(both[:, None]))).packed == line.packed[cell]).all()
    ax = plot_partition(line, data=points[:2], labels="ab")
    assert len(ax.lines) >= 3
    ax.figure.canvas.draw()


def test_histograms() -> None:
    partition = square(5)
    figure = plot_histograms(partition)
    assert len(figure.axes) == 5
    for ax in figure.axes[:4]:
        assert sum(patch.get_height() for patch in ax.patches) == partition.count
    bars = figure.axes[4].patches
    assert [bar.get_height() for bar in bars] == np.unique(partition.classes(), return_counts=True)[1].tolist()
    figure.canvas.draw()
    assert len(plot_histograms(square(1), facets=False, volumes=False).axes) == 3


def test_a_color_that_is_none_is_refused() -> None:
    with pytest.raises(SplineGraphError, match="'class', 'norm', 'region'"):
        plot_partition(square(2), color="foo")  # type: ignore[arg-type]


def test_three_coordinates_are_no_picture() -> None:
    graph = sg.trace(net(3, 4, 2), torch.zeros(1, 3, dtype=torch.float64))
    cube = enumerate_regions(graph, sg.Box(torch.full((3,), -1.0), torch.full((3,), 1.0)), verify=False)
    with pytest.raises(DomainError, match="no picture"):
        plot_partition(cube)
    assert len(plot_histograms(cube).axes) == 5
