"""Exact one-dimensional regions: every breakpoint of a network along segments, many at a time."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from splinegraph.analyses.batches import chunks
from splinegraph.analyses.codes import ActivationPattern, Layer
from splinegraph.analyses.packing import Bytes
from splinegraph.analyses.provenance import Provenance
from splinegraph.analyses.regions.cells import Cells, code_layers
from splinegraph.analyses.regions.chords.enumeration import Pieces, enumerate_pieces
from splinegraph.analyses.regions.chords.slopes import slopes
from splinegraph.analyses.regions.tolerances import SAME_MAP
from splinegraph.core.domains.chart import Chart
from splinegraph.core.graph import SplineGraph, require_graph
from splinegraph.core.notebook import card
from splinegraph.errors import DomainError, ShapeError

__all__ = ["Chords", "chords", "segment_cells"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Chords:
    """The cells that S segments cross, in order; made by `splinegraph.chords`.

    Segment i has the pieces ``offsets[i]`` to ``offsets[i + 1]`` (excluded), and one breakpoint more than
    pieces: ``of(i)``.

    Parameters
    ----------
    graph : SplineGraph
    starts, ends : tuple of Tensor of shape (S, *in), float64
    layers : tuple of Layer
        Where the codes of each operator lie in `packed`.
    offsets : array of int64, shape (S + 1,)
    breakpoints : array of float64, shape (P + S,)
        Positions in [0, 1], increasing, both ends included; those of segment i begin at ``offsets[i] + i``.
    packed : array of uint8, shape (P, bytes)
        The code of each piece, as in `ActivationPattern`.
    complete : bool
        Whether all segments were followed to their ends.
    provenance : Provenance
    """

    graph: SplineGraph
    starts: tuple[Tensor, ...]
    ends: tuple[Tensor, ...]
    layers: tuple[Layer, ...]
    offsets: Ints
    breakpoints: Floats
    packed: Bytes
    complete: bool
    provenance: Provenance

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __repr__(self) -> str:
        part = "" if self.complete else ", incomplete"
        return f"<Chords: {len(self)} segments, {len(self.packed)} cells crossed{part}>"

    def _repr_html_(self) -> str:
        return card(self)

    def of(self, i: int) -> Floats:
        """Return the breakpoints of segment i, both ends included."""
        return self.breakpoints[self.offsets[i] + i : self.offsets[i + 1] + i + 1]

    def codes(self, i: int) -> ActivationPattern:
        """Return the codes of the pieces of segment i, in order."""
        return ActivationPattern(self.layers, self.packed[self.offsets[i] : self.offsets[i + 1]])

    def points(self, i: int) -> Any:
        """Return the inputs at the breakpoints of segment i, (breakpoints, *in); a tuple for several inputs."""
        found = self._at(np.full(len(self.of(i)), i), self.of(i))
        return found if len(found) > 1 else found[0]

    def _at(self, segment: Ints, t: Floats) -> tuple[Tensor, ...]:
        return _lift(self.starts, self.ends, torch.from_numpy(segment), torch.from_numpy(t))

    @functools.cached_property
    def owner(self) -> Ints:
        """The segment of each piece, shape (P,)."""
        return np.repeat(np.arange(len(self)), self.counts)

    @property
    def counts(self) -> Ints:
        """How many activation cells each segment crosses, shape (S,); those found, if incomplete."""
        return np.diff(self.offsets)

    @property
    def reached(self) -> Floats:
        """How far each segment was followed, shape (S,): 1 if to its end."""
        last: Floats = self.breakpoints[self.offsets[1:] + np.arange(len(self))]
        return last

    @property
    def widths(self) -> Floats:
        """Length of each piece, as a part of its segment, shape (P,)."""
        first = np.arange(len(self.packed)) + self.owner
        found: Floats = self.breakpoints[first + 1] - self.breakpoints[first]
        return found

    def midpoints(self, rows: Any = slice(None)) -> tuple[Tensor, ...]:
        """Return the inputs in the middle of (some) pieces, one tensor of shape (pieces, *in) per input."""
        first = (np.arange(len(self.packed)) + self.owner)[rows]
        return self._at(self.owner[rows], 0.5 * (self.breakpoints[first] + self.breakpoints[first + 1]))

    @functools.cached_property
    def slopes(self) -> Tensor:
        """A d on each piece, d the whole segment's direction: shape (P, out), outputs side by side.

        One forward-sized pass over all pieces, on first use.
        """
        directions = [b - a for a, b in zip(self.starts, self.ends, strict=True)]
        return slopes(self.graph, self.layers, self.packed, directions, torch.from_numpy(self.owner)).cpu()

    @functools.cached_property
    def linear_counts(self) -> Ints:
        """How many affine pieces the output has on each segment: cells with the same affine map are joined."""
        slope, owner = self.slopes, self.owner
        size = np.asarray(torch.linalg.vector_norm(slope, dim=1))
        change = np.asarray(torch.linalg.vector_norm(slope[1:] - slope[:-1], dim=1))
        largest = np.zeros(len(self))
        np.maximum.at(largest, owner, size)
        bends = change > SAME_MAP * largest[owner[1:]]
        if not self.graph.continuous:
            bends |= self._jumps(largest)
        joined: Ints = np.bincount(owner[1:][~bends & (owner[1:] == owner[:-1])], minlength=len(self))
        return self.counts - joined

    def _jumps(self, largest: Floats) -> NDArray[np.bool_]:
        """Return where the output jumps between a piece and the next."""
        with torch.no_grad():
            rows = [self.graph(*part) for part in chunks(self.graph, self.midpoints())]
        outputs = [row if isinstance(row, tuple) else (row,) for row in rows]
        value = torch.cat([torch.cat([y.detach().reshape(len(y), -1) for y in row], 1) for row in outputs]).cpu()
        half = 0.5 * torch.from_numpy(self.widths)[:, None] * self.slopes
        gap = torch.linalg.vector_norm((value[1:] - half[1:]) - (value[:-1] + half[:-1]), dim=1)
        scale = torch.linalg.vector_norm(value, dim=1).max() + float(largest.max())
        return np.asarray(gap > SAME_MAP * scale)

    @property
    def lengths(self) -> Floats:
        """Length of the curve that the output draws along each segment, l2: the sum of |A d| over the pieces."""
        speed = np.asarray(torch.linalg.vector_norm(self.slopes, dim=1))
        return np.bincount(self.owner, speed * self.widths, minlength=len(self)).astype(np.float64)

    @property
    def stale(self) -> bool:
        """Whether the weights have changed since."""
        return self.provenance.weights.stale

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe summary."""
        return {
            "segments": len(self),
            "cells": self.counts.tolist(),
            "linear_pieces": self.linear_counts.tolist(),
            "lengths": self.lengths.tolist(),
            "reached": self.reached.tolist(),
            "complete": self.complete,
            "provenance": self.provenance.to_dict(),
        }


