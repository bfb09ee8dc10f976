"""Better lines through kinks, for each bound its own, by some steps of descent."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.lipschitz.domain import Domain
from splinegraph.analyses.lipschitz.relaxing.backward import Relaxed
from splinegraph.analyses.lipschitz.units import Units

__all__ = ["improved"]

Floats = NDArray[np.float64]

STEPS = 12

RATE, DECAY = 0.4, 0.85
"""Size of the first step, relative to the range of slopes, and how it shrinks."""


def improved(units: Units, domain: Domain, relaxed: Relaxed, ends: tuple[Floats, Floats], rows: Floats) -> Floats:
    """Return upper bounds of functions of z with lines through kinks that are chosen for each of them.

    Parameters
    ----------
    units : Units
    domain : Domain
    relaxed : Relaxed
        With lines in place of the blocks that are known.
    ends : pair of array of shape (known units,)
        Where their levels are.
    rows : array of shape (T, n0 + known units)

    Returns
    -------
    array of shape (T,)
        The best bound of all steps: any slope between both of a kink's gives one.

    References
    ----------
    .. [1] K. Xu et al., "Fast and Complete: Enabling Complete Neural Network Verification with Rapid and Massively
       Parallel Incomplete Verifiers", ICLR 2021.
    """
    own = _Own(units, relaxed, ends, len(rows))
    best = np.full(len(rows), np.inf)
    first, second = np.zeros_like(own.share), np.zeros_like(own.share)
    rate = RATE
    for step in range(1, STEPS + 1):
        own.draw()
        moved = rows[:, None].copy()
        inputs, heights = own.relaxed.above(moved, own.blocks)
        best = np.minimum(best, domain.most(inputs[:, 0]) + heights[:, 0])
        gradient = own.gradient(moved[:, 0], domain.farthest(inputs[:, 0]))
        # Adam: a sum of gradients, divided by their size
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
        size = np.sqrt(second / (1 - 0.999**step)) + 1e-300
        own.share = np.clip(own.share - rate * first / (1 - 0.9**step) / size, 0.0, 1.0)
        rate *= DECAY
    return best


class _Own:
    """Lines of T sources: through kinks with a share of the range of slopes, else those of `relaxed`."""

    def __init__(self, units: Units, relaxed: Relaxed, ends: tuple[Floats, Floats], targets: int) -> None:
        self.units, low, high = units, *ends
        known = len(low)
        self.blocks = sum(block.stop <= known for block in units.blocks)
        self.relaxed = Relaxed(
            relaxed.system, np.broadcast_to(units.offsets, (targets, units.count)), relaxed.most[0, : units.inputs]
        )
        self.relaxed.doubt[:] = relaxed.doubt.max(axis=0)
        left, right = units.slopes[:, :known]
        inside = (low < 0) & (high > 0) & ~np.isnan(left)
        self.below, self.above = inside & (right > left), inside & (right < left)
        self.least = np.where(inside, np.minimum(left, right), 0.0)
        self.range = np.where(inside, np.abs(right - left), 0.0)
        slope, half = relaxed.slope[0, :known], relaxed.half[0, :known]
        self.lines = slope - half, slope + half
        height, gap = relaxed.height[0, :known], relaxed.gap[0, :known]
        self.heights = height - gap, height + gap
        through = np.where(self.above, self.lines[1], self.lines[0])
        share = np.where(inside, (through - self.least) / np.where(inside, self.range, 1.0), 0.0)
        self.share = np.tile(share, (targets, 1))
        self.relaxed.height[:, :known], self.relaxed.gap[:, :known] = height, gap

    def draw(self) -> None:
        """Put the lines in place."""
        slope = self.least + self.share * self.range
        self.low = np.where(self.below, slope, self.lines[0])
        self.high = np.where(self.above, slope, self.lines[1])
        known = self.share.shape[1]
        self.relaxed.slope[:, :known] = (self.high + self.low) / 2
        self.relaxed.half[:, :known] = (self.high - self.low) / 2

    def gradient(self, rows: Floats, x: Floats) -> Floats:
        """Return derivatives of bounds by shares, from how they depend on all units, at inputs x of shape (T, n0)."""
        n0, known = self.units.inputs, self.share.shape[1]
        z, seen = np.zeros((len(rows), n0 + known)), np.empty_like(self.share)
        z[:, :n0] = x
        for block, read in zip(self.units.blocks[: self.blocks], self.relaxed.system.reads, strict=False):
            part = block.part
            u = z[:, read] @ self.units.forms[read, part] + self.units.offsets[part]
            up = rows[:, n0 + block.start : n0 + block.stop] > 0
            line = np.where(up, self.high[:, part], self.low[:, part])
            height = np.where(up, self.heights[1][part], self.heights[0][part])
            seen[:, part] = u
            z[:, n0 + block.start : n0 + block.stop] = line * u + height
        mine = rows[:, n0 : n0 + known]
        taken = np.where(mine > 0, self.above, self.below)
        return np.where(taken, mine * seen * self.range, 0.0)
