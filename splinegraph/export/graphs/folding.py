"""A long layered drawing as columns of one page, read from top to bottom and from left to right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from splinegraph.export.graphs.layered import Layered

__all__ = ["BOX", "Page", "fold"]

BOX = (1.55, 0.38)
"""Width and height of a node's box, in inches."""

_LANE, _ROW, _GUTTER = 1.72, 0.62, 0.55
_SHAPE = 1.35
"""Width over height that a page aims at."""

Point = tuple[float, float]


@dataclass(frozen=True)
class Page:
    """Where everything is on a page, in inches, y up.

    Parameters
    ----------
    width, height : float
    centers : list of (x, y)
        Of the nodes.
    routes : list of list of (x, y)
        Of the edges, from the rim of one node to that of another.
    columns : list of (first layer, last layer, left, right)
    tops : list of float
        y of each layer.
    """

    width: float
    height: float
    centers: list[Point]
    routes: list[list[Point]]
    columns: list[tuple[int, int, float, float]]
    tops: list[float]


def fold(drawing: Layered, edges: Sequence[tuple[int, int]]) -> Page:
    """Return the page of a drawing, broken into columns where few edges pass.

    Parameters
    ----------
    drawing : Layered
    edges : sequence of (int, int)
    """
    count = max(drawing.layer, default=-1) + 1
    spans = _spans(drawing, count)
    starts = _starts(drawing, edges, count, spans)
    columns, left = [], _GUTTER
    column_of, tops = [0] * count, [0.0] * count
    for index, first in enumerate(starts):
        last = (starts[index + 1] if index + 1 < len(starts) else count) - 1
        low = min(low for low, _ in spans[first : last + 1])
        high = max(high for _, high in spans[first : last + 1])
        right = left + (high - low) * _LANE + BOX[0]
        columns.append((first, last, left, right, low))
        for layer in range(first, last + 1):
            column_of[layer], tops[layer] = index, -(layer - first) * _ROW
        left = right + _GUTTER
    longest = max((last - first for first, last, *_ in columns), default=0)
    height = longest * _ROW + BOX[1] + 2 * _GUTTER
    tops = [height - _GUTTER - BOX[1] / 2 + top for top in tops]

    def at(layer: int, lane: float) -> Point:
        _, _, start, _, low = columns[column_of[layer]]
        return start + BOX[0] / 2 + (lane - low) * _LANE, tops[layer]

    routes, passing = [], [0] * len(columns)
    for u, v in edges:
        points: list[Point] = []
        before = -1
        way = drawing.route(u, v)
        half = BOX[1] / 2 if way[0][0] < way[-1][0] else -BOX[1] / 2
        for index, (layer, lane) in enumerate(way):
            column, (x, y) = column_of[layer], at(layer, lane)
            if points and column != before:
                points += _turn(points[-1], (x, y), columns[min(column, before)][3], height, passing, before)
            # upright beside the boxes of a row, so that curves lie between rows
            points += [(x, y + half)] if index else []
            points += [(x, y - half)] if index < len(way) - 1 else []
            before = column
        routes.append(points)
    centers = [at(*place) for place in zip(drawing.layer, drawing.lane, strict=True)]
    return Page(left, height, centers, routes, [c[:4] for c in columns], tops)


def _turn(start: Point, end: Point, right: float, height: float, passing: list[int], column: int) -> list[Point]:
    """Return the way from the foot of a column to the head of the next, through the gutter between them."""
    shift = 0.07 * (passing[column] % 5)
    passing[column] += 1
    x = right + _GUTTER / 2 - 0.14 + shift
    foot, head = start[1] - _ROW / 2 - shift, height - _GUTTER / 2 + 0.1 - shift
    return [(start[0], foot), (x, foot), (x, head), (end[0], head)]


def _spans(drawing: Layered, count: int) -> list[tuple[float, float]]:
    """Return the least and greatest lane in use in each layer."""
    low, high = [math.inf] * count, [-math.inf] * count
    places = list(zip(drawing.layer, drawing.lane, strict=True))
    for node, lanes in drawing.trunks.items():
        places += [(drawing.layer[node] + 1 + i, lane) for i, lane in enumerate(lanes)]
    for layer, lane in places:
        low[layer], high[layer] = min(low[layer], lane), max(high[layer], lane)
    return list(zip(low, high, strict=True))


def _starts(
    drawing: Layered, edges: Sequence[tuple[int, int]], count: int, spans: list[tuple[float, float]]
) -> list[int]:
    """Return the first layer of each column."""
    cuts = [0] * (count + 1)  # sources whose edges pass between a layer and the one before
    reach: dict[int, int] = {}
    for u, v in edges:
        reach[u] = max(reach.get(u, 0), drawing.layer[v])
    for u, last in reach.items():
        for at in range(drawing.layer[u] + 1, last + 1):
            cuts[at] += 1
    width = max((high - low for low, high in spans), default=0.0) * _LANE + BOX[0] + _GUTTER
    number = max(1, round(math.sqrt(_SHAPE * count * _ROW / width)))
    if count <= 14:
        number = 1
    starts, step = [0], count / number
    for index in range(1, number):
        ideal = index * step
        lowest = max(starts[-1] + 2, math.ceil(ideal - step / 4))
        near = range(lowest, min(count - 1, math.floor(ideal + step / 4)) + 1)
        if near:
            starts.append(min((cuts[at], abs(at - ideal), at) for at in near)[2])
    return starts
