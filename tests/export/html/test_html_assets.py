"""Scripts of the page: vendored ones are those of npm, with their licences; ours keep the page's rules."""

from __future__ import annotations

import hashlib
import json
import math
import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splinegraph.export.html.assets import HERE, libraries, scripts
from splinegraph.export.html.tables import Cell, Column, Table, table, text
from splinegraph.export.html.values import number, percent

ASSETS = sorted((HERE / "assets").iterdir())

SCRIPTS = [path for path in ASSETS if path.suffix == ".js"]

FORBIDDEN = (
    r"\binnerHTML\b|\bouterHTML\b|insertAdjacentHTML|document\.write|\beval\(|new Function|\bfetch\(|XMLHttpRequest"
    r"|WebSocket|EventSource|sendBeacon|importScripts|\bimport\(|new Worker|localStorage|sessionStorage"
)


@pytest.mark.parametrize("key", list(libraries()))
def test_vendored_files_are_those_recorded(key: str) -> None:
    library = libraries()[key]
    assert hashlib.sha256(library.path.read_bytes()).hexdigest() == library.sha256
    assert re.fullmatch(r"\d+\.\d+\.\d+", library.version)
    assert library.licence in ("MIT", "ISC", "BSD-3-Clause")
    assert len(library.licences) > 500
    rows = {row["key"]: row for row in json.loads((HERE / "vendor" / "vendor.json").read_text())}
    names = {file.name for file in library.path.parent.iterdir()}
    bundled = {"LICENSE." + name.rpartition("@")[0].rpartition("/")[2] for name in rows[key]["bundles"]}
    assert names == {library.file, "LICENSE", *bundled}


def test_nothing_else_is_vendored() -> None:
    held = {path.name for path in (HERE / "vendor").iterdir() if path.is_dir()}
    assert held == set(libraries())


def test_scripts_can_stand_in_a_page() -> None:
    used, _ = scripts(["operator-graph", "activation-graph", "slice", "ladder"])
    for script in used:
        assert "</script" not in script.text.lower(), script.name
        assert "<!--" not in script.text, script.name
        assert "\r" not in script.text, script.name
        assert "sourceMappingURL" not in script.text, script.name
    names = [script.name for script in used]
    assert names.index("base.js") > max(place for place, name in enumerate(names) if name.endswith(".min.js"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_our_scripts_write_text_only_and_reach_for_nothing(path: Path) -> None:
    code = path.read_text(encoding="utf-8")
    assert re.search(FORBIDDEN, code) is None
    assert '"use strict"' in code
    assert len(code.splitlines()) < 400
    urls = set(re.findall(r"https?://[^\s\"'`]+", code))
    assert urls <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xhtml"}


@pytest.mark.parametrize("path", [p for p in ASSETS if p.suffix == ".css"], ids=lambda path: path.name)
def test_our_styles_load_nothing_and_take_colors_of_variables(path: Path) -> None:
    code = re.sub(r"/\*.*?\*/", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert "url(" not in code
    assert "@import" not in code
    assert "</style" not in code.lower()
    rules = re.findall(r"[\s;{](color|fill|stroke|border[a-z-]*|background-color)\s*:\s*([^;{}]+);", code)
    assert [rule for rule in rules if re.search(r"#[0-9a-f]{3,8}\b|\brgb", rule[1])] == []


def test_a_wheel_has_all_files_of_the_page() -> None:
    """Every file beside the code is named in the package data."""
    root = HERE.parent.parent
    data = tomllib.loads((root.parent / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = data["tool"]["setuptools"]["package-data"]["splinegraph"]
    kept = {path for pattern in patterns for path in root.glob(pattern)}
    held = {path for path in HERE.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    assert held <= kept
    assert len(held) > 20
    assert any(requirement.startswith("jinja2") for requirement in data["project"]["dependencies"])


# numbers and tables


@given(st.floats(-1e300, 1e300))
def test_a_number_is_right_in_four_digits(x: float) -> None:
    shown = float(number(x).replace(",", ""))
    assert math.isclose(shown, x, rel_tol=5.1e-4)
    assert len(number(x)) <= 20


def test_what_is_no_number_is_a_dash() -> None:
    for value in (None, math.nan, math.inf, "7", True, [1]):
        assert number(value) == percent(value) == "–"


def test_percentages_do_not_round_to_all_or_none() -> None:
    assert [percent(x) for x in (0.0, 1e-6, 0.5, 0.9999, 1.0)] == ["0 %", "< 0.01 %", "50 %", "> 99.9 %", "100 %"]


def test_columns_without_entries_are_left_out() -> None:
    (made,) = table("t", ["a", "b"], [1, 2], lambda row: [text(row), text(None)])
    assert [column.title for column in made.columns] == ["a"]
    assert [[cell.text for cell in row] for row in made.rows] == [["1"], ["2"]]
    assert table("t", ["a"], [], lambda row: [text(row)]) == []


def test_only_long_texts_are_broken_into_lines() -> None:
    made = Table("t", [Column("a"), Column("b", True)], [])
    assert made.kind(0, Cell("x" * 100, tone="bad")) == "long bad"
    assert made.kind(1, Cell("9" * 100)) == "num"
    assert made.kind(0, Cell("x")) == ""
