"""The page of a report: whole, of the data alone, and nothing in a report becomes markup."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

import pytest

import splinegraph as sg
from splinegraph.export.html.assets import Script, scripts
from splinegraph.export.html.outline import outline
from splinegraph.export.html.page import render_page
from splinegraph.export.html.tables import ROWS
from tests.export.html.pages import Reader, read, sample

HOSTILE = "</script><script>window.pwned=1</script><img src=x onerror=alert(1)>\"'&amp;<!--\u2028${{7*7}}"


@pytest.fixture(scope="module")
def page() -> Reader:
    return read(render_page(sample()))


def test_all_sections_are_there_in_the_reports_order(page: Reader) -> None:
    names = list(sample()["sections"])
    sections = [held["id"] for tag, held in page.elements if tag == "section"]
    assert sections == [*names, "origin"]
    assert page.all("p", class_="headline") == [f"the finding of {name}" for name in names]
    links = [held["href"] for tag, held in page.elements if tag == "a"]
    assert {f"#{name}" for name in names} <= set(links)
    ids = [held["id"] for _, held in page.elements if held.get("id")]
    assert len(ids) == len(set(ids))
    assert {str(link)[1:] for link in links} <= set(ids)


def test_every_picture_has_its_place_and_its_script(page: Reader) -> None:
    placed = {held["data-view"] for _, held in page.elements if "data-view" in held}
    code = "".join(page.all("script"))
    registered = set(re.findall(r'^\s*splinegraph\.view\("([a-z-]+)"', code, re.MULTILINE))
    assert registered <= placed, "a view has no place in the page of a report that has everything"


def test_a_page_holds_the_libraries_of_its_views_only() -> None:
    report = sample()
    report["sections"] = {"codes": report["sections"]["codes"]}
    small = read(render_page(report))
    assert small.data == report
    files = [held["data-file"] for _, held in small.elements if "data-file" in held]
    assert "base.js" in files
    assert not any(str(name).endswith(".min.js") for name in files)
    assert {library.key for library in scripts(["operator-graph"])[1]} == {"cytoscape", "dagre"}
    assert {library.key for library in scripts(["slice"])[1]} == {"d3", "plot"}


def test_the_page_holds_the_report_whole(page: Reader) -> None:
    assert page.data == sample()


def test_only_scripts_that_the_policy_names_can_run_and_nothing_can_load(page: Reader) -> None:
    (policy,) = [str(held["content"]) for tag, held in page.elements if held.get("http-equiv")]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data: blob:"
    allowed = set(rules.pop("script-src").split())
    ours = [i for i, (tag, held) in enumerate(page.elements) if tag == "script" and "type" not in held]
    hashes = {
        "'sha256-" + base64.b64encode(hashlib.sha256(page.texts[i].encode()).digest()).decode() + "'" for i in ours
    }
    assert hashes == allowed
    assert "unsafe" not in " ".join(allowed)
    for tag, held in page.elements:
        assert tag not in ("link", "iframe", "object", "base", "form")
        assert not {"src", "action", "srcset", "poster"} & set(held)
        assert not [name for name in held if name.startswith("on") or name == "style"]
        assert str(held.get("href", "#")).startswith("#")


def _spoiled(value: Any) -> Any:
    """Return a report in which every text that is not read by machines is hostile."""
    if isinstance(value, dict):
        return {key: _spoiled(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_spoiled(item) for item in value]
    return value + HOSTILE if isinstance(value, str) else value


def test_hostile_texts_are_texts(page: Reader) -> None:
    report = _spoiled(sample())
    report["sections"]["graph"]["inputs"] = {HOSTILE: [2]}
    report["sections"]["boundary"]["by_node"] = {HOSTILE: 1}
    report["sections"][HOSTILE] = {"failed": True, "headline": HOSTILE, "error": HOSTILE, "message": HOSTILE}
    report["request"]["files"] = {HOSTILE: "ab"}
    rendered = render_page(report)
    spoiled = read(rendered)
    assert spoiled.data == report
    assert {tag for tag, _ in spoiled.elements} == {tag for tag, _ in page.elements}
    scripts_there = [text for text in spoiled.all("script") if "pwned" in text]
    assert scripts_there == spoiled.all("script", id="report-data")
    assert "<script>window" not in rendered
    assert "onerror" not in {name for _, held in spoiled.elements for name in held}
    assert any(HOSTILE in text for text in spoiled.all("td"))
    assert "${49}" not in rendered


def test_a_name_cannot_close_the_json_early() -> None:
    report = sample()
    report["name"] = "</ScRiPt ><!--<script>]]>"
    assert read(render_page(report)).data["name"] == report["name"]


def test_names_that_are_no_unicode() -> None:
    report = sample()
    report["name"] = "half \udc80"
    page = render_page(report)
    page.encode("utf-8")
    assert read(page).data["name"] == report["name"]


def test_a_failed_section_says_why_and_loses_no_other() -> None:
    report = sample()
    report["complete"] = False
    report["sections"]["units"] = {"failed": True, "headline": "failed: no room", "error": "E", "message": "no room"}
    page = read(render_page(report))
    assert "failed: no room" in page.all("p", class_="headline")
    alarm = page.all("p", class_="alarm")[0]
    assert alarm.startswith("Failed: Units")
    assert len(page.all("p", class_="headline")) == len(report["sections"])


def test_missing_sections_and_empty_reports() -> None:
    for name in sample()["sections"]:
        report = sample()
        report["sections"] = {name: report["sections"][name]}
        page = outline(report)
        assert page.sections[0].name == name
        assert len(page.left_out) == len(sample()["sections"]) - 1
    assert outline(sample()).left_out == []
    bare = {"format": "splinegraph report 3", "sections": {}}
    assert read(render_page(bare)).data == bare


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Return every (container, key) in a section."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [pair for key, item in list(items) for pair in ((value, key), *_places(item))]


@pytest.mark.parametrize("name", list(sample()["sections"]))
def test_any_field_may_be_missing_or_of_another_type(name: str) -> None:
    """An edited report shows what it can; no field of it stops the page."""
    count = len(_places({k: v for k, v in sample()["sections"][name].items() if k not in ("picture", "gallery")}))
    for place in range(count):
        for value in (None, "text", 7, []):
            report = sample()
            section = report["sections"][name]
            shown = {k: v for k, v in section.items() if k not in ("picture", "gallery")}
            container, key = _places(shown)[place]
            container[key] = value
            report["sections"] = {name: shown}
            assert outline(report).name == "Net"


def test_new_fields_may_be_null_as_in_an_older_report() -> None:
    """What format 3 brought is null in a migrated report: nothing is said to be broken."""
    report = sample()
    for name, key in [
        ("regions", "picture"), ("lipschitz", "constants"), ("lipschitz", "rungs"), ("lipschitz", "local"),
        ("activation", "browser"), ("templates", "gallery"), ("encoding", "gallery"),
    ]:  # fmt: skip
        report["sections"][name][key] = None
    for node in report["sections"]["graph"]["nodes"]:
        node["curvature"], node["parameters"] = "", None
    rendered = render_page(report)
    assert "cannot be shown" not in rendered
    assert 'data-view="slice"' not in rendered
    assert 'data-view="ladder"' in rendered


def test_a_long_table_is_whole() -> None:
    report = sample()
    (node,) = report["sections"]["graph"]["nodes"][:1]
    many = ROWS + 20
    report["sections"] = {"graph": report["sections"]["graph"]}
    report["sections"]["graph"]["nodes"] = [{**node, "name": f"node_{i}"} for i in range(many)]
    page = read(render_page(report))
    import json

    static = [held["data-node"] for _, held in page.elements if "data-node" in held]
    (rest,) = map(json.loads, page.all("script", class_="rest-rows"))
    assert [*static, *(row[0][0] for row in rest)] == [f"node_{i}" for i in range(many)]
    assert page.all("p", class_="note rest") == [f"The first {ROWS} of {many} rows."]


def test_the_command_of_the_request_asks_for_the_same() -> None:
    page = outline(sample())
    command = dict(page.origin)["command"]
    assert command == "splinegraph analyze net.py --input-shape 1,2 --seed 3"
    assert dict(page.origin)["SHA-256 of the weights"] == "cd" * 32


@pytest.mark.parametrize("files", [None, "text", 7, []])
def test_an_edited_request_stops_nothing(files: object) -> None:
    assert outline(sample() | {"request": {"target": "net.py", "files": files}}).origin[0][1].endswith("net.py")


def test_operators_whose_constant_is_1_to_four_digits_are_left_out() -> None:
    rows = [{"node": name, "constant": value, "total": 2.0} for name, value in (("near", 0.999996), ("far", 0.9993))]
    report = {"sections": {"lipschitz": {"failed": False, "headline": "", "layers": rows}}}
    (table,) = outline(report).sections[0].tables
    assert [row[0].text for row in table.rows] == ["far"]


def test_checks_that_failed_are_loud() -> None:
    finding = next(found for found in outline(sample()).findings if found.section == "checks")
    assert finding.tone == "bad"
    assert finding.value == "1 of 2"
    assert "1 not run" in finding.detail
    assert outline(sample()).alarms == ["1 check failed: f = A x + b."]


def test_themes(tmp_path: Path) -> None:
    assert "data-theme" not in dict(read(render_page(sample())).elements)["html"]
    path = sg.write_html(sample(), tmp_path / "page.html", theme="dark")
    assert dict(read(path.read_text(encoding="utf-8")).elements)["html"]["data-theme"] == "dark"
    with pytest.raises(sg.SplineGraphError, match="no theme 'grey'; choose of auto, light, dark"):
        render_page(sample(), theme="grey")


def test_what_is_no_report_is_one_line() -> None:
    for wrong in ({}, {"sections": None}, {"sections": {"graph": None}}):
        with pytest.raises(sg.SplineGraphError, match="no report"):
            render_page(wrong)


def test_the_digest_is_of_the_text_as_the_page_has_it() -> None:
    assert Script("a.js", "alert(1)").digest == "sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI="


def test_a_page_without_data_is_small() -> None:
    assert len(render_page(sample()).encode()) < 1.5 * 2**20
