"""What the values of a smooth network can be on each cell: the tightest of what is known."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from splinegraph.analyses.lipschitz.domain import Domain
from splinegraph.analyses.lipschitz.relaxing.levels import levels
from splinegraph.analyses.lipschitz.taking_apart import units
from splinegraph.core.graph import SplineGraph
from splinegraph.core.operator import Operator
from splinegraph.core.values import Box
from splinegraph.operators.arithmetic import Shift
from splinegraph.operators.normalizing import NormalizingOperator
from splinegraph.operators.shape import MaskedFill

__all__ = ["MOST_UNITS", "Tighter"]

MOST_UNITS = 400
"""Units up to which linear relaxations are worked out."""


class Tighter:
    """Bounds of values that interval arithmetic on the unfolded network does not see.

    Parameters
    ----------
    original, unfolded : SplineGraph
    cells : int
    hull : mapping from node name to Box
        Interval bounds of the unfolded network's values on all of the domain, in the shape of one sample with a batch
        axis of size one; empty if the domain is not bounded.
    boxes : sequence of Box
        The inputs, in the shape of one sample.
    """

    def __init__(
        self, original: SplineGraph, unfolded: SplineGraph, cells: int, hull: Mapping[str, Box], boxes: Sequence[Box]
    ) -> None:
        wide = original.resolved(torch.float64, torch.device("cpu"), cells)
        self._whole: dict[str, tuple[Operator, tuple[str, ...]]] = {
            node.name: (wide[node.name], node.args)
            for node in original.operators
            if isinstance(node.op, NormalizingOperator)
        }
        # of arguments that `unmasked` changed, the operators as they were
        self._before = {
            arg: (wide[arg], original[arg].args)
            for _, args in self._whole.values()
            for arg in args
            if isinstance(original[arg].operator, (Shift, MaskedFill))
            and original[arg].operator is not unfolded[arg].operator
        }
        self._relaxed = _relaxed(unfolded, hull, boxes) if hull else {}

    def __call__(self, name: str, box: Box, known: Mapping[str, Box]) -> Box:
        """Return what is left of a node's bounds.

        Parameters
        ----------
        name : str
        box : Box
            On each cell.
        known : mapping from node name to Box
            Bounds of the values before it.
        """
        if name in self._whole:
            operator, args = self._whole[name]
            box = _both(box, operator.bounds(*(self._own(arg, known) for arg in args)))
        if name in self._relaxed:
            box = _both(box, self._relaxed[name])
        return box

    def _own(self, name: str, known: Mapping[str, Box]) -> Box:
        """Return the bounds of a value of the original network."""
        if name not in self._before:
            return known[name]
        operator, args = self._before[name]
        return operator.bounds(*(known[arg] for arg in args))


def _both(box: Box, other: Box) -> Box:
    lower, upper = torch.maximum(box.lower, other.lower), torch.minimum(box.upper, other.upper)
    # bounds that miss each other by rounding
    return Box(torch.minimum(lower, upper), torch.maximum(lower, upper))


def _relaxed(graph: SplineGraph, hull: Mapping[str, Box], boxes: Sequence[Box]) -> dict[str, Box]:
    """Return bounds by linear relaxation of the arguments of smooth operators, on all of the domain."""
    if any(node.layout is None or node.layout.factor != 1 for node in graph.nodes):
        return {}
    if sum(math.prod(node.shape) for node in graph.operators if hasattr(node.op, "slope_range")) > MOST_UNITS:
        return {}
    found = units(graph, hull)
    if found is None or len(found.blocks) < 2:
        return {}
    seen = levels(found, Domain(tuple(boxes)))
    tight: dict[str, Box] = {}
    for block in found.blocks:
        if block.function is None:
            continue
        name = graph[block.name].args[0]
        sides: list[Tensor] = []
        for side, values in zip(tight.get(name, hull[name]), (seen.low, seen.high), strict=True):
            flat = side.reshape(-1).clone()
            flat[torch.from_numpy(block.function.entries)] = torch.from_numpy(values[block.part].copy())
            sides.append(flat.reshape(side.shape))
        tight[name] = Box(*sides)
    return tight
