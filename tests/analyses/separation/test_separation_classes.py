"""Statistics of classes by brute force, comparisons, figures and the section of the report."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import splinegraph as sg
from splinegraph.analyses.report.separation import SeparationSection
from splinegraph.analyses.separation.statistics import class_statistics


def test_statistics_are_those_of_all_pairs() -> None:
    rng = np.random.default_rng(0)
    n = 14
    D = rng.integers(0, 6, (n, n)).astype(float)  # with many ties
    D = np.triu(D, 1) + np.triu(D, 1).T
    y = np.array([0] * 5 + [4] * 6 + [2] * 2 + [9])
    found = class_statistics(D, y)
    pairs = [(i, j) for i in range(n) for j in range(i)]
    within = [D[i, j] for i, j in pairs if y[i] == y[j]]
    between = [D[i, j] for i, j in pairs if y[i] != y[j]]
    assert found.within == pytest.approx(np.mean(within))
    assert found.between == pytest.approx(np.mean(between))
    assert found.order == pytest.approx(np.mean([(a < b) + 0.5 * (a == b) for a in within for b in between]))
    purity, silhouette = [], []
    for i in range(n):
        others = [j for j in range(n) if j != i]
        nearest = [j for j in others if D[i, j] == min(D[i, k] for k in others)]
        purity.append(np.mean([y[j] == y[i] for j in nearest]))
        own = [D[i, j] for j in others if y[j] == y[i]]
        b = min(np.mean(D[i, y == c]) for c in set(y) - {y[i]})
        silhouette.append((b - np.mean(own)) / max(b, np.mean(own)) if own else 0.0)
    assert found.purity == pytest.approx(np.mean(purity))
    assert found.silhouette == pytest.approx(np.mean(silhouette))
    assert found.chance == pytest.approx(
        np.mean([np.mean([y[j] == y[i] for j in range(n) if j != i]) for i in range(n)])
    )


def test_classes_far_apart_and_classes_without_meaning() -> None:
    D = np.array([[0, 1, 9, 9], [1, 0, 9, 9], [9, 9, 0, 1], [9, 9, 1, 0]], dtype=float)
    apart = class_statistics(D, np.array([0, 0, 1, 1]))
    assert (apart.order, apart.purity) == (1.0, 1.0)
    assert apart.silhouette == pytest.approx(8 / 9)
    nothing = class_statistics(np.zeros((6, 6)), np.array([0, 0, 0, 1, 1, 1]))  # all tied: chance, not luck
    assert (nothing.order, nothing.purity, nothing.silhouette) == (0.5, pytest.approx(nothing.chance), 0.0)


def _digits(seed: int, count: int = 40) -> tuple[sg.SplineGraph, torch.Tensor, torch.Tensor]:
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(4, 12), nn.ReLU(), nn.Linear(12, 6), nn.LeakyReLU(), nn.Linear(6, 2)).eval()
    y = torch.arange(count) % 2
    X = torch.randn(count, 4) + 3 * y[:, None]
    return sg.trace(net, torch.zeros(1, 4)), X, y


def test_comparison_and_figures() -> None:
    first, X, y = _digits(0)
    second, _, _ = _digits(1)
    before, after = sg.separation(first, X, y, values=True), sg.separation(second, X, y)
    both = before.compare(after, ("init", "trained"))
    assert repr(both).startswith("<SeparationComparison, init and trained, of 2 layers; purity ")
    assert json.dumps(both.to_dict(), allow_nan=False)
    lines = [line.get_label() for line in both.plot().get_lines()]
    assert {"within classes, init", "nearest of the same class, trained"} <= set(lines)
    assert len([ax for ax in both.plot_matrices().axes if ax.images]) == 4
    shown = before.plot_matrices().axes[0].images[0].get_array()
    order = np.argsort(y.numpy(), kind="stable")
    relative = before[0].relative
    np.testing.assert_allclose(np.asarray(shown), relative[np.ix_(order, order)] / relative.max())
    assert sg.separation(first, X).plot().get_lines()[0].get_label() == "mean"
    first_purity = before[0].classes.purity if before[0].classes else None
    assert first_purity is not None
    assert before.depth(first_purity) == 0
    assert before.depth(np.nextafter(first_purity, 2)) != 0
    assert before[0].value_classes is not None
    assert before[0].value_classes.order is not None
    assert before[0].value_classes.order > 0.8


def test_section_of_a_report() -> None:
    graph, X, y = _digits(0)
    section = sg.analyze(graph, data=X, labels=y, sections=["separation"])["separation"]
    assert isinstance(section, SeparationSection)
    classes = sg.separation(graph, X, y)[0].classes
    assert classes is not None
    assert section.layers[0].purity == classes.purity
    assert section.classes == 2
    assert "by chance" in section.headline


@pytest.mark.parametrize(
    ("net", "y", "why"),
    [
        (nn.Sequential(nn.Linear(4, 3), nn.Sigmoid()), [0, 1, 1], "no operator switches"),
        (nn.Sequential(nn.Linear(4, 3), nn.ReLU()), None, "the samples have no labels"),
        (nn.Sequential(nn.Linear(4, 3), nn.ReLU()), [2, 2, 2], "3 samples of 1 class: no pairs to compare"),
    ],
)
def test_section_where_it_does_not_apply(net: Any, y: Any, why: str) -> None:
    graph = sg.trace(net.eval(), torch.zeros(1, 4))
    report = sg.analyze(graph, data=torch.randn(3, 4), labels=y, sections=["separation"])
    assert report.complete
    assert report["separation"].headline == f"not applicable: {why}"
