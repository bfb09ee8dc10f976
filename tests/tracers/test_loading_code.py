"""Executing a user's code: when it runs and how often, what it sees of the process, and what stays afterwards."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from splinegraph.data.reading import read_data
from splinegraph.errors import DataError, TargetError
from splinegraph.tracers.loading import load, load_object
from splinegraph.tracers.tracing import trace

NET = """
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)
    def forward(self, x):
        return self.layer(x)
"""


@pytest.fixture(autouse=True)
def _own_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))


@pytest.fixture
def write(tmp_path: Path):
    def write(text: str, name: str = "file.py") -> str:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return str(path)

    return write


def message(target: str, command: str = "", **options) -> str:
    with pytest.raises(TargetError) as caught:
        load(target, command=command, **options)
    text = str(caught.value)
    assert text.isprintable()
    assert len(text) < 1000
    return text


def test_classes_and_functions_make_an_object(write) -> None:
    text = "class D(list): pass\ndef make():\n    return [3]\ndef wide(n):\n    return n\ndef bad():\n    1 / 0\n"
    target = write(text + "class Callable:\n    def __call__(self):\n        1 / 0\nheld = Callable()\n")
    assert load_object(f"{target}:D") == []
    assert load_object(f"{target}:make") == [3]
    assert type(load_object(f"{target}:held")).__name__ == "Callable"  # an object is taken as it is
    with pytest.raises(TargetError, match=r"wide in .* needs n: .*`data = wide\(n=\.\.\.\)`"):
        load_object(f"{target}:wide")
    with pytest.raises(TargetError, match=r"bad\(\) in .* fails at file.py:7: ZeroDivisionError"):
        load_object(f"{target}:bad")


def test_neighbors_are_importable_while_the_model_is_made_and_when_it_runs(write, tmp_path: Path) -> None:
    write("WIDTH = 5\n", "neighbor_of_target.py")
    write("def act(x):\n    return x.relu()\n", "late_neighbor.py")
    before = list(sys.path)
    text = (
        "from torch import nn\ndef model():\n    from neighbor_of_target import WIDTH\n    return nn.Linear(WIDTH, 1)"
    )
    assert load(write(text)).model.in_features == 5
    assert sys.path == [*before, str(tmp_path)]  # behind all others, and once
    late = load(write(NET.replace("return self.layer(x)", "from late_neighbor import act; return act(self.layer(x))")))
    assert sys.path == [*before, str(tmp_path)]
    x = torch.randn(4, 3)
    spline = trace(late.model.eval(), (x,))
    torch.testing.assert_close(spline(x), late.model.layer(x).relu())


def test_a_file_sees_its_own_name_as_arguments(write, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        "import argparse, sys\nfrom torch import nn\nseen = list(sys.argv)\n"
        "def model():\n    argparse.ArgumentParser().parse_args()\n    return nn.ReLU()\n"
    )
    target, before = write(text), ["splinegraph", "analyze", "--data", "d.npz"]
    monkeypatch.setattr(sys, "argv", before)
    assert isinstance(load(target).model, nn.ReLU)
    assert load_object(f"{target}:seen") == [target]
    assert sys.argv is before
    message(write("1 / 0"))
    assert sys.argv is before


def test_a_file_named_as_model_and_as_data_runs_once_and_a_changed_one_again(write, tmp_path: Path) -> None:
    text = f"with open({str(tmp_path / 'ran')!r}, 'a') as file:\n    file.write('x')\n"
    text += "from torch import nn\nmodel = nn.Linear(1, 1)\nd = [1]\n"
    target = write(text)
    first = load(target).model
    assert load_object(f"{target}:d") == [1]
    assert load_object(f"{tmp_path}/../{tmp_path.name}/file.py:model") is first
    assert (tmp_path / "ran").read_text() == "x"
    assert load(target).model is not first  # weights put into one leave the other alone
    write(text.replace("[1]", "[2]"))
    assert load_object(f"{target}:d") == [2]
    assert (tmp_path / "ran").read_text() == "xxx"


def test_names_of_internal_modules_are_not_shown(write) -> None:
    with pytest.raises(TargetError, match=r"<class 'file\.Net'>"):
        load(write(NET + "raise ValueError(Net)"))
    text = "from torch.utils.data import Dataset\nclass D(Dataset):\n    def __len__(self):\n        return 1\n"
    text += "    def __getitem__(self, i):\n        return self\n"
    data = load_object(write(text) + ":D")
    with pytest.raises(DataError, match="cannot read ") as caught:
        read_data(data)
    assert "splinegraph_target" not in str(caught.value)
    assert "file.D" in str(caught.value)


def test_two_files_of_one_name_do_not_mix(write) -> None:
    first = load(write("from torch import nn\nmodel = nn.Linear(1, 1)"))
    second = load(write("from torch import nn\nmodel = nn.Linear(2, 1)"))
    assert (first.model.in_features, second.model.in_features) == (1, 2)


def test_the_main_guard_does_not_run(write) -> None:
    assert isinstance(load(write(NET + "model = Net()\nif __name__ == '__main__':\n    1 / 0")).model, nn.Module)


def test_an_interrupt_passes_and_leaves_nothing(write) -> None:
    before, path = set(sys.modules), list(sys.path)
    with pytest.raises(KeyboardInterrupt):
        load(write("raise KeyboardInterrupt"))
    assert not {name for name in set(sys.modules) - before if name.startswith("splinegraph_target")}
    assert sys.path == path


@pytest.mark.parametrize("typed", ["netz.onxx", "netz.p", "netz.P", "netz.onxx:Net"])
def test_a_wrong_suffix_executes_nothing(write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str) -> None:
    mark = tmp_path / "ran"
    write(f"open({str(mark)!r}, 'a').close()\n" + NET, "netz.py")
    write("", "netz.onnx")
    monkeypatch.chdir(tmp_path)
    text = message(typed)
    assert not mark.exists()
    assert "netz" not in sys.modules
    assert f"there is no file {typed.partition(':')[0]}; did you mean netz." in text
    try:
        assert type(load("netz").model).__name__ == "Net"  # as a module it runs
    finally:
        sys.modules.pop("netz", None)
    assert mark.exists()


def test_a_missing_part_of_a_package_executes_nothing(write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(f"open({str(tmp_path / 'ran')!r}, 'a').close()\n", "pack_quiet/__init__.py")
    write(NET, "pack_quiet/zoo.py")
    monkeypatch.chdir(tmp_path)
    assert message("pack_quiet.zop", "run").endswith("did you mean: run pack_quiet.zoo")
    assert "no module 'pack_quiet.zoo.net' in pack_quiet.zoo" in message("pack_quiet.zoo.net")
    assert not (tmp_path / "ran").exists()
    assert "holds no model" in message("os.path")  # a module that no search finds


def test_a_suffix_in_capitals(write) -> None:
    assert type(load(write(NET, "file.PY")).model).__name__ == "Net"


def test_a_name_that_begins_like_an_option_is_retyped_as_a_path(write, tmp_path, monkeypatch) -> None:
    write(NET + "a = Net()\nb = Net()", "-m.py")
    monkeypatch.chdir(tmp_path)
    assert message("-m.py", "splinegraph analyze").endswith("name one: splinegraph analyze ./-m.py:a")
    assert load("./-m.py:a").attribute == "a"
    with pytest.raises(TargetError, match=r"did you mean: run net.py --data \./-m.py:a$"):
        load_object("-m.py:A", command="run net.py --data")
    (tmp_path / "-p.pt2").write_bytes(b"")
    assert message("-p.pt2", "run").endswith("run ./-p.pt2 --trust")
