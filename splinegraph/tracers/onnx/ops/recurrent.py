"""LSTM, GRU and RNN: torch's own where it has the same cell, else unrolled step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from splinegraph.errors import TraceError
from splinegraph.tracers.onnx.node import MODULES, OnnxNode
from splinegraph.tracers.onnx.registry import Node, operator
from splinegraph.tracers.onnx.values import integers

__all__ = ["GRU", "LSTM", "RNN"]


class LSTM(OnnxNode):
    """An LSTM node; by its class the steps in time are recognized."""


class GRU(OnnxNode):
    """A GRU node."""


class RNN(OnnxNode):
    """An Elman node."""


MODULES.update({("", kind.__name__): kind for kind in (LSTM, GRU, RNN)})

_GATES = {"LSTM": [0, 2, 3, 1], "GRU": [1, 0, 2], "RNN": [0]}
"""ONNX's gates in torch's order: iofc to ifgo, zrh to rzn."""

_DEFAULTS = {"LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh"), "RNN": ("Tanh",)}

_FUNCTIONS: dict[str, Callable[[Tensor, float | None, float | None], Tensor]] = {
    "relu": lambda x, a, b: torch.relu(x),
    "tanh": lambda x, a, b: torch.tanh(x),
    "sigmoid": lambda x, a, b: torch.sigmoid(x),
    "affine": lambda x, a, b: x * (1.0 if a is None else a) + (0.0 if b is None else b),
    "leakyrelu": lambda x, a, b: F.leaky_relu(x, 0.01 if a is None else a),
    "thresholdedrelu": lambda x, a, b: F.threshold(x, 1.0 if a is None else a, 0.0),
    "scaledtanh": lambda x, a, b: (1.0 if a is None else a) * torch.tanh((1.0 if b is None else b) * x),
    "hardsigmoid": lambda x, a, b: torch.clamp((0.2 if a is None else a) * x + (0.5 if b is None else b), 0.0, 1.0),
    "elu": lambda x, a, b: F.elu(x, 1.0 if a is None else a),
    "softsign": lambda x, a, b: F.softsign(x),
    "softplus": lambda x, a, b: F.softplus(x),
}


@operator("LSTM", "GRU", "RNN", static=(4,))
def _recurrent(
    node: Node, x: Tensor, w: Tensor, r: Tensor, b: Tensor | None = None, lengths: Any = None,
    h: Tensor | None = None, c: Tensor | None = None, p: Tensor | None = None,
) -> tuple[Tensor, ...]:  # fmt: skip
    if node.get("layout", 0):  # batch first
        x = x.transpose(0, 1)
        h, c = (None if s is None else s.transpose(0, 1) for s in (h, c))
    directions, time, batch = int(w.shape[0]), x.shape[0], x.shape[1]
    _check_lengths(lengths, time)
    hidden = int(r.shape[-1])
    zeros = x.new_zeros(directions, batch, hidden)
    h, c = (zeros if s is None else s.expand(directions, batch, hidden) for s in (h, c))
    if b is None:
        b = w.new_zeros(directions, 2 * w.shape[1])
    if _native(node, p, directions):
        y, states = _torch(node, x, w, r, b, h, c)
    else:
        y, states = _unrolled(node, x, w, r, b, h, c, p)
    if node.get("layout", 0):
        y, states = y.permute(2, 0, 1, 3), [s.transpose(0, 1) for s in states]
    return (y, *states)


def _check_lengths(lengths: Any, time: Any) -> None:
    if lengths is not None and any(n != time for n in integers(lengths, "the length of a sequence")):
        raise TraceError("sequences of different lengths in one batch cannot be read", remedy="pad them in the model")


def _activations(node: Node, directions: int) -> list[tuple[str, float | None, float | None]]:
    """Return name, alpha and beta of every activation; only some names take an alpha or a beta."""
    names = node.get("activations") or _DEFAULTS[node.op_type] * directions
    alphas, betas = iter(node.get("activation_alpha", ())), iter(node.get("activation_beta", ()))
    with_alpha = {"affine", "leakyrelu", "thresholdedrelu", "scaledtanh", "hardsigmoid", "elu"}
    with_beta = {"affine", "scaledtanh", "hardsigmoid"}
    found = []
    for name in (n.lower() for n in names):
        if name not in _FUNCTIONS:
            raise TraceError(f"the activation {name!r} of a recurrent node is not known")
        alpha = next(alphas, None) if name in with_alpha else None
        found.append((name, alpha, next(betas, None) if name in with_beta else None))
    return found


def _native(node: Node, peepholes: Any, directions: int) -> bool:
    names = [name for name, _, _ in _activations(node, directions)]
    usual = [name.lower() for name in _DEFAULTS[node.op_type]] * directions
    relu = node.op_type == "RNN" and set(names) == {"relu"}
    plain = peepholes is None and not node.get("clip") and not node.get("input_forget", 0)
    if node.get("direction", "forward") == "reverse" or not (names == usual or relu):
        return False
    return plain and (node.op_type != "GRU" or bool(node.get("linear_before_reset", 0)))


def _reorder(weights: Tensor, kind: str) -> Tensor:
    """Return the gates, which are blocks of rows, in torch's order."""
    blocks = weights.chunk(len(_GATES[kind]), 0)
    return weights if len(blocks) == 1 else torch.cat([blocks[i] for i in _GATES[kind]], 0)


