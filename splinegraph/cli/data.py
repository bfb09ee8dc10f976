"""Inputs and classes from a numpy file."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from splinegraph.errors import DataError

__all__ = ["Data", "load_data"]

INPUTS = ("x", "X", "inputs", "x_test")
CLASSES = ("y", "labels", "y_test")
"""Names that are looked for, in this order."""


@dataclass(frozen=True, eq=False)
class Data:
    """What a data file holds.

    Parameters
    ----------
    path : Path
    key : str
        Name of the array of inputs.
    x : Tensor of shape (B, *in), floating point
    y : Tensor of shape (B,), int64, or None
    notes : tuple of str
        What was done to them.
    """

    path: Path
    key: str
    x: Tensor
    y: Tensor | None
    notes: tuple[str, ...]


def load_data(path: Path, *, limit: int) -> Data:
    """Read the first `limit` samples of an .npz file; an .npy file holds inputs alone.

    Raises
    ------
    DataError
        If it cannot be read, or holds no usable inputs.
    """
    arrays = _read(path)
    key = next((k for k in INPUTS if k in arrays), None) or next((k for k in arrays if k not in CLASSES), None)
    if key is None:
        raise DataError(f"{path} holds no inputs", why=_held(arrays), remedy="name the array of inputs x")
    array = arrays[key]
    if array.ndim == 0 or array.dtype.kind not in "buif":
        raise DataError(
            f"{key!r} in {path} has shape {array.shape} and dtype {array.dtype}",
            remedy="give an array of numbers, samples first",
        )
    if len(array) == 0:
        raise DataError(f"{key!r} in {path} holds no samples", why="the batch is empty")
    notes = [f"data: {key!r} in {path}"]
    if len(array) > limit:
        notes.append(f"only the first {limit} of {len(array)} samples are looked at (--limit)")
    x, y = array[:limit], _classes(arrays, len(array), path, notes)
    if x.dtype.kind != "f":
        notes.append(f"the data are {x.dtype} and were cast to float as they are, from {x.min()} to {x.max()}")
    floats = x.astype(np.float64 if x.dtype.itemsize > 4 and x.dtype.kind == "f" else np.float32)
    return Data(path, key, torch.from_numpy(floats), None if y is None else y[:limit], tuple(notes))


def _read(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    if not path.is_file():
        raise DataError(f"there is no file {path}", remedy="give an .npz file with an array x")
    try:
        # pickled objects are refused: loading them would run code from a data file
        found = np.load(path, allow_pickle=False)
        if isinstance(found, np.ndarray):
            return {"x": found}
        with found:
            return {key: found[key] for key in found.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"cannot read {path}",
            why=reason[:300],
            remedy="give a file written by numpy.savez, without objects",
        ) from error


def _held(arrays: dict[str, np.ndarray[Any, Any]]) -> str:
    return f"it has {', '.join(arrays)}" if arrays else "it is empty"


def _classes(arrays: dict[str, np.ndarray[Any, Any]], count: int, path: Path, notes: list[str]) -> Tensor | None:
    """Return the classes, if there are any; what is no class is left out, with a note."""
    key = next((k for k in CLASSES if k in arrays), None)
    if key is None:
        return None
    y = arrays[key]
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1 or y.dtype.kind not in "bui":
        notes.append(f"{key!r} has shape {y.shape} and dtype {y.dtype}: no classes, so it is left out")
        return None
    if len(y) != count:
        raise DataError(f"{key!r} in {path} has {len(y)} entries for {count} samples")
    return torch.from_numpy(y.astype(np.int64))