def _lift(starts: Sequence[Tensor], ends: Sequence[Tensor], segment: Tensor, t: Tensor) -> tuple[Tensor, ...]:
    """Return the inputs at positions t of segments."""
    found = []
    for a, b in zip(starts, ends, strict=True):
        at = segment.to(a.device)
        found.append(torch.lerp(a[at], b[at], t.to(a).reshape(-1, *(1,) * (a.dim() - 1))))
    return tuple(found)


def chords(graph: SplineGraph, starts: Any, ends: Any, *, limit: int | None = None) -> Chords:
    """Return the cells that segments between pairs of inputs cross, with every breakpoint.

    Parameters
    ----------
    graph : SplineGraph
        Exactly piecewise affine; it may jump.
    starts, ends : Tensor of shape (S, *in), or tuple of them
        One per input of the graph.
    limit : int, optional
        Pieces, over all segments, after which to stop.

    Returns
    -------
    Chords

    Raises
    ------
    ShapeError
        If starts and ends do not fit the graph or each other.
    DomainError
        If a segment has no length.
    UnsupportedOperatorError
        If a node is not piecewise affine, or cannot say where it switches.

    Notes
    -----
    One walk over the graph for all segments of a chunk, with every vertex found so far as its batch: at a
    switching node the crossings are inserted and all live values interpolated. Float64 throughout. Costs
    about one forward pass over all breakpoints and a few comparisons per unit and breakpoint. Breakpoints
    closer than 2e-11 of a segment's length count as one.

    References
    ----------
    .. [1] M. Sotoudeh and A. V. Thakur, "Computing Linear Restrictions of Neural Networks", NeurIPS 2019.

    Examples
    --------
    >>> import torch, splinegraph as sg
    >>> graph = sg.trace(torch.nn.Sequential(torch.nn.ReLU()).eval(), torch.zeros(1, 2))
    >>> found = sg.chords(graph, torch.tensor([[-1.0, 3.0]]), torch.tensor([[1.0, -1.0]]))
    >>> found.of(0).tolist(), found.counts.tolist()
    ([0.0, 0.5, 0.75, 1.0], [3])
    """
    starts, ends = (_checked(graph, side) for side in (starts, ends))
    count = len(starts[0])
    if len(ends[0]) != count:
        raise ShapeError(f"{count} starts and {len(ends[0])} ends", remedy="give one end per start")
    ends = tuple(b.to(a.device) for a, b in zip(starts, ends, strict=True))
    gaps = [(a != b).reshape(count, -1).any(1) for a, b in zip(starts, ends, strict=True)]
    still = (~torch.stack(gaps).any(0)).nonzero()[:, 0].tolist()
    if still:
        raise DomainError("the ends of a segment are equal", where=f"segment {still[0]}", remedy="leave it out")
    pieces, complete = enumerate_pieces(
        graph, functools.partial(_lift, starts, ends), count, device=starts[0].device, limit=limit
    )
    counts = np.bincount(pieces.segment, minlength=count)
    provenance = Provenance.of(graph, dtype=torch.float64, seed=0, limit=limit)
    offsets = np.concatenate([[0], counts.cumsum()]).astype(np.int64)
    places = _with_ends(pieces, offsets)
    return Chords(graph, starts, ends, code_layers(graph), offsets, places, pieces.packed, complete, provenance)


