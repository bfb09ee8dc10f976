"""The figures of a report: from its dictionary alone, the same each time, and one that fails loses no other."""

from __future__ import annotations

import base64
import copy
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib.colors
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.patches import FancyBboxPatch, PathPatch

from splinegraph.analyses.regions.figures.colors import class_colors
from splinegraph.errors import DataError
from splinegraph.export.report_figures import FIGURES, ReportFigureError, save_report_figures, saving
from splinegraph.export.report_figures.cells import LARGEST, draw_activation
from splinegraph.export.report_figures.charts import LAYERS, draw_separation, draw_units
from splinegraph.export.report_figures.constants import draw_constants, draw_ladder
from splinegraph.export.report_figures.galleries import draw_encoding, draw_templates
from splinegraph.export.report_figures.operators import draw_operators
from splinegraph.export.report_figures.parts import image
from splinegraph.export.report_figures.slices import draw_slice

HOSTILE = "</text><script>alert(1)</script> $\\frac{x$ \x07"


def picture(values: Any) -> dict[str, Any]:
    array = np.asarray(values, dtype=np.float64)
    low, high = float(array.min()), float(array.max())
    codes = np.round((array - low) / ((high - low) or 1) * 255).astype(np.uint8)
    data = base64.b64encode(codes.tobytes()).decode()
    return {"shape": list(array.shape), "low": low, "high": high, "data": data}


def node(name: str, operator: str, family: str, reads: list[str]) -> dict[str, Any]:
    return {
        "name": name, "operator": operator, "family": family, "exact": True, "shape": "B×2", "reads": reads,
        "module": "", "step": None,
    }  # fmt: skip


def report() -> dict[str, Any]:
    """Return a small report that has something for every figure."""
    ramp = np.arange(16.0).reshape(1, 4, 4)
    square = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]
    sections: dict[str, Any] = {
        "graph": {
            "name": HOSTILE,
            "outputs": {"relu": [2]},
            "nodes": [node("x", "Input", "input", []), node("lin", HOSTILE, "affine", ["x"]),
                      node("relu", "ReLU", "spline", ["lin"])],
        },
        "units": {
            "layers": [{"name": HOSTILE, "units": 2, "share": {"0": 0.25, "1": 0.75}, "dead": 0, "always_on": 1}]
        },
        "regions": {
            "cells": 2,
            "linear_regions": 2,
            "picture": {
                "axes": [HOSTILE, "v"], "extent": [[0, 1], [0, 1]], "vertices": square,
                "cells": [[0, 1, 2], [0, 2, 3]],
                "pieces": [{"corners": [square[0], square[1], square[2]], "output": 0, "cell": 0},
                           {"corners": [square[0], square[2], square[3]], "output": 7, "cell": 1}],
                "boundary": [[[0, 0], [1, 1]]],
                "points": [{"sample": 3, "label": 7, "at": [0.2, 0.7]}, {"sample": 4, "label": None, "at": [0.9, 0.1]}],
            },
        },
        "lipschitz": {
            "norm": "2", "domain": "space", "lower": 2.0, "upper": 8.0, "method": "product",
            "rungs": [{"method": HOSTILE, "lower": None, "upper": 8.0},
                      {"method": "points", "lower": 2.0, "upper": None}],
            "constants": {HOSTILE: [3.0, 3.0], "relu": [1.0, 3.0], "half": [0.5, None]},
        },
        "activation": {
            "samples": 4,
            "browser": {
                "layers": ["relu", HOSTILE],
                "nodes": [[0, "aa", 3, {"0": 2, "1": 1}, [0]], [0, "bb", 1, {"1": 1}, [3]], [1, "cc", 4, None, [0]]],
                "edges": [[0, 2, 3], [1, 2, 1]],
                "left_out": 0,
            },
        },
        "templates": {
            "gallery": {"samples": [
                {"sample": 0, "label": 1, "output": 1, "x": picture(ramp),
                 "rows": [{"output": 1, "score": 1.0, "matching": 3.0, "bias": -2.0, "template": picture(ramp - 8)}]},
            ]},
        },
        "encoding": {
            "gallery": {"samples": [
                {"sample": 0, "x": picture(ramp), "rows": [{"name": HOSTILE, "error": None, "image": picture(ramp)}]}
            ]},
        },
        "separation": {
            "samples": 4, "chance": 0.5,
            "layers": [{"node": HOSTILE, "mean": 0.5, "within": 0.2, "between": 0.7, "purity": None}],
        },
    }  # fmt: skip
    return {"format": "splinegraph report 3", "sections": sections}


def axes(found: Axes | None) -> Axes:
    assert found is not None
    return found


def texts(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.texts]


