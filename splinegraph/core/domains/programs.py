"""Linear programs over one polytope {x : G x <= h}, by HiGHS; rows of norm one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from splinegraph.errors import DomainError

__all__ = ["ball", "box", "necessary"]

Floats = NDArray[np.float64]

OPTIMAL, INFEASIBLE, UNBOUNDED = 0, 2, 3
"""What scipy.optimize.linprog answers."""


def _solve(c: Floats, G: Floats, h: Floats) -> tuple[int, Floats | None]:
    """Minimize c . x over free x with G x <= h; return HiGHS's status and the point."""
    from scipy.optimize import linprog

    for method in ("highs", "highs-ds", "highs-ipm"):
        found = linprog(c, A_ub=G, b_ub=h, bounds=(None, None), method=method)
        if found.status in (OPTIMAL, INFEASIBLE, UNBOUNDED):
            return int(found.status), found.x
    raise DomainError("HiGHS could not solve a linear program over the polytope", why=" ".join(found.message.split()))


def ball(G: Floats, h: Floats) -> tuple[Floats, float]:
    """Return center and radius of a largest ball: negative radius if empty, infinite if balls grow for ever."""
    dim = G.shape[1]
    if not len(h):
        return np.zeros(dim), np.inf
    rows, goal = np.hstack([G, np.ones((len(h), 1))]), np.zeros(dim + 1)
    goal[-1] = -1.0
    status, x = _solve(goal, rows, h)  # feasible for a radius that is negative enough
    grows = status == UNBOUNDED or x is None
    if grows:  # any ball, then
        size = max(1.0, float(np.abs(h).max()))
        status, x = _solve(goal, np.vstack([rows, -goal]), np.append(h, size))
    if x is None:
        raise DomainError("HiGHS found no center of the polytope")
    return x[:dim], np.inf if grows else float((h - G @ x[:dim]).min())


def box(G: Floats, h: Floats, wanted: NDArray[np.bool_]) -> Floats:
    """Return the lowest and highest values of the coordinates, shape (2, D), where wanted; else infinite."""
    sides = np.stack([np.full(G.shape[1], -np.inf), np.full(G.shape[1], np.inf)])
    for side, d in np.argwhere(wanted) if len(h) else ():
        goal = np.zeros(G.shape[1])
        goal[d] = -1.0 if side else 1.0
        status, x = _solve(goal, G, h)
        if status == OPTIMAL and x is not None:
            sides[side, d] = x[d]
    return sides


def necessary(G: Floats, h: Floats, slack: float) -> NDArray[np.int64]:
    """Return the rows without which the set would be larger by more than `slack`; of equal rows the first."""
    kept = np.ones(len(h), dtype=np.bool_)
    for i in reversed(range(len(h))):
        kept[i] = False
        rows, rhs = np.vstack([G[kept], G[i]]), np.append(h[kept], h[i] + 1.0)
        status, x = _solve(-G[i], rows, rhs)
        kept[i] = status != OPTIMAL or x is None or float(G[i] @ x) > h[i] + slack
    return np.flatnonzero(kept)
