"""Intervals for the derivatives of the outputs by every value, from the outputs back."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from splinegraph.analyses.convexity.backward import (
    Span,
    _through_affine,
    _through_any,
    _through_contest,
    _through_entries,
)
from splinegraph.analyses.convexity.curvature import Course, is_entrywise, rivals
from splinegraph.core.affine import AffineOperator
from splinegraph.core.graph import Node
from splinegraph.core.walk import walk_back

__all__ = ["slopes"]


def slopes(found: Course, rows: Tensor) -> dict[str, Span]:
    """Return intervals for the derivatives by all values, inputs among them, by node.

    Parameters
    ----------
    found : Course
        Bounds of all values.
    rows : Tensor of shape (R, entries), float64
        Of which combinations of the entries of all outputs.

    Returns
    -------
    dict from name to Span of shape (R, *node.shape)
    """
    graph = found.graph
    spans: dict[str, Span] = {}

    def rule(node: Node, span: Span) -> tuple[Span | None, ...]:
        spans[node.name] = span
        return _through(found, node, span)

    sizes = [math.prod(shape) for shape in graph.output_shapes]
    parts = zip(rows.split(sizes, 1), graph.outputs, strict=True)
    seeds = [Span(part.reshape(-1, *graph[name].shape), part.reshape(-1, *graph[name].shape)) for part, name in parts]
    with torch.no_grad():
        back = walk_back(graph, seeds, rule, add=Span.__add__)
        spans |= {name: span for name, span in zip(graph.inputs, back, strict=True) if span is not None}
        for node in graph:
            if node.name not in spans:
                zero = torch.zeros(len(rows), *node.shape, dtype=torch.float64)
                spans[node.name] = Span(zero, zero)
    return spans


def _through(found: Course, node: Node, span: Span) -> tuple[Span | None, ...]:
    """Return the derivatives by the arguments of a node from that by its value."""
    operator, boxes = found.operators[node.name], found.arguments(node)
    shapes = [found.graph[arg].shape for arg in node.args]
    if isinstance(operator, AffineOperator):
        return _through_affine(operator, span, shapes)
    race = rivals(found, node)
    if race is not None:
        return _through_contest(race.columns, race.alive, span, shapes)
    if is_entrywise(node, operator, boxes):
        return (_through_entries(operator, span, boxes),)
    return tuple(_through_any(operator, span, boxes, i) for i in range(len(boxes)))
