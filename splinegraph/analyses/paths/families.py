"""Families of paths: into which one a path goes as it passes an edge."""

from __future__ import annotations

import abc
from collections.abc import Collection, Sequence

from splinegraph.analyses.paths.branches import Branch
from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.operator import Operator
from splinegraph.core.walk import walk

__all__ = ["Blocks", "Families", "Lengths", "Moves", "counted"]

Moves = Sequence[Collection[int]]
"""For each family after an edge the families before it whose sums add up to it."""


class Families(abc.ABC):
    """Families of the paths that end at a node.

    Paths begin in family 0, or in that of the node whose bias they carry; edges move them. Followed from the
    outputs backward, edges may move them otherwise.
    """

    disjoint: bool = True
    """Whether each path is in one family, so that the families' sums add up to the network."""

    @abc.abstractmethod
    def carried(self, node: Node, position: int, width: int) -> Moves | None:
        """Return the moves on the edge to a node as its argument `position`; None where all stay."""

    def carried_back(self, node: Node, position: int, width: int) -> Moves | None:
        """Return the moves of paths that are followed backward."""
        return self.carried(node, position, width)

    def home(self, node: Node) -> int:
        """Return the family in which the bias of a node begins."""
        return 0


class Lengths(Families):
    """Family j: the paths through j branches, sum_j s^j V_j if every branch is scaled by s.

    Parameters
    ----------
    branches : sequence of Branch
    only : collection of str, optional
        Names of the branches that are not cut.
    """

    def __init__(self, branches: Sequence[Branch], only: Collection[str] | None = None) -> None:
        cut = [only is not None and branch.name not in only for branch in branches]
        self._cut = {edge: c for branch, c in zip(branches, cut, strict=True) for edge in branch.edges}

    def carried(self, node: Node, position: int, width: int) -> Moves | None:
        """Return the move by one; nothing goes through a cut."""
        cut = self._cut.get((node.name, position))
        if cut is None:
            return None
        return [()] if cut else [(), *((j,) for j in range(width))]


class Blocks(Families):
    """Family 0: all paths; family l: those through branch l. The derivative by the scale of branch l."""

    disjoint = False

    def __init__(self, branches: Sequence[Branch]) -> None:
        self._family = {edge: i for i, branch in enumerate(branches, start=1) for edge in branch.edges}

    def carried(self, node: Node, position: int, width: int) -> Moves | None:
        """Return the move of all paths into the family of the branch."""
        mine = self._family.get((node.name, position))
        if mine is None:
            return None
        return [(0,) if j == mine else (j,) if j < width else () for j in range(max(width, mine + 1))]


def counted(graph: SplineGraph, families: Families, branches: Sequence[Branch]) -> list[int]:
    """Return how many paths each family has, from the inputs to the first output.

    A path is told by the branches and skips that it takes: ways that part between two joins without a branch
    (the query, key and value of attention) count as one. L blocks in a row have C(L, j) paths of length j.
    """
    joins = {edge[0] for branch in branches for edge in branch.edges}

    def rule(node: Node, _: Operator, args: tuple[dict[str, list[int]], ...]) -> dict[str, list[int]]:
        if node.name not in joins:
            return {origin: numbers for arg in args for origin, numbers in arg.items()}
        total: list[int] = []
        for i, arg in enumerate(args):
            before = _sum(arg.values())
            moves = families.carried(node, i, len(before))
            after = before if moves is None else [sum(before[j] for j in sources) for sources in moves]
            total = _sum([total, after])
        return {node.name: total}

    outputs, _ = walk(graph, [{name: [1]} for name in graph.inputs], rule)
    return _sum(outputs[0].values())


def _sum(lists: Collection[list[int]]) -> list[int]:
    width = max(map(len, lists), default=0)
    return [sum(numbers[j] for numbers in lists if j < len(numbers)) for j in range(width)]
