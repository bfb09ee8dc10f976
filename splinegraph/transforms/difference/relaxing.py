"""Convex functions below a network on a box and concave ones above it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from splinegraph.analyses.convexity.place import Place
from splinegraph.analyses.lipschitz.intervals import intervals
from splinegraph.core.algebra import LinearCombination, combine
from splinegraph.core.functionals import Functionals
from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.values import Box
from splinegraph.errors import DomainError
from splinegraph.operators.maximum import Maximum
from splinegraph.operators.shape import Reshape
from splinegraph.transforms.difference.forms import forms

if TYPE_CHECKING:
    from splinegraph.transforms.difference.difference import Difference

__all__ = ["Relaxation", "relaxation"]

VERTICES = 1024
"""Vertices of a box up to which they are looked at."""

MARGIN = 1e-9
"""By how much a plane through values at vertices is raised, relative to the largest of them."""


@dataclass(frozen=True, eq=False, repr=False)
class Relaxation:
    """``below(x) <= f(x) <= above(x)`` for all x of a box; made by `Difference.relaxed`.

    Parameters
    ----------
    difference : Difference
    domain : Box or tuple of Box
    below : SplineGraph
        Convex.
    above : SplineGraph
        Concave.
    """

    difference: Difference
    domain: Any
    below: SplineGraph
    above: SplineGraph

    def __repr__(self) -> str:
        return f"<Relaxation of {self.difference.graph.name}: convex below, concave above>"


def relaxation(difference: Difference, on: Any = None) -> Relaxation:
    """Return the relaxation of f = g - h on a box; see `Difference.relaxed`.

    Parameters
    ----------
    difference : Difference
    on : Box or tuple of Box, optional
        Bounded and inside of the difference's domain, which is the default.

    Raises
    ------
    DomainError
        If there is no bounded box, or it is not inside.

    Notes
    -----
    Below is the largest of g - U, of an affine function below f and of the interval bound of f, with an affine
    function U above h; above is the smallest of V - h, of an affine function above f and of its interval bound, with
    V above g. U and V are the planes that are lowest in the middle of the box among those above all vertices (a
    convex function is largest there), for boxes of up to 1024 of them; otherwise from one pass of lines, see
    `forms`. Never looser than intervals.
    """
    graph = difference.graph
    on = difference.domain if on is None else on
    place = Place.of(graph, on)
    if on is None or not all(isinstance(part, Box) and part.bounded for part in place.parts):
        raise DomainError(
            "a relaxation needs a bounded box", why=f"got {type(on).__name__}", remedy="give on=Box(lower, upper)"
        )
    _check_inside(difference, place)
    boxes = place.boxes
    bounds = intervals(graph, boxes)
    rows = forms(graph, boxes)
    low, high = ([_constant(graph, getattr(bounds[o], side)) for o in graph.outputs] for side in ("lower", "upper"))
    convex = combine(difference.g, _affine(graph, _planes(difference.h, boxes)), (1.0, -1.0))
    concave = combine(_affine(graph, _planes(difference.g, boxes)), difference.h, (1.0, -1.0))
    below = _largest(convex, _affine(graph, [f.below for f in rows]), _affine(graph, low))
    above = _largest(-concave, -_affine(graph, [f.above for f in rows]), -_affine(graph, high))
    return Relaxation(difference, on, below.rename(f"below {graph.name}"), (-above).rename(f"above {graph.name}"))


def _check_inside(difference: Difference, place: Place) -> None:
    if difference.domain is None or place.on is difference.domain:
        return
    for outer, inner in zip(Place.of(difference.graph, difference.domain).parts, place.boxes, strict=True):
        inside = isinstance(outer, Box) and bool(
            (outer.lower <= inner.lower).all() and (inner.upper <= outer.upper).all()
        )
        if not inside:
            raise DomainError(
                "the box is not inside the domain of the difference", why="g and h need not be convex elsewhere",
                remedy="make the difference on a box around it, or on all of space",
            )  # fmt: skip


def _planes(graph: SplineGraph, boxes: Sequence[Box]) -> list[Tensor]:
    """Return affine functions above a convex graph's outputs on a box, as `Forms.above`."""
    free = sum(int((box.lower < box.upper).sum()) for box in boxes)
    count = sum(math.prod(shape) for shape in graph.output_shapes)
    if 2**free <= VERTICES and count <= VERTICES:
        return _through_vertices(graph, boxes)
    return [found.above for found in forms(graph, boxes)]


