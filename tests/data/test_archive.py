"""Files of numpy: which arrays are what, memory that stays bounded, and files that are damaged or hostile."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from splinegraph.data.reading import read_data
from splinegraph.errors import DataError

X = np.arange(6, dtype=np.float32).reshape(3, 2)


@pytest.mark.parametrize("name", ["x", "X", "inputs", "x_test", "whatever"])
@pytest.mark.parametrize("labels", ["y", "labels", "y_test"])
def test_names(tmp_path: Path, name: str, labels: str) -> None:
    np.savez(tmp_path / "d.npz", **{labels: np.array([1, 0, 1]), name: X, "zzz": np.array([{}], dtype=object)})
    source = read_data(tmp_path / "d.npz")
    (batch,) = source.batches(9)
    assert source.name.startswith(f"{name!r} in ")
    assert torch.equal(batch.inputs[0], torch.from_numpy(X))
    assert batch.labels is not None
    assert batch.labels.tolist() == [1, 0, 1]


def test_chosen_names(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=X, other=X + 1, tags=np.array([2, 0, 1]))
    source = read_data(tmp_path / "d.npz", "tags", inputs=("other",))
    (batch,) = source.batches(9)
    assert torch.equal(batch.inputs[0], torch.from_numpy(X + 1))
    assert batch.labels is not None
    assert batch.labels.tolist() == [2, 0, 1]
    with pytest.raises(DataError, match=r"no array 'othr' in .*did you mean 'other'"):
        read_data(tmp_path / "d.npz", inputs=("othr",))


def test_labels_that_are_no_classes_are_left_out(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=X, y=np.eye(3))
    source = read_data(tmp_path / "d.npz")
    assert not source.labeled
    assert any("no classes" in note for note in source.notes)
    with pytest.raises(DataError, match="one integer per sample"):
        read_data(tmp_path / "d.npz", "y")


_PASS = """
import resource, sys
from splinegraph.data.reading import read_data
small, *large = sys.argv[1:]
for _ in read_data(small).batches(100): pass
for path in large:
    source = read_data(path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    count = sum(float(b.inputs[0][:, 0].sum()) for b in source.batches(100))
    print(count, len(source), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """Files of 96 MiB are read with less than 24 MiB, pages of the mapping among them."""
    x = np.ones((6144, 4096), dtype=np.float32)
    paths = [tmp_path / name for name in ("d.npy", "stored.npz", "compressed.npz")]
    for path, save in zip(paths, (np.save, np.savez, np.savez_compressed), strict=True):
        save(path, x)
    np.savez_compressed(tmp_path / "small.npz", x=x[:200])
    command = [sys.executable, "-c", _PASS, str(tmp_path / "small.npz"), *map(str, paths)]
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    for line in result.stdout.splitlines():
        total, count, rise = map(float, line.split())
        assert total == count == 6144
        assert rise < 24 * 1024  # ru_maxrss is in KiB
    assert len(result.stdout.splitlines()) == 3


class Payload:
    def __reduce__(self) -> Any:
        return exec, ("raise SystemExit('the payload ran')",)


@pytest.mark.parametrize("key", ["x", "y"])
@pytest.mark.parametrize("compress", [False, True])
def test_pickles_in_an_archive_do_not_run(tmp_path: Path, key: str, compress: bool) -> None:
    held: dict[str, Any] = {"x": X, "y": np.zeros(3, dtype=int), key: np.array([Payload()] * 3)}
    (np.savez_compressed if compress else np.savez)(tmp_path / "d.npz", **held)
    with pytest.raises(SystemExit):  # it is a payload
        np.load(tmp_path / "d.npz", allow_pickle=True)[key]
    if key == "y":
        assert "Python objects" in read_data(tmp_path / "d.npz").notes[0]
    else:
        with pytest.raises(DataError, match="Python objects"):
            read_data(tmp_path / "d.npz")


def test_plain_pickles_do_not_run(tmp_path: Path) -> None:
    (tmp_path / "d.npz").write_bytes(pickle.dumps(Payload()))
    np.save(tmp_path / "d.npy", np.array([Payload()]))
    for name in ("d.npz", "d.npy"):
        with pytest.raises(DataError, match=r"no file of numpy|Python objects"):
            read_data(tmp_path / name)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed, lambda path, x: np.save(path, x)])
