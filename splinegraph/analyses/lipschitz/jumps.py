"""Witnesses against continuity: two points next to each other whose outputs are not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from splinegraph.analyses.codes import codes
from splinegraph.analyses.lipschitz.domain import Domain
from splinegraph.analyses.lipschitz.drawing import drawn
from splinegraph.core.graph import SplineGraph
from splinegraph.core.operator import SplineOperator

__all__ = ["Jump", "jump"]

PAIRS = 256
"""Segments between random points that are searched, per operator."""

HALVINGS = 44
"""Of a segment: 2^-44 of it is far below any slope's reach, and above the rounding of its ends."""

EARLIER = 24
"""The step whose difference of outputs is compared with the last one: a slope would have made that vanish."""


@dataclass(frozen=True, eq=False)
class Jump:
    """Two points whose outputs differ however close they are.

    Parameters
    ----------
    node : str
        The operator that jumps: name, module and source line.
    first, second : tuple of Tensor of shape (*in,)
        On both sides of the jump.
    distance, moved : float
        Euclidean distance of the points, and of their outputs.
    """

    node: str
    first: tuple[Tensor, ...]
    second: tuple[Tensor, ...]
    distance: float
    moved: float

    @property
    def text(self) -> str:
        """What was found, in a line."""
        return f"outputs of two points {self.distance:.2g} apart differ by {self.moved:.4g}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "node": self.node, "first": [x.tolist() for x in self.first], "second": [x.tolist() for x in self.second],
            "distance": self.distance, "moved": self.moved,
        }  # fmt: skip


def jump(graph: SplineGraph, on: Any = None, *, seed: int = 0) -> Jump | None:
    """Return two points at a jump of a network; None if none was found, which does not say that there is none.

    Parameters
    ----------
    graph : SplineGraph
    on : Box, Ball, or tuple of one per input, optional
        Convex, so that the segments between its points lie in it. Default: all of space.
    seed : int
        Of the points.

    Notes
    -----
    Segments between random points with different codes of an operator that is not continuous are halved, keeping
    a half across which the codes differ. What the outputs still differ by at the end is a jump if it did not shrink
    with the segment. 2 passes over `PAIRS` points per operator and halving.
    """
    domain = Domain.of(graph, on)
    ends = drawn(graph, domain, 2 * PAIRS, seed)
    a, b = tuple(x[:PAIRS] for x in ends), tuple(x[PAIRS:] for x in ends)
    with torch.no_grad():
        for node in graph.operators:
            if not node.op.continuous and isinstance(node.op, SplineOperator):
                found = _across(graph, node.name, a, b)
                if found is not None:
                    return found
    return None


def _across(graph: SplineGraph, name: str, a: tuple[Tensor, ...], b: tuple[Tensor, ...]) -> Jump | None:
    """Return the largest jump where one operator's codes switch."""
    at_a = _codes(graph, name, a)
    differ = (at_a != _codes(graph, name, b)).any(1)
    if not bool(differ.any()):
        return None
    a, b, at_a = tuple(x[differ] for x in a), tuple(x[differ] for x in b), at_a[differ]
    before = torch.zeros(len(at_a), dtype=torch.float64)
    for step in range(HALVINGS):
        middle = tuple((x + y) / 2 for x, y in zip(a, b, strict=True))
        code = _codes(graph, name, middle)
        same = (code == at_a).all(1)
        a = tuple(torch.where(_spread(same, x), m, x) for x, m in zip(a, middle, strict=True))
        b = tuple(torch.where(_spread(same, x), x, m) for x, m in zip(b, middle, strict=True))
        if step == EARLIER:
            before = _moved(graph, a, b)
    after = _moved(graph, a, b)
    size = torch.stack([y.abs().amax() for y in _outputs(graph, a)]).amax()
    jumps = torch.where((after > before / 2) & (after > 1e-9 * size), after, 0.0)
    best = int(jumps.argmax())
    if not float(jumps[best]) > 0:
        return None
    first, second = tuple(x[best] for x in a), tuple(x[best] for x in b)
    distance = math.hypot(*(float((x - y).norm()) for x, y in zip(first, second, strict=True)))
    return Jump(graph[name].where, first, second, distance, float(after[best]))


def _codes(graph: SplineGraph, name: str, inputs: tuple[Tensor, ...]) -> Tensor:
    """Return the packed codes of one operator, shape (B, bytes)."""
    pattern = codes(graph, *inputs)
    (layer,) = (layer for layer in pattern.layers if layer.name == name)
    return torch.as_tensor(pattern.packed[:, layer.start : layer.stop])


def _outputs(graph: SplineGraph, inputs: tuple[Tensor, ...]) -> list[Tensor]:
    """Return the outputs in float64, flattened."""
    values = graph(*inputs, dtype=torch.float64)
    return [y.reshape(len(y), -1) for y in (values if isinstance(values, tuple) else (values,))]


def _moved(graph: SplineGraph, a: tuple[Tensor, ...], b: tuple[Tensor, ...]) -> Tensor:
    """Return the Euclidean distances of the outputs."""
    parts = [x - y for x, y in zip(_outputs(graph, a), _outputs(graph, b), strict=True)]
    found: Tensor = torch.linalg.vector_norm(torch.cat(parts, dim=1), dim=1)
    return found


def _spread(mask: Tensor, x: Tensor) -> Tensor:
    return mask.reshape(-1, *(1,) * (x.dim() - 1))
