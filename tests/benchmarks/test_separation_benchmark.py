"""The benchmark of separation: a short run of each part."""

from __future__ import annotations

import pytest
import torch

from benchmarks import separation

pytestmark = pytest.mark.slow


@pytest.mark.slow
def test_short_runs(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)  # the rest of the suite keeps its threads
    separation.main(["--quick"])
    assert "packed codes, counted" in capsys.readouterr().out
    separation.main(["--quick", "--sweep"])
    assert "trained: <SeparationSweep of 2 networks" in capsys.readouterr().out
