"""What is put in front of a graph, and what is taken off its end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from splinegraph.core.algebra import prune
from splinegraph.core.graph import Input, Node, SplineGraph, require_graph
from splinegraph.errors import ShapeError
from splinegraph.operators.normalizing import LogSoftmax, Softmax
from splinegraph.operators.preprocessing import Normalize

__all__ = ["logits", "normalized"]

Numbers = float | Sequence[float] | Tensor


def normalized(graph: SplineGraph, mean: Numbers = (), std: Numbers = ()) -> SplineGraph:
    """Return the graph of x -> graph((x - mean) / std), so that inputs, domains and data are in raw units.

    Parameters
    ----------
    graph : SplineGraph
        With one input.
    mean, std : number or one per channel, optional
        The channel axis is the first behind the batch. Default: 0 and 1.

    Returns
    -------
    SplineGraph
        With one node more: `Normalize`, affine.

    Raises
    ------
    ShapeError
        If the number of channels differs, `std` is not positive, a number is not finite, or the graph has
        several inputs or starts behind an embedding.

    Examples
    --------
    >>> import torch
    >>> from splinegraph.tracers.tracing import trace
    >>> graph = trace(torch.nn.Linear(2, 1).eval(), torch.zeros(1, 2))
    >>> [node.operator.label for node in normalized(graph, 0.5, [0.1, 0.2]).operators]
    ['Normalize', 'Linear']
    """
    require_graph(graph)
    root = graph[graph.inputs[0]]
    if len(graph.inputs) > 1:
        raise ShapeError(
            f"cannot normalize the inputs of {graph.name}",
            why=f"it has {len(graph.inputs)}",
            remedy="do it in the model",
        )
    if isinstance(root.operator, Input) and root.operator.value is not None:
        raise ShapeError(f"cannot normalize the input of {graph.name}", why="it is computed from token ids")
    channels = root.shape[1] if len(root.shape) > 1 else 1
    shift, spread = _per_channel("mean", mean, 0.0, channels), _per_channel("std", std, 1.0, channels)
    if not bool((spread > 0).all()):
        raise ShapeError(f"std holds {float(spread.min()):g}", remedy="give positive numbers")
    names = {node.name for node in graph.nodes}
    name = next(n for i in range(len(names) + 1) if (n := "normalize" + f"_{i}" * bool(i)) not in names)
    operator = Normalize(shift, spread, max(len(root.shape) - 2, 0))
    first = Node(name, operator, (root.name,), root.shape, root.layout, target="(x - mean) / std")
    inner = SplineGraph(
        (root, first), graph.inputs, (name,), graph.batched, graph.dtype, notes=graph.notes
    )  # fmt: skip
    return graph.compose(inner).rename(graph.name)


def _per_channel(name: str, given: Numbers, default: float, channels: int) -> Tensor:
    """Return one number, or one per channel, in float64."""
    items = given.detach().reshape(-1).tolist() if isinstance(given, Tensor) else given
    found = [float(x) for x in ([items] if isinstance(items, int | float) else items)] or [default]
    if len(found) not in (1, channels):
        raise ShapeError(
            f"{name} has {len(found)} numbers for {channels} channels", remedy="give one, or one per channel"
        )
    if not all(map(math.isfinite, found)):
        raise ShapeError(f"{name} holds NaN or infinite values", remedy="give finite numbers")
    return torch.tensor(found, dtype=torch.float64)


def logits(graph: SplineGraph) -> tuple[SplineGraph, tuple[str, ...]]:
    """Return the graph without the softmax or log-softmax that ends in an output, and a note on each.

    A softmax whose value another node reads stays, and so does one that is all there is.

    Examples
    --------
    >>> import torch
    >>> from splinegraph.tracers.tracing import trace
    >>> net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Softmax(-1)).eval()
    >>> graph, notes = logits(trace(net, torch.zeros(1, 2)))
    >>> [node.operator.label for node in graph.operators], len(notes)
    (['Linear'], 1)
    """
    require_graph(graph)
    read = {arg for node in graph.operators for arg in node.args}
    outputs, notes = list(graph.outputs), []
    for i, name in enumerate(graph.outputs):
        node = graph[name]
        ends = isinstance(node.operator, Softmax | LogSoftmax) and name not in read
        if ends and not graph[node.args[0]].is_input:
            outputs[i] = node.args[0]
            which = f"output {i}" if len(outputs) > 1 else "the output"
            kind = "softmax" if isinstance(node.operator, Softmax) else "log-softmax"
            notes.append(f"{which} is what goes into the trailing {kind} (node {name!r}), which was split off")
    if not notes:
        return graph, ()
    kept = prune(graph.nodes, outputs, graph.inputs)
    return replace(graph, nodes=kept, outputs=tuple(outputs), _cache={}), tuple(notes)
