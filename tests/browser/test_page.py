"""The report in a browser: all of it is drawn, works by mouse and without scripts, and is safe to open."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from splinegraph.analyses.report.reading import read_report
from splinegraph.export.html.page import write_html
from tests.browser.conftest import Open
from tests.browser.samples import ATTACKS, digits, failing, hostile, incomplete, older

if TYPE_CHECKING:
    from playwright.sync_api import Page

DONE = ".view[data-ready=true], .view[data-failed=true]"


def visit(page: Page) -> None:
    """Scroll to every view and wait until it is drawn."""
    for place in page.locator(".view").all():
        place.evaluate("e => e.scrollIntoView()")
        page.wait_for_function("e => e.dataset.ready || e.dataset.failed", arg=place.element_handle())


def failures(page: Page) -> list[str]:
    return page.locator(".view[data-failed=true]").all_inner_texts()


def column(page: Page, table: int, place: int) -> list[str]:
    rows = page.locator("table.sortable").nth(table).locator("tbody tr")
    return [text.strip() for text in rows.locator(f"td:nth-child({place + 1})").all_inner_texts()]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_all_is_drawn(open_report: Open, theme: str, width: int) -> None:
    report = digits()
    page = open_report(report, theme=theme, width=width)
    visit(page)
    assert failures(page) == []
    assert page.locator(".view").count() >= 8
    sections = {node.get_attribute("id") for node in page.locator("main section[id]").all()}
    assert set(report["sections"]) <= sections | {"checks"}
    for name, section in report["sections"].items():
        if name in sections:
            assert section["headline"] in page.locator(f"#{name}").inner_text()
    ink, paper = page.evaluate("""() => ["--ink", "--paper"].map((name) => {
        const probe = document.body.appendChild(document.createElement("i"));
        probe.style.color = `var(${name})`;
        const rgb = getComputedStyle(probe).color.match(/[0-9.]+/g).slice(0, 3).map(Number);
        probe.remove();
        return rgb.reduce((a, b) => a + b);
    })""")
    assert (ink > paper) == (theme == "dark")
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"the page scrolls sideways by {wide} pixels"


def test_links_lead_to_sections(open_report: Open) -> None:
    page = open_report(digits())
    links = page.locator("nav.sections a")
    assert links.count() > len(digits()["sections"]) / 2
    for link in links.all():
        target = str(link.get_attribute("href"))
        assert page.locator(target).count() == 1, target
    link = page.locator('nav.sections a[href="#lipschitz"]')
    link.click()
    assert page.evaluate("location.hash") == "#lipschitz"
    page.wait_for_function("link => link.getAttribute('aria-current')", arg=link.element_handle())


def test_tables_sort_by_mouse_and_by_keyboard(open_report: Open) -> None:
    page = open_report(digits())
    tables = page.locator("table.sortable")
    names = [tables.nth(i).locator("th").all_inner_texts() for i in range(tables.count())]
    table, place = next(
        (i, j) for i in range(len(names)) for j in range(len(names[i]))
        if len({*column(page, i, j)}) > 3 and "num" in (tables.nth(i).locator("th").nth(j).get_attribute("class") or "")
    )  # fmt: skip
    heading = tables.nth(table).locator("th").nth(place)
    values = tables.nth(table).locator(f"tbody td:nth-child({place + 1})")

    def shown() -> list[float]:
        found = values.evaluate_all("cells => cells.map((cell) => cell.dataset.value)")
        return [float(v) for v in found if v is not None]

    before = shown()
    heading.locator("button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    assert shown() == sorted(before, reverse=True)
    heading.locator("button").focus()
    page.keyboard.press("Enter")
    assert heading.get_attribute("aria-sort") == "ascending"
    assert shown() == sorted(before)


def test_the_button_changes_the_colors(open_report: Open) -> None:
    page = open_report(digits(), near="operator-graph")
    color = "getComputedStyle(document.body).backgroundColor"
    before, button = page.evaluate(color), page.locator("#theme")
    button.click()
    assert page.evaluate(color) != before
    assert button.get_attribute("aria-pressed") == "true"
    button.click()
    assert page.evaluate(color) == before


def test_failed_and_missing_sections_are_told(open_report: Open) -> None:
    page = open_report(incomplete())
    visit(page)
    assert failures(page) == []
    assert "a planted fault" in page.locator("#lipschitz").inner_text()
    assert "failed" in page.locator('nav.sections a[href="#lipschitz"]').inner_text()
    assert page.locator("#measures, #paths").count() == 0
    for view in ("slice", "activation-graph", "template-gallery"):
        for place in page.locator(f'.view[data-view="{view}"]').all():
            assert place.inner_text().strip(), view


def test_every_section_may_fail(open_report: Open) -> None:
    report = failing()
    page = open_report(report)
    visit(page)
    assert failures(page) == []
    text = page.locator("main").inner_text()
    assert all(section["headline"] in text for section in report["sections"].values())


@pytest.mark.parametrize("only", [["graph"], ["inputs", "lipschitz", "units"], []])
def test_sections_may_be_missing(open_report: Open, only: list[str]) -> None:
    report = digits()
    report["sections"] = {name: report["sections"][name] for name in only}
    page = open_report(report)
    visit(page)
    assert failures(page) == []
    for link in page.locator("nav.sections a").all():
        assert page.locator(str(link.get_attribute("href"))).count() == 1


def test_an_older_report_has_a_page(open_report: Open, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(json.dumps(older()))
    page = open_report(read_report(tmp_path))
    visit(page)
    assert failures(page) == []
    text = page.locator("main").inner_text()
    assert "an older report" in text
    assert digits()["sections"]["regions"]["headline"] in text


def test_names_are_text(open_report: Open) -> None:
    page = open_report(hostile())
    visit(page)
    for node in page.locator("button.node-link").all()[:3]:
        node.click()
    assert failures(page) == []
    assert page.evaluate("window.pwned") is None
    assert page.locator("main img[src=x]").count() == 0
    text = page.locator("main").inner_text()
    assert all(attack in text for attack in ATTACKS), [attack for attack in ATTACKS if attack not in text]
    assert "{{ 7 * 7 }}" in text


def test_a_script_that_is_not_ours_does_not_run(open_report: Open, tmp_path: Path) -> None:
    path = write_html(digits(), tmp_path / "report.html")
    text = path.read_text()
    assert re.search(r'content="[^"]*default-src (?:\'none\'|&#39;none&#39;)', text)
    path.write_text(text.replace("</main>", "<script>window.pwned = 1</script></main>", 1))
    page = open_report(path, errors=False)
    assert page.evaluate("window.pwned") is None


def test_everything_is_drawn_on_paper(open_report: Open, tmp_path: Path) -> None:
    page = open_report(digits(), theme="dark")
    assert page.locator(DONE).count() < page.locator(".view").count()
    page.pdf(path=str(tmp_path / "report.pdf"), format="A4")
    assert page.locator(".view[data-ready=true]").count() == page.locator(".view").count()
    assert (tmp_path / "report.pdf").stat().st_size > 50_000


def test_without_scripts_the_facts_are_there(open_report: Open) -> None:
    report = digits()
    page = open_report(report, script=False)
    text = page.locator("main").inner_text()
    for name, section in report["sections"].items():
        assert section["headline"] in text, name
    assert page.locator("table tbody tr").count() > 30
    assert page.locator("nav.sections a").first.is_visible()
