"""Segments between two inputs."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from splinegraph.core.domains.chart import Chart
from splinegraph.core.domains.flat import Flat, as_point, same_shape
from splinegraph.errors import DomainError

__all__ = ["Segment"]


@dataclass(frozen=True, eq=False, repr=False)
class Segment(Flat):
    """The points x1 + t (x2 - x1) for t from 0 to 1; t is the coordinate of its chart, not a length.

    Parameters
    ----------
    x1, x2 : Tensor of shape (*n,)
        Different points, in the shape of one sample.

    Raises
    ------
    DomainError
        If the points are equal, or hold NaN or infinite values.
    ShapeError
        If their shapes differ.

    Examples
    --------
    >>> segment = Segment(torch.zeros(3), torch.tensor([0.0, 3.0, 4.0]))
    >>> segment
    <Segment in (3,), length 5>
    >>> segment.lift(torch.tensor([[0.5]])).tolist()
    [[0.0, 1.5, 2.0]]
    """

    x1: Tensor
    x2: Tensor

    def __post_init__(self) -> None:
        x1, x2 = as_point(self.x1, "x1"), as_point(self.x2, "x2")
        same_shape(x1=x1, x2=x2)
        if bool((x1 == x2).all()):
            raise DomainError("the segment is a point", why="x1 == x2", remedy="give two different inputs")
        object.__setattr__(self, "x1", x1)
        object.__setattr__(self, "x2", x2)

    @property
    def length(self) -> float:
        """Euclidean length, in input space."""
        return float(torch.linalg.vector_norm(self.x2 - self.x1))

    @functools.cached_property
    def chart(self) -> Chart:
        """The segment in its coordinate t, from 0 to 1."""
        start, step = self.x1.reshape(-1), (self.x2 - self.x1).reshape(1, -1)
        zero, one = torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
        return Chart((tuple(self.x1.shape),), start, zero, one, directions=step)

    def __repr__(self) -> str:
        length = f"{self.length:.6g}" if math.isfinite(self.length) else "too long"
        return f"<Segment in {tuple(self.shape)}, length {length}>"
