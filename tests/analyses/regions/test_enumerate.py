"""What `enumerate_regions` refuses, how it stops and goes on, and which algorithm it takes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import splinegraph as sg
from splinegraph.analyses.regions.cells import STALLED
from splinegraph.analyses.regions.chords import enumeration
from splinegraph.analyses.regions.finding import INTERRUPTED
from splinegraph.analyses.regions.search import search as engine
from splinegraph.analyses.regions.search.search import Search
from splinegraph.errors import DomainError, SplineGraphError, UnsupportedOperatorError
from tests.analyses.regions.nets import mlp

ROOT = Path(__file__).resolve().parents[3]

BOX = sg.Box(torch.full((2,), -1.0), torch.full((2,), 1.0))


@pytest.fixture(scope="module")
def graph() -> sg.SplineGraph:
    return sg.trace(mlp(2, 8, 8, 1, seed=0), torch.zeros(1, 2, dtype=torch.float64))


def box(dim: int) -> sg.Box:
    return sg.Box(torch.full((dim,), -1.0), torch.full((dim,), 1.0))


def keys(partition: sg.Partition) -> list[bytes]:
    return sorted(row.tobytes() for row in np.ascontiguousarray(partition.packed))


@pytest.mark.parametrize("method", ["mesh", "search", "stream"])
def test_methods_agree(graph: sg.SplineGraph, method: Any) -> None:
    found = sg.enumerate_regions(graph, BOX, method=method)
    assert found.method == method
    assert found.complete
    assert found.verified, found.verified
    assert keys(found) == keys(sg.enumerate_regions(graph, BOX))


@pytest.mark.parametrize("method", ["auto", "search", "stream"])
def test_a_limit_stops_and_the_rest_can_be_had(graph: sg.SplineGraph, method: Any) -> None:
    whole = sg.enumerate_regions(graph, BOX, verify=False)
    part = sg.enumerate_regions(graph, BOX, method=method, limit=7)
    assert len(part) == 7
    assert not part.complete
    assert part.left
    assert part.verified, part.verified
    rest = sg.enumerate_regions(graph, BOX, resume=part)
    assert rest.complete
    assert keys(rest) == keys(whole)
    with pytest.raises(SplineGraphError, match="it is complete"):
        sg.enumerate_regions(graph, BOX, resume=rest)


def test_what_was_missed_before_stays_missed(graph: sg.SplineGraph) -> None:
    part = sg.enumerate_regions(graph, BOX, method="search", limit=7).replace(notes=(STALLED,))
    rest = sg.enumerate_regions(graph, BOX, resume=part)
    assert not rest.left
    assert not rest.complete
    assert rest.notes == (STALLED,)


def test_a_stream_says_how_far_it_is_until_it_is_there(graph: sg.SplineGraph) -> None:
    shares, part = [], sg.enumerate_regions(graph, BOX, method="stream", limit=4)
    while part.left:
        (note,) = part.notes
        shares.append(float(note.split(" %")[0]))
        part = sg.enumerate_regions(graph, BOX, resume=part, limit=4)
    assert shares == sorted(shares)
    assert 0 < shares[0] < shares[-1] < 100
    assert part.complete
    assert part.notes == ()


def test_a_result_of_another_domain_or_model_is_not_carried_on(graph: sg.SplineGraph) -> None:
    part = sg.enumerate_regions(graph, BOX, method="search", limit=7)
    with pytest.raises(DomainError, match="another domain"):
        sg.enumerate_regions(graph, sg.Box(torch.full((2,), -2.0), torch.full((2,), 1.0)), resume=part)
    other = sg.trace(mlp(2, 8, 8, 1, seed=1), torch.zeros(1, 2, dtype=torch.float64))
    with pytest.raises(SplineGraphError, match="another model"):
        sg.enumerate_regions(other, BOX, resume=part)


def test_a_budget_that_is_over_at_once_returns_what_there_is() -> None:
    graph = sg.trace(mlp(6, 24, 24, 1, seed=0), torch.zeros(1, 6, dtype=torch.float64))
    found = sg.enumerate_regions(graph, box(6), budget=0.2)
    assert not found.complete
    assert len(found)
    assert found.left


def test_a_budget_stops_on_a_segment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enumeration, "CHUNK", 1)  # 64 vertices at a time
    graph = sg.trace(mlp(2, 64, 64, 1, seed=0), torch.zeros(1, 2, dtype=torch.float64))
    segment = sg.Segment(torch.tensor([-3.0, -2.0]), torch.tensor([3.0, 2.5]))
    whole, part = (sg.enumerate_regions(graph, segment, budget=budget) for budget in (None, 1e-9))
    assert not part.complete
    assert 0 < len(part) < len(whole)
    assert part.verified, part.verified
    assert np.array_equal(part.packed, whole.packed[: len(part)])


def test_workers_find_the_same_cells_in_the_same_order() -> None:
    graph = sg.trace(mlp(3, 8, 8, 1, seed=0), torch.zeros(1, 3, dtype=torch.float64))
    one, two = (sg.enumerate_regions(graph, box(3), workers=n) for n in (1, 2))
    assert np.array_equal(one.packed, two.packed)
    assert np.array_equal(one.points, two.points)


def test_a_point_is_one_cell(graph: sg.SplineGraph) -> None:
    found = sg.enumerate_regions(graph, sg.Box(torch.ones(2), torch.ones(2)))
    assert (found.count, found.maximal_count) == (1, 1)


def test_fixed_coordinates_are_none(graph: sg.SplineGraph) -> None:
    """A box that is flat in one direction is a segment."""
    flat = sg.enumerate_regions(graph, sg.Box(torch.tensor([-1.0, 0.3]), torch.tensor([1.0, 0.3])))
    line = sg.enumerate_regions(graph, sg.Segment(torch.tensor([-1.0, 0.3]), torch.tensor([1.0, 0.3])))
    assert flat.chart.dim == 1
    assert keys(flat) == keys(line)


def test_two_inputs() -> None:
    class Two(nn.Module):
        def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return torch.relu(x + y) - torch.relu(x - 2 * y)

    graph = sg.trace(Two().eval(), (torch.zeros(1, 1).double(), torch.zeros(1, 1).double()))
    found = sg.enumerate_regions(graph, (box(1), box(1)))
    assert found.count == 4
    assert found.verified, found.verified
    with pytest.raises(DomainError, match="one domain for 2 inputs"):
        sg.enumerate_regions(graph, box(1))


def test_smooth_networks_are_refused_by_name() -> None:
    graph = sg.trace(nn.Sequential(nn.Linear(2, 3), nn.Tanh()).double().eval(), torch.zeros(1, 2).double())
    with pytest.raises(UnsupportedOperatorError, match=r"Tanh is not piecewise affine at node .*sg\.spline"):
        sg.enumerate_regions(graph, BOX)


@pytest.mark.parametrize(
    ("domain", "message"),
    [
        (lambda: sg.Box.everything((2,)), "unbounded"),
        (lambda: box(3), "points of shape"),
        (lambda: sg.Box(torch.tensor([0.0, torch.nan]), torch.ones(2)), "NaN"),
        (lambda: sg.Box(torch.ones(2), torch.zeros(2)), "lower > upper"),
        (lambda: "everywhere", "no domain"),
    ],
)
def test_bad_domains(graph: sg.SplineGraph, domain: Any, message: str) -> None:
    with pytest.raises(SplineGraphError, match=message):
        sg.enumerate_regions(graph, domain())


@pytest.mark.parametrize(
    "asked", [{"limit": 0}, {"budget": 0.0}, {"workers": 0}, {"method": "magic"}, {"verify": "ful"}]
)
def test_bad_requests(graph: sg.SplineGraph, asked: Any) -> None:
    with pytest.raises(SplineGraphError, match=next(iter(asked))):
        sg.enumerate_regions(graph, BOX, **asked)


def test_many_coordinates_are_refused() -> None:
    graph = sg.trace(mlp(20, 4, 1), torch.zeros(1, 20, dtype=torch.float64))
    with pytest.raises(DomainError, match="20 free coordinates"):
        sg.enumerate_regions(graph, box(20))


def test_discontinuous_networks_are_searched() -> None:
    class Steps(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.round(2 * x).sum(1, keepdim=True)

    graph = sg.trace(Steps().eval(), torch.zeros(1, 2, dtype=torch.float64))
    found = sg.enumerate_regions(graph, BOX)
    assert found.method == "search"
    assert found.count == 25
    with pytest.raises(DomainError, match="not continuous"):
        sg.enumerate_regions(graph, BOX, method="mesh")


@pytest.mark.parametrize("workers", [1, 2])
def test_a_linear_program_that_does_not_end_is_told(
    graph: sg.SplineGraph, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if it had happened: no network is known on which it does."""
    from splinegraph.analyses.regions.scale.session import Sharing
    from splinegraph.analyses.regions.search.search import Search

    go = Search._go

    def stalling(self: Search, *args: Any) -> Any:
        found = go(self, *args)
        self.stats["stalls"] += 1
        return found

    monkeypatch.setattr(Search, "_go", stalling)
    sharing = None if workers == 1 else Sharing(progress=lambda tick: None)
    found = sg.enumerate_regions(graph, BOX, method="search", sharing=sharing)
    assert not found.complete
    assert "did not end" in found.notes[0]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"limit": 2.5}, "limit is 2.5"),
        ({"limit": "a"}, "limit is 'a'"),
        ({"limit": True}, "limit is True"),
        ({"budget": "a"}, "budget is 'a'"),
        ({"workers": 1.5}, "workers is 1.5"),
        ({"device": "foo"}, "no device 'foo'"),
        ({"device": "meta"}, "holds no values"),
        ({"device": "cuda:99"}, "no device 'cuda:99'"),
        ({"resume": "x"}, "resume is a str"),
    ],
)
def test_arguments_of_wrong_types_are_refused_in_one_line(graph: sg.SplineGraph, asked: Any, told: str) -> None:
    with pytest.raises(SplineGraphError, match=told) as caught:
        sg.enumerate_regions(graph, BOX, **asked)
    assert "\n" not in str(caught.value)


