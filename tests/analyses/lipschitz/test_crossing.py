"""The search across facets stays in its domain, claims norms that are there, and finds the largest ones."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
import torch

import splinegraph as sg
from splinegraph.analyses.lipschitz.by_regions import by_regions
from splinegraph.analyses.lipschitz.crossing import cross, functionals, norms, pulled_back
from splinegraph.analyses.lipschitz.domain import Domain
from splinegraph.analyses.lipschitz.taking_apart import units
from splinegraph.analyses.lipschitz.units import Units
from tests.analyses.regions.nets import mlp

NORMS = (1, 2, math.inf)


def case(seed: int, *widths: int, box: sg.Box | None = None) -> tuple[sg.SplineGraph, Domain, Units]:
    torch.manual_seed(seed)
    graph = sg.trace(mlp(*widths).double().eval(), torch.zeros(1, widths[0], dtype=torch.float64))
    domain = Domain.of(graph, box)
    found = units(graph, domain.intervals(graph))
    assert found is not None
    return graph, domain, found


def starts(count: int, n0: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.random.default_rng(0).uniform(-1, 1, (count, n0))


@pytest.mark.parametrize("norm", NORMS)
def test_norms_and_their_vectors_are_those_of_the_local_maps(norm: float) -> None:
    graph, _, found = case(0, 4, 7, 6, 3)
    X = starts(20, 4)
    _, slope = found.levels(X)
    value, p, q = norms(found, slope, norm)
    A = sg.affine_map(graph, torch.from_numpy(X)).dense().A.numpy()
    np.testing.assert_allclose(value, [np.linalg.norm(a, norm) for a in A], rtol=1e-9)
    np.testing.assert_allclose(np.einsum("bi,bij,bj->b", p, A, q), value, rtol=1e-9)
    dual = {1: math.inf, 2: 2, math.inf: 1}[norm]
    assert np.linalg.norm(p, dual, axis=1) == pytest.approx(1)
    assert np.linalg.norm(q, norm, axis=1) == pytest.approx(1)
    # one unit's functional by both ways through the units
    both = pulled_back(found, slope, np.broadcast_to(found.forms.T, (20, *found.forms.T.shape)))[:, :, :4]
    np.testing.assert_allclose(both, functionals(found, slope), atol=1e-13)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("seed", range(2))
def test_finds_the_largest_norm_of_all_cells(norm: float, seed: int) -> None:
    box = sg.Box(torch.full((3,), -1.0).double(), torch.full((3,), 1.0).double())
    graph, domain, found = case(seed, 3, 6, 5, 2, box=box)
    cells = by_regions(graph, norm, domain)
    assert cells is not None
    best, x = cross(found, starts(32, 3), norm=norm, domain=domain, rounds=400)
    assert best <= cells.upper
    assert best >= cells.lower * (1 - 1e-9)
    assert box.contains(torch.from_numpy(x))
    assert norms(found, found.levels(x[None])[1], norm)[0][0] == pytest.approx(best)


def test_stays_in_a_ball_and_leaves_fixed_entries_alone() -> None:
    graph, _, found = case(0, 3, 6, 4, 2)
    ball = Domain.of(graph, sg.Ball(torch.full((3,), 0.5).double(), 0.2))
    _, x = cross(found, starts(8, 3) * 0.1 + 0.5, domain=ball, rounds=50)
    assert np.linalg.norm(x - 0.5) <= 0.2 * (1 + 1e-9)
    flat = Domain.of(graph, sg.Box(torch.tensor([-1.0, 0.3, -1.0]), torch.tensor([1.0, 0.3, 1.0])))
    X = starts(8, 3)
    X[:, 1] = np.float32(0.3)
    best, x = cross(found, X, domain=flat, rounds=50)
    assert x[1] == np.float32(0.3)
    A = sg.affine_map(graph, torch.from_numpy(x)[None]).dense().A[0].numpy()
    assert best == pytest.approx(np.linalg.norm(A[:, [0, 2]], 2))


def test_is_the_same_with_the_same_seed_and_stops_in_time() -> None:
    _, _, found = case(0, 4, 7, 6, 3)
    one, two = (cross(found, starts(8, 4), rounds=60, seed=3) for _ in range(2))
    assert one[0] == two[0]
    assert (one[1] == two[1]).all()
    past = cross(found, starts(8, 4), deadline=time.monotonic() - 1)
    assert past[0] <= one[0]
    assert past[0] == norms(found, found.levels(starts(8, 4))[1])[0].max()
