"""Known image sets: idx files, CIFAR-10's batches, checksums, downloads, the cache. Nothing is fetched."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import pickle
import sys
import tarfile
import types
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from splinegraph.errors import DataError, MissingDependencyError
from splinegraph.training.datasets import finding, known, loading
from splinegraph.training.datasets.bundles import CIFAR, IDX, read_idx, write_idx
from splinegraph.training.datasets.known import KNOWN
from splinegraph.training.datasets.loading import load_data

Arrays = dict[str, np.ndarray]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the user's cache out of it."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("SPLINEGRAPH_DATA", str(folder))
    return folder


@pytest.fixture
def images() -> list[np.ndarray]:
    """Return images and labels of a small set like MNIST, in the order of its files."""
    rng = np.random.default_rng(0)
    return [
        rng.integers(0, 256, (20, 5, 4), dtype=np.uint8), np.arange(20, dtype=np.uint8) % 4,
        rng.integers(0, 256, (8, 5, 4), dtype=np.uint8), np.arange(8, dtype=np.uint8) % 4,
    ]  # fmt: skip


@pytest.fixture
def tiny(images: list[np.ndarray], monkeypatch: pytest.MonkeyPatch) -> known.Known:
    """Make a set of that name known, with the checksums of its files."""
    sums = {n: hashlib.md5(write_idx(a)).hexdigest() for n, a in zip(IDX, images, strict=True)}
    found = replace(
        KNOWN["mnist"], name="tiny", shape=(1, 5, 4), counts=(20, 8), names=tuple("abcd"), md5=sums, openml="tiny_784"
    )
    monkeypatch.setitem(KNOWN, "tiny", found)
    monkeypatch.setattr(loading, "DATASETS", (*KNOWN, "digits"))
    return found


def put(folder: Path, images: list[np.ndarray], *, zipped: bool = False) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in zip(IDX, images, strict=True):
        held = write_idx(array)
        (folder / (name + ".gz" * zipped)).write_bytes(gzip.compress(held) if zipped else held)
    return folder


def pack(folder: Path, path: Path) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder, "package/data")
    return path


def test_idx_files_are_read_back_and_have_the_header_of_mnist(images: list[np.ndarray]) -> None:
    held = write_idx(images[0])
    assert held[:16] == bytes([0, 0, 8, 3, 0, 0, 0, 20, 0, 0, 0, 5, 0, 0, 0, 4])
    assert np.array_equal(read_idx(held, "it"), images[0])


@pytest.mark.parametrize("held", [b"", b"\0\0\x08", b"\0\0\x0d\x01\0\0\0\0", b"\0\0\x08\x03\0\0"])
def test_what_is_no_idx_file_is_refused(held: bytes) -> None:
    with pytest.raises(DataError, match="no idx file"):
        read_idx(held, "it")


@pytest.mark.parametrize("how", ["plain", "gz", "tgz", "npz", "own name", "torchvision", "dotted"])
def test_a_known_set_is_found_in_all_its_forms(
    how: str, images: list[np.ndarray], tiny: known.Known, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    if how == "npz":
        root.mkdir()
        np.savez(root / "tiny.npz", x_train=images[0], y_train=images[1], x_test=images[2], y_test=images[3])
    elif how == "tgz":
        root.mkdir()
        pack(put(tmp_path / "files", images, zipped=True), root / "tiny.tgz")
    else:
        inside = {"own name": "tiny", "torchvision": "MNIST/raw"}.get(how, "")
        put(root / inside, images, zipped=how == "gz")
        if how == "dotted":
            for name in IDX:
                (root / name).rename(root / name.replace("-idx", ".idx"))
    data = load_data("tiny", root=root, normalisation="none")
    assert data.x_train.shape == (20, 1, 5, 4)
    assert np.array_equal(data.x_test[:, 0].numpy(), images[2])
    assert data.y_train.tolist() == images[1].tolist()
    assert (data.classes, data.names, data.name) == (4, tuple("abcd"), "tiny")


def test_the_checksum_is_of_the_samples_whatever_the_file(
    images: list[np.ndarray], tiny: known.Known, tmp_path: Path
) -> None:
    folder = put(tmp_path / "a", images)
    first = load_data("tiny", root=folder)
    assert first.checksum == load_data("tiny", root=pack(folder, tmp_path / "b.tgz")).checksum
    images[0][3, 2, 1] ^= 1
    assert first.checksum != load_data(put(tmp_path / "a", images)).checksum


def test_the_cache_is_looked_into(images: list[np.ndarray], tiny: known.Known, cache: Path) -> None:
    put(cache / "tiny", images)
    assert len(load_data("tiny").x_train) == 20


def test_the_cache_follows_the_users_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SPLINEGRAPH_DATA")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert finding.cache_folder() == tmp_path / "splinegraph"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert finding.cache_folder() == Path.home() / ".cache" / "splinegraph"


def test_other_files_than_published_are_refused(images: list[np.ndarray], tiny: known.Known, tmp_path: Path) -> None:
    images[0][0, 0, 0] ^= 1
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte in .* its md5 is"):
        load_data("tiny", root=put(tmp_path / "files", images))
    np.savez(tmp_path / "tiny.npz", x_train=images[0], y_train=images[1], x_test=images[2], y_test=images[3])
    with pytest.raises(DataError, match="not tiny as published: its train-images-idx3-ubyte has another md5"):
        load_data("tiny", root=tmp_path)
    np.savez(tmp_path / "tiny.npz", x_train=images[0][1:], y_train=images[1][1:], x_test=images[2], y_test=images[3])
    with pytest.raises(DataError, match="is not tiny: it holds 19 samples"):
        load_data("tiny", root=tmp_path)


def test_files_that_are_cut_off_are_refused(images: list[np.ndarray], tmp_path: Path) -> None:
    folder = put(tmp_path / "files", images, zipped=True)
    whole = pack(folder, tmp_path / "files.tgz")
    (tmp_path / "cut.tgz").write_bytes(whole.read_bytes()[:-200])
    with pytest.raises(DataError, match=r"cannot read .*cut.tgz.*damaged or cut off"):
        load_data(tmp_path / "cut.tgz")
    path = folder / f"{IDX[0]}.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"cannot read .*damaged or cut off"):
        load_data(folder)
    path.unlink()
    (folder / IDX[0]).write_bytes(write_idx(images[0])[:-1])
    with pytest.raises(DataError, match="415 bytes, and its header says 416"):
        load_data(folder)
    (folder / IDX[0]).unlink()
    with pytest.raises(DataError, match=r"no train-images-idx3-ubyte in .*put all of them there"):
        load_data(folder)


def test_images_and_labels_have_to_go_together(images: list[np.ndarray], tmp_path: Path) -> None:
    images[1] = images[1][1:]
    with pytest.raises(DataError, match=r"images \(20, 5, 4\) and labels \(19,\)"):
        load_data(put(tmp_path / "files", images))


# CIFAR-10


def batch(count: int, seed: int) -> dict[bytes, object]:
    rng = np.random.default_rng(seed)
    labels = [int(v) for v in rng.integers(0, 10, count)]
    return {b"data": rng.integers(0, 256, (count, 3072), dtype=np.uint8), b"labels": labels, b"filenames": [b"a"]}


def batches(folder: Path) -> Path:
    inside = folder / "cifar-10-batches-py"
    inside.mkdir(parents=True)
    for seed, name in enumerate(CIFAR):
        (inside / name).write_bytes(pickle.dumps(batch(4, seed), protocol=2))
    return inside


def test_batches_of_cifar10_are_read_in_order(tmp_path: Path) -> None:
    inside = batches(tmp_path)
    for path in (inside, pack(inside, tmp_path / "cifar.tar.gz")):
        data = load_data(path, normalisation="none", classes=10)
        assert data.x_train.shape == (20, 3, 32, 32)
        assert data.x_test.shape == (4, 3, 32, 32)
        second = batch(4, 1)
        assert np.array_equal(data.x_train[4:8].numpy(), np.reshape(second[b"data"], (4, 3, 32, 32)))
        assert data.y_train[4:8].tolist() == second[b"labels"]


def test_batches_of_another_cifar10_are_refused_by_name(tmp_path: Path) -> None:
    batches(tmp_path)
    with pytest.raises(DataError, match=r"data_batch_1 in .* its md5 is"):
        load_data("cifar10", root=tmp_path)


class Malicious:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("exit 1",)


def test_nothing_in_a_batch_is_run(tmp_path: Path) -> None:
    inside = batches(tmp_path)
    (inside / "data_batch_3").write_bytes(pickle.dumps({b"data": Malicious(), b"labels": []}, protocol=2))
    with pytest.raises(DataError, match=r"data_batch_3: it names .*system, which is no array"):
        load_data(inside)


def test_a_changed_set_without_published_samples_is_refused_from_the_second_use_on(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(KNOWN, "cifar10", replace(KNOWN["cifar10"], counts=(8, 4)))
    rng = np.random.default_rng(0)
    arrays = {
        "x_train": rng.integers(0, 256, (8, 32, 32, 3), dtype=np.uint8), "y_train": np.arange(8) % 4,
        "x_test": rng.integers(0, 256, (4, 32, 32, 3), dtype=np.uint8), "y_test": np.arange(4),
    }  # fmt: skip
    np.savez(tmp_path / "cifar10.npz", **arrays)
    first = load_data("cifar10", root=tmp_path, normalisation="none")
    assert first.x_train.shape == (8, 3, 32, 32)
    assert torch.equal(first.x_train[2, 1], torch.from_numpy(arrays["x_train"][2, :, :, 1]).float())
    assert load_data("cifar10", root=tmp_path).checksum == first.checksum
    arrays["y_test"] = arrays["y_test"][::-1]
    np.savez(tmp_path / "cifar10.npz", **arrays)
    with pytest.raises(DataError, match=r"have changed.*checksums.json"):
        load_data("cifar10", root=tmp_path)


# download


def no_torchvision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision.datasets", None)


def test_the_download_by_openml_is_checked_and_kept(
    images: list[np.ndarray], tiny: known.Known, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def fetch_openml(name: str, **_: object) -> tuple[np.ndarray, np.ndarray]:
        asked.append(name)
        x, y = np.concatenate(images[::2]), np.concatenate(images[1::2])
        return x.reshape(len(x), -1).astype(float), y.astype(str).astype(object)

    no_torchvision(monkeypatch)
    monkeypatch.setattr("sklearn.datasets.fetch_openml", fetch_openml)
    with pytest.raises(DataError, match=r"tiny is not in .*put tiny.npz .* or allow the download"):
        load_data("tiny")
    first = load_data("tiny", download=True)
    assert asked == ["tiny_784"]
    assert sorted(path.name for path in cache.iterdir()) == ["checksums.json", "tiny.npz"]
    assert load_data("tiny", download=True).checksum == first.checksum
    assert asked == ["tiny_784"]


def test_a_damaged_download_leaves_nothing(
    images: list[np.ndarray], tiny: known.Known, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch_openml(name: str, **_: object) -> tuple[np.ndarray, np.ndarray]:
        x, y = np.concatenate(images[::2]), np.concatenate(images[1::2])
        return np.zeros((len(x), 20)), y.astype(str).astype(object)

    def broken(name: str, **_: object) -> None:
        raise ConnectionError("no route")

    no_torchvision(monkeypatch)
    monkeypatch.setattr("sklearn.datasets.fetch_openml", fetch_openml)
    with pytest.raises(DataError, match="the download of tiny is not tiny as published"):
        load_data("tiny", download=True)
    monkeypatch.setattr("sklearn.datasets.fetch_openml", broken)
    with pytest.raises(DataError, match="cannot download tiny: no route; check the network"):
        load_data("tiny", download=True)
    assert list(cache.iterdir()) == []


def test_torchvision_downloads_where_it_is_installed(
    images: list[np.ndarray], tiny: known.Known, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(root: str, *, download: bool) -> None:
        assert download
        put(Path(root) / "MNIST" / "raw", images, zipped=True)

    fake = types.ModuleType("torchvision.datasets")
    fake.MNIST = fetch  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torchvision", types.ModuleType("torchvision"))
    monkeypatch.setitem(sys.modules, "torchvision.datasets", fake)
    assert load_data("tiny", download=True).x_train.shape == (20, 1, 5, 4)
    assert (cache / "tiny.npz").is_file()


def test_what_no_package_can_get_says_how(monkeypatch: pytest.MonkeyPatch) -> None:
    no_torchvision(monkeypatch)
    with pytest.raises(MissingDependencyError, match="torchvision, which is not installed"):
        load_data("cifar10", download=True)
    with pytest.raises(DataError, match=r"put cifar10.npz .* or cifar-10-python.tar.gz there"):
        load_data("cifar10")


# names and real data


def test_names_that_are_not_known_get_the_known_ones() -> None:
    with pytest.raises(DataError, match="did you mean fashion-mnist"):
        load_data("fashion_mnist")
    with pytest.raises(DataError, match="give one of mnist, fashion-mnist, cifar10, digits, or a path"):
        load_data("imagenet")
    with pytest.raises(DataError, match="name of the data is empty"):
        load_data("")
    with pytest.raises(DataError, match="there is no file or folder"):
        load_data("mnist", root="/no/such")
    with pytest.raises(DataError, match="a root was given for digits"):
        load_data("digits", root="/tmp")


def test_digits_are_those_of_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    from sklearn.datasets import load_digits

    data = load_data("digits", normalisation="none")
    assert data.shape == (1, 8, 8)
    assert torch.bincount(data.y_test).unique().tolist() == [35, 36]
    both = torch.cat([data.x_train, data.x_test]).flatten(1)
    held = torch.from_numpy(load_digits().data).float()
    assert torch.equal(both.unique(dim=0), held.unique(dim=0))
    assert data.checksum == load_data("digits").checksum
    changed = load_digits()
    changed.images[0, 0, 0] += 1
    monkeypatch.setattr("sklearn.datasets.load_digits", lambda: changed)
    with pytest.raises(DataError, match="not as published"):
        load_data("digits")


@pytest.mark.slow
@pytest.mark.skipif("SPLINEGRAPH_MNIST" not in os.environ, reason="SPLINEGRAPH_MNIST names no file of MNIST")
def test_the_real_mnist_has_the_published_checksums() -> None:
    data = load_data("mnist", root=os.environ["SPLINEGRAPH_MNIST"], normalisation="unit")
    assert len(data.x_train) == 60_000
    assert torch.bincount(data.y_test).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert round(float(data.x_train.mean()), 4) == 0.1307


def test_archives_are_read_by_name_whatever_lies_beside(images: list[np.ndarray], tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, held in [("README", b"hello"), *zip(IDX, map(write_idx, images), strict=True)]:
            info = tarfile.TarInfo(f"../{name}")
            info.size = len(held)
            archive.addfile(info, io.BytesIO(held))
    assert len(load_data(tmp_path / "a.tar").x_train) == 20
    assert not (tmp_path.parent / "README").exists()
