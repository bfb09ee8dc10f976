"""Lines that meet where they should not: through one point, on one another, in the rim, almost parallel."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from splinegraph.analyses.affine_map import affine_map
from splinegraph.analyses.regions.mesh.mesh import MeshResult
from splinegraph.core.domains.chart import Chart
from splinegraph.core.graph import SplineGraph
from tests.analyses.regions.mesh.oracles import (
    assert_codes,
    assert_exact,
    assert_tiles,
    linear,
    mlp,
    run,
    unpacked,
)


def linears(net: nn.Sequential) -> list[nn.Linear]:
    return [m for m in net if isinstance(m, nn.Linear)]


def assert_affine(graph: SplineGraph, chart: Chart, result: MeshResult) -> None:
    """Assert that the network at the corners of each face is the affine map of a point inside."""
    m = result.mesh
    thick = result.cells.radii > 1e-9
    owner = np.repeat(np.arange(len(m)), np.diff(m.offsets))
    local = affine_map(graph, *chart.lift(torch.from_numpy(result.cells.points))).dense()
    x = chart.lift(torch.from_numpy(m.vertices))[0]
    y = graph(x).detach().flatten(1)
    A, b = local.A.detach().flatten(2), local.b.detach().flatten(1)
    at = torch.einsum("hij,hj->hi", A[owner], x.flatten(1)[m.corners]) + b[owner]
    gap = (at - y[m.corners]).abs().amax(1) / y.abs().max()
    assert float(gap[thick[owner]].max()) < 1e-9


@pytest.mark.parametrize("sizes", [(2, 16, 16, 1), (2, 24, 24, 24, 1)])
def test_zero_bias(sizes: tuple[int, ...]) -> None:
    net = mlp(*sizes)
    for m in linears(net):
        nn.init.zeros_(m.bias)
    graph, chart, result = run(net)
    assert sizes != (2, 16, 16, 1) or len(result.mesh) == 62
    assert_exact(graph, chart, result)
    # all cells are cones: each has a corner at the origin
    corners = result.mesh.vertices[result.mesh.corners]
    at_origin = np.add.reduceat((np.abs(corners).max(1) < 1e-9).astype(int), result.mesh.offsets[:-1])
    assert (at_origin == 1).all()


def test_duplicate_negated_and_dead_units() -> None:
    net = mlp(2, 8, 8, 1)
    first, second, _ = linears(net)
    clean = len(run(mlp(2, 8, 8, 1))[2].mesh)
    wide = nn.Sequential(nn.Linear(2, 20), nn.ReLU(), nn.Linear(20, 20), nn.ReLU(), nn.Linear(20, 1)).double()
    one, two, last = linears(wide)
    with torch.no_grad():
        for m in (one, two, last):
            m.weight.zero_()
            m.bias.zero_()
        for start in (0, 8):
            one.weight[start : start + 8], one.bias[start : start + 8] = first.weight, first.bias
            two.weight[start : start + 8, :8], two.bias[start : start + 8] = second.weight, second.bias
        one.weight[16:18], one.bias[16:18] = -first.weight[:2], -first.bias[:2]
        one.bias[18], one.bias[19] = 1.0, -1.0
        two.weight[16:18, :8], two.bias[16:18] = -3 * second.weight[:2], -3 * second.bias[:2]
    _, chart, result = run(wide)
    assert len(result.mesh) == clean
    assert_tiles(chart, result)
    assert len(np.unique(result.cells.packed, axis=0)) == clean


@pytest.mark.parametrize("seed", range(8))
def test_integer_weights(seed: int) -> None:
    net = mlp(2, 8, 8, 8, 1, seed=seed)
    with torch.no_grad():
        for m in linears(net):
            m.weight.copy_((m.weight * 4).round())
            m.bias.copy_((m.bias * 3).round())
    graph, chart, result = run(net)
    assert result.anomalies == 0
    assert_tiles(chart, result)
    assert len(np.unique(result.cells.packed, axis=0)) == len(result.mesh)
    assert_affine(graph, chart, result)


def test_lines_in_the_rim_or_through_a_corner_cut_nothing() -> None:
    net = nn.Sequential(linear([[1, 1], [1, 0], [0, 1], [-1, 0], [2, -1]], [-2, -1, 1, -1, -3]), nn.ReLU())
    _, chart, result = run(net)
    assert len(result.mesh) == 1
    assert_tiles(chart, result)


def test_a_line_through_two_corners() -> None:
    graph, chart, result = run(nn.Sequential(linear([[1, 1], [1, -1], [3, 3]]), nn.ReLU()))
    assert len(result.mesh) == 4
    assert len(result.mesh.vertices) == 5
    assert_exact(graph, chart, result)


def test_many_lines_through_one_point_off_the_center() -> None:
    angle = torch.linspace(0, 3.0, 40, dtype=torch.float64)
    weight = torch.stack([angle.cos(), angle.sin()], 1)
    point = torch.tensor([0.3, -0.21], dtype=torch.float64)
    net = nn.Sequential(linear(weight.tolist(), (-weight @ point).tolist()), nn.ReLU())
    graph, chart, result = run(net)
    assert len(result.mesh) == 80
    assert_exact(graph, chart, result)


@pytest.mark.parametrize("gap", [1e-3, 1e-6, 1e-9])
def test_slivers(gap: float) -> None:
    net = nn.Sequential(linear([[1, 0.3], [1, 0.3], [0.2, 1]], [0.1, 0.1 - gap, 0]), nn.ReLU())
    graph, chart, result = run(net)
    assert len(result.mesh) == 6
    assert_tiles(chart, result)
    assert_codes(graph, chart, result)
    thin = np.sort(result.cells.radii)[:2]
    assert (thin > 0.4 * gap / np.hypot(1, 0.3)).all()
    assert (thin < 0.6 * gap / np.hypot(1, 0.3)).all()


def test_lines_that_almost_coincide_and_cross() -> None:
    e = 1e-9
    net = nn.Sequential(linear([[1, 0.3], [1, 0.3 + e], [1, 0.3 - e]]), nn.ReLU(), nn.Linear(3, 8), nn.ReLU()).double()
    graph, chart, result = run(net)
    assert len({tuple(code[:3]) for code in unpacked(graph, result)}) == 6
    assert_tiles(chart, result)


def test_lines_that_coincide_across_layers() -> None:
    # the second layer is zero just where the first is, and where unit 0 meets unit 1 (x = 0.25)
    net = nn.Sequential(
        linear([[1, 0], [-1, 0], [0, 1]], [0, 0.5, 0]),
        nn.ReLU(),
        linear([[1, 0, 0], [1, -1, 0], [0, 0, 1], [0, 0, -2]], [0, 0, 0, 0]),
        nn.ReLU(),
    )
    _, chart, result = run(net)
    # x: cuts at 0, 0.5 (first), 0.25 (second); y: 0
    assert len(result.mesh) == 4 * 2
    assert_tiles(chart, result)


def test_a_value_that_is_zero_on_a_cell_takes_the_left_piece() -> None:
    net = nn.Sequential(linear([[1, 0]]), nn.ReLU(), linear([[1]]), nn.ReLU())
    graph, _, result = run(net)
    assert unpacked(graph, result) == {(0, 0), (1, 1)}


def test_weights_of_many_scales() -> None:
    net = mlp(2, 12, 12, 1)
    first, second, _ = linears(net)
    before = unpacked(*run(net)[::2])
    with torch.no_grad():
        scale = 10.0 ** torch.linspace(-120, 120, 12, dtype=torch.float64)
        first.weight *= scale[:, None]
        first.bias *= scale
        second.weight /= scale
    assert unpacked(*run(net)[::2]) == before
