"""The facet criterion against domination by the pieces, formulas, exact rationals and planted faults."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from splinegraph.analyses.convexity.domination import by_domination
from splinegraph.analyses.convexity.facets import by_facets
from splinegraph.analyses.convexity.hyperplanes import by_hyperplanes
from splinegraph.analyses.convexity.jumps import jumps_of
from splinegraph.analyses.convexity.verdict import Certificate, Finding, Witness
from splinegraph.analyses.regions.enumerate import enumerate_regions
from splinegraph.analyses.regions.partition.maps import Maps
from splinegraph.analyses.regions.partition.partition import Partition
from splinegraph.core.domains.plane import Plane
from splinegraph.core.domains.polytope import Polytope
from splinegraph.core.domains.segment import Segment
from splinegraph.core.graph import SplineGraph
from splinegraph.core.values import Box
from splinegraph.errors import ShapeError, SplineGraphError
from splinegraph.tracers.tracing import trace
from tests.analyses.convexity.random_nets import random_graph


def box(dim: int, size: float = 2.0) -> Box:
    return Box(torch.full((dim,), -size).double(), torch.full((dim,), size).double())


def kinds(finding: Finding) -> tuple[str, str]:
    return type(finding.convex).__name__, type(finding.concave).__name__


def hidden(weights: list[list[float]], biases: list[float], out: list[list[float]]) -> SplineGraph:
    """Return out relu(weights x + biases)."""
    first, last = nn.Linear(len(weights[0]), len(biases)), nn.Linear(len(biases), len(out), bias=False)
    net = nn.Sequential(first, nn.ReLU(), last).double().eval()
    for value, numbers in zip(net.parameters(), (weights, biases, out), strict=True):
        value.data = torch.tensor(numbers, dtype=torch.float64)
    return trace(net, torch.zeros(1, len(weights[0]), dtype=torch.float64))


# against the maximum of the pieces


def disagreements(seeds: range, seen: set[tuple[str, str]]) -> list[str]:
    """Return where facets and domination differ, for f and -f."""
    found = []
    for seed in seeds:
        name, graph = random_graph(seed)
        partition = enumerate_regions(graph, on=box(graph.input_shapes[0][0]))
        below = by_domination(partition)
        above = by_domination(partition.replace(graph=-graph, verified=partition.verified))
        for i, finding in by_facets(partition).items():
            seen.add(kinds(finding))
            for proof, other in ((finding.convex, below[i]), (finding.concave, above[i])):
                if proof is None or isinstance(proof, Certificate) is not other.holds:
                    found.append(f"{seed}: {name}, output {i}: {proof}, {other}")
                if other.holds is False and other.witness is None:
                    found.append(f"{seed}: {name}, output {i}: no witness of {other}")
    return found


def test_facets_agree_with_the_maximum_of_the_pieces() -> None:
    seen: set[tuple[str, str]] = set()
    assert not disagreements(range(10), seen)
    assert {("Certificate", "Witness"), ("Witness", "Witness"), ("Witness", "Certificate")} <= seen


@pytest.mark.slow
def test_facets_agree_with_the_maximum_of_the_pieces_on_many() -> None:
    assert not disagreements(range(1000, 1100), set())


# on the network's domain, whatever it is


@pytest.mark.parametrize("kind", ["segment", "plane", "polytope", "fixed coordinate", "far away"])
def test_domains(kind: str) -> None:
    """sum of relu is convex, its negative concave, and relu(x0) - relu(x1) neither, wherever both bend."""
    graph = hidden([[1, 0, 0], [0, 1, 0]], [0, 0], [[1, 1], [-1, -2], [1, -1]])
    far = torch.tensor([0.0, 0.0, 1e6]).double()
    domain = {
        "segment": lambda: Segment(torch.tensor([-1.0, -2, 0]).double(), torch.tensor([2.0, 1, 1]).double()),
        "plane": lambda: Plane.through([-1.0, -1, 0], [2, -1, 0], [-1, 2, 0]),
        "polytope": lambda: Polytope(
            torch.cat([torch.eye(3), -torch.eye(3), torch.ones(1, 3)]).double(), torch.tensor([1.0] * 7).double()
        ),
        "fixed coordinate": lambda: Box(torch.tensor([-1.0, -1, 3]).double(), torch.tensor([1.0, 2, 3]).double()),
        "far away": lambda: Box(far - 1, far + 1),
    }[kind]()
    found = by_facets(enumerate_regions(graph, on=domain))
    assert [kinds(found[i]) for i in range(3)] == [
        ("Certificate", "Witness"), ("Witness", "Certificate"), ("Witness", "Witness")
    ]  # fmt: skip
    for finding in found.values():
        for witness in (finding.convex, finding.concave):
            if isinstance(witness, Witness):
                assert witness.verify()
                assert all(bool(domain.contains(x[0], slack=1e-9)) for x in (witness.x, witness.y))


def test_one_cell_is_affine() -> None:
    found = by_facets(enumerate_regions(hidden([[1.0]], [5.0], [[1.0]]), on=box(1)))
    assert kinds(found[0]) == ("Certificate", "Certificate")


# jumps


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_jumps_of_one_layer_are_weights_times_lengths(dim: int) -> None:
    random = np.random.default_rng(dim)
    w, c, v = random.standard_normal((4, dim)), 0.3 * random.standard_normal(4), random.standard_normal(4)
    partition = enumerate_regions(hidden(w.tolist(), c.tolist(), [v.tolist()]), on=box(dim, 8.0))
    expected = v * np.linalg.norm(w, axis=1)
    jumps = jumps_of(partition)
    nearest = np.abs(jumps.values - expected).argmin(axis=1)
    np.testing.assert_allclose(jumps.values[:, 0], expected[nearest], rtol=1e-12)
    assert set(nearest.tolist()) == set(range(4))


def test_several_units_on_one_plane_are_weighed_together() -> None:
    """-1 + 2 >= 0 although each facet of the first unit alone falls; the two planes are one."""
    graph = hidden([[1, 1], [-2, -2], [1, 0]], [0.5, -1, 0], [[-1, 1, 1], [-1, 0.25, 1]])
    found = by_facets(enumerate_regions(graph, on=box(2)))
    assert kinds(found[0]) == ("Certificate", "Witness")
    assert kinds(found[1]) == ("Witness", "Witness")


@pytest.mark.parametrize("last", [-0.3, -(0.1 + 0.2)])
def test_jumps_that_rounding_hides_are_found_exactly(last: float) -> None:
    """0.1 + 0.2 - 0.3 of floats is 2^-55 > 0, and (0.1 + 0.2) rounded up is more than their sum."""
    graph = hidden([[1.0], [1.0], [1.0], [0.0]], [0.0, 0.0, 0.0, 1.0], [[0.1, 0.2, last, 1.0]])
    partition = enumerate_regions(graph, on=box(1))
    assert kinds(by_facets(partition)[0]) == (
        ("Certificate", "Witness") if last == -0.3 else ("Witness", "Certificate")
    )
    unknown = by_facets(partition, exact=0)[0]
    assert kinds(unknown) == ("NoneType", "NoneType")
    assert "rounding hides" in unknown.note


def test_dead_units_need_no_exact_arithmetic() -> None:
    """Behind a unit that is 0 on a cell, units that switch there make no jump."""
    net = nn.Sequential(nn.Linear(2, 6), nn.ReLU(), nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 1)).double().eval()
    random = np.random.default_rng(0)
    for i, value in enumerate(net.parameters()):
        numbers = random.standard_normal(value.shape)
        value.data = torch.from_numpy(np.abs(numbers) if i in (2, 4) else numbers - 4 * (i == 3))
    partition = enumerate_regions(trace(net, torch.zeros(1, 2).double()), on=box(2))
    jumps = jumps_of(partition)
    assert (np.abs(jumps.values) <= jumps.slack).any()
    assert kinds(by_facets(partition, exact=0)[0]) == ("Certificate", "Witness")


# what certifies nothing


def wavy(dim: int = 2) -> SplineGraph:
    random = np.random.default_rng(1)
    w, c = random.standard_normal((6, dim)), random.standard_normal(6)
    return hidden(w.tolist(), c.tolist(), [random.standard_normal(6).tolist(), [1.0] * 6])


def test_an_incomplete_partition_refutes_but_certifies_nothing() -> None:
    whole = enumerate_regions(wavy(3), on=box(3))
    part = enumerate_regions(wavy(3), on=box(3), limit=len(whole) // 2)
    assert not part.complete
    found = by_facets(part)
    assert "Witness" in kinds(found[0])
    assert not any(isinstance(proof, Certificate) for f in found.values() for proof in (f.convex, f.concave))
    assert "incomplete" in found[1].note


def test_an_unverified_partition_certifies_nothing() -> None:
    found = by_facets(enumerate_regions(wavy(), on=box(2), verify=False))
    assert kinds(found[1]) == ("NoneType", "Witness")
    assert "not verified" in found[1].note


def test_a_missing_cell_is_noticed() -> None:
    partition = enumerate_regions(wavy(3), on=box(3))
    cells = partition.cells[np.arange(1, len(partition))]
    found = by_facets(partition.replace(cells=cells, verified=partition.verified), [1])
    assert found[1].convex is None
    assert "no known cell" in found[1].note


def test_a_wrong_map_is_noticed() -> None:
    """A map that is not the neighbor's on their facet, or jumps across and not along the normal."""
    partition = enumerate_regions(hidden([[1, 0], [0, 1]], [0, 0], [[1, 1]]), on=box(2))
    maps = partition.affine_maps()
    A = maps.A.copy()
    A[0, 0] += [0.25, 0.25]
    faulty = dataclasses.replace(partition, _cache={**partition._cache, "maps": Maps(A, maps.b)})
    found = by_facets(faulty)[0]
    assert not isinstance(found.convex, Certificate)
    assert "do not agree" in found.note