def only(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Leave these figures: to write all of them takes seconds."""
    kept = {name: draw for name, draw in FIGURES.items() if name in names}
    monkeypatch.setattr(saving, "FIGURES", kept)  # deleted items would come back in another order


def test_every_figure_is_written_as_svg_and_png_and_the_same_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = json.loads(json.dumps(report()))
    before = copy.deepcopy(held)
    once = save_report_figures(held, tmp_path / "a")
    assert held == before
    assert [path.name for path in once] == [f"{name}.{kind}" for name in FIGURES for kind in ("svg", "png")]
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == sorted(path.name for path in once)
    for path in once:
        if path.suffix == ".svg":
            ElementTree.parse(path)
            assert b"<script" not in path.read_bytes()
        else:
            assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    only(monkeypatch, "operator-graph", "slice")
    for path in save_report_figures(report(), tmp_path / "b"):
        assert path.read_bytes() == (tmp_path / "a" / path.name).read_bytes()


@pytest.mark.parametrize("name", FIGURES)
def test_what_is_not_there_has_no_figure(name: str) -> None:
    draw, whole = FIGURES[name], report()
    assert draw({"sections": {}}) is None
    broken = {key: {"failed": True, "headline": "", "error": "E", "message": ""} for key in whole["sections"]}
    assert draw({"sections": broken}) is None
    null = {key: dict.fromkeys(part) for key, part in whole["sections"].items()}
    assert draw({"sections": null}) is None
    empty = {key: {**part, "gallery": {"samples": []}, "browser": {}, "picture": None, "nodes": [], "layers": [],
                   "rungs": [], "constants": {}, "upper": None, "lower": None}
             for key, part in whole["sections"].items()}  # fmt: skip
    assert draw({"sections": empty}) is None


def test_a_figure_that_fails_loses_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(report: object) -> Axes | None:
        raise ZeroDivisionError("no\nscale")

    only(monkeypatch, "units", "templates", "lipschitz")
    monkeypatch.setitem(saving.FIGURES, "units", fails)
    damaged = report()
    damaged["sections"]["templates"]["gallery"]["samples"][0]["x"]["data"] = "AAAA"
    with pytest.raises(ReportFigureError, match="2 of 3 figures failed: units: ZeroDivisionError: no scale") as caught:
        save_report_figures(damaged, tmp_path)
    assert set(caught.value.failed) == {"units", "templates"}
    assert len(caught.value.files) == 2
    assert sorted(tmp_path.iterdir()) == sorted(caught.value.files)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot make the folder"):
        save_report_figures(report(), tmp_path / "file")


def test_operators_have_boxes() -> None:
    ax = axes(draw_operators(report()))
    assert sum(isinstance(patch, FancyBboxPatch) for patch in ax.patches) == 3
    many = report()
    many["sections"]["graph"]["nodes"] *= 600
    assert draw_operators(many) is None


def test_the_slice_has_the_areas_of_the_pieces_in_the_colors_of_the_classes() -> None:
    ax = axes(draw_slice(report()))
    filled = [patch for patch in ax.patches if isinstance(patch, PathPatch) and patch.get_fill()]
    assert len(filled) == 2
    for patch in filled:
        (polygon,) = patch.get_path().to_polygons()
        x, y = polygon.T
        assert abs(np.dot(x[:-1], y[1:]) - np.dot(x[1:], y[:-1])) / 2 == pytest.approx(0.5)
        output = 0 if [1.0, 0.0] in polygon.tolist() else 7
        colors = {c: np.array(matplotlib.colors.to_rgb(color)) for c, color in class_colors([0, 7]).items()}
        away = {c: np.abs(color - matplotlib.colors.to_rgb(patch.get_facecolor())).max() for c, color in colors.items()}
        assert min(away, key=away.__getitem__) == output
    legend = ax.get_legend()
    assert legend is not None
    names = [text.get_text() for text in legend.get_texts()]
    assert names == ["output 0 largest", "output 7 largest", "decision boundary"]
    assert texts(ax) == ["sample 3, class 7", "sample 4"]
    assert (ax.get_xlim(), ax.get_ylim()) == ((0, 1), (0, 1))


def test_a_slice_of_a_single_output_tells_its_sign() -> None:
    single = report()
    picture = single["sections"]["regions"]["picture"]
    picture |= {"outputs": 1, "boundary": []}
    picture["pieces"][1]["output"] = -1
    legend = axes(draw_slice(single)).get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["f ≤ 0", "f > 0"]


def test_a_slice_without_classes_is_grey() -> None:
    bare = report()
    bare["sections"]["regions"]["picture"] |= {"pieces": [], "boundary": [], "points": None}
    ax = axes(draw_slice(bare))
    assert ax.get_legend() is None
    filled = [patch for patch in ax.patches if isinstance(patch, PathPatch) and patch.get_fill()]
    channels = np.array([matplotlib.colors.to_rgb(patch.get_facecolor()) for patch in filled])
    assert np.ptp(channels, axis=1).max() < 1e-9


def test_the_ladder_has_each_bound_at_its_place() -> None:
    ax = axes(draw_ladder(report()))
    marks = [(float(np.asarray(x)[0]), line.get_marker()) for line in ax.lines for x in [line.get_xdata()]]
    assert marks == [(8.0, "<"), (2.0, ">")]
    assert ax.get_title() == "Lipschitz constant in l2 on all of space: 2 to 8"
    old = report()
    del old["sections"]["lipschitz"]["rungs"], old["sections"]["lipschitz"]["constants"]
    assert [tick.get_text() for tick in axes(draw_ladder(old)).get_yticklabels()] == ["lower bound", "product"]
    old["sections"]["lipschitz"]["layers"] = [{"node": "conv", "constant": 2.5, "total": 2.5}]
    assert [tick.get_text() for tick in axes(draw_constants(old)).get_yticklabels()] == ["conv"]


def test_ticks_leave_room_for_their_numbers() -> None:
    wide = report()
    wide["sections"]["lipschitz"] |= {"upper": 2e12, "rungs": [{"method": "a", "lower": 2.0, "upper": 2e12}]}
    for held in (wide, report()):
        ax = axes(draw_ladder(held))
        low, high = ax.get_xlim()
        shown = [tick for tick in ax.xaxis.get_major_locator()() if low <= tick <= high]
        assert 2 <= len(shown) <= 9


def test_constants_of_one_are_left_out() -> None:
    ax = axes(draw_constants(report()))
    assert [round(float(bar.get_x() + bar.get_width()), 9) for bar in ax.patches] == [3.0, 0.5]
    assert texts(ax) == ["3", "0.5"]


def test_shares_of_pieces_add_up() -> None:
    ax = axes(draw_units(report()))
    assert [bar.get_width() for bar in ax.patches] == [0.25, 0.75]
    assert texts(ax) == ["2 units, 0 dead, 1 always on"]
    many = report()
    many["sections"]["units"]["layers"] *= LAYERS + 5
    ax = axes(draw_units(many))
    assert len(ax.texts) == LAYERS
    assert f"the first {LAYERS} of {LAYERS + 5} layers" in ax.get_xlabel()


def test_cells_are_as_high_as_they_have_samples() -> None:
    ax = axes(draw_activation(report()))
    parts = next(c for c in ax.collections if isinstance(c, PolyCollection) and c.get_zorder() == 2)
    heights = sorted(round(float(np.ptp(path.vertices[:, 1])), 9) for path in parts.get_paths())
    assert heights == [1, 1, 2, 4]  # a block of two labels is two parts
    for layer in (0, 1):  # one upon the other, up to the number of samples
        ends = [
            path.get_extents().intervaly for path in parts.get_paths() if round(path.vertices[:, 0].mean()) == layer
        ]
        ordered = sorted(map(tuple, ends))
        assert [low for low, _ in ordered] == [0, *(high for _, high in ordered)][:-1]
        assert ordered[-1][1] == 4
    assert ax.get_xticklabels()[0].get_text() == "relu\n2 cells"
    many = report()
    many["sections"]["activation"]["browser"]["nodes"] *= LARGEST
    assert draw_activation(many) is None


def test_galleries_say_what_is_shown() -> None:
    ax = axes(draw_templates(report()))
    assert texts(ax) == ["sample 0\nclass 1", "output 1: 1\n= 3 − 2"]
    assert len(ax.images) == 2
    six = report()
    six["sections"]["templates"]["gallery"]["samples"] *= 9
    assert len(axes(draw_templates(six)).images) == 12
    assert texts(axes(draw_encoding(report())))[1].endswith("error –")


def test_separation_leaves_out_what_is_not_known() -> None:
    ax = axes(draw_separation(report()))
    labels = [line.get_label() for line in ax.lines]
    assert labels == ["any two samples", "within classes", "between classes", "nearest, by chance"]


@pytest.mark.parametrize("shape", [(7,), (1, 3, 5), (3, 4, 4), (2, 3, 3), (1, 1, 1)])
def test_images_are_decoded(shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).normal(size=shape)
    shown = image(picture(values))
    wanted = {1: values.reshape(1, -1), 3: np.moveaxis(values, 0, -1)}[len(shape)]
    if len(shape) == 3 and shape[0] != 3:
        wanted = values.mean(0)
    assert shown.shape == wanted.shape
    assert np.abs(shown - wanted).max() <= np.ptp(values) / 255
