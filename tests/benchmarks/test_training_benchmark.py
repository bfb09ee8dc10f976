"""The benchmarks of a training step run, and their ways agree, which they check themselves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks import training
from benchmarks.gpu import training as gpu_training

pytestmark = pytest.mark.slow


@pytest.mark.slow
def test_the_short_run_on_cpu_writes_its_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "figures.json"
    gpu_training.main(["--device", "cpu", "--short", "--json", str(out)])
    rows = json.loads(out.read_text())["rows"]
    assert [row["bf16"] for row in rows] == [False, True]
    assert all(seconds > 0 for row in rows for seconds in row["seconds"].values())
    training.main(["--networks", "small-cnn-max", "--batch", "4", "--repeat", "1"])
    assert "small-cnn-max" in capsys.readouterr().out


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_gpu_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    gpu_training.main([])
    assert "not measured: no CUDA device" in capsys.readouterr().out
