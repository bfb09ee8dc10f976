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

from splinegraph.analyses.convexity.curvature import Course, declared, rivals
from splinegraph.analyses.convexity.spans import Span, through
from splinegraph.analyses.convexity.verdict import Certificate, Finding
from splinegraph.core.affine import AffineOperator
from splinegraph.core.graph import Node
from splinegraph.core.values import Curvature
from splinegraph.core.walk import walk_back

__all__ = ["by_backward"]

ENTRIES = 2**25
"""Entries of one node's intervals made at a time (256 MiB)."""


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
        if isinstance(operator, AffineOperator):
            return through(self.found, node, span, None)
        race = rivals(self.found, node)
        single = torch.tensor(False) if race is None else race.single.reshape(node.shape)
        flags = declared(operator, boxes, [bool(self.found.bends[arg].fixed.all()) for arg in node.args])
        span = self._checked(node, span, torch.where(single, int(Curvature.AFFINE), flags))
        if bool(span.zero.all()):
            return (None,) * len(node.args)
        return through(self.found, node, span, race)

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
