"""Rectangles in planes through input space."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from splinegraph.core.domains.chart import Chart
from splinegraph.core.domains.flat import Flat, as_point, numbers, same_shape
from splinegraph.errors import DomainError, ShapeError

__all__ = ["Plane"]

Extent = float | tuple[float, float] | tuple[tuple[float, float], tuple[float, float]]

COLLINEAR = 1e-9
"""Sine of the angle between two directions below which they span no plane."""


@dataclass(frozen=True, eq=False, repr=False)
class Plane(Flat):
    """A rectangle in the plane origin + t_0 u + t_1 v: a two-dimensional slice of the inputs.

    u and v are kept at length one and at a right angle (u in its direction, v turned towards it), so that lengths
    and areas in the plane's coordinates t are those of input space.

    Parameters
    ----------
    origin : Tensor of shape (*n,)
        The point at t = (0, 0), in the shape of one sample.
    u, v : Tensor of shape (*n,)
        Two directions, of any length, that span the plane.
    extent : float, or (lo, hi), or ((lo, hi), (lo, hi))
        The sides of the rectangle, in lengths of input space: from -extent to extent, from lo to hi along both
        directions, or along u and v.

    Raises
    ------
    DomainError
        If the directions span no plane, a side is empty, or a number is NaN.
    ShapeError
        If the shapes differ.

    See Also
    --------
    Plane.through : the slice through three inputs.

    Examples
    --------
    >>> plane = Plane(torch.zeros(3), torch.tensor([2.0, 0, 0]), torch.tensor([1.0, 0, 1.0]), extent=(0.0, 1.0))
    >>> plane
    <Plane in (3,), [0, 1] x [0, 1]>
    >>> plane.v.tolist(), plane.lift(torch.tensor([[0.25, 0.5]])).tolist()
    ([0.0, 0.0, 1.0], [[0.25, 0.0, 0.5]])
    """

    origin: Tensor
    u: Tensor
    v: Tensor
    extent: Extent = 1.0

    def __post_init__(self) -> None:
        origin, u, v = (as_point(getattr(self, name), name) for name in ("origin", "u", "v"))
        same_shape(origin=origin, u=u, v=v)
        if origin.numel() < 2:
            raise DomainError("a plane needs inputs of two entries or more", remedy="use a Box or a Segment")
        u, v = _orthonormal(u, v)
        for name, value in {"origin": origin, "u": u, "v": v, "extent": _sides(self.extent)}.items():
            object.__setattr__(self, name, value)

    @classmethod
    def through(cls, x1: Any, x2: Any, x3: Any, *, margin: float = 0.1) -> Plane:
        """Return the slice through three inputs, with some room around them.

        Parameters
        ----------
        x1, x2, x3 : Tensor of shape (*n,)
            x1 becomes the origin, u points to x2, and v to the side of x3.
        margin : float, default 0.1
            The room on every side, as a share of the longer side of the rectangle around the three points.

        Raises
        ------
        DomainError
            If the points lie on a line, or the margin is negative.
        """
        points = [as_point(x, name) for x, name in ((x1, "x1"), (x2, "x2"), (x3, "x3"))]
        same_shape(x1=points[0], x2=points[1], x3=points[2])
        if not 0 <= margin < float("inf"):
            raise DomainError(f"the margin is {margin}", remedy="give a number that is not negative")
        origin, first, second = points[0], points[1] - points[0], points[2] - points[0]
        u, v = _orthonormal(first, second)
        along = [[float((d * e).sum()) for d in (first, second)] for e in (u, v)]
        low, high = [min(0.0, *a) for a in along], [max(0.0, *a) for a in along]
        room = margin * max(h - lo for lo, h in zip(low, high, strict=True))
        return cls(origin, u, v, ((low[0] - room, high[0] + room), (low[1] - room, high[1] + room)))

    @property
    def area(self) -> float:
        """Area of the rectangle, in input space."""
        lower, upper = self.chart.lower, self.chart.upper
        return float((upper - lower).prod())

    @functools.cached_property
    def chart(self) -> Chart:
        """The rectangle in its coordinates t."""
        sides = torch.tensor(self.extent, dtype=torch.float64)
        directions = torch.stack([self.u.reshape(-1), self.v.reshape(-1)])
        origin, shape = self.origin.reshape(-1), tuple(self.origin.shape)
        return Chart((shape,), origin, sides[:, 0].clone(), sides[:, 1].clone(), directions=directions)

    def __repr__(self) -> str:
        assert isinstance(self.extent, tuple)
        sides = " x ".join(f"[{numbers(side)}]" for side in self.extent if isinstance(side, tuple))
        return f"<Plane in {tuple(self.shape)}, {sides}>"


def _orthonormal(u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Return the directions at length one and at a right angle."""
    scales = [float(d.abs().max()) if d.numel() else 0.0 for d in (u, v)]
    if min(scales) == 0.0:
        raise DomainError("the directions span no plane", why="one of them is zero", remedy="give three points apart")
    first, second = u / scales[0], v / scales[1]  # squares neither overflow nor vanish
    first, second = first / torch.linalg.vector_norm(first), second / torch.linalg.vector_norm(second)
    for _ in range(2):  # once more for what rounding left
        second = second - (first * second).sum() * first
        left = float(torch.linalg.vector_norm(second))
        if left < COLLINEAR:
            raise DomainError(
                "the directions span no plane",
                why="they are parallel: the points lie on a line",
                remedy="give three points that do not, or use a Segment",
            )
        second = second / left
    return first, second


def _sides(extent: Any) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return (lo, hi) per direction."""
    if isinstance(extent, Tensor) or hasattr(extent, "tolist"):
        extent = extent.tolist()
    if not isinstance(extent, Sequence):
        extent = (-float(extent), float(extent))
    pairs = extent if isinstance(extent[0], Sequence) else (extent, extent)
    if len(pairs) != 2 or any(len(pair) != 2 for pair in pairs):
        raise ShapeError(f"the extent is {extent}", remedy="give a number, (lo, hi), or one (lo, hi) per direction")
    (a, b), (c, d) = ((float(lo), float(hi)) for lo, hi in pairs)
    for name, lo, hi in (("u", a, b), ("v", c, d)):
        if not lo < hi:
            raise DomainError(f"the plane is empty along {name}: from {lo} to {hi}", remedy="give lo < hi")
    return (a, b), (c, d)