def _torch(node: Node, x: Tensor, w: Tensor, r: Tensor, b: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, list[Tensor]]:
    kind, directions, weights = node.op_type, int(w.shape[0]), []
    for d in range(directions):
        both = b[d].chunk(2)
        weights += [_reorder(part, kind) for part in (w[d], r[d], *both)]
    settings: tuple[Any, ...] = (weights, True, 1, 0.0, False, directions == 2, False)
    if kind == "LSTM":
        y, *states = torch.lstm(x, (h.contiguous(), c.contiguous()), *settings)
    else:
        relu = kind == "RNN" and _activations(node, directions)[0][0] == "relu"
        run: Any = torch.gru if kind == "GRU" else torch.rnn_relu if relu else torch.rnn_tanh
        y, *states = run(x, h.contiguous(), *settings)
    return y.unflatten(-1, (directions, -1)).transpose(1, 2), list(states)


def _unrolled(
    node: Node, x: Tensor, w: Tensor, r: Tensor, b: Tensor, h: Tensor, c: Tensor, p: Tensor | None
) -> tuple[Tensor, list[Tensor]]:
    kind, directions = node.op_type, int(w.shape[0])
    functions, per = _activations(node, directions), len(_DEFAULTS[kind])
    outputs, states = [], []
    for d in range(directions):
        cell = _CELLS[kind](node, functions[d * per : (d + 1) * per], w[d], r[d], b[d], None if p is None else p[d])
        backward = node.get("direction", "forward") == "reverse" or d == 1
        state: Sequence[Tensor] = (h[d], c[d]) if kind == "LSTM" else (h[d],)
        steps = []
        for t in reversed(range(int(x.shape[0]))) if backward else range(int(x.shape[0])):
            state = cell(x[t], *state)
            steps.append(state[0])
        outputs.append(torch.stack(steps[::-1] if backward else steps))
        states.append(state)
    return torch.stack(outputs, 1), [torch.stack(parts) for parts in zip(*states, strict=True)]


_Cell = Callable[..., tuple[Tensor, ...]]


def _applied(node: Node, function: tuple[str, float | None, float | None], x: Tensor) -> Tensor:
    name, alpha, beta = function
    clip = node.get("clip")
    return _FUNCTIONS[name](torch.clamp(x, -clip, clip) if clip else x, alpha, beta)


def _lstm(node: Node, functions: Any, w: Tensor, r: Tensor, b: Tensor, p: Tensor | None) -> _Cell:
    wb, rb = b.chunk(2)
    pi, po, pf = (0.0, 0.0, 0.0) if p is None else p.chunk(3)
    f, g, k = functions

    def cell(x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, ...]:
        i, o, forget, new = (F.linear(x, w, wb) + F.linear(h, r, rb)).chunk(4, -1)
        i = _applied(node, f, i + pi * c if p is not None else i)
        forget = (
            1 - i if node.get("input_forget", 0) else _applied(node, f, forget + pf * c if p is not None else forget)
        )
        c = forget * c + i * _applied(node, g, new)
        o = _applied(node, f, o + po * c if p is not None else o)
        return o * _applied(node, k, c), c

    return cell


def _gru(node: Node, functions: Any, w: Tensor, r: Tensor, b: Tensor, p: Tensor | None) -> _Cell:
    wb, rb = b.chunk(2)
    rz, rr, rh = r.chunk(3)
    bz, br, bh = rb.chunk(3)
    f, g = functions

    def cell(x: Tensor, h: Tensor) -> tuple[Tensor, ...]:
        xz, xr, xh = F.linear(x, w, wb).chunk(3, -1)
        z, reset = _applied(node, f, xz + F.linear(h, rz, bz)), _applied(node, f, xr + F.linear(h, rr, br))
        late = bool(node.get("linear_before_reset", 0))
        new = xh + (reset * F.linear(h, rh, bh) if late else F.linear(reset * h, rh, bh))
        return ((1 - z) * _applied(node, g, new) + z * h,)

    return cell


def _rnn(node: Node, functions: Any, w: Tensor, r: Tensor, b: Tensor, p: Tensor | None) -> _Cell:
    wb, rb = b.chunk(2)
    return lambda x, h: (_applied(node, functions[0], F.linear(x, w, wb) + F.linear(h, r, rb)),)


_CELLS: dict[str, Callable[..., _Cell]] = {"LSTM": _lstm, "GRU": _gru, "RNN": _rnn}
