"""Upper bounds of linear functions of units, by putting lines in their place from the last block to the first."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.lipschitz.relaxing.lines import Lines
from splinegraph.analyses.lipschitz.rounding import roundoff

__all__ = ["Relaxed", "System"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class System:
    """What units see of inputs and of units of blocks before: u = forms.T z + offsets.

    Parameters
    ----------
    forms : array of shape (n0 + n, n)
    inputs : int
        n0.
    parts : sequence of slice
        The blocks, in order.
    """

    forms: Floats
    inputs: int
    parts: Sequence[slice]

    @functools.cached_property
    def reads(self) -> list[slice]:
        """Of each block the entries of z from the first to the last that it reads."""
        found = []
        for part in self.parts:
            used = np.flatnonzero(self.forms[: self.inputs + part.start, part].any(axis=1))
            found.append(slice(int(used[0]), int(used[-1]) + 1) if len(used) else slice(0, 0))
        return found

    def work(self, targets: int, upto: int) -> int:
        """Return the products that bounds of some targets take."""
        pairs = zip(self.reads[:upto], self.parts[:upto], strict=True)
        products: int = sum((r.stop - r.start) * (p.stop - p.start) for r, p in pairs)
        return 2 * targets * products


class Relaxed:
    """Units with lines in their place, block after block; R sources, which have lines and offsets of their own.

    Parameters
    ----------
    system : System
    offsets : array of shape (R, n)
    most : array of shape (n0,)
        The sizes that inputs can have.
    """

    def __init__(self, system: System, offsets: Floats, most: Floats) -> None:
        shape = offsets.shape
        self.system, self.offsets = system, offsets
        self.slope, self.half, self.height, self.gap, self.doubt = (np.zeros(shape) for _ in range(5))
        self.low, self.high = np.zeros(shape), np.zeros(shape)
        self.most = np.concatenate([np.broadcast_to(most, (shape[0], len(most))), np.zeros(shape)], axis=1)

    def level_sizes(self, part: slice) -> Floats:
        """Return bounds of the sizes of all sums that a block's levels go through, shape (R, units)."""
        read = self.system.reads[self.system.parts.index(part)]
        found = self.most[:, read] @ np.abs(self.system.forms[read, part])
        return np.asarray(found + np.abs(self.offsets[:, part])) * (1 + roundoff(read.stop - read.start))

    def put(self, part: slice, lines: Lines, sizes: Floats) -> None:
        """Put lines of shape (R, units) in place of a block's units, whose levels have these sizes."""
        self.slope[:, part], self.half[:, part] = (lines.above + lines.below) / 2, (lines.above - lines.below) / 2
        self.height[:, part], self.gap[:, part] = (lines.top + lines.bottom) / 2, (lines.top - lines.bottom) / 2
        self.low[:, part], self.high[:, part] = lines.low, lines.high
        most = np.maximum(np.abs(lines.low), np.abs(lines.high))
        self.most[:, self.system.inputs + part.start : self.system.inputs + part.stop] = most
        # a wrong last digit in how much of a unit is taken matters as much as the unit itself
        steep = np.maximum(np.abs(lines.above), np.abs(lines.below))
        self.doubt[:, part] = steep * sizes + np.maximum(np.abs(lines.top), np.abs(lines.bottom)) + most

    def intervals(self, part: slice) -> tuple[Floats, Floats]:
        """Return lower and upper bounds of what a block sees of units alone, offsets included, shape (R, units)."""
        n0, forms = self.system.inputs, self.system.forms
        known = slice(0, part.start)
        forms = forms[n0 : n0 + part.start, part]
        low, high = self.low[:, known], self.high[:, known]
        middle = ((low + high) / 2) @ forms + self.offsets[:, part]
        size = np.abs(forms)
        slack = roundoff(part.start) * (np.maximum(np.abs(low), np.abs(high)) @ size + np.abs(self.offsets[:, part]))
        spread = ((high - low) / 2) @ size + slack
        return middle - spread, middle + spread

    def above(self, rows: Floats, upto: int, sources: slice = slice(None)) -> tuple[Floats, Floats]:
        """Return upper bounds of rows @ z in terms of the inputs.

        Parameters
        ----------
        rows : array of shape (R, T, n0 + known)
            Of the sources, T functions each of z as far as the first `upto` blocks know it. Overwritten.
        upto : int
        sources : slice

        Returns
        -------
        rows : array of shape (R, T, n0)
        heights : array of shape (R, T)
            With a margin for the rounding of all sums, that of the rows included: a row that is off by little is a
            bound up to that little times the size of the unit.
        """
        n0, forms = self.system.inputs, self.system.forms
        R, T = rows.shape[:2]
        heights = np.zeros((R, T))
        gamma = roundoff(forms.shape[0])
        for part, read in zip(reversed(self.system.parts[:upto]), reversed(self.system.reads[:upto]), strict=True):
            mine = rows[:, :, n0 + part.start : n0 + part.stop]
            size = np.abs(mine)
            at = (sources, part)
            heights += (mine @ self.height[at][:, :, None])[:, :, 0]
            heights += (size @ (self.gap[at] + gamma * self.doubt[at])[:, :, None])[:, :, 0]
            moved = mine * self.slope[at][:, None] + size * self.half[at][:, None]
            heights += (moved @ self.offsets[at][:, :, None])[:, :, 0]
            if read.stop > read.start:
                block = forms[read, part].T
                rows[:, :, read] += (moved.reshape(R * T, -1) @ block).reshape(R, T, -1)
        return rows[:, :, :n0], heights
