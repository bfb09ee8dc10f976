"""A report in headless Chromium. Whatever the page asks of the network or prints as an error fails the test."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from splinegraph.export.html.page import write_html

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

HERE = Path(__file__).parent
FLAGS = ("--disable-gpu", "--disable-background-networking", "--disable-component-update", "--no-first-run")
LOUD = ("error", "warning")

Open = Callable[..., "Page"]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all tests of this folder."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)


def missing(why: str) -> None:
    """Skip, or fail where a browser has to be there."""
    if os.environ.get("SPLINEGRAPH_REQUIRE_BROWSER") == "1":
        pytest.fail(why)
    pytest.skip(why)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Start Debian's Chromium, or the one that $SPLINEGRAPH_CHROMIUM names."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright is not installed: pip install 'splinegraph[browser]'")
    chromium = os.environ.get("SPLINEGRAPH_CHROMIUM", "/usr/bin/chromium")
    if not Path(chromium).exists():
        missing(f"there is no Chromium at {chromium}: set SPLINEGRAPH_CHROMIUM")
    with sync_playwright() as playwright:
        root = os.geteuid() == 0  # Chromium's sandbox refuses to run as root
        browser = playwright.chromium.launch(executable_path=chromium, chromium_sandbox=not root, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def open_report(browser: Browser, tmp_path: Path) -> Iterator[Open]:
    """Return what opens a report, or a page that is there already, by file://.

    open_report(report, *, theme="light", width=1280, script=True, near="", errors=True, touch=False): `theme` is what
    the system asks for; `near` is a view's name, to which the page is scrolled and which is waited for; without
    `errors` what the page prints is not looked at; `touch` gives a screen that fingers can be put on.
    """
    contexts, wrong = [], list[str]()

    def open_it(
        report: Mapping[str, Any] | Path,
        *,
        theme: str = "light",
        width: int = 1280,
        script: bool = True,
        near: str = "", errors: bool = True, touch: bool = False,
    ) -> Page:  # fmt: skip
        path = report if isinstance(report, Path) else write_html(report, tmp_path / f"report-{len(contexts)}.html")
        context = browser.new_context(
            color_scheme="dark" if theme == "dark" else "light", viewport={"width": width, "height": 900},
            java_script_enabled=script, offline=True, reduced_motion="reduce",
            has_touch=touch,
        )  # fmt: skip
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        address = path.absolute().as_uri()

        def asked(url: str) -> None:
            if url.partition("#")[0] != address and not url.startswith(("data:", "blob:")):
                wrong.append(f"a request for {url}")

        page.on("request", lambda request: asked(request.url))
        page.on("websocket", lambda socket: wrong.append(f"a web socket to {socket.url}"))
        page.on("popup", lambda other: wrong.append(f"a window with {other.url}"))
        page.on("pageerror", lambda error: wrong.append(f"an exception: {error}"))
        page.on("console", lambda told: wrong.append(told.text) if errors and told.type in LOUD else None)
        page.on("dialog", lambda dialog: (wrong.append(f"a dialog: {dialog.message}"), dialog.dismiss()))
        page.goto(address)
        if near:
            see(page, near)
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert not wrong, "\n".join(dict.fromkeys(wrong))


def see(page: Page, view: str) -> None:
    """Scroll to a view and wait until it is drawn."""
    place = f'.view[data-view="{view}"]'
    page.locator(place).scroll_into_view_if_needed()
    page.wait_for_selector(f"{place}[data-ready=true], {place}[data-failed=true]")
    why = page.locator(place).inner_text() if page.locator(f"{place}[data-failed=true]").count() else ""
    assert not why, f"{view}: {why}"


def swipe(page: Page, x: float, y: float) -> None:
    """Put a finger on the screen, move it up by 80 pixels and lift it."""
    session = page.context.new_cdp_session(page)
    for step in range(9):
        kind = "touchMove" if step else "touchStart"
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y - 10 * step}]})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
