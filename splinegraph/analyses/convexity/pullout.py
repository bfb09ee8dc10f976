"""Whether a maximum over a layer's pieces can be pulled out of it: the paper's Theorem 10, corrected."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from splinegraph.analyses.convexity.choices import choices
from splinegraph.analyses.convexity.curvature import Course, course
from splinegraph.analyses.convexity.place import Place
from splinegraph.analyses.convexity.slopes import slopes
from splinegraph.analyses.regions.cells import code_layers
from splinegraph.core.algebra import prune
from splinegraph.core.graph import Input, Node, SplineGraph
from splinegraph.core.layout import BatchLayout
from splinegraph.core.operator import SplineOperator
from splinegraph.core.values import Box
from splinegraph.core.walk import walk
from splinegraph.errors import UnsupportedOperatorError

__all__ = ["Challenge", "Pullout", "pullouts"]

POINTS = 64

MARGIN = 1e-9
"""By how much a choice must exceed the network's own value to count, relative to the largest value of either."""


@dataclass(frozen=True, eq=False, repr=False)
class Challenge:
    """An input at which other pieces of a layer give a larger output than those that the layer is on.

    Parameters
    ----------
    x : tuple of Tensor, float64
        One per input, in the shape of one sample.
    pieces : dict from layer to Tensor of shape (units,)
        The codes of the layers' units that do better.
    value, actual : float
        The output with these pieces, and the network's own.
    """

    x: tuple[Tensor, ...]
    pieces: dict[str, Tensor]
    value: float
    actual: float

    def __repr__(self) -> str:
        return f"<Challenge: {self.value:.4g} > {self.actual:.4g}>"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        x = [part.tolist() for part in self.x]
        pieces = {name: codes.tolist() for name, codes in self.pieces.items()}
        return {"x": x, "pieces": pieces, "value": self.value, "actual": self.actual}


@dataclass(frozen=True, eq=False)
class Pullout:
    """Whether the pieces that a layer is on make an output largest, among all choices of pieces of its units.

    Parameters
    ----------
    layer : str
        A node that switches.
    output : int or None
        An entry of the output; None is the sum of all.
    holds : bool or None
        True is proved for all inputs of the domain; False comes with a challenge; None is not known.
    challenge : Challenge or None
    note : str
        What stands in the way of an answer.
    """

    layer: str
    output: int | None
    holds: bool | None
    challenge: Challenge | None = None
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        challenge = None if self.challenge is None else self.challenge.to_dict()
        return {
            "layer": self.layer, "output": self.output, "holds": self.holds, "challenge": challenge, "note": self.note,
        }  # fmt: skip


def pullouts(graph: SplineGraph, on: Any = None, *, seed: int = 0) -> tuple[Pullout, ...]:
    r"""Tell for each layer and output whether :math:`\max_\phi g(\phi(y))` is attained by the layer's own pieces.

    A layer's unit k is the largest (or smallest) of the affine pieces :math:`\phi_{k, q}`; g is the rest of the
    network, which sees the values u of all units. Every choice of one piece per unit gives another u.

    Parameters
    ----------
    graph : SplineGraph
    on : Box, Plane, Segment, Polytope, Ball, tuple of them, or None
        Where; None for all of space.
    seed : int
        Of the inputs at which choices are tried.

    Returns
    -------
    tuple of Pullout
        For every layer that switches, in order, and for every entry of the output and their sum.

    Notes
    -----
    Sufficient: g is nondecreasing in every unit that is convex and has more than one piece, and nonincreasing in
    those that are concave, on the box of all that pieces can give. The step from u to the layer's own value, one
    unit at a time, then never goes down. Slopes come by intervals from the outputs back, so that what the biases
    allow counts, and nothing else of them. Otherwise choices of pieces are tried at some inputs: all where there
    are few, else random ones and those that differ in one unit.

    The paper's Theorem 10 asks instead that :math:`\sum_d (W_{d, k} + b_d) \kappa_d > 0`. That is neither sufficient
    nor necessary: for W = -1, b = 10 it holds and the order is reversed, for W = 1, b = -10 it fails and the order is
    kept.

    References
    ----------
    .. [1] R. Balestriero and R. Baraniuk, "A Spline Theory of Deep Learning", 2017, Thm 10 and Prop 3 (Eq 122, 123).

    Examples
    --------
    >>> import torch, splinegraph as sg
    >>> net = torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Linear(2, 2, bias=False)).double()
    >>> net[1].weight.data = torch.tensor([[2.0, -1.0], [-1.0, 2.0]]).double()
    >>> found = pullouts(sg.trace(net.eval(), torch.zeros(1, 2).double()), sg.Box([-1.0, -1.0], [1.0, 1.0]))
    >>> [(p.output, p.holds) for p in found]                    # for the sum, but for neither output alone
    [(0, False), (1, False), (None, True)]
    """
    place = Place.of(graph, on)
    found = course(graph, place)
    count = sum(math.prod(shape) for shape in graph.output_shapes)
    rows = torch.cat([torch.eye(count, dtype=torch.float64), torch.ones(1, count, dtype=torch.float64)])
    rows = rows[:1] if count == 1 else rows
    names = [*range(count), None][: len(rows)]
    answer: list[Pullout] = []
    for layer in code_layers(graph):
        trial = _Trial(graph, place, found, graph[layer.name], rows, seed)
        answer += [Pullout(layer.name, name, *trial.answer(row)) for row, name in enumerate(names)]
    return tuple(answer)


