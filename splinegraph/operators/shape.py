"""Operators that move, select or repeat entries: affine with a matrix of zeros and ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from splinegraph.core.affine import AffineOperator
from splinegraph.core.algebra import unbroadcast
from splinegraph.core.operator import Boxes, Shapes
from splinegraph.operators.linear import Parts
from splinegraph.operators.registry import Call, Value

__all__ = [
    "Concat",
    "Expand",
    "Flip",
    "Gather",
    "IndexSelect",
    "MaskedFill",
    "Permute",
    "Place",
    "Repeat",
    "Reshape",
    "Roll",
    "Slice",
    "align",
    "unsqueeze_to",
]


class _Selection(AffineOperator):
    """Entries of the result are entries of the arguments or constants: the matrix is its own A+."""

    def split(self) -> Parts:
        return self._unbiased(), None

    def _unbiased(self) -> AffineOperator:
        return self


class _Rearrangement(_Selection):
    """Every entry of the argument is used at most once, so no norm exceeds one."""

    def lipschitz(self, norm: float = 2, arg: int = 0, on: Boxes | None = None, shapes: Shapes | None = None) -> float:
        return 1.0


@dataclass(frozen=True, eq=False)
class Reshape(_Rearrangement):
    """An argument of `ndim` axes in another shape; -1 stands for the axis that holds the batch."""

    shape: tuple[int, ...]
    ndim: int

    def linear(self, *vs: Tensor) -> Tensor:
        (v,) = vs
        leading, own = v.shape[: v.dim() - self.ndim], v.shape[v.dim() - self.ndim :]
        # of no tangents, on a domain of one point, torch does not know what -1 stands for
        shape = torch.empty(own, device="meta").reshape(self.shape).shape if 0 in leading else self.shape
        return v.reshape(*leading, *shape)

    def adjoint(self, u: Tensor, shapes: Shapes) -> tuple[Tensor, ...]:
        leading = u.shape[: u.dim() - len(self.shape)]
        return (u.reshape(*leading, *shapes[0]),)


@dataclass(frozen=True, eq=False)
class Permute(_Rearrangement):
    """Axes in another order (all negative)."""

    dims: tuple[int, ...]

    def linear(self, *vs: Tensor) -> Tensor:
        (v,) = vs
        return v.permute(*range(v.dim() - len(self.dims)), *(v.dim() + d for d in self.dims))

    def adjoint(self, u: Tensor, shapes: Shapes) -> tuple[Tensor, ...]:
        n = len(self.dims)
        back = [0] * n
        for i, d in enumerate(self.dims):
            back[d + n] = i - n
        return (Permute(tuple(back)).linear(u),)


@dataclass(frozen=True, eq=False)
class Expand(_Selection):
    """Axes of size one repeated to `sizes` (as many as the argument has axes; -1 keeps an axis)."""

    sizes: tuple[int, ...]

    def linear(self, *vs: Tensor) -> Tensor:
        (v,) = vs
        return v.expand(*v.shape[: v.dim() - len(self.sizes)], *self.sizes)

    def adjoint(self, u: Tensor, shapes: Shapes) -> tuple[Tensor, ...]:
        return (unbroadcast(u, shapes[0], len(self.sizes)),)


@dataclass(frozen=True, eq=False)
class Slice(_Rearrangement):
    """x[start:end:step] along an axis (negative)."""

    dim: int
    start: int
    end: int
    step: int = 1

    def linear(self, *vs: Tensor) -> Tensor:
        (v,) = vs
        return cut(v, self.dim, slice(self.start, self.end, self.step))

    def adjoint(self, u: Tensor, shapes: Shapes) -> tuple[Tensor, ...]:
        (shape,) = shapes
        sizes = [*u.shape[: u.dim() - len(shape)], *shape]
        dim = len(sizes) + self.dim
        return (torch.ops.aten.slice_backward(u, sizes, dim, self.start, self.end, self.step),)


@dataclass(frozen=True, eq=False)
class Place(_Rearrangement):
    """Put x into zeros at [start:end:step] of an axis (negative) of length `size`; adjoint of `Slice`."""

    dim: int
    size: int
    start: int
    end: int
    step: int = 1

    def linear(self, *vs: Tensor) -> Tensor:
        (v,) = vs
        sizes = list(v.shape)
        sizes[self.dim] = self.size
        dim = v.dim() + self.dim
        placed: Tensor = torch.ops.aten.slice_backward(v, sizes, dim, self.start, self.end, self.step)
        return placed

    def adjoint(self, u: Tensor, shapes: Shapes) -> tuple[Tensor, ...]:
        return (Slice(self.dim, self.start, self.end, self.step).linear(u),)


@dataclass(frozen=True, eq=False)
class Concat(_Rearrangement):
    """Arguments one after the other along an axis (negative); `fixed` holds constants, None for an argument."""

    dim: int
    fixed: tuple[Tensor | None, ...] = ()

    def forward(self, *xs: Tensor) -> Tensor:
        live = iter(xs)
        return torch.cat([next(live) if f is None else f.to(xs[0]) for f in self._places(xs)], self.dim)

    def linear(self, *vs: Tensor) -> Tensor:
        live, rank = iter(vs), next((f.dim() for f in self.fixed if f is not None), 0)
        leading = vs[0].shape[: vs[0].dim() - rank]
        parts = [next(live) if f is None else vs[0].new_zeros(*leading, *f.shape) for f in self._places(vs)]
        return torch.cat(parts, self.dim)

    def adjoint(self, u: Tensor, shapes: Shapes) -> tuple[Tensor, ...]:
        places, live = self._places(shapes), iter(shapes)
        sizes = [next(live)[self.dim] if f is None else f.shape[self.dim] for f in places]
        parts = torch.split(u, sizes, self.dim)
        return tuple(part for part, f in zip(parts, places, strict=True) if f is None)

    def _unbiased(self) -> AffineOperator:
        return Concat(self.dim, tuple(None if f is None else torch.zeros_like(f) for f in self.fixed))

    def _places(self, args: Sequence[object]) -> tuple[Tensor | None, ...]:
        return self.fixed or (None,) * len(args)

    def join(self, constants: Sequence[float], norm: float = 2) -> float:
        """Return the norm of the stack: the l-norm of the constants themselves."""
        return float(torch.linalg.vector_norm(torch.tensor(constants, dtype=torch.float64), norm))


@dataclass(frozen=True, eq=False)
class Flip(_Rearrangement):
    """Axes (negative) reversed."""

    dims: tuple[int, ...]

    def linear(self, *vs: Tensor) -> Tensor:
        return vs[0].flip(self.dims)

    def adjoint(self, u: Tensor, shapes: Shapes) -> tuple[Tensor, ...]:
        return (u.flip(self.dims),)


@dataclass(frozen=True, eq=False)
class Roll(_Rearrangement):
    """Axes (negative) rolled."""

    shifts: tuple[int, ...]
    dims: tuple[int, ...]

    def linear(self, *vs: Tensor) -> Tensor:
        return vs[0].roll(self.shifts, self.dims)

    def adjoint(self, u: Tensor, shapes: Shapes) -> tuple[Tensor, ...]:
        return (u.roll([-s for s in self.shifts], self.dims),)


@dataclass(frozen=True, eq=False)
class Repeat(_Selection):
    """The whole tensor repeated along each axis (as many factors as the argument has axes)."""

    times: tuple[int, ...]

    def linear(self, *vs: Tensor) -> Tensor:
        (v,) = vs
        return v.repeat(*(1,) * (v.dim() - len(self.times)), *self.times)

    def adjoint(self, u: Tensor, shapes: Shapes) -> tuple[Tensor, ...]:
        (shape,) = shapes
        leading = u.shape[: u.dim() - len(shape)]
        apart = [n for pair in zip(self.times, shape, strict=True) for n in pair]
        u = u.reshape(*leading, *apart)
        return (u.sum([len(leading) + 2 * i for i in range(len(shape))]),)


@dataclass(frozen=True, eq=False)
class IndexSelect(_Selection):
    """Entries of an axis (negative) picked by a constant list of indices, with repetition."""

    dim: int
    index: Tensor

    def linear(self, *vs: Tensor) -> Tensor:
        return vs[0].index_select(self.dim, self.index)

    def adjoint(self, u: Tensor, shapes: Shapes) -> tuple[Tensor, ...]:
        (shape,) = shapes
        zeros = u.new_zeros(*u.shape[: u.dim() - len(shape)], *shape)
        return (zeros.index_add_(self.dim, self.index, u),)


@dataclass(frozen=True, eq=False)
class Gather(_Selection):
    """Entries of an axis (negative) picked by a constant index of the result's shape."""

    dim: int
    index: Tensor

    def linear(self, *vs: Tensor) -> Tensor:
        (v,) = vs
        leading = v.shape[: v.dim() - self.index.dim()]
        return v.gather(self.dim, self.index.expand(*leading, *self.index.shape))

    def adjoint(self, u: Tensor, shapes: Shapes) -> tuple[Tensor, ...]:
        leading = u.shape[: u.dim() - self.index.dim()]
        zeros = u.new_zeros(*leading, *shapes[0])
        return (zeros.scatter_add_(self.dim, self.index.expand_as(u), u),)