def test_whole_numbers_of_numpy_are_numbers(graph: sg.SplineGraph) -> None:
    assert len(sg.enumerate_regions(graph, BOX, method="search", limit=np.int64(7))) == 7  # type: ignore[arg-type]


def test_an_interrupt_keeps_what_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = sg.trace(mlp(3, 8, 8, 1, seed=0), torch.zeros(1, 3, dtype=torch.float64))
    whole = sg.enumerate_regions(graph, box(3), verify=False)
    chunk, before = Search._chunk, signal.getsignal(signal.SIGINT)

    def interrupted(self: Search, state: Any, size: int) -> Any:
        found = chunk(self, state, size)
        signal.raise_signal(signal.SIGINT)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(engine, "CHUNK", 10)
        patch.setattr(Search, "_chunk", interrupted)
        part = sg.enumerate_regions(graph, box(3))
    assert (len(part), part.complete, part.notes) == (10, False, (INTERRUPTED,))
    assert signal.getsignal(signal.SIGINT) is before
    rest = sg.enumerate_regions(graph, box(3), resume=part)
    assert (rest.complete, rest.notes) == (True, ())
    assert keys(rest) == keys(whole)


UNGUARDED = """
import torch, splinegraph as sg
print("runs")
torch.manual_seed(0)
net = torch.nn.Sequential(torch.nn.Linear(4, 16), torch.nn.ReLU(), torch.nn.Linear(16, 16), torch.nn.ReLU()).eval()
box = sg.Box(-torch.ones(4), torch.ones(4))
found = sg.enumerate_regions(sg.trace(net, torch.zeros(1, 4)), box, workers=2, verify=False)
print(found.complete, __file__.endswith("script.py"), __spec__)
"""


@pytest.mark.slow
def test_workers_do_not_run_the_script_again(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(UNGUARDED)
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.stdout.split(), done.stderr, done.returncode) == (["runs", "True", "True", "None"], "", 0)
