"""Finding the model in a user's file, and saying clearly why there is none."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from torch import nn

from splinegraph.errors import TargetError
from splinegraph.tracers.loading import load_model

NET = """
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)
    def forward(self, x):
        return self.layer(x)
"""


@pytest.fixture
def write(tmp_path: Path):
    def write(text: str, name: str = "file.py") -> str:
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return write


def message(target: str, command: str = "") -> str:
    with pytest.raises(TargetError) as caught:
        load_model(target, command=command)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_model_is_taken_before_net(write) -> None:
    loaded = load_model(write(NET + "model = Net().eval()\nnet = nn.ReLU()\ninput_shape = (3,)\n"))
    assert loaded.attribute == "model"
    assert loaded.input_shape == (3,)
    assert not loaded.was_training
    assert loaded.path.name == "file.py"


def test_net_is_taken_where_model_is_no_model(write) -> None:
    loaded = load_model(write(NET + "model = 'resnet'\nnet = Net()\n"))
    assert loaded.attribute == "net"
    assert loaded.input_shape is None


@pytest.mark.parametrize(
    ("attribute", "kind"),
    [("Net", "Net"), ("make", "Net"), ("lazily", "Net"), ("backbone", "Net"), ("backbone.layer", "Linear")],
)
def test_a_named_attribute_is_a_module_or_makes_one(write, attribute: str, kind: str) -> None:
    text = NET + "def make():\n    return Net()\nlazily = lambda: Net()\nbackbone = Net()\n"
    assert type(load_model(f"{write(text)}:{attribute}").model).__name__ == kind


def test_training_mode_is_seen_in_any_part(write) -> None:
    assert load_model(write("from torch import nn\nmodel = nn.ReLU()")).was_training
    text = "from torch import nn\nmodel = nn.Sequential(nn.ReLU(), nn.Dropout()).eval()\nmodel[1].train()"
    assert load_model(write(text)).was_training


@pytest.mark.parametrize(("given", "shape"), [("8", (8,)), ("[1, 8, 8]", (1, 8, 8)), ("(4,)", (4,))])
def test_input_shape(write, given: str, shape: tuple[int, ...]) -> None:
    assert load_model(write(NET + f"model = Net()\ninput_shape = {given}")).input_shape == shape


@pytest.mark.parametrize("given", ["(0, 3)", "'28'", "(1.5,)", "(True,)"])
def test_bad_input_shape(write, given: str) -> None:
    assert "`input_shape`" in message(write(NET + f"model = Net()\ninput_shape = {given}"))


def test_neighbors_are_importable_during_the_import_only(write, tmp_path: Path) -> None:
    write("WIDTH = 5\n", "neighbor_of_target.py")
    before = list(sys.path)
    target = write("from torch import nn\nfrom neighbor_of_target import WIDTH\nmodel = nn.Linear(WIDTH, 1)")
    assert load_model(target).model.in_features == 5
    assert sys.path == before


def test_two_files_of_one_name_do_not_mix(write, tmp_path: Path) -> None:
    first = load_model(write("from torch import nn\nmodel = nn.Linear(1, 1)"))
    second = load_model(write("from torch import nn\nmodel = nn.Linear(2, 1)"))
    assert (first.model.in_features, second.model.in_features) == (1, 2)


def test_the_main_guard_does_not_run(write) -> None:
    assert isinstance(load_model(write(NET + "model = Net()\nif __name__ == '__main__':\n    1 / 0")).model, nn.Module)


# what can be wrong


def test_a_missing_file_suggests_a_near_name(write, tmp_path: Path) -> None:
    write(NET, "network.py")
    assert "did you mean" in message(str(tmp_path / "netwrok.py"))
    assert "network.py" in message(str(tmp_path / "Network.PY"))
    assert "there is no file" in message(str(tmp_path / "nowhere" / "a.py"))


def test_a_folder_and_another_kind_of_file(write, tmp_path: Path) -> None:
    assert "is a folder" in message(str(tmp_path))
    assert "is no Python file" in message(write("", "weights.pt"))


def test_a_file_that_does_not_parse_names_the_line(write) -> None:
    text = message(write("x = 1\ndef f(:\n"))
    assert "does not parse at file.py:2: invalid syntax" in text


@pytest.mark.parametrize("content", [b"x = '\0'", b"x = '\xff'"])
def test_a_file_that_is_no_text(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "binary.py"
    path.write_bytes(content)
    assert "does not parse" in message(str(path))


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("{}['k']", "KeyError: 'k'"),
        ("import no_such_package", "ModuleNotFoundError: No module named 'no_such_package'"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("raise ValueError('one\\ntwo')", "ValueError: one"),
    ],
)
def test_a_file_that_fails_names_the_line_and_the_cause(write, statement: str, reason: str) -> None:
    before = set(sys.modules)
    text = message(write(f"def f():\n    {statement}\nf()\n"))
    assert "at file.py:2" in text
    assert reason in text
    assert not {name for name in set(sys.modules) - before if name.startswith("splinegraph_target")}


def test_a_file_without_a_model_lists_what_it_has(write) -> None:
    target = write(NET + "backbone = Net()\n")
    text = message(target, "splinegraph analyze")
    assert "Net (class)" in text
    assert "backbone (module)" in text
    assert text.endswith(f"splinegraph analyze {target}:backbone")
    assert "makes no torch.nn.Module" in message(write("a = 1"))


def test_imported_classes_are_no_candidates(write) -> None:
    assert "Linear" not in message(write("from torch.nn import Linear"))


def test_a_wrong_attribute_suggests_the_nearest(write) -> None:
    target = write(NET + "backbone = Net()\n")
    assert message(f"{target}:Backbon", "splinegraph analyze").endswith(f": splinegraph analyze {target}:backbone")
    assert "has no attribute 'qqqq'" in message(f"{target}:qqqq")
    assert "has no attribute 'head'" in message(f"{target}:backbone.head")


def test_an_attribute_that_is_no_module(write) -> None:
    target = write("weights = {}\nnumber = 3\ndef make(n):\n    return n\ndef fails():\n    1 / 0\n")
    assert "dictionary of weights has no architecture" in message(f"{target}:weights")
    assert "is a int" in message(f"{target}:number")
    assert "missing 1 required positional argument" in message(f"{target}:make")
    assert "at file.py:6: ZeroDivisionError" in message(f"{target}:fails")
