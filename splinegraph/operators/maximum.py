"""Maxima: over windows, over axes, of two values. Convex, nondecreasing, one code per window."""

from __future__ import annotations

import abc
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from splinegraph.core.algebra import unbroadcast
from splinegraph.core.operator import Boxes, Conditions, Operator, Piece, Shapes, SplineOperator
from splinegraph.core.switching import Contest, Switching
from splinegraph.core.values import Box, Curvature, Monotonicity
from splinegraph.operators.arithmetic import Scale, add, scale
from splinegraph.operators.base import exceeds
from splinegraph.operators.registry import Call, Value, lowers, negative
from splinegraph.operators.shape import align

__all__ = ["Amax", "MaxOperator", "Maximum", "code_dtype"]


class MaxOperator(SplineOperator):
    """A maximum of entries of the arguments; the code is the winner's place, ties go to the lowest."""

    family = "maximum"

    @abc.abstractmethod
    def members(self, shapes: Shapes) -> tuple[Tensor, Tensor]:
        """Return (argument, position), int64 of shape (units, alphabet): what each unit compares.

        `position` indexes the flattened argument; -1 marks places outside of it. For conditions only.
        """

    def switching(self, shapes: Shapes, on: Boxes | None = None) -> Switching:
        """Return what each unit compares."""
        argument, position = self.members(shapes)
        return Contest(argument, position, True, torch.full((len(position),), -1))

    def conditions(self, code: Tensor, shapes: Shapes) -> Conditions:
        """Return x_loser - x_winner <= 0 for every loser: k - 1 rows per window of k."""
        argument, position = self.members(shapes)
        winner = code.reshape(-1, 1).long()
        loses = torch.arange(position.shape[1]).expand_as(position) != winner
        loses &= position >= 0
        unit, place = torch.nonzero(loses, as_tuple=True)
        row, chosen = torch.arange(len(unit)), winner[unit, 0]
        return Conditions(
            row.repeat(2),
            torch.cat([argument[unit, place], argument[unit, chosen]]),
            torch.cat([position[unit, place], position[unit, chosen]]),
            torch.cat([torch.ones(len(unit)), -torch.ones(len(unit))]).double(),
            torch.zeros(len(unit), dtype=torch.float64),
            unit,
        )

    def pieces(self, unit: int, shapes: Shapes) -> Tensor:
        """Return the places of the unit's window that lie inside the argument."""
        return torch.nonzero(self.members(shapes)[1][unit] >= 0)[:, 0]

    def bounds(self, *boxes: Box) -> Box:
        """Return the exact range: a maximum is nondecreasing."""
        return Box(self.forward(*(b.lower for b in boxes)), self.forward(*(b.upper for b in boxes)))

    def curvature(self, on: Boxes | None = None) -> Tensor:
        """Return CONVEX."""
        return Curvature.CONVEX.tensor()

    def monotonicity(self, arg: int = 0, on: Boxes | None = None) -> Tensor:
        """Return NONDECREASING."""
        return Monotonicity.NONDECREASING.tensor()


def code_dtype(count: int) -> torch.dtype:
    """Return the smallest integer type that holds `count` codes."""
    return torch.int8 if count <= 127 else torch.int16 if count <= 32767 else torch.int32


@dataclass(frozen=True, eq=False)
class Maximum(MaxOperator):
    """The larger of two arguments of equal rank, which broadcast; the code is 0 or 1."""

    def forward(self, *xs: Tensor) -> Tensor:
        return torch.maximum(*xs)

    def alphabet(self, shapes: Shapes) -> int:
        return 2

    def code(self, *xs: Tensor) -> Tensor:
        return exceeds(*torch.broadcast_tensors(xs[1], xs[0]))

    def piece(self, code: Tensor, shapes: Shapes) -> Piece:
        return _EitherPiece(code, tuple(tuple(s) for s in shapes))

    def ties(self, xs: Sequence[Tensor], vs: Sequence[Tensor], slack: Tensor) -> Tensor:
        return ((xs[0] - xs[1]).abs() <= slack) & (vs[0] != vs[1])

    def members(self, shapes: Shapes) -> tuple[Tensor, Tensor]:
        places = [torch.arange(math.prod(s)).reshape(tuple(s)) for s in shapes]
        position = torch.stack(torch.broadcast_tensors(*places), -1).reshape(-1, 2)
        return torch.arange(2).expand_as(position), position

    def lipschitz(self, norm: float = 2, arg: int = 0, on: Boxes | None = None, shapes: Shapes | None = None) -> float:
        """Return 1, or what broadcasting an argument over several units costs."""
        if norm == math.inf:
            return 1.0
        shapes = shapes if shapes is not None else None if on is None else [b.shape for b in on]
        if shapes is None:
            return math.inf
        copies = math.prod(torch.broadcast_shapes(*(tuple(s) for s in shapes))) / max(math.prod(shapes[arg]), 1)
        return math.sqrt(copies) if norm == 2 else copies

    def join(self, constants: Sequence[float], norm: float = 2) -> float:
        """Return the norm of the pair: each entry moves by the larger of the two moves."""
        return float(torch.linalg.vector_norm(torch.tensor(constants, dtype=torch.float64), norm))


