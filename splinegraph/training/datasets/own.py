"""A user's own data: .npz files, folders of images, datasets of PyTorch, arrays."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from splinegraph.data.archive import is_archive, open_archive
from splinegraph.data.reading import read_data
from splinegraph.data.source import DataSource
from splinegraph.errors import DataError, MissingDependencyError
from splinegraph.training.datasets.data import Raw, fingerprint
from splinegraph.training.datasets.labels import spread

__all__ = ["PARTS", "TEST_SHARE", "read_digits", "read_own"]

TEST_SHARE = 5
"""Where there are no test samples, one in so many is kept for them."""

PARTS = ("x_train", "y_train", "x_test", "y_test")
"""Arrays of an .npz file or of a mapping."""

_TESTS = ("test", "val", "valid", "validation")
"""Sub-folders beside `train` whose images are tested on, in this order."""


def read_own(what: Any, image_size: int | tuple[int, int] | None = None) -> Raw:
    """Read training and test samples from whatever `read_data` takes.

    Parameters
    ----------
    what : path, mapping, Dataset, DataLoader, DataSource, or a pair of them
        A pair is (training, test), except a pair of tensors or arrays (x, y). An .npz file or a mapping may hold
        x_train, y_train, x_test and y_test, a folder sub-folders train and test.
    image_size : int or (height, width), optional
        Scale the images of a folder. Default: they have to have one size.

    Returns
    -------
    Raw
        Where there are no test samples, one in `TEST_SHARE` of those with labels is kept for them, the same ones
        each time and as many of each class as far as that is possible, which the notes say.

    Raises
    ------
    DataError
        If it cannot be read, has no labels, or holds NaN or infinite values.
    """
    if isinstance(what, (str, os.PathLike)):
        return _from_path(Path(os.fspath(what)), image_size)
    if isinstance(what, Mapping) and PARTS[0] in what:
        return _from_parts(what, set(map(str, what)), "the mapping")
    if not isinstance(what, tuple) or len(what) != 2:
        return _split(*_samples(read_data(what)))
    if all(map(_is_array, what)):
        return _split(*_samples(read_data(*what)))
    return _both(*(_samples(read_data(part)) for part in what))


def _is_array(value: Any) -> bool:
    return hasattr(value, "ndim") and hasattr(value, "dtype")


def _from_path(path: Path, image_size: int | tuple[int, int] | None) -> Raw:
    read = functools.partial(read_data, image_size=image_size)
    if path.is_dir() and (path / "train").is_dir():
        tests = [path / name for name in _TESTS if (path / name).is_dir()]
        train = read(path / "train")
        if not tests:
            return _split(*_samples(train))
        test = read(tests[0])
        if test.classes != train.classes:
            why = f"{', '.join(train.classes or ['none'])} and {', '.join(test.classes or ['none'])}"
            raise DataError(f"the classes in {path / 'train'} and {tests[0].name} differ", why=why)
        return _both(_samples(train), _samples(test))
    if path.is_file() and is_archive(path):
        found, refused = open_archive(path)
        names = {*found, *refused}
        if PARTS[0] in names:
            return _from_parts(path, names, str(path))
    return _split(*_samples(read(path)))


def _from_parts(what: Any, names: set[str], where: str) -> Raw:
    if PARTS[1] not in names or (PARTS[2] in names) != (PARTS[3] in names):
        missing = [name for name in PARTS if name not in names]
        raise DataError(f"{where} has no {missing[0]}", remedy=f"give {', '.join(PARTS)}, or the first two of them")
    train = _samples(read_data(what, "y_train", inputs=["x_train"]))
    return _both(train, _samples(read_data(what, "y_test", inputs=["x_test"]))) if PARTS[2] in names else _split(*train)


Samples = tuple[Tensor, Tensor, tuple[str, ...], tuple[str, ...]]
"""Inputs, classes, names of the classes, notes."""


def _samples(source: DataSource) -> Samples:
    """Return everything that a source holds."""
    if len(source.shapes) != 1:
        raise DataError(f"{source.name} has {len(source.shapes)} inputs", remedy="give data with one")
    if not source.labeled:
        why = "; ".join(source.notes)
        remedy = "give one integer per sample, -1 where the class is not known"
        raise DataError(f"{source.name} has no labels", why=why, remedy=remedy)
    xs, ys = [], []
    for batch in source.batches(1024):
        assert batch.labels is not None
        xs.append(batch.inputs[0].cpu())
        ys.append(batch.labels.cpu())
    notes = tuple(note for note in source.notes if not note.startswith("not used"))
    return _as_images(torch.cat(xs), source.name), torch.cat(ys), source.classes or (), notes


def _as_images(x: Tensor, name: str) -> Tensor:
    """Return images as (N, channels, height, width), vectors as they are.

    Raises
    ------
    DataError
        If it is neither.
    """
    if x.dim() == 3:
        return x[:, None]
    colors = (1, 3, 4)
    if x.dim() == 4 and x.shape[3] in colors and x.shape[1] not in colors:
        return x.permute(0, 3, 1, 2)
    if x.dim() not in (2, 4):
        remedy = "give images (N, channels, height, width), (N, height, width), or vectors (N, n)"
        raise DataError(f"a sample of {name} has shape {tuple(x.shape[1:])}", remedy=remedy)
    return x


def _both(train: Samples, test: Samples) -> Raw:
    (x, y, names, notes), (x_test, y_test, _, more) = train, test
    return Raw(x, y, x_test, y_test, names, tuple(dict.fromkeys((*notes, *more))))


def _split(x: Tensor, y: Tensor, names: tuple[str, ...] = (), notes: tuple[str, ...] = ()) -> Raw:
    """Keep some samples to test on, as many of each class as far as that is possible, the same ones each time."""
    known = int((y >= 0).sum())
    count = known // TEST_SHARE
    if not count:
        remedy = f"give test samples, or at least {TEST_SHARE} with labels"
        raise DataError(f"there are {known} samples with labels, too few to keep some to test on", remedy=remedy)
    test = torch.zeros(len(y), dtype=torch.bool)
    test[spread(y, count, torch.Generator().manual_seed(0))] = True
    own = f"there were no test samples: {count} of {len(y)} are kept for them"
    return Raw(x[~test], y[~test], x[test], y[test], names, (*notes, own))


DIGITS_SHA256 = "4e5f6c511bbc9ef08c9a3e4142882be92369ea62a970d9e1d902135dc0947bf7"
"""Of the samples in scikit-learn."""


def read_digits() -> Raw:
    """Read the 1797 digits, 8x8, that come with scikit-learn.

    Raises
    ------
    MissingDependencyError
        If it is not installed.
    DataError
        If they are not as published.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        remedy = "pip install 'splinegraph[train]', or give the path of other data"
        raise MissingDependencyError("the digits are in scikit-learn, which is not installed", remedy=remedy) from error
    held = load_digits()
    x, y = torch.from_numpy(held.images.astype("uint8"))[:, None], torch.from_numpy(held.target.astype("int64"))
    if fingerprint((x, y)) != DIGITS_SHA256:
        raise DataError("the digits of scikit-learn are not as published", remedy="install scikit-learn anew")
    return _split(x, y)
