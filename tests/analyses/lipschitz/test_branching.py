"""Branch and bound, its tree as a proof, and the constant from all cells, against other algorithms."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import splinegraph as sg
from splinegraph.analyses.lipschitz import branches as branches_module
from splinegraph.analyses.lipschitz.branches import Branches
from splinegraph.analyses.lipschitz.branching import Branched, branch
from splinegraph.analyses.lipschitz.by_regions import by_regions, expected_cells
from splinegraph.analyses.lipschitz.domain import Domain
from splinegraph.analyses.lipschitz.sides import Sides
from splinegraph.analyses.lipschitz.taking_apart import units
from splinegraph.analyses.lipschitz.tree import check_tree
from splinegraph.analyses.lipschitz.units import FREE, LEFT, RIGHT, Units
from tests.analyses.regions.nets import mlp
from tests.marks import few

NORMS = (1, 2, math.inf)


def small(seed: int, *widths: int, activation: Callable[[], nn.Module] = nn.ReLU) -> sg.SplineGraph:
    torch.manual_seed(seed)
    net = mlp(*widths, activation=activation).double().eval()
    return sg.trace(net, torch.zeros(1, widths[0], dtype=torch.float64))


def taken_apart(graph: sg.SplineGraph, domain: Domain) -> Units:
    found = units(graph, domain.intervals(graph))
    assert found is not None
    return found


def box_domain(graph: sg.SplineGraph, radius: float) -> Domain:
    (shape,) = graph.input_shapes
    return Domain.of(graph, sg.Box(torch.full(shape, -radius).double(), torch.full(shape, radius).double()))


def patterns(found: Units) -> Iterator[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
    """Yield the states that some inputs have, by linear programs over all of space, and their local maps."""
    from scipy.optimize import linprog

    n0 = found.inputs
    for sides in itertools.product((LEFT, RIGHT), repeat=found.count):
        states = np.array(sides, dtype=np.int8)
        left, seen = found.fixed(states)
        sign = np.where(states == RIGHT, 1.0, -1.0)
        G, h = -(sign * seen[:n0]).T, sign * seen[-1]
        length = np.linalg.norm(G, axis=1)
        dead = length < 1e-12
        if (h[dead] < 0).any():
            continue
        A = np.column_stack([G, length])[~dead]
        done = linprog([0.0] * n0 + [-1.0], A_ub=A, b_ub=h[~dead], bounds=[(None, None)] * n0 + [(None, 1)])
        if done.status == 0 and done.x[-1] > 1e-9:
            yield states, left.outputs.T


def same(done: Branched, exact: float, tol: float = 1e-6) -> None:
    assert done.complete
    assert done.lower <= exact * (1 + 1e-9)
    assert exact <= done.upper * (1 + 1e-9)
    assert done.upper <= done.lower * (1 + tol) * (1 + 1e-9)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("seed", few(range(2)))
def test_meets_the_largest_norm_of_all_patterns_in_all_of_space(norm: float, seed: int) -> None:
    graph = small(seed, 2, 4, 3, 2, activation=(nn.ReLU, lambda: nn.LeakyReLU(-0.5))[seed])
    found = taken_apart(graph, Domain())
    exact = max(float(np.linalg.norm(A, norm)) for _, A in patterns(found))
    done = branch(found, norm=norm)
    same(done, exact)
    assert done.tree is not None
    assert check_tree(found, Domain(), norm, done.tree.arrays(), done.upper)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("seed", few(range(2)))
def test_meets_the_largest_norm_of_all_cells_of_a_box(norm: float, seed: int) -> None:
    graph = small(seed, 3, 5, 4, 2)
    domain = box_domain(graph, 1.0)
    cells = by_regions(graph, norm, domain)
    assert cells is not None
    assert cells.upper < math.inf
    found = taken_apart(graph, domain)
    done = branch(found, norm=norm, domain=domain)
    same(done, cells.upper)
    assert done.tree is not None
    arrays = done.tree.arrays()
    assert check_tree(found, domain, norm, arrays, done.upper)
    assert not check_tree(found, domain, norm, arrays, done.upper * 0.99)


def test_fixed_entries_do_not_count() -> None:
    graph = small(0, 3, 6, 4, 2)
    domain = Domain.of(graph, sg.Box(torch.tensor([-1.0, 0.3, -1.0]).double(), torch.tensor([1.0, 0.3, 1.0]).double()))
    for norm in NORMS:
        cells = by_regions(graph, norm, domain)
        assert cells is not None
        same(branch(taken_apart(graph, domain), norm=norm, domain=domain), cells.upper)


def test_is_valid_whenever_it_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = small(1, 3, 7, 5, 2)
    found = taken_apart(graph, Domain())
    whole = branch(found, tol=1e-3)
    at_once = branch(found, deadline=0.0)
    assert not at_once.complete
    assert at_once.upper >= whole.lower
    calls = itertools.count()
    original = Branches.bound

    def interrupted(self: Branches, *args: Any) -> Any:
        if next(calls) == 7:
            raise KeyboardInterrupt
        return original(self, *args)

    monkeypatch.setattr(Branches, "bound", interrupted)
    some = branch(found)
    assert some.interrupted
    assert some.lower <= whole.upper
    assert whole.lower <= some.upper < at_once.upper * (1 + 1e-9)
    monkeypatch.undo()
    assert some.tree is not None
    assert check_tree(found, Domain(), 2, some.tree.arrays(), some.upper)


def test_a_tree_that_was_tampered_with_proves_nothing() -> None:
    graph = small(0, 3, 6, 5, 2)
    domain = box_domain(graph, 1.0)
    found = taken_apart(graph, domain)
    done = branch(found, domain=domain, tol=1e-4)
    assert done.tree is not None
    arrays = done.tree.arrays()
    assert check_tree(found, domain, 2, arrays, done.upper)
    inner = np.flatnonzero(arrays["unit"] >= 0)
    assert len(inner) > 2
    open_ = int(np.flatnonzero((arrays["unit"] < 0) & (arrays["kind"] == 0) & (np.diff(arrays["start"]) > 0))[0])
    first = slice(*arrays["start"][open_ : open_ + 2])
    for change in ("data", "loop", "unit", "kind", "lost", "nan"):
        bad = {key: value.copy() for key, value in arrays.items()}
        if change == "data":
            bad["data"][first] = -1.0  # multipliers must not be negative
        elif change == "loop":
            bad["children"][inner[1], 0] = inner[0]
        elif change == "unit":
            bad["unit"][inner[0]] = -1  # a leaf without a proof
        elif change == "kind":
            bad["kind"][open_] = 1  # says that no input is there
        elif change == "lost":
            del bad["children"]
        else:
            bad["data"][first] = math.nan
        assert not check_tree(found, domain, 2, bad, done.upper), change


def test_an_unsound_bound_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds that are 5 % too small end the search with a tree that does not hold."""
    graph = small(0, 3, 6, 5, 2)
    domain = box_domain(graph, 1.0)
    found = taken_apart(graph, domain)
    original = Branches.bound

    def optimistic(self: Branches, *args: Any) -> Any:
        upper, data = original(self, *args)
        return 0.95 * upper, data

    monkeypatch.setattr(Branches, "bound", optimistic)
    done = branch(found, domain=domain, lower=0.0)
    monkeypatch.undo()
    assert done.tree is not None
    assert not check_tree(found, domain, 2, done.tree.arrays(), done.upper)


