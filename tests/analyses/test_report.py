"""The report: what it says of networks whose facts are known by construction."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.analyses.provenance import weight_hash
from splinegraph.analyses.report.registry import chosen
from splinegraph.analyses.report.report import Report, analyze
from splinegraph.analyses.report.values import jsonable, plural
from splinegraph.errors import DataError, ShapeError, SplineGraphError, TraceError


def known() -> nn.Sequential:
    """Return ReLU units on x: always on, dead, switching at 0; then the sum of all."""
    net = nn.Sequential(nn.Linear(1, 3), nn.ReLU(), nn.Linear(3, 2))
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[0.0], [0.0], [1.0]]))
        net[0].bias.copy_(torch.tensor([1.0, -1.0, 0.0]))
        net[2].weight.copy_(torch.tensor([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]))
        net[2].bias.zero_()
    return net.eval()


DATA = torch.tensor([[-1.0], [2.0], [3.0], [0.0]])


@pytest.fixture(scope="module")
def report() -> Report:
    graph = sg.trace(known(), torch.zeros(1, 1))
    return analyze(graph, data=DATA, labels=torch.tensor([0, 0, 1, 0]), at=[1, 3])


def test_graph(report: Report) -> None:
    graph = report["graph"]
    assert [row.operator for row in graph.nodes] == ["Input", "Linear", "ReLU", "Linear"]
    assert graph.exact
    assert graph.continuous
    assert graph.parameters == 3 + 3 + 6 + 2
    assert [row.parameters for row in graph.nodes] == [0, 6, 0, 8]
    assert [row.curvature for row in graph.nodes] == ["", "affine", "convex", "affine"]
    assert graph.buffers == 0
    assert list(graph.inputs.values()) == [(1,)]
    assert list(graph.outputs.values()) == [(2,)]
    assert graph.headline.startswith("exactly piecewise affine")


def bilinear(x: Tensor) -> Tensor:
    return x * x.flip(1)


CURVATURES: list[tuple[Callable[[Tensor], Tensor], str]] = [
    (torch.relu, "convex"),
    (nn.Softplus(), "convex"),
    (nn.LogSigmoid(), "concave"),
    (torch.tanh, "neither"),
    (nn.Hardtanh(), "neither"),
    (torch.sign, "neither"),
    (bilinear, "neither"),
    (torch.exp, "convex"),
    (lambda x: x.amax(1), "convex"),
    (lambda x: 3 * x.sum(1), "affine"),
]


@pytest.mark.parametrize(("function", "curvature"), CURVATURES)
def test_curvature_is_that_of_chords(function: Callable[[Tensor], Tensor], curvature: str) -> None:
    class Apply(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return function(x)

    rows = analyze(sg.trace(Apply().eval(), torch.zeros(1, 3)), sections=["graph"])["graph"].nodes
    assert rows[-1].curvature == curvature
    assert rows[-1].parameters == 0
    draw = torch.Generator().manual_seed(0)
    x, y = (4 * torch.randn(400, 3, generator=draw, dtype=torch.float64) for _ in range(2))
    above = function((x + y) / 2) - (function(x) + function(y)) / 2
    signs = (bool((above <= 1e-12).all()), bool((above >= -1e-12).all()))
    assert signs == {
        "affine": (True, True), "convex": (True, False), "concave": (False, True), "neither": (False, False)
    }[curvature]  # fmt: skip


def test_a_shared_parameter_counts_at_each_node() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(torch.relu(self.layer(x)))

    graph = analyze(sg.trace(Twice().eval(), torch.zeros(1, 3)), sections=["graph"])["graph"]
    assert graph.parameters == 12
    assert [row.parameters for row in graph.nodes] == [0, 12, 0, 12]


def test_inputs(report: Report) -> None:
    inputs = report["inputs"]
    assert (inputs.samples, inputs.random, inputs.lowest, inputs.highest) == (4, False, -1.0, 3.0)
    assert inputs.accuracy == 0.75
    assert inputs.finite == 4


def test_units(report: Report) -> None:
    (layer,) = report["units"].layers
    assert (layer.units, layer.pieces) == (3, 2)
    assert (layer.dead, layer.dead_units) == (1, (1,))
    assert (layer.always_on, layer.always_on_units) == (1, (0,))
    assert layer.constant == {0: 1, 1: 1}
    assert layer.share == {0: 0.5, 1: 0.5}  # 4 + 2 of 12, each way: the tie at 0 goes left


def test_codes(report: Report) -> None:
    codes = report["codes"]
    assert (codes.samples, codes.distinct, codes.alone) == (4, 2, 0)
    assert codes.mean_distance == pytest.approx(4 / 6)  # 2 * 2 of 6 pairs differ, on one unit
    assert codes.most_common == ((2, 0), (2, 1))


def test_boundary(report: Report) -> None:
    boundary = report["boundary"]
    assert (boundary.on_boundary, boundary.indices, boundary.by_node) == (1, (3,), {"relu": 1})


def test_maps(report: Report) -> None:
    maps = report["maps"]
    assert maps.kind == "exact"
    at_two, at_zero = maps.rows
    assert (at_two.sample, at_two.label, at_two.output) == (1, 0, 0)
    assert (at_two.value, at_two.matching, at_two.bias, at_two.norm) == (3.0, 2.0, 1.0, 1.0)
    assert at_two.error == 0.0
    assert not at_two.boundary
    assert at_zero.boundary
    assert (at_zero.value, at_zero.norm) == (1.0, 0.0)  # the piece left of the tie


def test_report_is_json_and_names_its_origin(report: Report) -> None:
    told = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    names = list(told["sections"])
    assert names == list(chosen(None, ()))
    first = ["graph", "inputs", "units", "codes", "boundary", "maps", "regions", "lipschitz", "convexity"]
    assert names[: len(first)] == first
    assert told["complete"]
    assert told["provenance"]["dtype"] == "float64"
    assert told["provenance"]["samples"] == 4
    assert len(told["provenance"]["weights_sha256"]) == 64
    assert not told["provenance"]["stale"]


def test_texts(report: Report) -> None:
    assert "3 units in 1 switching operator: 1 dead, 1 always on" in str(report)
    assert repr(report).startswith("<Report on Sequential: exactly piecewise affine")
    assert repr(report["codes"]).startswith("<CodesSection: 2 distinct patterns in 4 samples")


def test_mean_distance_is_that_of_all_pairs(generator: torch.Generator) -> None:
    net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Hardtanh(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 4)).eval()
    graph = sg.trace(net, torch.zeros(1, 1, 6, 6))
    x = torch.randn(20, 1, 6, 6, generator=generator)
    found = analyze(graph, data=x)
    pattern = sg.codes(graph, x)
    assert found["codes"].mean_distance == pytest.approx(np.mean(pattern.hamming()[np.triu_indices(20, 1)]))
    for layer in found["units"].layers:
        unpacked = pattern.unpack(layer.name).reshape(20, -1)
        same = (unpacked == unpacked[0]).all(0)
        assert layer.dead + layer.always_on == int(same.sum()) == sum(layer.constant.values())
        assert sum(layer.share.values()) == pytest.approx(1.0)


def test_a_saturated_unit_is_dead_and_a_steady_winner_is_on() -> None:
    net = nn.Sequential(nn.Hardtanh(), nn.MaxPool1d(2)).eval()
    graph = sg.trace(net, torch.zeros(1, 1, 2))
    found = analyze(graph, data=torch.tensor([[[0.5, 3.0]], [[0.2, 4.0]]]))
    clamp, pool = found["units"].layers
    assert clamp.dead_units == (1,)  # always on its last, flat piece
    assert clamp.always_on_units == (0,)
    assert (pool.dead, pool.always_on) == (0, 1)


def test_parts_give_the_same_report(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = sg.trace(known(), torch.zeros(1, 1))
    whole = analyze(graph, data=DATA).to_dict()
    monkeypatch.setattr("splinegraph.analyses.batches.ENTRIES", 3)
    monkeypatch.setattr("splinegraph.analyses.report.patterns.ENTRIES", 3)
    assert analyze(graph, data=DATA).to_dict() == whole


class Smooth(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x) * torch.tanh(x)


def test_what_is_not_piecewise_affine_is_named_and_maps_are_tangents() -> None:
    found = analyze(sg.trace(Smooth().eval(), torch.zeros(1, 2)), data=torch.tensor([[1.0, 2.0]]))
    assert not found["graph"].exact
    assert "Tanh" in found["graph"].headline
    assert "bilinear" in found["graph"].headline
    assert "test_report.py" in found["graph"].headline
    assert found["maps"].kind == "tangent"
    assert found["maps"].headline.startswith("tangents")
    assert found["maps"].rows[0].error < 1e-12


def test_a_jump_is_named() -> None:
    class Step(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.sign(x)

    found = analyze(sg.trace(Step().eval(), torch.zeros(1, 2)))
    assert not found["graph"].continuous
    assert "not continuous because of" in found["graph"].headline


def test_nothing_switches() -> None:
    found = analyze(sg.trace(nn.Linear(2, 1).eval(), torch.zeros(1, 2)), data=torch.ones(1, 2))
    assert found["units"].units == 0
    assert found["codes"].distinct == 1
    assert found["codes"].mean_distance is None
    assert found.complete


def test_random_inputs_are_said_to_be_random() -> None:
    graph = sg.trace(known(), torch.zeros(1, 1))
    first, second, other = analyze(graph), analyze(graph), analyze(graph, seed=1)
    assert first["inputs"].random
    assert "not data" in first["inputs"].headline
    assert first.to_dict() == second.to_dict() != other.to_dict()


def test_two_inputs_and_two_outputs() -> None:
    class Two(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
            return torch.relu(x + y), x - y

    found = analyze(sg.trace(Two().eval(), (torch.zeros(1, 2), torch.zeros(1, 2))))
    assert found.complete
    assert found["maps"].rows[0].error < 1e-12


def test_results_know_that_the_weights_changed() -> None:
    net = known()
    graph = sg.trace(net, torch.zeros(1, 1))
    before = weight_hash(graph)
    asked, unasked = analyze(graph, data=DATA), analyze(graph, data=DATA)
    assert asked.to_dict()["provenance"]["weights_sha256"] == before
    with torch.no_grad():
        net[0].bias.add_(1.0)
    assert asked.stale
    assert asked.to_dict()["provenance"]["weights_sha256"] == before
    assert unasked.to_dict()["provenance"]["weights_sha256"] is None
    assert weight_hash(graph) != before


NAN = torch.full((2, 1), torch.nan)


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"data": torch.zeros(0, 1)}, DataError, "the batch is empty"),
        ({"data": torch.zeros(2, 3)}, ShapeError, "has shape (3,), expected (1,)"),
        ({"data": torch.zeros(2)}, ShapeError, "has shape (), expected (1,)"),
        ({"data": (DATA, DATA)}, ShapeError, "takes 1 input(s)"),
        ({"data": "nowhere.npz"}, DataError, "there is no file nowhere.npz"),
        ({"data": DATA, "sections": ["code"]}, SplineGraphError, "no section 'code'; did you mean 'codes'?"),
        ({"data": DATA, "skip": ["xyz"]}, SplineGraphError, "choose of graph, inputs"),
        ({"data": DATA, "sections": ["maps"], "skip": ["maps"]}, SplineGraphError, "no section is left"),
        ({"data": NAN}, DataError, "sample 0 of the tensor holds NaN"),
        ({"data": DATA, "at": [4]}, DataError, "no sample 4; choose from 0 to 3"),
        ({"data": DATA, "at": [-1]}, DataError, "no sample -1"),
        ({"data": DATA, "labels": torch.zeros(3, dtype=torch.int64)}, DataError, "3 labels for 4 samples"),
        ({"data": DATA, "labels": torch.zeros(4)}, DataError, "one integer per sample"),
    ],
)
def test_bad_input(arguments: dict[str, object], error: type[Exception], match: str) -> None:
    graph = sg.trace(known(), torch.zeros(1, 1))
    with pytest.raises(error, match=re.escape(match)):
        analyze(graph, **arguments)


def test_a_module_is_to_be_traced_first() -> None:
    with pytest.raises(TraceError, match=r"a graph is needed, this is a Sequential; call sg.trace"):
        analyze(known())  # type: ignore[arg-type]


@pytest.mark.parametrize("make", [lambda: nn.Tanh(), lambda: nn.ReLU()])
def test_values_are_plain(make: Callable[[], nn.Module]) -> None:
    found = analyze(sg.trace(make().eval(), torch.zeros(1, 3)), data=torch.zeros(2, 3), at=[])
    assert jsonable(found.to_dict()) == found.to_dict()
    assert found["maps"].rows == ()


def test_plain_values() -> None:
    assert jsonable((1, float("nan"), {2: None})) == [1, None, {"2": None}]
    with pytest.raises(TypeError, match="Tensor"):
        jsonable(torch.zeros(1))
    assert (plural(1, "unit"), plural(2, "unit"), plural(0, "branch")) == ("1 unit", "2 units", "0 branches")
