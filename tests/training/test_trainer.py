"""The trainer: what a run gives, and that looking at it, or stopping it, changes nothing."""

from __future__ import annotations

import dataclasses
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from splinegraph.errors import DataError, SplineGraphError
from splinegraph.training.engine.measuring import accuracy_of, predictions
from splinegraph.training.engine.metrics import read_metrics
from splinegraph.training.engine.results import Progress, TrainingResult
from splinegraph.training.engine.settings import Settings
from splinegraph.training.engine.tracker import RegionTracker
from splinegraph.training.engine.trainer import Trainer
from splinegraph.training.network import SplineNetwork
from tests.training.engine_runs import conv_net, interrupt_at, settings, small_net, stripes


def fit(
    model: nn.Module, chosen: Settings, out: Path | None = None, **more: Any
) -> tuple[TrainingResult, dict[str, Tensor]]:
    result = Trainer(model, stripes(), chosen, out, **more).fit()
    return result, {name: value.clone() for name, value in model.state_dict().items()}


def fresh(make: Any = conv_net) -> nn.Module:
    torch.manual_seed(1)
    return make()


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, second[name]) for name, value in first.items())


def test_a_run_learns_and_its_folder_tells_all(tmp_path: Path) -> None:
    seen: list[Progress] = []
    chosen = settings(epochs=12, probe=20, facts_budget=0.0)
    data = stripes()
    model = fresh()
    tracker = RegionTracker(fresh(small_net), data.x_test[:5], every=100, budget=None)
    result = Trainer(model, data, chosen, tmp_path, progress=seen.append, callbacks=[tracker]).fit()
    assert result.complete
    assert result.accuracy > 0.9
    with torch.no_grad():
        predicted = model.eval()(data.x_test).argmax(1)
    assert result.accuracy == pytest.approx(float((predicted == data.y_test).double().mean()))
    assert int(result.confusion.diagonal().sum()) == int((predicted == data.y_test).sum())
    assert result.confusion.sum(1).tolist() == torch.bincount(data.y_test).tolist()
    assert result.reconstruction_error is not None
    assert result.before is not None
    assert result.after is not None
    assert result.before.units == result.after.units == 4 * 36 + 4 * 9
    # the report
    report = json.loads((tmp_path / "report.json").read_text())
    assert report == json.loads(json.dumps(result.to_dict()))
    assert (report["data"]["labelled"], report["data"]["unlabelled"]) == (9, 51)
    assert Settings(**report["settings"]) == chosen
    assert report["callbacks"][0]["history"][0]["step"] == 1
    # 51 unlabelled rows by 10: 6 steps an epoch
    assert (result.steps, len(seen), seen[-1].step, seen[-1].left) == (72, 72, 72, 0.0)
    assert set(seen[-1].losses) == {"total", "cross_entropy", "reconstruction", "entropy", "balance"}
    assert seen[5].accuracy == result.curve[0].accuracy
    assert [row["step"] for row in read_metrics(tmp_path / "metrics.jsonl")] == list(range(6, 73, 6))
    drawn = ["accuracy.png", "checkpoint.pt", "confusion.png", "losses.png", "metrics.jsonl", "reconstructions.png"]
    assert sorted(p.name for p in tmp_path.iterdir()) == [*drawn, "report.json"]
    assert "TrainingResult" in repr(result)
    assert len(result.plot().lines[0].get_xdata()) == 12


RICH = {"preset": "strong", "average": 0.9, "checkpoint_every": 5}


def test_an_interrupted_run_ends_as_an_uninterrupted_one(tmp_path: Path) -> None:
    whole, weights = fit(fresh(), settings(**RICH), tmp_path / "whole")
    part, _ = fit(fresh(), settings(**RICH), tmp_path / "part", progress=interrupt_at(8))
    assert (part.complete, part.step, whole.complete) == (False, 8, True)
    torch.manual_seed(77)  # the state of the generators, and the weights given, are those of the checkpoint
    np.random.seed(7)
    random.seed(7)
    rest, again = fit(conv_net(), settings(**RICH), tmp_path / "part", resume=True)
    assert rest.complete
    assert same(weights, again)
    assert rest.curve == whole.curve
    rows = [
        [{k: v for k, v in row.items() if k != "seconds"} for row in read_metrics(tmp_path / name / "metrics.jsonl")]
        for name in ("whole", "part")
    ]
    assert rows[0] == rows[1]


@pytest.mark.slow
def test_a_killed_run_goes_on_from_its_last_checkpoint(tmp_path: Path) -> None:
    def die(step: int) -> None:
        if step == 14:
            raise RuntimeError("killed")

    _, weights = fit(fresh(), settings(**RICH), tmp_path / "whole")
    with pytest.raises(RuntimeError, match="killed"):
        fit(fresh(), settings(**RICH), tmp_path / "part", callbacks=[die])
    assert [row["step"] for row in read_metrics(tmp_path / "part" / "metrics.jsonl")] == [6, 12]
    _, again = fit(fresh(), settings(**RICH), tmp_path / "part", resume=True)  # from step 10
    assert same(weights, again)
    assert [row["step"] for row in read_metrics(tmp_path / "part" / "metrics.jsonl")] == [6, 12, 18]
    result, last = fit(fresh(), settings(**RICH), tmp_path / "part", resume=True)  # nothing is left to do
    assert result.complete
    assert same(weights, last)


def test_looking_does_not_change_what_is_trained() -> None:
    def draws(step: int) -> None:
        torch.rand(1), np.random.rand(), random.random()

    _, weights = fit(fresh(), settings(preset="strong"))
    chosen = settings(preset="strong", evaluate_every=1, probe=5, facts_budget=0.0)
    _, looked_at = fit(fresh(), chosen, callbacks=[draws])
    assert same(weights, looked_at)


