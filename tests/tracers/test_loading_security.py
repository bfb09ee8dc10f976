"""Nothing in a file that is no code runs, and a program runs only on the user's word.

Every payload is run once by the reader that it is made for: a payload that does nothing would prove nothing.
"""

from __future__ import annotations

import contextlib
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from splinegraph.errors import DataError, TargetError
from splinegraph.tracers.loading import example_inputs, load

CODE = "from torch import nn\nmodel = nn.Linear(3, 2)\n"


class Payload:
    """Creates a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return (open, (str(self.mark), "a"))


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    return tmp_path / "it-ran"


@pytest.fixture
def net(tmp_path: Path) -> str:
    (tmp_path / "net.py").write_text(CODE)
    return str(tmp_path / "net.py")


def write_zip(path: Path, mark: Path) -> None:
    torch.save({"weight": torch.zeros(2, 3), "bias": Payload(mark)}, path)


def write_legacy(path: Path, mark: Path) -> None:
    torch.save({"state_dict": Payload(mark)}, path, _use_new_zipfile_serialization=False)


def write_pickle(path: Path, mark: Path) -> None:
    path.write_bytes(pickle.dumps(Payload(mark)))


TORCH: list[Callable[[Path, Path], None]] = [write_zip, write_legacy, write_pickle]


def run_it(path: Path) -> None:
    """Open a file in the careless way."""
    if path.suffix in (".npy", ".npz"):
        held = np.load(path, allow_pickle=True)
        _ = held if isinstance(held, np.ndarray) else held["x"]
    elif zipfile.is_zipfile(path):
        torch.load(path, weights_only=False)
    else:
        with path.open("rb") as stream:
            for _ in range(6):  # the old format is a row of pickles
                try:
                    pickle.load(stream)
                except EOFError:
                    break


@pytest.mark.filterwarnings("ignore")  # of the files that the payloads leave open
@pytest.mark.parametrize("write", TORCH)
@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".ckpt"])
def test_weights_never_execute(write, suffix: str, tmp_path: Path, mark: Path, net: str) -> None:
    path = tmp_path / f"weights{suffix}"
    write(path, mark)
    for trust in (False, True):
        with pytest.raises(TargetError, match=r"execute code|cannot read"):
            load(net, weights=path, trust=trust)
        with pytest.raises(TargetError):
            load(str(path), trust=trust)
    with pytest.raises(DataError):
        example_inputs(load(net), given=[path])
    assert not mark.exists()
    run_it(path)
    assert mark.exists()


@pytest.mark.filterwarnings("ignore")
def test_weights_do_not_execute_where_the_environment_asks_for_it(
    tmp_path: Path, mark: Path, net: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    write_zip(tmp_path / "weights.pt", mark)
    with pytest.raises(TargetError, match="holds more than tensors"):
        load(net, weights=tmp_path / "weights.pt")
    assert not mark.exists()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_arrays_never_execute(suffix: str, tmp_path: Path, mark: Path, net: str) -> None:
    path, held = tmp_path / f"x{suffix}", np.array([Payload(mark)], dtype=object)
    if suffix == ".npy":
        np.save(path, held, allow_pickle=True)
    else:
        np.savez(path, x=held)
    with pytest.raises(DataError, match="holds Python objects"):
        example_inputs(load(net, trust=True), given=[path])
    (tmp_path / f"raw{suffix}").write_bytes(pickle.dumps(Payload(mark)))
    with pytest.raises(DataError, match="holds Python objects"):
        example_inputs(load(net, trust=True), given=[tmp_path / f"raw{suffix}"])
    assert not mark.exists()
    run_it(path)
    assert mark.exists()


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("programs") / "net.pt2"
    batch = {0: torch.export.Dim("batch", min=1)}
    torch.export.save(torch.export.export(nn.Linear(3, 2), (torch.zeros(2, 3),), dynamic_shapes=(batch,)), path)
    return path


def rewrite(source: Path, target: Path, change: Callable[[str, bytes], bytes]) -> None:
    """Copy an archive with changed members."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))


def into_sample_inputs(mark: Path) -> Callable[[str, bytes], bytes]:
    torch.save((Payload(mark),), mark.with_suffix(".tmp"))
    payload = mark.with_suffix(".tmp").read_bytes()
    return lambda name, held: payload if "sample_inputs" in name else held


def into_weights(mark: Path) -> Callable[[str, bytes], bytes]:
    torch.save(Payload(mark), mark.with_suffix(".tmp"))
    payload = mark.with_suffix(".tmp").read_bytes()

    def change(name: str, held: bytes) -> bytes:
        if name.endswith("weights_config.json"):
            config = json.loads(held)
            for entry in config["config"].values():
                entry["use_pickle"] = True
            return json.dumps(config).encode()
        return payload if "weights/weight" in name else held

    return change


def into_sizes(mark: Path) -> Callable[[str, bytes], bytes]:
    code = f"__import__('pathlib').Path({str(mark)!r}).touch()"

    def change(name: str, held: bytes) -> bytes:
        if not name.endswith("models/model.json"):
            return held

        def infect(value: object) -> object:
            if isinstance(value, dict):
                return {k: code + f" or {v}" if k == "expr_str" else infect(v) for k, v in value.items()}
            return [infect(v) for v in value] if isinstance(value, list) else value

        return json.dumps(infect(json.loads(held))).encode()

    return change


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("payload", [into_sample_inputs, into_weights, into_sizes])
def test_a_program_executes_only_on_the_users_word(payload, program: Path, tmp_path: Path, mark: Path) -> None:
    path = tmp_path / "net.pt2"
    rewrite(program, path, payload(mark))
    with pytest.raises(TargetError) as caught:
        load(str(path), command="splinegraph analyze")
    assert "can execute code" in str(caught.value)
    assert str(caught.value).endswith(f"splinegraph analyze {path} --trust")
    with pytest.raises(TargetError, match="trust=True"):
        load(str(path))
    assert not mark.exists()
    with contextlib.suppress(TargetError):  # some payloads leave no whole program
        load(str(path), trust=True)
    assert mark.exists()


def test_a_trusted_program(program: Path) -> None:
    loaded = load(str(program), trust=True)
    assert (loaded.kind, loaded.input_shapes, loaded.dtypes) == ("pt2", ((3,),), (torch.float32,))
    (x,), origin = example_inputs(loaded)
    assert x.shape == (1, 3)
    assert "file" in origin
    (y,), _ = example_inputs(loaded, shapes=[(3,)])
    assert y.shape == (1, 3)
    assert not torch.equal(x, y)
    with pytest.raises(TargetError, match="weights of its own"):
        load(str(program), trust=True, weights="w.pt")


@pytest.mark.parametrize("damage", ["cut", "text", "empty", "bytes", "no model", "compiled"])
def test_a_damaged_program(damage: str, program: Path, tmp_path: Path, caplog, capfd) -> None:
    path, whole = tmp_path / "net.pt2", program.read_bytes()
    if damage == "no model":
        rewrite(program, path, lambda name, held: b"{}" if name.endswith("model.json") else held)
    elif damage == "compiled":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("net/data/aotinductor/model/model.so", b"")
    else:
        middle = whole[:300] + bytes(100) + whole[400:]
        path.write_bytes({"cut": whole[:-200], "text": b"hello", "empty": b"", "bytes": middle}[damage])
    with pytest.raises(TargetError, match="holds compiled code" if damage == "compiled" else "cannot read") as caught:
        load(str(path), trust=True)
    assert str(caught.value).isprintable()
    assert capfd.readouterr() == ("", "")
    assert not caplog.records
