"""Composite calls without a lowering as sub-graphs of simpler calls, one call at a time."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, fx
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn import functional as F
from torch.utils import _pytree as pytree

from splinegraph.operators.registry import LOWERINGS
from splinegraph.tracers.exporting import functional_name, quiet, target_name

__all__ = ["unroll"]

_KEPT = ("nn_module_stack", "stack_trace", "source_fn_stack", "from_node")


def unroll(node: fx.Node) -> tuple[fx.GraphModule, list[fx.Node]] | None:
    """Return what a call consists of, and which nodes its placeholders stand for; None if it is elementary.

    Notes
    -----
    Traces the call alone, on the shapes that export found: some 10 ms, where decomposing the whole program
    takes several times as long as exporting it.
    """
    table = _table()
    if node.target not in table or not isinstance(node.target, torch._ops.OpOverload):
        return None
    leaves, spec = pytree.tree_flatten((node.args, dict(node.kwargs)), is_leaf=lambda x: isinstance(x, fx.Node))
    nodes = list(dict.fromkeys(x for x in leaves if isinstance(x, fx.Node)))
    values = [n.meta.get("val") for n in nodes]
    fakes = [v for v in values if isinstance(v, torch._subclasses.FakeTensor)]
    if not fakes or any(not isinstance(v, Tensor | torch.SymInt | int | float | bool) for v in values):
        return None
    recurrent = "weight" in str(node.target._schema) or "params" in str(node.target._schema)

    def call(*given: Any) -> Any:
        known = dict(zip(nodes, given, strict=True))
        filled = [known[x] if isinstance(x, fx.Node) else x for x in leaves]
        args, kwargs = pytree.tree_unflatten(filled, spec)
        return table[node.target](*args, **kwargs)

    mode = fakes[0].fake_mode
    # a size that the call pins down must not become that of the whole program
    free = mode.shape_env.suppress_guards() if mode.shape_env is not None else contextlib.nullcontext()
    with torch.set_grad_enabled(recurrent), quiet(), mode, free:
        # torch has a fused kernel for recurrent layers that need no gradient
        values = [_differentiable(v) if recurrent else v for v in values]
        for pre_dispatch in (True, False):
            try:
                module = make_fx(call, tracing_mode="real", pre_dispatch=pre_dispatch)(*values)
            except Exception:  # noqa: BLE001  # a call that insists on real values stays whole
                return None
            if all(inner.target != node.target for inner in module.graph.nodes):
                break
        else:
            return None
    for inner in module.graph.nodes:
        inner.meta.update({key: node.meta[key] for key in _KEPT if key in node.meta})
    return module, nodes


def _differentiable(value: Any) -> Any:
    """Return a tensor that wants a gradient, if it can."""
    floats = isinstance(value, Tensor) and value.is_floating_point()
    return value.detach().requires_grad_() if floats else value


@functools.cache
def _table() -> dict[Any, Any]:
    """Return torch's decompositions of the calls that have no lowering."""
    table = torch.export.default_decompositions().materialize() | _CELLS
    table |= {t: functools.partial(_layer_by_layer, table[t]) for t in _RECURRENT if t in table}
    return {t: f for t, f in table.items() if functional_name(target_name(t)) not in LOWERINGS}


def _layer_by_layer(
    whole: Any, x: Tensor, state: Any, params: Sequence[Tensor], biases: bool, layers: int, dropout: float,
    train: bool, bidirectional: bool, batch_first: bool,
) -> tuple[Tensor, ...]:  # fmt: skip
    """Unroll a recurrent call with the dropout between its layers, which torch's decomposition forgets."""
    if not train or dropout == 0 or layers == 1:
        return tuple(whole(x, state, params, biases, layers, dropout, train, bidirectional, batch_first))
    width, last = len(params) // layers, []
    for i in range(layers):
        rows = slice(i * (1 + bidirectional), (i + 1) * (1 + bidirectional))
        start = state[rows] if isinstance(state, Tensor) else [part[rows] for part in state]
        mine = params[i * width : (i + 1) * width]
        x, *ends = whole(x, start, mine, biases, 1, 0.0, train, bidirectional, batch_first)
        last.append(ends)
        x = F.dropout(x, dropout, True) if i < layers - 1 else x
    return (x, *(torch.cat(parts) for parts in zip(*last, strict=True)))


# recurrent cells, which torch has in C++ only


def _gru_cell(x: Tensor, h: Tensor, w: Tensor, u: Tensor, b: Tensor | None = None, c: Tensor | None = None) -> Tensor:
    (r, z, n), (hr, hz, hn) = F.linear(x, w, b).chunk(3, -1), F.linear(h, u, c).chunk(3, -1)
    reset, update = torch.sigmoid(r + hr), torch.sigmoid(z + hz)
    new = torch.tanh(n + reset * hn)
    return new + update * (h - new)


def _lstm_cell(
    x: Tensor, state: Sequence[Tensor], w: Tensor, u: Tensor, b: Tensor | None = None, c: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    gates = F.linear(x, w, b) + F.linear(state[0], u, c)
    enter, forget, value, leave = gates.chunk(4, -1)
    cell = torch.sigmoid(forget) * state[1] + torch.sigmoid(enter) * torch.tanh(value)
    return torch.sigmoid(leave) * torch.tanh(cell), cell


def _rnn_cell(
    activation: Any, x: Tensor, h: Tensor, w: Tensor, u: Tensor, b: Tensor | None = None, c: Tensor | None = None
) -> Tensor:
    found: Tensor = activation(F.linear(x, w, b) + F.linear(h, u, c))
    return found


_ATEN = torch.ops.aten
_RECURRENT = (_ATEN.rnn_relu.input, _ATEN.rnn_tanh.input, _ATEN.gru.input, _ATEN.lstm.input)
_CELLS: dict[Any, Any] = {
    _ATEN.gru_cell.default: _gru_cell,
    _ATEN.lstm_cell.default: _lstm_cell,
    _ATEN.rnn_relu_cell.default: functools.partial(_rnn_cell, torch.relu),
    _ATEN.rnn_tanh_cell.default: functools.partial(_rnn_cell, torch.tanh),
}
