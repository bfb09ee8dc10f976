"""What `sg.paths` returns, refuses and tells a report."""

from __future__ import annotations

import functools
import json
from typing import Any

import matplotlib
import pytest
import torch
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.analyses.report import paths as section_module
from splinegraph.analyses.report.report import analyze
from splinegraph.errors import ShapeError, SplineGraphError
from tests.analyses.paths.nets import Branched, graph_of, net


@functools.cache
def fixed() -> tuple[sg.SplineGraph, Tensor]:
    return graph_of(Branched(2), 4)


def test_parts_of_a_batch_are_the_batch() -> None:
    graph, x = graph_of(Branched(3), 4)
    whole, parts = (sg.paths(graph, x, batch_size=size) for size in (None, 2))
    torch.testing.assert_close(whole.by_input, parts.by_input)
    torch.testing.assert_close(whole.templates([1]), parts.templates([1]))
    name = whole.branches[1].name
    torch.testing.assert_close(whole.along(name), parts.along(name))


def test_a_summary_is_json() -> None:
    graph, x = graph_of(Branched(3), 4, batch=8)
    found = sg.paths(graph, x)
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert [family["paths"] for family in told["families"]] == [1, 3, 3, 1]
    assert len(told["families"][0]["inputs"]) == 5
    assert told["error"] == found.error
    assert repr(found) == f"<PathDecomposition of {graph.name} by length: 4 families, 8 samples, exact>"
    assert str(found).splitlines()[0].split() == ["family", "paths", "from", "inputs", "from", "biases", "together"]
    assert float(found.shares.sum()) == pytest.approx(1)
    assert not found.stale
    with torch.no_grad():
        next(iter(graph.parameters())).add_(0.0)
    assert found.stale


def test_a_figure_has_a_bar_per_family_and_part() -> None:
    graph, x = graph_of(Branched(3), 4)
    found = sg.paths(graph, x, by="block")
    ax = found.plot(sample=1)
    assert len(ax.patches) == 6
    assert [round(bar.get_width(), 9) for bar in ax.patches[:3]] == [
        round(v, 9) for v in found.scores[0, :, 1, 0].tolist()
    ]
    assert "(overlapping)" in ax.get_title()
    mine = matplotlib.figure.Figure().add_subplot()
    assert found.plot(mine) is mine
    for told in (found.plot, found.table):
        with pytest.raises(ShapeError, match="no sample 3"):
            told(sample=3)


def test_dead_networks_and_small_floats() -> None:
    graph, x = graph_of(Branched(2), 4)
    single = sg.paths(graph, x.float(), dtype=None)
    assert single.contributions.dtype == torch.float32
    assert single.error is not None
    assert single.error < 1e-5
    with torch.no_grad():
        for p in graph.parameters():
            p.zero_()
    found = sg.paths(graph, x)
    assert found.error == 0
    assert found.shares.tolist() == [0, 0, 0]
    assert float(found.norms.abs().max()) == 0


def test_several_inputs() -> None:
    class Two(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            z = x + torch.relu(x)
            return z + torch.abs(z) + y

    graph = sg.trace(Two().eval(), (torch.zeros(1, 2), torch.zeros(1, 2)))
    x, y = torch.tensor([[1.0, -2.0]]), torch.tensor([[5.0, 6.0]])
    found = sg.paths(graph, (x, y))
    assert found.by_input[1, :, 0].tolist() == [[5, 6], [0, 0], [0, 0]]
    assert found.by_input[0, :, 0].tolist() == [[1, -2], [2, 2], [1, 0]]
    assert [part.shape for part in found.templates([0, 1])] == [(3, 1, 2, 2)] * 2
    assert found.norms.shape == (3, 1, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": "step"}, "no families by 'step'; choose of length, block"),
        ({"by": "time"}, "has no time steps"),
        ({"by": "time", "branches": ["head"]}, "no branches by 'time'"),
        ({"subsets": [()]}, "goes with by='subset'"),
        ({"by": "subset", "subsets": []}, "no subset is given"),
        ({"by": "subset", "subsets": [(), ()]}, "a subset comes twice"),
        ({"by": "subset", "subsets": ["nowhere"]}, "no branch 'nowhere'"),
        ({"classes": [3]}, "class out of range"),
        ({"classes": []}, "classes of shape"),
        ({"classes": [0.5]}, "give integers"),
        ({"classes": [True]}, "give integers"),
        ({"classes": torch.zeros(2, 1, dtype=torch.int64)}, "give integers of shape"),
        ({"batch_size": 0}, "batch_size is 0"),
    ],
)
def test_what_is_refused(options: dict[str, Any], message: str) -> None:
    graph, x = fixed()
    with pytest.raises(SplineGraphError, match=message):
        sg.paths(graph, x, **options)


@pytest.mark.parametrize("x", [None, torch.zeros(4), torch.full((1, 4), float("nan")), torch.zeros(0, 4)])
def test_inputs_that_are_refused(x: Any) -> None:
    graph, _ = fixed()
    with pytest.raises(ShapeError):
        sg.paths(graph, x)


def test_a_path_through_an_unknown_branch() -> None:
    graph, x = fixed()
    with pytest.raises(SplineGraphError, match="no branch 'nowhere'; choose of"):
        sg.paths(graph, x).along("nowhere")


def test_a_report_has_a_section() -> None:
    graph, x = net("attention")
    section = analyze(graph, data=x, sections=["paths"])["paths"]
    assert (section.by, section.kind, section.samples, len(section.blocks)) == ("length", "tangent", 3, 4)
    found = sg.paths(graph, x)
    assert [f.share for f in section.families] == pytest.approx(found.shares.tolist())
    assert [f.norm for f in section.families] == pytest.approx(found.norms.mean((1, 2)).tolist())
    assert section.headline.startswith("over 4 residual branches: length ")
    assert section.headline.endswith(
        f"{100 * max(found.shares.tolist()):.0f} % of the sum of the families' sizes, of the tangent"
    )


def test_a_section_says_why_there_is_none() -> None:
    plain = analyze(sg.trace(nn.Linear(2, 2).eval(), torch.zeros(1, 2)), sections=["paths"])["paths"]
    assert plain.headline == "not applicable: no residual branches and no time steps"

    class Jump(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return x + torch.relu(x), x

    several = analyze(sg.trace(Jump().eval(), torch.zeros(1, 2)), sections=["paths"])["paths"]
    assert several.headline == "not applicable: several outputs"


def test_a_section_of_a_dead_network_names_no_family() -> None:
    dead = Branched(2).eval()
    with torch.no_grad():
        for parameter in dead.parameters():
            parameter.zero_()
    section = analyze(sg.trace(dead, torch.zeros(1, 4)), sections=["paths"])["paths"]
    assert section.headline == "over 2 residual branches: no path gives anything to the largest output"


def test_a_large_network_is_looked_at_on_one_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, x = graph_of(Branched(2), 4, batch=3)
    monkeypatch.setattr(section_module, "WORK", 1)
    assert analyze(graph, data=x, sections=["paths"])["paths"].samples == 1
    monkeypatch.setattr(section_module, "MOST", 1)
    assert analyze(graph, data=x, sections=["paths"])["paths"].headline.startswith("not worked out: 3 families")