class _Trial:
    """One layer, and the rest of the network as a function of the inputs and the layer's values."""

    def __init__(self, graph: SplineGraph, place: Place, found: Course, node: Node, rows: Tensor, seed: int) -> None:
        self.graph, self.place, self.node, self.rows = graph, place, node, rows
        self.note = _obstacle(graph, node)
        if self.note:
            return
        try:
            self.choices = choices(found, node)
        except UnsupportedOperatorError as error:
            self.note = str(error)
            return
        self.tail = _tail(graph, node)
        self.wrong = self._wrong()
        self.challenges = self._challenges(seed) if bool(self.wrong.any()) else {}

    def answer(self, row: int) -> tuple[bool | None, Challenge | None, str]:
        """Return the answer for one row: whether it holds, a challenge, and what stands in the way."""
        if self.note:
            return None, None, self.note
        if not bool(self.wrong[row].any()):
            return True, None, ""
        if row in self.challenges:
            return False, self.challenges[row], ""
        return None, None, f"{int(self.wrong[row].sum())} units may have slopes of the wrong sign behind them"

    def _wrong(self) -> Tensor:
        """Return behind which units slopes may have the wrong sign, (rows, units)."""
        box = self.choices.box
        values = Box(*(side.reshape(self.node.shape[1:]) for side in box))
        place = Place(self.tail, None, (*self.place.parts, values))
        span = slopes(course(self.tail, place), self.rows)[self.node.name]
        low, high = span.low.reshape(len(self.rows), -1), span.high.reshape(len(self.rows), -1)
        fine = (low >= 0) & self.choices.convex | (high <= 0) & self.choices.concave | (low == 0) & (high == 0)
        return ~(fine | self.choices.convex & self.choices.concave)

    def _challenges(self, seed: int) -> dict[int, Challenge]:
        """Return for some rows an input at which other pieces do better."""
        generator = torch.Generator().manual_seed(seed)
        count = POINTS if self.graph.batched else 1
        xs = self.place.sample(count, generator)
        operators = self.graph.resolved(torch.float64, torch.device("cpu"), count)
        with torch.no_grad():
            _, kept = walk(self.graph, xs, lambda _, op, z: op.forward(*z), operators=operators, keep=self.node.args)
            own = self._values(self.graph, xs)
            op = operators[self.node.name]
            assert isinstance(op, SplineOperator)
            code = op.code(*(kept[arg] for arg in self.node.args))
            tried = self.choices.draw(code.reshape(count, -1), generator)
            best: dict[int, tuple[float, Challenge]] = {}
            for pieces in tried.unbind(1):
                args = [kept[arg] for arg in self.node.args]
                u = op.piece(pieces.reshape(code.shape).to(code.dtype), [z.shape for z in args]).apply(*args)
                value = self._values(self.tail, (*xs, u))
                excess = value - own - MARGIN * torch.maximum(value.abs(), own.abs())
                for row in range(len(self.rows)):
                    i = int(excess[:, row].argmax())
                    gain = float(excess[i, row])
                    if gain > best.get(row, (0.0,))[0]:
                        x = tuple(part[i] for part in xs)
                        best[row] = (
                            gain,
                            Challenge(x, {self.node.name: pieces[i]}, float(value[i, row]), float(own[i, row])),
                        )
        return {row: challenge for row, (_, challenge) in best.items()}

    def _values(self, graph: SplineGraph, xs: Sequence[Tensor]) -> Tensor:
        found = graph(*xs, dtype=torch.float64)
        outputs = found if isinstance(found, tuple) else (found,)
        return torch.cat([y.reshape(len(y), -1) for y in outputs], dim=1) @ self.rows.T


def _obstacle(graph: SplineGraph, node: Node) -> str:
    """Return why nothing can be said of a layer, '' if something can."""
    if not graph.continuous:
        return "the network may jump"
    plain = BatchLayout()
    whole = node.layout == plain and all(graph[arg].layout == plain for arg in node.args)
    return "" if whole else "samples do not lie on the first axis of its values"


def _tail(graph: SplineGraph, node: Node) -> SplineGraph:
    """Return the network with a node's value as a further input."""
    own = replace(node, operator=Input(), args=())
    nodes = [own if n.name == node.name else n for n in graph.nodes]
    inputs = (*graph.inputs, node.name)
    return replace(graph, nodes=prune(nodes, graph.outputs, inputs), inputs=inputs, _cache={})
