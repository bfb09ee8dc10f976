"""Chords end early where no gap can be told from rounding."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import splinegraph as sg
from splinegraph.analyses.convexity import refuting
from splinegraph.analyses.convexity.witness import Witness


@pytest.fixture
def graph() -> Any:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 8), nn.GELU(), nn.Linear(8, 4)).eval()
    return sg.trace(net, torch.zeros(1, 3))


def test_few_are_tried_where_rounding_hides_all(graph: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    def lost(self: Witness) -> tuple[float, float]:
        tried.append(1)
        return self.gap, 1e12 * abs(self.gap)

    monkeypatch.setattr(Witness, "rounded_gap", property(lost))
    found = sg.convexity(graph, methods=("chords",), chords=4000)
    assert {str(verdict.status) for verdict in found} == {"undecided"}
    assert len(tried) == 2 * refuting.TRIED  # each to hold, and to be compared
    assert all(any("rounding" in note for note in verdict.notes) for verdict in found)


def test_all_are_tried_where_some_hold(graph: Any) -> None:
    found = sg.convexity(graph, methods=("chords",), chords=4000)
    assert {str(verdict.status) for verdict in found} == {"neither"}
