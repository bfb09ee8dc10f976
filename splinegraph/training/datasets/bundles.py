"""Image sets as they are distributed: idx files (MNIST) and CIFAR-10's batches, in folders or archives."""

from __future__ import annotations

import gzip
import hashlib
import io
import lzma
import pickle
import struct
import tarfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from splinegraph.data.arrays import Array
from splinegraph.errors import DataError, one_line
from splinegraph.training.datasets.data import Raw

__all__ = ["IDX", "is_bundle", "read_bundle", "read_idx", "write_idx"]

IDX = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
"""Files of MNIST and what is like it, perhaps with .gz."""

CIFAR = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")
"""Files of CIFAR-10."""

ARCHIVES = (".tgz", ".tar.gz", ".tar", ".tar.bz2", ".tar.xz")

_BROKEN = (OSError, EOFError, ValueError, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error)
"""What damaged files raise."""


def is_bundle(path: Path) -> bool:
    """Whether it is an archive, or a folder or file that holds one of the known files."""
    if path.is_dir():
        return any(_plain(entry.name) in (*IDX, *CIFAR) for entry in path.iterdir())
    return path.name.lower().endswith(ARCHIVES)


def read_bundle(path: Path, md5: Mapping[str, str] | None = None) -> Raw:
    """Read an image set.

    Parameters
    ----------
    path : Path
        A folder or an archive with the four idx files, or with the six batches of CIFAR-10.
    md5 : dict from name to str, optional
        What the files, unpacked, have to be.

    Returns
    -------
    Raw
        Images of uint8: (N, 1, height, width) from idx files, (N, 3, 32, 32) from CIFAR-10.

    Raises
    ------
    DataError
        If files are missing, damaged, cut off, or others than `md5` says.

    Notes
    -----
    The batches of CIFAR-10 are pickled: of what they could name, only arrays are made, nothing is run.
    """
    try:
        held = dict(_archived(path) if path.is_file() else _unpacked(path))
    except _BROKEN as error:
        raise _damaged(path, error) from error
    wanted = IDX if held.keys() & set(IDX) else CIFAR
    missing = [name for name in wanted if name not in held]
    if missing:
        whose = "MNIST or Fashion-MNIST" if wanted == IDX else "CIFAR-10"
        why = f"{whose} has {', '.join(wanted)}"
        raise DataError(f"there is no {missing[0]} in {path}", why=why, remedy="put all of them there")
    for name in wanted:
        found = hashlib.md5(held[name], usedforsecurity=False).hexdigest()
        if md5 and found != md5.get(name, found):
            raise DataError(
                f"{name} in {path} is not what it should be", why=f"its md5 is {found}, not {md5[name]}",
                remedy="it is damaged, or other data: get it anew",
            )  # fmt: skip
    if wanted == IDX:
        arrays = [read_idx(held[name], f"{name} in {path}") for name in IDX]
        (x, y), (x_test, y_test) = (_pair(images, labels, path) for images, labels in (arrays[:2], arrays[2:]))
        return Raw(x, y, x_test, y_test)
    return _cifar([(name, held[name]) for name in CIFAR], path)


def _plain(name: str) -> str:
    """Return the usual name of a file: some write train-images.idx3-ubyte.gz."""
    return name.removesuffix(".gz").replace(".idx", "-idx")


def _unpacked(path: Path) -> Iterator[tuple[str, bytes]]:
    for entry in sorted(path.iterdir(), reverse=True):  # what is unpacked comes after, and so before, its .gz
        if _plain(entry.name) in (*IDX, *CIFAR) and entry.is_file():
            yield _plain(entry.name), _inflated(entry.name, entry.read_bytes())


def _archived(path: Path) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(path, "r:*") as archive:
        for member in archive:
            name = member.name.rpartition("/")[2]
            stream = archive.extractfile(member) if _plain(name) in (*IDX, *CIFAR) else None
            if stream is not None:
                yield _plain(name), _inflated(name, stream.read())


def _inflated(name: str, held: bytes) -> bytes:
    return gzip.decompress(held) if name.endswith(".gz") else held


def _damaged(path: Path, error: Exception) -> DataError:
    why = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return DataError(f"cannot read {path}", why=one_line(why)[:200], remedy="it is damaged or cut off: get it anew")


# idx files


def read_idx(held: bytes, name: str) -> Array:
    """Read an array of bytes from an idx file.

    Raises
    ------
    DataError
        If it is no such file, or not all of it is there.
    """
    zeros, kind, axes = struct.unpack(">HBB", held[:4]) if len(held) >= 4 else (1, 0, 0)
    start = 4 + 4 * axes
    if zeros or kind != 8 or not axes or len(held) < start:
        raise DataError(f"cannot read {name}", why="it is no idx file of bytes", remedy="get it anew")
    shape = struct.unpack(f">{axes}I", held[4:start])
    expected = start + int(np.prod(shape, dtype=object))
    if len(held) != expected:
        why = f"it has {len(held)} bytes, and its header says {expected}"
        raise DataError(f"cannot read {name}", why=why, remedy="it is damaged or cut off: get it anew")
    return np.frombuffer(held, np.uint8, offset=start).reshape(shape)


def write_idx(array: Array) -> bytes:
    """Return an array of bytes as an idx file."""
    shape = struct.pack(f">{array.ndim}I", *array.shape)
    return struct.pack(">HBB", 0, 8, array.ndim) + shape + np.ascontiguousarray(array, dtype=np.uint8).tobytes()


def _pair(images: Array, labels: Array, path: Path) -> tuple[Tensor, Tensor]:
    if images.ndim != 3 or labels.shape != images.shape[:1]:
        raise DataError(f"the files in {path} hold images {images.shape} and labels {labels.shape}")
    return torch.tensor(images)[:, None], torch.tensor(labels, dtype=torch.int64)


# CIFAR-10


class _Arrays(pickle.Unpickler):
    """Makes arrays and plain values, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        allowed = {
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
            ("multiarray", "_reconstruct"): np._core.multiarray._reconstruct,  # type: ignore[attr-defined]
            ("_codecs", "encode"): lambda text, coding: str(text).encode(coding),
        }
        found = allowed.get((module.rpartition(".")[2] if module.startswith("numpy.") else module, name))
        if found is None:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is no array")
        return found


def _cifar(files: Sequence[tuple[str, bytes]], path: Path) -> Raw:
    x, y = [], []
    for name, held in files:
        try:
            entries = _Arrays(io.BytesIO(held), encoding="bytes").load()
            images = np.asarray(entries[b"data"], dtype=np.uint8).reshape(-1, 3, 32, 32)
            labels = np.asarray(entries[b"labels"])
            if len(labels) != len(images) or labels.dtype.kind not in "iu":
                raise ValueError(f"it holds {len(images)} images and {len(labels)} labels of {labels.dtype}")
        except (pickle.UnpicklingError, KeyError, TypeError, AttributeError, IndexError, *_BROKEN) as error:
            raise _damaged(path / name, error) from error
        x.append(torch.tensor(images))
        y.append(torch.tensor(labels, dtype=torch.int64))
    return Raw(torch.cat(x[:-1]), torch.cat(y[:-1]), x[-1], y[-1])
