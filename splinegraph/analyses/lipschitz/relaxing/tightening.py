"""A network on a domain: units that have one slope there vanish, the others keep the slopes that they can have."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.lipschitz.domain import Domain
from splinegraph.analyses.lipschitz.relaxing.jacobian import WORK, JacobianBounds, jacobian_bounds
from splinegraph.analyses.lipschitz.relaxing.levels import Levels, levels
from splinegraph.analyses.lipschitz.units import FREE, LEFT, RIGHT, Units

__all__ = ["Tightened", "jacobian_on", "tightened"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Tightened:
    """The units of a network that are left on a domain. Inputs stay what they are, and so do points.

    Parameters
    ----------
    units : Units
        Those that are left, with their ranges of slopes there.
    kept : array of shape (left,), int64
        Which of all units they are.
    states : array of shape (n,), int8
        Of all units, on which side of its kink each is on all of the domain, FREE where that is open or it has
        not one kink.
    levels : Levels
        Of all units.
    """

    units: Units
    kept: NDArray[np.int64]
    states: NDArray[np.int8]
    levels: Levels

    def all_states(self, states: NDArray[np.int8]) -> NDArray[np.int8]:
        """Return the states of all units from states of those that are left."""
        found = self.states.copy()
        found[self.kept] = states
        return found


def tightened(units: Units, domain: Domain, found: Levels | None = None) -> Tightened:
    """Return what is left of a network on a bounded domain.

    Parameters
    ----------
    units : Units
    domain : Domain
        Bounded.
    found : Levels, optional
        Of the units there, if they are known.
    """
    found = levels(units, domain) if found is None else found
    states = np.full(units.count, FREE, dtype=np.int8)
    held = found.least == found.most
    one = held & ~np.isnan(units.slopes[0])
    states[one] = np.where(found.most[one] == units.slopes[1, one], RIGHT, LEFT)
    intercept = np.zeros(units.count)
    for block in units.blocks:
        if block.function is not None:
            flat = (found.low[block.part] + found.high[block.part]) / 2
            intercept[block.part] = block.function.values(flat[None])[0] - found.most[block.part] * flat
    left, _ = units.straightened(held, found.most, intercept)
    kept = np.flatnonzero(~held)
    left = replace(left, low=found.least[kept], high=found.most[kept])
    return Tightened(left, kept, states, found)


def jacobian_on(
    units: Units, domain: Domain, norm: float, *, work: float = WORK, deadline: float | None = None
) -> JacobianBounds:
    """Return bounds of a network's Jacobian on a domain, by the inputs that can move there.

    Parameters
    ----------
    units : Units
    domain : Domain
        Bounded, or all of space, where slopes are those that units have anywhere.
    norm : {1, 2, inf}
        What is wanted; ``.norm(norm)`` of the result is the bound of the Lipschitz constant.
    work : float
        See `jacobian_bounds`.
    deadline : float, optional
        Of `time.monotonic`, after which interval bounds stay.
    """
    left = tightened(units, domain, levels(units, domain, deadline=deadline)).units if domain.bounded else units
    left = domain.moving(left)
    return jacobian_bounds(left, left.low, left.high, norm=norm, work=work, deadline=deadline)
