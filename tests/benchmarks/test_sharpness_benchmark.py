"""The benchmark of sharpness and smoothness: its statistics, and a short run."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import sharpness

pytestmark = pytest.mark.slow


def test_tau_of_orders_that_are_known() -> None:
    assert sharpness.tau([1, 2, 3, 4], [10, 20, 30, 40])["tau"] == 1
    assert sharpness.tau([1, 2, 3, 4], [4, 3, 2, 1])["tau"] == -1
    found = sharpness.tau([1, 2, 3, 4, 5, 6], [2, 1, 4, 3, 6, 5])
    assert found["tau"] == pytest.approx(9 / 15)  # 12 of 15 pairs agree
    assert found["low"] <= found["tau"] <= found["high"]


@pytest.mark.slow
def test_a_short_run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    sharpness.main(["--quick", "--out", str(tmp_path)])
    assert "over 4 networks" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())
