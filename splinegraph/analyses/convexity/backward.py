"""The interval back-propagation certificate: every bend is weighed with the sign that it needs.

Let f be an entry of the output, and v_k its derivative by the value of node k. Along a line through the domain, for
smooth operators, the chain rule says

    f'' = sum over nodes k and units i of  v_ki * (second derivative of unit i in its own arguments, along the line),

so f is convex if each unit that is convex in its arguments has v_ki >= 0, each that is concave has v_ki <= 0, affine
ones have any, and all others have v_ki = 0. A bound of v_ki on the domain, from the outputs back with an interval for
every derivative, thus proves it. For kinks and maxima the same holds of mollified operators: an operator, extended
beyond the box of its arguments without changing its bends and slopes, is convolved with a narrow kernel. That keeps
it convex (concave, affine), and its slopes are averages of slopes nearby, which the intervals hold. These smooth
networks are convex by the above, and f is their limit.

Where composition rules already know a value u to be convex and its derivative is >= 0, nothing before it has to be
asked: f'' then holds v * u'' >= 0 in place of what u is made of. That helps where an operator has no bound of its
slopes, and hurts where what u is made of would make up for something else, so it is tried second.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from splinegraph.analyses.convexity.curvature import Course, declared, is_entrywise, rivals
from splinegraph.analyses.convexity.ranges import outward
from splinegraph.analyses.convexity.verdict import Certificate, Finding
from splinegraph.core.affine import AffineOperator
from splinegraph.core.graph import Node
from splinegraph.core.operator import Operator
from splinegraph.core.values import Box, Curvature, Monotonicity
from splinegraph.core.walk import walk_back

__all__ = ["by_backward"]

ENTRIES = 2**25
"""Entries of one node's intervals made at a time (256 MiB)."""

KERNEL = 1e-12
"""Rounding of the slopes of smooth operators, relative to the largest slope."""


@dataclass(frozen=True, eq=False)
class Span:
    """Intervals low <= v <= high of derivatives, of shape (rows, *node.shape)."""

    low: Tensor
    high: Tensor

    def __add__(self, other: Span) -> Span:
        return Span(self.low + other.low, self.high + other.high)

    @property
    def zero(self) -> Tensor:
        """Which are the number 0."""
        return (self.low == 0) & (self.high == 0)

    def but(self, mask: Tensor) -> Span:
        """Return the same with 0 where `mask` holds."""
        return Span(self.low.masked_fill(mask, 0.0), self.high.masked_fill(mask, 0.0))


def by_backward(found: Course, outputs: Sequence[int]) -> dict[int, Finding]:
    """Return what intervals of derivatives prove of some entries of the outputs, counted one behind the other.

    Parameters
    ----------
    found : Course
        Bounds of all values, and what composition rules say of them.
    outputs : sequence of int

    Returns
    -------
    dict from entry to Finding

    Notes
    -----
    Costs some ten backward passes for each entry. Never says less than the composition rules.
    """
    answer: dict[int, Finding] = {}
    with torch.no_grad():
        for some in _parts(found, outputs):
            asked = [(i, sign) for i in some for sign in (1, -1)]
            blame = dict(zip(asked, _search(found, asked, False), strict=True))
            asked = [ask for ask in asked if blame[ask]]
            if asked:
                again = zip(asked, _search(found, asked, True), strict=True)
                blame.update((ask, "") for ask, text in again if not text)
            answer.update((i, _finding(blame[i, 1], blame[i, -1])) for i in some)
    return answer


def _search(found: Course, asked: Sequence[tuple[int, int]], trusting: bool) -> list[str]:
    """Return what keeps each entry (or its negative) from being convex, '' if nothing does."""
    search = _Search(found, len(asked), trusting)
    walk_back(found.graph, search.seeds(torch.tensor(asked)), search.visit, add=Span.__add__)
    return search.blame