def _through_vertices(graph: SplineGraph, boxes: Sequence[Box]) -> list[Tensor]:
    """Return the planes above all vertices that are lowest in the middle; linear programs, raised by what they miss."""
    from scipy.optimize import linprog

    lower, upper = (torch.cat([s.reshape(-1) for s in side]) for side in zip(*boxes, strict=True))
    moving = torch.nonzero(lower < upper)[:, 0]
    signs = torch.tensor(list(itertools.product((0.0, 1.0), repeat=len(moving))), dtype=torch.float64)
    signs = signs.reshape(2 ** len(moving), len(moving))
    points = lower.expand(len(signs), -1).clone()
    points[:, moving] = torch.where(signs > 0, upper[moving], lower[moving])
    parts = points.split([box.lower.numel() for box in boxes], dim=1)
    with torch.no_grad():
        values = graph(*(p.reshape(-1, *box.shape) for p, box in zip(parts, boxes, strict=True)))
    columns = torch.cat([v.flatten(1) for v in (values if isinstance(values, tuple) else (values,))], dim=1)
    Z = torch.cat([points[:, moving], torch.ones(len(points), 1, dtype=torch.float64)], dim=1)
    middle = Z.mean(0).numpy()
    rows = torch.zeros(len(lower) + 1, columns.shape[1], dtype=torch.float64)
    where = torch.cat([moving, torch.tensor([len(lower)])])
    for k, column in enumerate(columns.T):
        found = linprog(middle, A_ub=-Z.numpy(), b_ub=-column.numpy(), bounds=(None, None), method="highs")
        plane = torch.from_numpy(found.x) if found.status == 0 else torch.zeros(Z.shape[1], dtype=torch.float64)
        size = column.abs().amax() + (Z.abs() @ plane.abs()).amax()
        plane[-1] += (column - Z @ plane).amax().clamp(min=0.0) + MARGIN * size
        rows[where, k] = plane
    sizes = [math.prod(shape) for shape in graph.output_shapes]
    split = rows.split(sizes, dim=1)
    return [part.reshape(-1, 1, *shape) for part, shape in zip(split, graph.output_shapes, strict=True)]


def _constant(graph: SplineGraph, value: Tensor) -> Tensor:
    rows = torch.zeros(sum(math.prod(s) for s in graph.input_shapes) + 1, *value.shape, dtype=torch.float64)
    rows[-1] = value
    return rows


def _affine(graph: SplineGraph, rows: Sequence[Tensor]) -> SplineGraph:
    """Return affine functions of the inputs, given as forms, as a graph with the inputs and outputs of another."""
    inputs = [node for node in graph.nodes if node.is_input]
    nodes, outputs = list(inputs), []
    taken = {node.name for node in inputs}
    fresh = (name for i in itertools.count() if (name := f"affine_{i}") not in taken)

    def add(operator: Any, *args: str, shape: tuple[int, ...]) -> str:
        nodes.append(Node(next(fresh), operator, args, shape))
        return nodes[-1].name

    for form, shape in zip(rows, graph.output_shapes, strict=True):
        size, at, sums = math.prod(shape), 0, []
        for node in inputs:
            entries = math.prod(node.shape)
            weight = form[at : at + entries].reshape(entries, size).T.reshape(size, *node.shape[1:]).clone()
            bias = form[-1].reshape(size).clone() if at == 0 else None
            sums.append(add(Functionals(weight, bias), node.name, shape=(1, size)))
            at += entries
        name = sums[0] if len(sums) == 1 else add(LinearCombination((1.0,) * len(sums)), *sums, shape=(1, size))
        outputs.append(name if len(shape) == 1 else add(Reshape((-1, *shape), 2), name, shape=(1, *shape)))
    return replace(
        graph, nodes=tuple(nodes), outputs=tuple(outputs), batched=True, dtype=torch.float64, name="affine", _cache={}
    )


def _largest(*graphs: SplineGraph) -> SplineGraph:
    """Return the maximum of graphs over the same inputs."""
    total = graphs[0]
    for other in graphs[1:]:
        # the combination has both values as nodes: its sums are replaced by maxima
        total = _maximum(combine(total, other, (1.0, 1.0)))
    return total


def _maximum(sums: SplineGraph) -> SplineGraph:
    nodes = tuple(replace(n, operator=Maximum()) if n.name in sums.outputs else n for n in sums.nodes)
    return replace(sums, nodes=nodes, _cache={})
