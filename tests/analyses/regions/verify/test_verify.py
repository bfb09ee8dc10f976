"""Checks of partitions: right ones pass, planted faults are caught."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.stats import binomtest
from torch import nn

from splinegraph.analyses.regions.cells import Cells, Mesh
from splinegraph.analyses.regions.partition.maps import Maps
from splinegraph.analyses.regions.partition.partition import Partition
from splinegraph.analyses.regions.partition.storage import edges_of
from splinegraph.analyses.regions.verify.membership import clopper_pearson
from splinegraph.analyses.regions.verify.verification import Check, Verification
from splinegraph.analyses.regions.verify.verify import offenders, verify
from splinegraph.core.domains.polytope import Polytope
from tests.analyses.regions.partition.brute import brute, function, mlp


def bare(partition: Partition) -> Partition:
    return dataclasses.replace(partition, mesh=None, _cache={})


def failed(partition: Partition, level: str = "cheap") -> set[str]:
    return {check.name for check in verify(partition, level=level).failed}


@pytest.fixture(scope="module")
def partition() -> Partition:
    return brute(mlp(2, 6, 5, 2))


RIGHT: dict[str, Callable[[], Partition]] = {
    "line": lambda: brute(mlp(1, 6, 5, 2)),
    "plane": lambda: brute(mlp(2, 6, 5, 2)),
    "plane without mesh": lambda: bare(brute(mlp(2, 6, 5, 2))),
    "space": lambda: brute(mlp(3, 4, 2)),
    "max pooling": lambda: brute(
        function(lambda x: nn.functional.max_pool1d(torch.cat([x, -x], 1)[:, None], 2, 1)[:, 0], (2,))
    ),
    "sorting": lambda: brute(function(lambda x: torch.cat([x, 0.3 - x[:, :1]], 1).sort(1).values, (2,))),
    "clamp": lambda: brute(function(lambda x: x.clamp(-0.5, 0.25).abs(), (2,))),
    "two inputs": lambda: _two_inputs(),
    "sign": lambda: bare(brute(function(torch.sign, (2,)))),
}


def _two_inputs() -> Partition:
    from splinegraph.analyses.codes import codes
    from splinegraph.analyses.regions.cells import code_layers
    from splinegraph.core.domains.chart import chart_of
    from splinegraph.core.values import Box

    graph = function(lambda x, y: torch.relu(x) * 2 + torch.relu(-y), (1,), (1,))
    domain = (Box(-torch.ones(1), torch.ones(1)), Box(-torch.ones(1), torch.ones(1)))
    chart = chart_of(graph, domain)
    points = torch.tensor([[0.5, 0.5], [0.5, -0.5], [-0.5, 0.5], [-0.5, -0.5]], dtype=torch.float64)
    cells = Cells(codes(graph, *chart.lift(points)).packed, points.numpy(), np.full(4, 0.5))
    return Partition.of(graph, chart, domain, code_layers(graph), cells)


@pytest.mark.parametrize("name", RIGHT)
@pytest.mark.parametrize("level", ["cheap", "full"])
def test_right_partitions_pass(name: str, level: str) -> None:
    result = verify(RIGHT[name](), level=level)
    assert result.ok, result.failure
    assert bool(result)
    assert sum(check.status == "passed" for check in result.checks) >= (6 if level == "cheap" else 8)


def test_a_triangle_passes() -> None:
    triangle = Polytope(torch.tensor([[-1.0, 0.0], [0.0, -1.0], [1.0, 1.0]]), torch.tensor([0.5, 0.5, 0.2]))
    graph = function(torch.relu, (2,))
    whole = brute(graph)  # its points are outside of the triangle, so take others
    t = torch.tensor([[0.05, 0.05], [0.05, -0.2], [-0.2, 0.05], [-0.2, -0.2]], dtype=torch.float64)
    order = whole.locate(t).cells
    cells = Cells(whole.packed[order], t.numpy(), np.full(4, 0.01))
    partition = Partition.of(graph, triangle.chart, triangle, whole.layers, cells)
    result = verify(partition, level="full")
    assert result.ok, result.failure
    assert result["random points of the domain"].figures["uniform"]
    assert result["volumes"].figures["domain"] == pytest.approx(1.2**2 / 2)


# planted faults


def test_a_dropped_cell_is_caught(partition: Partition) -> None:
    rest = np.arange(len(partition)) != int(np.argmin(partition.radii))
    without = partition.replace(cells=partition.cells[rest], mesh=None)
    assert "facets closed" in failed(without, "full")
    largest = np.arange(len(partition)) != int(np.argmax(partition.radii))
    assert "random points of the domain" in failed(partition.replace(cells=partition.cells[largest], mesh=None))


def _without(mesh: Mesh, face: int) -> Mesh:
    loops = [mesh.corners[mesh.offsets[i] : mesh.offsets[i + 1]] for i in range(len(mesh)) if i != face]
    corners, offsets = np.concatenate(loops), np.cumsum([0, *map(len, loops)])
    return Mesh(mesh.vertices, offsets, corners, *edges_of(corners, offsets))


def test_a_dropped_face_is_caught(partition: Partition) -> None:
    face = int(np.argmin(partition.radii))
    rest = np.arange(len(partition)) != face
    without = partition.replace(cells=partition.cells[rest], mesh=_without(partition.mesh, face))
    assert "area" in failed(without)


def test_a_duplicated_cell_is_caught(partition: Partition) -> None:
    twice = [*range(len(partition)), 3]
    assert "codes unique" in failed(partition.replace(cells=partition.cells[twice], mesh=None))


def test_a_wrong_code_is_caught(partition: Partition) -> None:
    packed = partition.packed.copy()
    packed[2, 0] ^= 0x80
    cells = Cells(packed, partition.points, partition.radii)
    found = failed(partition.replace(cells=cells))
    assert {"codes at interior points", "maps at interior points", "faces within their cells"} <= found


def test_merged_faces_are_caught(partition: Partition) -> None:
    """Two faces under one code keep Euler's formula, the area and unique codes."""
    mesh = partition.mesh
    i, j = partition.adjacency.pairs[0].tolist()
    one, other = (mesh.corners[mesh.offsets[k] : mesh.offsets[k + 1]].tolist() for k in (i, j))
    shared = [v for v in one if v in other]
    while one[0] not in shared or one[-1] in shared:
        one = one[1:] + one[:1]
    while other[0] not in shared or other[-1] in shared:
        other = other[1:] + other[:1]
    joined = one[len(shared) - 1 :] + other[len(shared) - 1 :]
    loops = [joined if k == i else mesh.corners[mesh.offsets[k] : mesh.offsets[k + 1]].tolist()
             for k in range(len(mesh)) if k != j]  # fmt: skip
    corners, offsets = np.concatenate(loops).astype(np.int32), np.cumsum([0, *map(len, loops)])
    merged = Mesh(mesh.vertices, offsets, corners, *edges_of(corners, offsets))
    assert merged.areas().sum() == pytest.approx(4.0)
    rest = np.arange(len(partition)) != j
    result = verify(partition.replace(cells=partition.cells[rest], mesh=merged))
    assert result["area"].figures["total"] == pytest.approx(4.0)
    assert result["codes unique"].status == "passed"
    assert result["faces within their cells"].status == "failed"
    assert not result.ok


