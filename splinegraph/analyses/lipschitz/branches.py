"""What is known of one branch, in which some units stay on one side of their kink: its bound, and what to split."""

from __future__ import annotations

import math

import numpy as np
from numpy.linalg import LinAlgError
from numpy.typing import NDArray

from splinegraph.analyses.lipschitz.crossing import functionals, norms, pulled_back
from splinegraph.analyses.lipschitz.domain import Domain
from splinegraph.analyses.lipschitz.relaxing.jacobian import jacobian_bounds
from splinegraph.analyses.lipschitz.relaxing.levels import levels
from splinegraph.analyses.lipschitz.sdp.inequality import Inequality
from splinegraph.analyses.lipschitz.sdp.interior import solve, start
from splinegraph.analyses.lipschitz.sides import Sides
from splinegraph.analyses.lipschitz.units import FREE, LEFT, RIGHT, Units

__all__ = ["Branches", "norm_of"]

Floats = NDArray[np.float64]
States = NDArray[np.int8]

ROUNDING = 1e-12
"""Relative margin of norms of dense matrices."""

ACCURATE = 1e-2
"""Relative accuracy of the squared bound of a branch that is split further."""

INSIDE = 2e-3
"""How far above the smallest rho, relative to it, the inequality is looked at to choose what to split."""

SMALL = 150
"""Size of matrices up to which compiled loops are faster than calls of a library."""

MOST_STEPS = 60

ALTERNATIONS = 10

LARGEST = 2**22
"""Products that bounds of Jacobians may take per branch; intervals are used above."""


def norm_of(A: Floats, norm: float) -> float:
    """Return the induced norm of a matrix."""
    return float(np.linalg.norm(A, norm)) if A.size else 0.0


