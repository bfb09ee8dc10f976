"""What every command and analysis reads its samples from: re-iterable, lazy, in bounded memory."""

from __future__ import annotations

import abc
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from splinegraph.errors import DataError, one_line

__all__ = ["Batch", "DataSource", "Piece", "dtype_name", "first_bad"]

Piece = tuple[tuple[Tensor, ...], Tensor | None]
"""Inputs, samples first, and labels."""


class Batch(NamedTuple):
    """Some samples.

    Parameters
    ----------
    inputs : tuple of Tensor of shape (B, *in)
        One per input.
    labels : Tensor of shape (B,), int64, or None
    start : int
        Index of the first of them in the source.
    """

    inputs: tuple[Tensor, ...]
    labels: Tensor | None
    start: int

    @property
    def size(self) -> int:
        """Number of samples."""
        return len(self.inputs[0])


class DataSource(abc.ABC):
    """Samples that can be gone through any number of times, in the same order each time.

    Subclasses say how to read consecutive pieces, `_pieces`, and may offer random access, `_rows`. Cutting,
    numbering and checking is done here, once.

    Parameters
    ----------
    name : str
        For messages: ``'x' in digits.npz``.
    shapes : tuple of tuple of int
        Of one sample, per input.
    dtypes : tuple of torch.dtype
    length : int or None
        Number of samples; None where only a pass over the data tells.
    labeled : bool
        Whether batches have labels.
    classes : tuple of str, optional
        Names of the classes, where they have any.
    notes : sequence of str
        What was chosen, cast, left out.
    """

    def __init__(
        self, name: str, shapes: Iterable[tuple[int, ...]], dtypes: Iterable[torch.dtype], *, length: int | None,
        labeled: bool = False, classes: tuple[str, ...] | None = None, notes: Iterable[str] = (),
    ) -> None:  # fmt: skip
        self.name, self.length, self.labeled, self.classes = one_line(name), length, labeled, classes
        self.shapes, self.dtypes, self._notes = tuple(map(tuple, shapes)), tuple(dtypes), tuple(map(one_line, notes))
        self._seen: int | None = None  # how many samples the last whole pass gave
        if length == 0:
            raise DataError(f"{name} holds no samples", why="the batch is empty", remedy="give at least one sample")
        for shape in self.shapes:
            if not math.prod(shape):
                raise DataError(f"a sample of {name} has shape {shape}", why="it is empty")

    @abc.abstractmethod
    def _pieces(self, size: int) -> Iterator[Piece]:
        """Yield all samples in order, in pieces of any length, better no longer than `size`."""

    def _rows(self, indices: Sequence[int]) -> Piece:
        """Return some samples, indices in ascending order and in range where the length is known.

        The default reads everything up to the last of them.
        """
        wanted, found, start = iter(indices), [], 0
        index = next(wanted, None)
        for inputs, labels in self._pieces(256):
            stop, places = start + len(inputs[0]), []
            while index is not None and index < stop:
                places.append(index - start)
                index = next(wanted, None)
            if places:
                found.append((tuple(x[places] for x in inputs), None if labels is None else labels[places]))
            start = stop
            if index is None:
                return join(found)
        raise no_sample(index or 0, start)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was chosen, cast, left out; a range of values is there once a pass has seen them all."""
        return self._notes

    def __len__(self) -> int:
        """Return the number of samples; TypeError where it is not known."""
        if self.length is None:
            raise TypeError(f"the number of samples of {self.name} is not known")
        return self.length

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        shapes = ", ".join(f"{dtype_name(d)} {s}" for d, s in zip(self.dtypes, self.shapes, strict=True))
        count = "an unknown number of" if self.length is None else self.length
        return f"<{type(self).__name__}: {self.name}, {count} samples, {shapes}{', labels' * self.labeled}>"

    def batches(self, size: int) -> Iterator[Batch]:
        """Yield all samples in order, `size` at a time; the last batch may be shorter.

        Parameters
        ----------
        size : int

        Raises
        ------
        DataError
            If a sample cannot be read, has another shape than the first, or holds NaN or infinite values; or
            if there are not as many samples as said, or as in the pass before.

        Notes
        -----
        Holds about two batches at a time, whatever the size of the data.
        """
        if size < 1:
            raise DataError(f"the batch size is {size}", remedy="give at least 1")
        start = 0
        for inputs, labels in recut(self._checked(size), size):
            yield Batch(inputs, labels, start)
            start += len(inputs[0])
        expected = self.length if self.length is not None else self._seen
        if not start:
            raise DataError(f"{self.name} holds no samples", why="the batch is empty" if expected is None else _AGAIN)
        if expected is not None and start != expected:
            raise DataError(f"{self.name} gave {start} samples", why=f"it had {expected}", remedy=_AGAIN)
        self._seen = start

    def _checked(self, size: int) -> Iterator[Piece]:
        start = 0
        for piece in self._pieces(size):
            self._check(piece, range(start, start + len(piece[0][0])))
            start += len(piece[0][0])
            yield piece

    def _check(self, piece: Piece, indices: Sequence[int]) -> None:
        for x, shape in zip(piece[0], self.shapes, strict=True):
            if tuple(x.shape[1:]) != shape:
                why = f"sample {indices[0]} has shape {tuple(x.shape[1:])}, the first one {shape}"
                raise DataError(f"the samples of {self.name} differ in shape", why=why)
            bad = first_bad(x)
            if bad is not None:
                where = f"sample {indices[bad]} of {self.name}"
                raise DataError(f"{where} holds NaN or infinite values", remedy="remove it or repair the data")

    def rows(self, indices: Iterable[int]) -> Batch:
        """Return chosen samples, in the order asked for.

        Parameters
        ----------
        indices : iterable of int
            Any may occur more than once; `start` of the batch is the first of them.

        Raises
        ------
        DataError
            If there is no such sample, or it cannot be read, or holds NaN or infinite values.

        Notes
        -----
        Where samples cannot be picked (compressed files, iterable datasets) everything before is read too.
        """
        asked = [int(i) for i in indices]
        if not asked:
            raise DataError(f"no samples of {self.name} were chosen", remedy="give at least one index")
        ordered = sorted(set(asked))
        for index in (ordered[0], ordered[-1]):
            if index < 0 or (self.length is not None and index >= self.length):
                raise no_sample(index, self.length)
        inputs, labels = self._rows(ordered)
        self._check((inputs, labels), ordered)
        places = {index: place for place, index in enumerate(ordered)}
        order = [places[i] for i in asked]
        return Batch(tuple(x[order] for x in inputs), None if labels is None else labels[order], asked[0])

    def take(self, count: int) -> DataSource:
        """Return the first `count` samples, read only when they are asked for.

        Raises
        ------
        DataError
            If `count` is no positive number.
        """
        from splinegraph.data.wrappers import Taken

        return Taken(self, count)

    def cast(self, *dtypes: torch.dtype) -> DataSource:
        """Return the same samples in other types, one per input or one for all.

        Integers become floating point as they are, 255 becomes 255.0, which the notes say.

        Raises
        ------
        DataError
            If floating point values are asked for as integers.
        """
        from splinegraph.data.wrappers import Cast

        return Cast(self, dtypes * len(self.dtypes) if len(dtypes) == 1 else dtypes)

    def label(self, labels: Tensor) -> DataSource:
        """Return the same samples with these labels, one integer per sample.

        Raises
        ------
        DataError
            If they are no integers, or not as many as samples.
        """
        from splinegraph.data.wrappers import Labeled

        return Labeled(self, labels)


_AGAIN = "data must be the same in each pass over them"


def dtype_name(dtype: torch.dtype) -> str:
    """Return 'uint8' for torch.uint8."""
    return str(dtype).removeprefix("torch.")


def unused(names: Iterable[str]) -> tuple[str, ...]:
    """Return a note on entries that are not looked at, if there are any."""
    found = sorted(names)
    more = f" and {len(found) - 5} more" if len(found) > 5 else ""
    return (f"not used: {', '.join(found[:5])}{more}",) if found else ()


def no_sample(index: int, count: int | None) -> DataError:
    """Say that there is no such sample."""
    most = f"from 0 to {count - 1}" if count else "a number from 0 on"
    return DataError(f"there is no sample {index}", remedy=f"choose {most}")


def first_bad(x: Tensor) -> int | None:
    """Return the first sample of (B, ...) with NaN or infinite values, if there is one."""
    if not (x.is_floating_point() or x.is_complex()) or not x.numel():
        return None
    # a sum is finite only if all entries are, and costs a tenth of asking each; it may overflow, so ask then
    if math.isfinite(abs(x.detach().sum().item())):
        return None
    bad = ~x.isfinite().reshape(len(x), -1).all(1)
    return int(bad.nonzero()[0]) if bool(bad.any()) else None


def join(pieces: Sequence[Piece]) -> Piece:
    """Return some pieces as one."""
    if len(pieces) == 1:
        return pieces[0]
    labels = [y for _, y in pieces if y is not None]
    inputs = tuple(torch.cat(xs) for xs in zip(*(xs for xs, _ in pieces), strict=True))
    return inputs, torch.cat(labels) if labels else None


def cut(piece: Piece, start: int, stop: int) -> Piece:
    """Return some of the samples of a piece."""
    inputs, labels = piece
    return tuple(x[start:stop] for x in inputs), None if labels is None else labels[start:stop]


def recut(pieces: Iterator[Piece], size: int) -> Iterator[Piece]:
    """Yield pieces of exactly `size` samples, and one with the rest."""
    held: list[Piece] = []
    count = 0
    for piece in pieces:
        start, length = 0, len(piece[0][0])
        while start < length:
            stop = min(length, start + size - count)
            held.append(piece if stop - start == length else cut(piece, start, stop))
            count, start = count + stop - start, stop
            if count == size:
                yield join(held)
                held, count = [], 0
    if held:
        yield join(held)
