"""Max pooling: any window, stride, padding and dilation, in one to three dimensions, and adaptive."""

from __future__ import annotations

import abc
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from splinegraph.core.operator import Boxes, Piece, Shapes
from splinegraph.operators.base import exceeds, lookup
from splinegraph.operators.linear import spread
from splinegraph.operators.maximum import MaxOperator, code_dtype
from splinegraph.operators.registry import Call, Value, lowers
from splinegraph.operators.shape import cut

__all__ = ["AdaptiveMaxPool", "MaxPool"]


class _PickPiece(Piece):
    """Pick one entry per unit from the last axes (of the given sizes), flattened; others untouched."""

    def __init__(self, index: Tensor, sizes: Sequence[int]) -> None:
        self.index, self.sizes = index, tuple(sizes)  # index: (*rest, *windows) into prod(sizes)

    def apply(self, *xs: Tensor) -> Tensor:
        return self.tangent(*xs)

    def tangent(self, *vs: Tensor) -> Tensor:
        flat, index = vs[0].flatten(-len(self.sizes)), self.index.flatten(-len(self.sizes))
        picked = flat.gather(-1, index.expand(*flat.shape[:-1], index.shape[-1]))
        return picked.reshape(*flat.shape[:-1], *self.index.shape[-len(self.sizes) :])

    def adjoint(self, u: Tensor) -> tuple[Tensor, ...]:
        flat, index = u.flatten(-len(self.sizes)), self.index.flatten(-len(self.sizes))
        zeros = u.new_zeros(*flat.shape[:-1], math.prod(self.sizes))
        placed = zeros.scatter_add_(-1, index.expand_as(flat), flat)
        return (placed.unflatten(-1, self.sizes),)


class _UnpoolPiece(_PickPiece):
    """The same for a batch of images that will be differentiated, by the call that undoes torch's own pooling."""

    def __init__(self, index: Tensor, x: Tensor, pool: MaxPool) -> None:
        super().__init__(index, x.shape[-2:])
        self._x = x.detach()  # of which only shape and memory format are read; autograd keeps it too
        self._settings = (pool.kernel, pool.stride, pool.padding, pool.dilation, pool.ceil_mode)

    def adjoint(self, u: Tensor) -> tuple[Tensor, ...]:
        if u.dim() != self._x.dim() or u.dtype != self._x.dtype:
            return super().adjoint(u)
        back = torch.ops.aten.max_pool2d_with_indices_backward
        return (back(u, self._x, *self._settings, self.index),)


def _grid(sizes: Sequence[int]) -> Tensor:
    """Return all index tuples of a grid in row-major order, shape (prod(sizes), d)."""
    return torch.cartesian_prod(*(torch.arange(n) for n in sizes)).reshape(-1, len(sizes))


class _Pool(MaxOperator):
    """Maxima over windows of the last d axes; batch and channels in front."""

    @abc.abstractmethod
    def _windows(self, sizes: Sequence[int]) -> Tensor:
        """Return for every window the flat position of its places, -1 outside: (windows, alphabet)."""

    @abc.abstractmethod
    def _spatial(self) -> int:
        """Return the number of axes that the windows span."""

    def members(self, shapes: Shapes) -> tuple[Tensor, Tensor]:
        d = self._spatial()
        sizes = tuple(shapes[0][-d:])
        windows = self._windows(sizes)
        planes = math.prod(shapes[0][:-d])
        offset = torch.arange(planes).reshape(-1, 1, 1) * math.prod(sizes)
        position = torch.where(windows >= 0, windows + offset, -1).reshape(-1, windows.shape[1])
        return torch.zeros_like(position), position

    def ties(self, xs: Sequence[Tensor], vs: Sequence[Tensor], slack: Tensor) -> Tensor:
        d = self._spatial()
        x, v, slack = xs[0], vs[0], slack.expand_as(xs[0])
        windows = self._windows(x.shape[-d:]).to(x.device)
        outside, places = windows < 0, windows.clamp(min=0)
        values = x.flatten(-d)[..., places].masked_fill(outside, -torch.inf)
        moves = v.flatten(-d)[..., places]
        top = values >= values.amax(-1, keepdim=True) - slack.flatten(-d)[..., places[:, :1]]
        high = moves.masked_fill(~top, -torch.inf).amax(-1)
        low = moves.masked_fill(~top, torch.inf).amin(-1)
        return (high > low).reshape(self.forward(x).shape)


