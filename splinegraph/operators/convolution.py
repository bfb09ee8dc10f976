"""Convolutions in one to three dimensions, forward and transposed (paper Eq 4-8)."""

from __future__ import annotations

import abc
import math
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from splinegraph.core.affine import AffineOperator
from splinegraph.core.norms import SMALL_SIDE, induced_norm, is_small
from splinegraph.core.operator import Boxes, Shapes
from splinegraph.core.parameters import Context
from splinegraph.operators.linear import Parts, by_sign, spread
from splinegraph.operators.registry import Call, Value, lowers
from splinegraph.operators.spectral import convolution_norm

__all__ = ["Conv", "ConvTranspose"]

_CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}

FEW = 4
"""So many channels leave torch's CPU kernels most of their work to waste."""


def fold(v: Tensor, ndim: int) -> tuple[Tensor, tuple[int, ...]]:
    """Fold leading axes into the batch axis in front of the last ndim - 1; return also their sizes."""
    leading = v.shape[: v.dim() - ndim + 1]
    return v.reshape(-1, *v.shape[v.dim() - ndim + 1 :]), tuple(leading)


@dataclass(frozen=True, eq=False)
class _Convolution(AffineOperator):
    """What both directions share: leading axes fold into the batch, and the weight's sign splits the map."""

    weight: Tensor
    bias: Tensor | None = None

    def linear(self, *vs: Tensor) -> Tensor:
        flat, leading = fold(vs[0], self.weight.dim())
        out = replace(self, bias=None).forward(flat)
        return out.reshape(*leading, *out.shape[1:])

    def split(self) -> Parts:
        return by_sign(self, "weight", bias=None)

    def lipschitz(self, norm: float = 2, arg: int = 0, on: Boxes | None = None, shapes: Shapes | None = None) -> float:
        """Return the exact norm for 1 and inf; for 2 an upper bound, by `spectral.convolution_norm`."""
        if norm != 2:
            return super().lipschitz(norm, arg, on, shapes)
        if shapes is None and on is not None:
            shapes = [box.shape for box in on]
        found = self._frequencies(None if shapes is None else tuple(shapes[0][2:]))
        if math.prod(self.weight.shape[2:]) == 1 or found == 0:
            return found  # one matrix acts at every place: its norm is that of the whole
        by_group = None if shapes is None or self.groups == 1 else self._by_groups(tuple(shapes[0]))
        return min(found, super().lipschitz(2, arg, on, shapes) if by_group is None else by_group)

    def _by_groups(self, shape: tuple[int, ...]) -> float | None:
        """Return the l2 norm from one matrix per group, side by side; None where these are large."""
        each = math.prod(shape[1:]) // self.groups
        exact = Context(dtype=torch.float64, device=None).resolve(self)
        with torch.no_grad():
            rows = exact.linear(torch.zeros(1, *shape[1:], dtype=torch.float64)).numel() // self.groups
            if not is_small(rows * self.groups, each) or min(rows, each) > SMALL_SIDE:
                return None
            ones = torch.eye(each, dtype=torch.float64).reshape(each, 1, shape[1] // self.groups, *shape[2:])
            moved = exact.linear(ones.expand(each, self.groups, *ones.shape[2:]).reshape(each, *shape[1:]))
            matrices = moved.reshape(each, self.groups, rows).movedim(0, 2)
            return max(induced_norm(matrix, 2) for matrix in matrices)

    @property
    @abc.abstractmethod
    def groups(self) -> int:
        """Number of groups of channels that do not mix."""

    @abc.abstractmethod
    def _frequencies(self, sizes: tuple[int, ...] | None) -> float:
        """Return the bound of the l2 norm by frequencies, for an argument of these spatial sizes or of any."""


@dataclass(frozen=True, eq=False)
class Conv(_Convolution):
    """Cross-correlation with zero padding, of d = weight.dim() - 2 spatial axes; batch on axis 0.

    Parameters
    ----------
    weight : Tensor of shape (out, in / groups, *kernel)
    bias : Tensor of shape (out,), optional
    stride, padding, dilation : tuple of d ints
    groups : int
    """

    weight: Tensor
    bias: Tensor | None = None
    stride: tuple[int, ...] = (1,)
    padding: tuple[int, ...] = (0,)
    dilation: tuple[int, ...] = (1,)
    groups: int = 1

    @property
    def label(self) -> str:
        """Dimension and the settings that differ from the default."""
        shape = tuple(self.weight.shape) if isinstance(self.weight, Tensor) else ()
        return _label("Conv", shape, self.stride, self.padding, self.dilation, self.groups)

    def forward(self, *xs: Tensor) -> Tensor:
        d = self.weight.dim() - 2
        return _CONV[d](xs[0], self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)

    def _frequencies(self, sizes: tuple[int, ...] | None) -> float:
        return convolution_norm(self.weight, sizes, self.stride, self.padding, self.dilation, self.groups)

    def places(self, shapes: Shapes) -> int:
        d = self.weight.dim() - 2
        alone = {*self.weight.shape[2:], *self.stride} == {1} and not any(self.padding)
        return d if alone else 0

    def scaled(self, factor: Tensor) -> Conv | None:
        if not _per_channel(factor, self.weight):
            return None
        return replace(self, weight=self.weight * factor[..., None].movedim(-1, 1), bias=None)

    def adjoint(self, u: Tensor, shapes: Shapes) -> tuple[Tensor, ...]:
        d = self.weight.dim() - 2
        flat, leading = fold(u, d + 2)
        sizes = tuple(shapes[0][2:])
        if self._few_channels(flat):
            out = self._by_taps(flat, sizes)
        elif self._flips(flat):
            out = self._flipped(flat)
        else:
            out = self._transposed(flat, sizes)
        return (out.reshape(*leading, *out.shape[1:]),)

    def _flips(self, u: Tensor) -> bool:
        """Return whether a convolution with the flipped kernel is the faster one."""
        if any(s != 1 for s in self.stride) or u.numel() <= 4 * self.weight.numel():
            return False
        if not self._graded(u):
            return True
        # the weight's gradient takes twice as long with padding: of the two ways choose that with less
        spans = [a * (k - 1) for a, k in zip(self.dilation, self.weight.shape[2:], strict=True)]
        fewer = all(n - p < p for n, p in zip(spans, self.padding, strict=True))
        return fewer and u.device.type == "cpu" and self.weight.shape[1] > FEW

    def _graded(self, u: Tensor) -> bool:
        """Return whether the result will be differentiated."""
        return torch.is_grad_enabled() and (u.requires_grad or self.weight.requires_grad)

    def _transposed(self, u: Tensor, sizes: tuple[int, ...]) -> Tensor:
        """Return the adjoint by torch's transposed convolution."""
        d = len(sizes)
        axes = zip(sizes, u.shape[-d:], self.stride, self.padding, self.dilation, self.weight.shape[2:], strict=True)
        # rows of the input that no window reaches (stride) come back as output padding
        missing = [n - ((m - 1) * s - 2 * p + a * (k - 1) + 1) for n, m, s, p, a, k in axes]
        # conv_transpose takes an output padding below stride or dilation only; the rest is zeros
        given = [min(m, max(s, a) - 1) for m, s, a in zip(missing, self.stride, self.dilation, strict=True)]
        out = _TRANSPOSED[d](u, self.weight, None, self.stride, self.padding, given, self.groups, self.dilation)
        rest = [m - g for m, g in zip(missing, given, strict=True)]
        return F.pad(out, [side for r in reversed(rest) for side in (0, r)]) if any(rest) else out

    def _flipped(self, u: Tensor) -> Tensor:
        """Return the adjoint at stride 1 as a convolution with the flipped kernel, the faster kernel on CPU."""
        w, d = self.weight, self.weight.dim() - 2
        w = w.unflatten(0, (self.groups, -1)).transpose(1, 2).flatten(0, 1).flip(tuple(range(-d, 0)))
        full = [a * (k - 1) - p for a, k, p in zip(self.dilation, w.shape[2:], self.padding, strict=True)]
        if min(full) < 0:  # more padding than the kernel is wide: rows that saw only padding are dropped
            u = F.pad(u, [side for n in reversed(full) for side in (min(n, 0),) * 2])
        return _CONV[d](u, w, None, 1, [max(n, 0) for n in full], self.dilation, self.groups)

    def _few_channels(self, u: Tensor) -> bool:
        """Return whether torch's kernels waste most of their work, as at the first layer of a network on CPU."""
        small = self.weight.shape[1] <= FEW and self.weight[0].numel() <= 2 * self.weight.shape[0]
        return small and self.groups == 1 and u.device.type == "cpu" and not self._graded(u)

    def _by_taps(self, u: Tensor, sizes: tuple[int, ...]) -> Tensor:
        """Return the adjoint as one matrix product, and one shifted sum per place of the kernel."""
        outs, kernel = u.shape[2:], self.weight.shape[2:]
        columns = self.weight.flatten(1).mT @ u.flatten(2)  # (N, in * taps, windows)
        columns = columns.reshape(len(u), self.weight.shape[1], -1, *outs)
        axes = list(zip(sizes, outs, self.stride, self.padding, self.dilation, kernel, strict=True))
        full = [max((m - 1) * s + a * (k - 1) + 1, n + p) for n, m, s, p, a, k in axes]
        canvas = u.new_zeros(len(u), self.weight.shape[1], *full)
        for i, tap in enumerate(product(*map(range, kernel))):
            part: tuple[Any, ...] = (..., *(
                slice(t * a, t * a + (m - 1) * s + 1, s) for t, (_, m, s, _, a, _) in zip(tap, axes, strict=True)
            ))  # fmt: skip
            canvas[part] += columns[:, :, i]
        for axis, (n, _, _, p, _, _) in enumerate(axes):
            canvas = canvas.narrow(axis + 2, p, n)
        return canvas


@dataclass(frozen=True, eq=False)
class ConvTranspose(_Convolution):
    """Transposed convolution, the adjoint of `Conv` plus a bias; batch on axis 0.

    Parameters
    ----------
    weight : Tensor of shape (in, out / groups, *kernel)
    bias : Tensor of shape (out,), optional
    stride, padding, output_padding, dilation : tuple of d ints
    groups : int
    """

    weight: Tensor
    bias: Tensor | None = None
    stride: tuple[int, ...] = (1,)
    padding: tuple[int, ...] = (0,)
    output_padding: tuple[int, ...] = (0,)
    groups: int = 1
    dilation: tuple[int, ...] = (1,)

    @property
    def label(self) -> str:
        """Dimension and the settings that differ from the default."""
        shape = tuple(self.weight.shape) if isinstance(self.weight, Tensor) else ()
        shape = (shape[1] * self.groups, shape[0], *shape[2:]) if shape else shape
        return _label("ConvTranspose", shape, self.stride, self.padding, self.dilation, self.groups)

    def forward(self, *xs: Tensor) -> Tensor:
        d = self.weight.dim() - 2
        return _TRANSPOSED[d](
            xs[0], self.weight, self.bias, self.stride, self.padding, self.output_padding, self.groups,
            self.dilation,
        )  # fmt: skip

    def _frequencies(self, sizes: tuple[int, ...] | None) -> float:
        if sizes is not None:  # of the result: windows slide over that
            axes = zip(
                sizes, self.weight.shape[2:], self.stride, self.padding, self.output_padding, self.dilation,
                strict=True,
            )  # fmt: skip
            sizes = tuple((n - 1) * s - 2 * p + a * (k - 1) + o + 1 for n, k, s, p, o, a in axes)
        return convolution_norm(self.weight, sizes, self.stride, self.padding, self.dilation, self.groups)

    def scaled(self, factor: Tensor) -> ConvTranspose | None:
        if not _per_channel(factor, self.weight):
            return None
        grouped = self.weight.unflatten(0, (self.groups, -1))  # (groups, in / groups, out / groups, *kernel)
        return replace(self, weight=(grouped * factor.unflatten(0, (self.groups, 1, -1))).flatten(0, 1), bias=None)

    def adjoint(self, u: Tensor, shapes: Shapes) -> tuple[Tensor, ...]:
        d = self.weight.dim() - 2
        flat, leading = fold(u, d + 2)
        out = _CONV[d](flat, self.weight, None, self.stride, self.padding, self.dilation, self.groups)
        # windows that start in the output padding belong to no input
        for axis, n in enumerate(shapes[0][2:]):
            out = out.narrow(axis + 2, 0, n)
        return (out.reshape(*leading, *out.shape[1:]),)


def _per_channel(factor: Tensor, weight: Tensor) -> bool:
    """Return whether a factor is one number per channel, shaped (channels, 1, ...), of a convolution's value."""
    return factor.dim() == weight.dim() - 1 and factor.numel() == factor.shape[0]


def _label(
    name: str, shape: tuple[int, ...], stride: tuple[int, ...], padding: tuple[int, ...],
    dilation: tuple[int, ...], groups: int,
) -> str:  # fmt: skip
    if not shape:
        return name
    parts = [f"{shape[1] * groups if name == 'Conv' else shape[1]}→{shape[0]}", "×".join(map(str, shape[2:]))]
    for letter, sizes, usual in (("s", stride, 1), ("p", padding, 0), ("d", dilation, 1)):
        if any(n != usual for n in sizes):
            parts.append(letter + "×".join(map(str, sizes if len(set(sizes)) > 1 else sizes[:1])))
    if groups != 1:
        parts.append(f"g{groups}")
    return f"{name}{len(shape) - 2}d({', '.join(parts)})"


@lowers("aten.conv1d.default", "aten.conv2d.default", "aten.conv3d.default")
def _conv(
    call: Call, x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1,
) -> Any:  # fmt: skip
    d = int(call.target[len("aten.conv")])
    if not isinstance(x, Value) or isinstance(weight, Value) or isinstance(bias, Value) or x.ndim != d + 2:
        return call.opaque()
    return call.emit(Conv(weight, bias, spread(stride, d), spread(padding, d), spread(dilation, d), groups), x)


@lowers("aten.conv1d.padding", "aten.conv2d.padding", "aten.conv3d.padding")
def _conv_named_padding(
    call: Call, x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: str = "valid",
    dilation: Any = 1, groups: int = 1,
) -> Any:  # fmt: skip
    from splinegraph.operators.padding import Pad

    if padding == "valid":
        return _conv(call, x, weight, bias, stride, 0, dilation, groups)
    d = int(call.target[len("aten.conv")])
    kernel = call.shape_of(weight)[2:]
    total = [a * (k - 1) for a, k in zip(spread(dilation, d), kernel, strict=True)]
    if isinstance(x, Value) and any(t % 2 for t in total):  # torch puts the odd one on the right
        sides = tuple(side for t in reversed(total) for side in (t // 2, t - t // 2))
        shape = (*x.shape[:2], *(n + t for n, t in zip(x.shape[2:], total, strict=True)))
        return _conv(call, call.emit(Pad(sides), x, shape=shape), weight, bias, stride, 0, dilation, groups)
    return _conv(call, x, weight, bias, stride, [t // 2 for t in total], dilation, groups)


@lowers("aten.conv_transpose1d.default", "aten.conv_transpose2d.input", "aten.conv_transpose3d.input")
def _conv_transpose(
    call: Call, x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
    output_padding: Any = 0, groups: int = 1, dilation: Any = 1,
) -> Any:  # fmt: skip
    d = int(call.target[len("aten.conv_transpose")])
    if not isinstance(x, Value) or isinstance(weight, Value) or isinstance(bias, Value) or x.ndim != d + 2:
        return call.opaque()
    settings = (spread(stride, d), spread(padding, d), spread(output_padding, d), groups, spread(dilation, d))
    return call.emit(ConvTranspose(weight, bias, *settings), x)


@lowers("aten.convolution.default")
def _convolution(
    call: Call, x: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, transposed: bool,
    output_padding: Any, groups: int,
) -> Any:  # fmt: skip
    if not isinstance(x, Value) or isinstance(weight, Value) or isinstance(bias, Value):
        return call.opaque()
    d = x.ndim - 2
    s, p, a, o = (spread(n, d) for n in (stride, padding, dilation, output_padding))
    operator = ConvTranspose(weight, bias, s, p, o, groups, a) if transposed else Conv(weight, bias, s, p, a, groups)
    return call.emit(operator, x)
