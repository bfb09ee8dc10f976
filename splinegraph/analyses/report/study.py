"""What all sections of a report look at: a graph and inputs, gone through in parts."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from splinegraph.analyses.batches import ENTRIES, chunks, promote, widest
from splinegraph.analyses.codes import ActivationPattern, Layer, codes
from splinegraph.core.graph import SplineGraph
from splinegraph.errors import DataError, TraceError

__all__ = ["Study", "Tally", "prepare"]

RANDOM_SAMPLES = (16, 1000)
"""How many random inputs to take where there are no data: at least, at most."""

RANDOM_ENTRIES = 2**24
"""Within those, how many entries of the widest operator: a large network should not take minutes for them."""

SHOWN = 5
"""How many samples' local maps to show where none are chosen."""


@dataclass(frozen=True, eq=False)
class Tally:
    """How often each unit of one layer was on each piece.

    Parameters
    ----------
    layer : Layer
    pieces : tuple of int
        The codes that occur, in ascending order.
    counts : Tensor of shape (pieces, units), int64
    """

    layer: Layer
    pieces: tuple[int, ...]
    counts: Tensor

    @property
    def samples(self) -> int:
        """Number of samples."""
        return int(self.counts[:, 0].sum()) if self.counts.shape[1] else 0

    @property
    def constant(self) -> Tensor:
        """Which units were on one piece for all samples, shape (units,), bool."""
        return (self.counts == self.samples).any(0)

    @property
    def differing_pairs(self) -> int:
        """Over all units, how many unordered pairs of samples differ there."""
        return (self.counts.shape[1] * self.samples**2 - int((self.counts**2).sum())) // 2


@dataclass(frozen=True, eq=False)
class Study:
    """A graph and inputs.

    Parameters
    ----------
    graph : SplineGraph
    inputs : tuple of Tensor of shape (B, *in)
        As given; cast to `dtype` part by part.
    random : bool
        Whether they are random numbers and no data.
    labels : Tensor of shape (B,), int64, or None
    at : tuple of int
        The samples whose local maps are shown.
    dtype : torch.dtype
    seed : int
    """

    graph: SplineGraph
    inputs: tuple[Tensor, ...]
    random: bool
    labels: Tensor | None
    at: tuple[int, ...]
    dtype: torch.dtype
    seed: int

    def __len__(self) -> int:
        return len(self.inputs[0])

    def parts(self) -> Iterator[tuple[Tensor, ...]]:
        """Yield the inputs in parts that fit in memory, cast to `dtype`."""
        for part in chunks(self.graph, self.inputs):
            yield promote(part, self.dtype)

    @functools.cached_property
    def pattern(self) -> ActivationPattern:
        """The activation patterns of all samples."""
        found = [codes(self.graph, *part, dtype=self.dtype) for part in self.parts()]
        return ActivationPattern(found[0].layers, np.concatenate([part.packed for part in found]))

    @functools.cached_property
    def tallies(self) -> tuple[Tally, ...]:
        """How often each unit was on each piece, layer by layer."""
        return tuple(_tally(self.pattern, layer) for layer in self.pattern.layers if layer.units)


def _tally(pattern: ActivationPattern, layer: Layer) -> Tally:
    step = max(1, ENTRIES // max(layer.units, 1))
    found: dict[int, Tensor] = {}
    for start in range(0, len(pattern), step):
        flat = pattern[start : start + step].unpack(layer.name).reshape(-1, layer.units)
        for piece in np.unique(flat.numpy()).tolist():
            found[piece] = found.get(piece, 0) + (flat == piece).sum(0)
    pieces = tuple(sorted(found))
    return Tally(layer, pieces, torch.stack([found[p] for p in pieces]))


# from what the user gives


def prepare(
    graph: SplineGraph, data: Tensor | tuple[Tensor, ...] | None, labels: Tensor | None,
    at: tuple[int, ...] | None, dtype: torch.dtype, seed: int,
) -> Study:  # fmt: skip
    """Check everything that the user gave, and fill in the rest."""
    if not isinstance(graph, SplineGraph):
        raise TraceError(
            f"analyze takes a SplineGraph, not a {type(graph).__name__}",
            remedy="trace it first: sg.analyze(sg.trace(model, example))",
        )
    inputs = _random(graph, seed) if data is None else data if isinstance(data, tuple) else (data,)
    count = graph.check_inputs(inputs)
    for x in inputs:
        _check_finite(x)
    chosen = tuple(range(min(SHOWN, count))) if at is None else tuple(at)
    for index in chosen:
        if not 0 <= index < count:
            raise DataError(f"there is no sample {index}", remedy=f"choose from 0 to {count - 1}")
    return Study(graph, inputs, data is None, _labels(labels, count), chosen, dtype, seed)


def _random(graph: SplineGraph, seed: int) -> tuple[Tensor, ...]:
    """Return standard normal inputs, fewer for large networks."""
    fewest, most = RANDOM_SAMPLES
    count = max(fewest, min(most, RANDOM_ENTRIES // widest(graph))) if graph.batched else fewest
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(count, *shape, generator=generator, dtype=torch.float64) for shape in graph.input_shapes)


def _check_finite(x: Tensor) -> None:
    bad = ~x.isfinite().reshape(len(x), -1).all(1)
    if bool(bad.any()):
        index = int(bad.nonzero()[0])
        raise DataError(f"sample {index} holds NaN or infinite values", remedy="remove it or repair the data")


def _labels(labels: Tensor | None, count: int) -> Tensor | None:
    if labels is None:
        return None
    if labels.is_floating_point() or labels.is_complex() or labels.dim() != 1:
        raise DataError(
            f"the labels have shape {tuple(labels.shape)} and dtype {labels.dtype}",
            remedy="give one integer per sample",
        )
    if len(labels) != count:
        raise DataError(f"there are {len(labels)} labels for {count} samples", remedy="give one label per sample")
    return labels.to(torch.int64)
