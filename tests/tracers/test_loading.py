"""Finding the model that a target names, and saying clearly why there is none."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from splinegraph.errors import TargetError
from splinegraph.tracers.loading import example_inputs, load, load_object
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
WIDE = """
class Wide(nn.Module):
    def __init__(self, width, depth=1):
        super().__init__()
    def forward(self, x):
        return x
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


# which object it is


def test_model_is_taken_before_net(write) -> None:
    loaded = load(write(NET + "model = Net().eval()\nnet = nn.ReLU()\ninput_shape = (3,)\n"))
    assert (loaded.kind, loaded.attribute, loaded.notes) == ("python", "model", ())
    assert loaded.input_shapes == ((3,),)
    assert not loaded.was_training
    assert loaded.path is not None
    assert loaded.path.name == "file.py"


@pytest.mark.parametrize(
    ("text", "attribute"),
    [
        ("model = 'resnet'\nnet = Net()", "net"),
        ("def model(x):\n    return x\nnet = Net()", "net"),  # a function that needs an argument makes no model
        ("def build_model():\n    return Net()\nother = Net()\nanother = Net()", "build_model"),
        ("def get_model():\n    return Net()\ndef build_model():\n    1 / 0", "get_model"),
        ("def get_model(width):\n    return Net()\nbackbone = Net()", "backbone"),
        ("backbone = Net()\nalias = backbone\nloss = nn.MSELoss()" + WIDE, "backbone"),
        (WIDE, "Net"),
        ("from torch.nn import Identity, ReLU", "Net"),  # imported classes are no candidates
    ],
)
def test_without_a_name_the_usual_ones_are_tried_and_then_the_only_one(write, text: str, attribute: str) -> None:
    loaded = load(write(NET + text))
    assert loaded.attribute == attribute
    assert type(loaded.model).__name__ == "Net"
    assert bool(loaded.notes) == (attribute in ("backbone", "Net"))  # a guess is said


@pytest.mark.parametrize(
    ("attribute", "kind"),
    [
        ("Net", "Net"), ("make", "Net"), ("lazily", "Net"), ("backbone", "Net"), ("backbone.layer", "Linear"),
        ("stack.1", "ReLU"), ("Net.of", "Net"),
    ],
)  # fmt: skip
def test_a_named_attribute_is_a_module_or_makes_one(write, attribute: str, kind: str) -> None:
    text = NET + (
        "    @classmethod\n    def of(cls):\n        return cls()\n"
        "def make():\n    return Net()\nlazily = lambda: Net()\nbackbone = Net()\n"
        "stack = nn.Sequential(Net(), nn.ReLU())\n"
    )
    assert type(load(f"{write(text)}:{attribute}").model).__name__ == kind


def test_an_exported_program_in_python_code(write) -> None:
    text = NET + "import torch\nmodel = torch.export.export(Net().eval(), (torch.zeros(2, 3),))\n"
    loaded = load(write(text))
    assert isinstance(loaded.model, torch.export.ExportedProgram)
    assert loaded.input_shapes == ((3,),)


def test_training_mode_is_seen_in_any_part(write) -> None:
    assert load(write("from torch import nn\nmodel = nn.ReLU()")).was_training
    text = "from torch import nn\nmodel = nn.Sequential(nn.ReLU(), nn.Dropout()).eval()\nmodel[1].train()"
    assert load(write(text)).was_training


def test_objects_of_other_kinds(write) -> None:
    assert load_object(write("samples = [1, 2]\n") + ":samples") == [1, 2]
    with pytest.raises(TargetError, match=r"did you mean: run net.py --data .*file.py:samples"):
        load_object(write("samples = [1, 2]\n") + ":sample", command="run net.py --data")


# packages