def _parts(found: Course, outputs: Sequence[int]) -> Iterator[list[int]]:
    widest = max(box.lower.numel() for box in found.boxes.values())
    step = max(ENTRIES // (8 * max(widest, 1)), 1)
    for start in range(0, len(outputs), step):
        yield list(outputs[start : start + step])


def _finding(convex: str, concave: str) -> Finding:
    proof = Certificate("backward", "intervals of derivatives: every bend is weighed with the sign that it needs")
    return Finding(None if convex else proof, None if concave else proof, convex if convex and concave else "")


@dataclass(eq=False)
class _Search:
    """One walk back for some rows: each an entry of the output, for convexity, or its negative, for concavity."""

    found: Course
    rows: int
    trusting: bool
    """Whether to stop at values whose curvature is known."""
    blame: list[str] = field(default_factory=list)
    """What keeps each row from being convex, '' if nothing does."""

    def __post_init__(self) -> None:
        self.blame = [""] * self.rows

    def seeds(self, wanted: Tensor) -> list[Span | None]:
        """Return the derivative of each row by each output: an entry that is 1 or -1."""
        spans: list[Span | None] = []
        start = 0
        for name in self.found.graph.outputs:
            shape = self.found.graph[name].shape
            place = torch.arange(start, start + math.prod(shape))
            flat = (wanted[:, :1] == place).double() * wanted[:, 1:]
            one = flat.reshape(self.rows, *shape)
            spans.append(Span(one, one))
            start += math.prod(shape)
        return spans

    def visit(self, node: Node, span: Span) -> tuple[Span | None, ...]:
        """Check the bends of one node, and return the derivatives by its arguments."""
        operator, boxes = self.found.operators[node.name], self.found.arguments(node)
        bend = self.found.bends[node.name]
        span = span.but(bend.convex & bend.concave)
        if self.trusting:
            span = span.but((bend.convex & (span.low >= 0)) | (bend.concave & (span.high <= 0)))
        if bool(span.zero.all()):
            return (None,) * len(node.args)
        shapes = [self.found.graph[arg].shape for arg in node.args]
        if isinstance(operator, AffineOperator):
            return _through_affine(operator, span, shapes)
        race = rivals(self.found, node)
        single = torch.tensor(False) if race is None else race.single.reshape(node.shape)
        flags = declared(operator, boxes, [bool(self.found.bends[arg].fixed.all()) for arg in node.args])
        span = self._checked(node, span, torch.where(single, int(Curvature.AFFINE), flags))
        if bool(span.zero.all()):
            return (None,) * len(node.args)
        if race is not None:
            return _through_contest(race.columns, race.alive, span, shapes)
        if is_entrywise(node, operator, boxes):
            return (_through_entries(operator, span, boxes),)
        return tuple(_through_any(operator, span, boxes, i) for i in range(len(boxes)))

    def _checked(self, node: Node, span: Span, flags: Tensor) -> Span:
        """Note the rows for which a bend has the wrong weight, and return the span without them."""
        right = Curvature.CONVEX.held_by(flags) & (span.low >= 0) | Curvature.CONCAVE.held_by(flags) & (span.high <= 0)
        wrong = ~(right | Curvature.AFFINE.held_by(flags) | span.zero)
        bad = wrong.reshape(self.rows, -1).any(1)
        for row in bad.nonzero()[:, 0].tolist():
            count = int(wrong[row].sum())
            units = f"{count} unit" + "s" * (count > 1)
            self.blame[row] = f"{units} of {node.op.label} ({node.where}) may bend the wrong way"
        return span.but(bad.reshape(-1, *(1,) * (span.low.dim() - 1)))


def _through_affine(operator: AffineOperator, span: Span, shapes: Sequence[Sequence[int]]) -> tuple[Span, ...]:
    """Return A^T v, from sums of terms of one sign each, so that rounding cannot turn a sign."""
    four = torch.stack([span.low.clamp(min=0), -span.low.clamp(max=0), span.high.clamp(min=0), -span.high.clamp(max=0)])
    none = tuple(four.new_zeros(4, len(span.low), *shape) for shape in shapes)
    ups, downs = (none if part is None else part.adjoint(four, shapes) for part in operator.split())
    terms = math.prod(span.low.shape[1:])
    spans = []
    for up, down in zip(ups, downs, strict=True):
        low = outward(up[0] + down[3], up[1] + down[2], terms)
        high = -outward(up[3] + down[0], up[2] + down[1], terms)
        spans.append(Span(low, high))
    return tuple(spans)


def _through_contest(
    columns: Tensor, alive: Tensor, span: Span, shapes: Sequence[Sequence[int]]
) -> tuple[Span | None, ...]:
    """Return derivatives by the entries: the winner has that of the unit, the losers have 0."""
    rows, sizes = len(span.low), [math.prod(shape) for shape in shapes]
    single = alive.sum(1) == 1
    low, high = (side.reshape(rows, -1) for side in (span.low, span.high))
    low, high = torch.where(single, low, low.clamp(max=0)), torch.where(single, high, high.clamp(min=0))
    target = columns[alive]

    def total(side: Tensor) -> Tensor:
        parts = side[:, :, None].expand(*side.shape, alive.shape[1])[:, alive]
        return side.new_zeros(rows, sum(sizes)).index_add(1, target, parts)

    least = outward(total(low.clamp(min=0)), total(-low.clamp(max=0)), alive.numel())
    most = -outward(total(-high.clamp(max=0)), total(high.clamp(min=0)), alive.numel())
    pairs = zip(least.split(sizes, 1), most.split(sizes, 1), shapes, strict=True)
    return tuple(Span(a.reshape(rows, *shape), b.reshape(rows, *shape)) for a, b, shape in pairs)


def _through_entries(operator: Operator, span: Span, boxes: Sequence[Box]) -> Span:
    """Return the slope of each entry times v."""
    least, most = operator.slope_range(boxes)  # type: ignore[attr-defined]
    least, most = least.double(), most.double()
    if not operator.piecewise_affine:
        size = torch.maximum(least.abs(), most.abs())
        slack = KERNEL * size[size.isfinite()].amax() if bool(size.isfinite().any()) else 0.0
        direction = operator.monotonicity(0, boxes)
        least = (least - slack).where(~Monotonicity.NONDECREASING.held_by(direction), least.clamp(min=0))
        most = (most + slack).where(~Monotonicity.NONINCREASING.held_by(direction), most.clamp(max=0))
    corners = torch.stack([s * v for s in (least, most) for v in (span.low, span.high)])
    corners = corners.masked_fill(corners.isnan(), 0.0)  # 0 * inf: the factor that is 0 makes it 0
    return Span(corners.amin(0), corners.amax(0))


def _through_any(operator: Operator, span: Span, boxes: Sequence[Box], arg: int) -> Span:
    """Return derivatives that are at most the Lipschitz constant times v, with the sign of the declared direction."""
    shapes = [box.shape for box in boxes]
    steep = min(operator.lipschitz(norm, arg, boxes, shapes) for norm in (1, 2, math.inf))
    steep = steep * (1 + KERNEL)
    direction = operator.monotonicity(arg, boxes)
    most = torch.where(Monotonicity.NONINCREASING.held_by(direction), 0.0, torch.tensor(steep, dtype=torch.float64))
    least = torch.where(Monotonicity.NONDECREASING.held_by(direction), 0.0, torch.tensor(-steep, dtype=torch.float64))
    corners = torch.stack([s * v for s in (least, most) for v in (span.low, span.high)])
    corners = corners.masked_fill(corners.isnan(), 0.0).flatten(2)
    low, high = corners.amin(0).sum(1) * (1 + KERNEL), corners.amax(0).sum(1) * (1 + KERNEL)
    full = (len(low), *shapes[arg])
    sides = [side.reshape(-1, *(1,) * len(shapes[arg])).expand(full) for side in (low, high)]
    return Span(*sides)
