"""Samples in arrays: in memory, memory-mapped, or compressed in an .npz file."""

from __future__ import annotations

import abc
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from splinegraph.data.source import DataSource, Piece
from splinegraph.errors import DataError

__all__ = ["ArraySource", "Column", "Memory", "torch_dtype", "usable"]

Array = np.ndarray[Any, Any]


class Column(abc.ABC):
    """One array, samples on its first axis.

    Parameters
    ----------
    name : str
        For messages.
    shape : tuple of int
    dtype : numpy.dtype
        As stored.
    """

    def __init__(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.name, self.shape, self.dtype = name, shape, dtype

    @abc.abstractmethod
    def blocks(self, size: int) -> Iterator[Array]:
        """Yield consecutive blocks of `size` rows, the last one shorter."""

    def rows(self, indices: Sequence[int]) -> Array:
        """Return some rows, in ascending order; the default reads everything up to the last."""
        step = max(1, 2**24 // max(row_bytes(self), 1))
        wanted = np.asarray(indices)
        found, start = [], 0
        for block in self.blocks(step):
            found.append(block[wanted[(wanted >= start) & (wanted < start + step)] - start])
            start += step
            if start > wanted[-1]:
                break
        return np.concatenate(found)


class Memory(Column):
    """An array in memory."""

    def __init__(self, name: str, array: Array) -> None:
        super().__init__(name, array.shape, array.dtype)
        self._array = array

    def blocks(self, size: int) -> Iterator[Array]:
        for start in range(0, len(self._array), size):
            yield self._array[start : start + size]

    def rows(self, indices: Sequence[int]) -> Array:
        return self._array[list(indices)]


class ArraySource(DataSource):
    """Inputs and classes in arrays.

    Parameters
    ----------
    name : str
    inputs : sequence of Column
    labels : Column or None
    notes : iterable of str
    """

    def __init__(
        self, name: str, inputs: Sequence[Column], labels: Column | None = None, notes: Iterable[str] = ()
    ) -> None:
        count = inputs[0].shape[0]
        for column in [*inputs[1:], *([labels] if labels else [])]:
            if column.shape[0] != count:
                raise DataError(f"{column.name} has {column.shape[0]} entries for {count} samples")
        self._inputs, self._labels = tuple(inputs), labels
        super().__init__(
            name, (c.shape[1:] for c in inputs), (torch_dtype(c.dtype) for c in inputs), length=count,
            labeled=labels is not None, notes=notes,
        )  # fmt: skip

    def _pieces(self, size: int) -> Iterator[Piece]:
        inputs = zip(*(column.blocks(size) for column in self._inputs), strict=True)
        if self._labels is None:
            yield from ((self._tensors(arrays), None) for arrays in inputs)
        else:
            for arrays, labels in zip(inputs, self._labels.blocks(size), strict=True):
                yield self._tensors(arrays), _classes(labels)

    def _rows(self, indices: Sequence[int]) -> Piece:
        labels = None if self._labels is None else _classes(self._labels.rows(indices))
        return self._tensors([column.rows(indices) for column in self._inputs]), labels

    def _tensors(self, arrays: Sequence[Array]) -> tuple[Tensor, ...]:
        return tuple(tensor(array, dtype) for array, dtype in zip(arrays, self.dtypes, strict=True))


class TensorSource(DataSource):
    """Tensors in memory, on their device.

    Parameters
    ----------
    tensors : tuple of Tensor of shape (B, *in)
    """

    def __init__(self, tensors: tuple[Tensor, ...]) -> None:
        sizes = {len(x) if x.dim() else -1 for x in tensors}
        if -1 in sizes:
            raise DataError("a tensor has no axis for the samples", remedy="give samples on the first axis")
        if len(sizes) > 1:
            raise DataError(f"the tensors have different numbers of samples: {', '.join(map(str, sorted(sizes)))}")
        if any(x.layout != torch.strided for x in tensors):
            raise DataError("a tensor is sparse", remedy="give x.to_dense()")
        if any(x.is_complex() for x in tensors):
            raise DataError("the data are complex", remedy="give real numbers")
        self._tensors = tuple(x.detach() for x in tensors)
        name = "the tensor" if len(tensors) == 1 else "the tensors"
        super().__init__(name, (x.shape[1:] for x in tensors), (x.dtype for x in tensors), length=sizes.pop())

    def _pieces(self, size: int) -> Iterator[Piece]:
        for start in range(0, len(self), size):
            yield tuple(x[start : start + size] for x in self._tensors), None

    def _rows(self, indices: Sequence[int]) -> Piece:
        return tuple(x[torch.tensor(indices, device=x.device)] for x in self._tensors), None


_KEPT = {"bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"}


def torch_dtype(dtype: np.dtype[Any]) -> torch.dtype:
    """Return the torch type that holds the values of a numpy type."""
    if dtype.kind == "f":
        name = f"float{8 * min(dtype.itemsize, 8)}"  # long double has no counterpart
    else:
        name = dtype.newbyteorder("=").name
    found: torch.dtype = getattr(torch, name if name in _KEPT else "int64")
    return found


def tensor(array: Array, dtype: torch.dtype) -> Tensor:
    """Copy an array of any byte order into a tensor."""
    wanted = np.dtype(str(dtype).removeprefix("torch."))
    if array.dtype.kind == "u" and array.dtype.itemsize == 8 and array.size and int(array.max()) > np.iinfo("i8").max:
        raise DataError("the data hold integers from 2^63 on", remedy="give smaller ones, or floating point")
    return torch.from_numpy(np.array(array, dtype=wanted, order="C"))


def usable(column: Column) -> str:
    """Return why an array cannot hold samples, or ''."""
    if not column.shape or column.dtype.kind not in "buif" or column.dtype.names:
        return f"it has shape {column.shape} and dtype {column.dtype}"
    return ""


def _classes(array: Array) -> Tensor:
    return tensor(array.reshape(len(array)), torch.int64)


def row_bytes(column: Column) -> int:
    """Return the bytes of one row."""
    return math.prod(column.shape[1:]) * column.dtype.itemsize
