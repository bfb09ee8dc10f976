"""Checkpoints, metrics and random states: whole or not at all, and exactly what they were."""

from __future__ import annotations

import errno
import io
import json
import os
import pickle
import random
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from splinegraph.core import files
from splinegraph.errors import DataError
from splinegraph.training.engine.averaging import MovingAverage
from splinegraph.training.engine.checkpoints import architecture, load_checkpoint, save_checkpoint
from splinegraph.training.engine.metrics import Metrics, read_metrics
from splinegraph.training.engine.randomness import random_state, restore_random_state, seed_all


def test_all_generators_come_back_through_a_file(tmp_path: Path) -> None:
    seed_all(3)
    random.gauss(0, 1)  # both numpy and Python keep a second normal number
    np.random.standard_normal()
    path = save_checkpoint({"random": random_state()}, tmp_path / "a.pt")

    def draws() -> list[Any]:
        mine = [random.random(), random.gauss(0, 1), float(np.random.standard_normal()), int(np.random.randint(1000))]
        return [*mine, *torch.rand(3).tolist(), *torch.randperm(5).tolist()]

    first = draws()
    assert draws() != first
    restore_random_state(load_checkpoint(path)["random"])
    assert draws() == first


def test_an_architecture_is_of_modules_and_tensors_not_of_values() -> None:
    class Odd(nn.Module):
        def extra_repr(self) -> str:
            return repr(object())

    model = nn.Sequential(nn.Linear(2, 3), Odd())
    before = architecture(model)
    nn.init.zeros_(model[0].weight)
    model[1] = Odd()
    assert architecture(model) == before
    pools = [nn.Sequential(nn.Linear(2, 3), pool) for pool in (nn.AvgPool1d(2), nn.MaxPool1d(2), nn.MaxPool1d(3))]
    others = [nn.Linear(3, 2), nn.Linear(2, 3).double(), nn.Linear(2, 3, bias=False), *pools]
    assert len({before, *map(architecture, others)}) == 7


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_checkpoint({"step": 1}, tmp_path / "a.pt")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(DataError, match="free some space"):
        save_checkpoint({"step": 2}, path)
    assert load_checkpoint(path)["step"] == 1
    assert os.listdir(tmp_path) == ["a.pt"]


class Evil:
    """Runs something when it is unpickled."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, ("rm -f evil pickle",)


def test_what_is_no_checkpoint_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    whole = save_checkpoint({"model": {"w": torch.zeros(100)}}, tmp_path / "a.pt").read_bytes()
    wrong = io.BytesIO()
    torch.save({"format": "another"}, wrong)
    evil = io.BytesIO()
    torch.save({"format": Evil()}, evil)
    contents = {
        "cut": whole[: len(whole) // 2], "empty": b"", "text": b"hello", "pickle": pickle.dumps(Evil()),
        "wrong": wrong.getvalue(), "evil": evil.getvalue(),
    }  # fmt: skip
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=f"cannot read the checkpoint {name}|{name} is no checkpoint of this"):
            load_checkpoint(name)
    assert {p.name for p in tmp_path.iterdir()} == {*contents, "a.pt"}  # nothing was run
    with pytest.raises(DataError, match=r"no checkpoint none\.pt; start the run without resume"):
        load_checkpoint("none.pt")
    with pytest.raises(DataError, match="cannot read"):
        load_checkpoint(tmp_path)


def test_metrics_are_lines_of_json(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path / "m.jsonl", tensorboard=False)
    for step in (1, 2, 3):
        metrics.write({"step": step, "losses": {"total": float("nan")}, "accuracy": step / 4, "validation": None})
    metrics.close()
    lines = (tmp_path / "m.jsonl").read_text().splitlines()
    assert json.loads(lines[0]) == {"step": 1, "losses": {"total": None}, "accuracy": 0.25, "validation": None}
    with (tmp_path / "m.jsonl").open("a") as file:
        file.write('{"step": 4, "acc')  # the power went off
    Metrics(tmp_path / "m.jsonl", keep=2, tensorboard=False).write({"step": 3})
    assert [row["step"] for row in read_metrics(tmp_path / "m.jsonl")] == [1, 2, 3]
    Metrics(tmp_path / "m.jsonl", tensorboard=False)
    assert read_metrics(tmp_path / "m.jsonl") == []


def test_a_full_disk_leaves_no_part_of_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.jsonl"
    metrics = Metrics(path, tensorboard=False)
    metrics.write({"step": 1})

    class Full:
        """A file that takes four bytes."""

        def __init__(self) -> None:
            self.file = open(path, "ab", buffering=0)
            self.calls = 0

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *_: object) -> None:
            self.file.close()

        def __getattr__(self, name: str) -> Any:
            return getattr(self.file, name)

        def write(self, content: bytes) -> int:
            self.calls += 1
            if self.calls == 2:
                raise OSError(errno.ENOSPC, "No space left on device")
            return self.file.write(content[:4])

    monkeypatch.setattr(Path, "open", lambda *_, **__: Full())
    with pytest.raises(DataError, match="No space left on device; free some space"):
        metrics.write({"step": 2})
    monkeypatch.undo()
    assert path.read_text() == '{"step": 1}\n'


def test_tensorboard_where_it_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    class SummaryWriter:
        def __init__(self, folder: str, purge_step: int | None) -> None:
            seen.append((Path(folder).name, purge_step))

        def add_scalar(self, *row: Any) -> None:
            seen.append(row)

        def close(self) -> None:
            seen.append("closed")

    module = types.ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = SummaryWriter  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    metrics = Metrics(tmp_path / "m.jsonl", keep=4)
    metrics.write({"step": 5, "losses": {"total": 2.0}, "accuracy": 0.5, "validation": None})
    metrics.close()
    assert seen == [("tensorboard", 5), ("losses/total", 2.0, 5), ("accuracy", 0.5, 5), "closed"]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    Metrics(tmp_path / "m.jsonl").close()  # not installed: nothing happens


def test_an_average_keeps_its_promises() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    average = MovingAverage(model, 0.9)
    start = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.no_grad():
        for value in model.state_dict().values():
            value.add_(1)
    average.update()  # decay 1 / 10
    for name, value in average.shadow.items():
        expected = start[name] + (0.9 if value.is_floating_point() else 1)
        torch.testing.assert_close(value, expected)
    with average.applied():
        torch.testing.assert_close(model[0].weight.data, start["0.weight"] + 0.9)
    torch.testing.assert_close(model[0].weight.data, start["0.weight"] + 1)
    other = MovingAverage(model, 0.9)
    other.load_state_dict(average.state_dict())
    assert other.updates == 1
    assert all(torch.equal(value, other.shadow[name]) for name, value in average.shadow.items())
