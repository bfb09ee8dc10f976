"""Data sources made of others: the first samples, other types, labels beside the inputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from splinegraph.data.source import DataSource, Piece, cut, dtype_name, no_sample
from splinegraph.errors import DataError

__all__ = ["Cast", "Labeled", "Taken", "as_labels"]


class Taken(DataSource):
    """The first `count` samples of another source; nothing after them is read."""

    def __init__(self, source: DataSource, count: int) -> None:
        if count < 1:
            raise DataError(f"the limit is {count}", remedy="give at least 1")
        self._source, self._count = source, count
        length = source.length
        if length is None:
            self._own: tuple[str, ...] = (f"at most the first {count} samples are looked at (limit)",)
        else:
            self._own = (f"only the first {count} of {length} samples are looked at (limit)",) * (length > count)
        super().__init__(
            source.name, source.shapes, source.dtypes, length=None if length is None else min(length, count),
            labeled=source.labeled, classes=source.classes,
        )  # fmt: skip

    @property
    def notes(self) -> tuple[str, ...]:
        return self._source.notes + self._own

    def _pieces(self, size: int) -> Iterator[Piece]:
        left = self._count
        for piece in self._source._pieces(min(size, left)):
            yield cut(piece, 0, left)
            left -= len(piece[0][0])
            if left <= 0:
                return

    def _rows(self, indices: Sequence[int]) -> Piece:
        if indices[-1] >= self._count:
            raise no_sample(indices[-1], self._count)
        return self._source._rows(indices)


class Cast(DataSource):
    """The samples of another source in other types."""

    def __init__(self, source: DataSource, dtypes: Sequence[torch.dtype]) -> None:
        if len(dtypes) != len(source.dtypes):
            raise DataError(f"{source.name} has {len(source.dtypes)} inputs, not {len(dtypes)}")
        self._source = source
        for held, wanted in zip(source.dtypes, dtypes, strict=True):
            if held.is_floating_point and not wanted.is_floating_point:
                raise DataError(
                    f"{source.name} holds {dtype_name(held)}", why=f"the input is {dtype_name(wanted)}",
                    remedy="give integers",
                )  # fmt: skip
        self._integers = [
            place
            for place, (held, wanted) in enumerate(zip(source.dtypes, dtypes, strict=True))
            if wanted.is_floating_point and not held.is_floating_point
        ]
        self._ranges: dict[int, tuple[int, int]] = {}
        super().__init__(
            source.name, source.shapes, dtypes, length=source.length, labeled=source.labeled, classes=source.classes
        )

    @property
    def notes(self) -> tuple[str, ...]:
        return self._source.notes + tuple(map(self._note, self._integers))

    def _note(self, place: int) -> str:
        which = f" of input {place + 1}" * (len(self.dtypes) > 1)
        low_high = self._ranges.get(place)
        span = "" if low_high is None else f", from {low_high[0]} to {low_high[1]}"
        return f"the data{which} are {dtype_name(self._source.dtypes[place])} and were cast to float as they are{span}"

    def _pieces(self, size: int) -> Iterator[Piece]:
        seen: dict[int, tuple[int, int]] = {}
        for inputs, labels in self._source._pieces(size):
            for place in self._integers:
                low, high = (int(v) for v in torch.aminmax(inputs[place]))
                before = seen.get(place, (low, high))
                seen[place] = min(low, before[0]), max(high, before[1])
            yield self._cast(inputs), labels
        self._ranges = seen

    def _rows(self, indices: Sequence[int]) -> Piece:
        inputs, labels = self._source._rows(indices)
        return self._cast(inputs), labels

    def _cast(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(x.to(dtype) for x, dtype in zip(inputs, self.dtypes, strict=True))


class Labeled(DataSource):
    """The samples of another source, with labels given apart."""

    def __init__(self, source: DataSource, labels: Tensor) -> None:
        self._source, self._labels = source, as_labels(labels)
        if source.length is not None and len(self._labels) != source.length:
            raise self._mismatch(source.length)
        super().__init__(
            source.name, source.shapes, source.dtypes, length=source.length, labeled=True, classes=source.classes
        )

    def _mismatch(self, count: int) -> DataError:
        what = f"there are {len(self._labels)} labels for {count} samples"
        return DataError(what, remedy="give one label per sample")

    @property
    def notes(self) -> tuple[str, ...]:
        return self._source.notes

    def _pieces(self, size: int) -> Iterator[Piece]:
        start = 0
        for inputs, _ in self._source._pieces(size):
            stop = start + len(inputs[0])
            if stop > len(self._labels):
                raise DataError(f"there are {len(self._labels)} labels for more samples", remedy="give one per sample")
            yield inputs, self._labels[start:stop]
            start = stop
        if start != len(self._labels):
            raise self._mismatch(start)

    def _rows(self, indices: Sequence[int]) -> Piece:
        if indices[-1] >= len(self._labels):
            raise no_sample(indices[-1], len(self._labels))
        return self._source._rows(indices)[0], self._labels[list(indices)]


def as_labels(labels: Tensor) -> Tensor:
    """Return labels as int64 of shape (B,).

    Raises
    ------
    DataError
        If they are no integers, one per sample.
    """
    if labels.dim() == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.is_floating_point() or labels.is_complex() or labels.dim() != 1:
        raise DataError(
            f"the labels have shape {tuple(labels.shape)} and dtype {dtype_name(labels.dtype)}",
            remedy="give one integer per sample",
        )
    return labels.detach().cpu().to(torch.int64)