def _checked(graph: SplineGraph, side: Any) -> tuple[Tensor, ...]:
    """Return one side of the segments as float64 tensors, or raise."""
    given = tuple(side) if isinstance(side, tuple | list) else (side,)
    require_graph(graph)
    graph.check_inputs(given)
    for name, x in zip(graph.inputs, given, strict=True):
        if not bool(x.isfinite().all()):
            raise ShapeError(f"input {name!r} holds NaN or infinite values", remedy="give finite numbers")
    return tuple(x.detach().double() for x in given)


def _with_ends(pieces: Pieces, offsets: Ints) -> Floats:
    """Return all breakpoints, those of each segment closed by its last end."""
    count = len(offsets) - 1
    found = np.zeros(len(pieces) + count)
    if len(pieces):
        begins = np.arange(len(pieces)) + pieces.segment
        found[begins + 1] = pieces.high
        found[begins] = pieces.low
    return found


def segment_cells(
    graph: SplineGraph, chart: Chart, *, limit: int | None = None, deadline: float | None = None
) -> tuple[Cells, Floats, bool]:
    """Return the cells of a domain with one free coordinate, in order, their breakpoints, and whether these are all.

    Parameters
    ----------
    chart : Chart
        With ``dim == 1``.
    limit : int, optional
        Cells after which to stop.
    deadline : float, optional
        Of `time.monotonic`; there is always a first part.

    Raises
    ------
    DomainError
        If the domain is not one-dimensional, or has an end at infinity.
    """
    if chart.dim != 1:
        raise DomainError(f"a domain of {chart.dim} free coordinates is no segment")
    lower, upper = float(chart.lower[0]), float(chart.upper[0])
    for g, h in zip(chart.G[:, 0].tolist(), chart.h.tolist(), strict=True):
        lower, upper = (max(lower, h / g), upper) if g < 0 else (lower, min(upper, h / g)) if g > 0 else (lower, upper)
    if not (np.isfinite(lower) and np.isfinite(upper)):
        raise DomainError("the segment has an end at infinity", remedy="give finite bounds")
    if lower >= upper:
        raise DomainError("the domain is empty or a single point", why=f"it goes from {lower:g} to {upper:g}")

    def lift(segment: Tensor, t: Tensor) -> tuple[Tensor, ...]:
        return chart.lift(torch.lerp(torch.tensor(lower).to(t), torch.tensor(upper).to(t), t)[:, None])

    pieces, complete = enumerate_pieces(graph, lift, 1, device=chart.origin.device, limit=limit, deadline=deadline)
    offsets = np.array([0, len(pieces)], dtype=np.int64)
    places = lower + (upper - lower) * _with_ends(pieces, offsets)
    middle, half = 0.5 * (places[1:] + places[:-1]), 0.5 * np.diff(places)
    return Cells(pieces.packed, middle[:, None], half), places, complete
