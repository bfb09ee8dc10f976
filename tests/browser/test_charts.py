"""Galleries, ladder and charts in the report's page: what they draw are the numbers of the report."""

from __future__ import annotations

import base64
import copy
import math
import re
from typing import Any

import numpy as np
import pytest

from tests.browser.samples import digits

VIEWS = ("slice", "ladder", "template-gallery", "encoding-gallery", "units-chart", "separation-chart", "paths-chart",
         "constants-chart")  # fmt: skip


def _with(**changes: dict[str, Any]) -> dict[str, Any]:
    """Return the digits report with other fields of some sections."""
    report = copy.deepcopy(digits())
    for name, fields in changes.items():
        report["sections"][name].update(fields)
    return report


def _image(values: np.ndarray) -> dict[str, Any]:
    low, high = float(values.min()), float(values.max())
    steps = np.round((values - low) / ((high - low) or 1.0) * 255).astype(np.uint8)
    return {
        "shape": list(values.shape), "low": low, "high": high, "data": base64.b64encode(steps.tobytes()).decode(),
    }  # fmt: skip


def _pixels(page: Any, image: dict[str, Any], options: dict[str, Any]) -> tuple[np.ndarray, tuple[int, int]]:
    """Return the colors of a drawn image, (rows, columns, 3), and its size."""
    found = page.evaluate(
        """([image, options]) => {
          const canvas = splinegraph.tools.image(image, options);
          const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          return [canvas.height, canvas.width, [...data]];
        }""",
        [image, options],
    )
    height, width, data = found
    return np.array(data).reshape(height, width, 4)[:, :, :3], (height, width)


# images


def test_images_are_decoded(open_report: Any) -> None:
    page = open_report(digits())
    for shape in ((1, 3, 5), (7,), (3, 2, 2), (5, 2, 3)):
        values = np.random.default_rng(0).normal(size=shape)
        image = _image(values)
        decoded = page.evaluate("image => [...splinegraph.image.decode(image)]", image)
        step = (image["high"] - image["low"]) / 255
        assert np.abs(np.array(decoded).reshape(shape) - values).max() <= step / 2 * 1.001


