"""Lowering of powers, and of exponentials and logarithms to other bases."""

from __future__ import annotations

import math
from typing import Any

import torch

from splinegraph.core.parameters import Context
from splinegraph.core.values import Box
from splinegraph.operators.arithmetic import Scale, multiply
from splinegraph.operators.registry import Call, Value, constant, lowers
from splinegraph.operators.smooth import Exp, Log, Pow, Reciprocal, Rsqrt, SmoothElementwise, Sqrt, Square

__all__: list[str] = []


@lowers("aten.pow.Tensor_Scalar")
def _pow(call: Call, x: Any, exponent: Any) -> Any:
    if not isinstance(x, Value) or not isinstance(exponent, int | float) or not call.dtype.is_floating_point:
        return call.opaque()
    if exponent == 0:
        return call.full(1)
    if exponent < 0 and exponent == int(exponent):
        return call.emit(Reciprocal(), _pow(call, x, -exponent))
    named: dict[float, SmoothElementwise] = {2.0: Square(), 0.5: Sqrt(), -0.5: Rsqrt()}
    return x if exponent == 1 else call.emit(named.get(exponent) or Pow(float(exponent)), x)


@lowers("aten.pow.Tensor_Tensor")
def _tensor_pow(call: Call, x: Any, exponent: Any) -> Any:
    """Lower a power with one constant exponent, or of a base that cannot be negative: exp(exponent log(x))."""
    known = None if isinstance(exponent, Value) else call.fixed(exponent)
    if known is not None and known.numel() and not known.requires_grad and bool((known == known.reshape(-1)[0]).all()):
        wide = call.rank(exponent) > call.rank(x) or call.broadcast(call.shape_of(x), exponent) != call.shape_of(x)
        return call.opaque() if wide else _pow(call, x, float(known.reshape(-1)[0]))
    if not isinstance(x, Value):
        known = call.fixed(x)
        if known is None or not bool((known > 0).all()):
            return call.opaque()
        return call.emit(Exp(), multiply(call, exponent, constant(torch.log, x)))
    if not _is_positive(call, x):
        return call.opaque()
    return call.emit(Exp(), multiply(call, call.emit(Log(), x, shape=x.shape), exponent))


def _is_positive(call: Call, x: Value) -> bool:
    """Return whether the operators that compute x have positive values only."""
    try:
        return bool((_range(call, x, 4).lower > 0).all())
    except (RuntimeError, IndexError, ValueError):  # an operator that needs the shape, or the batch size
        return False


def _range(call: Call, x: Value, depth: int) -> Box:
    """Return bounds of x from the elementwise operators before it, one number for all of its entries."""
    operator, args = call.operator_of(x), call.args_of(x)
    if operator is None or not depth or len(args) != 1 or args[0].shape != x.shape:
        return Box.everything((1,) * x.ndim)
    return Context().resolve(operator).bounds(_range(call, args[0], depth - 1))


@lowers("aten.exp2.default", "aten.special_exp2.default")
def _exp2(call: Call, x: Value) -> Value:
    return call.emit(Exp(), call.emit(Scale(math.log(2)), x))


@lowers("aten.pow.Scalar")
def _scalar_pow(call: Call, base: Any, exponent: Value) -> Value | Any:
    if not isinstance(base, int | float) or base <= 0:
        return call.opaque()
    return call.emit(Exp(), call.emit(Scale(math.log(base)), exponent))


@lowers("aten.log2.default", "aten.log10.default")
def _log_to_a_base(call: Call, x: Value) -> Value:
    base = 2 if "log2" in call.target else 10
    return call.emit(Scale(1 / math.log(base)), call.emit(Log(), x))
