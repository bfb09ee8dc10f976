"""Figures of Lipschitz bounds show the numbers that they are of."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.analyses.lipschitz import figures
from splinegraph.analyses.lipschitz.bound import LipschitzBound, Rung
from splinegraph.analyses.lipschitz.figures import layers, plot_constants, plot_ladder, plot_lipschitz
from splinegraph.analyses.lipschitz.lipschitz import lipschitz
from tests.analyses.regions.nets import mlp

RUNGS = (
    Rung("product", "upper", 10.0, 0.01), Rung("points", "lower", 1.0, 0.5), Rung("semidefinite", "upper", 4.0, 1.0),
    Rung("facet crossing", "lower", 2.0, 12.0), Rung("other", "upper", math.inf, 0.1, "gave nothing"),
    Rung("weaker", "upper", 6.0, 0.1),
)  # fmt: skip


@pytest.fixture(scope="module")
def bound() -> LipschitzBound:
    torch.manual_seed(0)
    graph = sg.trace(mlp(3, 6, 4, 2).double().eval(), torch.zeros(1, 3, dtype=torch.float64))
    found = lipschitz(graph, budget=0)
    return dataclasses.replace(found, lower=2.0, upper=4.0, kind="bracket", rungs=RUNGS)


def test_the_ladder_goes_only_one_way(bound: LipschitzBound) -> None:
    ax = plot_ladder(bound)
    upper, lower = ({line.get_label(): line for line in ax.lines}[name] for name in ("upper end, proved",
                    "lower end, attained"))  # fmt: skip
    assert list(upper.get_ydata()) == [10, 10, 4, 4, 4, 4]
    assert list(lower.get_ydata()) == [0, 1, 1, 2, 2, 2]
    dots = sorted(float(line.get_ydata()[0]) for line in ax.lines if line.get_marker() == "o")
    assert dots == [1, 2, 4, 6, 10]
    names = [tick.get_text() for tick in ax.get_xticklabels()]
    assert names[0] == "product\n10 ms"
    assert names[3] == "facet crossing\n12 s"
    assert ax.get_title() == "2 to 4"


def test_the_bars_are_the_constants(bound: LipschitzBound) -> None:
    ax = plot_constants(bound)
    entries = layers(bound)
    assert [entry.node.op.label for entry in entries] == ["Linear"] * 3
    widths = [bar.get_width() for bar in ax.patches]
    assert widths == [entry.own[0] for entry in entries] + [entry.gain for entry in entries]


def test_the_farthest_from_one_are_kept_in_order(bound: LipschitzBound, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "BARS", 2)
    entries = layers(bound)
    ax = plot_constants(bound)
    near = min(entries, key=lambda entry: abs(math.log(entry.own[0])))
    assert [bar.get_width() for bar in ax.patches][:2] == [entry.own[0] for entry in entries if entry is not near]
    assert "1 operators left out" in ax.get_title() or "1 operator left out" in ax.get_title()


class Square(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * x


def test_infinite_ends_are_drawn_too(tmp_path: Path) -> None:
    found = lipschitz(sg.trace(Square().eval(), torch.zeros(1, 2)), budget=0)
    assert found.upper == math.inf
    figure = plot_lipschitz(found)
    texts = [text.get_text() for text in figure.axes[1].texts]
    assert texts == ["no constant"]
    path = sg.save_figure(figure.axes[0], tmp_path / "bound.png")
    assert path.stat().st_size > 1000


def test_a_bound_draws_itself(bound: LipschitzBound) -> None:
    ax = bound.plot()
    assert ax.get_ylabel() == "Lipschitz constant, l2"
    assert bound.plot(ax) is ax
    empty = dataclasses.replace(bound, rungs=(), product=None)
    assert plot_lipschitz(empty).axes
