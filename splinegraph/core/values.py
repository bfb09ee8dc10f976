"""Small immutable values that every layer shares: boxes, curvature and monotonicity flags."""

from __future__ import annotations

import enum
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from splinegraph.errors import DomainError

if TYPE_CHECKING:
    from splinegraph.core.domains.chart import Chart

__all__ = ["Box", "Curvature", "Monotonicity"]


class _Flags(enum.IntFlag):
    """Flags that also live in int8 tensors, one entry per unit (0-dim where all units agree)."""

    def tensor(self) -> Tensor:
        """Return the flag as a 0-dim int8 tensor."""
        return torch.tensor(int(self), dtype=torch.int8)

    def where(self, mask: Tensor) -> Tensor:
        """Return this flag where `mask` holds, unknown elsewhere (int8, shape of `mask`)."""
        return mask.to(torch.int8) * int(self)

    def held_by(self, flags: Tensor) -> Tensor:
        """Return which entries of `flags` claim this flag (bool, shape of `flags`)."""
        return (flags & int(self)) == int(self)


class Curvature(_Flags):
    """What is known of the curvature of a unit; combine knowledge with ``&`` and ``|``."""

    UNKNOWN = 0
    CONVEX = 1
    CONCAVE = 2
    AFFINE = 3


class Monotonicity(_Flags):
    """What is known of the direction in which a unit moves when an argument grows entrywise."""

    UNKNOWN = 0
    NONDECREASING = 1
    NONINCREASING = 2
    CONSTANT = 3


@dataclass(frozen=True, eq=False)
class Box:
    """The set ``lower <= x <= upper``, entrywise; sides may be infinite.

    Parameters
    ----------
    lower, upper : Tensor of shape (*n,)
        Bounds of equal shape (scalars broadcast).

    Raises
    ------
    DomainError
        If a bound is NaN or ``lower > upper`` somewhere.

    Examples
    --------
    >>> box = Box.around(torch.zeros(2), radius=0.5)
    >>> bool(box.contains(torch.tensor([0.4, -0.5])))
    True
    """

    lower: Tensor
    upper: Tensor

    def __post_init__(self) -> None:
        # copies: what is worked out of them is kept, and the user's arrays may change
        lower, upper = (torch.as_tensor(side).clone() for side in (self.lower, self.upper))
        if lower.shape != upper.shape:
            lower, upper = torch.broadcast_tensors(lower, upper)
        if not bool((lower <= upper).all()):
            if bool(lower.isnan().any() | upper.isnan().any()):
                raise DomainError("the box holds NaN", remedy="give finite or infinite bounds")
            index = tuple(int(i[0]) for i in torch.nonzero(lower > upper, as_tuple=True))
            raise DomainError("the box is empty", where=f"coordinate {index}", why="lower > upper there")
        object.__setattr__(self, "lower", lower)
        object.__setattr__(self, "upper", upper)

    @classmethod
    def around(cls, center: Tensor, *, radius: float | Tensor) -> Box:
        """Return the box ``|x - center| <= radius`` (infinity norm)."""
        return cls(center - radius, center + radius)

    @classmethod
    def everything(cls, shape: tuple[int, ...], dtype: torch.dtype = torch.float64) -> Box:
        """Return the whole space of the given shape."""
        infinite = torch.full(shape, torch.inf, dtype=dtype)
        return cls(-infinite, infinite)

    @property
    def shape(self) -> torch.Size:
        """Shape of a point of the box."""
        return self.lower.shape

    @functools.cached_property
    def bounded(self) -> bool:
        """Whether every side is finite."""
        return bool((self.lower.isfinite() & self.upper.isfinite()).all())

    def contains(self, x: Tensor, *, slack: float = 0.0) -> Tensor:
        """Return whether points `x` of shape (*batch, *n) lie in the box, widened by `slack`."""
        inside = (x >= self.lower - slack) & (x <= self.upper + slack)
        return inside.flatten(inside.dim() - self.lower.dim()).all(-1) if self.lower.dim() else inside

    def sample(self, count: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Return `count` uniform points of a bounded box, shape (count, *n)."""
        if not self.bounded:
            raise DomainError("cannot sample an unbounded box", remedy="give finite bounds")
        u = torch.rand((count, *self.shape), generator=generator, dtype=self.lower.dtype)
        return self.lower + u * (self.upper - self.lower)

    @functools.cached_property
    def chart(self) -> Chart:
        """The box in its free coordinates, those with lower < upper."""
        from splinegraph.core.domains.box import box_chart

        return box_chart(self)

    def broadcast(self, shape: tuple[int, ...]) -> Box:
        """Return the same box for points of a larger shape; unchanged if it does not fit."""
        from splinegraph.core.domains.box import spread

        if self.shape == shape:
            return self
        return Box(*spread(self, shape))

    def __iter__(self) -> Iterator[Tensor]:
        return iter((self.lower, self.upper))
