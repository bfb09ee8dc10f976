"""A report in the terminal."""

from __future__ import annotations

import dataclasses
import io
import re
from pathlib import Path

import pytest
import torch
from PIL import Image
from rich.console import Console
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.analyses.report.report import Report, analyze
from splinegraph.cli.render import render
from splinegraph.cli.render_pieces import footnote

X = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
YELLOW = "\x1b[33m"


def _shown(report: Report, width: int = 100, *, color: bool = False) -> str:
    stream = io.StringIO()
    console = Console(
        file=stream, width=width, force_terminal=color, color_system="standard" if color else None,
        highlight=False, markup=False, emoji=False, _environ={},
    )  # fmt: skip
    render(report, console=console)
    return stream.getvalue()


def _table(text: str) -> list[str]:
    return text.partition("<A_c, x>")[2].partition("c: largest")[0].splitlines()[1:]


def test_an_interrupted_report_says_so() -> None:
    graph = sg.trace(nn.ReLU().eval(), torch.zeros(1, 3))

    def stop(stage: str, done: int, total: int | None) -> None:
        if stage == "data" and done:
            raise KeyboardInterrupt

    text = _shown(analyze(graph, data=X, progress=stop))
    assert "interrupted after 4 of 4 samples" in text
    assert text.rstrip().endswith("interrupted: this report is incomplete")
    assert "incomplete" not in _shown(analyze(graph, data=X))


@pytest.mark.parametrize("shift", [0, 1])
def test_only_classes_of_the_output_can_be_wrong(shift: int) -> None:
    graph = sg.trace(nn.ReLU().eval(), torch.zeros(1, 3))
    wrong = (graph(X).argmax(1) + 1) % 3 + 3 * shift
    assert (YELLOW in "".join(_table(_shown(analyze(graph, data=X, labels=wrong), color=True)))) == (shift == 0)
    right = graph(X).argmax(1)
    assert YELLOW not in "".join(_table(_shown(analyze(graph, data=X, labels=right), color=True)))


def test_names_of_classes_stand_beside_their_numbers(tmp_path: Path) -> None:
    for name in ("cat", "a name that is far too long"):
        (tmp_path / name).mkdir()
        Image.new("L", (2, 2), 90).save(tmp_path / name / "0.png")
    graph = sg.trace(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)).eval(), torch.zeros(1, 1, 2, 2))
    report = analyze(graph, data=tmp_path)
    first, second = (line for line in _table(_shown(report, 120)) if re.match(r"\s+\d", line))
    assert "  0 a name that is …  " in first
    assert "  1 cat  " in second
    narrow = _shown(report, 60)
    assert all(len(line) <= 60 for line in narrow.splitlines())


def test_several_outputs_are_told() -> None:
    class Heads(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return torch.relu(x), x - 1

    graph = sg.trace(Heads().eval(), torch.zeros(1, 3))
    text = " ".join(_shown(analyze(graph, data=X, labels=torch.zeros(4, dtype=torch.int64))).split())
    assert f"of output '{graph.outputs[0]}', the first of 2" in text
    assert "no accuracy: 2 outputs" in text


def test_a_name_cannot_break_the_lines() -> None:
    graph = sg.trace(nn.ReLU().eval(), torch.zeros(1, 3)).rename("evil\nname\x1b[31m")
    root, relu = graph.nodes
    nodes = (root, dataclasses.replace(relu, module="a\nb\x07", source="c\x1b[2J.py:1"))
    text = _shown(analyze(dataclasses.replace(graph, nodes=nodes, _cache={}), data=X), 160)
    assert "\x1b" not in text
    assert "\x07" not in text
    assert r"evil name\x1b[31m" in text
    assert r"a b\x07" in text


def test_a_footnote_keeps_its_indent_where_it_is_folded() -> None:
    stream = io.StringIO()
    footnote(Console(file=stream, width=20), "what the headings of a table mean")
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert all(line.startswith("  ") and not line.startswith("   ") for line in lines)


def test_one_sample_is_one() -> None:
    graph = sg.trace(nn.ReLU().eval(), torch.zeros(1, 3))
    assert "1 sample of data" in _shown(analyze(graph, data=X[:1], sections=["inputs"]))
