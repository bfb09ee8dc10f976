"""Complex values as pairs of real ones, and the calls that make, change and read them.

Fourier transforms are affine: products with matrices of cosines and sines, real and imaginary part apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from splinegraph.core.algebra import LinearCombination, Select
from splinegraph.core.parameters import Expression
from splinegraph.operators.arithmetic import add, multiply, scale
from splinegraph.operators.distances import beside
from splinegraph.operators.normalizing import VectorNorm
from splinegraph.operators.opaque import Hole, Opaque
from splinegraph.operators.pooling import Resample
from splinegraph.operators.registry import LOWERINGS, Builder, Call, Value, constant, lowers, negative

__all__ = ["COMPLEX", "Complex", "assembled"]

LONGEST = 4096
"""The longest transform that is written as a matrix."""


@dataclass(frozen=True, eq=False)
class Complex:
    """A complex value: two live values, or a real one where `imag` is None."""

    real: Value
    imag: Value | None = None

    def apply(self, function: Callable[[Value], Value]) -> Complex:
        """Return the result of a real linear map."""
        return Complex(function(self.real), None if self.imag is None else function(self.imag))


COMPLEX: dict[str, Builder] = {}
"""Lowerings of calls with a complex argument or result."""


def _handles(*targets: str) -> Callable[[Builder], Builder]:
    def register(builder: Builder) -> Builder:
        COMPLEX.update(dict.fromkeys(targets, builder))
        return builder

    return register


def _is_complex(call: Call, x: Any) -> bool:
    if isinstance(x, Tensor | Expression):
        known = call.at(x, 1)
        return isinstance(known, Tensor) and known.is_complex()
    return isinstance(x, Complex | complex)


def _part(call: Call, x: Any, name: str) -> Any:
    """Return the real or imaginary part of anything; that of a real value is itself, or 0."""
    if isinstance(x, Complex):
        found = x.real if name == "real" else x.imag
        return scale(call, x.real, 0.0) if found is None else found
    if isinstance(x, complex):
        return x.real if name == "real" else x.imag
    if _is_complex(call, x):
        return constant(_real if name == "real" else _imag, x)
    if isinstance(x, list | tuple):
        return type(x)(_part(call, item, name) for item in x)
    if name == "real" or not _is_floating(call, x):  # an index, or a setting
        return x
    return scale(call, x, 0.0) if isinstance(x, Value) else 0.0 if isinstance(x, float) else constant(torch.mul, x, 0)


def _is_floating(call: Call, x: Any) -> bool:
    known = call.at(x, 1) if isinstance(x, Expression) else x
    return known.dtype.is_floating_point if isinstance(known, Value | Tensor) else isinstance(x, float)


def _real(x: Tensor) -> Tensor:
    return torch.view_as_real(x.resolve_conj())[..., 0]


def _imag(x: Tensor) -> Tensor:
    return torch.view_as_real(x.resolve_conj())[..., 1]


def assembled(call: Call, x: Any) -> Any:
    """Return a pair as one complex value, for calls that are not known here."""
    if isinstance(x, Complex):
        parts = [_part(call, x, name) for name in ("real", "imag")]
        node = Opaque(torch.ops.aten.complex.default, (Hole(0), Hole(1)), {}, "complex")
        return call.emit(node, *parts, shape=x.real.shape)
    return x


# calls that do the same to both parts


@_handles(
    "aten.view.default", "aten.reshape.default", "aten._unsafe_view.default", "aten.flatten.using_ints",
    "aten.unflatten.int", "aten.squeeze.dim", "aten.squeeze.dims", "aten.squeeze.default", "aten.unsqueeze.default",
    "aten.permute.default", "aten.transpose.int", "aten.movedim.int", "aten.expand.default", "aten.slice.Tensor",
    "aten.select.int", "aten.narrow.default", "aten.flip.default", "aten.roll.default", "aten.repeat.default",
    "aten.cat.default", "aten.stack.default", "aten.slice_scatter.default", "aten.select_scatter.default",
    "aten.copy.default", "aten.constant_pad_nd.default", "aten.pad.default", "aten.sum.dim_IntList",
    "aten.mean.dim", "aten.add.Tensor", "aten.sub.Tensor", "aten.neg.default", "aten.clone.default",
    "aten.contiguous.default", "aten.alias.default", "aten.detach.default",
    "aten.index_select.default", "aten.index.Tensor", "aten.unbind.int", "aten.split.Tensor", "aten.chunk.default",
    "aten.split_with_sizes.default", "aten.resolve_neg.default", "aten.cumsum.default", "aten.unfold.default",
)  # fmt: skip
def _both(call: Call, *args: Any, **kwargs: Any) -> Any:
    build = LOWERINGS[call.target]
    parts = []
    for name in ("real", "imag"):
        given = [_part(call, a, name) for a in args]
        parts.append(build(call, *given, **{k: _part(call, v, name) for k, v in kwargs.items()}))
    if isinstance(parts[0], tuple):
        return tuple(Complex(*pair) for pair in zip(*parts, strict=True))
    return Complex(*parts)


@_handles(
    "aten.zeros_like.default", "aten.new_zeros.default", "aten.ones_like.default", "aten.new_ones.default",
    "aten.full_like.default", "aten.new_full.default",
)  # fmt: skip
def _filled(call: Call, x: Any, *args: Any, **kwargs: Any) -> Any:
    """Return a constant; a real number stands for itself."""
    numbers = [a for a in args if isinstance(a, complex)]
    return None if numbers else LOWERINGS[call.target](call, x, *args, **kwargs)


# products


@_handles("aten.mul.Tensor", "aten.mul.Scalar", "aten.matmul.default", "aten.bmm.default", "aten.mm.default")
def _product(call: Call, a: Any, b: Any) -> Any:
    return _bilinear(call, lambda x, y: LOWERINGS[call.target](call, x, y), a, b)


@_handles("aten.einsum.default")
def _einsum(call: Call, equation: str, operands: Sequence[Any], **_: Any) -> Any:
    if len(operands) != 2:
        return None
    return _bilinear(call, lambda x, y: LOWERINGS[call.target](call, equation, [x, y]), *operands)


def _bilinear(call: Call, times: Callable[[Any, Any], Any], a: Any, b: Any) -> Complex:
    """Return the product of two numbers, at least one complex."""
    if not (_is_complex(call, a) and _is_complex(call, b)):
        pair, other, swap = (a, b, False) if _is_complex(call, a) else (b, a, True)
        parts = [_part(call, pair, name) for name in ("real", "imag")]
        return Complex(*(times(other, p) if swap else times(p, other) for p in parts))
    ar, ai, br, bi = (_part(call, x, name) for x in (a, b) for name in ("real", "imag"))
    return Complex(
        _combined(call, times(ar, br), times(ai, bi), -1.0), _combined(call, times(ar, bi), times(ai, br), 1.0)
    )


def _combined(call: Call, a: Value, b: Value, sign: float) -> Value:
    return call.emit(LinearCombination((1.0, sign)), a, b, shape=a.shape)


@_handles("aten.div.Tensor", "aten.div.Scalar")
def _quotient(call: Call, a: Any, b: Any) -> Any:
    if not isinstance(a, Complex) or _is_complex(call, b):
        return None
    inverse = 1 / b if isinstance(b, float | int) else None if isinstance(b, Value) else constant(torch.reciprocal, b)
    return None if inverse is None else a.apply(lambda x: scale(call, x, inverse))


@_handles("aten._conj.default", "aten.conj.default", "aten._conj_physical.default", "aten.conj_physical.default")
def _conjugate(call: Call, x: Complex) -> Complex:
    return Complex(x.real, None if x.imag is None else scale(call, x.imag, -1.0))


@_handles("aten.resolve_conj.default")
def _same(call: Call, x: Complex) -> Complex:
    return x


# in and out


@_handles("aten._to_copy.default", "aten.to.dtype", "aten.to.dtype_layout")
def _cast(call: Call, x: Any, *_: Any, **__: Any) -> Any:
    return x if isinstance(x, Complex) else Complex(x) if x.dtype.is_floating_point else None


@_handles("aten.complex.default")
def _complex(call: Call, real: Any, imag: Any) -> Any:
    if not (isinstance(real, Value) and isinstance(imag, Value)):
        live = real if isinstance(real, Value) else imag
        zero = scale(call, live, 0.0)
        real, imag = (x if isinstance(x, Value) else add(call, zero, x) for x in (real, imag))
    return Complex(real, imag)


@_handles("aten.polar.default")
def _polar(call: Call, size: Any, angle: Any) -> Any:
    from splinegraph.operators.smooth_functions import Cos, Sin

    if not isinstance(angle, Value):
        parts = [constant(f, angle) for f in (torch.cos, torch.sin)]
    else:
        parts = [call.emit(f, angle, shape=angle.shape) for f in (Cos(), Sin())]
    return Complex(*(multiply(call, size, p) for p in parts))


@_handles("aten.view_as_complex.default")
def _view_as_complex(call: Call, x: Value) -> Complex:
    return Complex(*(call.emit(Select(-1, i), x, shape=x.shape[:-1]) for i in (0, 1)))


@_handles("aten.view_as_real.default")
def _view_as_real(call: Call, x: Complex) -> Value:
    return beside(call, x.real, _part(call, x, "imag"))


@_handles("aten.real.default")
def _real_part(call: Call, x: Complex) -> Value:
    return x.real


@_handles("aten.imag.default")
def _imaginary_part(call: Call, x: Complex) -> Value:
    found: Value = _part(call, x, "imag")
    return found


@_handles("aten.abs.default")
def _modulus(call: Call, x: Complex) -> Value:
    return call.emit(VectorNorm((-1,)), beside(call, x.real, _part(call, x, "imag")), shape=x.real.shape)


# Fourier transforms


@_handles("aten._fft_c2c.default")
def _transform(call: Call, x: Any, dims: Sequence[int], normalization: int, forward: bool) -> Any:
    pair = x if isinstance(x, Complex) else Complex(x)
    if any(pair.real.shape[d] > LONGEST for d in dims) or _cuts_batch(pair.real, dims):
        return None
    for dim in dims:
        n = pair.real.shape[dim]
        pair = _turned(call, pair, dim, *_waves(n, n, -1.0 if forward else 1.0))
    return _normalized(call, pair, math.prod(pair.real.shape[d] for d in dims), normalization)


@lowers("aten._fft_r2c.default")
def _real_transform(call: Call, x: Value, dims: Sequence[int], normalization: int, onesided: bool) -> Any:
    if any(x.shape[d] > LONGEST for d in dims) or _cuts_batch(x, dims):
        return call.opaque()
    *others, last = dims
    n = x.shape[last]
    pair = _turned(call, Complex(x), last, *_waves(n, n // 2 + 1 if onesided else n, -1.0))
    for dim in others:
        pair = _turned(call, pair, dim, *_waves(x.shape[dim], x.shape[dim], -1.0))
    return _normalized(call, pair, math.prod(x.shape[d] for d in dims), normalization)


COMPLEX["aten._fft_r2c.default"] = _real_transform


@_handles("aten._fft_c2r.default")
def _back_to_real(call: Call, x: Complex, dims: Sequence[int], normalization: int, size: int) -> Any:
    """Return the inverse of a one-sided transform: both halves of the spectrum are conjugates."""
    if not isinstance(x, Complex) or size > LONGEST or _cuts_batch(x.real, dims):
        return None
    *others, last = dims
    for dim in others:
        n = x.real.shape[dim]
        x = _turned(call, x, dim, *_waves(n, n, 1.0))
    kept = size // 2 + 1
    cosines, sines = _waves(kept, size, 1.0, period=size)
    twice = torch.full((kept,), 2.0, dtype=torch.float64)
    twice[0] = 1
    if size % 2 == 0:
        twice[-1] = 1
    real = _along(call, x.real, last, cosines * twice)
    if x.imag is not None:
        imag = _along(call, x.imag, last, sines * twice)
        real = _combined(call, real, imag, -1.0)
    count = size * math.prod(x.real.shape[d] for d in others)
    return _normalized(call, Complex(real), count, normalization).real


def _cuts_batch(x: Value, dims: Sequence[int]) -> bool:
    return x.layout is not None and any(x.layout.axis == d % x.ndim for d in dims)


def _waves(n: int, m: int, sign: float, period: int | None = None) -> tuple[Tensor, Tensor]:
    """Return cos and sin of sign * 2 pi j k / period, shape (m, n)."""
    period = period or n
    turns = torch.outer(torch.arange(m), torch.arange(n)) % period  # exact, so that large sizes lose no digits
    angle = turns.double() * (2 * math.pi / period)
    return angle.cos(), sign * angle.sin()


def _turned(call: Call, x: Complex, dim: int, cosines: Tensor, sines: Tensor) -> Complex:
    """Return (C + iS) applied along an axis."""
    if x.imag is None:
        return Complex(_along(call, x.real, dim, cosines), _along(call, x.real, dim, sines))
    real = _combined(call, _along(call, x.real, dim, cosines), _along(call, x.imag, dim, sines), -1.0)
    imag = _combined(call, _along(call, x.real, dim, sines), _along(call, x.imag, dim, cosines), 1.0)
    return Complex(real, imag)


def _along(call: Call, x: Value, dim: int, matrix: Tensor) -> Value:
    """Return a matrix applied along an axis; entries that it does not reach are cut off."""
    n, at = matrix.shape[1], dim % x.ndim
    if x.shape[at] > n:
        matrix = torch.nn.functional.pad(matrix, (0, x.shape[at] - n))
    elif x.shape[at] < n:
        matrix = matrix[:, : x.shape[at]]
    shape = tuple(matrix.shape[0] if i == at else size for i, size in enumerate(x.shape))
    return call.emit(Resample((((negative(dim, x.ndim), matrix),),), "Fourier"), x, shape=shape)


def _normalized(call: Call, x: Complex, count: int, normalization: int) -> Complex:
    """Divide by nothing, the root of the number of entries, or the number."""
    factor = {0: 1.0, 1: 1 / math.sqrt(count), 2: 1 / count}[normalization]
    return x if factor == 1 else x.apply(lambda part: scale(call, part, factor))
