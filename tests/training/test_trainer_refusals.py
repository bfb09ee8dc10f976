"""What the trainer refuses, each in one clear line, and what it does when things go wrong in the middle."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from splinegraph.core import files
from splinegraph.errors import DataError, ShapeError, SplineGraphError
from splinegraph.training.engine.compiling import compiling
from splinegraph.training.engine.measuring import predictions
from splinegraph.training.engine.settings import Settings, settings_from
from splinegraph.training.engine.trainer import Trainer
from splinegraph.training.network import SplineNetwork
from splinegraph.training.objective import Objective, SemiSupervisedLoss
from splinegraph.training.objective.schedules import Linear
from tests.training.engine_runs import conv_net, settings, small_net, stripes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": 0}, r"labels=0 at the training settings; give at least 1"),
        ({"epochs": 1.5}, "epochs=1.5"),
        ({"learning_rate": float("nan")}, "learning_rate=nan"),
        ({"clip": 0.0}, "clip=0.0"),
        ({"clip": "1"}, "clip='1'"),
        ({"average": "0.9"}, "average='0.9'"),
        ({"tune": float("inf"), "validation": 5}, "tune=inf"),
        ({"average": 1.0}, r"average=1.0 .* \[0, 1\)"),
        ({"precision": "float16"}, "'float32', 'bfloat16'"),
        ({"labels": 5, "validation": 5}, "count towards the labels"),
        ({"select": "validation"}, "without validation labels"),
        ({"tune": 0.1}, "tune=0.1 without validation labels"),
        ({"steps": 0}, "steps=0"),
    ],
)
def test_settings(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SplineGraphError, match=message):
        Settings(**changes)


def test_settings_come_back() -> None:
    chosen = Settings(objective={"alpha": 0.5, "gamma": {"input": 1.0}}, labels=7)
    assert settings_from(json.loads(json.dumps(chosen.to_dict()))) == chosen
    ramped = Settings(objective={"beta": Linear(0.0, 0.5, steps=10)})
    again = settings_from(json.loads(json.dumps(ramped.to_dict())))
    assert Objective(**again.objective) == Objective(**ramped.objective)
    assert Settings(objective={"beta": abs}).to_dict()["objective"] == {"beta": "builtins.abs"}
    with pytest.raises(SplineGraphError, match="unknown training settings: lables"):
        settings_from({"lables": 5})


def test_a_device_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(SplineGraphError, match=r"no device 'cuda': torch .* sees 0 CUDA devices; use device='cpu'"):
        Trainer(small_net(), stripes(), settings(device="cuda"))
    with pytest.raises(SplineGraphError, match="no device 'gpu'"):
        Trainer(small_net(), stripes(), settings(device="gpu"))


def test_too_many_labels_and_frozen_models() -> None:
    with pytest.raises(DataError, match="61 labels are asked for"):
        Trainer(small_net(), stripes(), settings(labels=61))
    with pytest.raises(SplineGraphError, match="no parameters to train"):
        Trainer(small_net().requires_grad_(False), stripes(), settings())
    with pytest.raises(ShapeError, match=r"of shape \(2, 4\): stripes has 3 classes; give a model with 3 outputs"):
        Trainer(nn.Sequential(nn.Flatten(), nn.Linear(36, 4)), stripes(), settings())
    with pytest.raises(SplineGraphError, match=r"Linear.*\(2, 36\)|36.*64") as found:
        Trainer(nn.Sequential(nn.Flatten(), nn.Linear(64, 3)), stripes(), settings())
    assert "\n" not in str(found.value)
    with pytest.raises(SplineGraphError, match="alpha=2"):
        Trainer(small_net(), stripes(), settings(objective={"alpha": 2}))


def test_nan_names_the_step_and_the_term(tmp_path: Path) -> None:
    chosen = settings(learning_rate=1e30, clip=None, schedule="constant", checkpoint_every=1)
    trainer = Trainer(small_net(), stripes(), chosen, tmp_path)
    with pytest.raises(SplineGraphError, match=r"the loss is nan at step 1: .*(cross_entropy|reconstruction) is nan"):
        trainer.fit()
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 1


class Pole(nn.Module):
    """A finite value with an infinite slope at zero; times a factor of zero, with one that is no number."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor
        self.linear, self.last = nn.Linear(36, 3), nn.ParameterList([torch.zeros(1)])

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x.flatten(1)) + self.factor * self.last[0].sqrt()


@pytest.mark.parametrize("clip", [1.0, None])
@pytest.mark.parametrize("factor", [1.0, 0.0])
def test_a_gradient_that_is_no_number_names_the_parameter(factor: float, clip: float | None) -> None:
    trainer = Trainer(Pole(factor), stripes(), settings(preset="supervised", clip=clip))
    before = trainer.run.model.get_parameter("linear.weight").detach().clone()
    with pytest.raises(SplineGraphError, match=r"of 'last.0' is NaN or infinite at step 0: the loss is finite"):
        trainer.fit()
    assert torch.equal(trainer.run.model.get_parameter("linear.weight"), before)


