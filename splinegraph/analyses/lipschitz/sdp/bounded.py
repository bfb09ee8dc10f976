"""The semidefinite bound within a deadline, by the method that suits the size."""

from __future__ import annotations

import math
import time
from dataclasses import replace

from splinegraph.analyses.lipschitz.sdp.descent import descend
from splinegraph.analyses.lipschitz.sdp.inequality import Inequality
from splinegraph.analyses.lipschitz.sdp.interior import solve
from splinegraph.analyses.lipschitz.sdp.solution import Solution
from splinegraph.analyses.lipschitz.sdp.starting import start

__all__ = ["bounded"]

ENOUGH_STEPS = 15
"""Steps of the interior point that get farther than the first-order method in the same time."""

STEP_COST = 4.0
"""About what a step of the interior point takes, in evaluations of rho at given multipliers."""


def bounded(inequality: Inequality, *, tol: float = 1e-6, deadline: float | None = None) -> Solution | None:
    """Return multipliers of a small rho, valid whenever the deadline comes; None if no start was found.

    Parameters
    ----------
    inequality : Inequality
    tol : float
        Relative accuracy of rho where time suffices.
    deadline : float, optional
        Of `time.monotonic`; some time should be left for `Inequality.certified`.

    Notes
    -----
    The interior point where the time is enough for its steps, judged by the time that one evaluation of rho takes;
    else the first-order method. Whatever a method returns is kept only if it is better than the start.
    """
    T = start(inequality)
    if T is None:
        return None
    begun = time.monotonic()
    rho, _ = inequality.least(T)
    now = time.monotonic()
    first = Solution(T, rho, math.nan if inequality.units.count else 0.0, 0)
    if not inequality.units.count or rho == 0.0:
        return first
    if deadline is not None and now > deadline:
        return replace(first, note="time was up")
    dear = deadline is not None and (now - begun) * STEP_COST * ENOUGH_STEPS > deadline - now
    found = descend(inequality, T, deadline=deadline) if dear else solve(inequality, T, tol=tol, deadline=deadline)
    return found if found.rho <= rho else replace(first, note=found.note)
