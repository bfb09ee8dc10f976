"""Results in notebooks: HTML that parses, with names as text and nothing that runs, for whole and partial results."""

from __future__ import annotations

import functools
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.analyses.canvas import inline
from splinegraph.core.bound import Bound
from splinegraph.core.notebook import COLUMNS, ROWS, TABLES, card, page, written
from splinegraph.training.engine.results import Measured, TrainingResult
from splinegraph.training.engine.settings import Settings

HOSTILE = "</div><script>alert(1)</script><img src=x onerror=alert(2)>\"'&amp;"

VOID = {"img", "br"}


class Page(HTMLParser):
    """What is in a card; fails where tags do not match."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not any(name.startswith("on") for name, _ in attrs)
        assert {name for name, _ in attrs} <= {"style", "src", "alt"}
        assert all((value or "").startswith("data:image/png;base64,") for name, value in attrs if name == "src")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)


def read(html: str) -> Page:
    found = Page(html)
    assert set(found.tags) <= {"div", "strong", "table", "tr", "th", "td", "img"}
    assert len(html) < 200_000
    return found


@functools.cache
def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 2)).double().eval()


@functools.cache
def graph() -> sg.SplineGraph:
    return sg.trace(net(), torch.zeros(1, 2, dtype=torch.float64)).rename(HOSTILE)


@functools.cache
def X() -> Tensor:
    return torch.randn(8, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


Y = torch.arange(8) % 2


@functools.cache
def box() -> sg.Box:
    return sg.Box(torch.full((2,), -1.0, dtype=torch.float64), torch.full((2,), 1.0, dtype=torch.float64))


@functools.cache
def partition() -> sg.Partition:
    return sg.enumerate_regions(graph(), box())


@functools.cache
def bound() -> sg.LipschitzBound:
    return sg.lipschitz(graph(), on=box(), budget=0)


@functools.cache
def verdicts() -> sg.Verdicts:
    return sg.convexity(graph(), box())


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.relu(self.inner(x))


def path_families() -> sg.PathDecomposition:
    torch.manual_seed(0)
    residual = sg.trace(Residual().double().eval(), X()[:1])
    return sg.paths(residual.rename(HOSTILE), X()[:2])


def adversarial() -> sg.AdversarialDistance:
    return sg.AdversarialDistance(Bound(0.5, float("inf"), "bracket"), 2, 0, None, None, None, 0, False, HOSTILE)


def training() -> TrainingResult:
    point = Measured(10, 0.75, None, None, {"total": 0.5})
    return TrainingResult(
        False, 10, 20, 10, 0.75, None, torch.eye(2, dtype=torch.int64), (point,) * 30, None, None, None,
        Settings(), {"name": HOSTILE, "parameters": 7}, {"name": "digits"}, 1.0, "cpu", notes=(HOSTILE,),
    )  # fmt: skip


RESULTS: dict[str, Callable[[], Any]] = {
    "graph": graph,
    "partition": partition,
    "verification": lambda: partition().verified,
    "lipschitz": bound,
    "certificate": lambda: bound().certificate,
    "bound": lambda: Bound(1.0, 10**400, "bracket"),
    "convexity": verdicts,
    "verdict": lambda: next(iter(verdicts())),
    "checklist": lambda: sg.checklist(graph()),
    "affine map": lambda: sg.affine_map(graph(), X()),
    "codes": lambda: sg.codes(graph(), X()),
    "templates": lambda: sg.templates(graph(), X(), Y),
    "encoding": lambda: sg.encode(graph(), X()),
    "inverse": lambda: sg.invert(graph(), X()),
    "preimage": lambda: sg.preimage(graph(), X()[0]),
    "layers": lambda: sg.reconstruct_layers(graph(), X()),
    "activation graph": lambda: sg.activation_graph(graph(), X(), Y),
    "separation": lambda: sg.separation(graph(), X(), Y),
    "paths": path_families,
    "adversarial": adversarial,
    "local region": lambda: sg.local_region(graph(), X()[:1]),
    "neighborhood": lambda: sg.neighborhood(graph(), X()[0], hops=1),
    "chords": lambda: sg.chords(graph(), X()[:2], X()[2:4]),
    "activity": lambda: sg.activity(graph(), X()),
    "smoothness": lambda: sg.smoothness(graph(), X(), pairs=3),
    "sensitivity": lambda: sg.sensitivity_ratio(graph(), X()[:2], X()[2:4]),
    "memorization": lambda: sg.memorization(graph(), X(), Y),
    "scores": lambda: sg.template_scores(graph(), X(), Y),
    "separable": lambda: sg.linear_separable(X(), Y),
    "difference": lambda: sg.difference_of_convex(graph(), box()),
    "training": training,
}


@pytest.mark.parametrize("name", RESULTS)
def test_a_result_is_a_card(name: str) -> None:
    result = RESULTS[name]()
    found = read(result._repr_html_())
    told = repr(result)
    if told.startswith("<") and name != "graph":
        assert " ".join(told[1:-1][:60].split()) in found.text  # what repr says, as text
    assert "{" not in found.text
    assert "tensor(" not in found.text or name == "partition"  # whose domain is told as it is


def test_names_are_text() -> None:
    for result in (graph(), partition(), path_families(), adversarial(), training()):
        assert HOSTILE[:40] in read(result._repr_html_()).text


def test_every_public_result_with_to_dict_has_a_card() -> None:
    classes = [getattr(sg, name) for name in sg.__all__]
    plain = [c for c in classes if isinstance(c, type) and hasattr(c, "to_dict")]
    assert len(plain) > 40
    assert [c.__name__ for c in plain if not hasattr(c, "_repr_html_")] == []


def test_a_stale_result_says_so() -> None:
    changed = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2)).double().eval()
    traced = sg.trace(changed, X()[:1])
    results = [sg.affine_map(traced, X()), sg.templates(traced, X(), Y), sg.encode(traced, X())]
    with torch.no_grad():
        changed[0].weight.add_(1.0)
    for result in results:
        text = read(result._repr_html_()).text
        assert "stale" in text
    assert "the weights have changed since" in text


def test_a_partial_result_says_so() -> None:
    part = sg.enumerate_regions(graph(), box(), limit=2)
    assert not part.complete
    found = read(part._repr_html_())
    assert "complete no" in found.text


def test_long_results_are_cut() -> None:
    deep = nn.Sequential(*[layer for _ in range(12) for layer in (nn.Linear(2, 2), nn.ReLU())]).double().eval()
    found = read(sg.trace(deep, X()[:1])._repr_html_())
    assert found.tags.count("tr") == ROWS + 3  # of two facts, and the names of the columns
    assert f"nodes, the first {ROWS} of 25" in found.text
    table = ("t", [f"c{i}" for i in range(50)], [list(range(50))] * 500)
    found = read(page("x" * 10_000, {str(i): "y" * 5_000 for i in range(900)}, [table] * 9))
    assert found.tags.count("th") == COLUMNS * TABLES
    assert f"the first {ROWS} of 500" in found.text


def test_pictures_of_small_planes_and_of_templates_of_images() -> None:
    assert "img" in read(partition()._repr_html_()).tags
    assert "img" not in read(sg.templates(graph(), X(), Y)._repr_html_()).tags  # of no images
    for channels in (1, 3):
        torch.manual_seed(0)
        flat = nn.Sequential(nn.Flatten(), nn.Linear(16 * channels, 3)).double().eval()
        images = torch.rand(4, channels, 4, 4, dtype=torch.float64)
        found = sg.templates(sg.trace(flat, images[:1]), images, torch.arange(4) % 3)
        assert "img" in read(found._repr_html_()).tags


def test_a_picture_that_fails_leaves_the_card() -> None:
    def fails() -> Any:
        raise ValueError("no picture")

    assert inline(fails) == ""
    assert "img" not in read(card(bound(), picture=inline(fails))).tags


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (True, "yes"), (12345, "12,345"), (10**20, "1e+20"), (10**400, "huge"), (0.123456, "0.1235"),
     (float("nan"), "nan"), ([1, 2], "1, 2"), ([], "none"), (list(range(9)), "0, 1, 2, 3, 4, 5, … (9)"),
     ({"lower": 1, "upper": 2, "kind": "bracket"}, "1 to 2 (bracket)"), ({"lower": 2, "upper": 2}, "2"),
     ({"a": 1, "b": None}, "a 1, b –")],
)  # fmt: skip
def test_values_as_text(value: object, text: str) -> None:
    assert written(value) == text


def test_what_is_no_text_at_all() -> None:
    found = read(page("a\x00b\ud800", {"n": np.float64(1.5), "o": object}))
    assert "a b" in found.text
    found.text.encode("utf-8")
