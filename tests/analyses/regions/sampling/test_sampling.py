"""Sampled regions: keys against packed codes, counts against exact ones, estimates against known populations."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from splinegraph.analyses.codes import codes
from splinegraph.analyses.regions.sampling import RegionSample, hashing, sample, sample_regions
from splinegraph.analyses.regions.sampling.distinct import Sorted, Table
from splinegraph.analyses.regions.sampling.hashing import Hasher
from splinegraph.analyses.regions.sampling.points import ROWS, blocks
from splinegraph.core.domains.plane import Plane
from splinegraph.core.domains.polytope import Polytope
from splinegraph.core.graph import SplineGraph
from splinegraph.core.values import Box
from splinegraph.errors import DomainError, ShapeError, SplineGraphError
from splinegraph.tracers.tracing import trace
from tests import zoo

CPU = torch.device("cpu")


def net(*sizes: int, seed: int = 0) -> SplineGraph:
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for i in range(len(sizes) - 1):
        layers += [nn.Linear(sizes[i], sizes[i + 1]), nn.ReLU()]
    return trace(nn.Sequential(*layers[:-1]).double().eval(), torch.zeros(1, sizes[0], dtype=torch.float64))


def cube(dim: int) -> Box:
    return Box(-torch.ones(dim).double(), torch.ones(dim).double())


def drawn(graph: SplineGraph, on: Any, n: int, **options: Any) -> tuple[Tensor, ...]:
    """Return the very points that a sample sees."""
    given: dict[str, Any] = {"data": None, "where": "uniform", "seed": 0, "device": CPU, **options}
    parts = list(blocks(graph, on, given.pop("data"), given.pop("where"), n=n, **given))
    return tuple(torch.cat(column) for column in zip(*parts, strict=True))


# keys


NETS = ["mlp", "clamp", "cnn", "residual", "rnn", "heads", "maximum", "topk", "single", "two", "sign", "round", "mixed"]


@pytest.mark.parametrize("name", NETS)
def test_keys_are_equal_exactly_where_codes_are(name: str) -> None:
    graph = zoo.graph(name)
    xs = zoo.inputs(name, 60, seed=1)
    xs = tuple(torch.cat([x, x[:7]]) for x in xs)
    pattern = codes(graph, *xs)
    if not pattern.units:
        return
    hasher = Hasher(graph, torch.float64, CPU)
    rows = range(67) if not graph.batched else [slice(0, 67)]
    keys = torch.cat([hasher([x[i : i + 1] if isinstance(i, int) else x[i] for x in xs]) for i in rows])
    same = (keys[:, None] == keys[None]).all(-1).numpy()
    assert np.array_equal(same, (pattern.packed[:, None] == pattern.packed[None]).all(-1))
    assert len(np.unique(keys[:, 0])) == len(np.unique(keys[:, 1])) == pattern.count


def test_a_key_is_the_sum_of_its_bits() -> None:
    graph = net(3, 40, 30, 2)
    hasher = Hasher(graph, torch.float64, CPU)
    (x,) = drawn(graph, cube(3), 50)
    pattern, total = codes(graph, x), torch.zeros(50, 2, dtype=torch.int64)
    for layer in pattern.layers:
        bits = pattern.unpack(layer.name).long()
        total += torch.stack([(bits * c).sum(1) for c in hasher._coefficients[layer.name][0]], 1)
    assert torch.equal(hasher([x]), total)


def test_keys_without_compiled_loops_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("mlp", "maximum"):
        graph, xs = zoo.graph(name), zoo.inputs(name, 20)
        compiled = Hasher(graph, torch.float64, CPU)(xs)
        monkeypatch.setattr(hashing, "for_numpy", lambda x: False)
        assert torch.equal(Hasher(graph, torch.float64, CPU)(xs), compiled)
        monkeypatch.undo()


class Tangled(nn.Module):
    """Dense layers that are read twice, share weights, stand at several positions or have no bias."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = nn.Linear(3, 6, bias=False), nn.Linear(6, 6), nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.first(x))
        both = self.third(torch.relu(self.second(h)).abs())
        skip = nn.functional.leaky_relu(both, -0.3) + both + self.second(self.third(h).clamp(min=-0.1)).abs() + h
        return torch.relu(self.second(skip))


