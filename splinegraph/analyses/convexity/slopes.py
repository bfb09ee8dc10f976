"""Intervals for the derivatives of the outputs by every value, from the outputs back."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from splinegraph.analyses.convexity.curvature import Course, rivals
from splinegraph.analyses.convexity.spans import Span, through
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
        race = None if isinstance(found.operators[node.name], AffineOperator) else rivals(found, node)
        return through(found, node, span, race)

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
