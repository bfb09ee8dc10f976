"""Maps, inequalities and codes of cells for every kind of operator and batch layout."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch

from splinegraph.analyses.affine_map import affine_map
from splinegraph.analyses.codes import codes
from splinegraph.analyses.regions.cells import Cells, code_layers
from splinegraph.analyses.regions.partition.beyond import codes_beyond
from splinegraph.analyses.regions.partition.exact import ExactCell, exact_cell
from splinegraph.analyses.regions.partition.partition import Partition
from splinegraph.core.domains.chart import Chart, chart_of
from splinegraph.core.domains.segment import Segment
from tests import zoo

NETS = [name for name in zoo.EXACT if len(zoo.ZOO[name].shapes) == 1]


@functools.cache
def on_a_segment(name: str, count: int = 6) -> Partition:
    """Return the cells of some points of a segment, as if they were all."""
    graph = zoo.graph(name)
    start, end = (x[0] for x in zoo.inputs(name, 2)[0].split(1))
    chart = chart_of(graph, Segment(start, end))
    t = torch.linspace(0.01, 0.99, count, dtype=torch.float64)[:, None]
    packed = codes(graph, *chart.lift(t)).packed
    return Partition.of(graph, chart, None, code_layers(graph), Cells(packed, t.numpy(), np.full(count, np.nan)))


@pytest.mark.parametrize("name", NETS)
def test_maps_are_those_of_the_inputs_pulled_back(name: str) -> None:
    partition = on_a_segment(name)
    graph, chart = partition.graph, partition.chart
    xs = chart.lift(torch.from_numpy(partition.points))
    dense = affine_map(graph, *xs).dense()
    A = dense.A.detach().reshape(len(partition), -1, chart.entries).numpy() @ chart.directions.numpy().T
    maps = partition.affine_maps()
    assert np.allclose(maps.A, A, rtol=0, atol=1e-12)
    assert np.allclose(maps(partition.points), graph(*xs).detach().reshape(len(partition), -1), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", NETS)
def test_exact_maps_and_inequalities_are_those_of_floats(name: str) -> None:
    partition = on_a_segment(name)
    maps = partition.affine_maps()
    for i in (0, 5):
        cell = exact_cell(partition, i)
        assert np.allclose(np.array(cell.A, dtype=float), maps.A[i], rtol=0, atol=1e-12)
        assert np.allclose(np.array(cell.b, dtype=float), maps.b[i], rtol=0, atol=1e-12)
        G, h = np.array(cell.G, dtype=float)[:, 0], np.array(cell.h, dtype=float)
        ends = max(h[G < 0] / G[G < 0]), min(h[G > 0] / G[G > 0])
        assert ends[0] < partition.points[i, 0] < ends[1]
        assert not cell.empty


@pytest.mark.parametrize("name", NETS)
def test_an_infinitely_small_step_from_inside_stays_inside(name: str) -> None:
    partition = on_a_segment(name)
    found = codes_beyond(partition.graph, partition.chart, partition.layers, partition.points, np.ones((6, 1)))
    assert np.array_equal(found, partition.packed)


@pytest.mark.parametrize("name", NETS)
def test_an_infinitely_small_step_across_the_end_is_a_small_one(name: str) -> None:
    """From the exact end of a cell, to both sides."""
    partition = on_a_segment(name)
    chart: Chart = partition.chart
    cells = [exact_cell(partition, i) for i in (0, 2, 4)]
    ends = {float(h / row[0]) for cell in cells for row, h in zip(cell.G, cell.h, strict=True)}
    ends = {t for t in ends if _touches(t, cells) and 1e-6 < t < 1 - 1e-6}
    assert ends or len(np.unique(partition.packed, axis=0)) == 1
    for t in ends:
        for way in (1.0, -1.0):
            ahead = codes(partition.graph, *chart.lift(torch.tensor([[t + way * 1e-7]]).double())).packed
            found = codes_beyond(partition.graph, chart, partition.layers, np.array([[t]]), np.array([[way]]))
            assert np.array_equal(found, ahead)


def _touches(t: float, cells: list[ExactCell]) -> bool:
    """Return whether t is an end of one of the cells."""
    return any(
        all(float(row[0]) * t <= float(h) + 1e-9 for row, h in zip(cell.G, cell.h, strict=True)) for cell in cells
    )
