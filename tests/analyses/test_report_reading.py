"""Reports read back: older formats brought up to this one, and one line on all that is none."""

from __future__ import annotations

import copy
import functools
import json
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch
from torch import nn

import splinegraph as sg
from splinegraph.analyses.report.reading import FORMAT, LACKS, joined_later, migrated, read_report
from splinegraph.analyses.report.report import analyze
from splinegraph.errors import DataError


@functools.cache
def _made() -> str:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 3)).eval()
    return json.dumps(analyze(sg.trace(net, torch.zeros(1, 2))).to_dict())


def _report() -> dict[str, Any]:
    held: dict[str, Any] = json.loads(_made())
    return held


def _older(version: int) -> dict[str, Any]:
    """Return the report as that format had it."""
    told = _report()
    told["format"] = f"splinegraph report {version}"
    sections = told["sections"]
    del sections["checks"], sections["regions"]["picture"], sections["regions"]["checks"]
    for name in ("constants", "rungs", "local"):
        del sections["lipschitz"][name]
    for name, key in (("activation", "browser"), ("templates", "gallery"), ("encoding", "gallery")):
        del sections[name][key]
    for node in sections["graph"]["nodes"]:
        del node["curvature"], node["parameters"]
    if version == 1:
        del told["request"]
        told["sections"] = {k: sections[k] for k in ("graph", "inputs", "units", "codes", "boundary", "maps")}
    return told


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(_made())
    assert read_report(tmp_path) == read_report(tmp_path / "report.json") == _report()
    assert migrated(_report()) == _report()


@pytest.mark.parametrize("version", [1, 2])
def test_older_formats_are_brought_up_to_this_one(version: int, tmp_path: Path) -> None:
    old = _older(version)
    before = copy.deepcopy(old)
    found = migrated(old)
    assert old == before
    assert found["format"] == FORMAT
    assert found["notes"] == [*old["notes"], LACKS]
    text = resources.files("splinegraph").joinpath("analyses/report/schema.json").read_text(encoding="utf-8")
    jsonschema.Draft202012Validator(json.loads(text)).validate(found)
    assert found["sections"]["graph"]["nodes"][1]["parameters"] is None
    assert found["sections"]["codes"] == old["sections"]["codes"]
    assert "checks" not in found["sections"]
    assert migrated(found) == found
    (tmp_path / "report.json").write_text(json.dumps(old))
    assert read_report(tmp_path) == found
    assert read_report(tmp_path, migrate=False) == old


def test_a_section_that_failed_or_is_missing_stays_so() -> None:
    old = _older(2)
    old["sections"]["regions"] = {"failed": True, "headline": "failed: x", "error": "E", "message": "x"}
    del old["sections"]["lipschitz"]
    found = migrated(old)
    assert found["sections"]["regions"] == old["sections"]["regions"]
    assert "lipschitz" not in found["sections"]


def test_hostile_names_are_kept_as_they_are(tmp_path: Path) -> None:
    told = _report()
    told["name"] = "<script>alert(1)</script>\u2028"
    told["sections"]["graph"]["nodes"][0]["module"] = "\ud83d\ude00 </script>"
    (tmp_path / "report.json").write_text(json.dumps(told))
    assert read_report(tmp_path) == json.loads(json.dumps(told))


def _spoiled() -> list[tuple[str, str]]:
    def changed(**keys: Any) -> str:
        return json.dumps({k: v for k, v in {**_report(), **keys}.items() if v is not None})

    whole = _made()
    return [
        ("", "is no JSON"),
        (whole[: len(whole) // 2], "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        (whole.replace('"complete": true', '"complete": NaN'), "NaN is no finite number"),
        (whole.replace('"complete": true', '"complete": 1e999'), "1e999 is no finite number"),
        (changed(name="\ud800"), "is no JSON"),
        ("[]", "no report of splinegraph"),
        ("3", "no report of splinegraph"),
        (changed(format=["splinegraph report 3"]), "no report of splinegraph"),
        (changed(format="splinegraph report 3\n\x1b[31m"), "no report of splinegraph"),
        (changed(format="splinegraph report 4"), "reads formats 1 to 3"),
        (changed(format="splinegraph report 0"), "there is no such format"),
        (changed(sections=None), "it has no sections"),
        (changed(sections=[]), "it has no sections"),
        (changed(sections={"graph": []}), "section 'graph' holds no fields"),
        (changed(sections={"a\x1b[31m": {}}), r"section 'a\\\\x1b\[31m' has no headline"),
        (changed(sections={"graph": {"headline": "x", "failed": 0}}), "does not say whether it failed"),
        (changed(notes="x"), "'notes' is of another type"),
        (changed(notes=[3]), "a note is no text"),
        (changed(provenance=None), "'provenance' is missing"),
        (changed(name=3), "'name' is of another type"),
    ]


@pytest.mark.parametrize("place", range(len(_spoiled())))
def test_what_is_no_report_gets_one_line(place: int, tmp_path: Path) -> None:
    text, match = _spoiled()[place]
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(DataError, match=match) as caught:
        read_report(tmp_path)
    assert str(caught.value).isprintable()
    assert caught.value.remedy


def test_a_file_that_is_missing_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no file"):
        read_report(tmp_path)
    (tmp_path / "report.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="is no JSON"):
        read_report(tmp_path)
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "folder.json" / "report.json").mkdir()
    with pytest.raises(DataError, match="cannot read"):
        read_report(tmp_path / "folder.json")


@pytest.mark.parametrize(
    ("key", "later"),
    [
        (("sections", "checks"), True),
        (("sections", "checks", "rows"), False),
        (("sections", "graph", "nodes", 3, "curvature"), True),
        (("sections", "graph", "nodes", 3, "shape"), False),
        (("sections", "graph", "curvature"), False),
        (("sections", "regions", "picture"), True),
        (("sections", 3), False),
        (("sections",), False),
        (("notes", "checks"), False),
        ((), False),
    ],
)
def test_which_keys_came_later(key: tuple[str | int, ...], later: bool) -> None:
    assert joined_later(key, "splinegraph report 2") == later
    assert not joined_later(key, FORMAT)
    assert not joined_later(key, "another format")