def test_accuracy_of_branches_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = small(2, 3, 5, 4, 2)
    found = taken_apart(graph, Domain())
    fine = branch(found)
    monkeypatch.setattr(branches_module, "ACCURATE", 0.3)
    coarse = branch(found)
    assert coarse.upper == pytest.approx(fine.upper, rel=3e-6)


# which sides are possible


@pytest.mark.parametrize("radius", [None, 0.5])
@pytest.mark.parametrize("seed", few(range(3)))
def test_sides_agree_with_a_linear_program(radius: float | None, seed: int) -> None:
    from scipy.optimize import linprog

    graph = small(seed, 3, 8, 4, 1)
    domain = Domain() if radius is None else box_domain(graph, radius)
    found = taken_apart(graph, domain)
    sides = Sides(found, domain.sides)
    draw = np.random.default_rng(seed)
    bounds = [(None, None)] * 3 if radius is None else [(-radius, radius)] * 3
    outcomes = set()
    for _ in range(60):
        states = draw.choice([FREE, LEFT, RIGHT], size=found.count, p=[0.1, 0.45, 0.45]).astype(np.int8)
        _, seen = found.fixed(states)
        G, h, sure = sides._walls(states, seen)
        possible, x, y = sides.possible(states, seen)
        if sure is None:
            A = np.column_stack([G, np.ones(len(h))])
            done = linprog([0, 0, 0, -1], A_ub=A, b_ub=h, bounds=[*bounds, (None, 1)])
            assert possible == (done.x[-1] > 1e-9)
            outcomes.add(possible)
        if possible:
            assert x is None or ((G @ x < h).all() and (radius is None or (np.abs(x) <= radius).all()))
            assert not sides.empty(states, seen, np.ones(len(h)))
        else:
            assert sides.empty(states, seen, y)
            assert not sides.empty(states, seen, 0 * y)
    assert outcomes == {True, False}


