"""`splinegraph report` and what `analyze --out` writes: report.json, the page and the figures."""

from __future__ import annotations

import errno
import json
import os
import webbrowser
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import splinegraph as sg
from splinegraph.export.files import PartlySavedError, save_report
from splinegraph.export.report_figures import FIGURES
from tests.cli.conftest import Run
from tests.export.html.pages import read, sample


@pytest.fixture(autouse=True)
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Open no browser, and there is no display; return the addresses that would have been opened."""
    found: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda address: bool(found.append(address)) or True)
    monkeypatch.setattr("splinegraph.cli.report._has_display", lambda: False)
    return found


@pytest.fixture
def held(splinegraph: Run) -> dict[str, Any]:
    """Put a report where `splinegraph report r` finds it."""
    Path("r").mkdir()
    Path("r/report.json").write_text(json.dumps(sample()), encoding="utf-8")
    return sample()


def page(path: str = "r/report.html") -> Any:
    return read(Path(path).read_text(encoding="utf-8"))


def test_analyze_writes_the_report_and_its_page(splinegraph: Run) -> None:
    result = splinegraph("analyze", "net.py", "--only", "graph", "--only", "units", "--out", "r")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-2:] == ["wrote r/report.json", "wrote r/report.html"]
    assert page().data == json.loads(Path("r/report.json").read_text())
    assert page().all("h1") == ["Sequential"]


def test_a_page_or_figure_that_fails_leaves_report_json(splinegraph: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(report: Mapping[str, Any], path: Path) -> list[Path]:
        raise PartlySavedError({"slice": "no room"}, [])

    def no_page(*arguments: object, **more: object) -> None:
        raise RuntimeError("out of ink")

    Path("r").mkdir()
    Path("r/report.html").write_text("an older page")
    monkeypatch.setattr("splinegraph.export.files.save_figures", broken)
    monkeypatch.setattr("splinegraph.export.html.page.write_html", no_page)
    result = splinegraph("analyze", "net.py", "--only", "graph", "--out", "r", "-q")
    assert result.exit_code == 1
    assert result.stdout == "wrote r/report.json\n"
    assert result.stderr.splitlines() == [
        "splinegraph: error: not all of the report could be written: "
        "report.html: RuntimeError: out of ink; slice: no room"
    ]
    assert [path.name for path in Path("r").iterdir()] == ["report.json"], "the older page would tell of another report"


def test_a_full_disk_is_one_line_and_leaves_no_part(splinegraph: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    real, count = os.fsync, iter(range(100))

    def full(file: int) -> None:
        if next(count) > 0:  # there is room for report.json only
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(file)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PartlySavedError, match=r"report\.html: cannot write .*No space left.*free some space") as error:
        save_report(sample(), "r")
    assert [path.name for path in error.value.files] == ["report.json"]
    assert [path.name for path in Path("r").iterdir()] == ["report.json"]


@pytest.mark.parametrize("at", ["page", "figures", "slice"])
def test_an_interrupt_keeps_what_is_written_and_nothing_of_another_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    def interrupted(*arguments: object, **more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.undo()
    (tmp_path / "figures").mkdir()
    older = [
        tmp_path / "report.html",
        *(tmp_path / "figures" / f"{name}.svg" for name in ("units", "slice", "encoding")),
    ]
    for path in older:
        path.write_text("old")
    if at == "slice":
        monkeypatch.setitem(FIGURES, at, interrupted)
    else:
        place = {"page": "html.page.write_html", "figures": "report_figures.save_report_figures"}[at]
        monkeypatch.setattr(f"splinegraph.export.{place}", interrupted)
    with pytest.raises(PartlySavedError, match=r"\w: interrupted.*; `splinegraph report DIR --figures`") as error:
        save_report(sample(), tmp_path)
    there = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert there == set(error.value.files)
    assert all(path.read_bytes() != b"old" for path in there)
    expected = {"report.json"} | ({"report.html"} if at != "page" else set())
    assert {path.name for path in there if path.parent == tmp_path} == expected
    assert (tmp_path / "figures").exists() == (at == "slice")


def test_figures_of_an_earlier_report_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What this report has no figure of must not be shown by an older one; other files stay."""
    monkeypatch.undo()
    folder = tmp_path / "figures"
    folder.mkdir()
    for name in ("slice.svg", "slice.png", "mine.svg"):
        (folder / name).write_text("old")
    report = sample()
    report["sections"] = {"units": report["sections"]["units"]}
    told: list[str] = []
    files = save_report(report, tmp_path, progress=told.append)
    assert told == ["report.json", "page", "figures"]
    names = {path.name for path in files}
    assert {"report.json", "report.html", "units.svg", "units.png"} <= names
    assert {path.name for path in folder.iterdir()} == {"units.svg", "units.png", "mine.svg"}
    assert (folder / "units.svg").read_bytes()[:5] == b"<?xml"


