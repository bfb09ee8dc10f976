"""What units compute, where that is more than one kink."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from splinegraph.core.operator import Operator
from splinegraph.core.values import Box

__all__ = ["Elementwise"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Elementwise:
    """Some entries of an elementwise operator: smooth, or of several kinks.

    Parameters
    ----------
    operator : Operator
        In float64, with a `slope_range`.
    shape : tuple of int
        Of its argument at batch size one.
    entries : array of shape (units,), int64
        Which of the flattened entries the units are.
    """

    operator: Operator
    shape: tuple[int, ...]
    entries: NDArray[np.int64]

    def of(self, some: NDArray[np.bool_]) -> Elementwise:
        """Return the function of some of the units."""
        return replace(self, entries=self.entries[some])

    def values(self, u: Floats) -> Floats:
        """Return f(u) at u of shape (B, units)."""
        return np.stack([self._taken(self.operator.forward(self._spread(row))) for row in u])

    def slopes(self, low: Floats, high: Floats) -> tuple[Floats, Floats]:
        """Return the least and the largest slope on intervals [low, high], each of shape (B, units)."""
        found = [self._slope_range(Box(self._spread(a), self._spread(b))) for a, b in zip(low, high, strict=True)]
        return np.stack([least for least, _ in found]), np.stack([most for _, most in found])

    def derivatives(self, u: Floats) -> Floats:
        """Return f'(u) at u of shape (B, units); at a kink the slope to its left."""
        ones = torch.ones(self.shape, dtype=torch.float64)
        return np.stack([self._taken(self.operator.linearize(self._spread(row)).tangent(ones)) for row in u])

    @property
    def exact(self) -> bool:
        """Whether slopes are numbers that the operator holds, without rounding."""
        return self.operator.piecewise_affine

    def _slope_range(self, box: Box) -> tuple[Floats, Floats]:
        ranged: Callable[[list[Box]], tuple[Tensor, Tensor]] = self.operator.slope_range  # type: ignore[attr-defined]
        with torch.no_grad():
            least, most = ranged([box])
        return self._taken(least.expand(self.shape)), self._taken(most.expand(self.shape))

    def _spread(self, row: Floats) -> Tensor:
        """Return the operator's argument; entries that are no units of this block are zero."""
        flat = np.zeros(int(np.prod(self.shape)))
        flat[self.entries] = row
        return torch.from_numpy(flat).reshape(self.shape)

    def _taken(self, values: Tensor) -> Floats:
        return values.detach().double().reshape(-1).numpy()[self.entries]
