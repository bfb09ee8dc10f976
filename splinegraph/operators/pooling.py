"""Average pooling and resampling: affine with non-negative weights, except for bicubic resampling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from splinegraph.core.affine import AffineOperator
from splinegraph.core.operator import Shapes
from splinegraph.operators.arithmetic import Reduce
from splinegraph.operators.convolution import fold
from splinegraph.operators.linear import Parts, spread
from splinegraph.operators.registry import Call, Value, lowers

__all__ = ["AvgPool", "Resample"]

Axes = tuple[tuple[int, Tensor], ...]


@dataclass(frozen=True, eq=False)
class AvgPool(AffineOperator):
    """Average over windows of d = len(kernel) spatial axes; batch on axis 0.

    Parameters
    ----------
    kernel, stride, padding : tuple of d ints
    ceil_mode, count_include_pad : bool
    divisor : int, optional
        Divide by this instead of the size of the window.
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    ceil_mode: bool = False
    count_include_pad: bool = True
    divisor: int | None = None

    @property
    def label(self) -> str:
        """Kernel and stride."""
        return f"AvgPool(k{'×'.join(map(str, self.kernel))}, s{'×'.join(map(str, self.stride))})"

    def _settings(self) -> tuple[Any, ...]:
        if len(self.kernel) == 1:  # torch has no backward kernel for one axis: run as a row of two
            pads = [(1, *self.kernel), (1, *self.stride), (0, *self.padding)]
            return (*pads, self.ceil_mode, self.count_include_pad, self.divisor)
        return (self.kernel, self.stride, self.padding, self.ceil_mode, self.count_include_pad, self.divisor)

    def linear(self, *vs: Tensor) -> Tensor:
        flat, leading = fold(vs[0], len(self.kernel) + 2)
        flat = flat.unsqueeze(-2) if len(self.kernel) == 1 else flat
        out = (F.avg_pool3d if len(self.kernel) == 3 else F.avg_pool2d)(flat, *self._settings())
        out = out.squeeze(-2) if len(self.kernel) == 1 else out
        return out.reshape(*leading, *out.shape[1:])

    def adjoint(self, u: Tensor, shapes: Shapes) -> tuple[Tensor, ...]:
        flat, leading = fold(u, len(self.kernel) + 2)
        shape = list(shapes[0][1:])
        if len(self.kernel) == 1:
            flat, shape = flat.unsqueeze(-2), [shape[0], 1, shape[1]]
        last = flat.dim() == 4 and not flat.is_contiguous() and flat.is_contiguous(memory_format=torch.channels_last)
        order = torch.channels_last if last else torch.contiguous_format
        like = torch.empty(len(flat), *shape, dtype=u.dtype, device=u.device, memory_format=order)  # no value is read
        backward = torch.ops.aten.avg_pool3d_backward if len(self.kernel) == 3 else torch.ops.aten.avg_pool2d_backward
        out = backward(flat, like, *self._settings())
        return (out.reshape(*leading, *shapes[0][1:]),)

    def split(self) -> Parts:
        return self, None


@dataclass(frozen=True, eq=False)
class Resample(AffineOperator):
    """A matrix along each spatial axis: upsampling of any mode, adaptive average pooling.

    Parameters
    ----------
    terms : tuple of tuple of (int, Tensor of shape (out, in))
        A sum of products; each product applies its matrices along their axes (negative).
    name : str
        For people.
    """

    terms: tuple[Axes, ...]
    name: str = "Resample"

    @property
    def label(self) -> str:
        """The mode."""
        return self.name

    def linear(self, *vs: Tensor) -> Tensor:
        return self._sum(vs[0], lambda matrix: matrix)

    def adjoint(self, u: Tensor, shapes: Shapes) -> tuple[Tensor, ...]:
        return (self._sum(u, lambda matrix: matrix.mT),)

    def _sum(self, v: Tensor, of: Any) -> Tensor:
        total: Tensor | None = None
        for axes in self.terms:
            part = v
            for dim, matrix in axes:
                part = F.linear(part.movedim(dim, -1), of(matrix)).movedim(-1, dim)
            total = part if total is None else total + part
        assert total is not None
        return total

    def split(self) -> Parts:
        """Split the product of matrices by the sign of the product of entries."""
        signs: dict[bool, list[Axes]] = {True: [], False: []}
        for axes in self.terms:
            for choice in product((True, False), repeat=len(axes)):
                parts = [(d, (m if up else -m).clamp(min=0)) for (d, m), up in zip(axes, choice, strict=True)]
                if all(bool((m != 0).any()) for _, m in parts):
                    signs[choice.count(False) % 2 == 0].append(tuple(parts))
        positive, negative = (Resample(tuple(signs[s]), self.name) if signs[s] else None for s in (True, False))
        return positive, negative


