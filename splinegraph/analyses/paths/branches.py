"""Residual branches in a graph: where a value meets again what a branch made of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from splinegraph.core.algebra import find, fresh
from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.parameters import leaves
from splinegraph.errors import SplineGraphError

__all__ = ["Branch", "find_branches", "marked_branches"]

Cost = tuple[int, int]
"""How many operators of a way are not affine, and how many of the others hold parameters."""


@dataclass(frozen=True)
class Branch:
    """One residual branch.

    Parameters
    ----------
    name : str
        Module path of the block, or of the branch, or the name of its last node.
    value : str
        The node that ends it.
    edges : tuple of (str, int)
        Where its value is read: a node, and the position among the node's arguments.
    fork : str
        The last node before it that all ways to its reader pass; '' where a user marked the branch.
    skip : tuple of str
        The values that it is joined with: the fork's own, or an affine map of it.
    """

    name: str
    value: str
    edges: tuple[tuple[str, int], ...]
    fork: str = ""
    skip: tuple[str, ...] = ()


def find_branches(graph: SplineGraph) -> tuple[Branch, ...]:
    """Return the residual branches of a network, in topological order.

    A branch is an argument of a sum, a concatenation or another affine operator with several arguments. All
    its arguments come from one node, the fork. Some way from the fork to one of the others, the skip, is
    affine (the identity, or a projection); the ways to the branch hold more: an operator that is not affine, or
    if all are affine, more with parameters.

    Parameters
    ----------
    graph : SplineGraph

    Returns
    -------
    tuple of Branch
        Blocks may be nested; a node that joins several branches gives one each. Sums inside the steps of
        recurrent modules are none, nor are parallel branches of equal standing (Inception).

    Notes
    -----
    O(nodes between fork and join) for each join.
    """
    tops, place = _dominators(graph), {node.name: i for i, node in enumerate(graph.nodes)}
    found: list[Branch] = []
    for node in graph.operators:
        if len(set(node.args)) < 2 or node.op.family != "affine" or node.step is not None:
            continue
        fork = _common(list(node.args), tops)
        if not fork:
            continue
        between = graph.nodes[place[fork] + 1 : place[node.name]]
        costs = _costs(fork, between)
        mine = [costs[arg] for arg in node.args]
        least = min(mine)
        if least[0]:
            continue
        skip = tuple(arg for arg, cost in zip(node.args, mine, strict=True) if cost == least)
        found += [
            Branch("", arg, ((node.name, i),), fork, skip)
            for i, (arg, cost) in enumerate(zip(node.args, mine, strict=True))
            if cost > least
        ]
    return tuple(_named(graph, found))


def marked_branches(graph: SplineGraph, names: Sequence[str]) -> tuple[Branch, ...]:
    """Return the branches that end with the values of given modules or nodes.

    Raises
    ------
    SplineGraphError
        If there is no node or module of a name, nothing reads its value, or a name comes twice.
    """
    found: list[Branch] = []
    for name in names:
        node = find(graph, name)
        edges = tuple((n.name, i) for n in graph.operators for i, arg in enumerate(n.args) if arg == node.name)
        if not edges or node.name in graph.outputs:
            raise SplineGraphError(
                f"{name!r} is no branch", where=node.where, why="its value is the output of the network",
                remedy="mark a module whose value is joined with another one",
            )  # fmt: skip
        if any(branch.value == node.name for branch in found):
            raise SplineGraphError(f"branch {name!r} is marked twice", where=node.where, remedy="mark it once")
        found.append(Branch(name, node.name, edges))
    order = {node.name: i for i, node in enumerate(graph.nodes)}
    return tuple(sorted(found, key=lambda branch: order[branch.value]))


Dominators = Mapping[str, tuple[str, int]]
"""For each node the last other one that all ways to it pass, '' above the inputs, and its depth in that tree."""


def _dominators(graph: SplineGraph) -> Dominators:
    found: dict[str, tuple[str, int]] = {"": ("", 0)}
    for node in graph.nodes:
        top = _common(list(node.args), found) if node.args else ""
        found[node.name] = (top, found[top][1] + 1)
    return found


def _common(names: Sequence[str], tops: Dominators) -> str:
    """Return the last node that all ways to all of them pass."""
    first, *others = names
    for other in others:
        while first != other:
            if tops[first][1] >= tops[other][1]:
                first = tops[first][0]
            else:
                other = tops[other][0]
    return first


def _costs(fork: str, between: Sequence[Node]) -> dict[str, Cost]:
    """Return the cheapest way from the fork to each node that it reaches."""
    found: dict[str, Cost] = {fork: (0, 0)}
    for node in between:
        ways = [found[arg] for arg in node.args if arg in found]
        if ways:
            bends, weights = min(ways)
            affine = node.op.family == "affine"
            found[node.name] = (bends, weights + _weighted(node)) if affine else (bends + 1, weights)
    return found


def _weighted(node: Node) -> bool:
    return next(leaves(node.operator), None) is not None


def _named(graph: SplineGraph, branches: Sequence[Branch]) -> Iterator[Branch]:
    """Yield them with names: the module of the join if no other branch has it, else that of the branch."""
    blocks = [graph[branch.edges[0][0]].module for branch in branches]
    taken: set[str] = set()
    for branch, block in zip(branches, blocks, strict=True):
        own = block if block and blocks.count(block) == 1 else graph[branch.value].module
        name = fresh(own or branch.value, taken)
        taken.add(name)
        yield replace(branch, name=name)
