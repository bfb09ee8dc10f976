"""What a network is looked at on where no data are given."""

from __future__ import annotations

import torch
from torch import Tensor

from splinegraph.analyses import batches
from splinegraph.core.graph import Input, SplineGraph
from splinegraph.core.parameters import Context

__all__ = ["embedded", "random_inputs"]

SAMPLES = (16, 1000)
"""How many random inputs to take: at least, at most."""

ENTRIES = 2**24
"""Within those, how many entries of the widest operator: a large network should not take minutes for them."""


def embedded(graph: SplineGraph) -> tuple[str, ...]:
    """Return the inputs that are the output of an embedding: the tokens of the example are frozen before them."""
    found = (graph[name] for name in graph.inputs)
    return tuple(node.name for node in found if isinstance(node.operator, Input) and node.operator.value is not None)


def random_inputs(graph: SplineGraph, seed: int) -> tuple[tuple[Tensor, ...], bool]:
    """Return random inputs, fewer for large networks, and whether they are orders of the example's embeddings.

    Standard normal numbers are no embeddings. So where the inputs are outputs of embeddings, the samples are the
    embeddings of the example's tokens, in the order of the example and then in random ones. Where that changes
    nothing (one position, or the same token everywhere) they are standard normal too.

    Notes
    -----
    Inputs with as many positions (words and their types, say) are put into the same order.
    """
    fewest, most = SAMPLES
    count = max(fewest, min(most, ENTRIES // batches.widest(graph))) if graph.batched else fewest
    generator = torch.Generator().manual_seed(seed)
    tokens = [_rows(graph, name) for name in embedded(graph)]
    rows = [held for held in tokens if held is not None]
    if len(rows) < len(graph.inputs) or not any(bool((held != held[0]).any()) for held in rows):
        shapes = graph.input_shapes
        return tuple(torch.randn(count, *s, generator=generator, dtype=torch.float64) for s in shapes), False
    orders: dict[int, Tensor] = {}
    for places in map(len, rows):
        if places not in orders:
            drawn = torch.rand(count, places, generator=generator).argsort(1)
            orders[places] = torch.cat([torch.arange(places)[None], drawn[1:]])
    shaped = zip(rows, graph.input_shapes, strict=True)
    return tuple(held[orders[len(held)]].reshape(count, *shape) for held, shape in shaped), True


def _rows(graph: SplineGraph, name: str) -> Tensor | None:
    """Return an input's embeddings at the example, shape (positions, width), if they can be had."""
    operator, shape = graph[name].operator, graph[name].shape[1:]
    assert isinstance(operator, Input)
    value = Context(torch.float64, None, 1).value(operator.value)
    if not isinstance(value, Tensor) or tuple(value.shape[1:]) != tuple(shape) or not len(value) or not shape:
        return None
    return value[0].detach().cpu().reshape(-1, shape[-1])
