"""Operators that add entries up at constant places, and the lowering of calls that write at such places."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from splinegraph.core.affine import AffineOperator
from splinegraph.core.operator import Boxes, Shapes
from splinegraph.core.parameters import BATCH, leaves
from splinegraph.operators.arithmetic import add, scale
from splinegraph.operators.linear import Parts
from splinegraph.operators.maximum import Amax
from splinegraph.operators.padding import pad
from splinegraph.operators.picking import flat_index, known_indices, own_rows, pick, rows_index, windows_of
from splinegraph.operators.registry import Call, Value, constant, lowers, negative
from splinegraph.operators.reshaping import fill
from splinegraph.operators.shape import Expand, Slice, unsqueeze_to

__all__ = ["IndexAdd", "ScatterAdd", "is_full"]


@dataclass(frozen=True, eq=False)
class IndexAdd(AffineOperator):
    """Slices of an axis (negative) added up at the places that a list names, in zeros of length `size`."""

    dim: int
    index: Tensor
    size: int

    def linear(self, *vs: Tensor) -> Tensor:
        shape = list(vs[0].shape)
        shape[self.dim] = self.size
        return vs[0].new_zeros(shape).index_add(self.dim, self.index, vs[0])

    def adjoint(self, u: Tensor, shapes: Shapes) -> tuple[Tensor, ...]:
        return (u.index_select(self.dim, self.index),)

    def split(self) -> Parts:
        return self, None

    def lipschitz(self, norm: float = 2, arg: int = 0, on: Boxes | None = None, shapes: Shapes | None = None) -> float:
        """Return the exact norm: n, sqrt(n), 1 in linf, l2, l1 where at most n slices meet."""
        most = float(self.index.bincount().max()) if self.index.numel() else 0.0
        return {1: min(most, 1.0), 2: math.sqrt(most), math.inf: most}[norm]


@dataclass(frozen=True, eq=False)
class ScatterAdd(AffineOperator):
    """Entries of an axis (negative) added up where an index of the argument's shape says, in zeros."""

    dim: int
    index: Tensor
    size: int

    def linear(self, *vs: Tensor) -> Tensor:
        (v,) = vs
        shape = list(v.shape)
        shape[self.dim] = self.size
        return v.new_zeros(shape).scatter_add(self.dim, self.index.expand_as(v), v)

    def adjoint(self, u: Tensor, shapes: Shapes) -> tuple[Tensor, ...]:
        leading = u.shape[: u.dim() - self.index.dim()]
        return (u.gather(self.dim, self.index.expand(*leading, *self.index.shape)),)

    def split(self) -> Parts:
        return self, None


# scatter: an index of the source's shape, along one axis


@lowers("aten.scatter_add.default")
def _scatter_add(call: Call, base: Any, dim: int, index: Any, src: Any) -> Any:
    if isinstance(index, Value):
        from splinegraph.operators.live_index import live_scatter

        live = isinstance(src, Value) and call.dtype.is_floating_point
        added = live_scatter(call, dim, index, src, unique=False) if live else None
    else:
        added = _placed(call, dim, index, src)
    return call.opaque() if added is None else _onto(call, base, added)


def scatter(call: Call, base: Any, dim: int, index: Any, src: Any) -> Any:
    """Return `base` with entries of `src` (a number, a constant or live) at a constant index."""
    if isinstance(index, Value) or call.rank(index) == 0:
        return call.opaque()
    size, dim = call.shape[dim], negative(dim, len(call.shape))
    if isinstance(src, float | int):
        src = constant(torch.full_like, index, src, dtype=call.dtype)
    if not isinstance(src, Value):
        added: Any = constant(_scattered, index, src, dim, call.sizes, dtype=call.dtype)
    else:
        wins = constant(_last_of_each, index, dim, size)
        unique = bool(call.at(wins, 2).all())
        added = _placed(call, dim, index, src, None if unique else constant(torch.logical_not, wins))
    if added is None:
        return call.opaque()
    written = constant(_written, index, dim, call.sizes)
    return _onto(call, fill(call, base, written, 0.0) if isinstance(base, Value) else constant(
        torch.where, written, 0.0, base), added)  # fmt: skip


