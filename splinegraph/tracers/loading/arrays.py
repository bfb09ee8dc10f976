"""Example inputs in files of numpy and torch. Nothing in them is executed."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from splinegraph.data.reading import input_names
from splinegraph.errors import DataError, TargetError
from splinegraph.tracers.loading.naming import a_few, files_near, reason
from splinegraph.tracers.loading.weights import PICKLES, read_plain

__all__ = ["read_tensors"]

SUFFIXES = (".npy", ".npz", ".pt", ".pth")


def read_tensors(path: Path, takes: Callable[[Sequence[str]], bool]) -> dict[str, Tensor]:
    """Return the tensors in a file, by name; '' and '0', '1', ... where they have none.

    Parameters
    ----------
    path : Path
    takes : callable
        Whether the model has arguments of these names. Of an .npz file where it has not, the arrays are
        read that would be the inputs in a file of data.

    Raises
    ------
    DataError
        If it is missing, damaged, holds objects that would execute code, or anything but numbers.
    """
    if not path.is_file():
        close = files_near(path, SUFFIXES)
        what = f"{path} is a folder" if path.is_dir() else f"there is no file {path}"
        raise DataError(what, remedy=f"did you mean {close[0]}?" if close else "give an .npy, .npz or .pt file")
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise DataError(f"{path} is no example input", remedy=f"give a file that ends in {', '.join(SUFFIXES)}")
    found = _from_torch(path) if suffix in PICKLES else _from_numpy(path, takes)
    if not found:
        raise DataError(f"{path} is empty", remedy="give at least one sample")
    for name, x in found.items():
        label = f"{name!r} in {path}" if name else str(path)
        if x.dim() == 0 or x.numel() == 0:
            raise DataError(f"{label} has shape {tuple(x.shape)}", remedy="give at least one sample, batch first")
        if x.is_floating_point() and not bool(x.isfinite().all()):
            raise DataError(f"{label} holds NaN or infinite values", remedy="give finite numbers")
    return found


def _from_numpy(path: Path, takes: Callable[[Sequence[str]], bool]) -> dict[str, Tensor]:
    try:
        with path.open("rb") as stream:  # which numpy leaves open where it fails
            held = np.load(stream, allow_pickle=False)  # objects would execute code
            if isinstance(held, np.ndarray):
                return {"": _tensor(held, str(path))}
            with held:
                names = held.files if takes(held.files) else input_names(held.files)
                if held.files and not names:
                    why = f"it has {a_few(held.files)}"
                    raise DataError(f"{path} holds no inputs", why=why, remedy="name the array of inputs x")
                return {key: _tensor(held[key], f"{key!r} in {path}") for key in names}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        why = "it is no file of numpy, or holds Python objects" if "pickle" in str(error) else reason(error)
        raise DataError(f"cannot read {path}", why=why, remedy="write it with numpy.save") from error


def _tensor(array: np.ndarray[Any, Any], label: str) -> Tensor:
    if array.dtype.kind not in "buif":
        raise DataError(f"{label} has dtype {array.dtype}", remedy="give numbers")
    if array.dtype.kind == "u" and array.dtype.itemsize > 1:  # torch does next to nothing with these
        array = array.astype(np.int64)
    wide = array.dtype.kind == "f" and array.dtype.itemsize > 8
    native = array.astype(np.float64) if wide else array.astype(array.dtype.newbyteorder("="), copy=False)
    return torch.from_numpy(np.ascontiguousarray(native) if native.ndim else native.copy())


def _from_torch(path: Path) -> dict[str, Tensor]:
    try:
        held = read_plain(path)
    except TargetError as error:
        remedy = "save the tensor alone, with torch.save"
        raise DataError(error.what, where=error.where, why=error.why, remedy=remedy) from error
    if isinstance(held, Tensor):
        return {"": held.detach()}
    items = held.items() if isinstance(held, Mapping) else enumerate(held) if isinstance(held, tuple | list) else ()
    named = {str(key): value for key, value in items}
    others = [name for name, value in named.items() if not isinstance(value, Tensor)]
    if others or not named:
        why = f"{a_few(others)} are no tensors" if others else f"it is a {type(held).__name__}"
        raise DataError(f"{path} holds no example input", why=why, remedy="save a tensor, or a tuple of them")
    return {name: value.detach() for name, value in named.items()}
