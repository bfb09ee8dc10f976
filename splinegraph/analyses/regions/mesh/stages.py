"""Which values of a graph are worked out when, and which are kept, on the way from one switching node to the next.

Between two switching nodes runs a stage: a part of the graph, from the values that are kept (and the inputs) to the
arguments of the next switching node and whatever else is needed later.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from splinegraph.analyses.codes import Layer
from splinegraph.core.graph import Input, Node, SplineGraph
from splinegraph.core.operator import Operator, SplineOperator
from splinegraph.core.switching import Breaks, Contest
from splinegraph.errors import UnsupportedOperatorError

__all__ = ["Stage", "stages"]


@dataclass(frozen=True, eq=False)
class Stage:
    """What leads to one switching node.

    Parameters
    ----------
    node : Node
        The switching node.
    switching : Breaks or Contest
    part : SplineGraph
        From inputs and kept values to new values.
    before : tuple of str
        Kept values that nothing needs once `part` has run.
    after : tuple of str
        Kept values that nothing needs once the faces are cut.
    """

    node: Node
    switching: Breaks | Contest
    part: SplineGraph
    before: tuple[str, ...]
    after: tuple[str, ...]

    @functools.cached_property
    def sizes(self) -> dict[str, int]:
        """Entries of each new value."""
        return {name: math.prod(self.part[name].shape) for name in self.part.outputs}

    @functools.cached_property
    def widest(self) -> int:
        """Entries of the largest value on the way."""
        return max(math.prod(node.shape) for node in self.part.nodes)


def stages(graph: SplineGraph, layers: Sequence[Layer]) -> tuple[Stage, ...]:
    """Return the stages of a graph, one per layer of codes.

    Raises
    ------
    UnsupportedOperatorError
        If a node is not piecewise affine or not continuous, or its switches cannot be listed.
    """
    known: tuple[Stage, ...] | None = graph._cache.get("mesh_stages")
    if known is None:
        known = graph._cache["mesh_stages"] = _plan(graph, [layer.name for layer in layers])
    return known


def _plan(graph: SplineGraph, names: Sequence[str]) -> tuple[Stage, ...]:
    needed = _behind(graph, [arg for name in names for arg in graph[name].args], set())
    readers: dict[str, set[str]] = {node.name: set() for node in graph.nodes}
    for node in graph.operators:
        _check(node)
        if node.name in needed or node.name in names:
            for arg in node.args:
                readers[arg].add(node.name)
    operators = graph.resolved(torch.float64, torch.device("cpu"), 1)
    kept: set[str] = set()
    found = []
    for i, name in enumerate(names):
        node = graph[name]
        run = _behind(graph, node.args, kept)
        needed -= run
        remaining = needed.union(names[i + 1 :])
        later = {n for n in kept | run | set(node.args) if readers[n] & remaining}
        made = [n.name for n in graph.nodes if n.name in run & later or (n.name in node.args and n.name not in kept)]
        before = tuple(sorted(kept - later - set(node.args)))
        kept = kept.union(made).difference(before)
        after = tuple(sorted(kept - later))
        kept.difference_update(after)
        part = _part(graph, run, made)
        found.append(Stage(node, _switching(graph, operators[name], node), part, before, after))
    return tuple(found)


def _behind(graph: SplineGraph, names: Sequence[str], known: set[str]) -> set[str]:
    """Return the operator nodes that lead to `names` (these too), from `known` values and inputs."""
    found: set[str] = set()
    ahead = list(names)
    while ahead:
        name = ahead.pop()
        if name not in found and name not in known and not graph[name].is_input:
            found.add(name)
            ahead.extend(graph[name].args)
    return found


def _part(graph: SplineGraph, run: set[str], made: Sequence[str]) -> SplineGraph:
    """Return the graph of the nodes `run`, from whatever they read to `made`."""
    read = {arg for name in run for arg in graph[name].args}.union(made) - run
    nodes, inputs = [], []
    for node in graph.nodes:
        if node.name in run:
            nodes.append(node)
        elif node.name in read:
            nodes.append(node if node.is_input else dataclasses.replace(node, operator=Input(), args=()))
            inputs.append(node.name)
    return SplineGraph(tuple(nodes), tuple(inputs), tuple(made), graph.batched, graph.dtype, graph.name)


def _check(node: Node) -> None:
    if not node.op.piecewise_affine or not node.op.continuous:
        kind = "continuous" if node.op.piecewise_affine else "piecewise affine"
        raise UnsupportedOperatorError(
            f"{node.op.label} is not {kind}",
            where=node.where,
            why="the faces of a mesh share the values at their corners",
            remedy="use method='search'" if node.op.piecewise_affine else "replace it by a spline with sg.spline",
        )


def _switching(graph: SplineGraph, operator: Operator, node: Node) -> Breaks | Contest:
    shapes = [graph[arg].shape for arg in node.args]
    found = operator.switching(shapes) if isinstance(operator, SplineOperator) else None
    if found is None:
        raise UnsupportedOperatorError(
            f"cannot list how {operator.label} switches",
            where=node.where,
            remedy="look at the part of the graph before it",
        )
    return found