def test_every_truncation_is_refused(tmp_path: Path, save: Any) -> None:
    path = tmp_path / ("d.npz" if save in (np.savez, np.savez_compressed) else "d.npy")
    save(path, x=np.random.default_rng(0).normal(size=(50, 3)))
    whole = path.read_bytes()
    for stop in range(0, len(whole), 37):
        path.write_bytes(whole[:stop])
        with pytest.raises(DataError, match=re.escape(str(path))):
            list(read_data(path).batches(8))


def test_only_data_are_suggested(tmp_path: Path) -> None:
    (tmp_path / "digits.py").write_text("")
    (tmp_path / "digits.npz").write_text("")
    with pytest.raises(DataError, match=r"did you mean \S*digits.npz\?$"):
        read_data(tmp_path / "digit.npz")


def test_damage_in_compressed_data_is_found(tmp_path: Path) -> None:
    path = tmp_path / "d.npz"
    np.savez_compressed(path, x=np.random.default_rng(0).normal(size=(500, 3)))
    whole = bytearray(path.read_bytes())
    for place in range(300, len(whole) - 400, 997):
        damaged = whole.copy()
        damaged[place] ^= 0x55
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=re.escape(str(path))):
            list(read_data(path).batches(64))


def test_a_header_that_promises_too_much(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    held = (tmp_path / "x.npy").read_bytes().replace(b"(3, 2)", b"(9, 9)")
    (tmp_path / "x.npy").write_bytes(held)
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile(tmp_path / "d.npz", "w", method) as archive:
            archive.write(tmp_path / "x.npy", "x.npy")
        with pytest.raises(DataError, match="bytes"):
            read_data(tmp_path / "d.npz")
    with pytest.raises(DataError, match="bytes"):
        read_data(tmp_path / "x.npy")


def test_a_negative_shape(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    (tmp_path / "x.npy").write_bytes((tmp_path / "x.npy").read_bytes().replace(b"(3, 2), ", b"(-3, -2)"))
    with pytest.raises(DataError, match=r"its shape is \(-3, -2\)"):
        read_data(tmp_path / "x.npy")


def test_an_extra_field_in_front_of_the_array(tmp_path: Path) -> None:
    """The local header of a member may be longer than the central one says."""
    np.save(tmp_path / "x.npy", X)
    info = zipfile.ZipInfo("x.npy")
    info.extra = b"\x99\x99\x04\x00abcd"
    with zipfile.ZipFile(tmp_path / "d.npz", "w") as archive:
        archive.writestr("first.txt", "words")
        archive.writestr(info, (tmp_path / "x.npy").read_bytes())
    (batch,) = read_data(tmp_path / "d.npz").batches(9)
    assert torch.equal(batch.inputs[0], torch.from_numpy(X))


@pytest.mark.parametrize(
    ("held", "match"),
    [
        ({"y": np.zeros(3, dtype=int)}, "holds no inputs: it has y"),
        ({}, "without arrays"),
        ({"x": X, "y": np.zeros(4, dtype=int)}, "'y' in .* has 4 entries for 3 samples"),
        ({"x": np.zeros((0, 2))}, "the batch is empty"),
        ({"x": np.float64(1.0)}, "shape \\(\\)"),
        ({"x": np.array(["a", "b"])}, "dtype <U1"),
        ({"x": X.astype(complex)}, "complex"),
        ({"x": np.zeros(3, dtype=[("a", "f4")])}, "dtype"),
    ],
)
def test_unusable_arrays(tmp_path: Path, held: dict[str, Any], match: str) -> None:
    np.savez(tmp_path / "d.npz", **held)
    with pytest.raises(DataError, match=match):
        read_data(tmp_path / "d.npz")


def test_other_files(tmp_path: Path) -> None:
    np.savez(tmp_path / "digits.npz", x=X)
    torch.save({"a": torch.zeros(1)}, tmp_path / "w.pt")
    torch.save({"a": torch.zeros(1)}, tmp_path / "w.zip")
    (tmp_path / "t.csv").write_text("1,2")
    for name, match in (
        ("digit.npz", "no file .*did you mean .*digits.npz"),
        ("none/d.npz", "there is no folder .*none either"),
        ("w.pt", r"file of PyTorch.*--input .*numpy\.savez"),
        ("w.zip", "perhaps a file of PyTorch"),
        ("t.csv", "no file of numpy"),
    ):
        with pytest.raises(DataError, match=match):
            read_data(tmp_path / name)


def test_unreadable_files(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=X)
    source = read_data(tmp_path / "d.npz")
    (tmp_path / "d.npz").unlink()
    with pytest.raises(DataError, match=r"cannot read .*No such file"):
        list(source.batches(2))
