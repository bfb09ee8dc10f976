"""The pages hang together: links, the map of the site, the API reference, and the notebook."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path

import pytest

import splinegraph as sg

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(page for page in DOCS.rglob("*.md") if not page.is_relative_to(DOCS / "project"))
SETTINGS = runpy.run_path(str(DOCS / "conf.py"))


def test_the_reference_has_every_public_name_once() -> None:
    documented = [
        name
        for page in (DOCS / "api").glob("*.md")
        for name in re.findall(
            r"^\.\. auto(?:class|function|exception):: (\w+)$", page.read_text("utf-8"), re.MULTILINE
        )
    ]
    assert sorted(documented) == sorted(sg.__all__)


def test_the_summary_of_a_page_of_the_reference_lists_what_the_page_documents() -> None:
    for page in (DOCS / "api").glob("*.md"):
        text = page.read_text("utf-8")
        summary = re.search(r"^\.\. autosummary::\n\n((?:   \w+\n)+)", text, re.MULTILINE)
        listed = summary[1].split() if summary else []
        assert listed == re.findall(r"^\.\. auto(?:class|function|exception):: (\w+)$", text, re.MULTILINE), page.name


def test_the_map_of_the_site_has_every_page_once() -> None:
    listed = [
        str(Path(page).parent / entry)
        for page, parts in SETTINGS["toctrees"].items()
        for entries in parts.values()
        for entry in entries
    ]
    pages = {
        str(page.relative_to(DOCS).with_suffix("")) for suffix in ("md", "ipynb") for page in DOCS.rglob(f"*.{suffix}")
    }
    assert sorted(listed) == sorted(pages - {"index"})
    assert set(SETTINGS["mirrored"]) == {page for page in pages if page.startswith("project/")}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_of_a_page_lead_to_files(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)\s#]+)(?=[)#])", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target


def test_files_that_are_shown_on_the_site_exist_and_their_pages_link_to_them() -> None:
    for page, target in SETTINGS["mirrored"].items():
        assert (DOCS.parent / target).is_file()
        assert f"](../../{target})" in (DOCS / f"{page}.md").read_text("utf-8")


def test_the_notebook_is_stored_without_outputs() -> None:
    notebook = json.loads((DOCS / "first-look.ipynb").read_text("utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert len(code) > 5
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