@pytest.mark.parametrize("shape", [(3,), (5, 3)], ids=["one position", "five positions"])
def test_layers_taken_together_have_the_codes_of_layers_one_by_one(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    graph = trace(Tangled().double().eval(), torch.zeros(1, *shape, dtype=torch.float64))
    hasher = Hasher(graph, torch.float64, CPU)
    assert len(hasher._dense) == (
        5 if len(shape) == 1 else 0
    )  # not the one whose argument is read twice, nor the one behind another
    for seed, count in enumerate((40, 7, 40, 40)):  # buffers are used again, and for other sizes
        x = torch.randn(count, *shape, generator=torch.Generator().manual_seed(seed)).double()
        before, pattern, total = x.clone(), codes(graph, x), torch.zeros(count, 2, dtype=torch.int64)
        for layer in pattern.layers:
            bits = pattern.unpack(layer.name).long().reshape(count, -1)
            total += torch.stack([(bits * c).sum(1) for c in hasher._coefficients[layer.name][0]], 1)
        assert torch.equal(hasher([x]), total)
        assert torch.equal(x, before)


@pytest.mark.parametrize(
    "between",
    [nn.LeakyReLU(0.2), nn.PReLU(8), nn.Threshold(0.1, 0.05), nn.Hardtanh(-0.2, 0.3), nn.Hardshrink(0.2)],
    ids=lambda module: type(module).__name__,
)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_activations_of_every_kind_between_dense_layers(between: nn.Module, dtype: torch.dtype) -> None:
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(3, 8), between, nn.Linear(8, 8), between, nn.Linear(8, 8), between).double()
    with torch.no_grad():
        for parameter in between.parameters():
            parameter.copy_(torch.linspace(-0.5, 0.5, 8))
    graph = trace(model.eval(), torch.zeros(1, 3, dtype=torch.float64))
    x = torch.randn(200, 3, generator=torch.Generator().manual_seed(0)).to(dtype)
    x = torch.cat([x, x[:50]])
    keys, pattern = Hasher(graph, dtype, CPU)([x]), codes(graph, x, dtype=dtype)
    same = (keys[:, None] == keys[None]).all(-1).numpy()
    assert np.array_equal(same, (pattern.packed[:, None] == pattern.packed[None]).all(-1))


# multisets


@pytest.mark.parametrize("make", [Table, lambda: Sorted(CPU)], ids=["table", "sorted"])
def test_counts_of_keys(make: Any) -> None:
    rng = np.random.default_rng(0)
    # many keys share their first or second half, and the low bits
    pool = np.stack([rng.integers(0, 40, 30_000) << 40, rng.integers(-300, 300, 30_000)], 1)
    seen = make()
    for part in np.array_split(pool, 7):
        seen.add(torch.from_numpy(part.copy()))
    expected = np.unique(pool, axis=0, return_counts=True)[1]
    assert sorted(seen.counts()[1].tolist()) == sorted(expected.tolist())
    assert len(make().counts()[1]) == 0


# counts


@pytest.mark.parametrize("sizes", [(2, 16, 16, 1), (4, 12, 9, 3)])
def test_the_count_is_that_of_the_codes_of_the_points(sizes: tuple[int, ...]) -> None:
    graph, box = net(*sizes), cube(sizes[0])
    n = ROWS + 4000
    found = sample_regions(graph, box, n=n)
    exact = codes(graph, *drawn(graph, box, n)).unique().counts
    assert found.count == len(exact)
    assert (found.singletons, found.doubletons) == ((exact == 1).sum(), (exact == 2).sum())
    assert found.n == exact.sum() == n


def test_every_orthant_is_found_and_no_more() -> None:
    graph = trace(nn.Sequential(nn.ReLU()).eval(), torch.zeros(1, 5))
    found = sample_regions(graph, cube(5), n=4000)
    assert (found.count, found.singletons, found.mass_seen, found.chao1) == (32, 0, 1.0, 32.0)
    assert (found.bound.lower, found.bound.kind) == (32, "lower")