# cells


@pytest.mark.parametrize("norm", NORMS)
def test_all_cells_of_a_plane_give_the_constant(norm: float) -> None:
    graph = small(3, 2, 8, 6, 2)
    domain = box_domain(graph, 2.0)
    assert expected_cells(graph, domain) < 1000
    found = by_regions(graph, norm, domain)
    assert found is not None
    assert found.upper == pytest.approx(found.lower, rel=1e-9)
    at = sg.affine_map(graph, found.inputs[0][None]).dense().A[0].numpy()
    assert float(np.linalg.norm(at, norm)) == pytest.approx(found.lower, rel=1e-8)
    x = box_sample(domain, 3000)
    A = sg.affine_map(graph, x).dense().A.numpy()
    assert max(float(np.linalg.norm(a, norm)) for a in A) <= found.upper


def test_no_upper_end_from_some_of_the_cells() -> None:
    graph = small(3, 3, 8, 6, 2)
    found = by_regions(graph, 2, box_domain(graph, 2.0), limit=5)
    assert found is not None
    assert found.upper == math.inf
    assert "not all" in found.note


def test_cells_are_not_asked_for_where_they_cannot_be() -> None:
    graph = small(0, 3, 4, 2)
    assert by_regions(graph, 2, Domain()) is None
    assert expected_cells(graph, Domain()) == math.inf
    smooth = small(0, 3, 4, 2, activation=nn.Tanh)
    assert by_regions(smooth, 2, box_domain(smooth, 1.0)) is None
    assert expected_cells(smooth, box_domain(smooth, 1.0)) == math.inf


def box_sample(domain: Domain, count: int) -> torch.Tensor:
    assert domain.boxes is not None
    return domain.boxes[0].sample(count, generator=torch.Generator().manual_seed(0))


# narrow and far cells are cells


