"""What units can see on a domain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.lipschitz.deadlines import late
from splinegraph.analyses.lipschitz.domain import Domain
from splinegraph.analyses.lipschitz.relaxing.backward import Relaxed, System
from splinegraph.analyses.lipschitz.relaxing.lines import Lines, curved, kinked
from splinegraph.analyses.lipschitz.relaxing.slopes import improved
from splinegraph.analyses.lipschitz.units import Block, Units

__all__ = ["Levels", "levels"]

Floats = NDArray[np.float64]

LEANS = (1.0, 0.0, np.inf)
"""Which lines through kinks are tried, one after the other for all units; the best bound counts."""

SMALL = 1500
"""Units up to which all of them are tried, and above which only the first."""

FEW = 400
"""Units up to which lines are chosen for each bound by descent."""

AT_ONCE = 2**22
"""Entries of the rows that are moved at once (32 MiB)."""


@dataclass(frozen=True, eq=False)
class Levels:
    """Bounds of what all units see, and of their slopes there.

    Parameters
    ----------
    low, high : array of shape (n,)
        Of u.
    least, most : array of shape (n,)
        Of slopes.
    """

    low: Floats
    high: Floats
    least: Floats
    most: Floats


def levels(units: Units, domain: Domain, *, deadline: float | None = None) -> Levels:
    """Return what all units can see on a bounded domain, by linear relaxation (CROWN).

    Block after block, the smaller of interval bounds and of bounds by lines in place of the units before. All sums
    carry margins for their rounding; the units' forms are taken as they are.

    Parameters
    ----------
    units : Units
    domain : Domain
        Bounded.
    deadline : float, optional
        Of `time.monotonic`, after which interval bounds stay.

    Notes
    -----
    Cost: up to n^3 / 3 products for each way to draw lines: one, three, or for few units as many as a descent takes
    that chooses lines for each bound.

    References
    ----------
    .. [1] H. Zhang et al., "Efficient Neural Network Robustness Certification with General Activation Functions",
       NeurIPS 2018.
    """
    sides = domain.sides
    assert sides is not None
    system = System(units.forms, units.inputs, [block.part for block in units.blocks])
    leans = LEANS if units.count <= SMALL else LEANS[:1]
    offsets = np.broadcast_to(units.offsets, (len(leans), units.count))
    relaxed = Relaxed(system, offsets, np.maximum(np.abs(sides[0]), np.abs(sides[1])))
    low, high, least, most = (np.empty(units.count) for _ in range(4))
    for k, block in enumerate(units.blocks):
        part = block.part
        sizes = relaxed.level_sizes(part)
        low[part], high[part] = _intervals(units, domain, relaxed, part)
        open_ = part.start + np.flatnonzero(_open(units, block, low, high))
        if k and len(open_):
            below, above = _relaxed(units, domain, relaxed, open_, k, (low[: part.start], high[: part.start]), deadline)
            low[open_], high[open_] = np.maximum(low[open_], below), np.minimum(high[open_], above)
        # bounds of both sides that miss each other by rounding
        low[part], high[part] = np.minimum(low[part], high[part]), np.maximum(low[part], high[part])
        least[part], most[part] = _put(units, block, relaxed, (low[part], high[part]), sizes, leans)
    return Levels(low, high, least, most)


def _intervals(units: Units, domain: Domain, relaxed: Relaxed, part: slice) -> tuple[Floats, Floats]:
    rows = units.forms[: units.inputs, part].T
    low, high = relaxed.intervals(part)
    return low.max(axis=0) - domain.most(-rows), high.min(axis=0) + domain.most(rows)


def _open(units: Units, block: Block, low: Floats, high: Floats) -> NDArray[np.bool_]:
    """Return which units of a block interval bounds leave open: where better ones can change a line."""
    if block.function is not None:
        return np.ones(block.stop - block.start, dtype=bool)
    return np.asarray((low[block.part] < 0) & (high[block.part] > 0))


def _relaxed(
    units: Units,
    domain: Domain,
    relaxed: Relaxed,
    some: NDArray[np.int64],
    upto: int,
    ends: tuple[Floats, Floats],
    deadline: float | None,
) -> tuple[Floats, Floats]:
    """Return lower and upper bounds of what some units see; infinite ones when time is up."""
    known = units.inputs + units.blocks[upto].start
    low, high = np.full(len(some), -np.inf), np.full(len(some), np.inf)
    R = len(relaxed.offsets)
    step = max(AT_ONCE // (2 * R * known), 1)
    for start in range(0, len(some), step):
        if late(deadline):
            break
        mine = some[start : start + step]
        forms = units.forms[:known, mine].T
        both = np.concatenate([forms, -forms])
        rows, heights = relaxed.above(np.broadcast_to(both, (R, *both.shape)).copy(), upto)
        most = (domain.most(rows) + heights).min(axis=0)
        if units.count <= FEW:
            most = np.minimum(most, improved(units, domain, relaxed, ends, both))
        high[start : start + step] = most[: len(mine)] + units.offsets[mine]
        low[start : start + step] = units.offsets[mine] - most[len(mine) :]
    return np.nextafter(low, -np.inf), np.nextafter(high, np.inf)


def _put(
    units: Units,
    block: Block,
    relaxed: Relaxed,
    interval: tuple[Floats, Floats],
    sizes: Floats,
    leans: tuple[float, ...],
) -> tuple[Floats, Floats]:
    """Put lines in place of a block's units; return the ranges of their slopes."""
    part, (low, high) = block.part, interval
    if block.function is not None:
        lines, least, most = curved(block.function, low, high)
        relaxed.put(part, lines, sizes)
        return np.maximum(least, units.low[part]), np.minimum(most, units.high[part])
    left, right = units.slopes[:, part]
    drawn = [kinked(low, high, left, right, lean) for lean in leans]
    names = ("below", "bottom", "above", "top", "low", "high")
    relaxed.put(part, Lines(*(np.stack([getattr(lines, name) for lines in drawn]) for name in names)), sizes)
    at = np.where(low >= 0, right, left), np.where(high > 0, right, left)
    return np.minimum(*at), np.maximum(*at)
