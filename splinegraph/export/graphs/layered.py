"""Layered drawings of graphs without cycles: layers, order within them, coordinates (after Sugiyama et al. [1]_).

No library in reach does it: networkx.multipartite_layout keeps the order that it is given, grandalf is neither
permissively licensed nor made for thousands of nodes, and graphviz is a program that would have to be installed.

References
----------
.. [1] E. R. Gansner, E. Koutsofios, S. C. North, K.-P. Vo, A technique for drawing directed graphs, IEEE
   Transactions on Software Engineering 19(3), 1993.
"""

from __future__ import annotations

import bisect
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from splinegraph.export.graphs.straighten import straighten

__all__ = ["Layered", "arrange", "layers"]

Edge = tuple[int, int]

_WORK = 400_000
"""Neighbors that the sweeps for fewer crossings may look at in all."""

_BENDS = 20_000
"""Bends that there may be beyond two for each node; further long edges are left out of account."""


@dataclass
class Layered:
    """A layered drawing.

    Parameters
    ----------
    layer : list of int
        Of each node.
    lane : list of float
        Place of each node across its layer; neighbors in a layer are at least 1 apart.
    crossings : int
        How many pairs of edges cross.
    trunks : dict
        By node, the lanes of its long edges in the layers that follow; they share them.
    """

    layer: list[int]
    lane: list[float]
    crossings: int
    trunks: dict[int, list[float]]

    def route(self, u: int, v: int) -> list[tuple[int, float]]:
        """Return the (layer, lane) points of an edge, its ends included."""
        if self.layer[u] > self.layer[v]:
            return self.route(v, u)[::-1]
        bends = self.trunks.get(u, [])[: max(self.layer[v] - self.layer[u] - 1, 0)]
        inner = [(self.layer[u] + 1 + i, lane) for i, lane in enumerate(bends)]
        return [(self.layer[u], self.lane[u]), *inner, (self.layer[v], self.lane[v])]


@dataclass
class _Levels:
    """Nodes, and bends where edges pass a layer, by layer; edges join neighboring layers only."""

    rows: list[list[int]]
    above: list[list[int]]
    below: list[list[int]]
    nodes: int  # items from here on are bends
    trunks: dict[int, list[int]] = field(default_factory=dict)
    best: int = 0


def layers(count: int, edges: Sequence[Edge]) -> list[int]:
    """Return a layer for each node of a graph without cycles: edges point to higher layers.

    Layers are longest paths; then nodes move towards their readers where that makes edges no longer in all,
    so that a time step's input is next to its time step.

    Parameters
    ----------
    count : int
    edges : sequence of (int, int)

    Raises
    ------
    ValueError
        If the graph has a cycle.
    """
    before: list[list[int]] = [[] for _ in range(count)]
    after: list[list[int]] = [[] for _ in range(count)]
    for u, v in edges:
        before[v].append(u)
        after[u].append(v)
    missing = [len(b) for b in before]
    order = [v for v in range(count) if not missing[v]]
    for u in order:
        for v in after[u]:
            missing[v] -= 1
            if not missing[v]:
                order.append(v)
    if len(order) < count:
        raise ValueError("the graph has a cycle")
    layer = [0] * count
    for v in order:
        layer[v] = max((layer[u] + 1 for u in before[v]), default=0)
    for u in reversed(order):
        if after[u] and len(before[u]) <= len(after[u]):
            layer[u] = min(layer[v] for v in after[u]) - 1
    lowest = min(layer, default=0)
    return [value - lowest for value in layer]


def arrange(layer: Sequence[int], edges: Sequence[Edge], *, bend: float = 1.0) -> Layered:
    """Return places such that few edges cross and edges are nearly straight.

    Parameters
    ----------
    layer : sequence of int
        Layer of each node, counted from 0.
    edges : sequence of (int, int)
        Those within a layer are ignored.
    bend : float
        Width of a lane that only an edge passes; that of a node is 1.

    Notes
    -----
    Long edges from one node share their bends. Crossings are removed by barycenters, sweeping down and up
    until nothing gets better or a fixed amount of work is done; minimizing them is NP-hard. The same input
    gives the same drawing. Time and memory are linear in nodes and bends: 1 s for 10 000 nodes.
    """
    levels = _levels(layer, edges)
    _uncross(levels)
    width = [1.0] * levels.nodes + [bend] * (len(levels.above) - levels.nodes)
    lane = straighten(levels.rows, levels.above, levels.below, width, levels.nodes)
    lane = [round(value, 4) + 0.0 for value in lane]
    trunks = {node: [lane[bend] for bend in bends] for node, bends in levels.trunks.items() if bends}
    return Layered(list(layer), lane[: len(layer)], levels.best, trunks)