@pytest.mark.parametrize(
    ("fits", "message"),
    [
        (
            9,
            "with 6 labelled and 10 unlabelled rows at step 0 on cpu: CUDA out of memory; "
            "3 labelled and 5 unlabelled rows fit: set ",
        ),
        (2, "1 labelled and 1 unlabelled rows fit: set labelled_batch=1, unlabelled_batch=1"),
        (0, "not even one row fits"),
    ],
)
def test_out_of_memory_says_what_fits(monkeypatch: pytest.MonkeyPatch, fits: int, message: str) -> None:
    whole = SemiSupervisedLoss.forward

    def limited(loss: SemiSupervisedLoss, x: Tensor, y: Tensor, others: Tensor | None = None, **more: Any) -> Any:
        if len(x) + (0 if others is None else len(others)) > fits:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return whole(loss, x, y, others, **more)

    monkeypatch.setattr(SemiSupervisedLoss, "forward", limited)
    with pytest.raises(SplineGraphError, match=message):
        Trainer(small_net(), stripes(), settings()).fit()


def test_measuring_takes_fewer_rows_where_memory_is_short() -> None:
    network = SplineNetwork(small_net(), torch.zeros(1, 1, 6, 6))
    whole, seen, x = network.logits, [], torch.randn(37, 1, 6, 6)
    expected = predictions(network, x)

    def limited(part: Tensor) -> Tensor:
        seen.append(len(part))
        if len(part) > 8:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return whole(part)

    network.logits = limited  # type: ignore[method-assign]
    assert torch.equal(predictions(network, x), expected)
    assert max(seen[-6:]) <= 8


def test_other_errors_are_not_taken_for_a_lack_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("a bug")

    monkeypatch.setattr(SemiSupervisedLoss, "forward", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        Trainer(small_net(), stripes(), settings()).fit()


class Idle(nn.Sequential):
    """A classifier with a parameter that nothing uses."""

    def __init__(self) -> None:
        super().__init__(small_net())
        self.idle = nn.Parameter(torch.zeros(2))


class Wrapped(nn.Module):
    """What averages gradients over processes, without any."""

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, *rows: Any, **more: Any) -> Any:
        return self.loss(*rows, **more)


def test_processes_do_not_wait_for_the_gradient_of_what_nothing_uses() -> None:
    run = Trainer(Idle(), stripes(), settings()).run
    run.advance()  # alone it does no harm
    labelled, unlabelled = run.batches.next()
    with pytest.raises(SplineGraphError, match=r"the parameter 'idle' has no part in the loss at step 1: .* one proc"):
        run.attempt(Wrapped(run.loss), labelled, unlabelled)


def test_a_compiler_that_fails_says_so_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch._dynamo.exc import TorchDynamoException
    from torch._functorch import config

    def broken(*_: Any, **__: Any) -> Any:
        assert config.donated_buffer
        with compiling(active=True, retained=True):
            assert not config.donated_buffer  # learned weights need gradients twice
        raise TorchDynamoException("InvalidCxxCompiler: none\n\nand many more lines")

    monkeypatch.setattr(SplineNetwork, "compile", lambda network: None)
    monkeypatch.setattr(SemiSupervisedLoss, "forward", broken)
    with pytest.raises(
        SplineGraphError, match=r"^torch.compile fails: InvalidCxxCompiler: none; train without compile"
    ):
        Trainer(small_net(), stripes(), settings(compile=True)).fit()


def test_checkpoints_of_other_runs_are_refused(tmp_path: Path) -> None:
    Trainer(small_net(), stripes(), settings(steps=1), tmp_path).fit()

    def resume(model: nn.Module, seed: int = 0, **changes: Any) -> None:
        Trainer(model, stripes(seed=seed), settings(**{"steps": 1, **changes}), tmp_path, resume=True).fit()

    with pytest.raises(SplineGraphError, match=r"another model: '.*\(8, 36\).*' there and '.*\(4, 1, .*' here; resume"):
        resume(conv_net())
    with pytest.raises(SplineGraphError, match=r"another run: labels: 9 then, 12 now; .*resume with the same settings"):
        resume(small_net(), labels=12, learning_rate=0.5)
    with pytest.raises(SplineGraphError, match="another data set: stripes seed 0 there and stripes seed 1 here"):
        resume(small_net(), seed=1)
    with pytest.raises(DataError, match="no checkpoint"):
        Trainer(small_net(), stripes(), settings(), tmp_path / "empty", resume=True).fit()
    with pytest.raises(SplineGraphError, match="resume without a folder"):
        Trainer(small_net(), stripes(), settings(), resume=True)


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="is a file"):
        Trainer(small_net(), stripes(), settings(), tmp_path / "file" / "out")


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = settings(checkpoint_every=1)

    def fill(step: int) -> None:
        def full(_: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        if step == 2:
            monkeypatch.setattr(files.os, "fsync", full)

    with pytest.raises(DataError, match=r"cannot write .*checkpoint.pt: No space left on device; free some space"):
        Trainer(small_net(), stripes(), chosen, tmp_path, callbacks=[fill]).fit()
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoint.pt", "metrics.jsonl"]
