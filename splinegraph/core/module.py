"""A graph as a runnable torch.fx GraphModule."""

from __future__ import annotations

from torch import Tensor, fx, nn

from splinegraph.core.graph import SplineGraph
from splinegraph.core.layout import BatchLayout
from splinegraph.core.operator import Operator
from splinegraph.core.parameters import Context, leaves
from splinegraph.errors import SplineGraphError

__all__ = ["OperatorModule", "to_module"]


class OperatorModule(nn.Module):
    """One operator as a module; parameters and buffers are the user's own objects."""

    def __init__(self, operator: Operator, layout: BatchLayout) -> None:
        super().__init__()
        self.operator, self.layout = operator, layout
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
        batch = xs[0].shape[self.layout.axis] // self.layout.factor
        return Context(dtype, xs[0].device, batch).resolve(self.operator).forward(*xs)


def to_module(graph: SplineGraph) -> fx.GraphModule:
    """Return the graph as a GraphModule with one sub-module per operator, named as the nodes are.

    Raises
    ------
    SplineGraphError
        If the graph was traced for one sample: a module could not loop over a batch.
    """
    if not graph.batched:
        raise SplineGraphError(
            f"{graph.name} has no module", why="it was traced for one sample at a time", remedy="call the graph itself"
        )
    root, lines = nn.Module(), fx.Graph()
    values = {name: lines.placeholder(name) for name in graph.inputs}
    for node in graph.operators:
        name = f"{node.name}_" if hasattr(root, node.name) else node.name  # a node may be called 'to'
        layout = graph[node.args[0]].layout
        assert layout is not None
        root.add_module(name, OperatorModule(node.op, layout))
        values[node.name] = lines.call_module(name, tuple(values[arg] for arg in node.args))
        values[node.name].meta = {"module": node.module, "source": node.source}
    outputs = tuple(values[name] for name in graph.outputs)
    lines.output(outputs[0] if len(outputs) == 1 else outputs)
    module = fx.GraphModule(root, lines, class_name=graph.name if graph.name.isidentifier() else "Network")
    return module.eval()