@dataclass(frozen=True, eq=False)
class MaskedFill(_Selection):
    """x with `value` wherever the constant `mask` holds."""

    mask: Tensor
    value: Tensor | float = 0.0

    def forward(self, *xs: Tensor) -> Tensor:
        value = self.value if isinstance(self.value, Tensor) else xs[0].new_tensor(self.value)
        return torch.where(self.mask, value, xs[0])

    def linear(self, *vs: Tensor) -> Tensor:
        (v,) = vs
        zero = v.new_zeros(self.value.shape if isinstance(self.value, Tensor) else ())
        return torch.where(self.mask, zero, v)

    def _unbiased(self) -> AffineOperator:
        zero = torch.zeros_like(self.value) if isinstance(self.value, Tensor) else 0.0
        return MaskedFill(self.mask, zero)

    def adjoint(self, u: Tensor, shapes: Shapes) -> tuple[Tensor, ...]:
        return (unbroadcast(torch.where(self.mask, u.new_zeros(()), u), shapes[0], len(shapes[0])),)


def cut(x: Tensor, dim: int, part: slice) -> Tensor:
    """Return x[..., part, ...] along an axis counted from the end."""
    index: tuple[Any, ...] = (..., part, *(slice(None),) * (-dim - 1))
    return x[index]


def unsqueeze_to(call: Call, x: Value, ndim: int) -> Value:
    """Return x with axes of size one in front, so that it has at least `ndim` axes."""
    missing = ndim - x.ndim
    if missing <= 0:
        return x
    axis = -1 if x.layout is None else x.layout.axis + missing
    shape = (1,) * missing + x.shape
    target = tuple(-1 if i == axis else n for i, n in enumerate(shape))
    return call.emit(Reshape(target, x.ndim), x, shape=shape)


def align(call: Call, a: Value, b: Value) -> tuple[Value, Value]:
    """Return both values with the same number of axes, as broadcasting would see them."""
    return unsqueeze_to(call, a, b.ndim), unsqueeze_to(call, b, a.ndim)