class Step(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.hardshrink(x)


def test_a_network_that_jumps_is_named() -> None:
    partition = enumerate_regions(trace(Step().eval(), torch.zeros(1, 1).double()), on=box(1))
    found = by_facets(partition)[0]
    assert kinds(found) == ("NoneType", "NoneType")
    assert "may jump" in found.note
    assert "node" in found.note


def test_outputs_that_do_not_exist_are_refused() -> None:
    partition = enumerate_regions(wavy(), on=box(2))
    assert list(by_facets(partition, [1])) == [1]
    with pytest.raises(ShapeError, match=r"no output entry 2; give numbers from 0 to 1"):
        by_facets(partition, [2])


# all of space


class OneLayer(nn.Module):
    """Two branches of different activations, and a skip."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.first, self.second, self.skip = nn.Linear(dim, 3), nn.Linear(dim, 2), nn.Linear(dim, 2)
        self.last = nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        z = torch.cat([torch.relu(self.first(x)), nn.functional.hardtanh(self.second(x), -0.5, 0.25)], 1)
        out: Tensor = self.last(z) + self.skip(x)
        return out


@functools.cache
def one_layer(dim: int) -> tuple[nn.Module, SplineGraph]:
    net = OneLayer(dim).double().eval()
    return net, trace(net, torch.zeros(1, dim).double())


@pytest.mark.parametrize("seed", range(9))
def test_hyperplanes_agree_with_facets_on_a_large_box(seed: int) -> None:
    random = np.random.default_rng(seed)
    dim = 1 + seed % 3
    net, graph = one_layer(dim)
    for name, value in net.named_parameters():
        numbers = random.integers(-1, 2, value.shape) if seed % 4 else random.standard_normal(value.shape)
        numbers = np.abs(numbers) * (np.arange(5) < 3) if name == "last.weight" and seed % 2 else numbers
        value.data = torch.as_tensor(0.2 * numbers if name.endswith("bias") else numbers, dtype=torch.float64)
    found = by_hyperplanes(graph)
    expected = by_facets(enumerate_regions(graph, on=box(dim, 50.0)))
    assert [kinds(found[i]) for i in found] == [kinds(expected[i]) for i in expected]


def test_hyperplanes_are_grouped_exactly() -> None:
    """0.1 x + 0.3 and x + 3 bend at different places, as 0.3 / 0.1 of floats is not 3."""
    together = hidden([[0.5], [1.0]], [1.5, 3.0], [[2.0, -1.0]])
    apart = hidden([[0.1], [1.0]], [0.3, 3.0], [[10.0, -1.0]])
    assert kinds(by_hyperplanes(together)[0]) == ("Certificate", "Certificate")
    assert kinds(by_hyperplanes(apart)[0]) == ("Witness", "Witness")


def test_what_is_no_hidden_layer_is_refused() -> None:
    _, deep = random_graph(0)
    with pytest.raises(SplineGraphError, match=r"several hidden layers; give a bounded domain"):
        by_hyperplanes(deep)
    net = nn.Sequential(nn.Linear(2, 2), nn.Softplus()).double().eval()
    with pytest.raises(SplineGraphError, match="not continuous and piecewise affine"):
        by_hyperplanes(trace(net, torch.zeros(1, 2).double()))


def test_partitions_of_lines_know_their_normals() -> None:
    partition: Partition = enumerate_regions(wavy(1), on=box(1))
    assert partition.adjacency.normals.shape == (len(partition) - 1, 1)
