"""Where known image sets lie: in a folder that is given, or in the cache, where downloads go."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from splinegraph.core.files import make_folder, write_json, writing
from splinegraph.errors import DataError, MissingDependencyError
from splinegraph.training.datasets.bundles import ARCHIVES, is_bundle, read_bundle
from splinegraph.training.datasets.data import Raw, fingerprint
from splinegraph.training.datasets.known import Known, verify
from splinegraph.training.datasets.own import PARTS, read_own

__all__ = ["CACHE", "cache_folder", "read_known"]

CACHE = "SPLINEGRAPH_DATA"
"""The environment variable that names the cache."""


def cache_folder() -> Path:
    """Return where data sets are kept: `CACHE`, else splinegraph in the user's folder of caches."""
    named = os.environ.get(CACHE)
    if named:
        return Path(named).expanduser()
    above = os.environ.get("XDG_CACHE_HOME")
    return (Path(above) if above else Path.home() / ".cache") / "splinegraph"


def read_known(known: Known, root: str | os.PathLike[str] | None, download: bool) -> Raw:
    """Find, or download, and read an image set.

    Parameters
    ----------
    known : Known
    root : path, optional
        A file or folder to look in. Default: the cache.
    download : bool
        Whether to download it if it is not found.

    Raises
    ------
    DataError
        If it is neither there nor downloaded, or damaged.
    MissingDependencyError
        If no package is there that could get it.
    """
    place = Path(root).expanduser() if root is not None else cache_folder()
    if root is not None and not place.exists():
        raise DataError(f"there is no file or folder {place}", remedy=f"give the one that {known.name} lies in")
    for path in _candidates(known, place):
        return _read(known, path)
    if not download:
        raise _absent(known, place)
    folder = place if root is not None else make_folder(place)
    if not folder.is_dir():
        raise DataError(f"cannot keep {known.name} in {folder}", why="it is a file", remedy="give a folder")
    return _downloaded(known, folder)


def _candidates(known: Known, place: Path) -> Iterator[Path]:
    """Yield the files and folders there that may hold it."""
    if place.is_file():
        yield place
        return
    files = [place / f"{known.name}{suffix}" for suffix in (".npz", *ARCHIVES)]
    files += [place / f"cifar-10-python{suffix}" for suffix in ARCHIVES if known.name == "cifar10"]
    yield from (path for path in files if path.is_file())
    folders = [place / name for name in (known.name, *known.folders, "")]
    for path in folders:
        if path.is_dir() and is_bundle(path):
            yield path


def _read(known: Known, path: Path) -> Raw:
    if is_bundle(path):
        raw = read_bundle(path, known.md5)
    else:
        raw = read_own(path)
    verify(known, raw, path)
    _remember(known, raw, path)
    return raw


def _remember(known: Known, raw: Raw, path: Path) -> None:
    """Record the checksum of the samples on the first use, and refuse others from then on."""
    book = cache_folder() / "checksums.json"
    found = fingerprint(raw.parts)
    try:
        held = json.loads(book.read_text(encoding="utf-8")) if book.is_file() else {}
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {book}", why=str(error), remedy="delete it") from error
    if held.setdefault(known.name, found) != found:
        why = f"their SHA-256 is {found[:16]}..., and it was {str(held[known.name])[:16]}... at the first use"
        remedy = f"get it anew, or delete {book} if the change is meant"
        raise DataError(f"the samples of {known.name} in {path} have changed", why=why, remedy=remedy)
    with contextlib.suppress(DataError):  # a cache that cannot be written is none
        if not book.is_file() or known.name not in book.read_text(encoding="utf-8"):
            write_json(held, make_folder(book.parent) / book.name)


def _absent(known: Known, place: Path) -> DataError:
    wanted = "cifar-10-python.tar.gz" if known.name == "cifar10" else "its four idx files"
    files = f"{known.name}.npz (x_train, y_train, x_test, y_test) or {wanted}"
    remedy = f"put {files} there, say where it is (root, --root), or allow the download (download=True, --download)"
    return DataError(f"{known.name} is not in {place}", remedy=remedy)


# by download


def _downloaded(known: Known, folder: Path) -> Raw:
    """Download into a folder that is thrown away, check, and keep one .npz file, whole or not at all."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=f".{known.name}.") as scratch:
        raw = _fetch(known, Path(scratch))
        verify(known, raw, f"the download of {known.name}")
    arrays: dict[str, Any] = {name: x.numpy().astype(np.uint8) for name, x in zip(PARTS, raw.parts, strict=True)}
    path = folder / f"{known.name}.npz"
    with writing(path) as file:
        np.savez_compressed(file, **arrays)
    _remember(known, raw, path)
    return raw


def _fetch(known: Known, scratch: Path) -> Raw:
    try:
        sets = importlib.import_module("torchvision.datasets")
    except ImportError:
        sets = None
    if sets is not None:
        _guarded(known, lambda: getattr(sets, known.torchvision)(str(scratch), download=True))
        found = next(_candidates(known, scratch), None)
        if found is None:
            raise DataError(f"the download of {known.name} left no files that are known")
        return read_bundle(found, known.md5)
    if not known.openml:
        raise MissingDependencyError(
            f"{known.name} is downloaded by torchvision, which is not installed",
            remedy=f"pip install torchvision, or put its files into {cache_folder()}",
        )
    try:
        from sklearn.datasets import fetch_openml
    except ImportError as error:
        raise MissingDependencyError(
            f"{known.name} is downloaded by torchvision or scikit-learn, and neither is installed",
            remedy="pip install 'splinegraph[train]'",
        ) from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x, y = _guarded(
            known,
            lambda: fetch_openml(
                known.openml, version=1, as_frame=False, return_X_y=True, data_home=str(scratch), parser="liac-arff"
            ),
        )
    return _of_openml(known, np.asarray(x), np.asarray(y))


def _of_openml(known: Known, x: Any, y: Any) -> Raw:
    count = known.counts[0]
    images = torch.from_numpy(x.astype(np.uint8)).reshape(-1, *known.shape)
    labels: Tensor = torch.from_numpy(y.astype(np.int64))
    return Raw(images[:count], labels[:count], images[count:], labels[count:])


def _guarded(known: Known, get: Callable[[], Any]) -> Any:
    try:
        return get()
    except Exception as error:  # of the network, of the archive, of the package itself
        what = " ".join(str(error).split())[:200] or type(error).__name__
        remedy = f"check the network, or put its files into {cache_folder()}"
        raise DataError(f"cannot download {known.name}", why=what, remedy=remedy) from error
