"""On how many hyperplanes the nodes of a graph switch, and in how many dimensions these lie."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.operator import SplineOperator
from splinegraph.core.switching import Breaks, Contest, Switching
from splinegraph.core.values import Box
from splinegraph.errors import UnsupportedOperatorError

__all__ = ["all_drop", "cuts_of", "planes_of", "switching_of", "two_piece_layers"]

MOST_PAIRS = 2**26
"""Comparisons among which repeated ones are looked for; all are counted beyond."""


def switching_of(graph: SplineGraph, node: Node, boxes: Sequence[Box]) -> Switching:
    """Return how a node switches, or raise an error that names it."""
    op = node.op
    assert isinstance(op, SplineOperator)
    found = op.switching([graph[name].shape for name in node.args], boxes)
    if found is None:
        raise UnsupportedOperatorError(
            f"the switches of {op.label} cannot be listed",
            where=node.where,
            remedy="give a bounded domain, or look at the part before it with graph.between",
        )
    return found


# hyperplanes


def planes_of(switching: Switching, boxes: Sequence[Box]) -> tuple[dict[int, int], int]:
    """Return how many families of k parallel hyperplanes there are, by k, and the number of codes."""
    lower, upper = _sides(boxes)
    if isinstance(switching, Breaks):
        counts = _met(switching, lower, upper)
        families = Counter(counts[counts > 0].tolist())
        return dict(sorted(families.items())), math.prod((k + 1) ** n for k, n in families.items())
    return _comparisons(switching, boxes, lower, upper)


def _sides(boxes: Sequence[Box]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the bounds of all arguments, flattened and put one behind the other."""
    lower = torch.cat([box.lower.double().reshape(-1) for box in boxes]).numpy()
    upper = torch.cat([box.upper.double().reshape(-1) for box in boxes]).numpy()
    return lower, upper


def _met(breaks: Breaks, lower: NDArray[np.float64], upper: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return how many breakpoints each unit can pass."""
    counts = np.zeros(len(lower), dtype=np.int64)
    for b in breaks.breakpoints.tolist():
        counts += (lower < b) & (upper > b)
    return counts


def _comparisons(
    contest: Contest, boxes: Sequence[Box], lower: NDArray[np.float64], upper: NDArray[np.float64]
) -> tuple[dict[int, int], int]:
    """Return the pairs of entries that are compared and overlap, and the number of codes."""
    place = contest.columns([box.lower.numel() for box in boxes]).numpy()
    present = place >= 0
    place = np.where(present, place, 0)
    low, high = (lower, upper) if contest.largest else (-upper, -lower)
    after = contest.after.numpy()
    best = np.where(present, low[place], -np.inf).max(axis=1)
    # whoever is always below another one never wins, unless that one has won before
    present &= (high[place] >= best[:, None]) | (after >= 0)[:, None]
    ways = Counter(np.maximum(present.sum(axis=1) - contest.ranks.numpy(), 1).tolist())
    codes = math.prod(k**n for k, n in ways.items())
    units, width = place.shape
    pairs: list[NDArray[np.int64]] = []
    distinct = units * width * (width - 1) // 2 <= MOST_PAIRS
    count = 0
    for i in range(width):
        for j in range(i + 1, width):
            a, b = place[:, i], place[:, j]
            meet = present[:, i] & present[:, j] & (a != b) & (low[a] < high[b]) & (low[b] < high[a])
            count += int(meet.sum())
            if distinct:
                pairs.append(np.minimum(a, b)[meet] * len(lower) + np.maximum(a, b)[meet])
    if distinct:
        count = len(np.unique(np.concatenate(pairs))) if pairs else 0
    return ({1: count} if count else {}), codes


# dimensions


def cuts_of(graph: SplineGraph, names: Sequence[str], dim: int) -> dict[str, int]:
    """Return for each node a bound of the rank of its arguments as affine functions of `dim` coordinates.

    All that a node sees goes through any set of nodes that cuts it off from the inputs: the rank is at most the
    number of their entries. The smallest such set is a minimum cut.
    """
    found = {}
    for name in names:
        above = _ancestors(graph, name)
        narrow = min(math.prod(graph[v].shape) for v in above)
        found[name] = dim if narrow >= dim else min(dim, _minimum_cut(graph, name, above))
    return found


def _ancestors(graph: SplineGraph, name: str) -> set[str]:
    seen: set[str] = set()
    stack = list(graph[name].args)
    while stack:
        at = stack.pop()
        if at not in seen:
            seen.add(at)
            stack.extend(graph[at].args)
    return seen


def _minimum_cut(graph: SplineGraph, name: str, above: set[str]) -> int:
    """Return the fewest entries of nodes that cut a node off from the inputs."""
    import networkx as nx

    flow: nx.DiGraph[tuple[str, str]] = nx.DiGraph()
    for v in above:
        flow.add_edge((v, "in"), (v, "out"), capacity=math.prod(graph[v].shape))
        for arg in graph[v].args:
            flow.add_edge((arg, "out"), (v, "in"))  # no capacity: no limit
        if graph[v].is_input:
            flow.add_edge(("", "source"), (v, "in"))
    for arg in graph[name].args:
        flow.add_edge((arg, "out"), ("", "sink"))
    if ("", "source") not in flow:
        return 0
    value, _ = nx.minimum_cut(flow, ("", "source"), ("", "sink"))
    return int(value)


# sequential networks


def two_piece_layers(
    graph: SplineGraph, switching: Mapping[str, Switching], boxes: Mapping[str, Sequence[Box]]
) -> list[tuple[int, int, int]] | None:
    """Return (units that switch, units always on, width) per layer of a sequential network of units of two pieces.

    None for other networks. 'On' means on a piece that does not have slope 0.
    """
    if not _sequential(graph, list(switching)):
        return None
    layers = []
    for name, breaks in switching.items():
        if not isinstance(breaks, Breaks) or len(breaks.breakpoints) != 1:
            return None
        lower, upper = _sides(boxes[name])
        b = float(breaks.breakpoints[0])
        slopes = breaks.slopes.numpy()
        switches = (lower < b) & (upper > b)
        on = np.where(upper <= b, slopes[0], slopes[1]) != 0
        layers.append((int(switches.sum()), int((on & ~switches).sum()), breaks.units))
    return layers


def all_drop(switching: Mapping[str, Switching]) -> bool:
    """Return whether every unit of two pieces has slope 0 on one of them."""
    return all(bool((s.slopes == 0).any(0).all()) for s in switching.values() if isinstance(s, Breaks))


def _sequential(graph: SplineGraph, names: Sequence[str]) -> bool:
    """Return whether each switching node sees the one before it and nothing else, the first one the inputs."""
    switching = set(names)
    sees: dict[str, frozenset[str]] = {}
    for node in graph.nodes:
        below = frozenset().union(*(sees[arg] for arg in node.args))
        if node.name in switching:
            place = names.index(node.name)
            if place and below != {names[place - 1]}:
                return False
        sees[node.name] = frozenset({node.name}) if node.name in switching or node.is_input else below
    return True