@dataclass(frozen=True, eq=False)
class MaxPool(_Pool):
    """Maximum over strided windows; the padding is -inf and never wins.

    Parameters
    ----------
    kernel, stride, padding, dilation : tuple of d ints
    ceil_mode : bool
        Whether a last, cut window counts.
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...] = (0,)
    dilation: tuple[int, ...] = (1,)
    ceil_mode: bool = False

    @property
    def label(self) -> str:
        """Kernel, stride and padding."""
        parts = [f"k{'×'.join(map(str, self.kernel))}", f"s{'×'.join(map(str, self.stride))}"]
        parts += [f"p{'×'.join(map(str, self.padding))}"] * any(self.padding)
        parts += [f"d{'×'.join(map(str, self.dilation))}"] * any(n != 1 for n in self.dilation)
        return f"MaxPool{len(self.kernel)}d({', '.join(parts)})"

    def _spatial(self) -> int:
        return len(self.kernel)

    def _run(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return value and flat position of the winners in the last d axes."""
        pool = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}[len(self.kernel)]
        value, index = pool(
            x, self.kernel, self.stride, self.padding, self.dilation, self.ceil_mode, return_indices=True
        )
        return value, index

    def forward(self, *xs: Tensor) -> Tensor:
        pool = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}[len(self.kernel)]
        return pool(xs[0], self.kernel, self.stride, self.padding, self.dilation, self.ceil_mode)

    def alphabet(self, shapes: Shapes) -> int:
        return math.prod(self.kernel)

    def code(self, *xs: Tensor) -> Tensor:
        return self.switch(*xs)[1]

    def switch(self, *xs: Tensor) -> tuple[Tensor, Tensor]:
        if self._slices(xs[0]):
            return self._run_by_slices(xs[0])
        value, index = self._run(xs[0])
        return value, self._place(index, xs[0].shape)

    def value_and_piece(self, *xs: Tensor) -> tuple[Tensor, Piece]:
        if self._slices(xs[0]):
            value, code = self._run_by_slices(xs[0])
            return value, self.piece(code, [xs[0].shape])
        value, index = self._run(xs[0])
        if len(self.kernel) == 2 and xs[0].requires_grad and torch.is_grad_enabled():
            return value, _UnpoolPiece(index, xs[0], self)
        return value, _PickPiece(index, xs[0].shape[-len(self.kernel) :])

    def _slices(self, x: Tensor) -> bool:
        """Return whether strided slices beat torch's kernel: on CPU, for small windows, several times over."""
        plain = x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64) and not x.requires_grad
        return plain and math.prod(self.kernel) <= 49

    def _run_by_slices(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return value and code, one axis after the other, the last one first.

        The first of equal entries wins on every axis, so the lowest place wins in the window.
        """
        d, value, code, width = len(self.kernel), x, None, 1
        for axis in reversed(range(d)):
            dim, k, s, a = axis - d, self.kernel[axis], self.stride[axis], self.dilation[axis]
            count = self._count(x.shape[dim], axis)
            missing = (count - 1) * s + (k - 1) * a + 1 - x.shape[dim] - self.padding[axis]
            sides = (0, 0) * (d - 1 - axis) + (self.padding[axis], max(missing, 0))
            if any(sides):
                value = F.pad(value, sides, value=-torch.inf)
                code = None if code is None else F.pad(code, sides)
            parts = [slice(j * a, j * a + (count - 1) * s + 1, s) for j in range(k)]
            best, place = cut(value, dim, parts[0]), None if code is None else cut(code, dim, parts[0])
            for j in range(1, k):
                challenger = cut(value, dim, parts[j])
                wins = exceeds(challenger, best)
                here = wins * (j * width) if code is None else cut(code, dim, parts[j]) + j * width
                if place is None:
                    place = here
                elif code is None:
                    place = torch.maximum(place, here)  # the later of the winners so far
                else:
                    place = torch.where(wins.view(torch.bool), here, place)
                best = torch.maximum(best, challenger)
            value, code, width = best, place, width * k
        return value, torch.zeros_like(value, dtype=torch.int8) if code is None else code

    def _count(self, n: int, axis: int) -> int:
        """Return the number of windows along an axis, by torch's rule."""
        k, s, p, a = self.kernel[axis], self.stride[axis], self.padding[axis], self.dilation[axis]
        span = n + 2 * p - a * (k - 1) - 1
        if not self.ceil_mode:
            return span // s + 1
        count = -(-span // s) + 1
        return count - 1 if (count - 1) * s >= n + p else count  # a window must start inside, or in the left padding

    def piece(self, code: Tensor, shapes: Shapes) -> Piece:
        sizes = tuple(shapes[0][-len(self.kernel) :])
        origin, step = self._origin(code.shape[-len(self.kernel) :], sizes, code.device)
        offsets = (_grid(self.kernel) * torch.tensor(step)).sum(-1).to(code.device)
        return _PickPiece(origin + lookup(offsets, code), sizes)

    def _place(self, index: Tensor, shape: Sequence[int]) -> Tensor:
        """Return the winner's place in its window from its flat position."""
        d = len(self.kernel)
        # 32-bit arithmetic is several times faster and a plane never has 2^31 entries
        left, place = index.to(torch.int32), None
        for axis in range(d):
            width = math.prod(shape[len(shape) - d + axis + 1 :])
            coordinate = left if axis == d - 1 else torch.div(left, width, rounding_mode="floor")
            left = left - coordinate * width if axis < d - 1 else left
            start = torch.arange(index.shape[axis - d], dtype=torch.int32, device=index.device)
            start = (start * self.stride[axis] - self.padding[axis]).reshape(-1, *(1,) * (d - 1 - axis))
            step = coordinate - start
            if self.dilation[axis] != 1:
                step = torch.div(step, self.dilation[axis], rounding_mode="floor")
            place = step if place is None else place * self.kernel[axis] + step
        assert place is not None
        return place.to(code_dtype(math.prod(self.kernel)))

    def _origin(self, windows: Sequence[int], sizes: Sequence[int], device: torch.device) -> tuple[Tensor, list[int]]:
        """Return the flat position of each window's first place, and the flat step per axis.

        A position in the padding is counted as if the plane went on, which keeps offsets linear.
        """
        origin = torch.zeros((), dtype=torch.int64, device=device)
        steps = []
        for axis, count in enumerate(windows):
            width = math.prod(sizes[axis + 1 :])
            start = torch.arange(count, device=device) * self.stride[axis] - self.padding[axis]
            origin = origin[..., None] + start * width
            steps.append(self.dilation[axis] * width)
        return origin, steps

    def _windows(self, sizes: Sequence[int]) -> Tensor:
        counts = [self._count(n, axis) for axis, n in enumerate(sizes)]
        first = _grid(counts) * torch.tensor(self.stride) - torch.tensor(self.padding)
        place = first[:, None, :] + _grid(self.kernel) * torch.tensor(self.dilation)
        limit = torch.tensor(sizes)
        inside = ((place >= 0) & (place < limit)).all(-1)
        flat = torch.zeros(place.shape[:2], dtype=torch.int64)
        for axis, n in enumerate(sizes):
            flat = flat * n + place[..., axis]
        return torch.where(inside, flat, -1)

    def lipschitz(self, norm: float = 2, arg: int = 0, on: Boxes | None = None, shapes: Shapes | None = None) -> float:
        """Return m^(1/p), with m the largest number of windows that share an entry; 1 for linf."""
        axes = zip(self.kernel, self.stride, self.dilation, strict=True)
        share = math.prod(
            -(-k * math.gcd(s, d) // s) for k, s, d in axes
        )  # every s / gcd-th tap meets the same entries
        return {1: float(share), 2: math.sqrt(share), math.inf: 1.0}[norm]


@dataclass(frozen=True, eq=False)
class AdaptiveMaxPool(_Pool):
    """Maximum over windows that cut an axis of n into `size` parts, as torch cuts them."""

    size: tuple[int, ...]

    @property
    def label(self) -> str:
        """Name and output size."""
        return f"AdaptiveMaxPool({'×'.join(map(str, self.size))})"

    def _spatial(self) -> int:
        return len(self.size)

    def _spans(self, sizes: Sequence[int]) -> list[list[tuple[int, int]]]:
        return [[(i * n // m, -(-(i + 1) * n // m)) for i in range(m)] for n, m in zip(sizes, self.size, strict=True)]

    def _kernel(self, sizes: Sequence[int]) -> list[int]:
        """Return the longest window per axis: places are numbered in a window of this size."""
        return [max(end - start for start, end in spans) for spans in self._spans(sizes)]

    def forward(self, *xs: Tensor) -> Tensor:
        d = len(self.size)
        pool = {1: F.adaptive_max_pool1d, 2: F.adaptive_max_pool2d, 3: F.adaptive_max_pool3d}[d]
        value: Tensor = pool(xs[0], self.size)
        return value

    def alphabet(self, shapes: Shapes) -> int:
        return math.prod(self._kernel(shapes[0][-len(self.size) :]))

    def code(self, *xs: Tensor) -> Tensor:
        d, x = len(self.size), xs[0]
        windows = self._windows(x.shape[-d:]).to(x.device)
        values = x.flatten(-d)[..., windows.clamp(min=0)].masked_fill(windows < 0, -torch.inf)
        first = (values == values.amax(-1, keepdim=True)).to(torch.int8).argmax(-1)
        return first.reshape(*first.shape[:-1], *self.size).to(code_dtype(windows.shape[1]))

    def piece(self, code: Tensor, shapes: Shapes) -> Piece:
        d = len(self.size)
        sizes = tuple(shapes[0][-d:])
        windows = self._windows(sizes).to(code.device)
        flat = code.flatten(-d).long()
        index = windows.expand(*flat.shape, windows.shape[1]).gather(-1, flat[..., None])[..., 0]
        return _PickPiece(index.unflatten(-1, self.size), sizes)

    def _windows(self, sizes: Sequence[int]) -> Tensor:
        spans, kernel = self._spans(sizes), self._kernel(sizes)
        flat = torch.zeros(1, 1, dtype=torch.int64)
        inside = torch.ones(1, 1, dtype=torch.bool)
        for axis, n in enumerate(sizes):
            start = torch.tensor([s for s, _ in spans[axis]])
            end = torch.tensor([e for _, e in spans[axis]])
            place = start[:, None] + torch.arange(kernel[axis])
            fits = place < end[:, None]
            shape = (len(flat) * len(place), flat.shape[1] * kernel[axis])
            flat = (flat[:, None, :, None] * n + place[None, :, None, :]).reshape(shape)
            inside = (inside[:, None, :, None] & fits[None, :, None, :]).reshape(shape)
        return torch.where(inside, flat, -1)

    def lipschitz(self, norm: float = 2, arg: int = 0, on: Boxes | None = None, shapes: Shapes | None = None) -> float:
        """Return m^(1/p), with m the largest number of windows that share an entry; 1 for linf."""
        shape = shapes[0] if shapes is not None else None if on is None else on[0].shape
        if norm == math.inf:
            return 1.0
        if shape is None:
            return math.inf
        windows = self._windows(tuple(shape[-len(self.size) :]))
        share = int(torch.bincount(windows[windows >= 0]).max())
        return float(share) if norm == 1 else math.sqrt(share)


@lowers("aten.max_pool1d.default", "aten.max_pool2d.default", "aten.max_pool3d.default")
def _max_pool(
    call: Call, x: Value, kernel: Any, stride: Any = (), padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False,
) -> Any:  # fmt: skip
    d = int(call.target[len("aten.max_pool")])
    if x.ndim != d + 2:
        return call.opaque()
    kernel = spread(kernel, d)
    steps = spread(stride, d) if stride else kernel
    return call.emit(
        MaxPool(kernel, steps, spread(padding, d), spread(dilation, d), ceil_mode), x, shape=call.shapes[0]
    )


@lowers(
    "aten.max_pool1d_with_indices.default", "aten.max_pool2d_with_indices.default",
    "aten.max_pool3d_with_indices.default",
)  # fmt: skip
def _max_pool_with_indices(call: Call, x: Value, *args: Any, **kwargs: Any) -> Any:
    return (_max_pool(call, x, *args, **kwargs),)


@lowers("aten.adaptive_max_pool1d.default", "aten.adaptive_max_pool2d.default", "aten.adaptive_max_pool3d.default")
def _adaptive_max_pool(call: Call, x: Value, size: Any) -> Any:
    d = int(call.target[len("aten.adaptive_max_pool")])
    return (call.emit(AdaptiveMaxPool(tuple(call.shapes[0][-d:])), x, shape=call.shapes[0]),)
