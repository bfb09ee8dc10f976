"""A stream that stops in the middle, however it does, ends with the cells of one that does not."""

from __future__ import annotations

import functools
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import splinegraph as sg
from splinegraph.analyses.regions.cells import Cells, code_layers
from splinegraph.analyses.regions.scale import streaming
from splinegraph.analyses.regions.scale.distribute import Harvest, Tick
from splinegraph.analyses.regions.scale.session import Sharing, begun_with, search_shared
from splinegraph.analyses.regions.scale.store import Folder
from splinegraph.analyses.regions.scale.streaming import stream_shared
from splinegraph.analyses.regions.stream.stream import stream
from splinegraph.core.domains.chart import Chart, chart_of
from splinegraph.core.graph import SplineGraph
from splinegraph.errors import DataError
from tests.analyses.regions.nets import mlp

BOX = sg.Box(torch.full((2,), -2.0), torch.full((2,), 2.0))
FLAW = "cells may be missing"


@functools.cache
def graph() -> SplineGraph:
    return sg.trace(mlp(2, 24, 24, 3, seed=0), torch.zeros(1, 2, dtype=torch.float64))


@functools.cache
def chart() -> Chart:
    return chart_of(graph(), BOX)


@functools.cache
def whole() -> Cells:
    return stream(graph(), chart()).cells


@pytest.fixture(autouse=True)
def _at_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("EVERY", "POLL"):
        monkeypatch.setattr(streaming, name, 0.0)
    monkeypatch.setattr(streaming, "SHARE", 1e9)
    monkeypatch.setattr("splinegraph.analyses.regions.stream.stream.MOST_FACES", 4)


def run(sharing: Sharing, flaws: Callable[[Any], list[str]] = lambda found: [], **how: Any) -> Harvest:
    return stream_shared(graph(), chart(), code_layers(graph()), sharing, flaws=flaws, **how)[1]


def after(cells: int, do: Callable[[], None]) -> Callable[[Tick], None]:
    def tell(tick: Tick) -> None:
        if tick.cells > cells:
            do()

    return tell


def interrupt() -> None:
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:  # a second one would be an interrupt
        signal.raise_signal(signal.SIGINT)


def die() -> None:
    raise RuntimeError("out of luck")


def same(harvest: Harvest) -> bool:
    cells = harvest.cells
    return cells is not None and all(
        np.array_equal(getattr(cells, name), getattr(whole(), name)) for name in ("packed", "points", "radii")
    )


def test_an_interrupt_keeps_what_was_found(tmp_path: Path) -> None:
    first = run(Sharing(folder=tmp_path, progress=after(100, interrupt)))
    assert first.interrupted
    assert 100 < first.count < len(whole())
    assert not first.complete
    assert begun_with(Sharing(folder=tmp_path)) == "stream"
    rest = run(Sharing(folder=tmp_path, resume=True))
    assert (rest.complete, rest.interrupted, rest.notes) == (True, False, ())
    assert same(rest)


def test_a_stream_that_dies_loses_nothing_that_was_stored(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        run(Sharing(folder=tmp_path, progress=after(100, die)))
    sharing = Sharing(folder=tmp_path, resume=True)
    assert same(run(sharing))
    assert isinstance(sharing.store, Folder)
    assert sum(task.count for task in sharing.store.began) > 50


def test_a_limit_counts_earlier_sessions(tmp_path: Path) -> None:
    asked = {50: False, 60: True, 120: True, None: True}
    counts = [run(Sharing(folder=tmp_path, resume=resume), limit=limit).count for limit, resume in asked.items()]
    assert counts == [50, 60, 120, len(whole())]


def test_what_may_be_missing_once_may_be_missing_ever_after(tmp_path: Path) -> None:
    first = run(Sharing(folder=tmp_path, progress=after(100, interrupt)), lambda found: [FLAW])
    assert first.notes == (FLAW,)
    rest = run(Sharing(folder=tmp_path, resume=True))
    assert same(rest)
    assert (rest.left, rest.complete, rest.notes) == ((), False, (FLAW,))


def test_a_stream_does_not_go_on_from_a_search(tmp_path: Path) -> None:
    search_shared(graph(), chart(), code_layers(graph()), Sharing(folder=tmp_path), limit=9)
    assert begun_with(Sharing(folder=tmp_path)) == "search"
    with pytest.raises(DataError, match="regions of another method"):
        run(Sharing(folder=tmp_path, resume=True))


def test_an_interrupt_in_python_gives_a_partition_to_go_on_from(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = streaming._Watch.__call__

    def interrupted(self: streaming._Watch, count: int, so_far: Any) -> bool:
        if count > 100:
            interrupt()
        return watch(self, count, so_far)

    with monkeypatch.context() as patch:
        patch.setattr(streaming._Watch, "__call__", interrupted)
        part = sg.enumerate_regions(graph(), BOX, method="stream")
    assert not part.complete
    assert any("interrupted" in note for note in part.notes)
    rest = sg.enumerate_regions(graph(), BOX, resume=part)
    assert rest.complete
    assert np.array_equal(rest.packed, whole().packed)