def _levels(layer: Sequence[int], edges: Sequence[Edge]) -> _Levels:
    count = len(layer)
    rows: list[list[int]] = [[] for _ in range(max(layer, default=-1) + 1)]
    for node, at in enumerate(layer):
        rows[at].append(node)
    levels = _Levels(rows, [[] for _ in range(count)], [[] for _ in range(count)], count)
    pairs = dict.fromkeys((u, v) if layer[u] < layer[v] else (v, u) for u, v in edges if layer[u] != layer[v])
    most = count + _BENDS + 2 * count
    for u, v in sorted(pairs, key=lambda edge: layer[edge[1]] - layer[edge[0]]):
        trunk = levels.trunks.setdefault(u, [])
        if len(levels.above) + layer[v] - layer[u] - 1 - len(trunk) > most:
            continue  # drawn straight, whatever is in its way
        while len(trunk) < layer[v] - layer[u] - 1:
            bend = len(levels.above)
            levels.above.append([])
            levels.below.append([])
            rows[layer[u] + len(trunk) + 1].append(bend)
            _join(levels, trunk[-1] if trunk else u, bend)
            trunk.append(bend)
        span = layer[v] - layer[u] - 1
        _join(levels, trunk[span - 1] if span else u, v)
    return levels


def _join(levels: _Levels, upper: int, lower: int) -> None:
    levels.below[upper].append(lower)
    levels.above[lower].append(upper)


def _uncross(levels: _Levels) -> None:
    """Order the rows so that few edges cross: the best of several starts."""
    place = [0] * len(levels.above)
    effort = _WORK // (1 + sum(map(len, levels.above)) + len(place))
    sweeps = max(1, min(24, effort // 2))
    best: list[list[int]] = []
    for rows in _starts(levels, max(1, min(30, effort // sweeps))):
        found, kept = _swept(levels, rows, place, sweeps)
        if not best or found < levels.best:
            levels.best, best = found, kept
        if not found:
            break
    levels.rows[:] = best


def _starts(levels: _Levels, count: int) -> Iterator[list[list[int]]]:
    """Yield orders to start from: as given, depth first, then depth first with the branches shuffled."""
    yield [list(row) for row in levels.rows]
    source = random.Random(0)
    for number in range(1, count):
        rows: list[list[int]] = [[] for _ in levels.rows]
        seen = [False] * len(levels.above)
        waiting = [(item, at) for at, row in enumerate(levels.rows) for item in row][::-1]
        while waiting:
            item, at = waiting.pop()
            if not seen[item]:
                seen[item] = True
                rows[at].append(item)
                branches = levels.below[item][::-1]
                if number > 1:
                    source.shuffle(branches)
                waiting += [(other, at + 1) for other in branches]
        yield rows


def _swept(levels: _Levels, rows: list[list[int]], place: list[int], sweeps: int) -> tuple[int, list[list[int]]]:
    """Return the fewest crossings found by sweeping down and up, and the rows that have them."""
    for row in rows:
        _number(row, place)
    found, kept, idle = _crossings(levels, rows, place), rows, 0
    for sweep in range(sweeps):
        if not found or idle == 4:
            break
        rows = [list(row) for row in rows]
        _sweep(rows[1:], levels.above, place, flip=sweep % 2 == 1)
        _sweep(rows[-2::-1], levels.below, place, flip=sweep % 2 == 1)
        now = _crossings(levels, rows, place)
        idle = 0 if now < found else idle + 1
        if now < found:
            found, kept = now, rows
    return found, kept


def _number(row: list[int], place: list[int]) -> None:
    for index, item in enumerate(row):
        place[item] = index


def _sweep(rows: Sequence[list[int]], near: list[list[int]], place: list[int], *, flip: bool) -> None:
    """Sort each row by the mean place of its neighbors in the row before it; those without stay where they are."""
    for row in rows:
        if len(row) > 1:
            keys = {v: sum(place[u] for u in near[v]) / len(near[v]) if near[v] else place[v] for v in row}
            if flip:  # equals change places
                row.reverse()
            row.sort(key=keys.__getitem__)
            _number(row, place)


def _crossings(levels: _Levels, rows: Sequence[list[int]], place: list[int]) -> int:
    """Return how many pairs of edges cross: pairs in the wrong order, counted by insertion."""
    total = 0
    for row in rows:
        ends: list[int] = []
        for item in row:
            lower = sorted(place[v] for v in levels.below[item])
            for end in lower:
                total += len(ends) - bisect.bisect_right(ends, end)
            for end in lower:
                bisect.insort(ends, end)
    return total
