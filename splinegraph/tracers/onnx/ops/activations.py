"""Functions of one number: activations, trigonometry, rounding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from splinegraph.tracers.onnx.registry import Node, operator

__all__: list[str] = []

_PLAIN: dict[str, Callable[[Tensor], Tensor]] = {
    "Relu": torch.relu, "Sigmoid": torch.sigmoid, "Tanh": torch.tanh, "Softplus": F.softplus,
    "Softsign": F.softsign, "Erf": torch.erf, "Mish": F.mish, "HardSwish": F.hardswish,
    "Abs": torch.abs, "Neg": torch.neg, "Sign": torch.sign, "Exp": torch.exp, "Log": torch.log,
    "Sqrt": torch.sqrt, "Reciprocal": torch.reciprocal, "Ceil": torch.ceil, "Floor": torch.floor,
    "Round": torch.round, "Sin": torch.sin, "Cos": torch.cos, "Tan": torch.tan, "Asin": torch.asin,
    "Acos": torch.acos, "Atan": torch.atan, "Sinh": torch.sinh, "Cosh": torch.cosh, "Asinh": torch.asinh,
    "Acosh": torch.acosh, "Atanh": torch.atanh, "Not": torch.logical_not, "IsNaN": torch.isnan,
    "BitwiseNot": torch.bitwise_not,
}  # fmt: skip


@operator(*_PLAIN)
def _plain(node: Node, x: Tensor) -> Tensor:
    return _PLAIN[node.op_type](x)


@operator("LeakyRelu")
def _leaky_relu(node: Node, x: Tensor) -> Tensor:
    return F.leaky_relu(x, node.get("alpha", 0.01))


@operator("Elu")
def _elu(node: Node, x: Tensor) -> Tensor:
    return F.elu(x, node.get("alpha", 1.0))


@operator("Celu")
def _celu(node: Node, x: Tensor) -> Tensor:
    return F.celu(x, node.get("alpha", 1.0))


@operator("Selu")
def _selu(node: Node, x: Tensor) -> Tensor:
    alpha, gamma = node.get("alpha"), node.get("gamma")
    usual = (alpha is None or abs(alpha - 1.6732632) < 1e-6) and (gamma is None or abs(gamma - 1.0507010) < 1e-6)
    if usual:
        return F.selu(x)
    alpha, gamma = (1.6732632 if alpha is None else alpha), (1.0507010 if gamma is None else gamma)
    return gamma * F.elu(x, alpha)


@operator("ThresholdedRelu")
def _thresholded_relu(node: Node, x: Tensor) -> Tensor:
    return F.threshold(x, node.get("alpha", 1.0), 0.0)


@operator("HardSigmoid")
def _hard_sigmoid(node: Node, x: Tensor) -> Tensor:
    return torch.clamp(x * node.get("alpha", 0.2) + node.get("beta", 0.5), 0.0, 1.0)


@operator("PRelu")
def _prelu(node: Node, x: Tensor, slope: Tensor) -> Tensor:
    if node.get("per_channel", 0):
        return F.prelu(x, slope.reshape(-1))
    per_channel = slope.dim() == x.dim() - 1 and all(n == 1 for n in slope.shape[1:])
    if slope.numel() == 1 or (per_channel and x.dim() > 1 and slope.shape[0] == x.shape[1]):
        return F.prelu(x, slope.reshape(-1))
    return torch.relu(x) - slope * torch.relu(-x)


@operator("Shrink")
def _shrink(node: Node, x: Tensor) -> Tensor:
    limit, bias = node.get("lambd", 0.5), node.get("bias", 0.0)
    if x.is_floating_point() and limit >= 0 and bias in (0.0, limit):
        return F.hardshrink(x, limit) if bias == 0 else F.softshrink(x, limit)
    zero = torch.zeros_like(x)
    return torch.where(x < -limit, x + bias, torch.where(x > limit, x - bias, zero)).to(x.dtype)


@operator("Gelu")
def _gelu(node: Node, x: Tensor) -> Tensor:
    return F.gelu(x, approximate=node.get("approximate", "none"))


@operator("Swish")
def _swish(node: Node, x: Tensor) -> Tensor:
    alpha = node.get("alpha", 1.0)
    return F.silu(x) if alpha == 1 else x * torch.sigmoid(x * alpha)


@operator("IsInf")
def _is_inf(node: Node, x: Tensor) -> Tensor:
    positive, negative = node.get("detect_positive", 1), node.get("detect_negative", 1)
    found = torch.isinf(x)
    if not positive:
        found = found & (x < 0)
    return found if negative else found & (x > 0)


@operator("Clip", static=(1, 2))
def _clip(node: Node, x: Tensor, low: Any = None, high: Any = None) -> Tensor:
    low, high = (_limit(given, node.get(name)) for given, name in ((low, "min"), (high, "max")))
    if isinstance(low, Tensor) or isinstance(high, Tensor):
        x = x if low is None else torch.maximum(x, torch.as_tensor(low, dtype=x.dtype))
        return x if high is None else torch.minimum(x, torch.as_tensor(high, dtype=x.dtype))
    if low is None and high is None:
        return x
    return torch.clamp(x, low, high)


def _limit(given: Any, attribute: float | None) -> Any:
    """Return a limit of a clip as a number, a tensor, or None."""
    if given is None or isinstance(given, Tensor):
        return attribute if given is None else given
    return given.reshape(-1).tolist()[0]
