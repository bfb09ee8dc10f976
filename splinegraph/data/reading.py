"""`read_data`: whatever holds samples as one kind of source."""

from __future__ import annotations

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
from splinegraph.data.near import files_near, near
from splinegraph.data.source import DataSource, unused
from splinegraph.errors import DataError, one_line

__all__ = ["CLASSES", "INPUTS", "input_names", "read_data"]

INPUTS = ("x", "X", "inputs", "x_test")
CLASSES = ("y", "labels", "y_test")
"""Names of arrays that are looked for, in this order."""

TORCH = (".pt", ".pth", ".bin", ".ckpt")
"""Files of `torch.save`, which are read as a whole: for one example input, not for data."""


def read_data(
    what: Any,
    labels: Any = None,
    *,
    limit: int | None = None,
    inputs: Sequence[str | int] | None = None,
    image_size: int | tuple[int, int] | None = None,
    image_mode: Mode | None = None,
    name: str = "",
) -> DataSource:
    """Open data as a source that can be read piece by piece, any number of times.

    Parameters
    ----------
    what : path, Tensor, array, tuple of them, mapping of arrays, Dataset, DataLoader or DataSource
        An .npz file or a mapping holds inputs ``x`` (or X, inputs, x_test; several are x0, x1, ...; else the
        first array) and perhaps classes ``y`` (or labels, y_test); an .npy file inputs alone. In a folder of
        images sub-folders are classes. An item of a dataset is a tensor, a dict, or a tuple of inputs whose
        last entry is the class if it is one integer. A tuple of tensors is one input each; in a tuple or
        list ``(x, y)`` of two a 1-D ``y`` of integers, one per sample, is the classes, unless `labels` or
        `inputs` are given.
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
    name : str, optional
        What to call the data in messages, where they are no file.

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
    if labels is None and inputs is None and _is_labeled_pair(what):
        what, labels = what
    source = _open(what, labels if isinstance(labels, str) else None, inputs, size, image_mode, name)
    if isinstance(labels, str) and not source.labeled:
        raise DataError(f"{source.name} has no labels {labels!r}", remedy="give one integer per sample")
    if labels is not None and not isinstance(labels, str):
        source = source.label(_as_tensor(labels, "the labels"))
    return source if limit is None else source.take(limit)


def _open(
    what: Any, label: str | None, inputs: Sequence[str | int] | None, size: tuple[int, int] | None, mode: Mode | None,
    name: str,
) -> DataSource:  # fmt: skip
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
        return _choose(held, {}, name or "the mapping", inputs, label)
    if isinstance(what, Tensor):
        return _named(TensorSource((what,)), name)
    if isinstance(what, np.ndarray):
        return _single(Memory(name or "the array", _as_array(what, name or "the array")))
    if isinstance(what, tuple) and any(isinstance(x, (Tensor, np.ndarray)) for x in what):
        tensors = tuple(_as_tensor(x, name or "the array") for x in what)
        return _named(TensorSource(_picked(tensors, inputs, name or "the tuple")), name)
    if is_dataset(what):
        return open_dataset(what, inputs=inputs, label=label, name=name)
    one_pass = " that can be gone through once only" if hasattr(what, "__next__") else ""
    raise DataError(
        f"cannot read data from {f'{name}, ' * bool(name)}a {type(what).__name__}{one_pass}",
        remedy="give a tensor, the path of an .npz or .npy file or of a folder of images, a Dataset or a DataLoader",
    )


def _is_labeled_pair(what: Any) -> bool:
    """Whether it is (x, y) with one integer in y per sample; a list of two tensors of one shape is two samples."""
    if (
        not isinstance(what, (tuple, list))
        or len(what) != 2
        or not all(isinstance(v, (Tensor, np.ndarray)) for v in what)
    ):
        return False
    x, y = what
    if y.ndim != 1 or not x.ndim or len(x) != len(y) or (isinstance(what, list) and x.ndim == 1):
        return False
    if isinstance(y, Tensor):
        return not (y.is_floating_point() or y.is_complex())
    return y.dtype.kind in "bui"


def _named(source: TensorSource, name: str) -> DataSource:
    source.name = one_line(name) or source.name
    return source


def _picked(tensors: tuple[Tensor, ...], inputs: Sequence[str | int] | None, where: str) -> tuple[Tensor, ...]:
    if not inputs:
        return tensors
    bad = [place for place in inputs if not isinstance(place, int) or not 0 <= place < len(tensors)]
    if bad:
        raise DataError(f"there is no tensor {bad[0]!r} in {where}", why=f"it holds {len(tensors)}, counted from 0")
    return tuple(tensors[int(place)] for place in inputs)


def _open_path(
    path: Path, label: str | None, inputs: Sequence[str | int] | None, size: tuple[int, int] | None, mode: Mode | None
) -> DataSource:
    if path.is_dir():
        return open_folder(path, mode=mode, size=size)
    if not path.is_file():
        raise DataError(f"there is no file {path}", remedy=_near(path))
    if is_array(path):
        return _single(open_array(path))
    if path.suffix.lower() in TORCH:
        raise DataError(
            f"{path} is a file of PyTorch, not of data",
            remedy="give it as an example input (--input on the command line), or write the samples with numpy.savez",
        )
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
    if not path.parent.is_dir():
        return f"there is no folder {path.parent} either"
    close = files_near(path, (".npz", ".npy"), folders=True)
    if close:
        return f"did you mean {' or '.join(map(str, close))}?"
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
    chosen = [str(key) for key in inputs] if inputs else input_names(names, label)
    if not chosen:
        why = f"it has {', '.join(names)}" if names else "it is empty"
        raise DataError(f"{where} holds no inputs", why=why, remedy="name the array of inputs x")
    for key in [*chosen, *([label] if label else [])]:
        if key in refused:
            raise DataError(f"cannot read {key!r} in {where}", why=refused[key], remedy="give an array of numbers")
        if key not in found:
            close = near(key, names)
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
    left = {*names} - {*chosen, classes}
    hint = "" if classes or not left else f"; classes are looked for under {', '.join(CLASSES)}"
    notes += [note + hint for note in unused(left)]
    return ArraySource(name, [found[key] for key in chosen], column, notes)


def input_names(names: Sequence[str], label: str | None = None) -> list[str]:
    """Return the names of the inputs: one of `INPUTS`, else x0, x1, ..., else the first that is no class."""
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
