"""Two independent algorithms, the mesh and the search, find the same cells."""

from __future__ import annotations

import functools
import itertools
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import splinegraph as sg
from tests.analyses.regions.nets import DEGENERATE, FAMILIES, degenerate, family, mlp
from tests.marks import few

BOX = sg.Box(torch.full((2,), -1.0), torch.full((2,), 1.0))
SEEDS = range(8)


def keys(partition: sg.Partition) -> set[bytes]:
    """Return the codes as a set."""
    return {row.tobytes() for row in np.ascontiguousarray(partition.packed)}


@functools.cache
def traced(name: str, width: int) -> tuple[nn.Module, sg.SplineGraph]:
    """Return a network of a family and its graph, which shares its weights: they are drawn anew for every test."""
    net = family(name, 2, width)
    return net, sg.trace(net, torch.zeros(1, 2, dtype=torch.float64))


def drawn(name: str, width: int, seed: int, kind: str = "") -> sg.SplineGraph:
    """Return the graph of a family with the weights of this seed, spoiled in the way that `kind` names."""
    net, graph = traced(name, width)
    net.load_state_dict(family(name, 2, width, seed).state_dict())
    if kind:
        degenerate(net, kind, seed)
    return graph


def both(graph: sg.SplineGraph, box: sg.Box = BOX) -> tuple[sg.Partition, sg.Partition]:
    found = tuple(sg.enumerate_regions(graph, on=box, method=method) for method in ("mesh", "search"))
    for partition in found:
        assert partition.complete
        assert partition.verified, partition.verified
        assert len(keys(partition)) == partition.count
    return found  # type: ignore[return-value]


def agree(graph: sg.SplineGraph) -> None:
    mesh, search = both(graph)
    assert keys(mesh) == keys(search), (mesh.count, search.count)
    assert mesh.maximal_count == search.maximal_count


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("seed", few(SEEDS, 3))
def test_generic(name: str, seed: int) -> None:
    agree(drawn(name, 6, seed))


@pytest.mark.parametrize(
    ("name", "kind"),
    [*itertools.product(FAMILIES, DEGENERATE)],
)
@pytest.mark.parametrize("seed", few(range(3)))
def test_degenerate(name: str, kind: str, seed: int) -> None:
    agree(drawn(name, 5, seed, kind))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(-2, 2), min_size=8 * 3 + 4 * 9, max_size=8 * 3 + 4 * 9))
def test_small_integers(entries: list[int]) -> None:
    """Ties everywhere: coincident, concurrent and touching lines, in both layers."""
    net, graph = integers()
    values = iter(entries)
    with torch.no_grad():
        for parameter in [*net.parameters()][:4]:
            parameter.copy_(torch.tensor([next(values) for _ in range(parameter.numel())]).reshape(parameter.shape))
    agree(graph)


@functools.cache
def integers() -> tuple[nn.Sequential, sg.SplineGraph]:
    net = mlp(2, 8, 4, 1)
    return net, sg.trace(net, torch.zeros(1, 2, dtype=torch.float64))


@pytest.mark.parametrize("width", [1e-9, 1e-6])
def test_slivers(width: float) -> None:
    """Two lines `width` apart, three cells; and a wedge that is as thin."""
    net: Any = nn.Sequential(nn.Linear(2, 3), nn.ReLU()).double().eval()
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, width]]))
        net[0].bias.copy_(torch.tensor([0.0, -width, 0.5]))
    mesh, search = both(sg.trace(net, torch.zeros(1, 2, dtype=torch.float64)))
    assert keys(mesh) == keys(search)
    assert mesh.count == 4


def test_lines_in_the_boundary_or_through_a_corner() -> None:
    """x = 1 lies in the box's side, x + y = 2 touches its corner: neither cuts."""
    net: Any = nn.Sequential(nn.Linear(2, 3), nn.ReLU()).double().eval()
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[1.0, 0.0], [1.0, 1.0], [1.0, -1.0]]))
        net[0].bias.copy_(torch.tensor([-1.0, -2.0, 0.0]))
    mesh, search = both(sg.trace(net, torch.zeros(1, 2, dtype=torch.float64)))
    assert keys(mesh) == keys(search)
    assert mesh.count == 2
