"""The figure of a graph: what is on it, where it is drawn, how it is saved."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import networkx as nx
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from splinegraph.errors import DataError
from splinegraph.export import files
from splinegraph.export.graphs import plot_graph, save_figure
from splinegraph.export.graphs.palette import FAMILIES, ink, rgb
from splinegraph.testing.identity import FAMILIES as KNOWN
from tests import zoo


def texts(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.texts]


def boxes(ax: Axes) -> list[FancyBboxPatch]:
    return [patch for patch in ax.patches if isinstance(patch, FancyBboxPatch)]


@pytest.mark.parametrize("name", ["residual", "rnn", "transformer", "two", "single"])
def test_every_operator_has_a_box_and_every_edge_an_arrow(name: str) -> None:
    graph = zoo.graph(name)
    ax = plot_graph(graph)
    assert len(boxes(ax)) == len(graph)
    assert sum(isinstance(p, FancyArrowPatch) for p in ax.patches) == graph.to_networkx().number_of_edges()
    found = texts(ax)
    for node in graph.operators:
        assert any(text.startswith(node.op.label[:20]) for text in found)
    legend = ax.get_legend()
    assert legend is not None
    families = {data["family"] for _, data in graph.to_networkx().nodes(data=True)}
    assert {text.get_text() for text in legend.get_texts()} == families
    assert ax.get_title() == graph.name


def test_every_family_has_a_color_of_its_own_that_text_shows_on() -> None:
    assert {*KNOWN, "input"} == set(FAMILIES)
    assert len(set(FAMILIES.values())) == len(FAMILIES)
    for color in FAMILIES.values():
        light = 0.0 if ink(color) == "#000000" else 1.0
        channels = [c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in rgb(color)]
        luminance = 0.2126 * channels[0] + 0.7152 * channels[1] + 0.0722 * channels[2]
        contrast = (max(luminance, light) + 0.05) / (min(luminance, light) + 0.05)
        assert contrast > 4.5, f"{color}: WCAG AA"


# what people without one kind of cone see of linear red, green and blue (Machado et al., 2009)
SIGHT = {
    "usual": np.eye(3),
    "protan": np.array([
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ]),
    "deutan": np.array([
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ]),
}  # fmt: skip


@pytest.mark.parametrize("sight", SIGHT)
def test_families_differ_to_the_color_blind(sight: str) -> None:
    linear = (np.array([rgb(color) for color in FAMILIES.values()]) / 255) ** 2.2
    seen = 255 * np.clip(linear @ SIGHT[sight].T, 0, 1) ** (1 / 2.2)
    distances = np.linalg.norm(seen[:, None] - seen[None], axis=-1) + 1e9 * np.eye(len(seen))
    assert distances.min() > 30


def test_it_is_drawn_where_one_asks() -> None:
    figure = Figure(figsize=(3, 3))
    ax = figure.add_subplot(1, 2, 2)
    assert plot_graph(zoo.graph("residual"), ax) is ax
    small = [text.get_fontsize() for text in ax.texts]
    assert max(small, default=0) < max(text.get_fontsize() for text in plot_graph(zoo.graph("residual")).texts)


@pytest.mark.slow
def test_pyplot_knows_nothing_of_it() -> None:
    code = (
        "import sys, networkx; from splinegraph.export.graphs import plot_graph; "
        "plot_graph(networkx.path_graph(3)); print('matplotlib.pyplot' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert found.stdout.strip() == "False"


@pytest.mark.parametrize(
    "graph", [nx.Graph(), nx.path_graph(1), nx.cycle_graph(9), nx.star_graph(300), nx.gn_graph(300, seed=0)], ids=str
)
def test_graphs_without_boxes(graph: nx.Graph[int], tmp_path: Path) -> None:
    assert save_figure(graph, tmp_path / "g.png").stat().st_size > 0
    assert boxes(plot_graph(graph)) == []


def test_names_with_markup_are_shown_as_they_are(tmp_path: Path) -> None:
    graph = nx.DiGraph([("a$b$c", "$\\frac{"), ("<b>", "名\x00")], name="$\\alpha")
    assert {"a$b$c", "$\\frac{", "<b>", "名\\x00"} <= set(texts(plot_graph(graph)))
    root = ElementTree.parse(save_figure(graph, tmp_path / "g.svg")).getroot()
    assert root.tag.endswith("svg")


@pytest.mark.parametrize(("suffix", "start"), [("svg", b"<?xml"), ("png", b"\x89PNG"), ("PDF", b"%PDF")])
def test_saving_gives_the_same_file_each_time(suffix: str, start: bytes, tmp_path: Path) -> None:
    first, again = (save_figure(zoo.graph("concat"), tmp_path / f"{i}.{suffix}").read_bytes() for i in range(2))
    assert first.startswith(start)
    assert first == again


def test_what_cannot_be_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = zoo.graph("concat")
    with pytest.raises(DataError, match=r"cannot draw 'g.jpg': .jpg is no figure; let the name end in .svg, .png or"):
        save_figure(graph, tmp_path / "g.jpg")
    with pytest.raises(DataError, match="no suffix"):
        save_figure(graph, tmp_path / "g")
    with pytest.raises(DataError, match="cannot write"):
        save_figure(graph, tmp_path / "missing" / "g.png")
    with pytest.raises(DataError, match="a str is not a graph"):
        save_figure("graph", tmp_path / "g.png")  # type: ignore[arg-type]

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(DataError, match="free some space"):
        save_figure(graph, tmp_path / "g.png")
    assert os.listdir(tmp_path) == []