def test_gray_pictures_go_from_black_to_white(open_report: Any) -> None:
    values = np.arange(6.0).reshape(1, 2, 3)
    pixels, (height, width) = _pixels(open_report(digits()), _image(values), {})
    blocks = pixels[height // 4 :: height // 2, width // 6 :: width // 3]
    assert blocks.shape == (2, 3, 3)
    assert blocks[:, :, 0].ravel().tolist() == [0, 51, 102, 153, 204, 255]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pictures_around_zero_are_blue_paper_and_red(open_report: Any, theme: str) -> None:
    page = open_report(digits(), theme=theme)
    values = np.array([[[-255.0, 0.0, 255.0, 85.0]]])
    pixels, (height, width) = _pixels(page, _image(values), {"diverging": True})
    (negative, zero, positive, less) = pixels[height // 2, width // 8 :: width // 4].tolist()
    paper = [int(part) for part in re.findall(r"\d+", page.evaluate("getComputedStyle(document.body).backgroundColor"))]
    assert np.abs(np.array(zero) - paper[:3]).max() <= 2
    assert negative[2] > negative[0]
    assert positive[0] > positive[2]
    gone = [np.linalg.norm(np.array(color) - paper[:3]) for color in (less, positive)]
    assert gone[0] == pytest.approx(gone[1] / 3, rel=0.05)


# galleries


def test_the_template_gallery_takes_scores_apart(open_report: Any) -> None:
    report = digits()
    samples = report["sections"]["templates"]["gallery"]["samples"]
    page = open_report(report, near="template-gallery")
    gallery = page.locator('[data-view="template-gallery"]')
    assert gallery.locator(".gallery-card").count() == len(samples)
    told = [[float(v.replace(",", "")) for v in text.split()] for text in _sums(gallery)]
    rows = [row for sample in samples for row in sample["rows"]]
    assert len(told) == len(rows)
    for numbers, row in zip(told, rows, strict=True):
        assert numbers == pytest.approx([row["matching"], row["bias"], row["score"]], rel=1e-3, abs=1e-4)


def _sums(gallery: Any) -> list[str]:
    sums = gallery.locator("article .score-sum")
    return [" ".join(sums.nth(i).locator(".score-value").all_inner_texts()) for i in range(sums.count())]


def test_misclassified_samples_are_marked(open_report: Any) -> None:
    report = copy.deepcopy(digits())
    sample = report["sections"]["templates"]["gallery"]["samples"][1]
    sample["label"] = (sample["output"] + 1) % 10
    page = open_report(report, near="template-gallery")
    marked = page.locator(".gallery-card", has_text="misclassified")
    assert marked.count() == 1
    assert f"Sample {sample['sample']}:" in marked.inner_text()


@pytest.mark.parametrize("view", ["template-gallery", "encoding-gallery"])
def test_pictures_open_larger_and_are_leafed_through_by_keys(open_report: Any, view: str) -> None:
    page = open_report(digits(), near=view)
    place = page.locator(f'[data-view="{view}"]')
    buttons = place.locator(".gallery-open")
    buttons.nth(1).focus()
    page.keyboard.press("Enter")
    dialog = place.locator("dialog")
    assert dialog.evaluate("dialog => dialog.open")
    assert dialog.get_by_text(f"2 of {buttons.count()}").is_visible()
    first = dialog.locator("h4").inner_text()
    page.keyboard.press("ArrowRight")
    assert dialog.get_by_text(f"3 of {buttons.count()}").is_visible()
    page.keyboard.press("ArrowLeft")
    assert dialog.locator("h4").inner_text() == first
    page.keyboard.press("Escape")
    assert not dialog.evaluate("dialog => dialog.open")
    assert buttons.nth(1).evaluate("button => button === document.activeElement")


def test_template_times_input_adds_up_to_the_matching_value(open_report: Any) -> None:
    report = digits()
    sample = report["sections"]["templates"]["gallery"]["samples"][0]
    page = open_report(report, near="template-gallery")
    page.locator('[data-view="template-gallery"] .gallery-open').first.click()
    caption = page.locator("dialog[open] figcaption").nth(2).inner_text()
    decode = "image => [...splinegraph.image.decode(image)]"
    a, x = (np.array(page.evaluate(decode, image)) for image in (sample["rows"][0]["template"], sample["x"]))
    low, high = (float(v) for v in re.search(r"from (\S+) to (\S+):", caption).groups())
    assert (low, high) == pytest.approx(((a * x).min(), (a * x).max()), rel=1e-3, abs=1e-3)
    assert float((a * x).sum()) == pytest.approx(
        sample["rows"][0]["matching"], abs=0.02 * np.abs(a).sum() / len(a) + 0.2
    )


def test_pictures_follow_the_theme_and_are_printed(open_report: Any) -> None:
    page = open_report(digits(), near="template-gallery")
    shown = "document.querySelector('[data-view=template-gallery] .gallery-open canvas').toDataURL()"
    before = page.evaluate(shown)
    page.evaluate("document.getElementById('theme').click()")
    dark = page.evaluate(shown)
    assert dark != before
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate(shown) == before
    page.emulate_media(media="print")
    assert page.locator('[data-view="template-gallery"] .gallery-open canvas').first.is_visible()


# ladder and charts


RUNGS = [
    {"method": "samples", "side": "lower", "lower": 2.0, "upper": None, "note": ""},
    {"method": "product", "side": "upper", "lower": None, "upper": 200.0, "note": ""},
    {"method": "search", "side": "lower", "lower": 5.0, "upper": None, "note": "of 4 points"},
    {"method": "regions", "side": "both", "lower": 10.0, "upper": 20.0, "note": ""},
    {"method": "nothing", "side": "upper", "lower": None, "upper": None, "note": "too large"},
]


def test_the_ladder_is_drawn_to_a_logarithmic_scale(open_report: Any) -> None:
    bounds = {"rungs": RUNGS, "lower": 10.0, "upper": 20.0, "local": None, "domain": "space"}
    page = open_report(_with(lipschitz=bounds), near="ladder")
    rows = page.locator('[data-view="ladder"] li')
    assert rows.count() == len(RUNGS) + 1
    ends, bars = [], []
    for i in range(rows.count()):
        for side in ("lower", "upper"):
            mark = rows.nth(i).locator(f"polygon.ladder-{side}")
            value = (RUNGS[i] if i < len(RUNGS) else bounds)[side]
            assert mark.count() == (value is not None)
            if value is not None:
                ends.append((math.log(value), float(mark.get_attribute("points").split(",")[0])))
        known = rows.nth(i).locator(".ladder-known")
        bars.append([float(known.get_attribute(name)) for name in ("x", "width")])
    logs, places = np.array(ends).T
    slope, start = np.polyfit(logs, places, 1)
    assert np.abs(slope * logs + start - places).max() < 0.01
    expected = [(2.0, None), (2.0, 200.0), (5.0, 200.0), (10.0, 20.0), (10.0, 20.0), (10.0, 20.0)]
    for (x, width), (lower, upper) in zip(bars, expected, strict=True):
        assert x == pytest.approx(slope * math.log(lower) + start, abs=0.01)
        if upper is not None:
            assert x + width == pytest.approx(slope * math.log(upper) + start, abs=0.01)
    assert "at least 10, at most 20" in rows.last.text_content()
    assert "a factor of 2 apart" in rows.last.text_content()
    assert "nothing" in rows.nth(4).text_content()


def test_constants_open_their_nodes(open_report: Any) -> None:
    report = digits()
    constants = {name: own for name, (own, _) in report["sections"]["lipschitz"]["constants"].items() if own}
    largest = sorted(constants, key=lambda name: -constants[name])
    page = open_report(report, near="constants-chart")
    page.evaluate("() => { splinegraph.tools.showNode = (name) => { window.asked = name; }; }")
    buttons = page.locator('[data-view="constants-chart"] button')
    for i, name in enumerate(largest[:3]):
        buttons.nth(i).click()
        assert page.evaluate("window.asked") == name
    assert page.locator('[data-view="constants-chart"] [role=img]').count() == 2


def test_bars_of_units_are_the_shares(open_report: Any) -> None:
    layers = digits()["sections"]["units"]["layers"]
    page = open_report(digits(), near="units-chart")
    rows = page.locator('[data-view="units-chart"] .rows-row')
    assert rows.count() == len(layers)
    for i, layer in enumerate(layers):
        widths = rows.nth(i).locator(".rows-bar .rows-part").evaluate_all("parts => parts.map(p => p.style.width)")
        shares = [float(width.rstrip("%")) / 100 for width in widths]
        assert shares == pytest.approx([share for _, share in sorted(layer["share"].items())], abs=1e-4)
        words = rows.nth(i).inner_text()
        assert (f"{layer['dead']} dead" in words) == bool(layer["dead"])
        assert (f"{layer['always_on']} always on" in words) == bool(layer["always_on"])


def test_separation_draws_a_point_for_each_layer(open_report: Any) -> None:
    layers = digits()["sections"]["separation"]["layers"]
    page = open_report(digits(), near="separation-chart")
    charts = page.locator('[data-view="separation-chart"] [role=img]')
    assert charts.count() == 2
    assert charts.first.locator("circle").count() == 2 * len(layers)
    last = 100 * layers[-1]["purity"]
    assert f"nearest is of the class {last:.1f} % in the last layer" in charts.first.get_attribute("aria-label")


def test_paths_fill_rows_in_proportion(open_report: Any) -> None:
    families = [
        {"name": f"length {i}", "paths": 1 + i, "inputs": 1.5, "biases": -0.5, "share": share, "norm": 1.0}
        for i, share in enumerate((0.2, 0.5, 0.3))
    ]
    given = {"samples": 4, "by": "length", "kind": "exact", "families": families, "blocks": [], "why": ""}
    page = open_report(_with(paths=given), near="paths-chart")
    parts = page.locator('[data-view="paths-chart"] .rows-part')
    widths = [float(w.rstrip("%")) for w in parts.evaluate_all("parts => parts.map(part => part.style.width)")]
    assert widths == pytest.approx([40.0, 100.0, 60.0])
    assert "length 0" in page.locator('[data-view="paths-chart"]').inner_text()


# whatever a report holds


def _sample(shape: tuple[int, ...]) -> dict[str, Any]:
    picture = _image(np.arange(math.prod(shape), dtype=float).reshape(shape))
    row = {"output": 3, "score": 0.0, "matching": 0.0, "bias": 0.0, "cosine": None, "template": picture}
    return {"sample": 0, "label": None, "output": 3, "x": picture, "rows": [row]}


def _layer(i: int, **fields: Any) -> dict[str, Any]:
    nothing = dict.fromkeys(("mean", "within", "between", "order", "purity", "silhouette"))
    return {"node": f"layer {i}", **nothing, **fields}


ODD: dict[str, dict[str, dict[str, Any]]] = {
    "nulls": {
        "lipschitz": {"constants": None, "rungs": None, "lower": None, "upper": None, "local": None},
        "templates": {"gallery": None}, "encoding": {"gallery": None}, "units": {"layers": []},
        "separation": {"layers": []}, "regions": {"picture": None},
    },
    "zeros": {
        "lipschitz": {
            "constants": {"x": [1.0, 1.0], "y": [0.0, 0.0], "z": [None, None]}, "lower": 0.0, "upper": 0.0,
            "rungs": [{"method": "product", "side": "upper", "lower": None, "upper": 0.0, "note": ""}], "local": None,
        },
        "templates": {"gallery": {"samples": [_sample((5,)), _sample((200,)), _sample((1,))], "left_out": ""}},
    },
    "shapes": {
        "templates": {
            "gallery": {"samples": [_sample(s) for s in ((3, 4, 4), (7, 3, 5), (1, 1, 1), (64, 2, 2))], "left_out": "x"}
        },
    },
    "large": {
        "lipschitz": {
            "constants": {f"n{i}": [1 + i % 7 / 10, 2.0 ** (i % 900)] for i in range(2000)}, "local": None,
            "rungs": [{"method": "m", "side": "lower", "lower": 10.0**-i, "upper": None, "note": ""} for i in range(9)],
            "lower": 1e-30, "upper": 1e30,
        },
        "separation": {"layers": [_layer(i, mean=0.5) for i in range(200)]},
        "paths": {
            "by": "time", "blocks": [],
            "families": [
                {"name": f"t{i}", "paths": None, "inputs": 0.0, "biases": -1e-9, "share": 0.0, "norm": 0.0}
                for i in range(300)
            ],
        },
    },
    "gaps": {
        "separation": {
            "chance": None,
            "layers": [_layer(0, mean=0.5), _layer(1, within=0.1, order=0.3), _layer(2, purity=0.4)],
        },
        "lipschitz": {"constants": {"x": [2.0, None], "y": [None, 3.0], "z": [4.0, 5.0]}},
    },
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_odd_numbers_are_drawn_or_left_out(open_report: Any, name: str) -> None:
    page = open_report(_with(**ODD[name]), width=400)
    page.evaluate("splinegraph.mountAll()")
    for view in VIEWS:
        place = page.locator(f'[data-view="{view}"]')
        if place.count():
            assert place.get_attribute("data-failed") is None, place.inner_text()
            assert place.get_attribute("data-ready") == "true"
            drawn = place.evaluate("element => element.innerHTML")
            assert not re.search("NaN|undefined|Infinity", drawn), view
            assert place.evaluate("element => element.scrollWidth <= element.clientWidth"), view


def test_names_are_text(open_report: Any) -> None:
    name = "<img src=x onerror='window.pwned = 1'>"
    report = _with(inputs={"classes": [name] * 10})
    report["sections"]["lipschitz"]["constants"] = {name: [3.0, 3.0], "<b>": [2.0, 6.0]}
    page = open_report(report)
    page.evaluate("splinegraph.mountAll()")
    assert name in page.locator('[data-view="template-gallery"]').inner_text()
    assert name in page.locator('[data-view="constants-chart"]').inner_text()
    assert page.locator(".view img").count() == 0
    assert page.evaluate("window.pwned") is None
