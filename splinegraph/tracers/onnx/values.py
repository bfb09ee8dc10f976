"""What flows between ONNX nodes: tensors, and numbers known without the input's values (numpy arrays).

Sizes stay numpy arrays, so that shape arithmetic never enters the exported program. An array of dtype
object holds sizes of which some are symbolic.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from splinegraph.errors import TraceError

__all__ = ["NUMPY", "TORCH", "Array", "Value", "as_array", "integers", "is_static", "number", "tensor_of", "tidy"]

Array = np.ndarray[Any, Any]
Value = Tensor | Array | list[Any] | None
"""A tensor, a static array, a sequence of tensors, or an absent optional input."""

TORCH = {
    1: torch.float32, 2: torch.uint8, 3: torch.int8, 5: torch.int16, 6: torch.int32, 7: torch.int64,
    9: torch.bool, 10: torch.float16, 11: torch.float64, 16: torch.bfloat16,
}  # fmt: skip
"""ONNX's number of an element type to torch's type, where torch computes with it."""

NUMPY = {
    1: np.float32, 2: np.uint8, 3: np.int8, 4: np.uint16, 5: np.int16, 6: np.int32, 7: np.int64, 9: np.bool_,
    10: np.float16, 11: np.float64, 12: np.uint32, 13: np.uint64,
}  # fmt: skip
"""The same to numpy's type; what is missing has none."""

_SYMBOLS = (torch.SymInt, torch.SymFloat, torch.SymBool)


def is_static(value: Value) -> bool:
    """Return whether a value is known without the values of the input."""
    return isinstance(value, np.ndarray)


def tidy(array: Any) -> Array:
    """Return an array whose dtype is object only if an entry is symbolic."""
    found: Array = np.asarray(array)
    if found.dtype != object:
        return found
    entries = found.reshape(-1).tolist()
    if any(isinstance(entry, _SYMBOLS) for entry in entries):
        return found
    kinds = {type(entry) for entry in entries}
    dtype = np.float32 if float in kinds else np.bool_ if kinds == {bool} else np.int64
    return found.astype(dtype)


def as_array(sizes: Sequence[Any]) -> Array:
    """Return sizes, some maybe symbolic, as an array."""
    found = np.empty(len(sizes), dtype=object)
    for i, size in enumerate(sizes):
        found[i] = size
    return tidy(found)


def integers(value: Value, what: str) -> list[Any]:
    """Return a static value as a flat list of sizes.

    Raises
    ------
    TraceError
        If the value depends on the values of the input.
    """
    if not isinstance(value, np.ndarray):
        raise TraceError(
            f"{what} depends on the values of the input", remedy="export the model with this shape fixed"
        )  # fmt: skip
    return [entry if isinstance(entry, _SYMBOLS) else int(entry) for entry in value.reshape(-1).tolist()]


def number(value: Value, what: str) -> Any:
    """Return a static value of one entry as a Python number."""
    if not isinstance(value, np.ndarray):
        raise TraceError(f"{what} depends on the values of the input", remedy="export the model with it fixed")
    return value.reshape(-1).tolist()[0]


def tensor_of(array: Array, device: torch.device | None = None) -> Tensor:
    """Return a static array as a tensor; memory is shared where that is possible.

    Raises
    ------
    TraceError
        If the array holds what torch has no type for, such as text.
    """
    if array.dtype == object:
        if not all(isinstance(entry, (*_SYMBOLS, int, float)) for entry in array.reshape(-1).tolist()):
            raise TraceError("a text tensor has no torch counterpart", remedy="cut the text processing off the file")
        entries = [torch.scalar_tensor(entry, dtype=_dtype_of(entry), device=device) for entry in array.reshape(-1)]
        return torch.stack(entries).reshape(array.shape)
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(_writable(array).view(np.int16)).view(torch.bfloat16).to(device)
    try:
        return torch.from_numpy(_writable(array)).to(device)
    except TypeError as error:
        raise TraceError(
            f"values of type {array.dtype} have no torch counterpart", remedy="convert the file to float32"
        ) from error


def _dtype_of(entry: Any) -> torch.dtype:
    return torch.float32 if isinstance(entry, float | torch.SymFloat) else torch.int64


def _writable(array: Array) -> Array:
    """Return the array in native byte order, copied if its memory cannot be written to."""
    array = np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C")
    return array if array.flags.writeable and array.flags.c_contiguous else array.copy()
