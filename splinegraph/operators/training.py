"""Operators that are fixed in evaluation only: dropout draws a mask, batch norm takes the batch's statistics.

Their facts are those of evaluation. `TrainedOperator.draw` is what they do while the model trains.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from splinegraph.core.affine import AffineOperator
from splinegraph.core.operator import Piece, Shapes
from splinegraph.operators.base import ElementwisePiece
from splinegraph.operators.linear import BatchNorm, Parts

__all__ = ["BatchStatistics", "Dropout", "TrainedOperator"]


class TrainedOperator(AffineOperator):
    """An affine operator that depends on chance, or on the whole batch, while the model trains."""

    @abc.abstractmethod
    def draw(self, x: Tensor) -> tuple[Tensor, Piece]:
        """Return value and piece of one training step: the value as torch has it, the mask or statistics as constants.

        The piece is the derivative by x with the mask and the statistics held fixed; it can be
        differentiated by the parameters, the statistics included.
        """


@dataclass(frozen=True, eq=False)
class Dropout(TrainedOperator):
    """Dropout of entries or of whole channels; in evaluation the identity.

    Parameters
    ----------
    rate : float
        Probability of a zero.
    channels : bool
        Whether whole channels are dropped; batch and channels are the first two axes then.
    alpha : bool
        Whether dropped entries take SELU's negative limit, and all are scaled and shifted (alpha dropout).
    """

    rate: float
    channels: bool = False
    alpha: bool = False

    @property
    def label(self) -> str:
        """Kind and rate."""
        return f"{'Alpha' if self.alpha else ''}{'Channel' if self.channels else ''}Dropout({self.rate:g})"

    def linear(self, *vs: Tensor) -> Tensor:
        return vs[0]

    def adjoint(self, u: Tensor, shapes: Shapes) -> tuple[Tensor, ...]:
        return (u,)

    def split(self) -> Parts:
        return self, None

    def draw(self, x: Tensor) -> tuple[Tensor, Piece]:
        # torch's own calls on constants: one seed gives the masks that the model itself would draw
        if not self.alpha:
            drop = torch.feature_dropout if self.channels else F.dropout
            mask = drop(self._full(x, 1.0), self.rate, True)
            return x * mask, ElementwisePiece(mask, mask.new_zeros(()))
        drop = torch.feature_alpha_dropout if self.channels else torch.alpha_dropout
        shift = drop(self._full(x, 0.0), self.rate, True)
        piece = ElementwisePiece((shift > 0).to(x.dtype) * _alpha_scale(self.rate), shift)
        return piece.apply(x), piece

    def _full(self, x: Tensor, number: float) -> Tensor:
        """Return a constant for each entry, in the order in which x lies in memory, or for each channel."""
        if self.channels:
            return x.new_full((*x.shape[:2], *(1,) * (x.dim() - 2)), number)
        return torch.full_like(x.detach(), number)


def _alpha_scale(rate: float) -> float:
    """Return by what alpha dropout multiplies the entries that it keeps."""
    limit = 1.7580993408473766  # of SELU, to the left; torch's constant
    return 1 / math.sqrt((limit**2 * rate + 1) * (1 - rate)) if rate < 1 else 0.0


@dataclass(frozen=True, eq=False)
class BatchStatistics(TrainedOperator):
    """Batch norm; in evaluation that of the running statistics, in training that of the batch.

    Parameters
    ----------
    fixed : BatchNorm
        As in evaluation.
    momentum : float or None
        Share of the batch in the running statistics, where there is no `owner`.
    owner : nn.Module, optional
        The module that called: it then holds the running statistics, the momentum (None: the mean of all
        batches) and the number of batches.
    """

    fixed: BatchNorm
    momentum: float | None = 0.1
    owner: nn.Module | None = None

    @property
    def label(self) -> str:
        """That of batch norm."""
        return self.fixed.label

    def forward(self, *xs: Tensor) -> Tensor:
        return self.fixed.forward(*xs)

    def linear(self, *vs: Tensor) -> Tensor:
        return self.fixed.linear(*vs)

    def adjoint(self, u: Tensor, shapes: Shapes) -> tuple[Tensor, ...]:
        return self.fixed.adjoint(u, shapes)

    def split(self) -> Parts:
        return self.fixed.split()

    def lipschitz(
        self, norm: float = 2, arg: int = 0, on: Any = None, shapes: Sequence[Sequence[int]] | None = None
    ) -> float:
        """Return that of evaluation."""
        return self.fixed.lipschitz(norm, arg, on, shapes)

    def draw(self, x: Tensor) -> tuple[Tensor, Piece]:
        norm = self.fixed
        mean, var, momentum = norm.mean, norm.var, self.momentum
        if self.owner is not None:
            mean, var, momentum = self.owner.running_mean, self.owner.running_var, _count(self.owner)  # type: ignore[assignment]
        value = F.batch_norm(x, mean, var, norm.weight, norm.bias, True, momentum or 0.0, norm.eps)
        # torch's fused call keeps its own statistics to itself; in a short type they would be rounded
        wide = x if x.dtype in (torch.float32, torch.float64) else x.float()
        spread, center = torch.var_mean(wide, [d for d in range(x.dim()) if d != 1], correction=0)
        slope = replace(norm, mean=center, var=spread).scale
        shift = -center.reshape(slope.shape) * slope
        return value, ElementwisePiece(slope, shift if norm.bias is None else shift + norm.bias.reshape(slope.shape))


def _count(owner: nn.Module) -> float:
    """Count one batch as torch's module does; return the share of this batch in the running statistics."""
    count, momentum = owner.num_batches_tracked, owner.momentum
    if isinstance(count, Tensor):
        count.add_(1)
        if momentum is None:
            return 1.0 / float(count)
    return 0.0 if momentum is None else float(momentum)  # type: ignore[arg-type]
