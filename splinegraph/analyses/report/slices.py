"""Where the slice of a report lies: through samples, and where that has too many cells, around a change of class."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from splinegraph.analyses.regions.cells import code_layers
from splinegraph.analyses.regions.mesh.cutting import Exceeded
from splinegraph.analyses.regions.mesh.mesh import mesh
from splinegraph.analyses.regions.partition.maps import classes_of, evaluate
from splinegraph.analyses.regions.partition.partition import Partition
from splinegraph.core.domains.chart import Chart, chart_of
from splinegraph.core.domains.plane import Plane
from splinegraph.core.graph import SplineGraph
from splinegraph.core.values import Box
from splinegraph.errors import DomainError

__all__ = ["Slice", "find_slice"]

SHRINK, TRIES = 0.25, 4
"""How much smaller than the whole a slice is made that has too many cells, and how often."""

FILLED, WORTH = 0.7, 1.2
"""A slice that fits is tried once more, so that this share of the cells is used, where its side grows by so much."""

STEPS = 64
"""Parts that a way between two samples is cut into, to find a change of class; again so in the part that has it."""

ROUNDS = 4
"""How often: a change is known to a part in 10^7 of the way."""

WAYS = 10
"""Most pairs of samples between which a change is looked for."""


@dataclass(frozen=True, eq=False)
class Slice:
    """Two dimensions of the inputs.

    Parameters
    ----------
    kind : {'plane', 'box'}
    samples : tuple of int
        Those that a plane runs through: x = origin + s u + t v, u from the first to the second.
    places : mapping from int to (float, float)
        Where these are, in the slice's coordinates; a smaller slice may not hold them.
    scale : float
        Side of the slice, 1 where it holds all of them.
    center : tuple of int
        What a smaller slice lies around: one sample, or a change of class on the way between two; () for the whole.
    partition : Partition or None
        None if even the smallest one has too many cells.
    """

    kind: str
    samples: tuple[int, ...]
    places: Mapping[int, tuple[float, float]]
    scale: float
    center: tuple[int, ...]
    partition: Partition | None


def find_slice(
    graph: SplineGraph, points: Mapping[int, Tensor], corners: Sequence[int], limits: tuple[Tensor, Tensor], most: int
) -> Slice:
    """Return a slice of at most so many cells.

    Parameters
    ----------
    graph : SplineGraph
        Of one input, continuous and piecewise affine.
    points : mapping from int to Tensor of shape (*in,)
        Some samples.
    corners : sequence of int
        Those that a plane runs through, if they do not lie on a line.
    limits : (Tensor, Tensor)
        Least and largest entries of all samples: the slice of an input of two entries.
    most : int
        Cells.

    Raises
    ------
    DomainError
        If the samples span no slice.
    """
    kind = "box" if math.prod(graph.input_shapes[0]) == 2 else "plane"
    samples, whole = ((), _box(limits)) if kind == "box" else _plane(points, corners)
    chart = chart_of(graph, whole)
    among = samples or tuple(points)
    at = chart.coordinates([torch.stack([points[i].double() for i in among])]).numpy()
    places = dict(zip(among, at, strict=True))
    center: tuple[int, ...] = ()
    found, scale, middle = _partition(graph, whole, most), 1.0, np.zeros(2)
    if found is None:
        center, middle = _center(graph, chart, places)
        scale, found = _fitting(lambda side: _partition(graph, _smaller(whole, chart, middle, side), most), most)
    origin = middle if kind == "plane" else np.zeros(2)
    shown = {i: (float(s), float(t)) for i, (s, t) in ((i, place - origin) for i, place in places.items())}
    return Slice(kind, samples, shown, scale, center, found)


def _plane(points: Mapping[int, Tensor], corners: Sequence[int]) -> tuple[tuple[int, ...], Plane]:
    """Return the plane through some samples, and which: others than asked for where those lie on a line."""
    if next(iter(points.values())).numel() < 2:
        raise DomainError("the inputs have a single entry")
    if len(points) < 3:
        raise DomainError("a plane needs three samples")
    among = dict.fromkeys((*corners, *points))
    for chosen in itertools.chain([tuple(corners)], itertools.combinations(among, 3)):
        try:
            return tuple(sorted(chosen)), Plane.through(*(points[index].double() for index in sorted(chosen)))
        except DomainError:
            continue
    raise DomainError(f"all of the first {len(points)} samples lie on a line")


def _box(limits: tuple[Tensor, Tensor]) -> Box:
    low, high = (side.double() for side in limits)
    if not bool((low < high).all()):
        raise DomainError("all samples lie on a line")
    return Box(low, high)


def _center(graph: SplineGraph, chart: Chart, places: Mapping[int, Any]) -> tuple[tuple[int, ...], Any]:
    """Return what a smaller slice lies around, and where this is: a change of class, else the first sample."""
    for a, b in itertools.islice(itertools.combinations(places, 2), WAYS):
        start, way = places[a], places[b] - places[a]
        low, high = 0.0, 1.0
        for attempt in range(ROUNDS):
            t = np.linspace(low, high, STEPS + 1)
            classes = classes_of(evaluate(graph, chart, start + t[:, None] * way))
            changes = np.flatnonzero(classes[1:] != classes[:-1])
            if not len(changes):
                break
            # the one nearest to the middle of the way: far from both samples
            first = changes[np.abs(t[changes] - 0.5).argmin()] if not attempt else changes[0]
            low, high = float(t[first]), float(t[first + 1])
        if high - low < 1:
            return (a, b), start + 0.5 * (low + high) * way
    first_one = next(iter(places))
    return (first_one,), places[first_one]


def _fitting(cut: Callable[[float], Partition | None], most: int) -> tuple[float, Partition | None]:
    """Return the side of a smaller slice, and its partition: made smaller until it fits, then once larger."""
    scale, found = 1.0, None
    for _ in range(1, TRIES):
        scale *= SHRINK
        found = cut(scale)
        if found is not None:
            # the number of cells is about that of a surface
            factor = min(math.sqrt(FILLED * most / found.count), FILLED / SHRINK)
            larger = float(f"{scale * factor:.2g}")
            more = cut(larger) if factor > WORTH else None
            return (scale, found) if more is None else (larger, more)
    return scale, None


def _smaller(whole: Plane | Box, chart: Chart, middle: Any, scale: float) -> Plane | Box:
    """Return the slice shrunk towards a point in it; that becomes the origin of a plane, for accuracy."""
    at = torch.from_numpy(np.asarray(middle, dtype=np.float64))
    sides = torch.stack([chart.lower, chart.upper], dim=1) - at[:, None]
    sides = scale * sides
    if isinstance(whole, Plane):
        (a, b), (c, d) = sides.tolist()
        return Plane(chart.lift(at[None])[0][0], whole.u, whole.v, ((a, b), (c, d)))
    low, high = (side.reshape(whole.lower.shape) for side in (sides + at[:, None]).T)
    return Box(low, high)


def _partition(graph: SplineGraph, on: Plane | Box, most: int) -> Partition | None:
    """Return the partition of a slice; None if it has more cells."""
    chart, layers = chart_of(graph, on), code_layers(graph)
    try:
        found = mesh(graph, chart, layers=layers, limit=most)
    except Exceeded:
        return None
    return Partition.of(graph, chart, on, layers, found.cells, mesh=found.mesh)
