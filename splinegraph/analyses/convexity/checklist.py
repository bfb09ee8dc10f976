"""The paper's Corollary 2, corrected, as a check-list of a network's layers: which weights have the wrong sign."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from splinegraph.analyses.convexity.curvature import Course, course, declared
from splinegraph.analyses.convexity.place import Place
from splinegraph.analyses.convexity.slopes import slopes
from splinegraph.core.affine import AffineOperator
from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.norms import dense, is_small
from splinegraph.core.notebook import card
from splinegraph.core.values import Curvature, Monotonicity

__all__ = ["Checklist", "Condition", "checklist"]

MOST_OUTPUTS = 128
"""Entries of the output up to which it is told which of them each condition is about."""


@dataclass(frozen=True)
class Condition:
    """What one node must satisfy.

    Parameters
    ----------
    node, label : str
        The node's name and operator.
    where : str
        Node, module and source line.
    inner : bool
        Whether something that is not affine in the inputs comes in; weights of first layers are free.
    asks : {'weights >= 0', 'convex', 'nondecreasing'}
        Weights count for inner entries only: those on the inputs, and on what is affine in them, are free.
    failing : int
        How many units do not satisfy it.
    total : float
        Of weights, the sum of the negative ones, as a positive number; else the steepest fall of a unit; nan if
        that is not known.
    largest : float
        Of weights, the largest of them; nan if they are too many to be written out, or these are none.
    outputs : tuple of int
        Entries of the output, counted through all of them, that depend on units that fail.
    """

    node: str
    label: str
    where: str
    inner: bool
    asks: str
    failing: int
    total: float
    largest: float
    outputs: tuple[int, ...]

    @property
    def holds(self) -> bool:
        """Whether all units satisfy it."""
        return self.failing == 0

    def __str__(self) -> str:
        text = f"{'ok' if self.holds else 'FAILS':<6}{self.label} ({self.node}): {self.asks}"
        if self.holds:
            return text
        size = "" if math.isnan(self.total) else f", {self.total:.4g} in all"
        return (
            text
            + f" fails for {self.failing} units{size}"
            + ("" if math.isnan(self.largest) else f", {self.largest:.4g} at most")
        )


@dataclass(frozen=True, eq=False)
class Checklist:
    """Conditions on a network's layers that are sufficient for all three forms of global inference.

    Parameters
    ----------
    conditions : tuple of Condition
        In the graph's order.
    count : int
        Entries of the output.
    shift : Tensor or None
        What the last layer's values can be weighted with and added to all logits, so that its weights are >= 0 and
        softmax and argmax stay as they are; None if the graph does not end in a layer of several logits.
    """

    conditions: tuple[Condition, ...]
    count: int
    shift: Tensor | None = None

    @property
    def failing(self) -> tuple[Condition, ...]:
        """The conditions that do not hold."""
        return tuple(condition for condition in self.conditions if not condition.holds)

    @property
    def holds(self) -> tuple[bool, ...]:
        """For each entry of the output whether all conditions hold that are about it: it is then convex."""
        return tuple(not any(i in c.outputs for c in self.failing) for i in range(self.count))

    @property
    def holds_up_to_shift(self) -> bool:
        """Whether all conditions hold once `shift` is added to all logits."""
        if self.shift is None:
            return all(self.holds)
        last = self.conditions[-1]
        return all(c is last for c in self.failing)

    def __str__(self) -> str:
        return "\n".join(map(str, self.conditions))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        names = ("node", "label", "where", "inner", "asks", "failing", "holds")
        rows = [
            {n: getattr(c, n) for n in names}
            | {n: None if math.isnan(v) else v for n, v in (("total", c.total), ("largest", c.largest))}
            | {"outputs": list(c.outputs)}
            for c in self.conditions
        ]
        shift = None if self.shift is None else self.shift.tolist()
        return {"conditions": rows, "holds": list(self.holds), "shift": shift, "up_to_shift": self.holds_up_to_shift}

    def _repr_html_(self) -> str:
        return card(self)


@torch.no_grad()
def checklist(graph: SplineGraph, on: Any = None) -> Checklist:
    """Check the conditions of Corollary 2, as they must be, on every layer.

    Parameters
    ----------
    graph : SplineGraph
    on : Box, Plane, Segment, Polytope, Ball, tuple of them, or None
        A domain, on which units that stay on one piece count as affine.

    Notes
    -----
    First layers: any weights, then convex activations or maxima (an absolute value, a leaky ReLU of slope at most
    1). Later layers: weights >= 0 on all that is not affine in the inputs, batch norms with a scale >= 0, skips with
    weights >= 0, and activations that are convex and nondecreasing. Last layer: weights >= 0. Biases are free. Every
    output is then convex (`curvature` finds that too), and no frozen choice of pieces exceeds it.

    The paper asks for biases >= 0, which is not needed, and for strictly increasing activations, which is neither
    sufficient (a leaky ReLU of slope 3 is, and is not convex) nor needed; and it forgets the last layer's signs. Of
    a classifier these are free indeed: with t_k = -min_c W_ck, the weights W_ck + t_k are >= 0 and give the same
    softmax.

    References
    ----------
    .. [1] R. Balestriero and R. Baraniuk, "A Spline Theory of Deep Learning", 2017, Cor 2 and Prop 3.
    .. [2] B. Amos, L. Xu, J. Z. Kolter, "Input Convex Neural Networks", ICML 2017.

    Examples
    --------
    >>> import torch, splinegraph as sg
    >>> net = torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Linear(2, 2, bias=False)).eval()
    >>> net[1].weight.data = torch.tensor([[2.0, -1.0], [0.0, 2.0]])
    >>> found = checklist(sg.trace(net, torch.zeros(1, 2)))
    >>> print(found)
    ok    ReLU (relu): convex
    FAILS Linear (linear): weights >= 0 fails for 1 units, 1 in all, 1 at most
    >>> found.holds, found.holds_up_to_shift, found.shift.tolist()
    ((False, True), True, [0.0, 1.0])
    """
    found = course(graph, Place.of(graph, on))
    count = sum(math.prod(shape) for shape in graph.output_shapes)
    spans = slopes(found, torch.eye(count, dtype=torch.float64)) if count <= MOST_OUTPUTS else None
    conditions: list[Condition] = []
    for node in graph.operators:
        for asks, inner, wrong, total, largest in _asked(found, node):
            about: tuple[int, ...] = ()
            if bool(wrong.any()):
                about = tuple(range(count))
                if spans is not None:
                    felt = (~spans[node.name].zero & wrong).reshape(count, -1).any(1)
                    about = tuple(felt.nonzero()[:, 0].tolist())
            label, failing = node.op.label, int(wrong.sum())
            conditions.append(Condition(node.name, label, node.where, inner, asks, failing, total, largest, about))
    return Checklist(tuple(conditions), count, _shift(found))


WRITTEN = 2**20
"""Entries up to which weights are written out for the largest negative one."""

Asked = tuple[str, bool, Tensor, float, float]
"""What is asked, whether inner entries come in, which units fail, by how much in all and at most."""


def _asked(found: Course, node: Node) -> Iterator[Asked]:
    operator, boxes = found.operators[node.name], found.arguments(node)
    inner = [~Curvature.AFFINE.held_by(found.bends[arg].flags) for arg in node.args]
    some = any(bool(mask.any()) for mask in inner)
    if isinstance(operator, AffineOperator):
        if some:
            yield "weights >= 0", True, *_negative(operator, inner)
        return
    fixed = [bool(found.bends[arg].fixed.all()) for arg in node.args]
    flags = declared(operator, boxes, fixed).expand(node.shape)
    yield "convex", some, ~Curvature.CONVEX.held_by(flags), math.nan, math.nan
    if some:
        falls = torch.zeros(node.shape, dtype=torch.bool)
        for i, mask in enumerate(inner):
            down = ~Monotonicity.NONDECREASING.held_by(operator.monotonicity(i, boxes))
            falls |= down & (mask if mask.shape == falls.shape else mask.any())
        yield "nondecreasing", True, falls, _steepest(operator, boxes, falls), math.nan


def _steepest(operator: Any, boxes: list[Any], falls: Tensor) -> float:
    """Return how steeply units fall at most, where operators tell."""
    if not bool(falls.any()):
        return 0.0
    if not hasattr(operator, "slope_range"):
        return math.nan
    return float((-operator.slope_range(boxes)[0]).expand(falls.shape)[falls].max())


def _negative(operator: AffineOperator, inner: list[Tensor]) -> tuple[Tensor, float, float]:
    """Return which sums hold inner entries with negative weights, the sum of these and the largest."""
    negative = operator.split()[1]
    marked = [mask.double() for mask in inner]
    if negative is None:
        return torch.zeros(operator.linear(*marked).shape, dtype=torch.bool), 0.0, 0.0
    short = negative.linear(*marked).detach()
    largest = 0.0 if not bool((short > 0).any()) else math.nan
    sizes = sum(mask.numel() for mask in marked)
    if math.isnan(largest) and short.numel() * sizes <= WRITTEN and is_small(short.numel(), sizes):
        largest = max(float(_matrix(negative, marked, i).max()) for i in range(len(marked)))
    return short > 0, float(short.sum()), largest


def _matrix(operator: AffineOperator, marked: list[Tensor], i: int) -> Tensor:
    """Return the matrix of an operator in argument i, 0 for entries that are not marked."""

    def linear(v: Tensor) -> Tensor:
        args = [torch.zeros(len(v), *mask.shape, dtype=torch.float64) for mask in marked]
        args[i] = v * marked[i]
        return operator.linear(*args)

    return dense(linear, tuple(marked[i].shape))


def _shift(found: Course) -> Tensor | None:
    """Return the weights t that make a last layer's >= 0 when added to each row, in the shape of its argument."""
    graph = found.graph
    if len(graph.outputs) != 1 or graph[graph.outputs[0]].is_input:
        return None
    node = graph[graph.outputs[0]]
    operator, count = found.operators[node.name], math.prod(node.shape)
    if not isinstance(operator, AffineOperator) or len(node.args) != 1 or count < 2:
        return None
    shape = graph[node.args[0]].shape
    inner = ~Curvature.AFFINE.held_by(found.bends[node.args[0]].flags)
    if not bool(inner.any()) or not is_small(count, math.prod(shape)):
        return None
    matrix = operator.adjoint(torch.eye(count, dtype=torch.float64).reshape(count, *node.shape), [shape])[0]
    return ((-matrix).amax(0).clamp(min=0) * inner + 0.0)[0]  # no -0
