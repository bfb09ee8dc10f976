"""Which sides of units' kinks inputs can be on together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.lipschitz.rounding import roundoff
from splinegraph.analyses.lipschitz.units import FREE, RIGHT, Units

__all__ = ["Sides"]

Floats = NDArray[np.float64]

THIN = 2.0**-51
"""Sets of inputs thinner than this, relative to what the functionals that bound them are sums of, are no sets: an input
inside would be a few roundings away from both sides."""

ANGLE = 1e-14
"""Angle below which two functionals on all of space count as parallel."""

BLURRED = 1e-8
"""Size of a functional's gradient, relative to what it is a sum of, below which its direction is not relied on."""

INSIDE = 1e-5
"""How far inside, relative to what bounds them, points are looked for first."""

MOST_INPUTS = 40
"""Above that, programs go to a solver for sparse ones at once."""


class Sides:
    """The inputs of a network, cut by units whose functionals are known.

    Parameters
    ----------
    units : Units
    box : pair of arrays of shape (n0,), optional
    """

    def __init__(self, units: Units, box: tuple[Floats, Floats] | None) -> None:
        self.units, self.box, self.programs = units, box, 0
        first = units.forms[: units.inputs]
        # functionals of one block that are independent take any values together
        self.free = box is None and len(units.blocks) == 1 and np.linalg.matrix_rank(first) == units.count

    def possible(
        self, states: NDArray[np.int8], seen: Floats, guess: Floats | None = None
    ) -> tuple[bool, Floats | None, Floats]:
        """Return whether some inputs have these sides, one inside if one is known, and multipliers of 'no'.

        Parameters
        ----------
        states : array of shape (n,)
        seen : array of shape (n0 + free + 1, n)
            Functionals of all units, by `Units.fixed`.
        guess : array of shape (n0,), optional
            An input that may be inside.

        Notes
        -----
        'No' is proved by the program's dual, whose sum of inequalities is worked out anew. Its multipliers belong
        to the units that `_walls` lists.
        """
        G, h, sure = self._walls(states, seen)
        nothing = np.zeros(0)
        if sure is not None:
            return sure, guess, nothing
        if guess is not None and bool((G @ guess < h - 1e-9 * (1 + np.abs(h))).all()):
            return True, guess, nothing
        self.programs += 1
        found = self._nearest(G, h) if G.shape[1] <= MOST_INPUTS else None
        return found or self._deepest(G, h)

    def empty(self, states: NDArray[np.int8], seen: Floats, y: Floats) -> bool:
        """Return whether multipliers prove that no input has these sides."""
        G, h, sure = self._walls(states, seen)
        if sure is not None:
            return not sure
        return len(y) == len(h) and self._empty(G, h, y)

    def _walls(self, states: NDArray[np.int8], seen: Floats) -> tuple[Floats, Floats, bool | None]:
        """Return G x <= h, of unit rows, of the units whose functional of the inputs is known; or the answer."""
        n0 = self.units.inputs
        held = (states != FREE) & ~seen[n0:-1].any(axis=0)
        sign = np.where(states[held] == RIGHT, 1.0, -1.0)
        G, h = -(sign * seen[:n0, held]).T, sign * seen[-1, held]  # G x <= h
        slope = np.where(states == RIGHT, self.units.slopes[1], self.units.slopes[0])
        sizes, size = self._sizes(np.where(states == FREE, 0.0, slope), held)
        norms, rounding = np.linalg.norm(G, axis=1), roundoff(self.units.size)
        far = 0.0 if self.box is None else float(np.linalg.norm(np.maximum(*np.abs(self.box))))
        constant = norms <= rounding * sizes
        if bool((constant & (h < -rounding * (size + far * sizes))).any()):
            return G, h, False
        kept = norms > BLURRED * sizes  # fewer walls prove less, never more
        G, h = G[kept] / norms[kept, None], h[kept] / norms[kept]
        return G, h, True if not len(h) or self.free else None

    def _sizes(self, slope: Floats, held: NDArray[np.bool_]) -> tuple[Floats, Floats]:
        """Return the sizes of what gradients, by their norms, and offsets of some units' functionals are sums of."""
        units, n0 = self.units, self.units.inputs
        sizes = np.zeros((n0 + 1, units.count))
        for block in units.blocks:
            part, before = block.part, slice(0, block.start)
            sizes[:n0, part] = np.abs(units.forms[:n0, part])
            sizes[n0, part] = np.abs(units.offsets[part])
            through = np.abs(slope[before, None] * units.forms[n0 : n0 + block.start, part])
            sizes[:, part] += sizes[:, before] @ through
        return np.linalg.norm(sizes[:n0, held], axis=0), sizes[n0, held]

    def _nearest(self, G: Floats, h: Floats) -> tuple[bool, Floats | None, Floats] | None:
        """Return what the point nearest to zero that lies well inside says; None if there is none, without proof.

        Nonnegative least squares gives the point, or the multipliers of the proof (Lawson and Hanson 1974, ch. 23).
        """
        from scipy.optimize import nnls

        count, n0 = G.shape
        rows, level = G, h
        if self.box is not None:
            eye = np.eye(n0)
            rows, level = np.concatenate([G, eye, -eye]), np.concatenate([h, self.box[1], -self.box[0]])
        size = float(np.abs(level).max()) or 1.0
        goal = level / size  # a box is not left, but its sides may be met
        goal[:count] -= INSIDE
        E = np.concatenate([-rows.T, -goal[None]])
        f = np.zeros(n0 + 1)
        f[-1] = 1.0
        try:
            y, residual = nnls(E, f)
        except RuntimeError:  # too many steps
            return None
        if residual > 1e-8:
            r = E @ y - f
            x = -size * r[:-1] / r[-1]
            if self.box is not None:
                x = np.clip(x, *self.box)
            return (True, x, np.zeros(0)) if bool((G @ x < h).all()) else None
        return (False, None, y[:count]) if self._empty(G, h, y[:count]) else None

    def _deepest(self, G: Floats, h: Floats) -> tuple[bool, Floats | None, Floats]:
        """Return whether G x <= h has an interior, a point there, or multipliers that prove that it has none."""
        from scipy.optimize import linprog

        n0, nothing = G.shape[1], np.zeros(0)
        width = 1.0 if self.box is None else float((self.box[1] - self.box[0]).max()) or 1.0
        sides = [(None, None)] * n0 if self.box is None else list(zip(*self.box, strict=True))
        cost = np.zeros(n0 + 1)
        cost[-1] = -1.0
        found = linprog(
            cost, A_ub=np.column_stack([G, np.ones(len(h))]), b_ub=h, bounds=[*sides, (None, width)], method="highs"
        )
        if found.status != 0:
            return True, None, nothing
        if found.x[-1] > 0:
            return True, np.asarray(found.x[:-1]), nothing
        y = -np.asarray(found.ineqlin.marginals)
        return not self._empty(G, h, y), None, y

    def _empty(self, G: Floats, h: Floats, y: Floats) -> bool:
        """Return whether multipliers y >= 0 show that G x <= h has no interior: y' (h - G x) <= 0 for all x."""
        y = np.maximum(y, 0.0)
        total = float(y.sum())
        if not total > 0:
            return False
        y = y / total
        row, level, size = y @ G, float(y @ h), float(y @ np.abs(h))
        if self.box is None:
            return float(np.linalg.norm(row)) <= ANGLE and level <= THIN * size
        low, high = self.box
        most = -float(np.where(row > 0, row * low, row * high).sum())
        size += float((y @ np.abs(G)) @ np.maximum(np.abs(low), np.abs(high)))
        return level + most <= THIN * size