def test_the_baseline_has_the_same_budget_and_labels() -> None:
    data, chosen = stripes(), settings(preset="supervised")
    baseline = Trainer(fresh(small_net), data, chosen)
    result = baseline.fit()
    assert set(result.curve[-1].losses) == {"total", "cross_entropy"}
    # it is plain training, on the batches that the other has
    other = Trainer(fresh(small_net), data, settings())
    assert baseline.run.steps == other.run.steps
    model = fresh(small_net)
    optimizer = torch.optim.Adam(model.parameters())
    for step in range(other.run.steps):
        rows = other.run.batches.next()[0]
        optimizer.param_groups[0]["lr"] = chosen.rate(step, other.run.steps)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(data.x_train[rows]), data.y_train[rows]).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    for mine, theirs in zip(model.parameters(), baseline.run.model.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)


def test_all_rows_labelled_is_for_the_baseline_only() -> None:
    data = stripes(12)
    assert Trainer(fresh(small_net), data, settings(labels=12, preset="supervised", epochs=1)).fit().complete
    with pytest.raises(DataError, match="no unlabelled samples"):
        Trainer(fresh(small_net), data, settings(labels=12))


def test_weights_are_chosen_without_the_test_set() -> None:
    data = stripes()
    wrong = dataclasses.replace(data, y_test=(data.y_test + 1) % 3)
    for select, changes in (("validation", {"labels": 12, "validation": 6}), ("unlabelled", {})):
        chosen = settings(select=select, evaluate_every=2, learning_rate=0.1, **changes)
        results = [Trainer(fresh(small_net), d, chosen).fit() for d in (data, wrong)]
        assert results[0].chosen == results[1].chosen
        result = results[0]
        if select == "validation":
            best = max(point.validation for point in result.curve if point.validation is not None)
            assert result.validation == best
            assert result.data["labelled"] == result.data["validation"] == 6
        else:
            scores = {point.step: point.score for point in result.curve if point.score is not None}
            assert scores[result.chosen] == min(scores.values())


def test_the_average_is_what_is_measured() -> None:
    model = fresh(small_net)
    trainer = Trainer(model, stripes(), settings(average=0.9, steps=30, schedule="constant", learning_rate=0.5))
    expected = {n: v.clone() for n, v in model.state_dict().items()}
    raw: list[Tensor] = []

    def follow(step: int) -> None:
        decay = min(0.9, step / (9 + step))
        raw[:] = [p.detach().clone() for p in model.parameters()]
        for name, value in model.state_dict().items():
            expected[name] = decay * expected[name] + (1 - decay) * value

    trainer.callbacks = (follow,)
    result = trainer.fit()
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, expected[name])
    assert result.accuracy == result.curve[-1].accuracy
    nn.utils.vector_to_parameters(nn.utils.parameters_to_vector(raw), model.parameters())
    assert accuracy_of(predictions(trainer.run.loss.network, stripes().x_test), stripes().y_test) != result.accuracy


@pytest.mark.parametrize(
    "change",
    [
        {"precision": "bfloat16"},
        pytest.param({"compile": True}, marks=pytest.mark.slow),
        {"channels_last": False},
    ],
)
def test_other_ways_to_compute_the_same(change: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    torch._dynamo.reset()
    compile_ = SplineNetwork.compile
    monkeypatch.setattr(SplineNetwork, "compile", lambda network: compile_(network, backend="eager"))
    plain, _ = fit(fresh(without_dropout), settings(steps=4, evaluate_every=1))
    other, weights = fit(fresh(without_dropout), settings(steps=4, evaluate_every=1, **change))
    assert all(value.dtype != torch.bfloat16 for value in weights.values())
    tolerance = 0.03 if "precision" in change else 1e-4
    for mine, theirs in zip(plain.curve, other.curve, strict=True):
        for name, value in mine.losses.items():
            assert theirs.losses[name] == pytest.approx(value, rel=tolerance, abs=tolerance)


def without_dropout() -> nn.Module:
    """Return a network whose random numbers do not depend on the memory format."""
    model = conv_net()
    model[3] = nn.Identity()
    return model


def test_a_trainer_trains_once() -> None:
    trainer = Trainer(fresh(small_net), stripes(), settings(steps=1))
    trainer.fit()
    with pytest.raises(SplineGraphError, match="resume=True"):
        trainer.fit()


def test_weights_of_the_terms_follow_the_validation_labels(tmp_path: Path) -> None:
    chosen = settings(labels=12, validation=6, tune=0.5, checkpoint_every=4, steps=8)
    whole = Trainer(fresh(small_net), stripes(), chosen)
    first = whole.run.loss.objective.at(7)
    whole.fit()
    assert whole.run.tuner is not None
    weights = whole.run.tuner.weights
    assert weights != first
    assert sum(weights.values()) == pytest.approx(sum(first.values()))
    Trainer(fresh(small_net), stripes(), chosen, tmp_path, progress=interrupt_at(5)).fit()
    rest = Trainer(small_net(), stripes(), chosen, tmp_path, resume=True)
    rest.fit()
    assert rest.run.tuner is not None
    assert rest.run.tuner.weights == weights


class Branch(nn.Module):
    """What no tracer follows: control flow that depends on the data."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(36, 3), nn.Linear(36, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)
        return self.first(x) if float(x.sum()) > 0 else self.second(x)


def test_a_model_that_cannot_be_traced_trains_and_the_report_says_so(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="autograd"):
        result = Trainer(Branch(), stripes(), settings(probe=5, epochs=1), tmp_path).fit()
    assert result.complete
    assert result.after is not None
    assert result.after.units is None
    assert len(result.after.notes) == 1
    assert json.loads((tmp_path / "report.json").read_text())["after"]["lipschitz_upper"] is None
