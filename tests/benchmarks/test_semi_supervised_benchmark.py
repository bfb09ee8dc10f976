"""The benchmark of samples without labels: what is compared with what, and the short run of the one for a GPU."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from benchmarks import semi_supervised
from benchmarks.gpu import semi_supervised as gpu
from splinegraph.training.datasets import load_data
from splinegraph.training.engine.settings import Settings
from splinegraph.training.experiments.findings import SUPERVISED, Findings, Trial
from splinegraph.training.experiments.running import Arm
from splinegraph.training.objective import preset

pytestmark = pytest.mark.slow

ABSENT = {
    "without R": "reconstruction",
    "without E": "entropy",
    "without class balance": "balance",
}


@pytest.mark.parametrize(("way", "term"), ABSENT.items())
def test_an_ablation_takes_one_term_away_and_holds_the_others(way: str, term: str) -> None:
    full = preset("balanced", steps=100).at(100)
    less = preset("balanced", steps=100, **semi_supervised.TERMS[way]).at(100)
    assert term in full
    assert less == {name: weight for name, weight in full.items() if name != term}


def test_arms_differ_in_the_objective_alone() -> None:
    arms = semi_supervised.arms("small-cnn-mean", load_data("digits"), Settings(), semi_supervised.TERMS)
    assert [arm.way for arm in arms] == [*semi_supervised.TERMS, SUPERVISED]
    for arm in arms:
        differ = {text.partition(":")[0] for text in arm.settings.differences(Settings().to_dict())}
        assert differ <= {"preset" if arm.way == SUPERVISED else "objective"}


def test_the_ablation_is_paired(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the training replaced by accuracies that differ by a constant within each draw."""

    def planted(arms: list[Arm], data: Any, draws: int, **_: Any) -> Findings:
        worth = {"balanced": 0.3, "without R": 0.2, SUPERVISED: 0.0}
        trials = [
            Trial(a.key, d, 0.1 * d % 0.5 + worth.get(a.way, 0.25) + 1e-4 * (d % 2), True)
            for d in range(draws)
            for a in arms
        ]
        return Findings(tuple(trials), len(trials))

    monkeypatch.setattr(semi_supervised, "study", planted)
    options = argparse.Namespace(draws=6, steps=2, device=None)
    found = semi_supervised.ablation(options, Console(quiet=True))
    assert found["differences"]["without R"]["mean"] == pytest.approx(0.1)
    assert found["differences"]["without R"]["significant"]
    assert "balanced" not in found["differences"]
    assert found["arms"][0]["gain"]["mean"] == pytest.approx(0.3)
    json.dumps(found, allow_nan=False)


def test_mnist_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPLINEGRAPH_MNIST", raising=False)
    with pytest.raises(FileNotFoundError, match="SPLINEGRAPH_MNIST"):
        semi_supervised.mnist(argparse.Namespace(draws=1, steps=1, device=None), Console(quiet=True))


def test_without_cuda_nothing_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    gpu.main(["--out", str(tmp_path)])
    assert capsys.readouterr().out == "not measured: no CUDA device\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore:all 359 test samples are put into class")  # three steps tell nothing apart
@pytest.mark.slow
def test_the_gpu_benchmark_in_short(tmp_path: Path) -> None:
    gpu.main(["--out", str(tmp_path), "--device", "cpu", "--short", "strong", "table4"])
    found = json.loads((tmp_path / "semi_supervised_gpu.json").read_text())
    assert {found[part]["exit_code"] for part in ("strong", "table4")} == {0}
    assert [arm["way"] for arm in found["strong"]["arms"]] == ["strong", SUPERVISED]
    assert {arm["network"] for arm in found["table4"]["arms"]} == {"small-cnn-max", "resnet3-16-mean"}
    options = argparse.Namespace(out=tmp_path, device="cpu", short=True)
    assert gpu.call("strong", options)[:2] == ["train", "--resume"]


def test_the_gain_on_mnist_is_told_beside_the_best_of_the_labels_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def planted(arms: list[Arm], data: Any, draws: int, **_: Any) -> Findings:
        assert all(arm.settings.preset == SUPERVISED for arm in arms[1:])
        assert [arm.settings.learning_rate for arm in arms[1:]] == list(semi_supervised.RATES)
        rates = {0.005: 0.6, 0.002: 0.7, 0.001: 0.65, 0.0005: 0.5}
        trials = [
            Trial(a.key, d, (0.9 if a.way == "balanced" else rates[a.settings.learning_rate]) + 0.01 * d, True)
            for d in range(draws)
            for a in arms
        ]
        return Findings(tuple(trials), len(trials))

    monkeypatch.setattr(semi_supervised, "study", planted)
    monkeypatch.setattr(semi_supervised, "load_data", lambda path: load_data("digits"))
    monkeypatch.setenv(semi_supervised.MNIST, "mnist.npz")
    found = semi_supervised.mnist(argparse.Namespace(draws=3, steps=2, device=None), Console(quiet=True))
    assert found["best of the labels alone"] == "supervised, rate 0.002"
    assert found["gain on it"]["mean"] == pytest.approx(0.2)
