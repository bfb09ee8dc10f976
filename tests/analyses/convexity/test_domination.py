"""The maximum of the pieces: corners against linear programs, the value itself, and what Theorem 2 leaves out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from splinegraph.analyses.convexity.domination import by_domination
from splinegraph.analyses.convexity.frozen import frozen
from splinegraph.analyses.regions.enumerate import enumerate_regions
from splinegraph.core.values import Box
from splinegraph.errors import SplineGraphError
from splinegraph.tracers.tracing import trace
from tests.analyses.convexity.random_nets import random_graph


def box(dim: int, size: float = 2.0) -> Box:
    return Box(torch.full((dim,), -size).double(), torch.full((dim,), size).double())


def test_corners_agree_with_linear_programs() -> None:
    decided = set()
    for seed in (3, 11, 25, 36):
        _, graph = random_graph(seed)
        partition = enumerate_regions(graph, on=box(graph.input_shapes[0][0], 0.7))
        corners = by_domination(partition, method="corners")
        programs = by_domination(partition, method="programs")
        for i, found in corners.items():
            assert programs[i].holds == found.holds
            assert programs[i].excess == pytest.approx(found.excess, abs=1e-8)
            decided.add(found.holds)
    assert decided == {True, False}


def test_what_holds_is_the_maximum_of_the_pieces() -> None:
    """And what fails is less than it somewhere, by the excess at most."""
    for seed in (2, 3, 8):
        _, graph = random_graph(seed)
        dim = graph.input_shapes[0][0]
        partition = enumerate_regions(graph, on=box(dim))
        x = box(dim).sample(2000, generator=torch.Generator().manual_seed(seed))
        maps = partition.affine_maps()
        largest = (np.einsum("nod,xd->xno", maps.A, x.numpy()) + maps.b).max(axis=1)
        with torch.no_grad():
            above = largest - graph(x).numpy()
        for i, found in by_domination(partition).items():
            assert above[:, i].min() > -1e-9
            assert above[:, i].max() <= found.excess + found.slack
            assert (found.holds is False) == (found.excess > found.slack)


class Cancelling(nn.Module):
    """0, whose frozen codes give 5 x: cells have interior, and none has that map."""

    def forward(self, x: Tensor) -> Tensor:
        return 5 * (torch.relu(x) - torch.relu(x))


def test_theorem_2_is_about_regions_with_interior() -> None:
    """The spline that is 5 x on {0} and 0 elsewhere is convex, but not the maximum of 5 x and 0.

    Cells have interior, so that 5 x, which is the map of no cell here, is not among the maps.
    """
    graph = trace(Cancelling().eval(), torch.zeros(1, 1).double())
    (found,) = by_domination(enumerate_regions(graph, on=box(1))).values()
    assert found.holds is True
    assert found.excess == 0
    (every,) = frozen(graph)
    assert every.holds is False
    assert every.challenge is not None
    assert every.challenge.value > every.challenge.actual


def test_many_cells_are_refused_for_linear_programs() -> None:
    net = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 1)).double().eval()
    partition = enumerate_regions(trace(net, torch.zeros(1, 2).double()), on=box(2, 9.0))
    with pytest.raises(SplineGraphError, match="too many for one linear program per cell and map; choose a smaller"):
        by_domination(partition, method="programs")


def test_an_incomplete_partition_leaves_it_open() -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1)).double().eval()
    net[2].weight.data.abs_()
    graph = trace(net, torch.zeros(1, 3).double())
    part = enumerate_regions(graph, on=box(3, 9.0), limit=3)
    (found,) = by_domination(part).values()
    assert found.holds is None
    assert found.witness is None
