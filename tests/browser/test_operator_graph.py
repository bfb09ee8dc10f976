"""The operator graph in the report's page: it shows what the report holds, and nothing lies on anything else."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser import samples
from tests.browser.conftest import swipe

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = pytest.mark.browser

Open = Callable[..., "Page"]
Plain = dict[str, Any]

VIEW = ".view[data-view=operator-graph]"
CANVAS = f"document.querySelector('{VIEW} .graph-box').graphCanvas"


def _scene(page: Page) -> Plain:
    found: Plain = page.evaluate(f"({{nodes: {CANVAS}.scene.nodes, edges: {CANVAS}.scene.edges}})")
    return found


def _panel(page: Page) -> Locator:
    return page.locator(f"{VIEW} .graph-panel")


def _press(page: Page, *keys: str) -> None:
    for key in keys:
        page.locator(f"{VIEW} .graph-box").press(key)


def _choose(page: Page, name: str) -> None:
    page.locator(VIEW).evaluate(
        "(view, name) => view.dispatchEvent(new CustomEvent('show-node', {detail: name}))", name
    )


def _click(page: Page, node: str, times: int = 1) -> None:
    box = page.locator(f"{VIEW} .graph-box")
    box.scroll_into_view_if_needed()
    at = page.evaluate(f"id => {CANVAS}.at(id)", node)
    box.click(position={"x": at["x"], "y": at["y"] + min(at["h"] / 2, 8)}, click_count=times)


def _button(page: Page, text: str) -> Locator:
    return page.locator(f"{VIEW} .graph-tools").get_by_role("button", name=text, exact=True)


def _nodes(report: Plain) -> list[Plain]:
    found: list[Plain] = report["sections"]["graph"]["nodes"]
    return found


def _reads(nodes: list[Plain]) -> set[tuple[str, str]]:
    number = {node["name"]: f"n{i}" for i, node in enumerate(nodes)}
    return {(number[name], number[node["name"]]) for node in nodes for name in node["reads"]}


def _sides(node: Plain) -> tuple[float, float, float, float]:
    return node["x"] - node["w"] / 2, node["y"] - node["h"] / 2, node["x"] + node["w"] / 2, node["y"] + node["h"] / 2


def _apart(a: Plain, b: Plain) -> bool:
    one, two = _sides(a), _sides(b)
    return any(one[i + 2] <= two[i] + 0.01 or two[i + 2] <= one[i] + 0.01 for i in range(2))


def _within(a: Plain, b: Plain) -> bool:
    one, two = _sides(a), _sides(b)
    return all(one[i] >= two[i] - 0.01 and one[i + 2] <= two[i + 2] + 0.01 for i in range(2))


def _overlaps(scene: Plain) -> list[tuple[str, str]]:
    """Return pairs that lie on each other, by a sweep over the left sides; a module may hold others whole."""
    rows = sorted(scene["nodes"], key=lambda node: node["x"] - node["w"] / 2)
    found, active = [], list[Plain]()
    for node in rows:
        active = [other for other in active if _sides(other)[2] > _sides(node)[0]]
        for other in active:
            inside = (node.get("box") and _within(other, node)) or (other.get("box") and _within(node, other))
            if not inside and not _apart(node, other):
                found.append((node["id"], other["id"]))
        active.append(node)
    return found


@pytest.fixture(scope="module")
def report() -> Plain:
    """Return the report of the digits CNN."""
    return samples.digits()


def test_all_open_shows_every_node_and_every_edge_once(open_report: Open, report: Plain) -> None:
    page = open_report(report, near="operator-graph")
    scene, nodes = _scene(page), _nodes(report)
    assert [n["id"] for n in scene["nodes"] if not n.get("box")] == [f"n{i}" for i in range(len(nodes))]
    assert {(e["source"], e["target"]) for e in scene["edges"]} == _reads(nodes)
    assert {n["lines"][0].removeprefix("▾ ") for n in scene["nodes"] if n.get("box")} == {"block1", "block2", "head"}
    assert _overlaps(scene) == []


def test_closed_modules_stand_for_their_operators(open_report: Open, report: Plain) -> None:
    page = open_report(report, near="operator-graph")
    _button(page, "close all").click()
    scene, nodes = _scene(page), _nodes(report)
    place = {f"n{i}": node["module"].split(".")[0] or f"n{i}" for i, node in enumerate(nodes)}
    shown = {n["id"]: n["id"] if n["id"] in place else n["lines"][0].removeprefix("▸ ") for n in scene["nodes"]}
    assert sorted(shown.values()) == sorted(set(place.values()))
    expected = {(place[a], place[b]) for a, b in _reads(nodes) if place[a] != place[b]}
    assert {(shown[e["source"]], shown[e["target"]]) for e in scene["edges"]} == expected
    inside = sum(node["module"].startswith("block1") for node in nodes)
    assert any(n["lines"][1].startswith(f"{inside} operators") for n in scene["nodes"] if len(n["lines"]) > 1)


def test_click_tells_what_the_report_holds_of_a_node(open_report: Open, report: Plain) -> None:
    page = open_report(report, near="operator-graph")
    nodes = _nodes(report)
    names = [node["name"] for node in nodes]
    _click(page, f"n{names.index('leaky_relu')}")
    text = _panel(page).inner_text()
    node = nodes[names.index("leaky_relu")]
    units = next(row for row in report["sections"]["units"]["layers"] if row["name"] == "leaky_relu")
    total = report["sections"]["lipschitz"]["constants"]["leaky_relu"][1]
    for told in (node["operator"], node["shape"], node["source"], node["curvature"], node["reads"][0], f"{total:.4g}"):
        assert told in text
    assert f"{units['dead']} of {units['units']}" in text
    assert f"{units['always_on']} of {units['units']}" in text
    assert f"{100 * units['share']['0']:.1f} %" in text
    _panel(page).get_by_role("button", name=node["reads"][0], exact=True).click()
    assert _panel(page).locator("h4").inner_text() == node["reads"][0]


def test_samples_on_a_boundary(open_report: Open, report: Plain) -> None:
    page = open_report(report, near="operator-graph")
    _choose(page, "max_pool2d")
    count = report["sections"]["boundary"]["by_node"]["max_pool2d"]
    assert f"samples on a boundary\n{count}" in _panel(page).inner_text()


def test_double_click_closes_a_module_where_it_is_and_enter_opens_it(open_report: Open, report: Plain) -> None:
    page = open_report(report, near="operator-graph")
    box = next(n["id"] for n in _scene(page)["nodes"] if n.get("box"))
    before = page.evaluate(f"id => {CANVAS}.at(id)", box)
    _click(page, box, times=2)
    closed = next(n for n in _scene(page)["nodes"] if n["id"] == box)
    assert not closed.get("box")
    after = page.evaluate(f"id => {CANVAS}.at(id)", box)
    assert (after["x"], after["y"]) == pytest.approx((before["x"], before["y"]), abs=0.5)
    _press(page, "Enter")
    assert next(n for n in _scene(page)["nodes"] if n["id"] == box)["box"]


def test_arrow_keys_go_along_edges(open_report: Open, report: Plain) -> None:
    page = open_report(report, near="operator-graph")
    nodes = _nodes(report)
    _press(page, "ArrowDown")
    seen = [_panel(page).locator("h4").inner_text()]
    for _ in nodes[1:]:
        _press(page, "ArrowDown")
        seen.append(_panel(page).locator("h4").inner_text())
    assert seen == [node["name"] for node in nodes]
    _press(page, "ArrowUp")
    assert _panel(page).locator("h4").inner_text() == nodes[-2]["name"]
    _press(page, "Enter")
    assert page.evaluate("document.activeElement.className") == "graph-panel"


def test_keys_zoom(open_report: Open, report: Plain) -> None:
    page = open_report(report, near="operator-graph")
    zoom = f"{CANVAS}.surface.view().zoom"
    first = page.evaluate(zoom)
    _press(page, "+")
    assert page.evaluate(zoom) == pytest.approx(1.25 * first)
    _press(page, "-", "-")
    assert page.evaluate(zoom) == pytest.approx(first / 1.25)


def _middle(page: Page, node: str) -> tuple[float, float]:
    page.locator(f"{VIEW} .graph-box").evaluate("box => box.scrollIntoView({block: 'center'})")
    place = f"document.querySelector('{VIEW} .graph-box').getBoundingClientRect()"
    x, y = page.evaluate(f"id => [{place}.x + {CANVAS}.at(id).x, {place}.y + {CANVAS}.at(id).y + 10]", node)
    return x, y


def test_a_drag_that_begins_on_a_node_moves_the_picture_and_the_wheel_zooms_then(
    open_report: Open, report: Plain
) -> None:
    page = open_report(report, near="operator-graph")
    x, y = _middle(page, "n1")
    first = page.evaluate(f"{CANVAS}.surface.view()")
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 30, y + 20, steps=3)
    page.mouse.up()
    moved = page.evaluate(f"{CANVAS}.surface.view()")
    assert (moved["x"] - first["x"], moved["y"] - first["y"]) == pytest.approx((30, 20), abs=1)
    page.wait_for_timeout(300)  # for a quarter of a second after the page was scrolled the wheel goes on with that
    page.mouse.wheel(0, -100)
    page.wait_for_function(f"zoom => {CANVAS}.surface.view().zoom > zoom", arg=first["zoom"])
    _press(page, "ArrowDown")  # the keys are still heard


def test_a_finger_scrolls_the_page_until_the_picture_has_the_focus(open_report: Open, report: Plain) -> None:
    page = open_report(report, near="operator-graph", touch=True)
    x, y = _middle(page, "n1")
    view, scrolled = f"{CANVAS}.surface.view().y", page.evaluate("scrollY")
    first = page.evaluate(view)
    swipe(page, x, y)
    page.wait_for_function("before => scrollY > before + 20", arg=scrolled)
    assert page.evaluate(view) == first
    page.locator(f"{VIEW} .graph-box").evaluate("box => box.focus({preventScroll: true})")
    page.wait_for_timeout(300)  # until the page rests
    swipe(page, *_middle(page, "n1"))
    page.wait_for_function(f"first => {view} < first - 20", arg=first)


def test_search_opens_the_modules_around_a_node(open_report: Open, report: Plain) -> None:
    page = open_report(report, near="operator-graph")
    _button(page, "close all").click()
    search = page.locator(f"{VIEW} input[type=search]")
    search.fill("Clamp")
    assert page.locator(f"{VIEW} .graph-results li").all_inner_texts() == ["hardtanh: Clamp(-1, 1)"]
    search.press("Enter")
    assert _panel(page).locator("h4").inner_text() == "hardtanh"
    assert any(n["id"] == "n11" for n in _scene(page)["nodes"])


def test_outline_tells_every_node_and_selects_it(open_report: Open, report: Plain) -> None:
    page = open_report(report, near="operator-graph")
    outline = page.locator(f"{VIEW} > .graph-outline")
    outline.locator(":scope > summary").click()
    for summary in outline.locator(".graph-module > summary").all():
        summary.click()
    told = outline.locator(".graph-link").all_inner_texts()
    assert sorted(told) == sorted([*(n["name"] for n in _nodes(report)), *["about this module"] * 3])
    outline.get_by_role("button", name="hardtanh", exact=True).click()
    assert _panel(page).locator("h4").inner_text() == "hardtanh"


def test_colors_have_legends(open_report: Open, report: Plain) -> None:
    page = open_report(report, near="operator-graph")
    legend = page.locator(f"{VIEW} > .graph-legend li")
    assert legend.all_inner_texts() == ["input", "affine", "spline", "maximum"]
    fills = []
    for value in ("family", "kind", "dead", "lipschitz"):
        page.locator(f"{VIEW} select").select_option(value)
        fills.append(tuple(n["fill"] for n in _scene(page)["nodes"]))
    assert len(set(fills)) == 4
    assert legend.all_inner_texts()[-1] == "not known"


def test_hostile_names_are_text(open_report: Open) -> None:
    report = samples.hostile()
    page = open_report(report, near="operator-graph")
    for node in _nodes(report):
        _choose(page, node["name"])
        assert node["name"] in _panel(page).inner_text()
    page.locator(f"{VIEW} > .graph-outline > summary").click()
    page.locator(f"{VIEW} input[type=search]").fill("script")
    assert page.evaluate("window.pwned === undefined")
    assert page.locator(f"{VIEW} img").count() == 0


def test_an_older_report_has_a_graph_too(open_report: Open, report: Plain) -> None:
    old = copy.deepcopy(report)
    for node in _nodes(old):
        del node["curvature"], node["parameters"]
    old["sections"] = {"graph": old["sections"]["graph"]}
    page = open_report(old, near="operator-graph")
    _choose(page, "relu")
    assert "curvature" not in _panel(page).inner_text()
    assert page.locator(f"{VIEW} select option").all_inner_texts() == ["family", "exact or not"]


def test_png_is_saved_without_the_network(open_report: Open, report: Plain, tmp_path: Path) -> None:
    page = open_report(report, near="operator-graph")
    with page.expect_download() as download:
        _button(page, "save the graph as PNG").click()
    download.value.save_as(tmp_path / "graph.png")
    assert (tmp_path / "graph.png").read_bytes().startswith(b"\x89PNG")


def test_paper_has_light_colors(open_report: Open, report: Plain) -> None:
    page = open_report(report, theme="dark", near="operator-graph")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    corner = "c => [...c.getContext('2d').getImageData(0, 0, 1, 1).data]"
    assert min(page.locator(f"{VIEW} .graph-print").evaluate(corner)) > 240
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")


def _unrolled() -> Plain:
    """Return a report of a cell that is applied at 200 steps, in one module."""
    report = copy.deepcopy(samples.digits())
    first = _nodes(report)[0]
    row = {**_nodes(report)[1], "family": "affine"}
    nodes = [first]
    for t in range(200):
        before = nodes[-1]["name"] if t else first["name"]
        for k in range(3):
            nodes.append({**row, "name": f"a{t}_{k}", "module": "rnn.cell", "step": t, "reads": [before]})
            before = f"a{t}_{k}"
    report["sections"] = {"graph": {**report["sections"]["graph"], "nodes": nodes}}
    return report


def test_many_steps_are_put_into_ranges(open_report: Open) -> None:
    page = open_report(_unrolled(), near="operator-graph")
    scene = _scene(page)
    assert 2 <= len(scene["nodes"]) <= 60
    labels = list(itertools.chain.from_iterable(n["lines"] for n in scene["nodes"]))
    assert any("t=0 … t=9" in line for line in labels)
    _choose(page, "a150_1")
    assert "t=150" in _panel(page).inner_text()
    assert _overlaps(_scene(page)) == []


def test_thousands_of_nodes(open_report: Open) -> None:
    report = samples.large(5000, 100)
    page = open_report(report, near="operator-graph")
    assert len(_scene(page)["nodes"]) <= 120
    _button(page, "open all").click()
    scene, nodes = _scene(page), _nodes(report)
    assert page.locator(f"{VIEW} .graph-box").get_attribute("data-surface") == "painted"
    assert len([n for n in scene["nodes"] if not n.get("box")]) == len(nodes)
    assert {(e["source"], e["target"]) for e in scene["edges"]} == _reads(nodes)
    assert _overlaps(scene) == []
    _choose(page, "op_4321")
    assert _panel(page).locator("h4").inner_text() == "op_4321"
    _click(page, "n4321")
    assert _panel(page).locator("h4").inner_text() == "op_4321"