def test_a_package_of_the_current_folder(write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write("", "pack_of_nets/__init__.py")
    write("from pack_of_nets.parts import Net\nbackbone = Net()\n", "pack_of_nets/zoo.py")
    write(NET, "pack_of_nets/parts.py")
    write("import no_such_package\n", "pack_of_nets/broken.py")
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    try:
        loaded = load("pack_of_nets.zoo:backbone")
        assert (loaded.kind, loaded.path, type(loaded.model).__name__) == ("package", None, "Net")
        assert type(load("pack_of_nets.zoo").model).__name__ == "Net"
        assert message("pack_of_nets.zop:backbone", "run").endswith("did you mean: run pack_of_nets.zoo:backbone")
        assert message("pack_of_netz.zoo:backbone", "run").endswith("did you mean: run pack_of_nets.zoo:backbone")
        assert "No module named 'no_such_package'" in message("pack_of_nets.broken:backbone")
        assert "relative import" in message(write("from .parts import Net\n", "pack_of_nets/rel.py"))
        assert "name it as pack_of_nets.rel:" in message(str(tmp_path / "pack_of_nets" / "rel.py"))
    finally:
        for name in [n for n in sys.modules if n.startswith("pack_of_nets")]:
            del sys.modules[name]
    assert sys.path == [*before, str(tmp_path)]
    assert type(load("torch.nn:Identity").model) is nn.Identity
    text = message("torch.nn:Linear")
    assert "needs in_features, out_features" in text
    assert "`from torch.nn import Linear` and `model = Linear(in_features=..., out_features=...)`" in text


def test_a_package_that_imports_its_names_late(write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(NET + "def __getattr__(name):\n    if name == 'Late':\n        return Net\n"
          "    if name == 'Broken':\n        import no_such_package\n    raise AttributeError(name)\n",
          "late_names.py")  # fmt: skip
    monkeypatch.chdir(tmp_path)
    try:
        assert type(load("late_names:Late").model).__name__ == "Net"
        assert "No module named 'no_such_package'" in message("late_names:Broken")
        assert "has no attribute 'Later'" in message("late_names:Later")
    finally:
        sys.modules.pop("late_names", None)


# other files


def test_one_network_in_three_files(write, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    torch.manual_seed(3)
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).eval()
    torch.save(net.state_dict(), tmp_path / "net.pt")
    code = "from torch import nn\nnet = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).eval()"
    batch = {0: torch.export.Dim("batch", min=1)}
    torch.export.save(torch.export.export(net, (torch.zeros(2, 3),), dynamic_shapes=(batch,)), tmp_path / "net.pt2")
    make, kind = onnx.helper, onnx.TensorProto.FLOAT
    graph = make.make_graph(
        [
            make.make_node("Gemm", ["x", "0.weight", "0.bias"], ["a"], transB=1),
            make.make_node("Relu", ["a"], ["b"]),
            make.make_node("Gemm", ["b", "2.weight", "2.bias"], ["y"], transB=1),
        ],
        "net",
        [make.make_tensor_value_info("x", kind, ["batch", 3])],
        [make.make_tensor_value_info("y", kind, ["batch", 2])],
        [onnx.numpy_helper.from_array(v.numpy(), k) for k, v in net.state_dict().items()],
    )
    onnx.save(make.make_model(graph, opset_imports=[make.make_opsetid("", 18)], ir_version=9), tmp_path / "net.onnx")

    x = torch.randn(5, 3)
    for loaded in (
        load(write(code, "net.py"), weights=tmp_path / "net.pt"),
        load(str(tmp_path / "net.onnx")),
        load(str(tmp_path / "net.pt2"), trust=True),
    ):
        assert not loaded.was_training
        args, _ = example_inputs(loaded)
        spline = trace(loaded.model, args)
        torch.testing.assert_close(spline(x), net(x))
        assert [n.operator.label for n in spline.operators] == ["Linear", "ReLU", "Linear"], loaded.kind


# executing


@pytest.mark.parametrize(
    ("statement", "cause"),
    [
        ("{}['k']", "KeyError: 'k'"),
        ("import no_such_package", "ModuleNotFoundError: No module named 'no_such_package'"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("raise ValueError('one\\ntwo')", "ValueError: one"),
        ("raise ValueError('\\x1b[31mred')", r"ValueError: \x1b[31mred"),
    ],
)
def test_a_file_that_fails_names_the_line_and_the_cause(write, statement: str, cause: str) -> None:
    before = set(sys.modules)
    text = message(write(f"def f():\n    {statement}\nf()\n"))
    assert "at file.py:2" in text
    assert cause in text
    assert not {name for name in set(sys.modules) - before if name.startswith("splinegraph_target")}


def test_a_file_that_does_not_parse_names_the_line(write) -> None:
    assert "does not parse at file.py:2: invalid syntax" in message(write("x = 1\ndef f(:\n"))


@pytest.mark.parametrize("content", [b"x = '\0'", b"x = '\xff'"])
def test_a_file_that_is_no_text(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "binary.py"
    path.write_bytes(content)
    assert "does not parse" in message(str(path))


# what can be wrong with a path


def test_a_missing_file_suggests_a_near_name(write, tmp_path: Path) -> None:
    write(NET, "network.py")
    assert message(str(tmp_path / "netwrok.py")).endswith(f"did you mean {tmp_path / 'network.py'}?")
    assert "network.py" in message(str(tmp_path / "Network.PY"))
    assert "there is no file" in message(str(tmp_path / "nowhere" / "a.py"))
    assert "the target is empty" in message("")


def test_names_that_a_terminal_or_a_file_system_minds(tmp_path: Path) -> None:
    assert r"\x1b[31m" in message(f"{tmp_path}/a\x1b[31m\r\nb.py")
    assert "[bold]" in message(f"{tmp_path}/[bold].py")
    assert r"\udc80" in message(f"{tmp_path}/\udc80.py")
    assert "(4003 characters)" in message("a" * 4000 + ".py")
    assert "there is no file" in message("a\0b.py")


def test_a_folder_lists_its_models(write, tmp_path: Path) -> None:
    assert "no file in it ends in .py, .onnx, .pt2" in message(str(tmp_path))
    write("", "other.onnx")
    write("", "model.py")
    write("", "readme.md")
    text = message(str(tmp_path), "splinegraph analyze")
    assert "it has model.py, other.onnx; " in text
    assert text.endswith(f"splinegraph analyze {tmp_path / 'model.py'}")


def test_other_kinds_of_file(write) -> None:
    assert "is no file that holds a model" in message(write("", "net.h5"))
    assert "it is no Python file" in message(write("", "net.onnx") + ":model")


def test_a_colon_in_the_name_of_a_file(write) -> None:
    assert load(write(NET, "a:b.py")).attribute == "Net"
    assert all(note.isprintable() for note in load(write(NET, "a\x1b[1m.py")).notes)


# what can be wrong inside


def test_several_candidates_are_listed_with_the_command_to_type(write) -> None:
    target = write(NET + "backbone = Net()\nhead = Net()\n" + WIDE)
    text = message(target, "splinegraph analyze", weights="w.pt")
    assert "it has backbone (module), head (module), Net (class), Wide (class, needs width)" in text
    assert text.endswith(f"splinegraph analyze {target}:backbone --weights w.pt")


def test_no_candidate(write) -> None:
    assert "makes no torch.nn.Module" in message(write("a = 1"))
    assert "'model' is a str" in message(write("model = 'resnet'"))
    assert "'build_model' needs width" in message(write("def build_model(width):\n    return width"))
    text = message(write("from torch import nn" + WIDE))
    assert "Wide (class, needs width)" in text
    assert "`model = Wide(width=...)`" in text


def test_a_wrong_attribute_suggests_the_nearest(write) -> None:
    target = write(NET + "backbone = Net()\n")
    assert message(f"{target}:Backbon", "splinegraph analyze").endswith(f": splinegraph analyze {target}:backbone")
    assert "has no attribute 'qqqq'" in message(f"{target}:qqqq")
    assert message(f"{target}:backbone.leyer", "run").endswith(f"did you mean: run {target}:backbone.layer")
    assert "it has layer" in message(f"{target}:backbone.7")


@pytest.mark.parametrize(
    ("attribute", "text"),
    [
        ("weights", "dictionary of weights has no architecture"),
        ("number", "is an int"),
        ("make", "make in .* needs n: .*`model = make\\(n=...\\)`"),
        ("fails", r"at file.py:\d+: ZeroDivisionError"),
        ("several", r"is a list with 2 entries: .*`model = several\[0\]`"),
        ("named", r"is a dict with 1 entries: .*`model = named\['a'\]`"),
        ("pair", r"`model = pair\(\)\[1\]`"),
        ("held", "is a ModuleList without `forward`: .*such as held.0"),
        ("script", "compiled by torch.jit"),
    ],
)
def test_an_attribute_that_is_no_model(write, attribute: str, text: str) -> None:
    target = write(
        NET + "weights = {}\nnumber = 3\ndef make(n):\n    return n\ndef fails():\n    1 / 0\n"
        "several = [Net(), Net()]\nnamed = {'a': Net()}\ndef pair():\n    return 1, Net()\n"
        "held = nn.ModuleList([Net()])\n"
        "import torch, warnings\nwarnings.simplefilter('ignore')\nscript = torch.jit.trace(Net(), torch.zeros(1, 3))\n"
    )
    with pytest.raises(TargetError, match=text):
        load(f"{target}:{attribute}")