def _placed(call: Call, dim: int, index: Any, src: Any, without: Any = None) -> Any:
    """Return zeros of the call's shape with a live source added at a constant index, None if that is not it.

    Entries of the source where the mask `without` holds are left out.
    """
    if isinstance(index, Value) or call.rank(index) == 0:
        return None
    dim, shape = negative(dim, len(call.shape)), call.shape_of(index)
    if not isinstance(src, Value):
        return constant(_added, index, src, dim, call.sizes, dtype=call.dtype)
    for axis, (n, m) in enumerate(zip(shape, src.shape, strict=True)):  # torch reads what the index covers
        if n != m:
            src = call.emit(Slice(axis - len(shape), 0, n), src, shape=(*shape[: axis + 1], *src.shape[axis + 1 :]))
    if without is not None:
        src = fill(call, src, without, 0.0)
    size = call.shape[dim]
    placed = call.emit(ScatterAdd(dim, index, size), src, shape=_with(shape, dim, size))
    sides = [side for n, m in zip(placed.shape[::-1], call.shape[::-1], strict=True) for side in (0, m - n)]
    return pad(call, placed, sides) if any(sides) else placed


def _with(shape: Sequence[int], dim: int, size: int) -> tuple[int, ...]:
    return tuple(size if i == dim % len(shape) else n for i, n in enumerate(shape))


def _onto(call: Call, base: Any, added: Any) -> Any:
    """Return base + added, without adding zeros."""
    return added if is_full(call, base, 0) else add(call, added, base)


def is_full(call: Call, value: Any, number: float) -> bool:
    """Return whether a constant is, and stays, full of one number."""
    if isinstance(value, Value) or any(leaf.requires_grad for leaf in leaves(value)):
        return False
    return bool((torch.as_tensor(call.at(value, 1)) == number).all())


