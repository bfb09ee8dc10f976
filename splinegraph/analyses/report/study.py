"""What all sections of a report look at: a graph and samples, gone through once for all of them."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from splinegraph.analyses import batches
from splinegraph.core.graph import SplineGraph
from splinegraph.data.reading import read_data
from splinegraph.data.source import DataSource
from splinegraph.errors import DataError, ShapeError, TraceError

__all__ = ["Chosen", "Collector", "Part", "Progress", "Study", "prepare"]

RANDOM_SAMPLES = (16, 1000)
"""How many random inputs to take where there are no data: at least, at most."""

RANDOM_ENTRIES = 2**24
"""Within those, how many entries of the widest operator: a large network should not take minutes for them."""

SHOWN = 5
"""How many samples' local maps to show where none are chosen."""

PART = 512
"""Most samples in one part: enough for speed, and few enough for progress to be seen."""

Progress = Callable[[str, int, int | None], None]
"""Called with a stage, how much of it is done, and of how much (None if not known)."""


class Part(NamedTuple):
    """Some samples, in the dtype of the analysis.

    Parameters
    ----------
    inputs : tuple of Tensor of shape (B, *in)
    labels : Tensor of shape (B,), int64, or None
    start : int
        Index of the first of them.
    """

    inputs: tuple[Tensor, ...]
    labels: Tensor | None
    start: int


class Collector(abc.ABC):
    """What a section needs to know of all samples: a subclass keeps sums and codes, never the samples.

    Parameters
    ----------
    study : Study
    """

    def __init__(self, study: Study) -> None:
        self.study = study

    @abc.abstractmethod
    def add(self, part: Part) -> None:
        """Take in the next samples."""


C = TypeVar("C", bound=Collector)


class Study:
    """A graph and samples.

    Parameters
    ----------
    graph : SplineGraph
    source : DataSource
        In the dtype of the analysis.
    random : bool
        Whether the samples are random numbers and no data.
    at : tuple of int, or None
        The samples whose local maps are shown; None for the first ones.
    dtype : torch.dtype
    seed : int
    """

    def __init__(
        self, graph: SplineGraph, source: DataSource, *, random: bool, at: tuple[int, ...] | None,
        dtype: torch.dtype, seed: int,
    ) -> None:  # fmt: skip
        self.graph, self.source, self.random, self.at = graph, source, random, at
        self.dtype, self.seed = dtype, seed
        self.samples = source.length
        self.first: tuple[Tensor, ...] = ()
        self._collected: dict[type[Collector], Collector | Exception] = {}

    def __len__(self) -> int:
        """Return the number of samples; it may take the pass to know it."""
        return len(self.source) if self.samples is None else self.samples

    def __getitem__(self, wanted: type[C]) -> C:
        """Return a collector after the pass, or raise what went wrong in it."""
        found = self._collected[wanted]
        if isinstance(found, Exception):
            raise found
        assert isinstance(found, wanted)
        return found

    def parts(self) -> Iterator[Part]:
        """Yield all samples in parts that fit in memory: another pass over the data."""
        fits = max(1, batches.ENTRIES // batches.widest(self.graph))
        for batch in self.source.batches(min(PART, fits) if self.graph.batched else 1):
            yield Part(*batch)

    def collect(self, wanted: Iterable[type[Collector]], progress: Progress) -> None:
        """Go through the data once, for all collectors; one that fails stops, and the others go on.

        Raises
        ------
        DataError
            If a sample cannot be read or is not finite, or one in `at` does not exist.
        """
        kinds = dict.fromkeys(wanted)
        if not kinds:
            return
        self._collected = {kind: kind(self) for kind in kinds}
        done = 0
        progress("data", 0, self.samples)
        for part in self.parts():
            if not done:
                self.first = tuple(x[:1] for x in part.inputs)
            for kind, collector in self._collected.items():
                if isinstance(collector, Collector):
                    self._collected[kind] = _fed(collector, part)
            done += len(part.inputs[0])
            progress("data", done, self.samples)
        self.samples = done
        self._check_at()

    def _check_at(self) -> None:
        for index in self.at or ():
            if index < 0 or (self.samples is not None and index >= self.samples):
                remedy = "choose one from 0 on" if self.samples is None else f"choose from 0 to {self.samples - 1}"
                raise DataError(f"there is no sample {index}", remedy=remedy)


def _fed(collector: Collector, part: Part) -> Collector | Exception:
    try:
        collector.add(part)
    except Exception as error:  # noqa: BLE001  # the sections that ask for it will show it
        return error
    return collector


class Chosen(Collector):
    """The samples whose local maps are shown, kept whole."""

    def __init__(self, study: Study) -> None:
        super().__init__(study)
        self._found: dict[int, tuple[tuple[Tensor, ...], Tensor | None]] = {}

    def add(self, part: Part) -> None:
        wanted = range(SHOWN) if self.study.at is None else self.study.at
        for index in wanted:
            place = index - part.start
            if 0 <= place < len(part.inputs[0]):
                label = None if part.labels is None else part.labels[place]
                self._found[index] = tuple(x[place].clone() for x in part.inputs), label

    @property
    def at(self) -> tuple[int, ...]:
        """Which samples, in the order asked for."""
        return tuple(sorted(self._found)) if self.study.at is None else self.study.at

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """Those samples, one tensor per input."""
        return tuple(map(torch.stack, zip(*(self._found[i][0] for i in self.at), strict=True)))

    @property
    def labels(self) -> list[int | None]:
        """Their labels."""
        found = [self._found[i][1] for i in self.at]
        return [None if label is None else int(label) for label in found]


# from what the user gives


def prepare(
    graph: SplineGraph, data: Any, labels: Any, at: Sequence[int] | None, limit: int | None, dtype: torch.dtype,
    seed: int,
) -> Study:  # fmt: skip
    """Check all that can be checked before the data are read, and fill in the rest."""
    if not isinstance(graph, SplineGraph):
        raise TraceError(
            f"analyze takes a SplineGraph, not a {type(graph).__name__}",
            remedy="trace it first: sg.analyze(sg.trace(model, example))",
        )
    random = data is None
    source = read_data(_random(graph, seed) if random else data, labels, limit=None if random else limit)
    _check_shapes(graph, source)
    chosen = None if at is None else tuple(int(index) for index in at)
    study = Study(graph, source.cast(dtype), random=random, at=chosen, dtype=dtype, seed=seed)
    study._check_at()
    return study


def _check_shapes(graph: SplineGraph, source: DataSource) -> None:
    if len(source.shapes) != len(graph.inputs):
        raise ShapeError(
            f"{graph.name} takes {len(graph.inputs)} input(s), {source.name} gives {len(source.shapes)}",
            remedy="give one per input, in this order: " + ", ".join(graph.inputs),
        )
    for name, expected, shape in zip(graph.inputs, graph.input_shapes, source.shapes, strict=True):
        if shape != expected:
            raise ShapeError(
                f"a sample of {source.name} has shape {shape}, expected {expected} for input {name!r}",
                remedy="give samples of that shape" + ", on a first axis" * (len(shape) < len(expected)),
            )


def _random(graph: SplineGraph, seed: int) -> tuple[Tensor, ...]:
    """Return standard normal inputs, fewer for large networks."""
    fewest, most = RANDOM_SAMPLES
    count = max(fewest, min(most, RANDOM_ENTRIES // batches.widest(graph))) if graph.batched else fewest
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(count, *shape, generator=generator, dtype=torch.float64) for shape in graph.input_shapes)
