"""Studies: pairs over draws, resumption, what is refused."""

from __future__ import annotations

import dataclasses
import json
import shutil
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import nn

from splinegraph.errors import DataError, SplineGraphError
from splinegraph.training.datasets import TrainingData
from splinegraph.training.engine.settings import Settings
from splinegraph.training.engine.trainer import Trainer
from splinegraph.training.experiments import running
from splinegraph.training.experiments.findings import SUPERVISED, Failure, Findings, Key, Trial
from splinegraph.training.experiments.running import Arm, Watch, study
from splinegraph.training.experiments.watching import watching

SETTINGS = Settings(labels=6, steps=3, labelled_batch=4, unlabelled_batch=8, draw=10, seed=20, probe=0, figures=False)


class Recorded:
    """Makes networks, and keeps what their first weights were."""

    def __init__(self) -> None:
        self.weights: list[torch.Tensor] = []

    def __call__(self) -> nn.Module:
        net = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 3))
        self.weights.append(net[0].weight.detach().clone())
        return net


@pytest.fixture
def data() -> TrainingData:
    """Three clouds in three dimensions."""
    x = torch.randn(90, 3) + 2 * torch.eye(3).repeat(30, 1)
    y = torch.arange(90) % 3
    return TrainingData(x[:60], y[:60], x[60:], y[60:], 3, "clouds", "0")


def arms(make: Recorded) -> list[Arm]:
    supervised = dataclasses.replace(SETTINGS, preset=SUPERVISED)
    return [Arm("net", "balanced", SETTINGS, make), Arm("net", SUPERVISED, supervised, make)]


def test_arms_of_a_draw_begin_alike_and_draws_do_not(data: TrainingData) -> None:
    make = Recorded()
    found = study(arms(make), data, 2)
    assert found.complete
    assert [(t.key.way, t.draw) for t in found.trials] == [
        ("balanced", 0), (SUPERVISED, 0), ("balanced", 1), (SUPERVISED, 1),
    ]  # fmt: skip
    first, second, third, fourth = make.weights
    assert torch.equal(first, second)
    assert torch.equal(third, fourth)
    assert not torch.equal(first, third)
    assert [t.report["settings"]["draw"] for t in found.trials] == [10, 10, 11, 11]
    assert [t.report["settings"]["seed"] for t in found.trials] == [20, 20, 21, 21]
    assert [t.report["settings"]["preset"] for t in found.trials] == ["balanced", SUPERVISED] * 2


def test_a_study_is_the_same_every_time(data: TrainingData) -> None:
    first, second = (study(arms(Recorded()), data, 1) for _ in range(2))
    for a, b in zip(first.trials, second.trials, strict=True):
        assert a.report["curve"] == b.report["curve"]


def test_what_is_over_is_not_done_again(data: TrainingData, tmp_path: Path) -> None:
    make = Recorded()
    before = study(arms(make), data, 1, out=tmp_path)
    assert (tmp_path / "net/6-labels/balanced/0/report.json").exists()
    after = study(arms(make), data, 2, out=tmp_path, resume=True)
    assert len(make.weights) == 4
    assert after.trials[:2] == before.trials
    assert after.to_dict()["arms"][0]["accuracy"]["draws"] == 2


def test_another_trial_or_a_damaged_one_is_refused(data: TrainingData, tmp_path: Path) -> None:
    study(arms(Recorded()), data, 1, out=tmp_path)
    other = [dataclasses.replace(arm, settings=dataclasses.replace(arm.settings, steps=4)) for arm in arms(Recorded())]
    with pytest.raises(SplineGraphError, match="holds another trial: steps: 3 then, 4 now"):
        study(other, data, 1, out=tmp_path, resume=True)
    path = tmp_path / "net/6-labels/balanced/0/report.json"
    path.write_text(json.dumps({"accuracy": 1.0}))
    with pytest.raises(DataError, match=r"cannot read .*settings.*; remove .*balanced/0, and that trial is done again"):
        study(arms(Recorded()), data, 1, out=tmp_path, resume=True)