class _EitherPiece(Piece):
    """The first argument where the code is 0, the second where it is 1."""

    def __init__(self, code: Tensor, shapes: tuple[tuple[int, ...], ...]) -> None:
        self.second, self.shapes = code.bool(), shapes

    def apply(self, *xs: Tensor) -> Tensor:
        return torch.where(self.second, xs[1], xs[0])

    def tangent(self, *vs: Tensor) -> Tensor:
        return torch.where(self.second, vs[1], vs[0])

    def adjoint(self, u: Tensor) -> tuple[Tensor, ...]:
        zero, ndim = u.new_zeros(()), self.second.dim()
        first, second = torch.where(self.second, zero, u), torch.where(self.second, u, zero)
        return unbroadcast(first, self.shapes[0], ndim), unbroadcast(second, self.shapes[1], ndim)


@dataclass(frozen=True, eq=False)
class Amax(MaxOperator):
    """Maximum over axes (negative): max over a dimension, maxout."""

    dims: tuple[int, ...]
    keepdim: bool = False

    @property
    def label(self) -> str:
        """Name and axes."""
        return f"Max{self.dims}"

    def forward(self, *xs: Tensor) -> Tensor:
        return xs[0].amax(self.dims, self.keepdim)

    def alphabet(self, shapes: Shapes) -> int:
        return math.prod(shapes[0][d] for d in self.dims)

    def code(self, *xs: Tensor) -> Tensor:
        flat = self._flat(xs[0])
        # argmax does not promise the first of equal values
        first = (flat == flat.amax(-1, keepdim=True)).to(torch.int8).argmax(-1)
        return self._kept(first.to(code_dtype(flat.shape[-1])))

    def piece(self, code: Tensor, shapes: Shapes) -> Piece:
        return _AmaxPiece(self, code, tuple(shapes[0]))

    def ties(self, xs: Sequence[Tensor], vs: Sequence[Tensor], slack: Tensor) -> Tensor:
        x, v = self._flat(xs[0]), self._flat(vs[0])
        top = x >= x.amax(-1, keepdim=True) - self._flat(slack.expand_as(xs[0]))
        high = v.masked_fill(~top, -torch.inf).amax(-1)
        low = v.masked_fill(~top, torch.inf).amin(-1)
        return self._kept(high > low)

    def members(self, shapes: Shapes) -> tuple[Tensor, Tensor]:
        position = self._flat(torch.arange(math.prod(shapes[0])).reshape(tuple(shapes[0])))
        position = position.reshape(-1, position.shape[-1])
        return torch.zeros_like(position), position

    def lipschitz(self, norm: float = 2, arg: int = 0, on: Boxes | None = None, shapes: Shapes | None = None) -> float:
        """Return 1: every entry belongs to one window."""
        return 1.0

    def _flat(self, x: Tensor) -> Tensor:
        """Return x with the reduced axes merged at the end, in their order."""
        return x.movedim(self.dims, tuple(range(-len(self.dims), 0))).flatten(-len(self.dims))

    def _kept(self, reduced: Tensor) -> Tensor:
        """Put axes of size one back where `keepdim` asks for them."""
        if self.keepdim:
            for dim in reversed(self.dims):
                reduced = reduced.unsqueeze(dim)
        return reduced


