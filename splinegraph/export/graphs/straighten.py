"""Coordinates across the layers of a drawing, such that most edges run straight (Brandes and Köpf [1]_).

References
----------
.. [1] U. Brandes, B. Köpf, Fast and simple horizontal coordinate assignment, Graph Drawing 2001. Blocks are
   compacted as longest paths, which also holds where the paper's classes do not.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

__all__ = ["straighten"]

Rows = Sequence[Sequence[int]]
Near = Sequence[Sequence[int]]


def straighten(rows: Rows, above: Near, below: Near, width: Sequence[float], nodes: int) -> list[float]:
    """Return a coordinate for each item: within a row in order and at least half of both widths apart.

    Of the four ways to line items up with a median neighbor (above or below, packed to the left or right) each
    item gets the mean of the two in the middle.

    Parameters
    ----------
    rows : sequence of sequences of int
        The items of each row, in order.
    above, below : sequence of sequences of int
        Neighbors of each item in the row before and after.
    width : sequence of float
        Of each item.
    nodes : int
        Items from this number on are bends: what joins two of them goes straight before all else.

    Notes
    -----
    Linear in items and edges, but for sorting the neighbors of each item.
    """
    count = len(above)
    if not count:
        return []
    found = []
    for near, order in ((above, list(rows)), (below, list(rows)[::-1])):
        for mirrored in (False, True):
            sided = [list(reversed(row)) for row in order] if mirrored else order
            lane = _compact(sided, _align(sided, near, nodes), width)
            found.append([-value for value in lane] if mirrored else lane)
    spans = [(min(lane), max(lane)) for lane in found]
    low, high = min(spans, key=lambda span: span[1] - span[0])
    for index, (left, right) in enumerate(spans):
        shift = high - right if index % 2 else low - left
        found[index] = [value + shift for value in found[index]]
    middle = (low + high) / 2
    return [sum(sorted(four)[1:3]) / 2 - middle for four in zip(*found, strict=True)]


def _align(rows: Rows, near: Near, nodes: int) -> list[int]:
    """Return the first item of the block that each item is in; items of a block share a coordinate."""
    root = list(range(len(near)))
    place = [0] * len(near)
    for row in rows:
        for index, item in enumerate(row):
            place[item] = index
    for row in rows[1:]:
        claimed = _claimed(row, near, place, nodes)
        taken = -1
        for item in row:
            others = sorted(near[item], key=place.__getitem__)
            half = (len(others) - 1) / 2
            for other in dict.fromkeys((others[int(half)], others[int(half + 0.5)]) if others else ()):
                bends = item >= nodes and other >= nodes
                free = place[other] > taken and (bends or not _crosses(claimed, place[other], place[item]))
                if free and root[item] == item:
                    root[item] = root[other]
                    taken = place[other]
    return root


def _claimed(row: Sequence[int], near: Near, place: Sequence[int], nodes: int) -> list[tuple[int, int]]:
    """Return the places (in the row before, in this one) of the edges between bends, from left to right."""
    return [(place[u], place[item]) for item in row if item >= nodes for u in near[item] if u >= nodes]


def _crosses(claimed: list[tuple[int, int]], upper: int, lower: int) -> bool:
    return any((a - upper) * (b - lower) < 0 for a, b in claimed)


def _compact(rows: Rows, root: Sequence[int], width: Sequence[float]) -> list[float]:
    """Return coordinates of the blocks, packed to the left, then moved right where there is room."""
    after: dict[int, list[tuple[int, float]]] = {item: [] for item in root}
    missing = dict.fromkeys(after, 0)
    for row in rows:
        for a, b in itertools.pairwise(row):
            after[root[a]].append((root[b], (width[a] + width[b]) / 2))
            missing[root[b]] += 1
    at = dict.fromkeys(after, 0.0)
    order = [block for block, number in missing.items() if not number]
    for block in order:
        for other, apart in after[block]:
            at[other] = max(at[other], at[block] + apart)
            missing[other] -= 1
            if not missing[other]:
                order.append(other)
    for block in reversed(order):
        if after[block]:
            at[block] = max(at[block], min(at[other] - apart for other, apart in after[block]))
    return [at[block] for block in root]
