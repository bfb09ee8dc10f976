"""Facets of one polytope of many dimensions, by HiGHS; every answer is checked without it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.regions.geometry.polytopes import Floats, Polytopes
from splinegraph.analyses.regions.neighborhood.walls import Walls
from splinegraph.analyses.regions.tolerances import ON_BOUNDARY, THIN

__all__ = ["wide", "wide_ball"]

CONFIRMED = 1e-7
"""Feasibility and optimality that is asked of an answer, relative to the cell's size: what HiGHS promises."""

REACH = 1.0
"""Where a ball may grow for ever it stops at this many times the domain's size."""


def wide(polytopes: Polytopes) -> Walls:
    """Return the facets of one polytope that holds, or touches, the origin; those along the axes are left out.

    Notes
    -----
    Clarkson's method as in `geometry.facets`: rows that rays from the center meet first are facets; each other
    row is tested against those by a linear program, which either shows another facet or proves by its multipliers
    that the row follows from them. Multipliers and points are checked here in float64. Sides of the domain along
    the axes are bounds of the variables, and not looked at.
    """
    work = _Work.of(polytopes)
    none = np.zeros((0, polytopes.dim))
    if not work.center() or not len(work.G):
        return Walls(
            work.middle[None], np.array([work.radius]), np.zeros(0, dtype=np.int64), none, none, none[:, :1].sum(1),
            np.zeros(0, dtype=bool), np.array([work.unsure]),
        )  # fmt: skip
    work.shoot(np.concatenate([work.G, -work.G]))
    for row in np.argsort(work.slack, kind="stable"):
        work.settle(int(row))
    rows, points = work.facets()
    outside = work.outside.copy()
    for i in np.flatnonzero(work.outside):  # a side of the domain that coincides with a condition stays a side
        outside |= work.twins(int(i))
    return Walls(
        work.middle[None], np.array([work.radius]), np.zeros(len(rows), dtype=np.int64), points,
        work.G[rows], work.h[rows], ~outside[rows], np.array([work.unsure]),
    )  # fmt: skip


def wide_ball(polytopes: Polytopes) -> tuple[Floats, float]:
    """Return center and radius of a large ball in one polytope, radius 0 if none was found."""
    work = _Work.of(polytopes)
    work.center()
    return work.middle, work.radius