def test_a_wrong_map_is_caught(partition: Partition) -> None:
    maps = partition.affine_maps()
    slopes = maps.A.copy()
    slopes[4, 0, 0] *= 1 + 1e-6
    wrong = dataclasses.replace(partition, _cache={"maps": Maps(slopes, maps.b)})
    assert {"maps at interior points", "maps at random points of the cells"} & failed(wrong)
    assert "maps agree on facets" in failed(wrong, "full")


def test_a_radius_that_is_too_large_is_caught(partition: Partition) -> None:
    cells = Cells(partition.packed, partition.points, 20 * partition.radii)
    assert "codes at random points of the cells" in failed(partition.replace(cells=cells, mesh=None))


def test_a_point_outside_is_caught(partition: Partition) -> None:
    points = partition.points.copy()
    points[0] = 1.5
    assert "points in the domain" in failed(partition.replace(cells=Cells(partition.packed, points, partition.radii)))


def test_a_gap_on_a_line_is_caught() -> None:
    line = brute(mlp(1, 6, 5, 2))
    middle = int(np.argsort(line.points[:, 0])[2])
    rest = np.arange(len(line)) != middle
    assert "lengths" in failed(line.replace(cells=line.cells[rest]))


def test_an_incomplete_partition_fails_nothing_but_claims_nothing(partition: Partition) -> None:
    some = partition.replace(cells=partition.cells[:4], mesh=None, complete=False)
    result = verify(some, level="full")
    assert result.ok
    assert {c.name for c in result.checks if c.status == "not run"} >= {"random points of the domain", "facets closed"}
    assert result["random points of the domain"].figures["missed"] > 0


