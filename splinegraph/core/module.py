"""A graph as a runnable torch.fx GraphModule."""

from __future__ import annotations

import torch
from torch import Tensor, fx, nn

from splinegraph.core.graph import SplineGraph
from splinegraph.core.operator import Operator
from splinegraph.core.parameters import Context, leaves

__all__ = ["OperatorModule", "to_module"]


class OperatorModule(nn.Module):
    """One operator as a module; parameters and buffers are the user's own objects."""

    def __init__(self, operator: Operator) -> None:
        super().__init__()
        self.operator = operator
        self._mine: dict[str, Tensor] = {}
        for i, leaf in enumerate(leaves(operator)):
            if isinstance(leaf, nn.Parameter):
                self.register_parameter(f"parameter_{i}", leaf)
            else:
                self.register_buffer(f"buffer_{i}", leaf)

    def forward(self, *xs: Tensor) -> Tensor:
        """Return the operator's value."""
        floats = [x for x in xs if x.is_floating_point()]
        dtype = floats[0].dtype if floats else None
        return Context(dtype, xs[0].device, len(xs[0])).resolve(self.operator).forward(*xs)


def to_module(graph: SplineGraph) -> fx.GraphModule:
    """Return the graph as a GraphModule with one sub-module per operator, named as the nodes are."""
    root, lines = nn.Module(), fx.Graph()
    values = {name: lines.placeholder(name) for name in graph.inputs}
    for node in graph.operators:
        root.add_module(node.name, OperatorModule(node.op))
        values[node.name] = lines.call_module(node.name, tuple(values[arg] for arg in node.args))
        values[node.name].meta = {"module": node.module, "source": node.source}
    outputs = tuple(values[name] for name in graph.outputs)
    lines.output(outputs[0] if len(outputs) == 1 else outputs)
    module = fx.GraphModule(root, lines, class_name=graph.name if graph.name.isidentifier() else "Network")
    return module.train(torch.is_grad_enabled() and False)