def test_report_makes_the_page_anew_of_the_json_alone(splinegraph: Run, held: dict[str, Any]) -> None:
    result = splinegraph("report", "r")
    assert result.exit_code == 0, result.output
    assert result.output == "wrote r/report.html\n"
    assert page().data == held
    before = Path("r/report.html").read_bytes()
    assert splinegraph("report", "r/report.json").exit_code == 0
    assert Path("r/report.html").read_bytes() == before
    assert Path("r/report.json").read_text() == json.dumps(sample())


def test_sections_are_chosen(splinegraph: Run, held: dict[str, Any]) -> None:
    arguments = ("--only", "lipschitz", "--only", "units", "--theme", "dark", "--out", "bounds.html")
    assert splinegraph("report", "r", *arguments).exit_code == 0
    assert list(page("bounds.html").data["sections"]) == ["units", "lipschitz"], "in the order of the report"
    assert dict(page("bounds.html").elements)["html"]["data-theme"] == "dark"
    assert splinegraph("report", "r", "--skip", "graph").exit_code == 0
    assert list(page().data["sections"]) == list(held["sections"])[1:]


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["r", "--only", "untis"], "the report has no section 'untis'; did you mean 'units'?"),
        (["r", "--skip", "zebra"], "choose of graph, inputs"),
        (["r", "--only", "units", "--skip", "units"], "no section is left to show"),
        (["nowhere"], "there is no file nowhere"),
        (["net.py"], "net.py is no JSON"),
        (["r", "--out", "r/report.json"], "is the report itself"),
        (["r", "--out", "nowhere/page.html"], "make its folder first"),
        (["r", "--out", "r"], "cannot write r"),
        (["r", "--theme", "grey"], "'grey' is not one of"),
    ],
)
def test_bad_input_is_one_line(splinegraph: Run, held: dict[str, Any], arguments: list[str], match: str) -> None:
    result = splinegraph("report", *arguments)
    assert result.exit_code == 2, result.output
    assert match in result.stderr
    assert "Traceback" not in result.output
    assert sorted(path.name for path in Path("r").iterdir()) == ["report.json"]


def test_an_older_report_is_shown_and_a_later_one_refused(splinegraph: Run, held: dict[str, Any]) -> None:
    for version, code in ((2, 0), (4, 2)):
        Path("r/report.json").write_text(json.dumps(held | {"format": f"splinegraph report {version}"}))
        result = splinegraph("report", "r")
        assert result.exit_code == code, result.output
    assert "this is a 'splinegraph report 4'" in result.stderr
    assert any("older report" in note for note in page().data["notes"])


@pytest.fixture
def read_only(held: dict[str, Any]) -> Iterator[Path]:
    folder = Path("r")
    folder.chmod(0o500)
    if os.access(folder, os.W_OK):
        folder.chmod(0o700)
        pytest.skip("nothing is read-only to this user")
    yield folder
    folder.chmod(0o700)


def test_a_read_only_folder_is_one_line(splinegraph: Run, read_only: Path) -> None:
    result = splinegraph("report", "r")
    assert result.exit_code == 2
    assert "cannot write r/report.html: Permission denied; choose a folder" in result.stderr
    assert splinegraph("report", "r", "--out", "page.html").exit_code == 0


def test_a_folder_that_cannot_be_written_is_one_line(
    splinegraph: Run, held: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*arguments: object, **more: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "replace", refused)
    result = splinegraph("report", "r")
    assert result.exit_code == 2
    assert "cannot write r/report.html: Permission denied; choose a folder" in result.stderr


def test_the_browser_opens_where_there_is_a_display(
    splinegraph: Run, held: dict[str, Any], opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    result = splinegraph("report", "r", "--open")
    assert result.exit_code == 0
    assert f"open {Path('r/report.html').absolute()} in one" in result.stderr
    assert opened == []
    monkeypatch.setattr("splinegraph.cli.report._has_display", lambda: True)
    assert splinegraph("report", "r", "--no-open").exit_code == 0
    assert opened == []
    assert splinegraph("report", "r").exit_code == 0
    assert opened == [Path("r/report.html").absolute().as_uri()]


def test_an_incomplete_report_says_so_on_its_page(splinegraph: Run, held: dict[str, Any]) -> None:
    held["complete"] = False
    held["sections"]["maps"] = {"failed": True, "headline": "failed: late", "error": "E", "message": "late"}
    Path("r/report.json").write_text(json.dumps(held))
    assert splinegraph("report", "r").exit_code == 0
    assert page().all("p", class_="alarm")[0].startswith("Failed: Local affine maps")


def test_a_report_in_a_notebook(splinegraph: Run) -> None:
    import torch

    net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU()).eval()
    report = sg.analyze(sg.trace(net, torch.zeros(1, 2)), sections=["graph"], notes=["<script>alert(1)</script>"])
    shown = read(report._repr_html_())
    assert "<script>alert(1)</script>" in shown.all("td")[-1]
    assert {tag for tag, _ in shown.elements} <= {"div", "strong", "table", "tr", "td"}
