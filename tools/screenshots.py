"""Take the pictures of reports that the documentation shows.

    splinegraph analyze examples/digits_cnn.py --data examples/digits.npz --out digits
    splinegraph analyze resnet.py --input-shape 3,224,224 --out resnet  # timm's resnet18, say
    python tools/screenshots.py digits/report.html resnet/report.html

It needs the packages of the group ``browser`` and Chromium.
"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

FIGURES = Path(__file__).resolve().parent.parent / "docs" / "figures"
CHROMIUM = os.environ.get("SPLINEGRAPH_CHROMIUM", "/usr/bin/chromium")


def main(digits: str, resnet: str) -> None:
    """Take all pictures of two reports."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-background-networking"]
        )
        for name, report, theme, size, section, node in (
            ("light", digits, "light", (1280, 1130), "", "leaky_relu"),
            ("dark", digits, "dark", (1280, 1050), "regions", ""),
            ("narrow", digits, "light", (400, 1500), "", ""),
            ("resnet", resnet, "light", (1280, 1130), "", ""),
        ):
            page = browser.new_page(
                viewport={"width": size[0], "height": size[1]}, color_scheme=theme, reduced_motion="reduce"
            )
            page.goto(Path(report).resolve().as_uri())
            show(page, section, node)
            save(page.screenshot(), FIGURES / f"report-{name}.png")
        browser.close()


def show(page: Any, section: str, node: str) -> None:
    """Scroll to a section, with the details of a node if one is named, and wait for the pictures in sight."""
    if node:
        page.locator("table a, table button").get_by_text(node, exact=True).first.click()
    page.evaluate("name => scrollTo(0, name ? document.getElementById(name).offsetTop : 0)", section)
    page.wait_for_function(
        """() => [...document.querySelectorAll("[data-view]")].every((view) => {
            const box = view.getBoundingClientRect();
            return box.bottom < 0 || box.top > innerHeight || view.dataset.ready;
        })"""
    )
    page.wait_for_timeout(500)  # pictures fade in


def save(png: bytes, path: Path) -> None:
    """Write a picture, and say where."""
    Image.open(io.BytesIO(png)).convert("RGB").save(path, optimize=True)
    sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
