"""Whether every frozen choice of pieces, realised or not, stays below the network."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from splinegraph.analyses.convexity.choices import Choices, choices, joined
from splinegraph.analyses.convexity.curvature import Course
from splinegraph.analyses.convexity.place import Place
from splinegraph.analyses.convexity.pullout import MARGIN, POINTS, Challenge
from splinegraph.analyses.convexity.slopes import slopes
from splinegraph.analyses.regions.cells import code_layers
from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.operator import Operator, SplineOperator
from splinegraph.core.values import Box
from splinegraph.core.walk import walk
from splinegraph.errors import UnsupportedOperatorError

__all__ = ["Frozen", "frozen"]


@dataclass(frozen=True, eq=False)
class Frozen:
    """Whether A x + b <= f(x) for the affine maps of all choices of pieces of all units.

    Parameters
    ----------
    output : int
        An entry of the output.
    holds : bool or None
        True is proved, for all inputs there are; False comes with a challenge; None is not known.
    challenge : Challenge or None
    note : str
    """

    output: int
    holds: bool | None
    challenge: Challenge | None = None
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        challenge = None if self.challenge is None else self.challenge.to_dict()
        return {"output": self.output, "holds": self.holds, "challenge": challenge, "note": self.note}


def frozen(graph: SplineGraph, on: Any = None, *, seed: int = 0) -> tuple[Frozen, ...]:
    """Tell for each output whether no frozen choice of pieces ever exceeds the network.

    Parameters
    ----------
    graph : SplineGraph
    on : Box, Plane, Segment, Polytope, Ball, tuple of them, or None
        Where choices are tried; None for all of space.
    seed : int
        Of the inputs and choices that are tried.

    Notes
    -----
    Sufficient: every unit is the largest of its pieces, on all of the line, and no slope behind it is ever negative
    (or the smallest, and none positive). Freed one after the other, the last first, units then only raise the
    output. Otherwise random choices are tried at random inputs. What holds implies that each output is the maximum
    of the maps of its regions; the converse is wrong: max(u, -3 u - 40) of u = abs(y) is convex, but with the other
    piece of u it is 50 > 30 at y = 30.

    Examples
    --------
    >>> import torch, splinegraph as sg
    >>> graph = sg.trace(torch.nn.ReLU().eval(), torch.zeros(1, 1))
    >>> [found.holds for found in frozen(graph)], [found.holds for found in frozen(-graph)]
    ([True], [False])
    """
    count = sum(math.prod(shape) for shape in graph.output_shapes)
    if not graph.continuous or not graph.exact:
        note = "the network is not piecewise affine, or may jump"
        return tuple(Frozen(i, None, note=note) for i in range(count))
    found = _everything(graph)
    try:
        layers = {layer.name: choices(found, graph[layer.name]) for layer in code_layers(graph)}
    except UnsupportedOperatorError as error:
        return tuple(Frozen(i, None, note=str(error)) for i in range(count))
    spans = slopes(found, torch.eye(count, dtype=torch.float64))
    wrong = torch.zeros(count, dtype=torch.int64)
    for name, pieces in layers.items():
        low, high = (side.reshape(count, -1) for side in (spans[name].low, spans[name].high))
        fine = (low >= 0) & pieces.convex | (high <= 0) & pieces.concave | (low == 0) & (high == 0)
        wrong += (~(fine | pieces.convex & pieces.concave)).sum(1)
    challenges = _challenges(graph, Place.of(graph, on), layers, seed) if bool(wrong.any()) else {}
    return tuple(
        Frozen(i, True) if not bad else Frozen(i, False, challenges[i]) if i in challenges
        else Frozen(i, None, note=f"{bad} units may have slopes of the wrong sign behind them")
        for i, bad in enumerate(wrong.tolist())
    )  # fmt: skip


def _everything(graph: SplineGraph) -> Course:
    """Return bounds that hold whatever pieces are chosen: none."""
    operators = graph.resolved(torch.float64, torch.device("cpu"), 1)
    return Course(graph, operators, {node.name: Box.everything(node.shape) for node in graph}, {})


def _challenges(graph: SplineGraph, place: Place, layers: Mapping[str, Choices], seed: int) -> dict[int, Challenge]:
    """Return for some outputs an input at which a frozen choice exceeds them."""
    generator = torch.Generator().manual_seed(seed)
    count = POINTS if graph.batched else 1
    xs = place.sample(count, generator)
    operators = graph.resolved(torch.float64, torch.device("cpu"), count)
    codes: dict[str, Tensor] = {}

    def look(node: Node, op: Operator, args: tuple[Tensor, ...]) -> Tensor:
        if node.name in layers:
            assert isinstance(op, SplineOperator)
            codes[node.name] = node.rows(op.code(*args))
        return op.forward(*args)

    best: dict[int, tuple[float, Challenge]] = {}
    with torch.no_grad():
        own = _rows(walk(graph, xs, look, operators=operators)[0])
        drawn = joined([layers[name] for name in codes]).draw(torch.cat([*codes.values()], dim=1), generator)
        sizes = [c.shape[1] for c in codes.values()]
        for some in drawn.unbind(1):
            chosen = dict(zip(codes, some.split(sizes, dim=1), strict=True))
            value = _rows(walk(graph, xs, _freezing(chosen), operators=operators)[0])
            excess = value - own - MARGIN * torch.maximum(value.abs(), own.abs())
            for row in range(own.shape[1]):
                i = int(excess[:, row].argmax())
                if float(excess[i, row]) > best.get(row, (0.0,))[0]:
                    pieces = {name: part[i] for name, part in chosen.items()}
                    x = tuple(part[i] for part in xs)
                    best[row] = float(excess[i, row]), Challenge(x, pieces, float(value[i, row]), float(own[i, row]))
    return {row: challenge for row, (_, challenge) in best.items()}


def _freezing(chosen: Mapping[str, Tensor]) -> Any:
    """Return a rule that takes the pieces that are chosen."""

    def rule(node: Node, op: Operator, args: tuple[Tensor, ...]) -> Tensor:
        if node.name not in chosen:
            return op.forward(*args)
        assert isinstance(op, SplineOperator)
        own, codes = op.code(*args), chosen[node.name]
        if node.layout is not None:
            codes = node.layout.samples_back(codes.reshape(node.layout.samples_first(own).shape))
        return op.piece(codes.reshape(own.shape).to(own.dtype), [x.shape for x in args]).apply(*args)

    return rule


def _rows(outputs: tuple[Tensor, ...]) -> Tensor:
    return torch.cat([y.reshape(len(y), -1) for y in outputs], dim=1)