def test_an_interrupted_study_tells_what_is_done(data: TrainingData, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = running._train, []

    def second_is_cut(arm: Arm, draw: int, *more: Any, **others: Any) -> tuple[Trial, bool]:
        calls.append(draw)
        trial, interrupted = real(arm, draw, *more, **others)
        return dataclasses.replace(trial, complete=len(calls) < 2), interrupted

    monkeypatch.setattr(running, "_train", second_is_cut)
    found = study(arms(Recorded()), data, 3)
    assert (len(found.trials), len(found.done), found.planned, found.complete) == (2, 1, 6, False)
    assert found.keys == (Key("net", 6, "balanced"),)
    assert found.gain(found.keys[0]) is None


def test_an_interrupt_between_steps_loses_nothing(data: TrainingData) -> None:
    make = Recorded()

    class Interrupting(Recorded):
        def __call__(self) -> nn.Module:
            raise KeyboardInterrupt

    first, second = arms(make)
    found = study([first, dataclasses.replace(second, make=Interrupting())], data, 2)
    assert ([t.key.way for t in found.done], found.planned, found.complete) == (["balanced"], 4, False)


def test_an_interrupt_in_the_last_step_ends_the_study(data: TrainingData) -> None:
    def watch(trainer: Trainer) -> Sequence[Watch]:
        return [Interrupts(trainer.run.steps)]

    found = study([dataclasses.replace(arm, watch=watch) for arm in arms(Recorded())], data, 1)
    assert ([t.key.way for t in found.done], found.planned, found.complete) == (["balanced"], 2, False)


@dataclasses.dataclass
class Interrupts:
    """Presses Ctrl-C at a step."""

    step: int

    def __call__(self, step: int) -> None:
        if step == self.step:
            signal.raise_signal(signal.SIGINT)

    def to_dict(self) -> dict[str, Any]:
        return {}

    def close(self) -> None:
        pass


def test_names_of_arms_are_their_own(data: TrainingData) -> None:
    with pytest.raises(SplineGraphError, match="two arms are called net, 6 labels, balanced"):
        study([*arms(Recorded()), *arms(Recorded())], data, 1)


def test_gains_are_paired_by_draw() -> None:
    def trial(way: str, draw: int, accuracy: float, *, complete: bool = True) -> Trial:
        return Trial(Key("net", 50, way), draw, accuracy, complete)

    found = Findings(
        (
            trial("balanced", 0, 0.9), trial(SUPERVISED, 2, 0.0), trial(SUPERVISED, 1, 0.5), trial("balanced", 1, 0.8),
            trial("balanced", 2, 0.1), trial("other", 0, 0.85), trial(SUPERVISED, 0, 0.9, complete=False),
        ),
        9,
    )  # fmt: skip
    gain = found.gain(Key("net", 50, "balanced"))
    assert gain is not None
    assert gain.draws == 2  # the first draw has no baseline that is done
    assert gain.mean == pytest.approx(0.2)
    assert found.gain(Key("net", 50, SUPERVISED)) is None
    beside = found.gain(Key("net", 50, "balanced"), over="other")
    assert beside is not None
    assert beside.mean == pytest.approx(0.05)
    assert found.accuracy(Key("net", 50, "balanced")).mean == pytest.approx(0.6)
    assert not found.complete


def test_a_trial_that_fails_leaves_the_others(data: TrainingData, tmp_path: Path) -> None:
    make, heard = Recorded(), Heard()

    class Failing(Recorded):
        def __call__(self) -> nn.Module:
            super().__call__()
            raise RuntimeError("no\nluck") if len(self.weights) == 1 else MemoryError("none left")

    first, second = arms(make)
    broken = [first, dataclasses.replace(second, make=Failing())]
    found = study(broken, data, 2, out=tmp_path, listener=heard)
    assert ([t.draw for t in found.done], found.planned, found.complete) == ([0, 1], 4, False)
    assert [(f.draw, f.why) for f in found.failures] == [(0, "RuntimeError: no luck"), (1, "MemoryError: none left")]
    assert "Failing" not in found.failures[0].why
    assert "in __call__" in found.failures[0].traceback
    assert tuple(heard.failures) == found.failures
    assert found.to_dict()["failures"][0]["folder"] == str(tmp_path / "net/6-labels/supervised/0")
    again = study([first, second], data, 2, out=tmp_path, resume=True)
    assert (again.complete, again.failures, len(make.weights)) == (True, (), 4)  # what is done is not done again


class Heard:
    """Keeps the failures that it hears of."""

    def __init__(self) -> None:
        self.failures: list[Failure] = []

    def begun(self, key: Key, draw: int) -> Any:
        return lambda _: None

    def ended(self, trial: Trial) -> None:
        pass

    def failed(self, failure: Failure) -> None:
        self.failures.append(failure)


def test_an_error_of_the_first_trial_is_raised(data: TrainingData) -> None:
    first, second = arms(Recorded())
    wrong = dataclasses.replace(first, settings=dataclasses.replace(SETTINGS, objective={"alpha": 2.0}))
    with pytest.raises(SplineGraphError, match="alpha"):
        study([wrong, second], data, 1)


def test_processes_that_share_batches_stop_at_an_error(data: TrainingData, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = arms(Recorded())
    wrong = dataclasses.replace(second, settings=dataclasses.replace(SETTINGS, preset="balanced", learning_rate=1e30))
    wrong = dataclasses.replace(wrong, way="wrong")
    monkeypatch.setattr(running, "several", lambda: True)
    found = study([first, wrong], data, 2)
    assert (len(found.done), len(found.failures)) == (1, 1)


def test_a_damaged_checkpoint_costs_its_trial_alone(data: TrainingData, tmp_path: Path) -> None:
    study(arms(Recorded()), data, 1, out=tmp_path)
    folder = tmp_path / "net/6-labels/supervised/0"
    (folder / "report.json").unlink()
    whole = (folder / "checkpoint.pt").read_bytes()
    (folder / "checkpoint.pt").write_bytes(whole[: len(whole) // 2])
    found = study(arms(Recorded()), data, 2, out=tmp_path, resume=True)
    assert (len(found.done), len(found.failures), found.failures[0].traceback) == (3, 1, "")
    assert f"remove {folder}, and that run is done again" in found.failures[0].why
    shutil.rmtree(folder)
    assert study(arms(Recorded()), data, 2, out=tmp_path, resume=True).complete


@pytest.mark.slow
def test_regions_are_watched_through_an_interruption(
    data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("splinegraph.training.experiments.watching.BUDGET", 0.0)  # of no interest here
    settings = dataclasses.replace(SETTINGS, steps=4, checkpoint_every=2, figures=True)
    seen: list[int] = []

    def watched(stop: int) -> Callable[[Trainer], Sequence[Watch]]:
        def make(trainer: Trainer) -> Sequence[Watch]:
            (regions,) = watching(2)(trainer)

            class Stopping(type(regions)):  # type: ignore[misc]
                def __call__(self, step: int) -> None:
                    super().__call__(step)
                    seen.append(step)
                    if step == stop:
                        raise KeyboardInterrupt

            regions.__class__ = Stopping
            return [regions]

        return make

    arm = Arm("net", "balanced", settings, Recorded(), watched(3))
    assert not study([arm], data, 1, out=tmp_path).trials
    found = study([dataclasses.replace(arm, watch=watched(0))], data, 1, out=tmp_path, resume=True)
    (told,) = found.trials[0].report["callbacks"]
    assert ([row["step"] for row in told["history"]], seen) == ([0, 2, 4], [1, 2, 3, 3, 4])
    folder = tmp_path / "net/6-labels/balanced/0"
    assert {"regions.json", "regions.npz", "regions.png", "slice.gif"} <= {path.name for path in folder.iterdir()}
    with Image.open(folder / "slice.gif") as animation:
        assert animation.n_frames == 3
