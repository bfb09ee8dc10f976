"""Cutting pieces of segments where the units of one operator switch, and the codes on the pieces that result."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from splinegraph.analyses.regions.chords.crossings import (
    STEP,
    contest_codes,
    contest_crossings,
    per_owner_max,
    raise_to,
    slack,
)
from splinegraph.analyses.regions.chords.subdivision import Subdivision
from splinegraph.analyses.regions.tolerances import ON_BOUNDARY
from splinegraph.core.switching import Breaks, Contest, Switching
from splinegraph.operators.base import exceeds

__all__ = ["Snaps", "cut"]

Rows = Callable[[], Tensor]
"""Gives the flattened arguments, side by side, at the present vertices: shape (V, entries)."""


Snaps = tuple[Tensor, Tensor, Tensor]
"""Entries that are at a level, but for rounding: (vertex, unit, level)."""


def cut(line: Subdivision, switching: Switching, rows: Rows, sizes: Sequence[int]) -> tuple[Tensor, Snaps | None]:
    """Insert a vertex wherever a unit switches.

    Parameters
    ----------
    sizes : sequence of int
        Entries of each argument in a row.

    Returns
    -------
    code : Tensor of shape (P, units)
        Of every piece.
    snaps : Snaps or None
        What has to be set so that a unit that is flat on a piece is exactly so.
    """
    if isinstance(switching, Breaks):
        return _cut_at_breaks(line, switching, rows)
    return _cut_contest(line, switching, rows, sizes), None


# breakpoints


@dataclass(frozen=True, eq=False)
class _Tied:
    """Which entries are at a level, decided on the whole segment; worked out only where there is a doubt."""

    line: Subdivision
    x: Tensor
    level: float

    @property
    def doubtful(self) -> float:
        """A bound of all tolerances."""
        low, high = self.x.aminmax()
        return ON_BOUNDARY * (max(abs(float(low)), abs(float(high))) + abs(self.level))

    def slack(self, piece: Tensor, unit: Tensor) -> Tensor:
        """Return the tolerance of some units on some pieces."""
        line, size = self.line, int(self.line.segment[-1]) + 1
        difference = per_owner_max((self.x - self.level).abs(), line.segment, size)
        largest = per_owner_max(self.x.abs().amax(1), line.segment, size)
        return slack(difference, largest)[line.owner[piece], unit]


def _cut_at_breaks(line: Subdivision, breaks: Breaks, rows: Rows) -> tuple[Tensor, Snaps | None]:
    x, snaps = rows(), None
    levels = breaks.breakpoints.unique().tolist()
    met = [_level_crossings(line, x, level) for level in levels]
    if any(len(m.piece) for m in met):
        vertex = line.insert(torch.cat([m.piece for m in met]), torch.cat([m.position for m in met]))
        level = torch.cat([m.position.new_full(m.position.shape, v) for m, v in zip(met, levels, strict=True)])
        snaps = vertex, torch.cat([m.unit for m in met]), level
        x = rows()
    middle = x[:-1] + x[1:]
    middle = middle if len(middle) == len(line.left) else middle[line.left]
    code = torch.full(middle.shape, breaks.first, dtype=torch.int32, device=x.device)
    for level, closed in zip(breaks.breakpoints.tolist(), breaks.closed_left.tolist(), strict=True):
        code += _above(line, x, middle, level, closed)
    return code, snaps


@dataclass(frozen=True, eq=False)
class _Met:
    """Where entries meet a level: on which piece, where along it (0 and 1 are its ends), which entry."""

    piece: Tensor
    position: Tensor
    unit: Tensor


def _level_crossings(line: Subdivision, x: Tensor, level: float) -> _Met:
    """Return where entries pass a level."""
    above = exceeds(x, level)
    changes = above[:-1] != above[1:]
    changes = changes if len(changes) == len(line.left) else changes[line.left]
    piece, unit = changes.nonzero(as_tuple=True)
    left = line.left[piece]
    low, high = x[left, unit] - level, x[left + 1, unit] - level
    tied = _Tied(line, x, level)
    near = torch.minimum(low.abs(), high.abs())
    doubt = (near <= tied.doubtful).nonzero()[:, 0]
    position = low / (low - high)
    if len(doubt):
        at_end = doubt[near[doubt] <= tied.slack(piece[doubt], unit[doubt])]
        position[at_end] = (low[at_end].abs() > high[at_end].abs()).to(position)
    return _Met(piece, position, unit)


def _above(line: Subdivision, x: Tensor, middle: Tensor, level: float, closed: bool) -> Tensor:
    """Return which entries are above a level on each piece; those that are on it all along go left if `closed`."""
    above = exceeds(middle, 2 * level)
    tied = _Tied(line, x, level)
    piece, unit = ((middle - 2 * level).abs() <= 2 * tied.doubtful).nonzero(as_tuple=True)
    if len(piece):
        left = line.left[piece]
        far = torch.maximum((x[left, unit] - level).abs(), (x[left + 1, unit] - level).abs())
        flat = far <= tied.slack(piece, unit)
        above[piece[flat], unit[flat]] = 0 if closed else 1
    return above


# contests


def _cut_contest(line: Subdivision, contest: Contest, rows: Rows, sizes: Sequence[int]) -> Tensor:
    device = line.t.device
    column, depth = contest.columns(sizes).to(device), contest.ranks.to(device)
    done: list[tuple[Tensor, Tensor, int]] = []
    number = torch.empty(contest.units, dtype=torch.int64, device=device)  # of a unit within its rank
    before: _Rank | None = None
    for rank in range(int(depth.max()) + 1 if contest.units else 0):
        units = (depth == rank).nonzero()[:, 0]
        number[units] = torch.arange(len(units), device=device)
        parent = None if before is None else number[contest.after.to(device)[units]]
        now = _Rank(line, column[units], contest.largest, rows, before, parent)
        code = now.cut()
        done.append((units, code, line.stage))
        before = now
    code = torch.zeros(len(line.left), contest.units, dtype=torch.int64, device=device)
    for units, found, stage in done:
        code[:, units] = found[line.ancestors(stage)]
    return code


class _Rank:
    """Contests with the same number of contests ahead of them."""

    def __init__(
        self, line: Subdivision, column: Tensor, largest: bool, rows: Rows, before: _Rank | None, parent: Tensor | None
    ) -> None:
        self.line, self.column, self.sign, self.rows = line, column, 1.0 if largest else -1.0, rows
        self.before, self.parent = before, parent
        self.out: Tensor | None = None
        self.code, self.stage = column[:0], 0

    def cut(self) -> Tensor:
        """Insert vertices and return the codes."""
        x, segments = self.rows(), int(self.line.segment[-1]) + 1
        self._exclude()
        shape = segments, len(self.column)
        difference, largest = x.new_zeros(shape), per_owner_max(x.abs().amax(1), self.line.segment, segments)
        for block, left, right in self._blocks(x):
            for side in (left, right):
                least = side.masked_fill(side == -torch.inf, torch.inf).amin(-1)
                spread = (side.amax(-1) - least).nan_to_num(0.0, 0.0, 0.0)
                raise_to(difference, self.line.owner[block], spread)
        tolerance = slack(difference, largest)
        found = []
        for block, left, right in self._blocks(x):
            piece, position = contest_crossings(left, right, tolerance[self.line.owner[block]])
            found.append((piece + block.start, position))
        before = self.line.stage
        self.line.insert(*(torch.cat(parts) for parts in zip(*found, strict=True)))
        if self.line.stage != before:
            x = self.rows()
            self._exclude()
        codes = [contest_codes(a, b, tolerance[self.line.owner[block]]) for block, a, b in self._blocks(x)]
        self.code, self.stage = torch.cat(codes), self.line.stage
        return self.code

    def _exclude(self) -> None:
        """Work out which places are out: those of the winners ahead."""
        if self.before is None or self.parent is None:
            return
        above = self.line.ancestors(self.before.stage)
        won = self.before.code[above][:, self.parent]
        out = torch.zeros(*won.shape, self.column.shape[1], dtype=torch.bool, device=won.device)
        out.scatter_(-1, won[..., None], True)
        if self.before.out is not None:
            out |= self.before.out[above][:, self.parent]
        self.out = out

    def _blocks(self, x: Tensor) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """Yield blocks of pieces with the candidates at both ends, (pieces, units, width)."""
        missing, column = self.column < 0, self.column.clamp(min=0)
        step = max(1, STEP // max(column.numel(), 1))
        for start in range(0, len(self.line.left), step):
            block = slice(start, start + step)
            left = self.line.left[block]
            out = missing if self.out is None else missing | self.out[block]
            low, high = ((self.sign * x[v][:, column]).masked_fill(out, -torch.inf) for v in (left, left + 1))
            yield block, low, high