def one_layer(weight: list[list[float]], bias: list[float], out: list[float]) -> sg.SplineGraph:
    net = nn.Sequential(nn.Linear(len(weight[0]), len(bias)), nn.ReLU(), nn.Linear(len(bias), 1)).double().eval()
    for linear, values in ((net[0], weight), (net[2], [out])):
        assert isinstance(linear, nn.Linear)
        linear.weight.data = torch.tensor(values, dtype=torch.float64)
    assert isinstance(net[0], nn.Linear)
    net[0].bias.data = torch.tensor(bias, dtype=torch.float64)
    return sg.trace(net, torch.zeros(1, len(weight[0]), dtype=torch.float64))


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(
    ("weight", "bias", "out", "exact"),
    [
        ([[1e12], [1e12]], [0.0, -1.0], [1.0, -1.0], 1e12),  # a ramp of width 1e-12 at zero
        ([[1e6], [1e6]], [-1e6, -1e6 - 1e-6], [1.0, -1.0], 1e6),  # and at one
        ([[1.0, 0.0], [-1.0, -1e-8], [0.0, 1e-3]], [-1.0, 0.0, 0.0], [1.0, -1.0, 1.0], 2.0),  # 1e8 away
    ],
)
def test_no_cell_is_too_narrow_or_too_far(
    weight: list[list[float]], bias: list[float], out: list[float], exact: float, norm: float
) -> None:
    found = taken_apart(one_layer(weight, bias, out), Domain())
    done = branch(found, norm=norm)
    assert done.upper >= exact
    assert done.upper == pytest.approx(exact, rel=1e-5)


def test_cells_of_a_small_box_far_from_zero() -> None:
    graph = one_layer([[1.0], [1.0]], [-1e6, -1e6 - 1e-8], [1.0, -1.0])
    domain = Domain.of(graph, sg.Box(*(torch.tensor([1e6 + off], dtype=torch.float64) for off in (-1e-6, 1e-6))))
    assert branch(taken_apart(graph, domain), domain=domain).upper >= 1.0


@pytest.mark.slow
@pytest.mark.parametrize("norm", NORMS)
def test_cones_and_equal_units_close(norm: float) -> None:
    torch.manual_seed(3)
    net = mlp(2, 5, 4, 1).double().eval()
    for values in net.parameters():
        if values.dim() == 1:
            values.data.zero_()
        elif values.shape[1] == 2:
            values.data[1] = values.data[0]
    found = taken_apart(sg.trace(net, torch.zeros(1, 2, dtype=torch.float64)), Domain())
    exact = max(float(np.linalg.norm(A, norm)) for _, A in patterns(found))
    done = branch(found, norm=norm)
    same(done, exact)


# one layer of independent functionals: every pattern occurs


@pytest.mark.parametrize("seed", range(3))
def test_finds_the_best_pattern_where_all_occur(seed: int) -> None:
    graph = small(seed, 7, 6, 3)
    found = taken_apart(graph, Domain())
    slopes = (np.array(sides, dtype=np.int8) for sides in itertools.product((LEFT, RIGHT), repeat=found.count))
    exact = max(float(np.linalg.norm(found.fixed(states)[0].outputs, 2)) for states in slopes)
    done = branch(found)
    same(done, exact)
    assert done.witness is not None  # nothing was known, so that it was found here
    reduced = found.reduced()
    A = reduced.fixed(reduced.states(done.witness))[0].outputs
    assert np.linalg.norm(A, 2) == pytest.approx(exact, rel=1e-6)


@pytest.mark.slow
def test_compiled_steps_reach_what_the_others_reach() -> None:
    from splinegraph.analyses.lipschitz.kernels.newton import improved
    from splinegraph.analyses.lipschitz.sdp.inequality import Inequality
    from splinegraph.analyses.lipschitz.sdp.interior import solve, start

    for activation in (nn.ReLU, lambda: nn.LeakyReLU(-0.5)):
        found = taken_apart(small(1, 4, 8, 6, 2, activation=activation), Domain())
        whole = Inequality(found)
        T = start(whole)
        assert T is not None
        T = solve(whole, T, tol=1e-2).T
        states = np.full(found.count, FREE, dtype=np.int8)
        states[[0, 9]] = RIGHT
        left, _ = found.fixed(states)
        part, T = Inequality(left), T[states == FREE]
        rho, _ = part.least(T)
        forms = np.ascontiguousarray(left.forms)
        best = solve(part, T, tol=1e-6, near=True).rho
        better = improved(forms, part.gram, left.low, left.high, T, rho, 0.99999 * best, 1e-6, 100)
        assert part.least(better)[0] == pytest.approx(best, rel=2e-5)
        assert part.least(better)[0] < rho
