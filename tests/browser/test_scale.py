"""A network of 5000 nodes and an activation graph of 5000 cells: the page opens, is searched and opened whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks import report as benchmark
from tests.browser.conftest import Open, see
from tests.browser.samples import large

pytestmark = pytest.mark.slow

NODES = 5000


def test_five_thousand_nodes(open_report: Open) -> None:
    page = open_report(large(NODES), near="operator-graph")
    graph = page.locator('.view[data-view="operator-graph"]')
    assert "of 5000 nodes" in graph.inner_text()  # closed modules stand for the others
    search = graph.locator("input").first
    search.fill("op_4321")
    search.press("Enter")
    assert graph.locator("h4").first.inner_text() == "op_4321"
    graph.get_by_role("button", name="open all").click()
    page.wait_for_function("document.querySelector('.view[data-view=operator-graph]').dataset.ready === 'true'")
    search.fill("op_17")
    search.press("Enter")
    assert graph.locator("h4").first.inner_text() == "op_17"


def test_five_thousand_cells(open_report: Open) -> None:
    page = open_report(large(50, 5000))
    see(page, "activation-graph")
    assert "5000 cells" in page.locator('.view[data-view="activation-graph"]').inner_text()


def test_tables_of_five_thousand_rows_are_built_on_demand(open_report: Open) -> None:
    page = open_report(large(NODES))
    box = page.locator("#graph .table-box").first
    assert box.locator("tbody tr").count() < 1000
    box.get_by_role("button", name="Show all").click()
    assert box.locator("tbody tr").count() == NODES
    box.locator("th button").first.click()
    assert box.locator("tbody tr").first.is_visible()


def test_the_benchmark_times_a_page(browser: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = benchmark.opened(browser, benchmark.write_html(large(200, 200), tmp_path / "report.html"))
    assert set(found) == {"opened", "first_view", "all_views", "open_all", "frame", "worst_frame"}
    assert all(value >= 0 for value in found.values())
    benchmark.show({"small": {"page_mb": 1.0, "data_mb": 1.0, "write": 0.0, **found}})
    assert "small" in capsys.readouterr().out
