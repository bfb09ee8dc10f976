"""Balls of the Euclidean norm."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from splinegraph.core.domains.flat import as_point
from splinegraph.core.values import Box
from splinegraph.errors import DomainError

__all__ = ["Ball"]


@dataclass(frozen=True, eq=False, repr=False)
class Ball:
    """The points at Euclidean distance `radius` or less from `center`.

    Parameters
    ----------
    center : Tensor of shape (*n,)
        In the shape of one sample.
    radius : float
        Positive and finite.

    Raises
    ------
    DomainError
        If the center holds NaN or infinite values, or the radius is not positive and finite.

    Examples
    --------
    >>> ball = Ball(torch.zeros(2), radius=0.5)
    >>> ball
    <Ball in (2,), radius 0.5>
    >>> ball.contains(torch.tensor([[0.3, 0.3], [0.4, 0.4]])).tolist()
    [True, False]
    """

    center: Tensor
    radius: float

    def __post_init__(self) -> None:
        # a copy: the user's array may change
        object.__setattr__(self, "center", as_point(self.center, "the center").clone())
        object.__setattr__(self, "radius", float(self.radius))
        if not 0 < self.radius < math.inf:
            raise DomainError(f"a ball of radius {self.radius:g}", remedy="give a positive and finite radius")

    @property
    def shape(self) -> torch.Size:
        """Shape of a point."""
        return self.center.shape

    @functools.cached_property
    def box(self) -> Box:
        """The smallest box of floating point numbers around it."""
        infinite = torch.full_like(self.center, math.inf)
        lower, upper = self.center - self.radius, self.center + self.radius
        return Box(torch.nextafter(lower, -infinite), torch.nextafter(upper, infinite))

    def contains(self, x: Tensor, *, slack: float = 0.0) -> Tensor:
        """Return whether points `x` of shape (*batch, *n) are in the ball, or within `slack` of it."""
        return self._away(x) <= self.radius + slack

    def nearest(self, x: Tensor) -> Tensor:
        """Return the nearest points of the ball to points `x` of shape (*batch, *n)."""
        away = self._away(x).reshape(*x.shape[: x.dim() - self.center.dim()], *(1,) * self.center.dim())
        # a hair inside, so that rounding does not put the point outside
        scale = (self.radius * (1 - 1e-14) / away.clamp(min=torch.finfo(torch.float64).tiny)).clamp(max=1.0)
        return torch.where(away <= self.radius, x.double(), self.center + scale * (x.double() - self.center))

    def sample(self, count: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Return `count` uniform points, shape (count, *n)."""
        n = max(self.center.numel(), 1)
        direction = torch.randn((count, n), generator=generator, dtype=torch.float64)
        length = torch.rand((count, 1), generator=generator, dtype=torch.float64) ** (1 / n)
        steps = direction / torch.linalg.vector_norm(direction, dim=1, keepdim=True) * (self.radius * length)
        return self.nearest(self.center + steps.reshape(count, *self.shape))

    def _away(self, x: Tensor) -> Tensor:
        """Return distances from the center, of shape (*batch,)."""
        batch = x.shape[: x.dim() - self.center.dim()]
        found: Tensor = torch.linalg.vector_norm((x.double() - self.center).reshape(*batch, -1), dim=-1)
        return found

    def __repr__(self) -> str:
        return f"<Ball in {tuple(self.shape)}, radius {self.radius:g}>"