def _added(index: Tensor, src: Tensor, dim: int, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    return torch.zeros(*shape, dtype=dtype, device=index.device).scatter_add(dim, index, src.to(dtype))


def _scattered(index: Tensor, src: Tensor, dim: int, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    return torch.zeros(*shape, dtype=dtype, device=index.device).scatter(dim, index, src.to(dtype))


def _written(index: Tensor, dim: int, shape: Sequence[int]) -> Tensor:
    return torch.zeros(*shape, dtype=torch.bool, device=index.device).scatter(dim, index, True)


def _last_of_each(index: Tensor, dim: int, size: int) -> Tensor:
    """Return which entries of a source are not overwritten by others: torch's own choice among equals."""
    shape = _with(index.shape, dim, size)
    place = torch.arange(index.shape[dim], device=index.device).reshape(-1, *(1,) * (-dim - 1)).expand_as(index)
    winner = torch.zeros(shape, dtype=torch.int64, device=index.device).scatter(dim, index, place)
    return winner.gather(dim, index) == place


@lowers("aten.scatter_reduce.two")
def _scatter_reduce(
    call: Call, base: Any, dim: int, index: Any, src: Any, reduce: str, *, include_self: bool = True
) -> Any:
    """Lower sums and means by a constant index, and maxima and minima by one that is the same in each fibre."""
    added = _placed(call, dim, index, src) if reduce in ("sum", "mean") else None
    if added is None or not isinstance(added, Value):
        return call.opaque() if reduce not in ("amax", "amin") else _segments(
            call, base, dim, index, src, reduce, include_self)  # fmt: skip
    if not include_self:
        written = constant(_written, index, dim, call.sizes)
        base = fill(call, base, written, 0.0) if isinstance(base, Value) else constant(torch.where, written, 0.0, base)
    total = _onto(call, base, added)
    if reduce == "sum":
        return total
    return scale(call, total, constant(_shares, index, dim, call.sizes, include_self, dtype=call.dtype))


def _shares(index: Tensor, dim: int, shape: Sequence[int], include_self: bool, dtype: torch.dtype) -> Tensor:
    ones = torch.ones(index.shape, dtype=dtype, device=index.device)
    count = torch.zeros(*shape, dtype=dtype, device=index.device).scatter_add(dim, index, ones) + include_self
    return 1 / count.clamp(min=1)


def _segments(
    call: Call, base: Any, dim: int, index: Any, src: Any, reduce: str, include_self: bool
) -> Any:  # fmt: skip
    """Return the maxima (or minima) of the entries of each segment of an axis."""
    dim = negative(dim, len(call.shape))
    line = None if isinstance(index, Value) else _line(call.at(index, 2), dim)
    at_batch = isinstance(src, Value) and src.layout is not None and src.layout.axis == dim % src.ndim
    if line is None or not isinstance(src, Value) or at_batch or call.shape_of(index) != src.shape:
        return call.opaque()
    if isinstance(base, Value) or include_self:
        return call.opaque()
    sign, size = (1.0 if reduce == "amax" else -1.0), call.shape[dim]
    found = scale(call, _segment_maxima(call, scale(call, src, sign), dim, line, size), sign)
    return fill(call, found, _beside(line.bincount(minlength=size) == 0, dim), base)


def _line(index: Tensor, dim: int) -> Tensor | None:
    """Return the one index that every fibre of an axis has, None if they differ."""
    fibres = index.movedim(dim, 0).reshape(index.shape[dim], -1)
    same = fibres.shape[1] > 0 and bool((fibres == fibres[:, :1]).all())
    return fibres[:, 0] if same else None


def _beside(mask: Tensor, dim: int) -> Tensor:
    return mask.reshape(-1, *(1,) * (-dim - 1))


def _segment_maxima(call: Call, x: Value, dim: int, line: Tensor, size: int) -> Value:
    """Return the maximum of each segment; the value of an empty one is anything."""
    members: list[list[int]] = [[] for _ in range(size)]
    for place, segment in enumerate(line.tolist()):
        members[segment].append(place)
    most = max(max(map(len, members)), 1)
    table = torch.tensor([(m or [0]) + [(m or [0])[-1]] * (most - max(len(m), 1)) for m in members])
    at = dim % x.ndim
    apart = call.reshape(
        pick(call, x, dim, table.reshape(-1)), shape=(*x.shape[:at], size, most, *x.shape[at + 1 :]),
        batch_axis=None if x.layout is None else x.layout.axis + (x.layout.axis > at),
    )  # fmt: skip
    return call.emit(Amax((dim,)), apart, shape=_with(x.shape, dim, size)) if most > 1 else call.reshape(
        apart, shape=_with(x.shape, dim, size), batch_axis=None if x.layout is None else x.layout.axis)  # fmt: skip


@lowers("aten.index_add.default")
def _index_add(call: Call, base: Any, dim: int, index: Any, source: Any, *, alpha: float = 1) -> Any:
    fixed = call.fixed(index)
    dim = negative(dim, len(call.shape))
    live = isinstance(source, Value)
    at_batch = live and source.layout is not None and source.layout.axis == dim % source.ndim
    if fixed is None or at_batch:
        return call.opaque()
    if live:
        size = call.shape[dim]
        added = call.emit(IndexAdd(dim, fixed.reshape(-1), size), source, shape=_with(source.shape, dim, size))
    else:
        added = constant(_index_added, fixed.reshape(-1), source, dim, call.shape[dim])
    return _onto(call, base, scale(call, added, alpha))


def _index_added(index: Tensor, source: Tensor, dim: int, size: int) -> Tensor:
    zeros = torch.zeros(_with(source.shape, dim, size), dtype=source.dtype, device=source.device)
    return zeros.index_add(dim, index, source)


# index_put: one index per axis, which broadcast


@lowers("aten.index_put.default")
def _index_put(call: Call, x: Any, indices: Sequence[Any], value: Any, accumulate: bool = False) -> Any:
    """Lower ``x[mask] = number``, ``x[:, index] = value`` and ``x[:, index] += value``."""
    index = next(i for i in indices if i is not None)
    if isinstance(index, Value) and index.dtype == torch.bool and index.shape == call.shape and not call.rank(value):
        from splinegraph.operators.comparison import lower_where

        return call.opaque() if accumulate else lower_where(call, index, value, x)
    if any(isinstance(i, Value) for i in indices):
        return call.opaque()
    if call.sizes[0] is BATCH and len(indices) == 2 and own_rows(call, indices):
        return _write_each_sample(call, x, indices, value, accumulate)
    known = known_indices(call, indices)
    if known is None or not call.sizes or _batch_axis(call) in known[0]:
        return call.opaque()
    return _write(call, x, known[0], known[1], value, accumulate)


def _write_each_sample(call: Call, x: Any, indices: Sequence[Any], value: Any, accumulate: bool) -> Any:
    """Lower x[arange(batch), index] = value, and += value, to a scatter along the second axis."""
    tail = call.shape[2:]
    index = constant(rows_index, tuple(indices[1:]), call.shape[1:2], BATCH, tail)
    if isinstance(value, Value):
        picked = torch.broadcast_shapes(*(call.shape_of(i) for i in indices))
        spread = expand_to(call, value, (*picked, *tail), 0, 1, 1)
        if spread is None:
            return call.opaque()
        value = call.reshape(spread, shape=(1, math.prod(picked), *tail), batch_axis=0)
    elif call.rank(value):
        return call.opaque()
    return _scatter_add(call, x, 1, index, value) if accumulate else scatter(call, x, 1, index, value)


def _batch_axis(call: Call) -> int | None:
    return next((i for i, n in enumerate(call.sizes) if not isinstance(n, int)), None)


def _write(call: Call, x: Any, axes: list[int], known: list[Tensor], value: Any, accumulate: bool) -> Any:
    """Return x with `value` written to (or added at) the places that constant indices name."""
    sizes = [call.shape[i] for i in axes]
    flat = flat_index(known, sizes)
    written = torch.zeros(math.prod(sizes), dtype=torch.bool)
    written[flat.reshape(-1)] = True
    rest = [i for i in range(len(call.shape)) if i not in axes]
    mask = written.reshape([n if i in axes else 1 for i, n in enumerate(call.shape)])
    adjacent = axes == list(range(axes[0], axes[0] + len(axes)))
    if not accumulate and not call.rank(value) and not isinstance(value, Value):
        return fill(call, x, mask, value) if isinstance(x, Value) else call.opaque()
    if not adjacent or not isinstance(value, Value):
        return call.opaque()
    head, tail = [call.shape[i] for i in rest if i < axes[0]], [call.shape[i] for i in rest if i > axes[0]]
    spread = expand_to(call, value, (*head, *flat.shape, *tail), _batch_axis(call), len(head), flat.ndim)
    if spread is None:
        return call.opaque()
    line = call.reshape(spread, shape=(*head, flat.numel(), *tail)) if flat.ndim != 1 else spread
    places, dim = flat.reshape(-1), -1 - len(tail)
    if not accumulate:
        wins = _last_of_each(places, -1, math.prod(sizes))
        if not bool(wins.all()):
            kept = wins.nonzero()[:, 0]
            line, places = pick(call, line, dim, kept), places[kept]
    added = call.emit(IndexAdd(dim, places, math.prod(sizes)), line, shape=(*head, math.prod(sizes), *tail))
    added = call.reshape(added, shape=call.shape) if len(axes) > 1 else added
    if accumulate:
        return _onto(call, x, added)
    return _onto(call, fill(call, x, mask, 0.0) if isinstance(x, Value) else constant(torch.where, mask, 0.0, x), added)


def expand_to(
    call: Call, value: Value, shape: tuple[int, ...], batch_axis: int | None, head: int, picked: int
) -> Value | None:
    """Return a live value broadcast to the shape that is written, None if its batch is elsewhere."""
    value = unsqueeze_to(call, value, len(shape))
    if batch_axis is not None:
        where = batch_axis if batch_axis < head else batch_axis - 1 + picked
        if value.layout is None or value.layout.axis != where:
            return None
    if value.shape == shape:
        return value
    sizes = tuple(-1 if n == m else m for n, m in zip(value.shape, shape, strict=True))
    return call.emit(Expand(sizes), value, shape=shape)


# fold: the sum of overlapping windows


@lowers("aten.col2im.default")
def _col2im(call: Call, x: Value, size: Any, kernel: Any, dilation: Any, padding: Any, stride: Any) -> Any:
    if x.ndim != 3:
        return call.opaque()
    places, count = windows_of(size, kernel, dilation, padding, stride), math.prod(size)
    n, channels = x.shape[0], x.shape[1] // places.shape[0]
    line = call.reshape(x, shape=(n, channels, places.numel()))
    flat = places.reshape(-1)
    if bool((flat < 0).any()):  # entries over the padding are dropped
        inside = (flat >= 0).nonzero()[:, 0]
        line, flat = pick(call, line, -1, inside), flat[inside]
    return call.reshape(call.emit(IndexAdd(-1, flat, count), line, shape=(n, channels, count)))
