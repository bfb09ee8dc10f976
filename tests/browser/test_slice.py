"""The slice in the report's page: what it tells of a cell is what the report holds of it."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch

import splinegraph as sg
from tests.browser.conftest import swipe

SVG = ".slice-svg"


@pytest.fixture(scope="module")
def sliced() -> dict[str, Any]:
    """Return a report with a plane through three samples of a small classifier."""
    torch.manual_seed(1)
    net = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(9, 8), torch.nn.ReLU(), torch.nn.Linear(8, 8), torch.nn.ReLU(),
        torch.nn.Linear(8, 3),
    )  # fmt: skip
    net.eval()
    x = torch.randn(24, 1, 3, 3)
    found = sg.analyze(sg.trace(net, x[:2]), data=x, labels=net(x).argmax(1), sections=["inputs", "regions"])
    return found.to_dict()


def _picture(report: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = report["sections"]["regions"]["picture"]
    return found


def _polygons(picture: dict[str, Any]) -> list[np.ndarray]:
    vertices = np.array(picture["vertices"])
    return [vertices[cell] for cell in picture["cells"]]


def _depths(polygons: list[np.ndarray], at: np.ndarray) -> np.ndarray:
    """Return how far a point is inside of each polygon, counterclockwise: negative outside."""
    found = []
    for corners in polygons:
        sides = np.roll(corners, -1, axis=0) - corners
        to = at - corners
        cross = sides[:, 0] * to[:, 1] - sides[:, 1] * to[:, 0]
        found.append(float((cross / np.maximum(np.linalg.norm(sides, axis=1), 1e-300)).min()))
    return np.array(found)


def _points(picture: dict[str, Any], count: int) -> list[tuple[int, np.ndarray]]:
    """Return points well inside of cells, with the cell that all polygons together say holds each."""
    extent = np.array(picture["extent"])
    polygons, found = _polygons(picture), []
    for share in np.random.default_rng(0).uniform(0.05, 0.95, (40 * count, 2)):
        at = extent[:, 0] + share * (extent[:, 1] - extent[:, 0])
        depths = _depths(polygons, at)
        if depths.max() > 0.01 * float((extent[:, 1] - extent[:, 0]).min()):
            found.append((int(depths.argmax()), at))
    assert len(found) >= count
    return found[:count]


def _screen(page: Any, at: np.ndarray) -> tuple[float, float]:
    """Return where on the screen a point of the slice is, read off the axes' ticks as they are drawn."""
    found = page.evaluate(
        """() => [0, 1].map((axis) => [...document.querySelectorAll(".slice-axis")[axis].querySelectorAll(".tick")]
          .map((tick) => {
            const box = tick.querySelector("line").getBoundingClientRect();
            const text = tick.textContent.replace("−", "-").replace(/,/g, "");
            return [Number(text), axis ? (box.top + box.bottom) / 2 : (box.left + box.right) / 2];
          }))"""
    )
    places = []
    for ticks, value in zip(found, at, strict=True):
        slope, start = np.polyfit(*np.array(ticks).T, 1)
        places.append(float(slope * value + start))
    return places[0], places[1]


def _shown(page: Any) -> int:
    return int(page.locator(".slice-panel h4").inner_text().removeprefix("Activation cell "))


def _open(open_report: Any, report: dict[str, Any], **how: Any) -> Any:
    return open_report(report, near="slice", **how)


def _hover(page: Any, at: np.ndarray) -> None:
    page.mouse.move(*_screen(page, at))


def test_pointing_at_a_cell_tells_of_it(open_report: Any, sliced: dict[str, Any]) -> None:
    page, picture = _open(open_report, sliced), _picture(sliced)
    page.locator(SVG).evaluate("element => element.scrollIntoView({block: 'center'})")
    for cell, at in _points(picture, 12):
        _hover(page, at)
        assert _shown(page) == cell
        maps = {row[0]: np.array(row[1:]) for row in picture["maps"][cell]}
        scores = {output: float(row @ np.array([*at, 1.0])) for output, row in maps.items()}
        rows = page.locator(".slice-scores tbody tr").all_inner_texts()
        told = {int(name): float(score.replace(",", "")) for name, score, *_ in (row.split() for row in rows)}
        assert list(told) == sorted(scores, key=lambda output: -scores[output])
        scale = max(map(abs, scores.values()))
        assert told == pytest.approx(scores, abs=0.01 * scale)
        facts = page.locator(".slice-facts").inner_text()
        members = picture["regions"].count(picture["regions"][cell])
        told_of = f"{members} activation cells" if members > 1 else "this cell alone"
        assert f"{picture['regions'][cell]} ({told_of})" in facts


