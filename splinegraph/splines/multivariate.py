"""Multivariate affine splines, spline operators as stacks of them, and their joint partition.

A region is a polyhedron ``normals x <= offsets``, closed; where regions meet, the first one holds.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from splinegraph.errors import DomainError, ShapeError
from splinegraph.splines.univariate import Array

__all__ = ["AffineSpline", "Region", "SplineOperator"]

THINNEST = 1e-9
"""Regions that hold no ball of this radius (at most 1 is looked for) have no interior."""


@dataclass(frozen=True, eq=False)
class Region:
    """The points x with normals x <= offsets: arrays of shapes (h, d) and (h,)."""

    normals: Array
    offsets: Array

    def contains(self, x: Array) -> Array:
        """Return which points, shape (B, d), are inside or on the boundary."""
        return np.asarray((x @ self.normals.T <= self.offsets).all(-1))

    def meet(self, other: Region) -> Region:
        """Return the intersection."""
        return Region(np.vstack([self.normals, other.normals]), np.concatenate([self.offsets, other.offsets]))

    def radius(self) -> float:
        """Return the radius of a largest ball inside, at most 1; negative if there is no point. One LP."""
        from scipy.optimize import linprog

        d = self.normals.shape[1]
        lengths = np.linalg.norm(self.normals, axis=1)
        rows = np.hstack([self.normals, lengths[:, None]])
        bounds = [(None, None)] * d + [(None, 1.0)]
        found = linprog(np.eye(d + 1)[d] * -1.0, A_ub=rows, b_ub=self.offsets, bounds=bounds)
        return float(found.x[d]) if found.status == 0 else -1.0


@dataclass(frozen=True, eq=False)
class AffineSpline:
    """A function from R^d that is affine on each of R regions (Definitions 12-16).

    Parameters
    ----------
    regions : sequence of R Region
        Their union should be the domain; at points of several, the first one counts.
    slopes : array of shape (R, d)
    offsets : array of shape (R,)

    Examples
    --------
    Equation 118 of "A Spline Theory of Deep Learning" says that s(x + e) = s(x) for e without entries on the
    inputs that no slope depends on. It means e with entries *only* there; even so it fails for splines that
    jump, as the regions may depend on these inputs. Here no slope depends on anything:

    >>> step = AffineSpline(
    ...     [Region(np.array([[0.0, 1.0]]), np.zeros(1)), Region(np.array([[0.0, -1.0]]), np.zeros(1))],
    ...     np.zeros((2, 2)), np.array([0.0, 1.0]))
    >>> step.sensitivity_support(), step(np.array([[0.0, -1.0], [0.0, 1.0]]))
    ((), array([0., 1.]))
    >>> step.insensitive_to((1,)), step.insensitive_to((0,))
    (False, True)
    """

    regions: Sequence[Region]
    slopes: Array
    offsets: Array

    def __post_init__(self) -> None:
        """Refuse shapes that do not fit."""
        count = len(self.regions)
        if not count or self.slopes.ndim != 2 or len(self.slopes) != count or self.offsets.shape != (count,):
            shapes = f"{count} regions, slopes {self.slopes.shape}, offsets {self.offsets.shape}"
            raise ShapeError("no affine spline", why=shapes, remedy="give one slope and one offset per region")

    def region(self, x: Array) -> Array:
        """Return the index of the region of each point, shape (B,), the first one where several meet."""
        inside = np.stack([region.contains(x) for region in self.regions])
        if not inside.any(0).all():
            raise DomainError("a point is in no region", remedy="give regions that cover the domain")
        return np.asarray(inside.argmax(0))

    def __call__(self, x: Array) -> Array:
        """Return the values at points of shape (B, d)."""
        index = self.region(x)
        return np.asarray((self.slopes[index] * x).sum(-1) + self.offsets[index])

    def sensitivity_support(self) -> tuple[int, ...]:
        """Return the inputs that some region's slope depends on (the complement of Equation 117's set)."""
        return tuple(int(i) for i in np.flatnonzero((self.slopes != 0).any(0)))

    def insensitive_to(self, inputs: Sequence[int]) -> bool:
        """Return whether it is proved that perturbations of these inputs alone never change the value.

        No slope may depend on them; beyond that it suffices that the spline is continuous or that no
        region's boundary depends on them. O(R^2) LPs in the first case.
        """
        chosen = list(inputs)
        if (self.slopes[:, chosen] != 0).any():
            return False
        return all(not (r.normals[:, chosen] != 0).any() for r in self.regions) or self.continuous()

    def continuous(self, tol: float = 1e-9) -> bool:
        """Return whether neighbours agree on what they share: for each pair two LPs of their difference."""
        from scipy.optimize import linprog

        for i, j in itertools.combinations(range(len(self.regions)), 2):
            shared = self.regions[i].meet(self.regions[j])
            slope, offset = self.slopes[i] - self.slopes[j], self.offsets[i] - self.offsets[j]
            for sign in (1.0, -1.0):
                found = linprog(-sign * slope, A_ub=shared.normals, b_ub=shared.offsets, bounds=(None, None))
                if found.status == 2:
                    break
                if found.status != 0 or sign * (slope @ found.x + offset) > tol:
                    return False
        return True


@dataclass(frozen=True, eq=False)
class SplineOperator:
    """K affine splines on one domain, stacked: a map to R^K (Definitions 2-3).

    Examples
    --------
    >>> left, right = Region(np.array([[1.0]]), np.zeros(1)), Region(np.array([[-1.0]]), np.zeros(1))
    >>> relu = AffineSpline([left, right], np.array([[0.0], [1.0]]), np.zeros(2))
    >>> joint, parents = SplineOperator([relu, relu]).partition()
    >>> len(joint), parents  # of the 4 combinations, 2 have an interior
    (2, [(0, 0), (1, 1)])
    """

    splines: Sequence[AffineSpline]

    def __call__(self, x: Array) -> Array:
        """Return the values at points of shape (B, d), shape (B, K)."""
        return np.stack([spline(x) for spline in self.splines], -1)

    def partition(self) -> tuple[list[Region], list[tuple[int, ...]]]:
        """Return the joint regions and, for each, the region of every spline that holds it.

        The common refinement, spline by spline; intersections without interior are dropped by an LP each,
        so R is at most the product of the numbers of regions. Parents are unique, as interiors do not meet.
        """
        joint: list[tuple[Region | None, tuple[int, ...]]] = [(None, ())]
        for spline in self.splines:
            finer: list[tuple[Region | None, tuple[int, ...]]] = []
            for region, parents in joint:
                for r, own in enumerate(spline.regions):
                    both = own if region is None else region.meet(own)
                    if both.radius() > THINNEST:
                        finer.append((both, (*parents, r)))
            joint = finer
        return [region for region, _ in joint if region is not None], [parents for _, parents in joint]
