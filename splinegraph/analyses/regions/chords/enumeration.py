"""All pieces of many segments, in chunks that fit in memory, in order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from splinegraph.analyses.batches import widest
from splinegraph.analyses.packing import Bytes
from splinegraph.analyses.regions.chords.subdivision import Overflow, Subdivision
from splinegraph.analyses.regions.chords.walking import ChordWalk
from splinegraph.analyses.regions.tolerances import THIN
from splinegraph.core.graph import SplineGraph

__all__ = ["Lift", "Pieces", "enumerate_pieces"]

Lift = Callable[[Tensor, Tensor], tuple[Tensor, ...]]
"""Gives the inputs, float64, at positions t on segments: (segment, t), both of shape (N,)."""

CHUNK = 2**21
"""Entries of a chunk's widest value: larger ones leave the cache, smaller ones pay per call."""

FEWEST = 64
"""Vertices that a chunk may always have."""


@dataclass(frozen=True, eq=False)
class Pieces:
    """Pieces of segments, sorted by segment and position.

    Parameters
    ----------
    segment : array of int64, shape (P,)
    low, high : array of float64, shape (P,)
        Where each begins and ends, in [0, 1].
    packed : array of uint8, shape (P, bytes)
    """

    segment: NDArray[np.int64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    packed: Bytes

    def __len__(self) -> int:
        return len(self.segment)

    @classmethod
    def concat(cls, parts: Sequence[Pieces], width: int) -> Pieces:
        """Return all pieces, in order; `width` bytes of codes each."""
        none = cls(np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0), np.zeros((0, width), dtype=np.uint8))
        parts = [none, *parts]
        names = "segment", "low", "high", "packed"
        return cls(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in names})

    def head(self, count: int) -> Pieces:
        """Return the first ones."""
        return Pieces(self.segment[:count], self.low[:count], self.high[:count], self.packed[:count])

    def merged(self) -> Pieces:
        """Return them without pieces that are too thin to have an interior, neighbors of equal code joined."""
        thick = self.high - self.low > 2 * THIN
        segment, packed = self.segment[thick], self.packed[thick]
        low, high = self.low[thick], self.high[thick]
        new = np.ones(len(segment), dtype=bool)
        new[1:] = (segment[1:] != segment[:-1]) | (packed[1:] != packed[:-1]).any(1)
        first = np.flatnonzero(new)
        last = np.append(first[1:], len(segment)) - 1 if len(first) else first
        segment, packed, low, high = segment[first], packed[first], low[first], high[last]
        same = segment[1:] == segment[:-1]
        inner = np.flatnonzero(same)
        meet = 0.5 * (high[inner] + low[inner + 1])  # apart only where something thin lay in between
        high[inner], low[inner + 1] = meet, meet
        begins, ends = np.append(True, ~same)[: len(segment)], np.append(~same, True)[: len(segment)]
        low[begins] = self.low[np.searchsorted(self.segment, segment[begins], "left")]
        high[ends] = self.high[np.searchsorted(self.segment, segment[ends], "right") - 1]
        return Pieces(segment, low, high, packed)


def enumerate_pieces(
    graph: SplineGraph,
    lift: Lift,
    count: int,
    *,
    device: torch.device,
    limit: int | None = None,
    deadline: float | None = None,
) -> tuple[Pieces, bool]:
    """Return the pieces of `count` segments, at most `limit`, and whether these are all.

    At the deadline (of `time.monotonic`) those of the chunks done are returned, at least of one.
    """
    walker = ChordWalk(graph, device)
    width = max((layer.stop for layer in walker.layers.values()), default=0)
    most = max(FEWEST, CHUNK // widest(graph))
    parts: list[Pieces] = []
    total, complete = 0, True
    for part in _chunks(walker, lift, count, most, device, deadline):
        if part is None:
            complete = False
            break
        parts.append(part)
        total += len(part)
        if limit is not None and total > limit:
            joined = Pieces.concat(parts, width).merged()
            parts, total = [joined], len(joined)
            if total > limit:
                complete = False
                break
    found = Pieces.concat(parts, width).merged()
    return (found if limit is None or complete else found.head(limit)), complete


def _chunks(
    walker: ChordWalk, lift: Lift, count: int, most: int, device: torch.device, deadline: float | None
) -> Iterator[Pieces | None]:
    """Yield pieces chunk by chunk; a segment too rich for one chunk is cut where its vertices are.

    None comes last if the deadline has passed with something left.
    """
    todo = [(torch.arange(count, device=device), *torch.tensor([[0.0], [1.0]]).double().to(device).expand(2, count))]
    size, begun = max(1, min(most // 4, 64)), False
    while todo:
        if begun and deadline is not None and time.monotonic() > deadline:
            yield None
            return
        segment, low, high = todo.pop()
        if len(segment) > size:
            todo.append((segment[size:], low[size:], high[size:]))
            segment, low, high = segment[:size], low[:size], high[:size]
        line = Subdivision(low, high, most)
        inputs = lift(segment.repeat_interleave(2), line.t)
        try:
            packed = walker.run(line, inputs)
        except Overflow as overflow:
            if len(segment) > 1:
                size = max(1, len(segment) // 2)
                todo.append((segment, low, high))
            else:
                todo.append(_shorter(segment, overflow.t, most))
                size = 1
            continue
        low, high = (line.t[v].cpu().numpy() for v in (line.left, line.left + 1))
        yield Pieces(segment[line.owner].cpu().numpy(), low, high, packed)
        begun = True
        size = max(1, min(4 * size, int(0.7 * most * len(segment) / len(line.t))))


def _shorter(segment: Tensor, t: Tensor, most: int) -> tuple[Tensor, Tensor, Tensor]:
    """Cut one segment into parts with about equally many of the vertices found so far."""
    t = t.unique()
    parts = max(2, -(-3 * len(t) // most))
    index = torch.linspace(0, len(t) - 1, parts + 1).round().long().to(t.device)
    ends = t[index].unique()
    return segment.expand(len(ends) - 1), ends[:-1], ends[1:]