def test_cells_are_found_under_a_zoomed_picture_too(open_report: Any, sliced: dict[str, Any]) -> None:
    page, picture = _open(open_report, sliced), _picture(sliced)
    page.locator(SVG).evaluate("element => element.scrollIntoView({block: 'center'})")
    before = page.locator(".slice-axis").first.text_content()
    page.get_by_role("button", name="Zoom in").click()
    assert page.locator(".slice-axis").first.text_content() != before
    box = page.locator("#slice-clip rect").evaluate("r => r.closest('svg').getBoundingClientRect().toJSON()")
    tried = 0
    for cell, at in _points(picture, 40):
        x, y = _screen(page, at)
        if box["left"] + 70 < x < box["right"] - 20 and box["top"] + 20 < y < box["bottom"] - 50:
            page.mouse.move(x, y)
            assert _shown(page) == cell
            tried += 1
    assert tried > 2
    page.get_by_role("button", name="Show the whole slice").click()
    assert page.locator(".slice-axis").first.text_content() == before


def test_arrow_keys_walk_to_neighbors_and_enter_keeps_a_cell(open_report: Any, sliced: dict[str, Any]) -> None:
    page, picture = _open(open_report, sliced), _picture(sliced)
    page.locator(SVG).focus()
    moved = 0
    for key in ("ArrowLeft", "ArrowDown", "ArrowRight", "ArrowUp", "ArrowLeft", "ArrowDown"):
        before = _shown(page)
        page.keyboard.press(key)
        after = _shown(page)
        moved += after != before
        shared = set(picture["cells"][before]) & set(picture["cells"][after])
        assert len(shared) >= 2, "the new cell does not share a side with the one before"
    assert moved >= 2
    assert f"Activation cell {_shown(page)}," in page.locator('[data-view="slice"] [aria-live]').first.inner_text()
    page.keyboard.press("Enter")
    kept = _shown(page)
    other = next(at for cell, at in _points(picture, 12) if cell != kept)
    page.locator(SVG).evaluate("element => element.scrollIntoView({block: 'center'})")
    _hover(page, other)
    assert _shown(page) == kept
    page.keyboard.press("Escape")
    _hover(page, other + 1e-9)
    page.mouse.move(*[place + 1 for place in _screen(page, other)])
    assert _shown(page) != kept


def test_largest_and_next_go_by_area(open_report: Any, sliced: dict[str, Any]) -> None:
    page, polygons = _open(open_report, sliced), _polygons(_picture(sliced))
    x, y = zip(*[corners.T for corners in polygons], strict=True)
    areas = np.array([abs(a @ np.roll(b, -1) - b @ np.roll(a, -1)) / 2 for a, b in zip(x, y, strict=True)])
    page.get_by_role("button", name="Show the largest cell").click()
    seen = [_shown(page)]
    for _ in range(3):
        page.get_by_role("button", name="Show the next smaller cell").click()
        seen.append(_shown(page))
    assert areas[seen].tolist() == sorted(areas, reverse=True)[:4]


def test_the_wheel_zooms_only_what_was_clicked(open_report: Any, sliced: dict[str, Any]) -> None:
    page = _open(open_report, sliced)
    page.locator(SVG).evaluate("element => element.scrollIntoView({block: 'center'})")
    _, at = _points(_picture(sliced), 1)[0]
    zoom = "document.querySelector('.slice-zoomed').getAttribute('transform')"
    before = page.evaluate(zoom)
    _hover(page, at)
    page.mouse.wheel(0, -40)
    page.wait_for_function("() => new Promise((done) => requestAnimationFrame(() => done(true)))")
    assert page.evaluate(zoom) == before
    page.locator(SVG).evaluate("element => element.scrollIntoView({block: 'center'})")
    page.mouse.click(*_screen(page, at))
    page.mouse.wheel(0, -40)
    page.wait_for_function(f"() => {zoom} !== {before!r}")


def test_a_finger_scrolls_the_page_until_the_picture_has_the_focus(open_report: Any, sliced: dict[str, Any]) -> None:
    page = _open(open_report, sliced, touch=True)
    svg = page.locator(SVG)
    svg.evaluate("element => element.scrollIntoView({block: 'center'})")
    _, at = _points(_picture(sliced), 1)[0]
    zoom, scrolled = "document.querySelector('.slice-zoomed').getAttribute('transform')", page.evaluate("scrollY")
    before = page.evaluate(zoom)
    swipe(page, *_screen(page, at))
    page.wait_for_function("before => scrollY > before + 20", arg=scrolled)
    assert page.evaluate(zoom) == before
    svg.evaluate("element => element.focus({preventScroll: true})")
    svg.press("+")
    page.wait_for_timeout(300)  # until the page rests
    before, scrolled = page.evaluate(zoom), page.evaluate("scrollY")
    swipe(page, *_screen(page, at))
    page.wait_for_function(f"before => {zoom} !== before", arg=before)
    assert page.evaluate("scrollY") == scrolled


