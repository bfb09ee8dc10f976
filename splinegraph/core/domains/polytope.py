"""Polytopes of inputs, given by inequalities."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from splinegraph.core.domains import programs
from splinegraph.core.domains.chart import Chart
from splinegraph.core.values import Box
from splinegraph.errors import DomainError, ShapeError

__all__ = ["Polytope"]

FLAT = 1e-11
"""A polytope whose largest ball is smaller than this, relative to its size, has no interior."""

ROUNDING = 1e-9
"""How far HiGHS may miss a row, relative to the largest right-hand side."""

BEYOND = 1e-9
"""How far the chart's bounds lie outside of the polytope, relative to its size, where no row sets them: they come
from linear programs, whose rounding must not cut anything off."""

MOST_VERTICES_DIM = 8
"""Dimensions up to which vertices are listed: their number grows as the number of facets to the power D / 2."""


@dataclass(frozen=True, eq=False, repr=False)
class Polytope:
    """The inputs x with G x <= h.

    Parameters
    ----------
    G : Tensor of shape (m, *n)
        One row per inequality, in the shape of one sample or flattened.
    h : Tensor of shape (m,)
    point_shape : tuple of int, optional
        Shape of one sample, where the rows are flattened.

    Raises
    ------
    ShapeError
        If the shapes do not fit.
    DomainError
        If a number is NaN, or a row 0 x <= h with h < 0 makes it empty.

    Notes
    -----
    Nothing is solved until asked for. Emptiness, center and facets take a linear program each, or one per row
    (HiGHS); `bounding_box`, and so `chart` and `bounded`, two per coordinate.

    Examples
    --------
    >>> triangle = Polytope(torch.tensor([[-1.0, 0], [0, -1], [1, 1], [1, 1]]), torch.tensor([0.0, 0, 1, 3]))
    >>> triangle
    <Polytope in (2,), 4 inequalities>
    >>> triangle.facets.tolist(), triangle.volume
    ([0, 1, 2], 0.5)
    >>> triangle.contains(torch.tensor([[0.2, 0.2], [1.0, 1.0]])).tolist()
    [True, False]
    """

    G: Tensor
    h: Tensor
    point_shape: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        G, h = (torch.as_tensor(t).detach().cpu().double() for t in (self.G, self.h))
        if G.dim() < 2 or h.dim() != 1 or len(G) != len(h):
            raise ShapeError(
                f"the rows have shape {tuple(G.shape)}, the right-hand sides {tuple(h.shape)}",
                remedy="give G of shape (m, n) and h of shape (m,)",
            )
        shape = tuple(G.shape[1:]) if self.point_shape is None else tuple(self.point_shape)
        G = G.reshape(len(G), math.prod(G.shape[1:]))  # there may be no rows
        if math.prod(shape) != G.shape[1]:
            raise ShapeError(f"rows of {G.shape[1]} entries for points of shape {shape}")
        if not bool(G.isfinite().all()) or bool(h.isnan().any()):
            raise DomainError("the polytope holds NaN or infinite coefficients", remedy="give finite rows")
        if bool(((G == 0).all(1) & (h < 0)).any()):
            raise DomainError("the polytope is empty", why="a row says 0 <= a negative number")
        for name, value in {"G": G, "h": h, "point_shape": shape}.items():
            object.__setattr__(self, name, value)

    @classmethod
    def of_box(cls, box: Box) -> Polytope:
        """Return a box as a polytope."""
        eye = torch.eye(box.lower.numel(), dtype=torch.float64)
        lower, upper = (side.reshape(-1).double() for side in box)
        keep = torch.cat([lower, upper]).isfinite()
        return cls(torch.cat([-eye, eye])[keep], torch.cat([-lower, upper])[keep], tuple(box.shape))

    def __repr__(self) -> str:
        return f"<Polytope in {tuple(self.shape)}, {len(self.h)} inequalities>"

    @property
    def shape(self) -> torch.Size:
        """Shape of a point."""
        assert self.point_shape is not None
        return torch.Size(self.point_shape)

    def contains(self, x: Tensor, *, slack: float = 0.0) -> Tensor:
        """Return whether points `x` of shape (*batch, *n) satisfy all rows, widened by the distance `slack`."""
        batch = x.shape[: x.dim() - len(self.shape)]
        norm = torch.linalg.vector_norm(self.G, dim=1)
        flat = x.reshape(-1, self.G.shape[1]).double()
        inside: Tensor = (flat @ self.G.T.to(flat) <= (self.h + slack * norm).to(flat)).all(1)
        return inside.reshape(batch)

    # what linear programs tell

    @functools.cached_property
    def _rows(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
        """Rows of norm one that say something, and which they are."""
        G, h = self.G.numpy(), self.h.numpy()
        norm = np.linalg.norm(G, axis=1)
        index = np.flatnonzero((norm > 0) & (h < np.inf))
        return G[index] / norm[index, None], h[index] / norm[index], index

    @functools.cached_property
    def _ball(self) -> tuple[NDArray[np.float64], float]:
        if bool((self.h == -torch.inf).any()):
            return np.zeros(self.G.shape[1]), -np.inf
        return programs.ball(*self._rows[:2])

    @property
    def _size(self) -> float:
        """The unit of tolerances: how far the center is away, or the rows around it."""
        center, radius = self._ball
        return max(float(np.abs(center).max(initial=0.0)), abs(radius) if np.isfinite(radius) else 0.0)

    @property
    def empty(self) -> bool:
        """Whether no point satisfies all rows, beyond rounding; a polytope without interior is not empty."""
        return self._ball[1] < -ROUNDING * max(self._size, float(np.abs(self._rows[1]).max(initial=0.0)))

    @property
    def center(self) -> Tensor:
        """The center of a largest ball inside, shape (*n,)."""
        self._check()
        return torch.from_numpy(self._ball[0]).reshape(self.shape)

    @property
    def radius(self) -> float:
        """The radius of a largest ball inside; infinite if balls grow for ever, at most 0 without interior."""
        return self._ball[1]

    def _check(self) -> None:
        """Raise unless there is an interior."""
        if self.empty:
            raise DomainError("the polytope is empty", why="no point satisfies all its inequalities")
        if self._ball[1] <= FLAT * self._size:
            raise DomainError(
                "the polytope is flat: it has no interior",
                why="some of its inequalities only hold with equality",
                remedy="fix coordinates by a Box with lower == upper, or use a Plane or Segment",
            )

    @functools.cached_property
    def bounding_box(self) -> Box:
        """The smallest box around it, sides infinite where it is unbounded; rounded as linear programs are."""
        self._check()
        G, h, _ = self._rows
        every = np.ones((2, G.shape[1]), dtype=np.bool_)
        lower, upper = torch.from_numpy(programs.box(G, h, every)).reshape(2, *self.shape)
        return Box(lower, upper)

    @functools.cached_property
    def _sides(self) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Bounds of the coordinates, shape (2, n), and which rows have a single entry.

        A bound is what such rows say, else a little outside of what linear programs find.
        """
        self._check()
        G, h, _ = self._rows
        sides, single = _declared(G, h)
        missing = np.isinf(sides)
        if missing.any():
            sides = np.where(missing, programs.box(G, h, missing), sides)
        lengths = sides[1] - sides[0]
        room = BEYOND * max(self._size, float(lengths[np.isfinite(lengths)].max(initial=0.0)))
        return np.where(missing, sides + np.array([[-room], [room]]), sides), single

    @property
    def bounded(self) -> bool:
        """Whether it lies in a finite box."""
        return bool(np.isfinite(self._sides[0]).all())

    @functools.cached_property
    def facets(self) -> Tensor:
        """The rows that are needed, in ascending order, int64; of equal rows the first."""
        self._check()
        G, h, index = self._rows
        return torch.from_numpy(index[programs.necessary(G, h, FLAT * self._size)])

    def irredundant(self) -> Polytope:
        """Return the same set by the rows that are needed."""
        return Polytope(self.G[self.facets], self.h[self.facets], self.point_shape)

    # what needs bounds

    def _bounded(self, what: str) -> None:
        self._check()
        if not self.bounded:
            raise DomainError(f"the polytope has no {what}", why="it is unbounded", remedy="add finite bounds")

    @functools.cached_property
    def vertices(self) -> Tensor:
        """All vertices, shape (V, *n), of a bounded polytope of at most 8 dimensions (qhull)."""
        self._bounded("finite list of vertices")
        dim = self.G.shape[1]
        if dim > MOST_VERTICES_DIM:
            raise DomainError(
                f"the vertices of a polytope of {dim} dimensions are too many to list",
                remedy=f"use its center, bounding box or samples; vertices go to {MOST_VERTICES_DIM} dimensions",
            )
        if dim == 1:
            return torch.stack([self.bounding_box.lower, self.bounding_box.upper]).reshape(2, *self.shape)
        from scipy.spatial import HalfspaceIntersection

        G, h, _ = self._rows
        center, radius = self._ball
        found = HalfspaceIntersection(np.c_[G, -(h - G @ center) / radius], np.zeros(dim)).intersections
        _, first = np.unique((found * 1e9).round(), axis=0, return_index=True)  # one per facet that meets there
        return torch.from_numpy(center + radius * found[np.sort(first)]).reshape(-1, *self.shape)

    @functools.cached_property
    def volume(self) -> float:
        """Volume of a bounded polytope of at most 8 dimensions (qhull)."""
        vertices = self.vertices.reshape(-1, self.G.shape[1]).numpy()
        if vertices.shape[1] == 1:
            return float(np.ptp(vertices))
        from scipy.spatial import ConvexHull

        return float(ConvexHull(vertices).volume)

    def sample(self, count: int, *, generator: torch.Generator | None = None, steps: int | None = None) -> Tensor:
        """Return `count` points that are nearly uniform in a bounded polytope, shape (count, *n).

        Hit and run: as many independent chains as points start at the center and jump to a uniform point of a
        random chord through them, `steps` times (default: 10 per dimension, and 50 more). Chords are drawn in the
        proportions of the bounding box. Each step costs a product with the rows.
        """
        self._bounded("uniform distribution")
        rows, rhs, _ = self._rows
        G, h = torch.from_numpy(rows), torch.from_numpy(rhs)
        sides = (self.bounding_box.upper - self.bounding_box.lower).reshape(-1)
        x = self.center.reshape(1, -1).repeat(count, 1)
        for _ in range(50 + 10 * G.shape[1] if steps is None else steps):
            direction = torch.randn(x.shape, generator=generator, dtype=torch.float64) * sides
            speed, room = direction @ G.T, (h - x @ G.T).clamp(min=0.0)
            reach = room / speed
            ahead = reach.masked_fill(speed <= 0, torch.inf).amin(1, keepdim=True)
            behind = reach.masked_fill(speed >= 0, -torch.inf).amax(1, keepdim=True)
            u = torch.rand((count, 1), generator=generator, dtype=torch.float64)
            x = x + (behind + u * (ahead - behind)) * direction
        return x.reshape(count, *self.shape)

    @functools.cached_property
    def chart(self) -> Chart:
        """The polytope in coordinates: all entries of the input are free, between the sides of a box around it."""
        G, h, _ = self._rows
        sides, single = self._sides
        lower, upper = torch.from_numpy(sides)
        origin, index = torch.zeros(G.shape[1], dtype=torch.float64), torch.arange(G.shape[1])
        rows, rhs = torch.from_numpy(G[~single]), torch.from_numpy(h[~single])
        return Chart((tuple(self.shape),), origin, lower, upper, index=index, G=rows, h=rhs)


def _declared(G: NDArray[np.float64], h: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the bounds that rows of a single entry set, shape (2, n), and which rows these are."""
    sides = np.stack([np.full(G.shape[1], -np.inf), np.full(G.shape[1], np.inf)])
    single: NDArray[np.bool_] = (G != 0).sum(1) == 1
    for row, rhs in zip(G[single], h[single], strict=True):
        d = int(np.flatnonzero(row)[0])
        if row[d] > 0:
            sides[1, d] = min(sides[1, d], rhs)
        else:
            sides[0, d] = max(sides[0, d], -rhs)
    return sides, single
