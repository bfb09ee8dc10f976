"""What is put in front of a network so that its inputs are the raw ones."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from splinegraph.core.affine import AffineOperator
from splinegraph.core.operator import Boxes, Shapes
from splinegraph.operators.linear import Parts

__all__ = ["Normalize"]


@dataclass(frozen=True, eq=False)
class Normalize(AffineOperator):
    """(x - mean) / std, one pair of numbers per channel or one for all.

    Parameters
    ----------
    mean, std : Tensor of shape (channels,) or (1,)
        The entries of `std` are positive, so that the map is one to one.
    trailing : int
        Number of axes behind the channel axis.
    """

    mean: Tensor
    std: Tensor
    trailing: int = 0

    def _shaped(self, tensor: Tensor) -> Tensor:
        return tensor.reshape(-1, *(1,) * self.trailing)

    def forward(self, *xs: Tensor) -> Tensor:
        return (xs[0] - self._shaped(self.mean)) / self._shaped(self.std)

    def linear(self, *vs: Tensor) -> Tensor:
        return vs[0] / self._shaped(self.std)

    def adjoint(self, u: Tensor, shapes: Shapes) -> tuple[Tensor, ...]:
        return (u / self._shaped(self.std),)

    def split(self) -> Parts:
        return replace(self, mean=torch.zeros_like(self.mean)), None

    def lipschitz(self, norm: float = 2, arg: int = 0, on: Boxes | None = None, shapes: Shapes | None = None) -> float:
        """Return 1 / min(std), the norm of a diagonal map in every norm."""
        return float((1 / self.std.detach().double()).max())
