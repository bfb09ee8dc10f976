"""The benchmarks of regions run, agree with each other, and say what they could not do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import regions, regions_growth, regions_peers
from benchmarks.gpu import regions as gpu
from benchmarks.regions_nets import CASES, PLANE, case
from benchmarks.regions_worker import measure

pytestmark = pytest.mark.slow


@pytest.mark.slow
def test_one_small_network_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(regions, "OURS", ("ours",))
    out = tmp_path / "figures.json"
    regions.main(["--nets", "2-16-16-1", "--peers", "parx", "SyReNN", "--repeat", "1", "--json", str(out)])
    said = capsys.readouterr().out
    assert "SyReNN: not installed" in said
    assert "127" in said
    found = json.loads(out.read_text())
    row = found["results"]["2-16-16-1"]["ours"]
    assert row["cells"] == row["expected"] == PLANE["2-16-16-1"] == 127
    assert row["rate"] == pytest.approx(127 / row["median"])
    assert 0 < row["median"] < 60
    assert row["peak_mib"] > row["grown_mib"] >= 0
    assert found["machine"]["torch"]
    assert set(found["peers"]) == {"parx", "SyReNN"}


def test_a_wrong_count_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    row = {"cells": 126, "expected": 127, "rate": 1.0, "peak_mib": 1.0, "grown_mib": 0.0}
    regions.show({"2-16-16-1": {"ours": row}}, ["ours"], regions.Console(width=100))
    assert "ours finds 126 cells, 127 are known" in capsys.readouterr().out


def test_programs_agree_and_refuse_what_they_cannot_do() -> None:
    small = case("2-8-8-1")
    counts = {name: measure(small, name, 1)["cells"] for name in regions_peers.OURS}
    assert len(set(counts.values())) == 1
    assert measure(case("3-4-4-1"), "ours, torch", 1) == {"note": "not supported"}


def test_every_network_can_be_built() -> None:
    for name in CASES:
        chosen = case(name)
        assert chosen.dim == (2 if name in PLANE or name.startswith(("plane", "digits")) else int(name[0]))


def test_growth_is_drawn(tmp_path: Path) -> None:
    rows = {4: {"cells": 10, "seconds": [0.1], "grown_mib": 9.0}, 8: {"cells": 40, "seconds": [0.2], "grown_mib": 20.0}}
    regions_growth.plot({"width of 2-w-1": rows}, tmp_path / "growth.png")
    assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")


def test_the_gpu_benchmark_says_when_there_is_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    gpu.main([])
    assert capsys.readouterr().out == "not measured: no CUDA device\n"


def test_the_gpu_benchmark_runs_on_the_cpu_too(capsys: pytest.CaptureFixture[str]) -> None:
    gpu.main(["--device", "cpu", "--nets", "2-16-16-1", "--points", "500", "--repeat", "1"])
    said = capsys.readouterr().out
    assert "127" in said
    assert "points per second" in said