def test_an_empty_cell_is_caught_exactly() -> None:
    """A cell whose conditions meet in a point only, with a radius that someone made up."""
    partition = brute(function(lambda x: torch.relu(torch.cat([x, -x], 1)), (1,)))
    packed = np.concatenate([partition.packed, np.packbits([[1, 1]], axis=1)])
    cells = Cells(packed, np.append(partition.points, [[0.0]], axis=0), np.append(partition.radii, 1e-10))
    assert "thin cells exactly" in failed(partition.replace(cells=cells), "full")


def test_a_thin_cell_with_an_interior_passes_exactly() -> None:
    graph = function(lambda x: torch.relu(torch.cat([x, x - 2.0**-31], 1)), (1,))
    partition = brute(graph)
    packed = np.concatenate([partition.packed, np.packbits([[1, 0]], axis=1)])
    half = 2.0**-32
    cells = Cells(packed, np.append(partition.points, [[half]], axis=0), np.append(partition.radii, half))
    result = verify(partition.replace(cells=cells), level="full")
    assert result.ok, result.failure
    assert result["thin cells exactly"].figures == {"thin": 1, "looked_at": 1, "empty": 0}


# the pieces


@pytest.mark.parametrize(("misses", "count"), [(0, 10), (0, 10_000), (1, 50), (7, 300), (299, 300)])
def test_the_confidence_bound_is_that_of_scipy(misses: int, count: int) -> None:
    expected = binomtest(misses, count, alternative="less").proportion_ci(0.99, method="exact").high
    assert clopper_pearson(misses, count) == pytest.approx(expected, rel=1e-9)


def test_all_misses_say_nothing() -> None:
    assert clopper_pearson(5, 5) == 1.0


def test_a_verification_reads_well() -> None:
    checks = (Check.of("one", True, "fine", count=3), Check.of("two", False, "off by 2"), Check.skipped("three", "why"))
    result = Verification(checks, "cheap", 0, 0.5)
    assert not result
    assert result.failure == "two: off by 2"
    assert result.summary == "1 of 2 checks FAILED: two"
    assert "two" in repr(result)
    assert len(str(result).splitlines()) == 3
    assert result["one"].figures == {"count": 3}
    with pytest.raises(KeyError, match="no check 'four'"):
        result["four"]
    json.dumps(result.to_dict(), allow_nan=False)


def test_a_verification_of_nothing_claims_nothing(partition: Partition) -> None:
    nothing = Verification((Check.skipped("one", "why"),), "cheap", 0, 0.0)
    assert not nothing
    assert not nothing.failed
    assert nothing.summary == "no check could be made"
    empty = partition.replace(cells=partition.cells[:0], mesh=None, complete=False)
    for level in ("cheap", "full"):
        assert not verify(empty, level=level)
        assert not verify(empty, level=level).failed


def test_checks_name_the_cells_that_they_fail_on(partition: Partition) -> None:
    packed = partition.packed.copy()
    packed[2, 0] ^= 0x80
    wrong = partition.replace(cells=Cells(packed, partition.points, partition.radii))
    assert {check.about for check in verify(wrong).failed if check.about} == {(2,)}
    assert offenders(wrong, verify(wrong), 0).tolist() == [2]
    twice = [*range(len(partition)), 3]
    again = verify(partition.replace(cells=partition.cells[twice], mesh=None))
    assert again["codes unique"].about == (3, len(partition))


def test_what_is_no_number_fails_and_ends_the_checks(partition: Partition) -> None:
    vertices = partition.mesh.vertices.copy()
    vertices[partition.mesh.corners[0]] = np.nan
    for broken in (
        partition.replace(mesh=dataclasses.replace(partition.mesh, vertices=vertices)),
        partition.replace(cells=Cells(partition.packed, partition.points * np.nan, partition.radii)),
    ):
        for level in ("cheap", "full"):
            result = verify(broken, level=level)
            assert [check.name for check in result.failed] == ["points in the domain"]
            assert 0 in result.failed[0].about


def test_checks_are_plain_values(partition: Partition) -> None:
    json.dumps(verify(partition, level="full").to_dict(), allow_nan=False)


def test_the_seed_decides(partition: Partition) -> None:
    first, again, *others = (verify(partition, seed=s)["maps at random points of the cells"] for s in (1, 1, 2, 3, 4))
    assert first.figures == again.figures
    assert any(first.figures != other.figures for other in others)


def test_a_level_that_is_none_is_refused(partition: Partition) -> None:
    with pytest.raises(ValueError, match="cheap"):
        verify(partition, level="thorough")
