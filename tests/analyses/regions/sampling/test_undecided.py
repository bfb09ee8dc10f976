"""Points whose patterns rounding decided are told, others are not; without them a count is a lower bound."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.analyses.codes import codes
from splinegraph.analyses.regions.sampling.undecided import undecided
from tests.analyses.regions.nets import DEGENERATE, FAMILIES, degenerate, family
from tests.analyses.regions.partition.brute import function

COUNT = 2000


def points(count: int = COUNT, seed: int = 0) -> Tensor:
    return 2 * torch.rand(count, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) - 1


def cancelled(x: Tensor) -> Tensor:
    """Return what is x, and zero but for rounding."""
    return torch.cat([x, (0.1 * x + 0.7 * x) - 0.8 * x], 1)


TIED: dict[str, tuple[Callable[[Tensor], Tensor], int]] = {
    "relu": (lambda x: torch.relu(cancelled(x)), 4),
    "maximum": (lambda x: torch.maximum(torch.relu(x), 0.1 * torch.relu(x) + 0.9 * torch.relu(x)), 4),
    "sort": (lambda x: torch.stack([x[:, 0], (x[:, 0] / 3 + x[:, 0] / 7) * 2.1, 5 + x[:, 0]], 1).sort(1).values, 1),
}
"""Functions with units that are tied in real arithmetic, and how many cells they then have in a square."""


@pytest.mark.parametrize("name", TIED)
def test_without_them_the_count_is_a_lower_bound(name: str) -> None:
    made, cells = TIED[name]
    graph, x = function(made, (2,)), points()
    assert codes(graph, x).count > cells  # as rounding has it
    decided = ~undecided(graph, [x])
    assert codes(graph, x[decided]).count <= cells


@pytest.mark.parametrize("kind", [None, *DEGENERATE])
@pytest.mark.parametrize("name", FAMILIES)
def test_units_that_are_off_are_decided(name: str, kind: str | None) -> None:
    net = family(name, 2, 8)
    graph = sg.trace(net if kind is None else degenerate(net, kind), torch.zeros(1, 2, dtype=torch.float64))
    x = points()
    dropped = undecided(graph, [x])
    whole = sg.enumerate_regions(graph, sg.Box(-torch.ones(2), torch.ones(2)), verify=False)
    assert codes(graph, x[~dropped]).count <= whole.count
    if kind not in ("integer", "quantized", "twins"):  # where sums of equal terms in another order are zero
        assert not dropped.any()


def test_a_point_near_a_boundary_is_undecided_and_one_on_it_is_not() -> None:
    graph = function(torch.relu, (2,))
    x = torch.tensor([[0.5, 0.0], [0.5, 1e-14], [0.5, -1e-14], [0.5, 1e-9]], dtype=torch.float64)
    assert undecided(graph, [x]).tolist() == [False, True, True, False]


def test_pieces_that_cannot_be_listed() -> None:
    graph = function(torch.round, (2,))
    x = torch.tensor([[0.2, 3.4], [0.5 + 1e-14, 0.0], [2.5 - 1e-13, 0.0]], dtype=torch.float64)
    assert undecided(graph, [x]).tolist() == [False, True, True]


def test_points_do_not_depend_on_each_other() -> None:
    net = degenerate(family("relu", 2, 12), "integer")
    graph, x = sg.trace(net, torch.zeros(1, 2, dtype=torch.float64)), points(64)
    together = undecided(graph, [x])
    assert [bool(undecided(graph, [x[i : i + 1]])[0]) for i in range(64)] == together.tolist()


def test_single_precision_decides_less() -> None:
    graph = sg.trace(nn.Sequential(nn.ReLU()).eval(), torch.zeros(1, 2))
    x = torch.tensor([[1.0, 1e-6], [1.0, 1e-2]])
    assert undecided(graph, [x]).tolist() == [True, False]
    assert undecided(graph, [x.double()]).tolist() == [False, False]
