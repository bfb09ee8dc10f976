"""The affine family: operators that are one affine map everywhere."""

from __future__ import annotations

import abc
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from splinegraph.core.norms import dense, induced_norm, is_small
from splinegraph.core.operator import Boxes, Conditions, Piece, Shapes, SplineOperator
from splinegraph.core.parameters import Context
from splinegraph.core.values import Box, Curvature, Monotonicity

__all__ = ["AffineOperator", "AffinePiece"]

ROUNDING = 1e-12
"""Relative distance at which a row or column attains the bound of Schur's test."""


class AffineOperator(SplineOperator):
    """Declares `linear`, `adjoint`, `split` and, if it has a bias, `forward`; everything else follows.

    `linear` and `adjoint` take leading axes as `Piece` does.
    """

    family = "affine"

    @abc.abstractmethod
    def linear(self, *vs: Tensor) -> Tensor:
        """Return A v, summed over the arguments; v may have leading axes."""

    @abc.abstractmethod
    def adjoint(self, u: Tensor, shapes: Shapes) -> tuple[Tensor, ...]:
        """Return A^T u, one per argument of the given shapes; u may have leading axes."""

    @abc.abstractmethod
    def split(self) -> tuple[AffineOperator | None, AffineOperator | None]:
        """Return (A+, A-) with A = A+ - A-, both entrywise >= 0 and without bias; None stands for 0."""

    def forward(self, *xs: Tensor) -> Tensor:
        """Return A x + b; here b = 0."""
        return self.linear(*xs)

    def alphabet(self, shapes: Shapes) -> int:
        """Return 1: there is one piece."""
        return 1

    def code(self, *xs: Tensor) -> Tensor:
        """Return the empty code."""
        return torch.empty(0, dtype=torch.int8, device=xs[0].device)

    def piece(self, code: Tensor, shapes: Shapes) -> Piece:
        """Return the map itself."""
        return AffinePiece(self, tuple(tuple(shape) for shape in shapes))

    def conditions(self, code: Tensor, shapes: Shapes) -> Conditions:
        """Return no condition."""
        return Conditions.none()

    def pieces(self, unit: int, shapes: Shapes) -> Tensor:
        """Raise: an affine operator has no units that switch."""
        raise IndexError(f"{self.label} never switches, so it has no unit {unit}")

    def ties(self, xs: Sequence[Tensor], vs: Sequence[Tensor], slack: Tensor) -> Tensor:
        """Return the empty answer: there is no boundary."""
        return torch.empty(0, dtype=torch.bool, device=xs[0].device)

    def bounds(self, *boxes: Box) -> Box:
        """Return the exact image bounds: A+ lower - A- upper + b and the reverse."""
        bias = self.forward(*(torch.zeros_like(box.lower) for box in boxes))
        positive, negative = self.split()
        lowers, uppers = [box.lower for box in boxes], [box.upper for box in boxes]
        lower = _apply(positive, lowers, bias) - _apply(negative, uppers, bias) + bias
        upper = _apply(positive, uppers, bias) - _apply(negative, lowers, bias) + bias
        # 0 * inf and inf - inf are NaN: there the sound answer is 'anything'
        return Box(lower.nan_to_num(-math.inf, math.inf, -math.inf), upper.nan_to_num(math.inf, math.inf, -math.inf))

    def lipschitz(self, norm: float = 2, arg: int = 0, on: Boxes | None = None, shapes: Shapes | None = None) -> float:
        """Return the exact norm, up to rounding; in l2 of large operators the bound sqrt(|A|_1 |A|_inf).

        Needs `on` or `shapes`; inf without either. The l2 bound is Schur's test (Riesz-Thorin); where no row or
        column attains it, operators of up to `norms.SMALL_ENTRIES` entries are written out as matrices.
        """
        if shapes is None:
            if on is None:
                return math.inf
            shapes = [box.shape for box in on]
        rows, columns = self._sums(arg, shapes)
        if not rows.numel() or not columns.numel():
            return 0.0
        if norm != 2:
            return float((columns if norm == 1 else rows).max())
        schur = math.sqrt(float(rows.max()) * float(columns.max()))
        if schur == 0 or not is_small(rows.numel(), columns.numel()):
            return schur
        # float64, so that norms of float32 weights are not rounded down
        exact = Context(dtype=torch.float64, device=None).resolve(self)

        def linear(v: Tensor) -> Tensor:
            others = [v.new_zeros(tuple(shape)).expand(len(v), *shape) for shape in shapes]
            return exact.linear(*others[:arg], v, *others[arg + 1 :])

        row, column = torch.zeros_like(rows), torch.zeros_like(columns)
        row.view(-1)[rows.argmax()] = column.view(-1)[columns.argmax()] = 1.0
        with torch.no_grad():
            attained = max(float(linear(column[None]).norm()), float(exact.adjoint(row[None], shapes)[arg].norm()))
            if attained >= schur * (1 - ROUNDING):
                return schur
            return min(schur, induced_norm(dense(linear, tuple(columns.shape)), 2))

    def places(self, shapes: Shapes) -> int:
        """Return along how many of the last axes it does the same at every place, and moves nothing between places."""
        return 0

    def merged(self, inner: AffineOperator) -> AffineOperator | None:
        """Return this operator after another as one without bias; None where it has no such form."""
        return None

    def scaled(self, factor: Tensor) -> AffineOperator | None:
        """Return a factor, which broadcasts to the value, times the operator without bias; None without such a form."""
        return None

    def _sums(self, arg: int, shapes: Shapes) -> tuple[Tensor, Tensor]:
        """Return the row and the column sums of |A| in one argument, shaped as the value and as the argument."""
        exact = Context(dtype=torch.float64, device=None)
        parts = [exact.resolve(part) for part in self.split() if part is not None]
        inputs = [torch.zeros(tuple(shape), dtype=torch.float64) for shape in shapes]
        inputs[arg] = torch.ones(tuple(shapes[arg]), dtype=torch.float64)
        if not parts:
            return inputs[arg] * 0, inputs[arg] * 0
        rows = torch.stack([part.linear(*inputs) for part in parts]).sum(0)
        columns = torch.stack([part.adjoint(torch.ones_like(rows), shapes)[arg] for part in parts]).sum(0)
        return rows.detach(), columns.detach().clone()

    def curvature(self, on: Boxes | None = None) -> Tensor:
        """Return AFFINE."""
        return Curvature.AFFINE.tensor()

    def monotonicity(self, arg: int = 0, on: Boxes | None = None) -> Tensor:
        """Return the sign of each unit's row, where the box gives the shapes or no sign is mixed."""
        positive, negative = self.split()
        if negative is None and positive is None:
            return Monotonicity.CONSTANT.tensor()
        if negative is None:
            return Monotonicity.NONDECREASING.tensor()
        if positive is None:
            return Monotonicity.NONINCREASING.tensor()
        if on is None:
            return Monotonicity.UNKNOWN.tensor()
        probe = [torch.zeros_like(box.lower) for box in on]
        probe[arg] = torch.ones_like(probe[arg])
        up, down = positive.linear(*probe) > 0, negative.linear(*probe) > 0
        return Monotonicity.NONDECREASING.where(~down) | Monotonicity.NONINCREASING.where(~up)


def _apply(part: AffineOperator | None, xs: Sequence[Tensor], like: Tensor) -> Tensor:
    return torch.zeros_like(like) if part is None else part.linear(*xs)


@dataclass(frozen=True, eq=False)
class AffinePiece(Piece):
    """The one piece of an affine operator."""

    operator: AffineOperator
    shapes: tuple[tuple[int, ...], ...]

    def apply(self, *xs: Tensor) -> Tensor:
        """Return A x + b."""
        return self.operator.forward(*xs)

    def tangent(self, *vs: Tensor) -> Tensor:
        """Return A v."""
        return self.operator.linear(*vs)

    def adjoint(self, u: Tensor) -> tuple[Tensor, ...]:
        """Return A^T u."""
        return self.operator.adjoint(u, self.shapes)
