"""The activation graph in the report's page: cells, filters and paths are those of the report."""

from __future__ import annotations

import copy
import itertools
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser import samples

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = pytest.mark.browser

Open = Callable[..., "Page"]
Plain = dict[str, Any]

VIEW = ".view[data-view=activation-graph]"
CANVAS = f"document.querySelector('{VIEW} .graph-box').graphCanvas"
LAYERS, WIDTH = 4, 12


def _made(layers: int = LAYERS, width: int = WIDTH, edges: int = 90) -> Plain:
    """Return a report with a random activation graph."""
    draw = random.Random(0)
    nodes: list[list[Any]] = []
    for i in range(layers * width):
        labels = {str(label): draw.randrange(1, 30) for label in draw.sample(range(10), draw.randrange(1, 4))}
        nodes.append([i // width, f"{i:04x}", sum(labels.values()), labels, draw.sample(range(360), 3)])
    pairs = {(draw.randrange((layers - 1) * width), draw.randrange(width)) for _ in range(edges)}
    report = copy.deepcopy(samples.digits())
    report["sections"]["activation"]["browser"] = {
        "layers": [f"layer {i}" for i in range(layers)], "nodes": nodes, "left_out": 7, "edges_left_out": 0,
        "edges": [[a, (a // width + 1) * width + b, draw.randrange(1, 20)] for a, b in sorted(pairs)],
    }  # fmt: skip
    return report


@pytest.fixture(scope="module")
def report() -> Plain:
    """Return a report with 48 cells."""
    return _made()


def _browser(report: Plain) -> Plain:
    found: Plain = report["sections"]["activation"]["browser"]
    return found


def _cells(page: Page) -> list[Plain]:
    return [node for node in page.evaluate(f"{CANVAS}.scene.nodes") if "title" not in node]


def _edges(page: Page) -> set[tuple[str, str]]:
    return {(edge["source"], edge["target"]) for edge in page.evaluate(f"{CANVAS}.scene.edges")}


def _marked(page: Page) -> set[int]:
    return {int(name[1:]) for name in page.evaluate(f"[...{CANVAS}.marked.edges]")}


def _panel(page: Page) -> Locator:
    return page.locator(f"{VIEW} .graph-panel")


def _click(page: Page, cell: int) -> None:
    box = page.locator(f"{VIEW} .graph-box")
    box.scroll_into_view_if_needed()
    at = page.evaluate(f"id => {CANVAS}.at(id)", f"c{cell}")
    box.click(position={"x": at["x"], "y": at["y"] + at["h"] / 2})


def _through(report: Plain, cell: int) -> set[int]:
    """Return the edges behind and before a cell, by growing the set until nothing is added."""
    edges = _browser(report)["edges"]
    found = set[int]()
    for start, end in ((0, 1), (1, 0)):
        reached, size = {cell}, 0
        while len(reached) > size:
            size = len(reached)
            reached |= {edge[end] for edge in edges if edge[start] in reached}
        found |= {i for i, edge in enumerate(edges) if edge[start] in reached}
    return found


def test_all_cells_and_edges_are_shown(open_report: Open, report: Plain) -> None:
    page = open_report(report, near="activation-graph")
    browser = _browser(report)
    assert {cell["id"] for cell in _cells(page)} == {f"c{i}" for i in range(len(browser["nodes"]))}
    assert _edges(page) == {(f"c{a}", f"c{b}") for a, b, _ in browser["edges"]}
    said = page.locator(f"{VIEW} .graph-live").inner_text()
    assert said == f"48 of 48 cells and {len(browser['edges'])} edges shown; 7 rarer cells are not in the report"


def test_layers_are_columns_and_discs_do_not_overlap(open_report: Open, report: Plain) -> None:
    page = open_report(report, near="activation-graph")
    nodes, cells = _browser(report)["nodes"], _cells(page)
    columns: dict[int, list[Plain]] = {}
    for cell in cells:
        columns.setdefault(nodes[int(cell["id"][1:])][0], []).append(cell)
    places = [{cell["x"] for cell in columns[layer]} for layer in sorted(columns)]
    assert all(len(place) == 1 for place in places)
    assert sorted(min(place) for place in places) == [min(place) for place in places]
    for column in columns.values():
        column.sort(key=lambda cell: cell["y"])
        assert all(b["y"] - a["y"] >= (a["h"] + b["h"]) / 2 for a, b in itertools.pairwise(column))
        labels = [max(nodes[int(c["id"][1:])][3].items(), key=lambda p: (p[1], -int(p[0])))[0] for c in column]
        assert labels == sorted(labels)
    sizes = {cell["id"]: cell["w"] for cell in cells}
    largest = max(range(len(nodes)), key=lambda i: nodes[i][2])
    assert sizes[f"c{largest}"] == max(sizes.values())


def test_click_tells_a_cell_and_marks_all_paths_through_it(open_report: Open, report: Plain) -> None:
    page = open_report(report, near="activation-graph")
    browser = _browser(report)
    cell = 2 * WIDTH + 3
    _, key, count, labels, seen = browser["nodes"][cell]
    _click(page, cell)
    text = _panel(page).inner_text()
    assert f"cell {key}" in text
    assert f"samples\n{count}" in text
    assert ", ".join(map(str, seen)) in text
    bars = _panel(page).locator(".graph-bars li").all()
    told = {b.locator(".graph-bar-name").inner_text(): b.locator(".graph-bar-text").inner_text() for b in bars}
    assert told == {label: str(n) for label, n in labels.items()}
    steps = sorted(_panel(page).locator(".graph-steps li").all_inner_texts())
    near = [(e[0] if e[1] == cell else e[1], e[2]) for e in browser["edges"] if cell in e[:2]]
    assert steps == sorted(f"{browser['nodes'][i][1]} {n} in layer {browser['nodes'][i][0]}" for i, n in near)
    assert _marked(page) == _through(report, cell)


def test_filters_leave_what_passes_them(open_report: Open, report: Plain) -> None:
    page = open_report(report, near="activation-graph")
    nodes = _browser(report)["nodes"]
    slider = page.locator(f"{VIEW} input[type=range]")
    slider.evaluate("input => { input.value = 85; input.dispatchEvent(new Event('input')); }")
    least = int(page.locator(f"{VIEW} output").inner_text().split()[0])
    passing = {f"c{i}" for i, node in enumerate(nodes) if node[2] >= least}
    assert 0 < len(passing) < len(nodes)
    assert {cell["id"] for cell in _cells(page)} == passing
    assert _edges(page) <= {(a, b) for a in passing for b in passing}
    slider.evaluate("input => { input.value = 0; input.dispatchEvent(new Event('input')); }")
    page.locator(f"{VIEW}").get_by_label("class:").select_option("3")
    assert {cell["id"] for cell in _cells(page)} == {f"c{i}" for i, node in enumerate(nodes) if "3" in node[3]}
    page.locator(f"{VIEW}").get_by_label("class:").select_option("")
    page.get_by_label("first layer").select_option("1")
    page.get_by_label("last layer").select_option("2")
    assert {cell["id"] for cell in _cells(page)} == {f"c{i}" for i in range(WIDTH, 3 * WIDTH)}


def test_path_of_a_sample(open_report: Open, report: Plain) -> None:
    page = open_report(report, near="activation-graph")
    nodes = _browser(report)["nodes"]
    sample = nodes[5][4][0]
    page.get_by_label("number of a sample").fill(str(sample))
    marked = set(page.evaluate(f"[...{CANVAS}.marked.nodes]"))
    assert marked == {f"c{i}" for i, node in enumerate(nodes) if sample in node[4]}
    page.get_by_label("number of a sample").fill("99999")
    assert "no cell lists sample 99999" in page.locator(f"{VIEW} .graph-live").inner_text()


def test_arrow_keys_go_along_the_edge_of_most_samples(open_report: Open, report: Plain) -> None:
    page = open_report(report, near="activation-graph")
    browser = _browser(report)
    start = max(browser["edges"], key=lambda edge: edge[2])[0]
    _click(page, start)
    best = max((edge for edge in browser["edges"] if edge[0] == start), key=lambda edge: edge[2])
    page.locator(f"{VIEW} .graph-box").press("ArrowRight")
    assert _panel(page).locator("h4").inner_text() == f"cell {browser['nodes'][best[1]][1]}"


def test_outline_lists_the_cells(open_report: Open, report: Plain) -> None:
    page = open_report(report, near="activation-graph")
    outline = page.locator(f"{VIEW} > .graph-outline")
    outline.locator(":scope > summary").click()
    for summary in outline.locator(".graph-module > summary").all():
        summary.click()
    assert sorted(outline.locator(".graph-link").all_inner_texts()) == [f"{i:04x}" for i in range(LAYERS * WIDTH)]


def test_hostile_classes_and_layers_are_text(open_report: Open) -> None:
    report = _made()
    classes = [f"{samples.ATTACKS[i % len(samples.ATTACKS)]} {i}" for i in range(10)]
    report["sections"]["inputs"]["classes"] = classes
    _browser(report)["layers"] = [f"{attack} layer" for attack in samples.ATTACKS[:LAYERS]]
    page = open_report(report, near="activation-graph")
    for cell in range(0, LAYERS * WIDTH, 5):
        _click(page, cell)
        layer, _, _, labels, _ = _browser(report)["nodes"][cell]
        names = [_browser(report)["layers"][layer], *(classes[int(label)] for label in labels)]
        assert [name for name in names if name not in _panel(page).inner_text()] == []
    assert page.evaluate("window.pwned === undefined")
    assert page.locator(f"{VIEW} img").count() == 0


def test_a_report_without_cells_says_so(open_report: Open) -> None:
    report = _made()
    _browser(report).update(layers=[], nodes=[], edges=[])
    page = open_report(report, near="activation-graph")
    assert page.locator(VIEW).inner_text() == "The report has a summary of the cells, but no list of them."


def test_thousands_of_cells(open_report: Open) -> None:
    report = _made(20, 250, 15000)
    page = open_report(report, near="activation-graph")
    shown = len(_cells(page))
    assert 30 <= shown <= 600
    page.locator(f"{VIEW} input[type=range]").evaluate(
        "input => { input.value = 0; input.dispatchEvent(new Event('input')); }"
    )
    assert len(_cells(page)) == 5000
    assert len(_edges(page)) == len(_browser(report)["edges"])


TITLES = """(whole) => {
  // Return the texts of titles as they are painted: text, left, right and top, in pixels
  const canvas = CANVAS, pen = CanvasRenderingContext2D.prototype, real = pen.fillText, told = [];
  pen.fillText = function (text, x, y) {
    const [half, m] = [this.measureText(text).width / 2, this.getTransform()];
    const top = y - parseFloat(this.font);
    const place = [m.a * (x - half) + m.e, m.a * (x + half) + m.e, m.d * top + m.f];
    if (this.textBaseline === "bottom") told.push([text, ...place]);
    real.call(this, text, x, y);
  };
  const sheet = document.createElement("canvas"), theme = canvas.tools.theme(), { scene, marked, box } = canvas;
  const frame = { width: box.clientWidth, height: box.clientHeight, ratio: 1, theme, marked };
  if (whole) splinegraph.graph.paintWhole(sheet, scene, theme, 2, marked);
  else splinegraph.graph.paint(sheet.getContext("2d"), scene, canvas.surface.view(), frame);
  pen.fillText = real;
  return [told, sheet.width];
}""".replace("CANVAS", CANVAS)


def _apart(told: list[list[Any]]) -> bool:
    names = sorted((left, right) for text, left, right, _ in told if not text.endswith(("cell", "cells")))
    return all(a[1] < b[0] + 0.5 for a, b in itertools.pairwise(names))


@pytest.mark.parametrize(
    ("layers", "name"),
    [(40, "relu_{}"), (6, "features.{}.block.relu"), (8, "encoder.layers.{}.feed_forward.activation")],
)
def test_titles_stay_whole_and_apart(open_report: Open, layers: int, name: str) -> None:
    report = _made(layers=layers, width=3)
    names = _browser(report)["layers"] = [name.format(i) for i in range(layers)]
    page = open_report(report, near="activation-graph")
    shown, width = page.evaluate(TITLES, True)
    assert len(shown) >= 4
    assert _apart(shown)
    assert all(left >= 0 and right <= width and top >= 0 for _, left, right, top in shown), "all is on the paper"
    for _ in range(12):
        shown, _ = page.evaluate(TITLES, False)
        assert len(shown) >= 4
        assert _apart(shown)
        page.locator(VIEW).get_by_role("button", name="zoom in").click()
    assert len(shown) == 2 * layers
    beginnings = [text.partition("\u2026")[0] for text, *_ in shown if not text.endswith("cells")]
    assert all(whole.startswith(part) for whole, part in zip(names, beginnings, strict=True))
