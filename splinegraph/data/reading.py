"""`read_data`: whatever holds samples as one kind of source."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from splinegraph.data.archive import is_archive, is_array, open_archive, open_array
from splinegraph.data.arrays import ArraySource, Column, Memory, TensorSource, tensor, torch_dtype, usable
from splinegraph.data.datasets import is_dataset, open_dataset
from splinegraph.data.images import SUFFIXES, Mode, open_folder
from splinegraph.data.source import DataSource, unused
from splinegraph.errors import DataError

__all__ = ["CLASSES", "INPUTS", "read_data"]

INPUTS = ("x", "X", "inputs", "x_test")
CLASSES = ("y", "labels", "y_test")
"""Names of arrays that are looked for, in this order."""


def read_data(
    what: Any,
    labels: Any = None,
    *,
    limit: int | None = None,
    inputs: Sequence[str | int] | None = None,
    image_size: int | tuple[int, int] | None = None,
    image_mode: Mode | None = None,
) -> DataSource:
    """Open data as a source that can be read piece by piece, any number of times.

    Parameters
    ----------
    what : path, Tensor, array, tuple of them, mapping of arrays, Dataset, DataLoader or DataSource
        An .npz file or a mapping holds inputs ``x`` (or X, inputs, x_test; several are x0, x1, ...; else the
        first array) and perhaps classes ``y`` (or labels, y_test); an .npy file inputs alone. In a folder of
        images sub-folders are classes. An item of a dataset is a tensor, a tuple whose last entry is the
        class, or a dict. A tuple of tensors is one input each.
    labels : Tensor, array or sequence of int of shape (B,), or str, optional
        Classes, or the name of those in a file, mapping or dict.
    limit : int, optional
        Take the first samples only.
    inputs : sequence of str or int, optional
        Names of the arrays (keys of the dict, places in the tuple) that are the inputs, in the network's order.
    image_size : int or (height, width), optional
        Scale images. Default: images have to have one size.
    image_mode : {'RGB', 'L'}, optional
        Default: what the first image is.

    Returns
    -------
    DataSource
        Values as stored: integers stay integers, see `DataSource.cast`; images are float32 in [0, 1].

    Raises
    ------
    DataError
        If there is no such file, it is damaged, or it holds no usable samples. Python objects are never
        unpickled.

    Notes
    -----
    Reads headers and at most two samples; everything else is read in batches, when asked for.

    Examples
    --------
    >>> import torch
    >>> source = read_data(torch.arange(6.0).reshape(3, 2), [0, 1, 0])
    >>> [(batch.start, batch.labels.tolist()) for batch in source.batches(2)]
    [(0, [0, 1]), (2, [0])]
    """
    size = (image_size, image_size) if isinstance(image_size, int) else image_size
    source = _open(what, labels if isinstance(labels, str) else None, inputs, size, image_mode)
    if isinstance(labels, str) and not source.labeled:
        raise DataError(f"{source.name} has no labels {labels!r}", remedy="give one integer per sample")
    if labels is not None and not isinstance(labels, str):
        source = source.label(_as_tensor(labels, "the labels"))
    return source if limit is None else source.take(limit)


def _open(
    what: Any, label: str | None, inputs: Sequence[str | int] | None, size: tuple[int, int] | None, mode: Mode | None
) -> DataSource:
    if isinstance(what, DataSource):
        return what
    if isinstance(what, (str, os.PathLike)):
        if not os.fspath(what):
            raise DataError("the path of the data is empty", remedy="give a file or a folder")
        return _open_path(Path(os.fspath(what)), label, inputs, size, mode)
    if isinstance(what, Mapping):
        held: dict[str, Column] = {
            str(key): Memory(f"{str(key)!r}", _as_array(value, f"{key!r}")) for key, value in what.items()
        }
        return _choose(held, {}, "the mapping", inputs, label)
    if isinstance(what, Tensor):
        return TensorSource((what,))
    if isinstance(what, np.ndarray):
        return _single(Memory("the array", _as_array(what, "the array")))
    if isinstance(what, tuple) and any(isinstance(x, (Tensor, np.ndarray)) for x in what):
        return TensorSource(tuple(_as_tensor(x, "the array") for x in what))
    if is_dataset(what):
        return open_dataset(what, inputs=inputs, label=label)
    one_pass = " that can be gone through once only" if hasattr(what, "__next__") else ""
    raise DataError(
        f"cannot read data from a {type(what).__name__}{one_pass}",
        remedy="give a tensor, the path of an .npz or .npy file or of a folder of images, a Dataset or a DataLoader",
    )


def _open_path(
    path: Path, label: str | None, inputs: Sequence[str | int] | None, size: tuple[int, int] | None, mode: Mode | None
) -> DataSource:
    if path.is_dir():
        return open_folder(path, mode=mode, size=size)
    if not path.is_file():
        raise DataError(f"there is no file {path}", remedy=_near(path))
    if is_array(path):
        return _single(open_array(path))
    if is_archive(path):
        found, refused = open_archive(path)
        if not found and not refused:
            why = "it is a zip file without arrays, perhaps a file of PyTorch"
            raise DataError(f"cannot read {path}", why=why, remedy="give a file written by numpy.savez")
        return _choose(found, refused, str(path), inputs, label)
    kind = "it is a single image" if path.suffix.lower() in SUFFIXES else "it is no file of numpy"
    remedy = "give the folder that it lies in" if "image" in kind else "give an .npz or .npy file or a folder of images"
    raise DataError(f"cannot read {path}", why=kind, remedy=remedy)


def _near(path: Path) -> str:
    """Suggest files with a name like that."""
    try:
        names = [p.name for p in path.parent.iterdir() if p.suffix in (".npz", ".npy") or p.is_dir()]
    except OSError:
        return f"there is no folder {path.parent} either"
    close = difflib.get_close_matches(path.name, names, n=3, cutoff=0.6)
    if close:
        return f"did you mean {' or '.join(str(path.with_name(name)) for name in close)}?"
    return "give an .npz file with an array x, an .npy file or a folder of images"


def _single(column: Column) -> DataSource:
    bad = usable(column)
    if bad:
        raise DataError(f"cannot use {column.name}", why=bad, remedy="give an array of numbers, samples first")
    return ArraySource(column.name, [column])


# which arrays are what


def _choose(
    found: Mapping[str, Column], refused: Mapping[str, str], where: str, inputs: Sequence[str | int] | None,
    label: str | None,
) -> DataSource:  # fmt: skip
    names = [*found, *refused]
    chosen = [str(key) for key in inputs] if inputs else _inputs(names, label)
    if not chosen:
        why = f"it has {', '.join(names)}" if names else "it is empty"
        raise DataError(f"{where} holds no inputs", why=why, remedy="name the array of inputs x")
    for key in [*chosen, *([label] if label else [])]:
        if key in refused:
            raise DataError(f"cannot read {key!r} in {where}", why=refused[key], remedy="give an array of numbers")
        if key not in found:
            close = difflib.get_close_matches(key, names, n=1)
            remedy = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(names)}"
            raise DataError(f"there is no array {key!r} in {where}", remedy=remedy)
    for key in chosen:
        bad = usable(found[key])
        if bad:
            raise DataError(f"cannot use {key!r} in {where}", why=bad, remedy="give an array of numbers, samples first")
    notes: list[str] = []
    classes = label or next((key for key in CLASSES if key in names and key not in chosen), None)
    column = _classes(classes, found, refused, notes) if classes else None
    if label and column is None:
        raise DataError(notes[0].removesuffix(", so it is left out"), remedy="give one integer per sample")
    name = f"{' and '.join(map(repr, chosen))} in {where}"
    notes += unused({*names} - {*chosen, classes})
    return ArraySource(name, [found[key] for key in chosen], column, notes)


def _inputs(names: Sequence[str], label: str | None) -> list[str]:
    """Return the name of the inputs: one of `INPUTS`, else x0, x1, ..., else the first that is no class."""
    one = next((key for key in INPUTS if key in names), None)
    if one is not None:
        return [one]
    several: list[str] = []
    while f"x{len(several)}" in names:
        several.append(f"x{len(several)}")
    return several or [key for key in names if key not in CLASSES and key != label][:1]


def _classes(key: str, found: Mapping[str, Column], refused: Mapping[str, str], notes: list[str]) -> Column | None:
    """Return the classes; what is no class is left out, with a note."""
    if key in refused:
        notes.append(f"{key!r} is no array of classes ({refused[key]}), so it is left out")
        return None
    column = found[key]
    plain = len(column.shape) == 1 or (len(column.shape) == 2 and column.shape[1] == 1)
    if not plain or column.dtype.kind not in "bui":
        notes.append(f"{key!r} has shape {column.shape} and dtype {column.dtype}: no classes, so it is left out")
        return None
    return column


def _as_array(value: Any, name: str) -> Any:
    if isinstance(value, Tensor):
        return value.detach().cpu().numpy()
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise DataError(f"cannot use {name}", why="some of its values are masked", remedy="give all values")
    try:
        return np.asarray(value)
    except ValueError as error:
        raise DataError(
            f"cannot use {name}", why="its rows differ in length", remedy="give an array of numbers"
        ) from error


def _as_tensor(value: Any, name: str) -> Tensor:
    if isinstance(value, Tensor):
        return value
    array = _as_array(value, name)
    if array.dtype.kind not in "buif":
        raise DataError(f"cannot use {name}", why=f"dtype {array.dtype}", remedy="give numbers")
    return tensor(array, torch_dtype(array.dtype))
