"""Domains far from the origin: a network and its domain moved together have the same cells, or the checks tell."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.analyses.regions.cells import Cells
from splinegraph.analyses.regions.mending.mending import mend
from splinegraph.analyses.regions.tolerances import blur
from splinegraph.analyses.regions.verify.codes import WIDE
from splinegraph.analyses.regions.verify.verify import verify
from splinegraph.core.domains.chart import chart_of
from tests.analyses.regions.nets import degenerate, family
from tests.analyses.regions.partition.brute import function


class Moved(nn.Module):
    """The network around c."""

    def __init__(self, net: nn.Module, c: float) -> None:
        super().__init__()
        self.net, self.c = net, c

    def forward(self, x: Tensor) -> Tensor:
        value: Tensor = self.net(x - self.c)
        return value


def cells(net: nn.Module, c: float, dim: int = 2, **asked: Any) -> sg.Partition:
    graph = sg.trace(Moved(net, c).eval(), torch.zeros(1, dim, dtype=torch.float64))
    one = torch.ones(dim, dtype=torch.float64)
    return sg.enumerate_regions(graph, sg.Box(c - one, c + one), **asked)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "c"), [("relu", -1e4), ("relu", 1e6), ("pooled", 1e6), ("sorted", 1e6)])
@pytest.mark.parametrize("method", ["mesh", "search", "stream"])
def test_moved_networks_have_the_same_cells(name: str, method: Any, c: float) -> None:
    net = family(name, 2, 10)
    near, far = (cells(net, shift, method=method, verify="full") for shift in (0.0, c))
    assert far.verified, far.verified
    assert far.count == near.count
    assert far.maximal_count == near.maximal_count


@pytest.mark.parametrize("kind", ["zero bias", "twins"])
@pytest.mark.parametrize("method", ["mesh", "search", "stream"])
def test_moved_lines_still_meet_in_a_point(kind: str, method: Any) -> None:
    net = degenerate(family("relu", 2, 10), kind)
    near, far = (cells(net, shift, method=method) for shift in (0.0, 1e6))
    assert far.verified, far.verified
    assert far.count == near.count


@pytest.mark.parametrize("dim", [1, 3])
def test_other_dimensions(dim: int) -> None:
    net = family("relu", dim, 8)
    near, far = (cells(net, shift, dim, verify="full") for shift in (0.0, 1e6))
    assert far.verified, far.verified
    assert far.count == near.count


def test_no_coordinate_is_finer_than_rounding() -> None:
    """So far away that the domain is some hundred numbers wide: what comes out is not said to be right."""
    far = cells(family("relu", 2, 10), 1e14)
    assert not far.verified


def test_cells_at_the_limit_of_the_arithmetic_are_told_and_not_dropped() -> None:
    net = family("relu", 2, 48)
    found, told = (cells(net, 1e9, verify=level) for level in (False, "cheap"))
    assert told.verified is not None
    assert [check.name for check in told.verified.failed] == [WIDE]
    assert (told.method, told.count, told.notes) == (found.method, found.count, ())
    thin = np.flatnonzero(told.radii <= told.verified[WIDE].figures["least"])
    assert mend(told, np.split(thin, len(thin))) is None


@pytest.mark.parametrize("c", [1e4, 1e6, 1e8])
@pytest.mark.parametrize("depth", [1, 2])
def test_units_as_large_as_the_inputs_hide_no_wrong_code(c: float, depth: int) -> None:
    """Half of the units switch in the domain, the others take values like the distance."""
    torch.manual_seed(0)
    hidden = [layer for _ in range(depth - 1) for layer in (nn.Linear(24, 24), nn.ReLU())]
    net = nn.Sequential(nn.Linear(2, 24), nn.ReLU(), *hidden, nn.Linear(24, 1)).double()
    with torch.no_grad():
        net[0].bias[:12] -= net[0].weight[:12].sum(dim=1) * c
    one = torch.ones(2, dtype=torch.float64)
    right = sg.enumerate_regions(sg.trace(net.eval(), one[None]), sg.Box(c - one, c + one), verify="full")
    assert right.verified, right.verified
    assert right.mesh is not None
    smallest = right.mesh.areas().argmin()
    packed = right.packed.copy()
    packed[smallest, 0] ^= 0x81
    found = verify(right.replace(cells=Cells(packed, right.points, right.radii)))
    for name in ("codes at interior points", "faces within their cells", "maps at interior points"):
        assert found[name].status == "failed"
        assert found[name].about == (smallest,)


def test_a_cell_that_rounding_may_have_made_is_told() -> None:
    graph = function(lambda x: torch.relu(torch.cat([x - 1e6, x - 1e6 - 2.0**-33], 1)), (1,))
    whole = sg.enumerate_regions(graph, sg.Box([1e6 - 1], [1e6 + 1]), verify=False)
    packed = np.concatenate([whole.packed[:1], whole.packed[-1:], np.packbits([[1, 0]], axis=1)])
    points = np.array([[1e6 - 0.5], [1e6 + 0.5], [1e6]])
    found = whole.replace(cells=Cells(packed, points, np.array([0.5, 0.5, 1e-10])))
    check = verify(found)[WIDE]
    assert (check.status, check.figures["thin"], check.about) == ("failed", 1, ())


def test_tolerances_grow_with_the_distance_in_units_of_the_domain() -> None:
    graph = function(torch.relu, (2,))
    one = torch.ones(2, dtype=torch.float64)
    boxes = [sg.Box(scale * (c - one), scale * (c + one)) for c in (0.0, 1e6) for scale in (1.0, 1e3, 1e-3)]
    near, far = np.split(np.array([blur(chart_of(graph, box)) for box in boxes]), 2)
    assert (near == 1).all()
    assert far == pytest.approx(far[0])
    assert far[0] > 1000
    plane = sg.Plane(1e6 * one, torch.tensor([2.0, 0.0]), torch.tensor([0.0, 3.0]), extent=1.0)
    segment = sg.Segment(1e6 - one, 1e6 + one)
    assert blur(chart_of(graph, plane)) == pytest.approx(far[0], rel=1e-3)
    assert blur(chart_of(graph, segment)) == pytest.approx(far[0] / 2**0.5, rel=1e-3)
    assert blur(chart_of(graph, sg.Box.everything((2,)))) == 1
