"""Witnesses against convexity and concavity, from random chords."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from splinegraph.analyses.batches import chunks, widest
from splinegraph.analyses.convexity.place import Place
from splinegraph.analyses.convexity.verdict import Finding, entries
from splinegraph.analyses.convexity.witness import Witness
from splinegraph.analyses.regions.chords import Chords, chords
from splinegraph.core.graph import SplineGraph
from splinegraph.errors import UnsupportedOperatorError

__all__ = ["by_chords"]

Floats = NDArray[np.float64]

FIRST, GROWTH = 16, 4
"""Chords cut in the first round, and how many times more in each round after it."""

TRIPLES = 512
"""Triples of points in a row that are tried at a time."""

SHORTEST = 1e-3
"""Length of the shortest chords, relative to a segment between two random points of the domain."""

WORST = 16
"""Breakpoints around which the next chords are drawn: those that bend least."""

ENTRIES, LEAST = 2**27, 1000
"""Entries of the widest value that a round works out, and pieces that it does so for at least."""

MARGIN = 1e-12
"""Gaps at midpoints below this, relative to the largest output there, are not looked at."""

MORE = 2.0
"""How many times larger a gap must be than one of its kind that was lost in the rounding of values: to know costs."""

HOPELESS, TRIED = 1e6, 2
"""How many times larger than a gap the bound of its rounding is where others need not be looked at, and after how many
such gaps: the bound grows with depth, at all points alike."""

FALL = 1e-10
"""A slope falls if it does so by this, relative to the largest slope of its chord."""


def by_chords(
    graph: SplineGraph,
    place: Place,
    outputs: Sequence[int],
    *,
    count: int = 4000,
    seed: int = 0,
    deadline: float | None = None,
) -> dict[int, Finding]:
    """Look for witnesses along random chords of the domain.

    Parameters
    ----------
    graph : SplineGraph
    place : Place
    outputs : sequence of int
        Entries of the outputs, counted one behind the other.
    count : int, default 4000
        Chords at most.
    seed : int
    deadline : float, optional
        Of `time.monotonic`.

    Returns
    -------
    dict from entry to Finding
        Witnesses, as far as there are; never a certificate.

    Notes
    -----
    First some triples of points in a row, in one forward pass; networks that are not piecewise affine, or that jump,
    are left at that, with more of them. For others every breakpoint of chords, in rounds that grow: a slope that falls
    refutes convexity, one that rises concavity. Half of the chords of later rounds pass near the breakpoints where the
    slope rose (or fell) least. A witness counts where its gap exceeds the rounding of values, or holds in exact
    rationals.
    """
    hunt = _Hunt(graph, place, list(outputs))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        hunt.triples(min(TRIPLES, count), generator, deadline)
        try:
            if graph.exact and graph.continuous:
                hunt.cut(count, generator, deadline)
            else:
                hunt.triples(0 if hunt.hopeless else count, generator, deadline)
        except UnsupportedOperatorError as error:
            hunt.note = f"chords were tried at three points each: {error}"
            hunt.triples(count, generator, deadline)
    return {i: Finding(hunt.against.get((i, "convex")), hunt.against.get((i, "concave")), hunt.note) for i in outputs}


@dataclass(eq=False)
class _Hunt:
    """Witnesses found so far.

    Parameters
    ----------
    graph : SplineGraph
    place : Place
    outputs : list of int
    against : dict from (entry, 'convex' or 'concave') to Witness
    """

    graph: SplineGraph
    place: Place
    outputs: list[int]
    against: dict[tuple[int, str], Witness] = field(default_factory=dict)
    note: str = ""
    _swamped: int = 0  # how many gaps were far below the bound of their rounding
    _failed: dict[tuple[int, int], float] = field(default_factory=dict)  # largest share of a value lost in rounding

    def __post_init__(self) -> None:
        self.indices = entries(self.graph)

    @property
    def open(self) -> list[tuple[int, int, str]]:
        """What has no witness yet: entry, sign of the gap that refutes, and what is refuted."""
        wanted = [(i, sign, what) for i in self.outputs for sign, what in ((1, "convex"), (-1, "concave"))]
        return [w for w in wanted if (w[0], w[2]) not in self.against]

    def found(self, i: int, x: Sequence[Tensor], y: Sequence[Tensor], weight: float, gap: float) -> bool:
        """Keep a witness if it holds."""
        x, y = self.place.inside(x), self.place.inside(y)
        witness = Witness(self.graph, self.indices[i], x, y, weight, gap, "chords")
        if (i, witness.against) in self.against:
            return False
        if not witness.holds():
            self._swamped += not self.graph.exact and witness.rounded_gap[1] > HOPELESS * abs(gap)
            return False
        self.against[i, witness.against] = witness
        return True

    @property
    def hopeless(self) -> bool:
        """Whether rounding, as far as it can be bounded, hides all gaps."""
        return self._swamped >= TRIED and not self.against

    # three points

    def triples(self, count: int, generator: torch.Generator, deadline: float | None) -> None:
        """Try midpoints of chords of many lengths, later ones near those where the least was missing."""
        near: list[Tensor] | None = None
        for done in range(0, count, TRIPLES):
            if not self.open or (deadline is not None and time.monotonic() > deadline):
                return
            x, y = _chords(self.place, min(TRIPLES, count - done), generator, near)
            middle = [(a + b) / 2 for a, b in zip(x, y, strict=True)]
            values = torch.stack([_values(self.graph, side) for side in (middle, x, y)])
            largest = values.abs().amax(0)
            gaps = values[0] - (values[1] + values[2]) / 2
            rows = self._gaps(x, y, gaps.masked_fill(~largest.isfinite(), 0.0), largest)
            near = [m[rows] for m in middle]
            if self.hopeless:
                self.note = "the bound of rounding errors is far above all gaps on chords: none refutes anything"
                return

    def _gaps(self, x: list[Tensor], y: list[Tensor], gaps: Tensor, largest: Tensor) -> list[int]:
        """Keep the largest gaps at midpoints, and return where what is still open comes nearest to one."""
        share, worst = gaps / largest.clamp(min=torch.finfo(gaps.dtype).tiny), []
        wanted = self.open
        for i, sign, _ in wanted:
            row = int((sign * gaps[:, i]).argmax())
            gap = float(gaps[row, i])
            least = max(MARGIN, MORE * self._failed.get((i, sign), 0.0))
            kept = False
            if sign * gap > least * float(largest[row, i]) and not self.hopeless:
                kept = self.found(i, [a[row] for a in x], [b[row] for b in y], 0.5, gap)
                if not kept:
                    self._failed[i, sign] = sign * float(share[row, i])
            if not kept:
                worst += (-sign * share[:, i]).argsort()[: max(WORST // len(wanted), 1)].tolist()
        return worst[:WORST]

    # every breakpoint

    def cut(self, count: int, generator: torch.Generator, deadline: float | None) -> None:
        """Cut chords in rounds that grow."""
        done, round_, near = 0, FIRST, None
        while done < count and self.open and (deadline is None or time.monotonic() < deadline):
            round_ = min(round_, count - done)
            x, y = _chords(self.place, round_, generator, near)
            moving = torch.stack([(a != b).reshape(round_, -1).any(1) for a, b in zip(x, y, strict=True)]).any(0)
            if bool(moving.any()):
                starts, ends = (tuple(s[moving] for s in side) for side in (x, y))
                found = chords(self.graph, starts, ends, limit=max(ENTRIES // widest(self.graph), LEAST))
                near = self._bends(found)
            done, round_ = done + round_, GROWTH * round_

    def _bends(self, found: Chords) -> tuple[Tensor, ...] | None:
        """Look at all bends of some chords, and return points where the least of what is still open is."""
        slopes, owner, widths = found.slopes, found.owner, found.widths
        inner = np.flatnonzero(owner[1:] == owner[:-1])
        if not len(inner):
            return None
        step = (slopes[inner + 1] - slopes[inner]).numpy()
        steep = np.zeros((len(found), slopes.shape[1]))
        np.maximum.at(steep, owner, slopes.abs().numpy())
        share = np.asarray(step / np.maximum(steep[owner[inner]], np.finfo(float).tiny))
        left, right = widths[inner], widths[inner + 1]
        reach = left * right / (left + right)
        worst: list[int] = []
        wanted = self.open
        for i, sign, _ in wanted:
            gaps = np.where(-sign * share[:, i] > FALL, -sign * step[:, i] * reach, 0.0)
            for place in np.argsort(-gaps)[:3]:
                if gaps[place] <= 0 or self._kept(found, i, sign, int(inner[place])):
                    break
            rising = np.where(sign * share[:, i] > FALL, sign * share[:, i], np.inf)
            worst += np.argsort(rising)[: max(WORST // len(wanted), 1)].tolist()
        return _ends(found, inner[np.array(worst[:WORST], dtype=np.int64)])

    def _kept(self, found: Chords, i: int, sign: int, piece: int) -> bool:
        """Keep the witness at the breakpoint behind a piece, between the breakpoints for which its gap is largest."""
        row = int(found.owner[piece])
        part = slice(int(found.offsets[row]), int(found.offsets[row + 1]))
        t, slope = found.of(row), found.slopes[part, i].numpy()
        f = np.concatenate([[0.0], np.cumsum(slope * np.diff(t))])
        k = piece - part.start + 1
        a, b = t[:k, None], t[None, k + 1 :]
        weight = (b - t[k]) / (b - a)
        gaps = sign * (f[k] - weight * f[:k, None] - (1 - weight) * f[None, k + 1 :])
        p, q = np.unravel_index(int(gaps.argmax()), gaps.shape)
        if gaps[p, q] <= 0:
            return False
        ends = found._at(np.array([row, row]), np.array([t[p], t[k + 1 + q]]))
        x, y = [e[0].cpu() for e in ends], [e[1].cpu() for e in ends]
        return self.found(i, x, y, float(weight[p, q]), float(sign * gaps[p, q]))


def _ends(found: Chords, pieces: NDArray[np.int64]) -> tuple[Tensor, ...]:
    """Return the inputs at the breakpoints behind some pieces."""
    owner = found.owner[pieces]
    return tuple(x.cpu() for x in found._at(owner, found.breakpoints[pieces + owner + 1]))


def _chords(
    place: Place, count: int, generator: torch.Generator, near: Sequence[Tensor] | None = None
) -> tuple[list[Tensor], list[Tensor]]:
    """Return the ends of random chords of the domain; every other one near one of some points, if there are any."""
    first, second = place.sample(count, generator), place.sample(count, generator)
    share = SHORTEST ** torch.rand(count, generator=generator, dtype=torch.float64)
    share[::4] = 1.0
    center = [x.clone() for x in first]
    if near is not None and len(near[0]):
        pick = torch.randint(len(near[0]), (len(first[0][::2]),), generator=generator)
        for x, point in zip(center, near, strict=True):
            x[::2] = point[pick]
    starts, ends = [], []
    for c, a, b in zip(center, first, second, strict=True):
        r = share.reshape(-1, *(1,) * (c.dim() - 1))
        starts.append(c + r * (a - c))
        ends.append(c + r * (b - c))
    return starts, ends


def _values(graph: SplineGraph, xs: Sequence[Tensor]) -> Tensor:
    """Return all outputs, flattened and side by side, shape (B, out), float64."""
    rows = []
    for part in chunks(graph, tuple(xs)):
        value = graph(*part)
        parts = value if isinstance(value, tuple) else (value,)
        rows.append(torch.cat([v.reshape(len(v), -1).double() for v in parts], 1))
    return torch.cat(rows)