def test_the_estimates_of_good_turing_and_chao() -> None:
    graph, box = net(4, 16, 16, 1), cube(4)  # 6 658 cells
    small, large = sample_regions(graph, box, n=3000), sample_regions(graph, box, n=200_000)
    assert small.count < small.chao1 < 6658
    assert large.count < large.chao1 < 6658
    known = {row.tobytes() for row in codes(graph, *drawn(graph, box, 3000)).packed}
    fresh = codes(graph, *drawn(graph, box, 40_000, seed=1)).packed
    share = np.mean([row.tobytes() in known for row in fresh])
    assert share == pytest.approx(small.mass_seen, abs=0.03)


def test_the_batch_size_changes_nothing_and_the_seed_does() -> None:
    graph, box = net(3, 16, 16, 1), cube(3)
    first = sample_regions(graph, box, n=5000, batch_size=17)
    again = sample_regions(graph, box, n=5000)
    other = sample_regions(graph, box, n=5000, seed=1)
    assert (first.count, first.singletons) == (again.count, again.singletons)
    assert (other.count, other.singletons) != (first.count, first.singletons)


def test_float32_decisions_are_those_of_float32_codes() -> None:
    graph, box = net(3, 16, 16, 1), cube(3)
    found = sample_regions(graph, box, n=3000, dtype=torch.float32)
    known = codes(graph, *(x.float() for x in drawn(graph, box, 3000)), dtype=None).count
    assert found.count + found.undecided == known
    assert found.undecided < 0.05 * known


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_both_ways_to_count_find_the_same(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    graph, box = net(2, 16, 16, 1), cube(2)
    tables = sample_regions(graph, box, n=20_000, dtype=dtype)
    monkeypatch.setattr(sample, "distinct", Sorted)
    kept = sample_regions(graph, box, n=20_000, dtype=dtype)
    assert (kept.count, kept.singletons, kept.undecided) == (tables.count, tables.singletons, tables.undecided)
    assert tables.count > 100


# where the points are


def test_uniform_points_fill_boxes_planes_and_polytopes() -> None:
    graph = net(3, 5, 1)
    lower, upper = torch.tensor([0.0, 1.0, 2.0]).double(), torch.tensor([1.0, 1.0, 4.0]).double()
    (x,) = drawn(graph, Box(lower, upper), 2000)
    assert bool(Box(lower, upper).contains(x).all())
    assert torch.allclose(x.mean(0), (lower + upper) / 2, atol=0.1)
    plane = Plane(torch.zeros(3), torch.tensor([1.0, 0, 0]), torch.tensor([0, 1.0, 1.0]), extent=2.0)
    (x,) = drawn(graph, plane, 500)
    assert bool(plane.contains(x).all())
    triangle = Polytope(torch.cat([-torch.eye(3), torch.ones(1, 3)]), torch.tensor([0.0, 0, 0, 1]))
    (x,) = drawn(graph, triangle, 100)
    assert bool(triangle.contains(x, slack=1e-9).all())


def test_points_near_data_and_along_chords() -> None:
    graph = net(20, 6, 2)
    data = torch.randn(9, 20, generator=torch.Generator().manual_seed(1)).double()
    (near,) = drawn(graph, None, 500, data=data, where="near")
    assert float(torch.cdist(near, data).min(1).values.median()) < float(torch.cdist(data, data).median()) / 3
    (along,) = drawn(graph, None, 500, data=data, where="chords")
    chords = data[:, None] - data[None]
    gaps = torch.linalg.vector_norm(along[:, None, None] - data[:, None] + 0 * chords, dim=-1)
    lengths = torch.linalg.vector_norm(chords, dim=-1)
    assert float((gaps + gaps.transpose(1, 2) - lengths).abs().amin((1, 2)).max()) < 1e-9  # on a segment
    box = Box(data.amin(0) - 0.01, data.amax(0) + 0.01)
    (inside,) = drawn(graph, box, 500, data=data, where="mixed")
    assert bool(box.contains(inside).all())


def test_the_default_is_uniform_in_few_dimensions_and_near_data_in_many() -> None:
    few, many = net(3, 5, 1), net(20, 5, 1)
    data = torch.randn(5, 20)
    assert sample_regions(few, cube(3), n=10).where == "uniform"
    assert sample_regions(few, cube(3), n=10, data=torch.rand(4, 3)).where == "uniform"
    assert sample_regions(few, n=10, data=torch.rand(4, 3)).where == "mixed"
    mixed = sample_regions(many, Box(data.amin(0), data.amax(0)), n=10, data=data)
    assert (mixed.where, mixed.notes) == ("mixed", ())
    blind = sample_regions(many, cube(20), n=10)
    assert blind.where == "uniform"
    assert "20 dimensions" in blind.notes[0]


def test_several_inputs_and_one_sample_at_a_time() -> None:
    for name in ("two", "single"):
        graph = zoo.graph(name)
        data = zoo.inputs(name, 5)
        found = sample_regions(graph, n=60, data=data, where="near")
        exact = codes(graph, *drawn(graph, None, 60, data=data, where="near"))
        assert found.count == exact.count


def test_results_as_plain_values() -> None:
    found = sample_regions(net(3, 9, 1), cube(3), n=100, seed=3)
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert plain["cells"] == {"value": found.count, "kind": "lower"}
    assert plain["cells_estimate"]["kind"] == plain["mass_seen"]["kind"] == "estimate"
    assert (plain["provenance"]["seed"], plain["points"]) == (3, 100)
    assert "at least" in repr(found)
    assert 0 < found.collision_probability < 1e-30
    assert isinstance(found, RegionSample)


# bad input


@pytest.mark.parametrize(
    ("on", "options", "error", "text"),
    [
        (None, {}, DomainError, "nothing to sample"),
        (cube(3), {"n": 0}, ShapeError, "n is 0"),
        (cube(3), {"where": "near"}, DomainError, "needs data"),
        (cube(3), {"where": "far"}, DomainError, "cannot sample 'far'"),
        (None, {"where": "uniform", "data": torch.zeros(2, 3)}, DomainError, "bounded domain"),
        (Box.everything((3,)), {}, DomainError, "unbounded"),
        (cube(4), {}, ShapeError, "shape"),
        (None, {"data": torch.zeros(2, 4)}, ShapeError, "expected"),
        (None, {"data": torch.full((2, 3), torch.nan)}, ShapeError, "NaN"),
        (None, {"data": torch.zeros(1, 3), "where": "chords"}, DomainError, "one data point"),
        (cube(3), {"data": 9 + torch.zeros(2, 3), "where": "near"}, DomainError, "no data point"),
        (cube(3), {"batch_size": 0}, ShapeError, "batch_size"),
    ],
)
def test_bad_input_is_refused(on: Any, options: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        sample_regions(net(3, 4, 1), on, **{"n": 10, **options})


@pytest.mark.parametrize("asked", [{"dtype": torch.int32}, {"dtype": torch.complex64}, {"device": "foo"}])
def test_dtypes_without_fractions_and_unknown_devices_are_refused(asked: Any) -> None:
    with pytest.raises(SplineGraphError, match="choose"):
        sample_regions(net(2, 3, 1), Box(-torch.ones(2), torch.ones(2)), n=10, **asked)


def test_patterns_made_by_rounding_are_not_counted() -> None:
    """0.1 x + 0.2 x - 0.3 x is zero but for rounding, of either sign: with relu(x) there are two cells, not more."""

    class Cancels(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(0.1 * x + 0.2 * x - 0.3 * x) + torch.relu(x)

    graph = trace(Cancels().double().eval(), torch.zeros(1, 1, dtype=torch.float64))
    found = sample_regions(graph, Box(torch.tensor([-1.0]), torch.tensor([1.0])), n=2000)
    assert found.count <= 2
    assert found.undecided >= 1
