"""Branch and bound over the sides of units' kinks, to the constant itself."""

from __future__ import annotations

import heapq
import math
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.lipschitz.branches import Branches
from splinegraph.analyses.lipschitz.domain import Domain
from splinegraph.analyses.lipschitz.tree import EMPTY, OPEN, Tree
from splinegraph.analyses.lipschitz.units import FREE, LEFT, RIGHT, Units

__all__ = ["Branched", "branch"]

Floats = NDArray[np.float64]
States = NDArray[np.int8]

LONG = (300, 60.0)
"""Branches looked at, and seconds left, from which on compiling the steps pays; it takes up to 20 s, once."""


@dataclass(frozen=True, eq=False)
class Branched:
    """What a branch and bound found.

    Parameters
    ----------
    lower, upper : float
        Of the constant.
    complete : bool
        Whether they are as close as asked.
    interrupted : bool
        Whether Ctrl-C ended it.
    nodes, programs : int
        Branches looked at, and linear programs solved.
    witness : array of shape (n0,) or None
        Where the lower bound is attained, if this search found it.
    tree : Tree or None
        What proves the upper bound; None if it became too large to keep.
    """

    lower: float
    upper: float
    complete: bool
    interrupted: bool
    nodes: int
    programs: int
    witness: Floats | None
    tree: Tree | None


@dataclass(frozen=True, eq=False)
class _Open:
    states: States
    data: Floats
    guess: Floats | None  # an input inside
    node: int


@dataclass(frozen=True, eq=False)
class _Side:
    states: States | None  # None if no input is there; then the data prove that
    upper: float
    data: Floats
    guess: Floats | None


def branch(
    units: Units,
    *,
    norm: float = 2,
    domain: Domain | None = None,
    lower: float = 0.0,
    multipliers: Floats | None = None,
    tol: float = 1e-6,
    deadline: float | None = None,
) -> Branched:
    """Return lower and upper bounds of the constant that meet, or what is known when time is up or on Ctrl-C.

    Parameters
    ----------
    units : Units
    norm : {1, 2, inf}
    domain : Domain, optional
        Where inputs lie; without it all of space.
    lower : float
        A lower bound that is known.
    multipliers : array of shape (n,), optional
        Of the matrix inequality of the units that the domain leaves, to begin with.
    tol : float
        Relative distance of the two ends that is close enough.
    deadline : float, optional
        Of `time.monotonic`.

    Notes
    -----
    A branch says of some units on which side of their kink they are. In l2 its bound is that of the matrix
    inequality of the units that are left, from the multipliers of the branch before; otherwise that of the entries
    of all Jacobians with slopes in their ranges. A bound that is cheap comes first, linear programs, which find
    sides that no input has together, last. The branch with the largest bound is split next.
    """
    search = _Search(units, norm, Domain() if domain is None else domain, lower, tol, deadline)
    return search.run(multipliers)


class _Search:
    def __init__(
        self, units: Units, norm: float, domain: Domain, lower: float, tol: float, deadline: float | None
    ) -> None:
        self.branches = Branches(units, norm, domain)
        self.best, self.tol, self.deadline = lower, tol, deadline
        self.witness: Floats | None = None
        self.nodes = 0
        self.tree = Tree()
        self.heap: list[tuple[float, int, _Open]] = []
        self.stuck = 0.0  # the bound of branches that cannot be split

    @property
    def enough(self) -> float:
        """Norms up to which a branch is of no interest."""
        return self.best * (1 + self.tol)

    def run(self, multipliers: Floats | None) -> Branched:
        units = self.branches.units
        states = self.branches.settled(np.full(units.count, FREE, dtype=np.int8))
        upper, data = self.branches.root(units.fixed(states)[0], multipliers, self.deadline)
        heapq.heappush(self.heap, (-upper, 0, _Open(states, data, None, self.tree.leaf(data))))
        interrupted = False
        while self.heap and -self.heap[0][0] > self.enough:
            if self._left() < 0:
                break
            self.branches.compiled |= self.nodes > LONG[0] and self._left() > LONG[1]
            try:
                unit, sides = self._looked_at(self.heap[0][2])
            except KeyboardInterrupt:  # the branch is still among the open ones
                interrupted = True
                break
            self._replace(unit, sides)
        open_ = max(self.stuck, -self.heap[0][0] if self.heap else 0.0)
        return Branched(
            self.best, max(open_, self.enough), open_ <= self.enough, interrupted, self.nodes,
            self.branches.sides.programs, self.witness, self.tree if self.tree.kept else None,
        )  # fmt: skip

    def _left(self) -> float:
        return math.inf if self.deadline is None else self.deadline - time.monotonic()

    def _replace(self, unit: int | None, sides: list[_Side]) -> None:
        """Put the sides of the first branch in its place; or keep it as it is if it has none."""
        value, _, parent = heapq.heappop(self.heap)
        if unit is None:
            self.stuck = max(self.stuck, -value)
            return
        nodes = [self.tree.leaf(side.data, EMPTY if side.states is None else OPEN) for side in sides]
        self.tree.split(parent.node, unit, (nodes[0], nodes[1]))
        for side, node in zip(sides, nodes, strict=True):
            if side.states is not None and side.upper > self.enough:
                heapq.heappush(self.heap, (-side.upper, node, _Open(side.states, side.data, side.guess, node)))
            self.nodes += 1

    def _looked_at(self, top: _Open) -> tuple[int | None, list[_Side]]:
        """Return the unit to split, and both sides; None if there is no such unit."""
        free = np.flatnonzero(top.states == FREE)
        left, seen = self.branches.units.fixed(top.states)
        allowed = self.branches.splittable(top.states, seen)[free]
        if not allowed.any():
            return None, []
        x = self.branches.rounded(top.states, left, top.data)
        if x is not None:
            self._look(x)
        scores = np.where(allowed, self.branches.scores(left, top.data), -math.inf)
        unit = int(free[int(scores.argmax())])
        return unit, [self._side(top, unit, side) for side in (LEFT, RIGHT)]

    def _side(self, parent: _Open, unit: int, side: int) -> _Side:
        """Return what is known of one side of a split: its bound first, then whether there are such inputs."""
        states = parent.states.copy()
        states[unit] = side
        settled = self.branches.settled(states)
        left, seen = self.branches.units.fixed(settled)
        rest = settled[parent.states == FREE] == FREE
        data = parent.data[rest] if len(parent.data) else parent.data
        upper, data = self.branches.bound(left, data, self.enough, self.deadline)
        if upper <= self.enough:
            return _Side(settled, upper, data, None)
        if not np.array_equal(settled, states):
            _, seen = self.branches.units.fixed(states)
        possible, x, y = self.branches.sides.possible(states, seen, parent.guess)
        if not possible:
            return _Side(None, 0.0, y, None)
        if x is not None and x is not parent.guess:
            self._look(x)
        return _Side(settled, upper, data, x)

    def _look(self, x: Floats) -> None:
        """Raise the lower bound to the norm at a point inside a cell."""
        if not self.branches.kinked.all():
            return
        x = self.branches.domain.nearest(x[None])[0]
        value = self.branches.at(x)
        if value > self.best:
            self.best, self.witness = value, x
