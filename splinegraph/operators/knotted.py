"""An elementwise spline with any number of knots: what an approximation of a smooth function is."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from torch import Tensor

from splinegraph.operators.base import ElementwiseSpline, Scalar
from splinegraph.operators.maximum import code_dtype

__all__ = ["Knotted"]


@dataclass(frozen=True, eq=False)
class Knotted(ElementwiseSpline):
    """A continuous piecewise affine function of one variable.

    Parameters
    ----------
    breakpoints : tuple of k floats, increasing
        At least one.
    slopes : tuple of k + 1 floats
    anchor : float
        The value at the first breakpoint.
    stands_for : str
        What it approximates, for people.
    """

    breakpoints: tuple[float, ...] = (0.0,)
    slopes: tuple[Scalar, ...] = (0.0, 1.0)
    anchor: float = 0.0
    stands_for: str = ""

    def __post_init__(self) -> None:
        if not self.breakpoints or len(self.slopes) != len(self.breakpoints) + 1:
            raise ValueError(f"{len(self.breakpoints)} knots and {len(self.slopes)} slopes; give one slope more")
        if any(b >= c for b, c in zip(self.breakpoints, self.breakpoints[1:], strict=False)):
            raise ValueError("the knots of a spline have to increase")

    @property
    def label(self) -> str:
        """What it stands for, and the number of pieces."""
        return f"{self.stands_for or 'Knotted'}[{len(self.slopes)}]"

    @functools.cached_property
    def intercepts(self) -> tuple[Scalar, ...]:
        """The lines' values at 0, from continuity."""
        return super().intercepts

    def code(self, *xs: Tensor) -> Tensor:
        """Return the number of knots to the left of x, by bisection."""
        (x,) = xs
        knots = torch.tensor(self.breakpoints, dtype=torch.float64, device=x.device)
        return torch.bucketize(x.detach().double().contiguous(), knots).to(code_dtype(len(self.slopes)))

    def switch(self, *xs: Tensor) -> tuple[Tensor, Tensor]:
        """Return value and code from one search."""
        code = self.code(*xs)
        return self.piece(code, [x.shape for x in xs]).apply(*xs), code
