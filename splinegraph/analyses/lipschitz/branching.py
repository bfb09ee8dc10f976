"""Branch and bound over the sides of units' kinks, to the l2 constant itself."""

from __future__ import annotations

import heapq
import itertools
import math
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.lipschitz.sdp.inequality import Inequality
from splinegraph.analyses.lipschitz.sdp.interior import solve, start
from splinegraph.analyses.lipschitz.sides import Sides
from splinegraph.analyses.lipschitz.units import FREE, LEFT, RIGHT, Units

__all__ = ["Branched", "branch"]

Floats = NDArray[np.float64]
States = NDArray[np.int8]

ROUNDING = 1e-12
"""Relative margin of norms of dense matrices."""

ACCURATE = 1e-4
"""Relative accuracy of the bound of a branch that is split further."""


@dataclass(frozen=True, eq=False)
class Branched:
    """What a branch and bound found.

    Parameters
    ----------
    lower, upper : float
        Of the l2 constant.
    complete : bool
        Whether they are as close as asked.
    nodes, programs : int
        Branches looked at, and linear programs solved.
    witness : array of shape (n0,) or None
        Where the lower bound is attained, if this search found it.
    """

    lower: float
    upper: float
    complete: bool
    nodes: int
    programs: int
    witness: Floats | None


@dataclass(frozen=True, eq=False)
class _Branch:
    states: States
    upper: float
    T: Floats
    vector: Floats | None


def branch(
    units: Units,
    *,
    box: tuple[Floats, Floats] | None = None,
    lower: float = 0.0,
    tol: float = 1e-6,
    deadline: float | None = None,
) -> Branched:
    """Return lower and upper bounds of the l2 constant that meet, or what is known when time is up.

    Parameters
    ----------
    units : Units
    box : pair of arrays of shape (n0,), optional
        Where inputs lie; without it all of space.
    lower : float
        A lower bound that is known.
    tol : float
        Relative distance of the two ends that is close enough.
    deadline : float, optional
        Of `time.monotonic`.

    Notes
    -----
    A branch says of some units on which side of their kink they are. Its bound is that of the matrix inequality
    of the units that are left, from the multipliers of the branch before; sides that no input has together are
    found by a linear program.
    """
    search = _Search(units, box, lower, tol, deadline)
    return search.run()


class _Search:
    def __init__(
        self, units: Units, box: tuple[Floats, Floats] | None, lower: float, tol: float, deadline: float | None
    ) -> None:
        self.units = units.reduced() if box is None else units
        self.sides = Sides(self.units, box)
        self.best, self.tol, self.deadline = lower, tol, deadline
        self.witness: Floats | None = None
        self.nodes = 0

    @property
    def enough(self) -> float:
        """Squares of norms up to which a branch is of no interest."""
        return (self.best * (1 + self.tol)) ** 2

    def run(self) -> Branched:
        states = np.full(self.units.count, FREE, dtype=np.int8)
        root = self._root(states)
        order = itertools.count()
        heap = [(-root.upper, next(order), root)]
        stuck = 0.0  # the bound of branches that cannot be split
        while heap and -heap[0][0] > self.enough:
            if self.deadline is not None and time.monotonic() > self.deadline:
                break
            _, _, top = heapq.heappop(heap)
            unit = self._choose(top)
            if unit is None:
                stuck = max(stuck, top.upper)
                continue
            for side in (RIGHT, LEFT):
                child = self._child(top, unit, side)
                if child is not None:
                    heapq.heappush(heap, (-child.upper, next(order), child))
        open_ = max(stuck, -heap[0][0] if heap else 0.0)
        upper = max(math.sqrt(open_), self.best * (1 + self.tol))
        return Branched(self.best, upper, open_ <= self.enough, self.nodes, self.sides.programs, self.witness)

    def _root(self, states: States) -> _Branch:
        inequality = Inequality(self.units.reduced())
        T = start(inequality)
        if T is None:
            return _Branch(states, math.inf, np.ones(self.units.count), None)
        solved = solve(inequality, T, tol=ACCURATE, deadline=self.deadline)
        return _Branch(states, inequality.certified(solved.T), solved.T, inequality.least(solved.T)[1])

    def _choose(self, branch: _Branch) -> int | None:
        """Return the unit whose two sides differ most in the worst direction; None if none can be split."""
        free = np.flatnonzero(branch.states == FREE)
        if branch.vector is None or not len(free):
            return None
        left, _ = self.units.fixed(branch.states)
        left = left.reduced()
        own = branch.vector[left.inputs :]
        seen = left.forms.T @ branch.vector
        # how much the multiplier's term (s - low)(high - s) adds
        score = branch.T * (own - left.low * seen) * (left.high * seen - own)
        allowed = ~np.isnan(self.units.slopes[0, free]) & self.sides.decidable(branch.states)[free]
        if not allowed.any():
            return None
        score = np.where(allowed, score, -math.inf)
        return int(free[int(score.argmax())])

    def _child(self, parent: _Branch, unit: int, side: int) -> _Branch | None:
        """Return one side of a split; None if no input is there, or its bound is of no interest."""
        self.nodes += 1
        states = parent.states.copy()
        states[unit] = side
        left, seen = self.units.fixed(states)
        possible, x = self.sides.possible(states, seen)
        if not possible:
            return None
        if x is not None:
            self._look(x)
        rest = np.flatnonzero(parent.states == FREE) != unit
        if not left.count:
            norm = float(np.linalg.norm(left.outputs, 2)) * (1 + ROUNDING)
            found = _Branch(states, min(norm**2, parent.upper), parent.T[rest], None)
            return found if found.upper > self.enough else None
        inequality = Inequality(left.reduced())
        T = parent.T[rest]
        solved = solve(inequality, T, tol=ACCURATE, below=self.enough, deadline=self.deadline, near=True)
        upper = min(inequality.certified(solved.T), parent.upper)
        if upper <= self.enough:
            return None
        return _Branch(states, upper, solved.T, inequality.least(solved.T)[1])

    def _look(self, x: Floats) -> None:
        """Raise the lower bound to the norm at a point inside a cell, and of cells next to it."""
        if np.isnan(self.units.slopes).any():
            return
        value = self._norm_at(x)
        if value > self.best:
            self.best, self.witness = value, x

    def _norm_at(self, x: Floats) -> float:
        left, _ = self.units.fixed(self.units.states(x))
        return float(np.linalg.norm(left.outputs, 2)) * (1 - ROUNDING)
