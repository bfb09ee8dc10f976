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

Array = np.ndarray[Any, Any]

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
    found = _read(path)
    key = next(iter(found))
    array = found[key]
    if array.ndim == 0 or array.dtype.kind not in "buif":
        raise DataError(
            f"{key!r} in {path} has shape {array.shape} and dtype {array.dtype}",
            remedy="give an array of numbers, samples first",
        )
    if not array.size:
        raise DataError(f"{key!r} in {path} has shape {array.shape}", why="the batch is empty")
    notes = [f"data: {key!r} in {path}"]
    if len(array) > limit:
        notes.append(f"only the first {limit} of {len(array)} samples are looked at (--limit)")
    x, y = array[:limit], _classes(found, len(array), path, notes)
    if x.dtype.kind != "f":
        notes.append(f"the data are {x.dtype} and were cast to float as they are, from {x.min()} to {x.max()}")
    finite = np.isfinite(x).reshape(len(x), -1).all(1)
    if not finite.all():
        where = f"sample {int(finite.argmin())} of {key!r} in {path}"
        raise DataError(f"{where} holds NaN or infinite values", remedy="remove it or repair the data")
    wide = x.dtype.kind == "f" and x.dtype.itemsize > 4
    floats = torch.from_numpy(x.astype(np.float64 if wide else np.float32))
    return Data(path, key, floats, None if y is None else y[:limit], tuple(notes))


def _read(path: Path) -> dict[str, Array]:
    """Return the inputs and, if there are any, the classes; no other array is read."""
    if not path.is_file():
        raise DataError(f"there is no file {path}", remedy="give an .npz file with an array x")
    try:
        # pickled objects are refused: loading them would run code from a data file
        with path.open("rb") as stream:  # which numpy leaves open where it fails
            held = np.load(stream, allow_pickle=False)
            if isinstance(held, np.ndarray):
                return {"x": held}
            with held:
                return {key: held[key] for key in _choose(held.files, path)}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        if "pickle" in reason:
            reason = "it is no file of numpy, or holds Python objects"
        raise DataError(f"cannot read {path}", why=reason, remedy="give a file written by numpy.savez") from error


def _choose(names: list[str], path: Path) -> list[str]:
    """Return the name of the inputs, then that of the classes if they have one."""
    inputs = next((k for k in INPUTS if k in names), None) or next((k for k in names if k not in CLASSES), None)
    if inputs is None:
        why = f"it has {', '.join(names)}" if names else "it is empty"
        raise DataError(f"{path} holds no inputs", why=why, remedy="name the array of inputs x")
    return [inputs, *[k for k in CLASSES if k in names][:1]]


def _classes(found: dict[str, Array], count: int, path: Path, notes: list[str]) -> Tensor | None:
    """Return the classes, if there are any; what is no class is left out, with a note."""
    if len(found) < 2:
        return None
    key, y = list(found.items())[1]
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1 or y.dtype.kind not in "bui":
        notes.append(f"{key!r} has shape {y.shape} and dtype {y.dtype}: no classes, so it is left out")
        return None
    if len(y) != count:
        raise DataError(f"{key!r} in {path} has {len(y)} entries for {count} samples")
    return torch.from_numpy(y.astype(np.int64))
