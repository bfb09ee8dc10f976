"""Padding of any mode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from splinegraph.core.affine import AffineOperator
from splinegraph.core.operator import Shapes
from splinegraph.operators.linear import Parts
from splinegraph.operators.registry import Call, Value, lowers

__all__ = ["Pad", "PadByIndex"]


@dataclass(frozen=True, eq=False)
class Pad(AffineOperator):
    """Constant padding; negative sides crop.

    Parameters
    ----------
    sides : tuple of int
        (left, right) of the last axis, then of the one before, as in torch.
    value : float
    """

    sides: tuple[int, ...]
    value: float = 0.0

    def forward(self, *xs: Tensor) -> Tensor:
        return F.pad(xs[0], self.sides, value=self.value)

    def linear(self, *vs: Tensor) -> Tensor:
        return F.pad(vs[0], self.sides)

    def adjoint(self, u: Tensor, shapes: Shapes) -> tuple[Tensor, ...]:
        return (F.pad(u, [-s for s in self.sides]),)

    def split(self) -> Parts:
        return Pad(self.sides), None


@dataclass(frozen=True, eq=False)
class PadByIndex(AffineOperator):
    """Padding that repeats entries: reflect, replicate, circular; an index list per axis.

    Parameters
    ----------
    dims : tuple of int
        The axes (negative).
    indices : tuple of Tensor
        For each, the entries that make up the padded axis.
    mode : str
        For people.
    """

    dims: tuple[int, ...]
    indices: tuple[Tensor, ...]
    mode: str = "reflect"

    @property
    def label(self) -> str:
        """Pad and its mode."""
        return f"Pad({self.mode})"

    def linear(self, *vs: Tensor) -> Tensor:
        (v,) = vs
        for dim, index in zip(self.dims, self.indices, strict=True):
            v = v.index_select(dim, index)
        return v

    def adjoint(self, u: Tensor, shapes: Shapes) -> tuple[Tensor, ...]:
        for dim, index in reversed(list(zip(self.dims, self.indices, strict=True))):
            sizes = list(u.shape)
            sizes[dim] = shapes[0][dim]
            u = u.new_zeros(sizes).index_add_(dim, index, u)
        return (u,)

    def split(self) -> Parts:
        return self, None


def _index(n: int, left: int, right: int, mode: str) -> Tensor:
    """Return which of n entries stands at each place of the padded axis."""
    places = torch.arange(-left, n + right)
    if mode == "circular":
        return places % n
    if mode == "replicate":
        return places.clamp(0, n - 1)
    places = places.abs()
    return torch.where(places >= n, 2 * (n - 1) - places, places)


def pad(call: Call, x: Value, sides: Sequence[int], mode: str = "constant", value: float | None = None) -> Value:
    """Emit the padding of the last ``len(sides) / 2`` axes."""
    if mode == "constant":
        return call.emit(Pad(tuple(sides), float(value or 0.0)), x)
    pairs = [(-1 - i, sides[2 * i], sides[2 * i + 1]) for i in range(len(sides) // 2)]
    pairs = [(dim, a, b) for dim, a, b in pairs if a or b]
    crops = any(min(a, b) < 0 for _, a, b in pairs)
    if crops:
        opaque: Value = call.opaque()
        return opaque
    indices = tuple(_index(x.shape[dim], a, b, mode) for dim, a, b in pairs)
    return call.emit(PadByIndex(tuple(dim for dim, _, _ in pairs), indices, mode), x)


@lowers("aten.pad.default")
def _pad(call: Call, x: Value, sides: Sequence[int], mode: str = "constant", value: Any = None) -> Value:
    return pad(call, x, sides, mode, value)


@lowers("aten.constant_pad_nd.default")
def _constant_pad(call: Call, x: Value, sides: Sequence[int], value: float = 0.0) -> Value:
    return pad(call, x, sides, "constant", value)


@lowers("aten.reflection_pad1d.default", "aten.reflection_pad2d.default", "aten.reflection_pad3d.default")
def _reflect(call: Call, x: Value, sides: Sequence[int]) -> Value:
    return pad(call, x, sides, "reflect")


@lowers("aten.replication_pad1d.default", "aten.replication_pad2d.default", "aten.replication_pad3d.default")
def _replicate(call: Call, x: Value, sides: Sequence[int]) -> Value:
    return pad(call, x, sides, "replicate")
