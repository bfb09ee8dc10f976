"""A file of weights fills a model from Python code, name by name, or says which name does not fit."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from splinegraph.errors import MissingDependencyError, TargetError
from splinegraph.tracers.loading import load

CODE = """
import torch
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.norm = nn.BatchNorm1d(4)
        self.last = nn.Linear(4, 2)
    def forward(self, x):
        return self.last(self.norm(self.first(x)).relu())
class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(5, 3)
        self.head = nn.Linear(3, 5, bias=False)
        self.head.weight = self.words.weight
    def forward(self, x):
        return self.head(self.words(x))
class Renamed(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(3, 2)
        self.register_load_state_dict_pre_hook(self._new_names)
    @staticmethod
    def _new_names(module, state, prefix, *rest):
        for name in [n for n in state if n.startswith("old.")]:
            state[name.replace("old.", "body.")] = state.pop(name)
    def forward(self, x):
        return self.body(x)
def lazy():
    return nn.Sequential(nn.LazyLinear(4), nn.ReLU())
shared = Net()
"""

State = dict[str, torch.Tensor]


@pytest.fixture
def net(tmp_path: Path) -> str:
    (tmp_path / "net.py").write_text(CODE)
    return str(tmp_path / "net.py")


def random_state(net: str, name: str = "Net") -> State:
    """Return weights that no constructor makes."""
    torch.manual_seed(7)
    model = load(f"{net}:{name}").model
    assert isinstance(model, nn.Module)
    return {k: torch.randn(v.shape).to(v.dtype) for k, v in model.state_dict().items()}


def same(model: object, state: State) -> None:
    assert isinstance(model, nn.Module)
    held = model.state_dict()
    assert held.keys() == state.keys()
    assert all(torch.equal(held[k], state[k].to(held[k])) for k in held)


def message(*args, **options) -> str:
    with pytest.raises(TargetError) as caught:
        load(*args, **options)
    assert str(caught.value).isprintable()
    return str(caught.value)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".ckpt", ".safetensors"])
def test_every_kind_of_file(net: str, tmp_path: Path, suffix: str) -> None:
    state, path = random_state(net), tmp_path / f"w{suffix}"
    if suffix == ".safetensors":
        pytest.importorskip("safetensors.torch").save_file(state, path)
    else:
        torch.save(state, path)
    loaded = load(f"{net}:Net", weights=path)
    same(loaded.model, state)
    assert loaded.notes == ()
    assert "holds weights alone" in message(str(path))


@pytest.mark.parametrize("name", ["state_dict", "model", "model_state_dict"])
def test_a_checkpoint_keeps_them_under_a_name(net: str, tmp_path: Path, name: str) -> None:
    state = random_state(net)
    torch.save({"epoch": 3, name: state, "optimizer": {"state": {}}}, tmp_path / "w.pt")
    loaded = load(f"{net}:Net", weights=tmp_path / "w.pt")
    same(loaded.model, state)
    assert any(repr(name) in note for note in loaded.notes)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "network."])
def test_a_wrapper_puts_a_prefix_before_every_name(net: str, tmp_path: Path, prefix: str) -> None:
    state = random_state(net)
    torch.save({prefix + k: v for k, v in state.items()}, tmp_path / "w.pt")
    loaded = load(f"{net}:Net", weights=tmp_path / "w.pt")
    same(loaded.model, state)
    assert len([note for note in loaded.notes if "prefix" in note]) == prefix.count(".")


def test_casts_are_said(net: str, tmp_path: Path) -> None:
    state = random_state(net)
    torch.save({k: v.half() if v.is_floating_point() else v for k, v in state.items()}, tmp_path / "w.pt")
    loaded = load(f"{net}:Net", weights=tmp_path / "w.pt")
    assert any("cast from float16 to float32" in note for note in loaded.notes)


def test_what_torch_itself_fills_in(net: str, tmp_path: Path) -> None:
    """Names of tied tensors may be left out, batch norm counts nothing, models rename, sizes come late."""
    state = random_state(net)
    del state["norm.num_batches_tracked"]
    torch.save(state, tmp_path / "w.pt")
    model = load(f"{net}:Net", weights=tmp_path / "w.pt").model
    assert isinstance(model, nn.Module)
    assert torch.equal(model.get_parameter("last.weight"), state["last.weight"])

    words = torch.randn(5, 3)
    torch.save({"words.weight": words}, tmp_path / "tied.pt")
    same(load(f"{net}:Tied", weights=tmp_path / "tied.pt").model, {"words.weight": words, "head.weight": words})

    old = {"old.weight": torch.randn(2, 3), "old.bias": torch.randn(2)}
    torch.save(old, tmp_path / "old.pt")
    same(
        load(f"{net}:Renamed", weights=tmp_path / "old.pt").model, {k.replace("old", "body"): v for k, v in old.items()}
    )

    late = {"0.weight": torch.randn(4, 6), "0.bias": torch.randn(4)}
    torch.save(late, tmp_path / "late.pt")
    same(load(f"{net}:lazy", weights=tmp_path / "late.pt").model, late)


def test_names_and_shapes_that_do_not_fit(net: str, tmp_path: Path) -> None:
    state = random_state(net)
    state["laast.weight"] = state.pop("last.weight")
    state["first.bias"] = torch.zeros(9)
    torch.save(state, tmp_path / "w.pt")
    text = message(f"{net}:Net", weights=tmp_path / "w.pt")
    assert "1 missing (last.weight (close: laast.weight))" in text
    assert "1 left over (laast.weight)" in text
    assert "1 of another shape (first.bias (9,) for (4,))" in text
    many = {f"layer{i}.weight": torch.zeros(1) for i in range(500)}
    torch.save(many, tmp_path / "many.pt")
    text = message(f"{net}:Net", weights=tmp_path / "many.pt")
    assert "500 left over" in text
    assert len(text) < 1000


def test_weights_that_do_not_fit_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "module_of_weights.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    try:
        model = load("module_of_weights:shared").model
        assert isinstance(model, nn.Module)
        before = {k: v.clone() for k, v in model.state_dict().items()}
        state = {k: v + 1 for k, v in before.items()}
        del state["last.bias"]
        torch.save(state, tmp_path / "w.pt")
        assert "1 missing (last.bias)" in message("module_of_weights:shared", weights=tmp_path / "w.pt")
        same(model, before)
    finally:
        sys.modules.pop("module_of_weights", None)


def test_files_that_hold_no_weights(net: str, tmp_path: Path) -> None:
    def text(held: object, name: str = "w.pt") -> str:
        torch.save(held, tmp_path / name)
        return message(f"{net}:Net", weights=tmp_path / name)

    assert "holds a Tensor, no weights" in text(torch.zeros(3))
    assert "it has 'epoch', 'losses'" in text({"epoch": 3, "losses": [1.0]})
    assert "it is empty" in text({})
    assert "holds a whole module: loading it would execute code" in text(nn.Linear(3, 2))
    assert "pathlib" in text({"w": torch.zeros(1), "path": tmp_path})


def test_files_that_cannot_be_read(net: str, tmp_path: Path) -> None:
    whole = tmp_path / "whole.pt"
    torch.save(random_state(net), whole)
    for name, content in {
        "cut.pt": whole.read_bytes()[:-300],
        "a.pt": b"",
        "b.safetensors": b"no",
        "c.pt": b"no",
    }.items():
        (tmp_path / name).write_bytes(content)
        assert "cannot read" in message(f"{net}:Net", weights=tmp_path / name)
        assert "cannot read" in message(str(tmp_path / name))
    assert "did you mean" in message(f"{net}:Net", weights=tmp_path / "whol.pt")
    assert "is a folder" in message(f"{net}:Net", weights=tmp_path)
    assert "is no file of weights" in message(f"{net}:Net", weights=net)
    path = tmp_path / "program.pt"
    torch.export.save(torch.export.export(nn.Linear(3, 2), (torch.zeros(1, 3),)), tmp_path / "program.pt2")
    (tmp_path / "program.pt2").rename(path)
    assert "rename it to program.pt2" in message(str(path))


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_torchscript_is_recognized(net: str, tmp_path: Path) -> None:
    torch.jit.save(torch.jit.trace(nn.Linear(3, 2), torch.zeros(1, 3)), tmp_path / "s.pt")
    assert "is a TorchScript archive" in message(str(tmp_path / "s.pt"))
    assert "is a TorchScript archive" in message(f"{net}:Net", weights=tmp_path / "s.pt")


def test_weights_alone_say_what_to_type(net: str, tmp_path: Path) -> None:
    torch.save(random_state(net), tmp_path / "w.pt")
    text = message(str(tmp_path / "w.pt"), command="splinegraph analyze")
    assert text.endswith(f"splinegraph analyze net.py:Net --weights {tmp_path / 'w.pt'}")


def test_safetensors_may_be_missing(net: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "w.safetensors").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(MissingDependencyError, match="pip install safetensors"):
        load(f"{net}:Net", weights=tmp_path / "w.safetensors")
