"""Arithmetic, comparisons and logic of several arguments."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from splinegraph.tracers.onnx.registry import Node, operator

__all__: list[str] = []

_PLAIN: dict[str, Callable[[Any, Any], Any]] = {
    "Add": lambda a, b: a + b, "Sub": lambda a, b: a - b, "Mul": lambda a, b: a * b,
    "Equal": lambda a, b: a == b, "Less": lambda a, b: a < b, "Greater": lambda a, b: a > b,
    "LessOrEqual": lambda a, b: a <= b, "GreaterOrEqual": lambda a, b: a >= b,
}  # fmt: skip

_LOGIC: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "And": torch.logical_and, "Or": torch.logical_or, "Xor": torch.logical_xor,
    "BitwiseAnd": torch.bitwise_and, "BitwiseOr": torch.bitwise_or, "BitwiseXor": torch.bitwise_xor,
}  # fmt: skip


@operator(*_PLAIN, scalars=True)
def _plain(node: Node, a: Any, b: Any) -> Any:
    return _PLAIN[node.op_type](a, b)


@operator(*_LOGIC)
def _logic(node: Node, a: Tensor, b: Tensor) -> Tensor:
    return _LOGIC[node.op_type](a, b)


@operator("Div", scalars=True)
def _div(node: Node, a: Any, b: Any) -> Any:
    tensor = a if isinstance(a, Tensor) else b
    if tensor.is_floating_point():
        return a / b
    return torch.div(torch.as_tensor(a), torch.as_tensor(b), rounding_mode="trunc").to(tensor.dtype)


@operator("Mod", scalars=True)
def _mod(node: Node, a: Any, b: Any) -> Any:
    function = torch.fmod if node.get("fmod", 0) else torch.remainder
    if not isinstance(a, Tensor):
        a = torch.as_tensor(a, dtype=b.dtype)
    return function(a, b)


@operator("Pow", scalars=True)
def _pow(node: Node, a: Any, b: Any) -> Any:
    if not isinstance(a, Tensor):
        return torch.pow(a, b)
    return torch.pow(a, b).to(a.dtype)  # the result has the type of the base


@operator("BitShift")
def _bit_shift(node: Node, a: Tensor, b: Tensor) -> Tensor:
    shift = torch.bitwise_left_shift if node.get("direction") == "LEFT" else torch.bitwise_right_shift
    return shift(a.to(torch.int64), b.to(torch.int64)).to(a.dtype)


@operator("Max", "Min", scalars=True)
def _extreme(node: Node, *args: Any) -> Any:
    largest = node.op_type == "Max"

    def both(a: Any, b: Any) -> Any:
        if not isinstance(a, Tensor):
            a, b = b, a
        if not isinstance(a, Tensor):
            return max(a, b) if largest else min(a, b)
        if isinstance(b, Tensor):
            return torch.maximum(a, b) if largest else torch.minimum(a, b)
        return torch.clamp(a, min=b) if largest else torch.clamp(a, max=b)

    return functools.reduce(both, args)


@operator("Sum", "Mean")
def _sum(node: Node, *args: Tensor) -> Tensor:
    total = functools.reduce(torch.add, args)
    return total / len(args) if node.op_type == "Mean" else total


@operator("Where")
def _where(node: Node, condition: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return torch.where(condition.bool(), a, b)


@operator("CumSum", "CumProd", static=(1,))
def _cumulate(node: Node, x: Tensor, axis: Any) -> Tensor:
    dim = int(axis.reshape(-1)[0])
    if node.get("reverse", 0):
        x = x.flip(dim)
    product = node.op_type == "CumProd"
    if node.get("exclusive", 0):
        first = (torch.ones_like if product else torch.zeros_like)(x.narrow(dim, 0, 1))
        x = torch.cat([first, x.narrow(dim, 0, x.shape[dim] - 1)], dim)
    x = (torch.cumprod if product else torch.cumsum)(x, dim).to(x.dtype)
    return x.flip(dim) if node.get("reverse", 0) else x