@dataclass(eq=False)
class _Work:
    """Rows G t <= h and bounds of t, a center, and what is known of each row."""

    G: Floats
    h: Floats
    outside: NDArray[np.bool_]
    lower: Floats
    upper: Floats
    size: float
    radius: float = 0.0
    unsure: bool = False
    known: list[int] = field(default_factory=list)
    hits: dict[int, Floats] = field(default_factory=dict)

    @classmethod
    def of(cls, polytopes: Polytopes) -> _Work:
        G, h, layer, dim = polytopes.G, polytopes.h, polytopes.layer, polytopes.dim
        axis = (layer < 0) & (np.count_nonzero(G, axis=1) == 1)
        lower, upper = np.full(dim, -np.inf), np.full(dim, np.inf)
        for row in np.flatnonzero(axis):
            k = int(np.flatnonzero(G[row])[0])
            end = h[row] / G[row, k]
            if G[row, k] > 0:
                upper[k] = min(upper[k], end)
            else:
                lower[k] = max(lower[k], end)
        return cls(G[~axis], h[~axis], layer[~axis] < 0, lower, upper, polytopes.size)

    def __post_init__(self) -> None:
        self.middle = np.zeros(self.G.shape[1])
        self.settled = np.zeros(len(self.G), dtype=bool)
        self.slack: Floats = self.h.copy()

    def center(self) -> bool:
        """Find a large ball in the polytope; return whether there is one."""
        answer = self._ball(self.G, self.h, np.ones(len(self.G)), np.ones(len(self.middle)), None)
        if answer is None:
            self.unsure = True
            return False
        self.middle = answer
        self.slack = self.h - self.G @ answer
        ends = np.minimum(answer - self.lower, self.upper - answer).min(initial=np.inf)
        self.radius = max(float(min(self.slack.min(initial=self.size), ends)), 0.0)
        return self.radius > THIN * self.size

    def _ball(
        self, G: Floats, h: Floats, norms: Floats, axes: Floats, plane: tuple[Floats, float] | None
    ) -> Floats | None:
        """Return t of the largest r with G t + r norms <= h and r axes between t and its bounds; in a plane."""
        from scipy import sparse

        below, above = np.flatnonzero(np.isfinite(self.lower)), np.flatnonzero(np.isfinite(self.upper))
        eye = sparse.eye_array(len(self.middle), format="csr")
        rows = sparse.block_array([
            [sparse.csr_array(G), sparse.csr_array(norms[:, None])],
            [-eye[below], sparse.csr_array(axes[below, None])],
            [eye[above], sparse.csr_array(axes[above, None])],
        ])  # fmt: skip
        limits = np.concatenate([h, -self.lower[below], self.upper[above]])
        goal = np.append(np.zeros_like(self.middle), 1.0)
        equal = None if plane is None else (np.append(plane[0], 0.0)[None], np.array([plane[1]]))
        answer = _maximize(rows, limits, goal, [(None, None)] * len(self.middle) + [(None, REACH * self.size)], equal)
        return None if answer is None else answer[0][:-1]

    def twins(self, row: int) -> NDArray[np.bool_]:
        """Return which rows lie in the plane of another."""
        same = self.G @ self.G[row] >= 1 - 1e-14
        return np.asarray(same & (np.abs(self.slack - self.slack[row]) <= 10 * ON_BOUNDARY * self.size))

    def shoot(self, directions: Floats) -> None:
        """Keep the rows that rays from the center meet first, clearly before others."""
        speed = self.G @ directions.T
        with np.errstate(divide="ignore"):
            time = np.where(speed > 1e-12, self.slack[:, None] / np.maximum(speed, 1e-300), np.inf)
        with np.errstate(divide="ignore", invalid="ignore"):
            ahead = np.where(directions > 0, self.upper - self.middle, self.lower - self.middle) / directions
        end = np.where(np.isnan(ahead), np.inf, ahead).min(axis=1)
        for k, row in enumerate(time.argmin(0)):
            distance = time[row, k]
            if np.isfinite(distance) and distance <= end[k]:
                self._keep(int(row), self.middle + distance * directions[k])

    def _keep(self, row: int, point: Floats | None) -> None:
        if self.settled[row]:
            return
        same = self.twins(row)
        self.settled |= same
        self.settled[row] = True
        self.known.append(int(np.flatnonzero(same)[0]) if same.any() else row)
        if point is not None:
            self.hits[self.known[-1]] = point

    def settle(self, row: int) -> None:
        """Keep rows until this one is kept or follows from those kept."""
        while not self.settled[row]:
            rows = np.array([*self.known, row])
            limit = self.h[rows].copy()
            limit[-1] += max(self.radius, self.size)  # one step beyond is enough to know
            bounds = list(zip(self.lower, self.upper, strict=True))
            answer = _maximize(self.G[rows], limit, self.G[row], bounds)
            if answer is None:
                self.unsure = self.settled[row] = True
                return
            t, multipliers = answer
            if float(self.G[row] @ t) <= self.h[row] + CONFIRMED * self.size:
                self.settled[row] = True
                self.unsure |= not self._follows(rows[:-1], multipliers[:-1], row)
                return
            before = len(self.known)
            self.shoot((t - self.middle)[None])
            if len(self.known) == before:  # the ray meets a facet that is known: rounding
                self._keep(row, None)

    def _follows(self, rows: NDArray[np.int64], multipliers: Floats, row: int) -> bool:
        """Return whether nonnegative multiples of rows, and bounds, add up to no less than the row."""
        weights = np.maximum(multipliers, 0.0)
        gap = self.G[row] - weights @ self.G[rows]
        ends = np.where(gap > 0, self.upper - self.middle, self.middle - self.lower)
        rest = np.abs(gap) * np.where(np.isfinite(ends), ends, np.where(np.abs(gap) <= 1e-6, 0.0, np.inf))
        bound = float(weights @ self.slack[rows] + np.nan_to_num(rest, nan=np.inf).sum())
        return bound <= float(self.slack[row]) + 1e-6 * self.size

    def facets(self) -> tuple[NDArray[np.int64], Floats]:
        """Return the rows kept that bound the polytope in a facet, and a point in each, in the order of rows."""
        rows, points = [], []
        for row in sorted(self.known):
            point = self._inside(row)
            if point is not None:
                rows.append(row)
                points.append(point)
        return np.array(rows, dtype=np.int64), np.array(points).reshape(-1, self.G.shape[1])

    def _room(self, row: int, point: Floats) -> float:
        """Return the radius of the ball around a point within the plane of a facet."""
        others, norm, axes = self._seen(row)
        gap = self.h[others] - self.G[others] @ point
        flat = norm <= 1e-7
        if bool((gap[flat] < -ON_BOUNDARY * self.size).any()):
            return -1.0
        ends = np.minimum(point - self.lower, self.upper - point) / np.maximum(axes, 1e-300)
        return float(min((gap[~flat] / norm[~flat]).min(initial=np.inf), ends.min(initial=np.inf)))

    def _seen(self, row: int) -> tuple[NDArray[np.int64], Floats, Floats]:
        """Return the other rows kept, and the norms of them and of the axes in the plane of a facet."""
        others = np.setdiff1d(np.array(self.known), [row])
        along = self.G[others] @ self.G[row]
        return others, np.sqrt(np.maximum(1 - along**2, 0.0)), np.sqrt(np.maximum(1 - self.G[row] ** 2, 0.0))

    def _inside(self, row: int) -> Floats | None:
        """Return a point well inside a facet, None if it has no interior."""
        hit = self.hits.get(row)
        if hit is not None and self._room(row, hit) > 1e-3 * self.radius:
            return hit
        others, norm, axes = self._seen(row)
        point = self._ball(self.G[others], self.h[others], norm, axes, (self.G[row], float(self.h[row])))
        if point is None:
            self.unsure = True
            return hit
        point = point - (self.G[row] @ point - self.h[row]) * self.G[row]
        return point if self._room(row, point) > THIN * self.size else None


def _maximize(
    G: Any, h: Floats, goal: Floats, bounds: list[tuple[Any, Any]], equal: tuple[Floats, Floats] | None = None
) -> tuple[Floats, Floats] | None:
    """Return maximizer and multipliers of goal @ t where G t <= h, within bounds and maybe in a plane."""
    from scipy.optimize import linprog

    plane = {} if equal is None else {"A_eq": equal[0], "b_eq": equal[1]}
    answer = linprog(-goal, A_ub=G, b_ub=h, bounds=bounds, method="highs", **plane)
    if answer.status != 0:
        return None
    return np.asarray(answer.x), -np.asarray(answer.ineqlin.marginals)
