"""PyTorch datasets and loaders, and anything like them: items by index, or one after another."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import nn
from torch.utils import data as torch_data

from splinegraph.data.items import ItemKeys, ItemReader, kind_name
from splinegraph.data.source import DataSource, Piece, dtype_name
from splinegraph.errors import DataError

__all__ = ["is_dataset", "open_dataset"]

T = TypeVar("T")


class Items(DataSource):
    """A dataset with items by index.

    Parameters
    ----------
    name : str
    dataset : anything with ``dataset[i]``
    order : sequence of int
        Which items, in this order.
    inputs, label
        Which entries of an item they are; by default what their names or places tell.
    collate : callable, optional
        Makes a batch of items.
    workers : int
        Processes that read.
    notes : sequence of str
    """

    def __init__(
        self, name: str, dataset: Any, order: Sequence[int], *, inputs: ItemKeys | None = None,
        label: str | int | None = None, collate: Callable[[list[Any]], Any] | None = None, workers: int = 0,
        notes: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self._dataset, self._order, self._workers = dataset, order, workers
        self._collate = collate or torch_data.default_collate
        if not len(order):
            raise DataError(f"{name} holds no samples", why="the batch is empty")
        first = _guarded(name, lambda: self._collate([dataset[order[0]]]))
        self._reader = ItemReader(name, first, inputs, label)
        (xs, labels), again = self._reader(first), _guarded(name, lambda: self._collate([dataset[order[0]]]))
        own = list(self._reader.notes)
        if not all(map(torch.equal, xs, self._reader(again)[0])):
            own.append("warning: the dataset gives other values each time it is read, such as by random augmentation")
        super().__init__(
            name, (x.shape[1:] for x in xs), (x.dtype for x in xs), length=len(order), labeled=labels is not None,
            notes=[*notes, *own],
        )  # fmt: skip

    def _pieces(self, size: int) -> Iterator[Piece]:
        yield from self._read(self._order, size, self._workers)

    def _rows(self, indices: Sequence[int]) -> Piece:
        return next(self._read([self._order[i] for i in indices], len(indices), 0))

    def _read(self, order: Sequence[int], size: int, workers: int) -> Iterator[Piece]:
        parts: Any = [order[start : start + size] for start in range(0, len(order), size)]
        loader: torch_data.DataLoader[Any] = torch_data.DataLoader(
            self._dataset, batch_sampler=parts, collate_fn=self._collate, num_workers=workers,
            generator=torch.Generator().manual_seed(0),
        )  # fmt: skip
        batches = _guarded_each(self.name, loader)
        for batch in batches:
            yield _typed(self._reader(batch), self.dtypes)


class Stream(DataSource):
    """A dataset, or a loader of one, that gives samples one after another.

    Parameters
    ----------
    name : str
    batches : callable
        Takes a size and returns a new iterator of collated batches of any size.
    inputs, label
        As in `Items`.
    notes : sequence of str
    """

    def __init__(
        self, name: str, batches: Callable[[int], Iterator[Any]], *, inputs: ItemKeys | None = None,
        label: str | int | None = None, notes: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self._batches = batches
        first = next(_guarded_each(name, batches(1)), None)
        if first is None:
            raise DataError(f"{name} holds no samples", why="the batch is empty")
        self._reader = ItemReader(name, first, inputs, label)
        xs, labels = self._reader(first)
        super().__init__(
            name, (x.shape[1:] for x in xs), (x.dtype for x in xs), length=None, labeled=labels is not None,
            notes=[*notes, *self._reader.notes],
        )  # fmt: skip

    def _pieces(self, size: int) -> Iterator[Piece]:
        for batch in _guarded_each(self.name, self._batches(size)):
            yield _typed(self._reader(batch), self.dtypes)


def _typed(piece: Piece, dtypes: Sequence[torch.dtype]) -> Piece:
    inputs, labels = piece
    for x, dtype in zip(inputs, dtypes, strict=True):
        if x.is_floating_point() != dtype.is_floating_point:
            raise DataError(f"some samples are {dtype_name(x.dtype)}, the first one is {dtype_name(dtype)}")
    return tuple(x.to("cpu", dtype) for x, dtype in zip(inputs, dtypes, strict=True)), labels


def _guarded(name: str, read: Callable[[], Any]) -> Any:
    try:
        return read()
    except Exception as error:  # whatever the user's own code raises
        what = " ".join(str(error).split())[:300]
        remedy = ""
        if isinstance(error, TypeError) and "default_collate" in what:
            what, remedy = what.partition("; found")[2] or what, "give tensors, such as by a transform"
        elif isinstance(error, RuntimeError) and "stack expects" in what:
            remedy = "give samples of one shape"
        raise DataError(f"cannot read {name}", why=f"{type(error).__name__}: {what}", remedy=remedy) from error


def _guarded_each(name: str, batches: Any) -> Iterator[Any]:
    end = object()
    iterator = _guarded(name, lambda: iter(batches))
    while (batch := _guarded(name, lambda: next(iterator, end))) is not end:
        yield batch


# from what the user gives


def is_dataset(value: Any) -> bool:
    """Whether samples can be read from it one by one."""
    if isinstance(value, (str, bytes, Mapping, type, nn.Module)):  # a Sequential has a length too
        return False
    if isinstance(value, (torch_data.Dataset, torch_data.DataLoader)):
        return True
    return hasattr(value, "__getitem__") and hasattr(value, "__len__")


def open_dataset(
    value: Any, *, inputs: ItemKeys | None = None, label: str | int | None = None, notes: Sequence[str] = (),
    name: str = "",
) -> DataSource:  # fmt: skip
    """Read from a dataset or loader in a fixed order.

    Parameters
    ----------
    value : Dataset, DataLoader, or a sequence of samples
        Its items are a tensor, a dict, or a tuple: of inputs, whose last entry is the class if it is an integer.
    inputs : sequence of str or int, optional
        Which entries of an item are the inputs of the network.
    label : str or int, optional
        Which entry is the class.
    notes : sequence of str
    name : str, optional
        For messages. Default: the type of the dataset.

    Raises
    ------
    DataError
        If it is empty, or its first item cannot be understood.

    Notes
    -----
    Reads the first item, twice. A loader that shuffles is read in the order of its dataset; one with another
    sampler in the order that it gives with seed 0.
    """
    if isinstance(value, torch_data.DataLoader):
        return _open_loader(value, inputs, label, notes, name or f"DataLoader of {kind_name(value.dataset)}")
    name = name or kind_name(value)
    if isinstance(value, torch_data.IterableDataset):
        return Stream(name, lambda size: _collated(value, size), inputs=inputs, label=label, notes=notes)
    length = _guarded(name, lambda: len(value))
    return Items(name, value, range(length), inputs=inputs, label=label, notes=notes)


def _collated(dataset: Any, size: int) -> Iterator[Any]:
    iterator = iter(dataset)
    while items := list(itertools.islice(iterator, size)):
        yield torch_data.default_collate(items)


def _open_loader(
    loader: torch_data.DataLoader[Any], inputs: ItemKeys | None, label: str | int | None, notes: Sequence[str],
    name: str,
) -> DataSource:  # fmt: skip
    dataset: Any = loader.dataset
    collate: Any = loader.collate_fn
    if isinstance(dataset, torch_data.IterableDataset):
        return Stream(name, lambda _: _seeded(loader, lambda: iter(loader)), inputs=inputs, label=label, notes=notes)
    order, remark = _order(loader)
    notes = [*notes, remark] if remark else notes
    if loader.batch_size is None and type(loader.batch_sampler) in (type(None), torch_data.BatchSampler):
        # then the items of the dataset are batches
        return Stream(name, lambda _: (collate(dataset[i]) for i in order), inputs=inputs, label=label, notes=notes)
    return Items(
        name, dataset, order, inputs=inputs, label=label, collate=collate, workers=loader.num_workers, notes=notes
    )


def _order(loader: torch_data.DataLoader[Any]) -> tuple[Sequence[int], str]:
    """Return the order in which to read a dataset, the same in each pass and each run, and what to say of it."""
    dataset: Any = loader.dataset
    if loader.batch_sampler is not None and type(loader.batch_sampler) is not torch_data.BatchSampler:
        drawn = _seeded(loader, lambda: [i for batch in loader.batch_sampler or () for i in batch])
        return drawn, f"the order of {type(loader.batch_sampler).__name__} was drawn once, with seed 0"
    sampler = loader.sampler
    if isinstance(sampler, torch_data.SequentialSampler):
        return range(len(dataset)), ""
    if isinstance(sampler, torch_data.RandomSampler) and not sampler.replacement:
        return range(len(dataset)), "the DataLoader shuffles: its dataset is read in order instead"
    drawn = _seeded(loader, lambda: list(sampler))
    return drawn, f"the order of {type(sampler).__name__} was drawn once, with seed 0"


def _seeded(loader: torch_data.DataLoader[Any], draw: Callable[[], T]) -> T:
    """Draw with seed 0, and leave all generators as they were."""
    samplers = (loader, loader.sampler, loader.batch_sampler, getattr(loader.batch_sampler, "sampler", None))
    found = [getattr(holder, "generator", None) for holder in samplers]
    generators = [g for g in found if isinstance(g, torch.Generator)]
    states = [g.get_state() for g in generators]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        try:
            for generator in generators:
                generator.manual_seed(0)
            return draw()
        finally:
            for generator, state in zip(generators, states, strict=True):
                generator.set_state(state)
