"""The section on checks: what holds passes, each planted fault is found, what did not run says why."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from rich.console import Console
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.analyses.affine_map import AffineMap
from splinegraph.analyses.convexity.verdict import Certificate, Verdict, Verdicts
from splinegraph.analyses.report import convexity, lipschitz, maps
from splinegraph.analyses.report.ladders import Climbed
from splinegraph.analyses.report.report import Report, analyze
from splinegraph.analyses.report.values import Check
from splinegraph.cli.main import main
from splinegraph.cli.render import render
from splinegraph.core.agreement import Agreement
from splinegraph.core.graph import SplineGraph

DATA = torch.randn(20, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
QUICK = ("inputs", "maps", "lipschitz", "convexity", "checks")


def traced(net: nn.Module | None = None) -> SplineGraph:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2)) if net is None else net
    return sg.trace(net.double().eval(), torch.zeros(1, 3, dtype=torch.float64))


def made(graph: SplineGraph, **options: Any) -> Report:
    return analyze(graph, data=DATA, **{"sections": QUICK, **options})


def rows(report: Report, passed: bool | None) -> list[tuple[str, str]]:
    return [(row.part, row.name) for row in report["checks"].rows if row.passed is passed]


def loud(report: Report, part: str, name: str) -> Check:
    """Return the one check that failed, after a look at all places that must say so."""
    (row,) = (row for row in report["checks"].rows if row.passed is False)
    assert row.part == part
    assert name in row.name
    assert "FAILED" in report["checks"].headline
    assert name in report["checks"].headline
    assert not report.complete
    assert any(note.startswith(f"warning: a check failed: {row.name}") for note in report.notes)
    out = io.StringIO()
    render(report, console=Console(file=out, width=100))
    assert "a check failed: this report is incomplete" in out.getvalue()
    assert "FAILED" in out.getvalue()
    found: Check = row
    return found


def test_what_holds_passes() -> None:
    report = made(traced(), sections=(*QUICK, "regions"))
    assert rows(report, False) == []
    assert report.complete
    ran = rows(report, True)
    assert {part for part, _ in ran} >= {"trace", "weights", "inputs", "maps", "regions", "lipschitz", "convexity"}
    assert report["checks"].headline.startswith(f"all {len(ran)} checks passed")
    parts = [row.part for row in report["checks"].rows]
    assert parts == sorted(parts, key=["trace", "weights", "inputs", "maps", "regions", "lipschitz", "convexity"].index)
    assert list(report.sections)[-1] == "checks"


def test_the_trace_keeps_what_it_compared() -> None:
    net = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2)).eval()
    graph = sg.trace(net, torch.zeros(1, 3))
    found = [(row.what, row.batch, row.dtype, row.tolerance) for row in graph.checks]
    assert found == [
        ("model", 2, "float32", 1e-5), ("model", 3, "float32", 1e-5), ("batch", 3, "float32", 1e-5),
        ("model", 2, "float64", 1e-10),
    ]  # fmt: skip
    assert all(0 <= row.difference <= row.tolerance for row in graph.checks)
    assert graph.rename("other").checks == graph.checks
    assert sg.trace(net, torch.zeros(1, 3), check=False).checks == ()


def test_a_trace_without_a_check_says_so() -> None:
    net = nn.Sequential(nn.Linear(3, 2)).double().eval()
    report = made(sg.trace(net, torch.zeros(1, 3, dtype=torch.float64), check=False), sections=["checks"])
    assert ("trace", "the graph computes what the model does") in rows(report, None)
    left = {row.part: row.detail for row in report["checks"].rows if row.passed is None}
    assert left["maps"] == "the section was left out"
    assert "without a check" in left["trace"]
    assert "not run" in report["checks"].headline
    assert report.complete


def test_a_graph_that_is_off_the_model() -> None:
    graph = dataclasses.replace(traced(), checks=(Agreement("model", 2, "float64", 1e-3, 1e-10),), _cache={})
    row = loud(made(graph), "trace", "the graph computes what the model does")
    assert (row.difference, row.tolerance) == (1e-3, 1e-10)


class Log(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.log(x)


def test_outputs_that_are_no_numbers() -> None:
    report = analyze(traced(Log()), data=DATA, sections=["inputs", "checks"])
    assert "NaN or infinite" in loud(report, "inputs", "every output is finite").detail


def test_a_wrong_local_map(monkeypatch: pytest.MonkeyPatch) -> None:
    bias = AffineMap.bias.fget
    assert bias is not None
    monkeypatch.setattr(AffineMap, "bias", property(lambda self: bias(self) + 1e-6))
    assert (loud(made(traced(), sections=("maps", "checks")), "maps", "f(x)").difference or 0) > 1e-9


@pytest.mark.parametrize("share", [0.5, 0.01])
def test_an_upper_bound_that_is_too_small(monkeypatch: pytest.MonkeyPatch, share: float) -> None:
    right = lipschitz.climbed

    def wrong(*given: Any) -> Climbed:
        found = right(*given)
        return dataclasses.replace(
            found, upper=found.upper * share,
            certificate=dataclasses.replace(found.certificate, upper=found.upper * share),
        )  # fmt: skip

    monkeypatch.setattr(lipschitz, "climbed", wrong)
    failed = rows(made(traced()), False)
    assert ("lipschitz", "the lower end is below the upper end") in failed
    assert any("certificate" in name for _, name in failed)
    assert ("lipschitz", "no two samples are mapped further apart than that") in failed or share > 0.1


def test_a_wrong_certificate_of_convexity(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(graph: SplineGraph, **_: Any) -> Verdicts:
        return Verdicts(graph, None, (Verdict((0,), convex=Certificate("curvature", "because")), Verdict((1,))))

    graph = traced(nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2)))
    monkeypatch.setattr(convexity, "convexity", wrong)
    failed = rows(made(graph), False) + rows(made(graph * -1.0), False)
    assert ("convexity", "outputs certified convex or concave are so on chords between samples") in failed


def test_a_witness_that_refutes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    right = convexity.convexity

    def wrong(graph: SplineGraph, **options: Any) -> Verdicts:
        found = right(graph, **options)
        spoiled = [
            dataclasses.replace(v, **{side: dataclasses.replace(w, y=w.x)})
            for v in found
            for side, w in (("convex", v.convex), ("concave", v.concave))
            if not isinstance(w, Certificate) and w is not None
        ]
        return dataclasses.replace(found, verdicts=tuple(spoiled))

    monkeypatch.setattr(convexity, "convexity", wrong)
    loud(made(traced()), "convexity", "witnesses")


def test_weights_that_change_on_the_way() -> None:
    net = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))
    graph = traced(net)

    def touch(stage: str, done: int, total: int | None) -> None:
        if stage == "lipschitz" and not done:
            with torch.no_grad():
                net[0].weight.mul_(1.0)  # type: ignore[operator]

    loud(made(graph, progress=touch), "weights", "the weights are the same")


def test_a_failed_check_is_told_without_the_section(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maps, "TOLERANCE", {torch.float64: -1.0})
    report = analyze(traced(), data=DATA, sections=["maps"])
    told = report.to_dict()
    assert told["complete"] is False
    assert any("a check failed: f(x) = A[x] x + b[x] (maps)" in note for note in told["notes"])


def test_the_same_request_gives_the_same_rows() -> None:
    graph = traced()
    first, again = (json.dumps(made(graph)["checks"].to_dict()) for _ in range(2))
    assert first == again


def test_the_exit_code_says_that_a_check_failed(tmp_path: Path) -> None:
    net = (
        "from torch import nn\nimport torch\nclass Log(nn.Module):\n    def forward(self, x):\n        return x.log()\n"
    )
    (tmp_path / "net.py").write_text(f"{net}net = Log().eval()\n")
    asked = ["analyze", str(tmp_path / "net.py"), "--input-shape", "3", "--only", "inputs", "--only", "checks"]
    result = CliRunner().invoke(main, asked, prog_name="splinegraph")
    assert result.exit_code == 1, result.output
    assert "FAILED: every output is finite (inputs)" in " ".join(result.output.split())