def test_regions_side_by_side_have_different_colors(open_report: Any, sliced: dict[str, Any]) -> None:
    page, picture = _open(open_report, sliced), _picture(sliced)
    colors = page.evaluate(
        "() => splinegraph.sliceGeometry.geometry(splinegraph.report().sections.regions.picture).colors()"
    )
    sides: dict[frozenset[int], list[int]] = {}
    for cell, corners in enumerate(picture["cells"]):
        for one, other in zip(corners, [*corners[1:], corners[0]], strict=True):
            sides.setdefault(frozenset((one, other)), []).append(cell)
    pairs = [cells for cells in sides.values() if len(cells) == 2]
    assert len(pairs) > 20
    regions = picture["regions"]
    assert all((colors[a] == colors[b]) == (regions[a] == regions[b]) for a, b in pairs)
    assert max(colors) < 10


def test_colors_can_be_chosen_and_are_explained(open_report: Any, sliced: dict[str, Any]) -> None:
    page = _open(open_report, sliced)
    legend = page.locator('[data-view="slice"] .chart-legend').first
    assert "decision boundary" in legend.inner_text()
    page.get_by_role("radio", name="norm of the map").check()
    assert "‖A‖₂" in legend.inner_text()
    fills = page.locator(".slice-fills path").count()
    page.get_by_role("radio", name="linear region").check()
    assert "differ in color" in legend.inner_text()
    assert page.locator(".slice-fills path").count() != fills


def test_what_the_picture_shows_is_said_in_words(open_report: Any, sliced: dict[str, Any]) -> None:
    page, picture = _open(open_report, sliced, width=400, theme="dark"), _picture(sliced)
    label = page.locator(SVG).get_attribute("aria-label")
    assert f"{len(picture['cells'])} activation cells, {len(set(picture['regions']))} linear regions" in label
    assert f"{len(picture['boundary'])} segments" in label
    assert page.locator('[data-view="slice"]').evaluate("element => element.scrollWidth <= element.clientWidth")


@pytest.mark.parametrize(("picture", "why"), [(None, "too many units"), (None, ""), ({"cells": []}, "")])
def test_without_a_picture_one_line_says_why(
    open_report: Any, sliced: dict[str, Any], picture: dict[str, Any] | None, why: str
) -> None:
    report = copy.deepcopy(sliced)
    report["sections"]["regions"] |= {"picture": picture, "why": why}
    page = open_report(report)
    place = page.locator('[data-view="slice"]')
    if place.count():
        page.evaluate("splinegraph.mountAll()")
        assert place.inner_text().strip() == (why or "The report holds no picture of a slice.")
        assert place.get_attribute("data-failed") is None


SQUARE = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"norms": [None], "maps": [[]], "codes": [""]},
        {"extent": [[0.0, 0.0], [0.0, 0.0]], "vertices": [[0.0, 0.0]] * 4},
        {"outputs": 1000, "pieces": [{"corners": SQUARE, "output": 997, "cell": 0}], "maps": [[[997, 0.0, 1e-9, 3.0]]]},
        {"points": [{"sample": i, "label": i % 7, "at": [0.01 * i, 0.5]} for i in range(90)]},
        {"pieces": [], "regions": [12]},
    ],
    ids=["one cell", "nothing known", "no extent", "1000 outputs", "90 samples", "no pieces"],
)
def test_odd_pictures_are_drawn(open_report: Any, sliced: dict[str, Any], odd: dict[str, Any]) -> None:
    picture = {
        "kind": "box", "axes": ["a", "b"], "extent": [[0.0, 1.0], [0.0, 1.0]], "vertices": SQUARE,
        "cells": [[0, 1, 2, 3]], "regions": [0], "norms": [0.0], "codes": ["1"], "layers": ["relu"], "outputs": 1,
        "maps": [[[0, 0.0, 0.0, -1.0]]], "pieces": [{"corners": SQUARE, "output": -1, "cell": 0}], "boundary": [],
        "points": [],
    }  # fmt: skip
    report = copy.deepcopy(sliced)
    report["sections"]["regions"]["picture"] = picture | odd
    page = _open(open_report, report)
    text = page.locator('[data-view="slice"]').evaluate("element => element.innerHTML")
    assert not any(word in text for word in ("NaN", "undefined", "Infinity"))
    if not odd:
        assert "f ≤ 0" in page.locator(".slice-facts").inner_text()
