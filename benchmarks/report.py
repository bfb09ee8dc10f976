"""report.html in headless Chromium: how large it is, how soon it opens and how well it moves, by size of the network.

    python -m benchmarks.report [--repeat 5] [--quick] [--json FILE]

The digits CNN as it is, and that report with made-up graphs of 5000 operators in a deep tree of modules and of 5000
cells of an activation graph. 'first view' is from the opening of the file until the first picture has been drawn,
'all views' until all have been, one after the other; 'pan' the median and the worst time between frames while the
operator graph is dragged, with all of its modules open. Times are medians of several openings, each in a new window.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.regions import machine
from splinegraph.export.html.page import write_html
from tests.browser.samples import digits, large

__all__ = ["main"]

CHROMIUM = os.environ.get("SPLINEGRAPH_CHROMIUM", "/usr/bin/chromium")
GRAPH = '.view[data-view="operator-graph"]'
DRAWN = "document.querySelectorAll('.view[data-ready=true], .view[data-failed=true]').length"
STEPS = 60


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="once, and 1000 nodes and cells for 5000")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    if why := missing():
        Console().print(f"left out: {why}")
        return
    most, repeat = (1000, 1) if options.quick else (5000, options.repeat)
    reports = {"digits CNN": digits(), f"{most} operators, {most} cells": large(most, most)}
    found = {name: measure(report, repeat) for name, report in reports.items()}
    show(found)
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), "repeat": repeat, "pages": found}, indent=1) + "\n")


def missing() -> str:
    """Return what there is no browser for, '' if there is one."""
    if importlib.util.find_spec("playwright") is None:
        return "playwright is not installed: pip install 'splinegraph[browser]'"
    return "" if Path(CHROMIUM).exists() else f"there is no Chromium at {CHROMIUM}: set SPLINEGRAPH_CHROMIUM"


def measure(report: dict[str, Any], repeat: int) -> dict[str, float]:
    """Return the sizes in MB and the times in seconds of a report's page."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        began = time.perf_counter()
        path = write_html(report, Path(folder) / "report.html")
        written = time.perf_counter() - began
        flags = ["--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, chromium_sandbox=os.geteuid() != 0, args=flags
        )  # fmt: skip
        runs = [opened(browser, path) for _ in range(repeat)]
        browser.close()
        size = path.stat().st_size / 1e6
    data = len(json.dumps(report, separators=(",", ":")).encode()) / 1e6
    medians = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
    return {"page_mb": size, "data_mb": data, "write": written, **medians}


def opened(browser: Any, path: Path) -> dict[str, float]:
    """Return the times of one opening, in a new window."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    began = time.perf_counter()
    page.goto(path.as_uri(), wait_until="domcontentloaded")
    found = {"opened": time.perf_counter() - began}
    page.locator(GRAPH).scroll_into_view_if_needed()
    page.wait_for_function(f"{DRAWN} > 0")
    found["first_view"] = time.perf_counter() - began
    began = time.perf_counter()
    page.locator(GRAPH).get_by_role("button", name="open all").click()
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    found["open_all"] = time.perf_counter() - began
    found |= panned(page)
    began = time.perf_counter()
    for place in page.locator(".view").all():
        place.evaluate("e => e.scrollIntoView()")
        page.wait_for_function("e => e.dataset.ready || e.dataset.failed", arg=place.element_handle())
    found["all_views"] = found["first_view"] + time.perf_counter() - began
    page.close()
    return found


def panned(page: Any) -> dict[str, float]:
    """Return times between frames while the operator graph is dragged."""
    canvas = page.locator(f"{GRAPH} canvas, {GRAPH} [role=application]").first
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.evaluate("""() => {
      window.frames_ = [];
      let last = performance.now();
      const tick = (now) => {
        window.frames_.push(now - last);
        last = now;
        window.ticking = requestAnimationFrame(tick);
      };
      requestAnimationFrame(tick);
    }""")
    page.mouse.move(x, y)
    page.mouse.down()
    for i in range(STEPS):
        page.mouse.move(x - 2 * i, y + (i % 7))
    page.mouse.up()
    frames = page.evaluate("(cancelAnimationFrame(window.ticking), window.frames_.slice(1))") or [0.0]
    return {"frame": statistics.median(frames) / 1e3, "worst_frame": max(frames) / 1e3}


def show(found: dict[str, dict[str, float]]) -> None:
    table = Table("report", "page, MB", "of it data", "write, s", "opens, s", "first view, s", "all views, s",
                  "open all modules, s", "frame, ms", "worst, ms")  # fmt: skip
    for name, row in found.items():
        seconds = [f"{row[key]:.2f}" for key in ("write", "opened", "first_view", "all_views", "open_all")]
        frames = [f"{1e3 * row[key]:.0f}" for key in ("frame", "worst_frame")]
        table.add_row(name, f"{row['page_mb']:.2f}", f"{row['data_mb']:.2f}", *seconds, *frames)
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
