"""`RegionTracker` and what it counts, against a new trace of the same weights, and by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.errors import DataError, ShapeError
from splinegraph.training.engine import tracker as tracker_module
from splinegraph.training.engine.slices import SlicePicture, slice_picture
from splinegraph.training.engine.tracker import RegionTracker


def net() -> nn.Sequential:
    return nn.Sequential(nn.Linear(2, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3), nn.ReLU(), nn.Linear(3, 2))


def one_step(model: nn.Module, x: Tensor) -> None:
    optimizer = torch.optim.Adam(model.parameters(), 0.1)
    nn.functional.cross_entropy(model(x), (x[:, 0] > 0).long()).backward()
    optimizer.step()


def test_the_first_trace_follows_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    traces: list[nn.Module] = []

    def counted(model: nn.Module, example: Tensor) -> sg.SplineGraph:
        traces.append(model)
        return sg.trace(model, example)

    monkeypatch.setattr(tracker_module, "trace", counted)
    model, probe = net(), torch.randn(20, 2)
    tracker = RegionTracker(model, probe, budget=0.0)
    before = None
    for step in range(3):
        snapshot = tracker(step)
        assert snapshot is not None
        fresh = sg.trace(model.eval(), probe[:1])
        model.train()
        now = sg.codes(fresh, probe)
        assert tracker.plane is not None
        assert snapshot.cells == sg.enumerate_regions(fresh, tracker.plane, verify=False).count
        assert snapshot.facts.patterns == now.count
        bound = sg.lipschitz(fresh, budget=0.0)
        assert snapshot.facts.lipschitz_upper == pytest.approx(bound.upper, rel=1e-9)
        if before is None:
            assert snapshot.churn is None
        else:
            off = np.diag(now.hamming(before))  # sample by sample
            assert snapshot.churn == pytest.approx(off.mean() / now.units)
            assert snapshot.moved == pytest.approx((off > 0).mean())
        before = now
        for _ in range(5):
            one_step(model, probe)
    assert len(traces) == 1
    assert model.training
    assert json.loads(json.dumps(tracker.to_dict()))["history"][2]["step"] == 2


def test_tensors_that_are_replaced_are_traced_anew() -> None:
    model, probe = net(), torch.randn(6, 2)
    tracker = RegionTracker(model, probe, budget=None)
    model[1].running_mean = torch.full((6,), 100.0)  # as a move to another device does
    tracker(0)
    assert sg.codes(tracker.graph, probe).unpack("relu").sum() == 0


def test_churn_and_dead_units_by_hand() -> None:
    layer = nn.Linear(1, 4)
    model = nn.Sequential(layer, nn.ReLU())
    with torch.no_grad():
        layer.weight.fill_(1.0)
        layer.bias.copy_(torch.tensor([0.0, 5.0, -5.0, 0.0]))
    tracker = RegionTracker(model, torch.tensor([[-1.0], [1.0]]), budget=None)
    first = tracker(0)
    with torch.no_grad():
        layer.bias[0] = -5.0  # was on at x = 1
    second = tracker(1)
    assert first is not None
    assert second is not None
    assert (first.facts.dead, first.facts.always_on, first.churn) == (1, 1, None)
    assert (second.facts.dead, second.facts.always_on, second.churn, second.moved) == (2, 1, 1 / 8, 1 / 2)
    assert (first.cells, first.facts.lipschitz_upper) == (None, None)  # one entry: no plane; no budget: no bracket


def test_modes_come_back_and_every_counts_calls() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Dropout(0.5), nn.Linear(3, 2)).train()
    model[2].eval()
    tracker = RegionTracker(model, torch.randn(5, 2), every=3, budget=None)
    assert [m.training for m in model] == [True, True, False, True]
    taken = [tracker() for _ in range(7)]
    assert [s.step for s in taken if s is not None] == [0, 3, 6]


def test_a_wide_network_is_counted_along_the_diagonal(monkeypatch: pytest.MonkeyPatch) -> None:
    model, probe = net(), torch.randn(5, 2)
    whole = RegionTracker(model, probe, budget=None, limit=2).snapshot(0)
    assert (whole.cells_of, whole.cells_kind) == ("slice", "lower")
    monkeypatch.setattr(tracker_module, "WIDE", 1)
    tracker = RegionTracker(model, probe, budget=None)
    snapshot = tracker.snapshot(0)
    assert tracker.plane is not None
    chart = tracker.plane.chart
    ends = [chart.lift(side[None])[0] for side in (chart.lower, chart.upper)]
    assert snapshot.cells == int(sg.chords(tracker.graph, *ends).counts[0])
    assert (snapshot.cells_of, snapshot.cells_kind) == ("diagonal", "exact")
    tracker.limit = 1
    assert tracker.snapshot(1).cells_kind == "lower"


def test_smooth_networks_have_no_cells() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2))
    snapshot = RegionTracker(model, torch.randn(5, 2), budget=0.0).snapshot(0)
    assert (snapshot.cells, snapshot.cells_kind, snapshot.churn) == (None, "", None)
    assert snapshot.facts.lipschitz_upper is not None


def test_a_picture_by_hand() -> None:
    graph = sg.trace(nn.Sequential(nn.ReLU()).eval(), torch.zeros(1, 2))
    plane = sg.Plane(torch.zeros(2), torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]), extent=(-1.0, 1.0))
    picture = slice_picture(graph, plane, resolution=4, step=0)
    assert picture.classes[-1].tolist() == [1, 1, 1, 0]  # above all: x_1 > x_0 but in the corner, where they tie
    assert (picture.switches > 0).tolist() == [[False, True, False, False], [True, True, True, True]] + [
        [False, True, False, False]
    ] * 2
    colors = picture.colors(2)
    assert colors.shape == (4, 4, 3)
    assert colors.min() >= 0
    assert colors.max() <= 1


def test_animations(tmp_path: Path) -> None:
    model, probe = net(), torch.randn(20, 2)
    tracker = RegionTracker(model, probe, budget=None, pictures=True, resolution=16)
    for step in range(3):
        tracker(step)
        one_step(model, probe)
    path = tracker.animate(tmp_path / "slice.gif")
    with Image.open(path) as image:
        assert (image.format, image.n_frames) == ("GIF", 3)
    folder = tracker.animate(tmp_path / "frames")
    assert sorted(p.name for p in folder.iterdir()) == [f"frame_{i:04d}.png" for i in range(3)]
    assert len(tracker.plot().axes) == 4
    with pytest.raises(DataError, match="gif"):
        tracker.animate(tmp_path / "slice.mp4")
    with pytest.raises(DataError, match="no pictures"):
        RegionTracker(model, probe).animate(tmp_path / "none.gif")


def test_bad_probes() -> None:
    with pytest.raises(ShapeError, match="at least one sample"):
        RegionTracker(net(), torch.zeros(0, 2))
    with pytest.raises(ShapeError, match="every=0"):
        RegionTracker(net(), torch.zeros(1, 2), every=0)


def test_one_output_is_two_classes() -> None:
    graph = sg.trace(nn.Sequential(nn.Linear(2, 1)).eval(), torch.zeros(1, 2))
    plane = sg.Plane(torch.zeros(2), torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]))
    picture = slice_picture(graph, plane, resolution=8, step=0)
    assert isinstance(picture, SlicePicture)
    assert set(np.unique(picture.classes).tolist()) <= {0, 1}
    assert not picture.switches.any()
