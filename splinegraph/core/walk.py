"""The one function that walks a graph, forward or backward. Analyses pass rules to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.operator import Operator
from splinegraph.errors import SplineGraphError

__all__ = ["evaluate", "walk", "walk_back"]

V = TypeVar("V")

ForwardRule = Callable[[Node, Operator, tuple[V, ...]], V]
BackwardRule = Callable[[Node, V], tuple[V | None, ...]]


def walk(
    graph: SplineGraph,
    inputs: Sequence[V],
    rule: ForwardRule[V],
    *,
    operators: Mapping[str, Operator] | None = None,
    keep: Iterable[str] = (),
) -> tuple[tuple[V, ...], dict[str, V]]:
    """Push values from the inputs to the outputs.

    Parameters
    ----------
    inputs : sequence of V
        One value per input of the graph.
    rule : callable (node, operator, args) -> V
        Called once per operator node, in topological order.
    operators : mapping, optional
        Operators to use in place of the nodes' own (as cast by `SplineGraph.resolved`).
    keep : iterable of str
        Names of nodes whose values are returned too. All others are dropped after their last use.

    Returns
    -------
    outputs : tuple of V
    kept : dict from name to V
    """
    values: dict[str, V] = dict(zip(graph.inputs, inputs, strict=True))
    last_use = _last_uses(graph)
    wanted = set(keep)
    protected = wanted.union(graph.outputs)
    for node in graph.operators:
        operator = node.op if operators is None else operators[node.name]
        try:
            values[node.name] = rule(node, operator, tuple(values[arg] for arg in node.args))
        except SplineGraphError as error:
            if error.where:
                raise
            raise type(error)(error.what, where=node.where, why=error.why, remedy=error.remedy) from error
        except Exception as error:
            error.add_note(f"in {node.where} ({operator.label})")
            raise
        for name in last_use[node.name]:
            if name not in protected:
                del values[name]
    return tuple(values[name] for name in graph.outputs), {name: values[name] for name in wanted}


def _last_uses(graph: SplineGraph) -> dict[str, list[str]]:
    """Return for every node which values are not needed after it."""
    known: dict[str, list[str]] | None = graph._cache.get("last_uses")
    if known is None:
        last = {node.name: node.name for node in graph.nodes}
        for node in graph.nodes:
            for arg in node.args:
                last[arg] = node.name
        known = {node.name: [] for node in graph.nodes}
        for name, user in last.items():
            known[user].append(name)
        graph._cache["last_uses"] = known
    return known


def walk_back(
    graph: SplineGraph, outputs: Sequence[V | None], rule: BackwardRule[V], *, add: Callable[[V, V], V]
) -> tuple[V | None, ...]:
    """Pull values from the outputs back to the inputs, adding up where a node is read several times.

    Parameters
    ----------
    outputs : sequence of V or None
        One value per output; None where nothing comes back.
    rule : callable (node, value) -> tuple of V or None
        One value per argument of the node; None where nothing comes back.
    add : callable (V, V) -> V

    Returns
    -------
    tuple of V or None
        One value per input; None for an input that no output reads.
    """
    values: dict[str, V] = {}

    def accumulate(name: str, value: V | None) -> None:
        if value is not None:
            values[name] = add(values[name], value) if name in values else value

    for name, value in zip(graph.outputs, outputs, strict=True):
        accumulate(name, value)
    for node in reversed(graph.nodes):
        if node.is_input or node.name not in values:
            continue
        for arg, value in zip(node.args, rule(node, values.pop(node.name)), strict=True):
            accumulate(arg, value)
    return tuple(values.get(name) for name in graph.inputs)


def evaluate(graph: SplineGraph, inputs: tuple[Any, ...], *, dtype: torch.dtype | None = None) -> tuple[Tensor, ...]:
    """Return the outputs for a batch, in `dtype` (default: that of the inputs)."""
    batch = graph.check_inputs(inputs)
    dtype = inputs[0].dtype if dtype is None else dtype
    if not graph.batched and batch > 1:
        rows = [evaluate(graph, tuple(x[i : i + 1] for x in inputs), dtype=dtype) for i in range(batch)]
        return tuple(torch.cat(column) for column in zip(*rows, strict=True))
    operators = graph.resolved(dtype, inputs[0].device, batch)
    outputs, _ = walk(graph, [x.to(dtype) for x in inputs], lambda _, op, xs: op.forward(*xs), operators=operators)
    return outputs