class _AmaxPiece(Piece):
    def __init__(self, operator: Amax, code: Tensor, shape: tuple[int, ...]) -> None:
        self.operator, self.shape = operator, shape
        kept = tuple(1 if i - len(shape) in operator.dims else n for i, n in enumerate(shape))
        flat = operator._flat(code.reshape(kept))
        self.index, self.out_shape = flat.long(), code.shape

    def apply(self, *xs: Tensor) -> Tensor:
        return self.tangent(*xs)

    def tangent(self, *vs: Tensor) -> Tensor:
        flat = self.operator._flat(vs[0])
        picked = flat.gather(-1, self.index.expand(*flat.shape[:-1], 1))
        return picked.reshape(*vs[0].shape[: vs[0].dim() - len(self.shape)], *self.out_shape)

    def adjoint(self, u: Tensor) -> tuple[Tensor, ...]:
        leading = u.shape[: u.dim() - len(self.out_shape)]
        dims = self.operator.dims
        flat = u.reshape(*leading, *self.index.shape)
        sizes = [self.shape[d] for d in dims]
        zeros = u.new_zeros(*flat.shape[:-1], math.prod(sizes))
        placed = zeros.scatter_add_(-1, self.index.expand_as(flat), flat).unflatten(-1, sizes)
        return (placed.movedim(tuple(range(-len(dims), 0)), dims),)


@lowers("aten.maximum.default", "aten.max.other", "aten.fmax.default")
def _maximum(call: Call, a: Any, b: Any) -> Any:
    from splinegraph.operators.elementwise import LowerClamp

    if isinstance(a, Value) and isinstance(b, Value):
        return call.emit(Maximum(), *align(call, a, b))
    x, level = (a, b) if isinstance(a, Value) else (b, a)
    known = torch.tensor(level) if isinstance(level, float | int) else call.fixed(level)
    if known is not None and known.numel() == 1 and call.rank(level) <= x.ndim and x.shape == call.shape:
        number = float(known)
        return x if number == -math.inf else call.emit(LowerClamp(number), x)
    # against a node that is constant; relu(x - c) + c would cancel where c is large
    return call.emit(Maximum(), *align(call, x, add(call, call.emit(Scale(0.0), x, shape=x.shape), level)))


@lowers("aten.minimum.default", "aten.min.other", "aten.fmin.default")
def _minimum(call: Call, a: Any, b: Any) -> Any:
    return scale(call, _maximum(call, scale(call, a, -1.0), scale(call, b, -1.0)), -1.0)


@lowers("aten.clamp.Tensor")
def _clamp_tensor(call: Call, x: Any, min: Any = None, max: Any = None) -> Any:
    x = x if min is None else _maximum(call, x, min)
    return x if max is None else _minimum(call, x, max)


@lowers("aten.clamp_min.Tensor")
def _clamp_min_tensor(call: Call, x: Any, min: Any) -> Any:
    return _maximum(call, x, min)


@lowers("aten.clamp_max.Tensor")
def _clamp_max_tensor(call: Call, x: Any, max: Any) -> Any:
    return _minimum(call, x, max)


def amax(call: Call, x: Value, dim: Any, keepdim: bool, sign: float = 1.0) -> Value:
    """Emit the maximum over axes (the minimum with sign -1, as -max(-x))."""
    dims = [dim] if isinstance(dim, int) else list(dim or range(x.ndim))
    operator: Operator = Amax(tuple(sorted(negative(d, x.ndim) for d in dims)), keepdim)
    value: Value = scale(call, call.emit(operator, scale(call, x, sign), shape=call.shapes[0]), sign)
    return value


@lowers("aten.amax.default")
def _amax(call: Call, x: Value, dim: Any = (), keepdim: bool = False) -> Value:
    return amax(call, x, dim, keepdim)


@lowers("aten.amin.default")
def _amin(call: Call, x: Value, dim: Any = (), keepdim: bool = False) -> Value:
    return amax(call, x, dim, keepdim, -1.0)


@lowers("aten.max.dim", "aten.min.dim")
def _max_dim(call: Call, x: Value, dim: int, keepdim: bool = False) -> Any:
    from splinegraph.operators.winners import arg_extremum

    sign = 1.0 if ".max." in call.target else -1.0
    return amax(call, x, dim, keepdim, sign), arg_extremum(call, x, dim, keepdim, sign, shape=call.shapes[1])
