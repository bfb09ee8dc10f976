"""What all sections of a report look at: a graph and samples, gone through once for all of them."""

from __future__ import annotations

import abc
import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from splinegraph.analyses import batches
from splinegraph.analyses.codes import ActivationPattern
from splinegraph.analyses.provenance import Weights
from splinegraph.analyses.report.random_inputs import embedded, random_inputs
from splinegraph.analyses.report.tokens import as_embeddings
from splinegraph.analyses.report.values import Check, Section
from splinegraph.core.graph import SplineGraph, require_graph
from splinegraph.data.reading import read_data
from splinegraph.data.source import DataSource
from splinegraph.errors import DataError, ShapeError, require_seed

__all__ = ["Chosen", "Collector", "Part", "Progress", "Study", "prepare"]

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

    Notes
    -----
    `add` works on a shallow copy, which takes effect only if all collectors have seen the part: so an interrupt
    leaves them at the same sample. It has to replace what it changes (``self.names = [*self.names, name]``),
    not write into it.
    """

    def __init__(self, study: Study) -> None:
        self.study = study

    @abc.abstractmethod
    def add(self, part: Part) -> None:
        """Take in the next samples, replacing what changes."""


C = TypeVar("C", bound=Collector)


class Study:
    """A graph and samples.

    Parameters
    ----------
    graph : SplineGraph
    source : DataSource
        In the dtype of the analysis.
    random : bool
        Whether the samples are random and no data.
    at : tuple of int, or None
        The samples whose local maps are shown; None for the first ones.
    dtype : torch.dtype
    seed : int
    token_orders : bool
        Whether they are random orders of the embeddings of the example's tokens.
    """

    def __init__(
        self, graph: SplineGraph, source: DataSource, *, random: bool, at: tuple[int, ...] | None,
        dtype: torch.dtype, seed: int, token_orders: bool = False,
    ) -> None:  # fmt: skip
        self.graph, self.source, self.random, self.at = graph, source, random, at
        self.dtype, self.seed, self.token_orders = dtype, seed, token_orders
        self.samples = source.length
        self.interrupted = ""  # where, if the pass did not come to its end
        self.first: tuple[Tensor, ...] = ()
        self.last_codes: tuple[Part, ActivationPattern] | None = None  # of the last part, see `patterns.part_codes`
        self.made: dict[str, Section] = {}  # the sections so far, for one that sums them up
        self.checks: list[Check] = []
        self.weights = Weights(graph)
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

    def checked(
        self, part: str, name: str, passed: bool | None, detail: str, tolerance: float | None = None,
        difference: float | None = None,
    ) -> None:  # fmt: skip
        """Keep what a section checked; `passed` is None if it was not run, and `detail` then says why."""
        self.checks.append(Check(name, part, passed, detail, tolerance, difference))

    def find(self, wanted: type[C]) -> C | None:
        """Return a collector after the pass; None if no section asked for it, or it failed."""
        found = self._collected.get(wanted)
        return found if isinstance(found, wanted) else None

    def parts(self) -> Iterator[Part]:
        """Yield all samples in parts that fit in memory: another pass over the data."""
        fits = max(1, batches.ENTRIES // batches.widest(self.graph))
        for batch in self.source.batches(min(PART, fits) if self.graph.batched else 1):
            yield Part(*batch)

    def collect(self, wanted: Iterable[type[Collector]], progress: Progress) -> None:
        """Go through the data once, for all collectors; one that fails stops, and the others go on.

        An interrupt (KeyboardInterrupt) ends the pass: all collectors hold the same samples, and `interrupted`
        says how many.

        Raises
        ------
        DataError
            If a sample cannot be read or is not finite, or one in `at` does not exist.
        """
        kinds = dict.fromkeys(wanted)
        if not kinds:
            return
        self._collected = {kind: kind(self) for kind in kinds}
        done, total = 0, self.samples
        try:
            progress("data", 0, total)
            for part in self.parts():
                if not done:
                    self.first = tuple(x[:1] for x in part.inputs)
                fed = {kind: _fed(collector, part) for kind, collector in self._collected.items()}
                stop = done + len(part.inputs[0])
                self._collected, done = fed, stop
                progress("data", done, total)
        except KeyboardInterrupt:
            self.interrupted = (
                f"interrupted after {done} of {'an unknown number of' if total is None else total} samples"
            )
        self.samples, self.last_codes = done, None
        if not self.interrupted:
            self._check_at()
        elif not done:
            raise KeyboardInterrupt  # there is nothing to make sections of

    def _check_at(self) -> None:
        for index in self.at or ():
            if index < 0 or (self.samples is not None and index >= self.samples):
                remedy = "choose one from 0 on" if self.samples is None else f"choose from 0 to {self.samples - 1}"
                raise DataError(f"there is no sample {index}", remedy=remedy)


def _fed(collector: Collector | Exception, part: Part) -> Collector | Exception:
    """Return a collector that has seen a part too, or what went wrong; the one given stays as it is."""
    if isinstance(collector, Exception):
        return collector
    collector = copy.copy(collector)
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
        found = dict(self._found)
        for index in wanted:
            place = index - part.start
            if 0 <= place < len(part.inputs[0]):
                label = None if part.labels is None else part.labels[place]
                found[index] = tuple(x[place].clone() for x in part.inputs), label
        self._found = found

    @property
    def at(self) -> tuple[int, ...]:
        """Which samples, in the order asked for; those that were come to."""
        wanted = sorted(self._found) if self.study.at is None else self.study.at
        return tuple(index for index in wanted if index in self._found)

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
    require_graph(graph)
    seed = require_seed(seed)
    random = data is None
    drawn, orders = random_inputs(graph, seed) if random else (data, False)
    source = read_data(drawn, labels, limit=None if random else limit)
    source = source if random else as_embeddings(graph, source, dtype)
    _check_shapes(graph, source)
    chosen = None if at is None else tuple(int(index) for index in at)
    cast = source.cast(dtype)
    study = Study(graph, cast, random=random, at=chosen, dtype=dtype, seed=seed, token_orders=orders)
    study._check_at()
    return study


def _check_shapes(graph: SplineGraph, source: DataSource) -> None:
    if len(source.shapes) != len(graph.inputs):
        raise ShapeError(
            f"{graph.name} takes {len(graph.inputs)} input(s), {source.name} gives {len(source.shapes)}",
            why=_tokens(*embedded(graph)),
            remedy="give one per input, in this order: " + ", ".join(graph.inputs),
        )
    for name, expected, shape in zip(graph.inputs, graph.input_shapes, source.shapes, strict=True):
        if shape != expected:
            why = _tokens(*{name}.intersection(embedded(graph)))
            raise ShapeError(
                f"a sample of {source.name} has shape {shape}, expected {expected} for input {name!r}", why=why,
                remedy="give samples of that shape" + ", on a first axis" * (len(shape) < len(expected) and not why),
            )  # fmt: skip


def _tokens(*names: str) -> str:
    """Say what inputs are that come after an embedding; '' without such inputs."""
    if not names:
        return ""
    which = "input " + ", ".join(map(repr, names)) if len(names) == 1 else "each of " + ", ".join(map(repr, names))
    return (
        f"{which} is the output of an embedding at the token ids of the example (give them by --input), and data "
        "are samples of that output, or token ids as many as there"
    )