@lowers("aten.avg_pool1d.default", "aten.avg_pool2d.default", "aten.avg_pool3d.default")
def _avg_pool(
    call: Call, x: Value, kernel: Any, stride: Any = (), padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Any:  # fmt: skip
    d = int(call.target[len("aten.avg_pool")])
    if x.ndim != d + 2:
        return call.opaque()
    kernel = spread(kernel, d)
    stride = spread(stride, d) if stride else kernel
    settings = (spread(padding, d), ceil_mode, count_include_pad, divisor_override)
    return call.emit(AvgPool(kernel, stride, *settings), x)


@lowers(
    "aten.adaptive_avg_pool1d.default", "aten.adaptive_avg_pool2d.default", "aten.adaptive_avg_pool3d.default",
    "aten._adaptive_avg_pool2d.default", "aten._adaptive_avg_pool3d.default",
)  # fmt: skip
def _adaptive_avg_pool(call: Call, x: Value, size: Sequence[int]) -> Value:
    axes = range(-len(call.shape[2:]), 0)
    if all(call.shape[d] == 1 for d in axes):
        return call.emit(Reduce(tuple(axes), keepdim=True, mean=True), x)
    matrices = tuple((d, _averages(x.shape[d], call.shape[d])) for d in axes if x.shape[d] != call.shape[d])
    if not matrices:
        return x
    if all(x.shape[d] % call.shape[d] == 0 for d in axes):  # equal windows: the faster kernel
        kernel = tuple(x.shape[d] // call.shape[d] for d in axes)
        return call.emit(AvgPool(kernel, kernel, (0,) * len(kernel)), x)
    return call.emit(Resample((matrices,), "AdaptiveAvgPool"), x)


def _averages(n: int, m: int) -> Tensor:
    matrix = torch.zeros(m, n, dtype=torch.float64)
    for i in range(m):  # torch's windows: [floor(i n / m), ceil((i + 1) n / m))
        start, end = i * n // m, -(-(i + 1) * n // m)
        matrix[i, start:end] = 1 / (end - start)
    return matrix


@lowers(
    "aten.upsample_nearest1d.vec", "aten.upsample_nearest2d.vec", "aten.upsample_nearest3d.vec",
    "aten._upsample_nearest_exact1d.vec", "aten._upsample_nearest_exact2d.vec", "aten._upsample_nearest_exact3d.vec",
    "aten.upsample_nearest1d.default", "aten.upsample_nearest2d.default", "aten.upsample_nearest3d.default",
)  # fmt: skip
def _upsample_nearest(call: Call, x: Value, size: Any, *scales: Any) -> Value:
    exact = "exact" in call.target
    return _resample(call, x, "nearest-exact" if exact else "nearest", None, _scales(call, scales))


@lowers(
    "aten.upsample_linear1d.vec", "aten.upsample_bilinear2d.vec", "aten.upsample_trilinear3d.vec",
    "aten.upsample_bicubic2d.vec", "aten.upsample_linear1d.default", "aten.upsample_bilinear2d.default",
    "aten.upsample_trilinear3d.default", "aten.upsample_bicubic2d.default",
    "aten._upsample_bilinear2d_aa.vec", "aten._upsample_bicubic2d_aa.vec",
    "aten._upsample_bilinear2d_aa.default", "aten._upsample_bicubic2d_aa.default",
)  # fmt: skip
def _upsample_linear(call: Call, x: Value, size: Any, align_corners: bool, *scales: Any) -> Value:
    mode = "bicubic" if "bicubic" in call.target else "linear"
    mode = f"{mode}-antialias" if "_aa." in call.target else mode
    return _resample(call, x, mode, align_corners, _scales(call, scales))


def _scales(call: Call, scales: Sequence[Any]) -> Sequence[float | None]:
    """Return the scale factor per spatial axis, None where the size alone decides."""
    count = len(call.shape) - 2
    if len(scales) == 1 and isinstance(scales[0], Sequence):
        return list(scales[0])
    return list(scales) if len(scales) == count and count > 1 else [*scales, *[None] * count][:count]


def _resample(call: Call, x: Value, mode: str, align_corners: bool | None, scales: Sequence[float | None]) -> Value:
    axes = range(2, x.ndim)
    matrices = tuple(
        (d - x.ndim, _interpolation(x.shape[d], call.shape[d], mode, align_corners, scale))
        for d, scale in zip(axes, scales, strict=True)
    )
    return call.emit(Resample((matrices,), f"Upsample({mode})"), x)


def _interpolation(n: int, m: int, mode: str, align_corners: bool | None, scale: float | None) -> Tensor:
    """Return torch's interpolation along one axis as a matrix, read off the identity."""
    ops = torch.ops.aten
    identity = torch.eye(n, dtype=torch.float64)[None]
    planar = {
        "bicubic": ops.upsample_bicubic2d,
        "bicubic-antialias": ops._upsample_bicubic2d_aa,
        "linear-antialias": ops._upsample_bilinear2d_aa,
    }
    if mode in planar:  # exists in two dimensions only: interpolate along one of them; the antialiased ones
        # of torch 2.13 ignore an axis beside one of size 1
        plane = identity[..., None].repeat(1, 1, 1, 2)
        rows: Tensor = planar[mode].default(plane, [m, 2], bool(align_corners), scale, None)[..., 0]
    elif mode == "linear":
        rows = ops.upsample_linear1d.default(identity, [m], bool(align_corners), scale)
    else:
        kernel = ops._upsample_nearest_exact1d if mode == "nearest-exact" else ops.upsample_nearest1d
        rows = kernel.default(identity, [m], scale)
    return rows[0].mT.contiguous()
