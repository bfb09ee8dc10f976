"""What planes and segments share: points x = origin + t @ directions, t in a box."""

from __future__ import annotations

import abc
import math
from typing import Any

import torch
from torch import Tensor

from splinegraph.core.domains.chart import Chart
from splinegraph.errors import DomainError, ShapeError

__all__ = ["OFF_PLANE", "Flat", "as_point"]

OFF_PLANE = 1e-9
"""A point lies in a plane if it is this near to it, relative to the size of its coordinates: most points of a plane
are no floating point numbers."""


def as_point(value: Any, name: str) -> Tensor:
    """Return a point, or a direction, as a float64 tensor on the CPU."""
    x = torch.as_tensor(value).detach().cpu().double()
    if not bool(x.isfinite().all()):
        raise DomainError(f"{name} holds NaN or infinite values", remedy="give finite numbers")
    return x


def same_shape(**points: Tensor) -> None:
    """Check that points have one shape."""
    if len({p.shape for p in points.values()}) > 1:
        found = ", ".join(f"{name} {tuple(p.shape)}" for name, p in points.items())
        raise ShapeError(f"the points have different shapes: {found}")


class Flat(abc.ABC):
    """A piece of an affine subspace of the inputs."""

    @property
    @abc.abstractmethod
    def chart(self) -> Chart:
        """The set in coordinates t of its own."""

    @property
    def shape(self) -> torch.Size:
        """Shape of a point."""
        return torch.Size(self.chart.shapes[0])

    @property
    def bounded(self) -> bool:
        """Whether the extent is finite."""
        return self.chart.bounded

    def lift(self, t: Tensor) -> Tensor:
        """Return the points at coordinates t of shape (N, D), shape (N, *n)."""
        return self.chart.lift(t)[0]

    def coordinates(self, x: Tensor) -> Tensor:
        """Return the coordinates of points of shape (N, *n), shape (N, D); off the plane those of the nearest."""
        return self.chart.coordinates((x,))

    def contains(self, x: Tensor, *, slack: float = 0.0) -> Tensor:
        """Return whether points `x` of shape (*batch, *n) lie in the set, widened by `slack` in input space."""
        chart, batch = self.chart, x.shape[: x.dim() - len(self.shape)]
        flat = x.reshape(-1, *self.shape).double()
        t = chart.coordinates((flat,))
        nearest = torch.minimum(torch.maximum(t, chart.lower.to(t)), chart.upper.to(t))
        away = torch.linalg.vector_norm((flat - chart.lift(nearest)[0]).reshape(len(flat), -1), dim=1)
        size = torch.linalg.vector_norm(flat.reshape(len(flat), -1), dim=1)
        inside: Tensor = away <= slack + OFF_PLANE * size.clamp(min=float(chart.origin.abs().max()))
        return inside.reshape(batch)

    def sample(self, count: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Return `count` uniform points, shape (count, *n)."""
        chart = self.chart
        if not chart.bounded:
            raise DomainError("cannot sample an unbounded plane", remedy="give a finite extent")
        u = torch.rand((count, chart.dim), generator=generator, dtype=torch.float64)
        return chart.lift(chart.lower + u * (chart.upper - chart.lower))[0]


def numbers(values: Any, digits: int = 4) -> str:
    """Return a short text for numbers."""
    return ", ".join(f"{float(v):.{digits}g}" if math.isfinite(float(v)) else str(float(v)) for v in values)
