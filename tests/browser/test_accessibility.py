"""The report by axe-core (WCAG 2 A and AA), and by keyboard alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.conftest import Open
from tests.browser.samples import digits, incomplete
from tests.browser.test_page import visit

if TYPE_CHECKING:
    from playwright.sync_api import Page

RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}}

FOCUSED = """() => {
  const e = document.activeElement;
  if (!e || e === document.body) return null;
  if (!e.dataset.visited) e.dataset.visited = "0";
  e.dataset.visited = String(Number(e.dataset.visited) + 1);
  const style = getComputedStyle(e), box = e.getBoundingClientRect();
  const ring = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
  const label = e.getAttribute("aria-label") || e.innerText || e.title || "";
  return { tag: e.tagName, id: e.id, label: label.slice(0, 60), times: Number(e.dataset.visited),
           ring: ring || style.boxShadow !== "none", size: box.width * box.height };
}"""


def violations(page: Page) -> list[str]:
    """Return what axe-core finds, one line for each element."""
    from axe_playwright_python.sync_playwright import Axe

    found: dict[str, Any] = Axe().run(page, options=RULES).response
    assert found["passes"], "axe-core looked at nothing"
    return [
        f"{rule['id']} ({rule['impact']}): {node['target']} {node['html'][:120]} {node['failureSummary'][:200]}"
        for rule in found["violations"] for node in rule["nodes"]
    ]  # fmt: skip


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 1280), ("light", 400), ("dark", 400)])
def test_axe_finds_nothing(open_report: Open, theme: str, width: int) -> None:
    page = open_report(digits(), theme=theme, width=width)
    visit(page)
    assert violations(page) == []


def test_axe_finds_nothing_where_sections_failed(open_report: Open) -> None:
    page = open_report(incomplete())
    visit(page)
    assert violations(page) == []


def test_axe_sees_a_planted_fault(open_report: Open) -> None:
    page = open_report(incomplete())
    page.evaluate(
        "document.querySelector('.headline').style.color = 'color-mix(in srgb, var(--ink) 35%, var(--paper))'"
    )
    assert any(line.startswith("color-contrast") for line in violations(page))


def test_tab_reaches_every_control_and_shows_where_it_is(open_report: Open) -> None:
    page = open_report(digits())
    visit(page)
    page.locator("a.skip").focus()  # else it begins where the page was scrolled to
    seen: list[dict[str, Any]] = [page.evaluate(FOCUSED)]
    for _ in range(1500):
        page.keyboard.press("Tab")
        found = page.evaluate(FOCUSED)
        if found is None or found["times"] > 1:
            break
        seen.append(found)
    hidden = [f for f in seen if not f["ring"]]
    assert not hidden, f"no ring on {len(hidden)} of {len(seen)}, such as {hidden[:3]}"
    unnamed = [f for f in seen if not f["label"].strip() and f["tag"] in ("BUTTON", "A")]
    assert not unnamed
    missed = page.evaluate("""() => [...document.querySelectorAll(
        "button, a[href], input, select, summary, [tabindex='0'], [role=button]")].filter((e) => {
            if (e.disabled || e.dataset.visited || e.getAttribute("tabindex") === "-1" || e.tabIndex < 0) return false;
            if (e.type === "radio") return false;  // arrow keys go from one to the next
            return e.checkVisibility({ visibilityProperty: true });
        }).map((e) => e.outerHTML.slice(0, 100))""")
    assert missed == []


def test_the_first_stop_leads_past_the_list_of_sections(open_report: Open) -> None:
    page = open_report(digits())
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#content"


def test_a_node_of_a_table_opens_in_the_graph_by_key(open_report: Open) -> None:
    page = open_report(digits(), near="operator-graph")
    name = page.locator("button.node-link").first
    text = name.inner_text()
    name.focus()
    page.keyboard.press("Enter")
    graph = page.locator('.view[data-view="operator-graph"]')
    assert graph.locator("h4").first.inner_text() == text
