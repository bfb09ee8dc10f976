"""The generalization gap, its interval, and why the paper's choice of a topology is one by the test set."""

from __future__ import annotations

import itertools

import pytest
import torch
from scipy.stats import binom
from torch import nn

import splinegraph as sg
from splinegraph.analyses.measures.gap import GeneralizationGap
from splinegraph.errors import DataError, ShapeError


def _graph() -> sg.SplineGraph:
    torch.manual_seed(0)
    return sg.trace(nn.Linear(3, 4).eval(), torch.zeros(1, 3))


def _labelled(graph: sg.SplineGraph, count: int, wrong: int) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randn(count, 3, generator=torch.Generator().manual_seed(count))
    y = graph(x).argmax(1)
    y[:wrong] = (y[:wrong] + 1) % 4
    return x, y


def test_accuracies_and_gap() -> None:
    graph = _graph()
    found = sg.generalization_gap(graph, _labelled(graph, 50, 5), _labelled(graph, 40, 10))
    assert (found.train, found.held_out, found.gap) == (0.9, 0.75, pytest.approx(0.15))
    low, high = found.interval
    assert low <= found.gap <= high
    assert [bar.get_height() for bar in found.plot().patches] == [0.9, 0.75]


def test_many_samples_are_read_in_batches() -> None:
    graph = _graph()
    found = sg.generalization_gap(graph, _labelled(graph, 1500, 300), _labelled(graph, 1030, 1030))
    assert (found.train, found.held_out) == (0.8, 0.0)


@pytest.mark.parametrize("right", [0, 3, 17, 20])
def test_the_interval_holds_what_it_says(right: int) -> None:
    """Its ends are the shares at which so few, or so many, have a probability of 2.5 %."""
    found = sg.generalization_gap(_graph(), _labelled(_graph(), 8, 0), _labelled(_graph(), 20, 20 - right))
    if right:
        assert binom.sf(right - 1, 20, found.low) == pytest.approx(0.025)
    if right < 20:
        assert binom.cdf(right, 20, found.high) == pytest.approx(0.025)
    assert found.low <= right / 20 <= found.high


def test_an_interval_that_holds_the_training_accuracy_begins_at_zero() -> None:
    assert GeneralizationGap(0.9, 0.88, 100, 100, 0.8, 0.93, 0.95).interval == (0.0, pytest.approx(0.1))
    assert GeneralizationGap(0.5, 0.88, 100, 100, 0.8, 0.93, 0.95).interval == pytest.approx((0.3, 0.43))


def test_the_objective_of_definition_7_is_minus_the_held_out_accuracy() -> None:
    """-train + |train - held| = -held for train >= held: the test set chooses."""
    for train, held in itertools.product((0.7, 0.9, 1.0), (0.5, 0.65)):
        gap = GeneralizationGap(train, held, 10, 10, 0.0, 1.0, 0.95)
        assert sg.topology_selection({"a": gap}).objective["a"] == pytest.approx(-held)
    worse = GeneralizationGap(0.6, 0.8, 10, 10, 0.0, 1.0, 0.95)
    found = sg.topology_selection({"a": worse})
    assert not found.degenerate
    assert found.objective["a"] == pytest.approx(-0.6 + 0.2)


def test_the_smallest_is_chosen() -> None:
    gaps = {n: GeneralizationGap(1.0, a, 10, 10, 0.0, 1.0, 0.95) for n, a in (("a", 0.8), ("b", 0.9), ("c", 0.85))}
    found = sg.topology_selection(gaps)
    assert (found.best, list(found.objective), found.degenerate) == ("b", ["b", "c", "a"], True)
    assert found.to_dict()["best"] == "b"
    with pytest.raises(DataError, match="no networks"):
        sg.topology_selection({})


def test_refusals() -> None:
    graph = _graph()
    good = _labelled(graph, 10, 1)
    with pytest.raises(DataError, match="no labels"):
        sg.generalization_gap(graph, good[0], good)
    with pytest.raises(DataError, match="no classes"):
        sg.generalization_gap(graph, good, (good[0], good[1] + 4))
    with pytest.raises(ShapeError, match="shape"):
        sg.generalization_gap(graph, (torch.randn(4, 5), torch.zeros(4).long()), good)
    with pytest.raises(ShapeError, match="one score per class"):
        sg.generalization_gap(sg.trace(nn.Linear(3, 1).eval(), torch.zeros(1, 3)), good, good)
    with pytest.raises(ShapeError, match="level"):
        sg.generalization_gap(graph, good, good, level=1.5)
    assert "90.00 % beside 90.00 % held out" in repr(sg.generalization_gap(graph, good, good))


def test_scores_that_are_no_numbers_are_wrong() -> None:
    class Log(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.log()

    graph = sg.trace(Log().eval(), torch.ones(1, 2))
    x, y = torch.tensor([[-1.0, 1.0], [2.0, 1.0]]), torch.tensor([0, 0])
    assert sg.generalization_gap(graph, (x, y), (x, y)).held_out == 0.5
