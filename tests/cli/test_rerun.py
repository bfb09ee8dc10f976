"""`splinegraph rerun`: the same again, or what changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from splinegraph.cli.analyze import analyze
from splinegraph.cli.request import REQUESTED, Request, arguments
from tests.cli.conftest import NET, Run

REST = '"name": "net", "complete": true, "notes": [], "provenance": {}, "sections": {}'


@pytest.fixture
def report(splinegraph: Run) -> dict[str, Any]:
    """Analyze the network, with settings that are not the usual ones."""
    options = ("--seed", 3, "--at", "2,4", "--skip", "units", "--dtype", "float32")
    Path("old").mkdir()
    result = splinegraph("analyze", "net.py", *options, "--json", "old/report.json")
    assert result.exit_code == 0, result.output
    return dict(json.loads(Path("old/report.json").read_text()))


def change(report: dict[str, Any], **request: Any) -> None:
    report["request"].update(request)
    Path("old/report.json").write_text(json.dumps(report))


def test_the_same(splinegraph: Run, report: dict[str, Any]) -> None:
    result = splinegraph("rerun", "old", "--out", "new")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("the same")
    assert Path("new/report.json").read_bytes() == Path("old/report.json").read_bytes()


def test_other_weights(splinegraph: Run, report: dict[str, Any]) -> None:
    Path("net.py").write_text(NET.replace("seed(0)", "seed(1)"))
    result = splinegraph("rerun", "old/report.json")
    assert result.exit_code == 1
    first, second = result.stdout.splitlines()[:2]
    assert first.startswith("not the same: the weights differ")
    assert "weights_sha256" in second
    files = splinegraph("rerun", "old", "--json", "-")
    rows = json.loads(files.stdout)["rows"]
    assert any(row["key"].startswith("request.files") for row in rows)
    assert any(row["key"].startswith("sections.maps.rows[0]") for row in rows)


def test_a_finding_that_was_tampered_with(splinegraph: Run, report: dict[str, Any]) -> None:
    report["sections"]["codes"]["distinct"] += 1
    change(report)
    result = splinegraph("rerun", "old")
    assert result.exit_code == 1
    assert "sections.codes.distinct" in result.stdout


def test_a_recorded_program_still_needs_trust(splinegraph: Run, report: dict[str, Any]) -> None:
    Path("evil.pt2").write_bytes(b"")
    change(report, target="evil.pt2")
    result = splinegraph("rerun", "old")
    assert result.exit_code == 2
    assert "--trust" in result.stderr


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "is no JSON"),
        ("[]", "is no report"),
        ('{"format": "splinegraph graph 1"}', "is no report"),
        ('{"format": "splinegraph report 99"}', "reads formats 1 to 3"),
        ('{"format": "splinegraph report 2"}', "does not record what was asked for"),
        ('{"format": "splinegraph report 2", "request": {"target": 3}}', "there is no file 3"),
        ('{"format": "splinegraph report 2", "request": {"seed": 3}}', "Missing argument 'TARGET'"),
        ('{"format": "splinegraph report 2", "request": {"target": "gone.py"}}', "there is no file gone.py"),
        ('{"format": "splinegraph report 2", "request": {"target": "net.py", "seed": -1}}', "-1 is not in the range"),
        ('{"format": "splinegraph report 2", "request": {"target": "net.py", "seed": true}}', "'True' is not a valid"),
        (
            '{"format": "splinegraph report 2", "request": {"target": "net.py", "dtype": "int3"}}',
            "'int3' is not one of",
        ),
        ('{"format": "splinegraph report 2", "request": {"target": "net.py", "shapes": [["a"]]}}', "such as 1,28,28"),
        ('{"format": "splinegraph report 2", "request": {"target": "net.py", "mean": ["x"]}}', "no list of numbers"),
    ],
)
def test_bad_reports(splinegraph: Run, text: str, match: str) -> None:
    Path("r.json").write_text(text.replace('2"', f'2", {REST}'))
    result = splinegraph("rerun", "r.json")
    assert result.exit_code == 2
    assert match in result.stderr


def test_an_older_report_is_compared_by_what_it_holds(splinegraph: Run, report: dict[str, Any]) -> None:
    report["format"] = "splinegraph report 2"
    del report["sections"]["checks"]
    del report["sections"]["lipschitz"]["constants"], report["sections"]["lipschitz"]["rungs"]
    change(report)
    result = splinegraph("rerun", "old")
    assert result.exit_code == 0, result.output
    assert "format: 'splinegraph report 2' -> 'splinegraph report 3'" in result.stdout


def test_what_is_asked_for_can_be_typed_again() -> None:
    asked = Request(
        "-odd [name].py:Net", weights="w.pt", shapes=((1, 2), (3,)), inputs=("a.npy", "-b.npy"), data="d:e",
        mean=(-1.0, 2.5), std=(1e-3,), image_size=(2, 3), output="probabilities", limit=7, at=(0, 4), only=("graph",),
        skip=("maps",), dtype="float32", seed=5,
    )  # fmt: skip
    params = analyze.make_context("analyze", arguments(asked.to_dict())).params
    assert Request(**{name: params[name] for name in REQUESTED}) == asked


def test_the_report_to_compare_with_is_not_overwritten(splinegraph: Run, report: dict[str, Any]) -> None:
    for place in (["--out", "old"], ["--json", "old/report.json"]):
        result = splinegraph("rerun", "old", *place)
        assert result.exit_code == 2
        assert "is the report to compare with" in result.stderr


@pytest.mark.parametrize("rtol", ["nan", "inf", "-1"])
def test_a_tolerance_is_a_small_number(splinegraph: Run, report: dict[str, Any], rtol: str) -> None:
    assert splinegraph("rerun", "old", f"--rtol={rtol}").exit_code == 2


def test_no_report(splinegraph: Run) -> None:
    assert "there is no file none.json" in splinegraph("rerun", "none.json").stderr
