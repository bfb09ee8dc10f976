"""Bounds of a network's Jacobian from the ranges of its units' slopes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.lipschitz.deadlines import late
from splinegraph.analyses.lipschitz.relaxing.backward import Relaxed, System
from splinegraph.analyses.lipschitz.relaxing.levels import AT_ONCE
from splinegraph.analyses.lipschitz.relaxing.lines import ROUNDING, Lines, chords
from splinegraph.analyses.lipschitz.rounding import roundoff
from splinegraph.analyses.lipschitz.units import Units

__all__ = ["JacobianBounds", "jacobian_bounds"]

Floats = NDArray[np.float64]

WORK = 1e12
"""Products that linear relaxation may take; above it interval bounds stay."""

CHEAP = 1e10
"""Products that take a second or so: up to which both directions are looked at."""


@dataclass(frozen=True, eq=False)
class JacobianBounds:
    """Bounds of all Jacobians whose units' slopes are in their ranges.

    Parameters
    ----------
    low, high : array of shape (m, n0)
        Of each entry.
    rows : array of shape (m,)
        Upper bounds of sums of |entries| of each row.
    columns : array of shape (n0,)
        Of each column.
    squares : float
        Upper bound of the sum of squares of all entries.
    """

    low: Floats
    high: Floats
    rows: Floats
    columns: Floats
    squares: float

    def norm(self, norm: float) -> float:
        """Return an upper bound of the induced norm of all these Jacobians, with a margin for its own rounding."""
        if not self.low.size:
            return 0.0
        if norm == 2:
            middle, spread = (self.low + self.high) / 2, (self.high - self.low) / 2
            most = np.maximum(np.abs(self.low), np.abs(self.high))
            found = min(
                _spectral(most), _spectral(middle) + _spectral(spread),
                math.sqrt(self.norm(1)) * math.sqrt(self.norm(math.inf)),
                math.sqrt(self.squares + self.low.size * np.finfo(np.float64).tiny),  # squares may underflow
            )  # fmt: skip
        else:
            found = float((self.columns if norm == 1 else self.rows).max())
        return found * (1 + roundoff(self.low.size))


def jacobian_bounds(
    units: Units, least: Floats, most: Floats, *, norm: float, work: float = WORK, deadline: float | None = None
) -> JacobianBounds:
    """Return bounds of the Jacobian where each unit's slope may be anything in its range.

    Parameters
    ----------
    units : Units
    least, most : array of shape (n,)
        Ranges of slopes.
    norm : {1, 2, inf}
        What is wanted: it decides the direction.
    work : float
        Products that linear relaxation may take; without it bounds are those of interval arithmetic.
    deadline : float, optional
        Of `time.monotonic`, after which interval bounds stay.

    Notes
    -----
    Derivatives by what units give are a network themselves, b = C + W t with t_i = s_i b_i, from the outputs back or
    from the inputs forward. On [L, U] the product s b is between two lines in b, which are put in its place block
    after block; sums of |entries| get one line per entry, and are bounded as a whole. Cost: up to n^3 / 3 products
    per output (or input), less by what blocks do not read.

    References
    ----------
    .. [1] Z. Shi et al., "Efficiently Computing Local Lipschitz Constants of Neural Networks via Bound
       Propagation", NeurIPS 2022.
    """
    back, ahead = _Derivatives.back(units, least, most), _Derivatives.ahead(units, least, most)
    # sums over columns are tighter forward, if that does not take much longer
    if ahead.cost <= back.cost or (norm == 1 and ahead.cost <= max(CHEAP, 2 * back.cost)):
        first, second = ahead, back
    else:
        first, second = back, ahead
    found = first.bounds(relax=first.cost <= work, deadline=deadline)
    if first.cost + second.cost <= min(work, max(CHEAP, 4 * first.cost)) and not late(deadline):
        found = _both(found, second.bounds(relax=True, deadline=deadline))
    return found


@dataclass(frozen=True, eq=False)
class _Derivatives:
    """Derivatives from R sources through units to T ends.

    Parameters
    ----------
    system : System
        Without inputs.
    offsets : array of shape (R, n)
        C, what each unit has of each source directly.
    ends : array of shape (T, n)
        How ends depend on units.
    direct : array of shape (R, T)
        And on sources.
    least, most : array of shape (n,)
    flipped : bool
        Whether sources are inputs.
    """

    system: System
    offsets: Floats
    ends: Floats
    direct: Floats
    least: Floats
    most: Floats
    flipped: bool

    @classmethod
    def back(cls, units: Units, least: Floats, most: Floats) -> _Derivatives:
        """Return the derivatives of each output, from the last unit to the inputs."""
        n0, n = units.inputs, units.count
        forms = np.ascontiguousarray(units.forms[n0:, ::-1].T[:, ::-1])
        parts = [slice(n - block.stop, n - block.start) for block in reversed(units.blocks)]
        return cls(
            System(forms, 0, parts), np.ascontiguousarray(units.outputs[n0:][::-1].T),
            np.ascontiguousarray(units.forms[:n0, ::-1]), np.ascontiguousarray(units.outputs[:n0].T), least[::-1],
            most[::-1], flipped=False,
        )  # fmt: skip

    @classmethod
    def ahead(cls, units: Units, least: Floats, most: Floats) -> _Derivatives:
        """Return the derivatives by each input, from the first unit to the outputs."""
        n0 = units.inputs
        system = System(units.forms[n0:], 0, [block.part for block in units.blocks])
        return cls(
            system, units.forms[:n0], np.ascontiguousarray(units.outputs[n0:].T), units.outputs[:n0], least, most,
            flipped=True,
        )  # fmt: skip

    @property
    def cost(self) -> float:
        """Products that relaxation takes at most."""
        system = self.system
        targets = [part.stop - part.start for part in system.parts] + [len(self.ends)]
        return float(len(self.offsets) * sum(system.work(2 * t, k) for k, t in enumerate(targets)))

    def bounds(self, *, relax: bool, deadline: float | None) -> JacobianBounds:
        """Return bounds of all derivatives of ends by sources."""
        relaxed, forms, through = (
            Relaxed(self.system, self.offsets, np.zeros(0)),
            self.system.forms,
            len(self.system.parts),
        )
        for k, part in enumerate(self.system.parts):
            sizes = relaxed.level_sizes(part)
            low, high = relaxed.intervals(part)
            if relax and k:
                self._tighten(relaxed, forms[: part.start, part].T, self.offsets[:, part], k, (low, high), deadline)
            relaxed.put(part, _products(low, high, self.least[part], self.most[part]), sizes)
        low, high = self._ends(relaxed)
        if relax:
            self._tighten(relaxed, self.ends, self.direct, through, (low, high), deadline, every=True)
        sums, squares = self._sums(relaxed, low, high, relax=relax)
        most = np.maximum(np.abs(low), np.abs(high))
        across = most.sum(axis=0) * (1 + roundoff(len(most)))
        total = float(squares.sum()) * (1 + roundoff(len(squares)))
        if self.flipped:
            return JacobianBounds(low.T, high.T, across, sums, total)
        return JacobianBounds(low, high, sums, across, total)

    def _ends(self, relaxed: Relaxed) -> tuple[Floats, Floats]:
        """Return interval bounds of the ends, shape (R, T)."""
        size = np.abs(self.ends).T
        low, high = relaxed.low, relaxed.high
        slack = roundoff(len(size)) * (np.maximum(np.abs(low), np.abs(high)) @ size + np.abs(self.direct))
        middle, spread = ((low + high) / 2) @ self.ends.T + self.direct, ((high - low) / 2) @ size + slack
        return middle - spread, middle + spread

    def _tighten(
        self,
        relaxed: Relaxed,
        rows: Floats,
        offsets: Floats,
        upto: int,
        interval: tuple[Floats, Floats],
        deadline: float | None,
        *,
        every: bool = False,
    ) -> None:
        """Narrow bounds of rows @ t + offsets, of shape (R, T), where they leave the sign open, or all."""
        low, high = interval
        R, known = len(low), rows.shape[1]
        together = max(1, min(R, AT_ONCE // max(2 * len(rows) * known, 1)))
        for start in range(0, R, together):
            mine = slice(start, min(start + together, R))
            open_ = np.flatnonzero((every | ((low[mine] < 0) & (high[mine] > 0))).any(axis=0))
            step = max(AT_ONCE // (2 * together * max(known, 1)), 1)
            for first in range(0, len(open_), step):
                if late(deadline):
                    break
                some = open_[first : first + step]
                both = np.concatenate([rows[some], -rows[some]])
                _, most = relaxed.above(np.repeat(both[None], mine.stop - start, axis=0), upto, mine)
                at = np.ix_(np.arange(start, mine.stop), some)
                high[at] = np.minimum(high[at], np.nextafter(most[:, : len(some)] + offsets[at], np.inf))
                low[at] = np.maximum(low[at], np.nextafter(offsets[at] - most[:, len(some) :], -np.inf))
        low[:], high[:] = np.minimum(low, high), np.maximum(low, high)

    def _sums(self, relaxed: Relaxed, low: Floats, high: Floats, *, relax: bool) -> tuple[Floats, Floats]:
        """Return upper bounds of the sums of |ends| and of their squares, of each source: shape (R,)."""
        most = np.maximum(np.abs(low), np.abs(high))
        margin = 1 + roundoff(low.shape[1])
        found = [most.sum(axis=1) * margin, (most**2).sum(axis=1) * margin]
        if relax:
            # above |a|, and above a^2, on [low, high]
            lines = [chords(low, high, np.full_like(low, -1.0), np.ones_like(low)), (low + high, -low * high)]
            together = max(1, AT_ONCE // max(self.ends.shape[1], 1))
            for i, (slope, height) in enumerate(lines):
                for start in range(0, len(low), together):
                    mine = slice(start, start + together)
                    _, above = relaxed.above((slope[mine] @ self.ends)[:, None], len(self.system.parts), mine)
                    flat = height[mine] + slope[mine] * self.direct[mine]
                    sizes = np.abs(height[mine]) + np.abs(slope[mine] * self.direct[mine])
                    sizes += np.abs(slope[mine]) * (relaxed.most[mine] @ np.abs(self.ends).T)
                    slack = roundoff(sum(self.ends.shape)) * sizes.sum(axis=1)
                    found[i][mine] = np.minimum(found[i][mine], above[:, 0] + flat.sum(axis=1) + slack)
        return np.maximum(found[0], 0.0), np.maximum(found[1], 0.0)


def _products(low: Floats, high: Floats, least: Floats, most: Floats) -> Lines:
    """Return lines of s * b in b, for b in [low, high] and s in [least, most]."""
    least, most = np.broadcast_to(least, low.shape), np.broadcast_to(most, low.shape)
    above, top = chords(low, high, least, most)
    below, bottom = chords(low, high, -most, -least)
    corners = np.stack([low * least, low * most, high * least, high * most])
    size = ROUNDING * np.abs(corners).max(axis=0)
    return Lines(-below, -bottom, above, top, corners.min(axis=0) - size, corners.max(axis=0) + size)


def _both(one: JacobianBounds, two: JacobianBounds) -> JacobianBounds:
    """Return what two bounds of the same say together."""
    low, high = np.maximum(one.low, two.low), np.minimum(one.high, two.high)
    return JacobianBounds(
        np.minimum(low, high), np.maximum(low, high), np.minimum(one.rows, two.rows),
        np.minimum(one.columns, two.columns), min(one.squares, two.squares),
    )  # fmt: skip


def _spectral(A: Floats) -> float:
    return float(np.linalg.norm(A, 2)) * (1 + roundoff(A.size))
