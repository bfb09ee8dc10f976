"""Progress without a terminal: nothing for short runs, then a line per stage."""

from __future__ import annotations

import threading

import pytest

from splinegraph.cli import progress


def test_short_runs_say_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.stages(shown=True) as told:
        told("tracing")
        told("units", 1, 2)
    assert capsys.readouterr() == ("", "")


def test_long_runs_say_each_stage_once(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "QUIET", 0.0)
    before = threading.active_count()
    with progress.stages(shown=True) as told:
        assert isinstance(told, progress.Lines)
        told._timer.join()  # it has fired, in which stage ever
        told("tracing")
        told._tell()  # the same line twice would say nothing
        for done in range(3):
            told("units", done, 3)
        told.say("codes", "codes, in words")
    assert capsys.readouterr().err.splitlines() == [f"splinegraph: {s} ..." for s in ("tracing", "units", "codes")]
    assert threading.active_count() == before


def test_quiet_runs_never_speak(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "QUIET", 0.0)
    with progress.stages(shown=False) as told:
        told("tracing")
    assert capsys.readouterr().err == ""
