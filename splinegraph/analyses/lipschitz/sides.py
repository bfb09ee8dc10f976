"""Which sides of units' kinks inputs can be on together."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.lipschitz.units import FREE, RIGHT, Units

__all__ = ["Sides"]

Floats = NDArray[np.float64]

THIN = 1e-11
"""Sets of inputs thinner than this, relative to the functionals that bound them, are below the rounding of those."""

FAR = 1e6
"""How far from zero inputs are taken to lie where there is no domain, for the residual of a program's dual."""


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

    def decidable(self, states: NDArray[np.int8]) -> NDArray[np.bool_]:
        """Return of which free units a side says something about inputs: those of the first block that has some."""
        if self.free:
            return np.asarray(states == FREE)
        found = np.zeros(len(states), dtype=bool)
        for block in self.units.blocks:
            part = slice(block.start, block.stop)
            if (states[part] == FREE).any():
                found[part] = states[part] == FREE
                break
        return found

    def possible(self, states: NDArray[np.int8], seen: Floats) -> tuple[bool, Floats | None]:
        """Return whether some inputs have these sides, and one inside if there is one.

        Parameters
        ----------
        states : array of shape (n,)
        seen : array of shape (n0 + free + 1, n)
            Functionals of all units, by `Units.fixed`.

        Notes
        -----
        'No' is proved by the program's dual, whose sum of inequalities is worked out anew.
        """
        n0 = self.units.inputs
        held = (states != FREE) & ~seen[n0:-1].any(axis=0)
        sign = np.where(states[held] == RIGHT, 1.0, -1.0)
        G, h = -(sign * seen[:n0, held]).T, sign * seen[-1, held]  # G x <= h
        norms = np.linalg.norm(G, axis=1)
        flat = norms <= 1e-13 * np.linalg.norm(self.units.forms[:, held], axis=0)
        if bool((h[flat] < 0).any()):
            return False, None
        G, h = G[~flat] / norms[~flat, None], h[~flat] / norms[~flat]
        if not len(h) or self.free:
            return True, None
        return self._inside(G, h)

    def _inside(self, G: Floats, h: Floats) -> tuple[bool, Floats | None]:
        """Return whether G x <= h has an interior, and a point there."""
        from scipy.optimize import linprog

        self.programs += 1
        n0 = G.shape[1]
        width = 1.0 if self.box is None else float((self.box[1] - self.box[0]).max()) or 1.0
        sides = [(None, None)] * n0 if self.box is None else list(zip(*self.box, strict=True))
        cost = np.zeros(n0 + 1)
        cost[-1] = -1.0
        found = linprog(
            cost, A_ub=np.column_stack([G, np.ones(len(h))]), b_ub=h, bounds=[*sides, (None, width)], method="highs"
        )
        if found.status == 0:
            if found.x[-1] > THIN * width:
                return True, np.asarray(found.x[:-1])
            return not self._empty(G, h, -np.asarray(found.ineqlin.marginals)), None
        return True, None

    def _empty(self, G: Floats, h: Floats, y: Floats) -> bool:
        """Return whether multipliers y >= 0 show that G x <= h has no interior: y' (h - G x) <= 0 for all x."""
        y = np.maximum(y, 0.0)
        total = float(y.sum())
        if not total > 0:
            return False
        y = y / total
        row, level = y @ G, float(y @ h)
        if self.box is None:
            most, scale = float(np.abs(row).sum()) * FAR, max(float(np.abs(h).max()), 1.0)
        else:
            low, high = self.box
            most = -float(np.where(row > 0, row * low, row * high).sum())
            scale = max(float(np.abs(h).max()), float(np.abs(np.concatenate(self.box)).max()), math.ulp(1.0))
        return level + most <= THIN * scale
