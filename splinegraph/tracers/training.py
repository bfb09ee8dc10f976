"""What a trace of a model in training mode needs beyond `trace`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.operator import Operator
from splinegraph.core.walk import walk
from splinegraph.errors import EquivalenceError
from splinegraph.operators.training import BatchStatistics, TrainedOperator
from splinegraph.tracers.checking import TOLERANCE, Traced, difference, flat_outputs
from splinegraph.tracers.exporting import quiet
from splinegraph.tracers.inputs import Example

__all__ = ["check_training", "exportable", "untouched", "with_owners"]


@contextlib.contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Put buffers and random state back as they were: running statistics move whenever the model runs."""
    before = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
    with torch.random.fork_rng():
        try:
            yield
        finally:
            with torch.no_grad():
                for buffer, value in before:
                    buffer.copy_(value)


@contextlib.contextmanager
def exportable(model: nn.Module) -> Iterator[None]:
    """Hide the counters of batch norms: export cannot read their numbers, and `BatchStatistics` counts itself."""
    counted = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.num_batches_tracked is not None]
    held = [(m, m.num_batches_tracked) for m in counted]
    try:
        for module, _ in held:
            module.num_batches_tracked = None
        yield
    finally:
        for module, counter in held:
            module.num_batches_tracked = counter


def with_owners(graph: SplineGraph, model: nn.Module) -> SplineGraph:
    """Return the graph with every batch norm tied to the module that called it."""
    modules = dict(model.named_modules())

    def owned(node: Node) -> Node:
        operator = node.operator
        if not isinstance(operator, BatchStatistics):
            return node
        owner = modules.get(node.module)
        if not isinstance(owner, _BatchNorm) or owner.running_mean is not operator.fixed.mean:
            return node
        return replace(node, operator=replace(operator, owner=owner))

    return replace(graph, nodes=tuple(owned(node) for node in graph.nodes), _cache={})


def check_training(traced: Traced, module: nn.Module, example: Example) -> None:
    """Raise unless graph and model agree in training mode, given the same seed."""
    graph, moved = traced.graph, set(traced.arguments.values())
    args, kwargs = example.at(3, noise=3, moved=moved)
    seed = 0
    with torch.no_grad(), quiet():
        torch.manual_seed(seed)
        expected = traced.expected(flat_outputs(module(*args, **kwargs)))
        args, kwargs = example.at(3, noise=3, moved=moved)  # anew: the model may have changed its input
        leaves = example.leaves((args, kwargs))
        inputs = [leaves[traced.arguments[name]] for name in graph.inputs]
        torch.manual_seed(seed)
        found = draw(graph, inputs)
    for name, mine, theirs in zip(graph.outputs, found, expected, strict=True):
        gap = difference(mine, theirs)
        if not gap <= TOLERANCE.get(graph.dtype, 1e-5):
            raise EquivalenceError(
                f"the graph and the model disagree in training mode on output {name!r}", where=graph[name].where,
                why=f"relative difference {gap:.1e} with the same seed",
                remedy="train it through autograd: inverse='autograd'",
            )  # fmt: skip


def draw(graph: SplineGraph, inputs: list[Tensor]) -> tuple[Tensor, ...]:
    """Return the outputs in training mode."""

    def rule(_: Node, operator: Operator, xs: tuple[Tensor, ...]) -> Tensor:
        return operator.draw(xs[0])[0] if isinstance(operator, TrainedOperator) else operator.forward(*xs)

    operators = graph.resolved(inputs[0].dtype, inputs[0].device, len(inputs[0]))
    return walk(graph, inputs, rule, operators=operators)[0]