class Branches:
    """Bounds of branches of one network on one domain.

    Parameters
    ----------
    units : Units
    norm : {1, 2, inf}
    domain : Domain
    """

    def __init__(self, units: Units, norm: float, domain: Domain) -> None:
        self.norm, self.domain = norm, domain
        self.units = units.reduced() if domain.boxes is None and norm == 2 else units
        self.sides = Sides(self.units, domain.sides)
        first = self.units.forms[: self.units.inputs, : self.units.blocks[0].stop if self.units.blocks else 0]
        # whether sides of the first units say something about each other
        self.telling = domain.bounded or int(np.linalg.matrix_rank(first)) < first.shape[1] if first.size else False
        self.compiled = False  # compiling takes seconds
        self.kinked = ~np.isnan(self.units.slopes[0])

    def settled(self, states: States) -> States:
        """Return the same with the sides of further units that the domain leaves no choice; all of space: none."""
        free = np.flatnonzero(states == FREE)
        if not self.domain.bounded or not len(free):
            return states
        left, _ = self.units.fixed(states)
        found = levels(left, self.domain)
        held = (found.least == found.most) & ~np.isnan(left.slopes[0])
        states = states.copy()
        states[free[held]] = np.where(found.most == left.slopes[1], RIGHT, LEFT)[held]
        return states

    def at(self, x: Floats) -> float:
        """Return the norm of the local map at an input, less a margin for rounding."""
        left, _ = self.units.fixed(self.units.states(x))
        return norm_of(self.domain.moving(left).outputs.T, self.norm) * (1 - ROUNDING)

    def root(self, left: Units, T: Floats | None, deadline: float | None) -> tuple[float, Floats]:
        """Return the bound of the network itself, and its multipliers: those that are known, if they fit."""
        if self.norm != 2 or not left.count:
            return self._plain(left), np.zeros(0)
        inequality = Inequality(self.domain.reduced(left))
        if T is None or len(T) != left.count:
            T = start(inequality)
            if T is None:
                return math.inf, np.ones(left.count)
            T = solve(inequality, T, tol=ACCURATE, deadline=deadline).T
        return math.sqrt(inequality.certified(T)), T

    def bound(self, left: Units, data: Floats, enough: float, deadline: float | None) -> tuple[float, Floats]:
        """Return the bound of a branch, from the multipliers of the units that are left, and better ones."""
        if self.norm != 2 or not left.count:
            return self._plain(left), np.zeros(0)
        inequality = Inequality(self.domain.reduced(left))
        rho, _ = inequality.least(data)
        if not rho < enough**2:
            data = self._improved(inequality, data, rho, enough**2, deadline)
        return math.sqrt(inequality.certified(data)), data

    def _improved(self, inequality: Inequality, T: Floats, rho: float, below: float, deadline: float | None) -> Floats:
        """Return better multipliers, compiled where that is worth its while."""
        units = inequality.units
        unbounded = bool((units.low * units.high <= 0).all())  # what the compiled steps are for
        if not self.compiled or not unbounded or units.size > SMALL or not math.isfinite(rho):
            return solve(inequality, T, tol=ACCURATE, below=below, deadline=deadline, near=True).T
        from splinegraph.analyses.lipschitz.kernels.newton import improved

        forms = np.ascontiguousarray(units.forms)
        found: Floats = improved(forms, inequality.gram, units.low, units.high, T, rho, below, ACCURATE, MOST_STEPS)
        return found

    def proved(self, states: States, data: Floats, upper: float, *, empty: bool) -> bool:
        """Return whether multipliers prove a bound of a branch, or that it has no inputs."""
        if empty:
            _, seen = self.units.fixed(states)
            return self.sides.empty(states, seen, data)
        left, _ = self.units.fixed(self.settled(states))
        if self.norm != 2 or not left.count:
            return self._plain(left) <= upper
        return len(data) == left.count and Inequality(self.domain.reduced(left)).proved(upper**2, data)

    def splittable(self, states: States, seen: Floats) -> NDArray[np.bool_]:
        """Return which free units to choose from, by `Units.fixed`: of those that inputs tell apart, the known ones.

        Parameters
        ----------
        states : array of shape (n,)
        seen : array of shape (n0 + free + 1, n)

        Notes
        -----
        Where the sides of the first units say something about inputs, linear programs end many branches, and
        functionals of later units become known. Independent functionals take any values together.
        """
        allowed = self.kinked & (states == FREE)
        known = allowed & ~seen[self.units.inputs : -1].any(axis=0)
        return np.asarray(known if self.telling and known.any() else allowed)

    def rounded(self, states: States, left: Units, T: Floats) -> Floats | None:
        """Return an input with sides that the relaxation prefers, made better, if inputs can have any sides.

        Given the singular vectors p, q of a local map, the unit with effect e and functional u adds s (p'e)(u'q): the
        better slope of each is taken, until none changes.
        """
        if not self.sides.free or self.norm != 2 or not left.count:
            return None
        _, z = Inequality(left.reduced()).least(T)
        if z is None:
            return None
        whole, n0 = self.units, self.units.inputs
        seen, slopes = left.reduced().forms.T @ z, whole.slopes
        right = states == RIGHT
        near = z[-left.count :] - (left.low + left.high) / 2 * seen  # the half of the slopes that is taken
        right[states == FREE] = (near * seen > 0) ^ (left.slopes[0] > left.slopes[1])
        for _ in range(ALTERNATIONS):
            _, p, q = norms(whole, np.where(right, slopes[1], slopes[0])[None])
            gain = (whole.outputs[n0:] @ p[0]) * (whole.forms[:n0].T @ q[0]) * (slopes[1] - slopes[0])
            if ((gain > 0) == right).all():
                break
            right = gain > 0
        goal = np.where(right, 1.0, -1.0) - whole.offsets
        return np.asarray(np.linalg.lstsq(whole.forms[:n0].T, goal, rcond=None)[0])

    def scores(self, left: Units, data: Floats) -> Floats:
        """Return how much is won by splitting each unit that is left: more where both sides have a smaller bound."""
        if self.norm == 2:
            return self._weights(left, data)
        left = self.domain.moving(left)
        slope = ((left.low + left.high) / 2)[None]
        seen = functionals(left, slope)[0]
        effect = pulled_back(left, slope, left.outputs.T[None])[0, :, left.inputs :]
        return np.asarray((left.high - left.low) * np.linalg.norm(seen, axis=1) * np.linalg.norm(effect, axis=0))

    def _weights(self, left: Units, T: Floats) -> Floats:
        """Return for each unit the product of its sides' weights in the dual of the inequality.

        Close to the best multipliers mu M^-1 is the best dual matrix X, whose block of the inputs has trace one.
        On one side of unit i all z have a' z = 0, with a = p_i or q_i, which cuts |(X a)_0|^2 / a' X a off the trace.
        """
        inequality = Inequality(self.domain.reduced(left))
        units, n0 = inequality.units, inequality.units.inputs
        rho, _ = inequality.least(T)
        try:
            X = np.linalg.inv(inequality.matrix((1 + INSIDE) * rho, T))
        except LinAlgError:
            return np.ones(len(T))
        own = np.eye(units.size)[:, n0:]
        found = np.ones(len(T))
        for slope in units.slopes:
            a = own - units.forms * np.where(np.isnan(slope), 0.0, slope)
            Xa = X @ a
            found *= (Xa[:n0] ** 2).sum(axis=0) / np.maximum((a * Xa).sum(axis=0), 1e-300)
        return found

    def _plain(self, left: Units) -> float:
        """Return the norm of what is left if no unit is, else that of bounds of all entries."""
        left = self.domain.moving(left)
        if not left.count:
            return norm_of(left.outputs.T, self.norm) * (1 + ROUNDING)
        return jacobian_bounds(left, left.low, left.high, norm=self.norm, work=LARGEST).norm(self.norm)
