"""Interval bounds of all values, with rounding that keeps signs: a sum of terms >= 0 stays >= 0."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from splinegraph.analyses.batches import widest
from splinegraph.analyses.convexity.place import Place
from splinegraph.analyses.lipschitz.rounding import UNIT, roundoff
from splinegraph.core.affine import AffineOperator
from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.operator import Operator
from splinegraph.core.values import Box
from splinegraph.core.walk import walk
from splinegraph.operators.base import PiecewiseElementwise

__all__ = ["outward", "ranges"]

MOST_FORMS = 2**22
"""Entries of the affine forms of the widest value (32 MiB)."""

ROUNDING = 1e-13
"""Relative margin of operators other than sums: of the largest value that they read or give."""


def outward(good: Tensor, bad: Tensor, terms: int) -> Tensor:
    """Return a lower bound of good - bad, each a sum of so many terms that are not negative; -inf where it is NaN.

    With bad = 0 it is not negative.
    """
    gamma = roundoff(terms)
    return (good * (1 - gamma) - bad * (1 + gamma)).nan_to_num(-math.inf, math.inf, -math.inf)


@dataclass(frozen=True, eq=False)
class _Form:
    """An affine value: center + t @ moves, for the t that `Place.spread` speaks of; shapes (1, ...) and (D, 1, ...)."""

    center: Tensor
    moves: Tensor


_Ranged = tuple[Box, _Form | None]


def ranges(graph: SplineGraph, place: Place, operators: Mapping[str, Operator]) -> dict[str, Box]:
    """Return boxes of all values at batch size one.

    Parameters
    ----------
    graph : SplineGraph
    place : Place
    operators : mapping from name to Operator
        In float64.

    Notes
    -----
    Values that are affine in the inputs, up to the first nonlinear operator, are exact on planes, segments and balls
    too, if they are small. `lipschitz.intervals.intervals` widens all entries of a value alike, so that a unit that is
    0 at its least may come out negative; here it would count as one that bends.
    """
    found: dict[str, Box] = {}

    def visit(node: Node, operator: Operator, args: tuple[_Ranged, ...]) -> _Ranged:
        boxes = [box for box, _ in args]
        form = None
        if isinstance(operator, AffineOperator):
            found[node.name] = _sums(operator, boxes)
            form = _moved(operator, [form for _, form in args])
        else:
            found[node.name] = _image(operator, boxes)
        if form is not None:
            found[node.name] = _narrowed(found[node.name], form, place)
        return found[node.name], form

    starts = [Box(box.lower[None], box.upper[None]) for box in place.boxes]
    found.update(zip(graph.inputs, starts, strict=True))
    forms: list[_Form | None] = [None] * len(starts)
    parametrized = place.parametrized(MOST_FORMS // max(widest(graph), 1))
    if parametrized is not None:
        forms = [_Form(center, moves) for center, moves in parametrized]
    with torch.no_grad():
        walk(graph, list(zip(starts, forms, strict=True)), visit, operators=operators)
    return found


def _moved(operator: AffineOperator, forms: Sequence[_Form | None]) -> _Form | None:
    known = [form for form in forms if form is not None]
    if len(known) < len(forms):
        return None
    return _Form(operator.forward(*(f.center for f in known)), operator.linear(*(f.moves for f in known)))


def _narrowed(box: Box, form: _Form, place: Place) -> Box:
    """Return what a box and an affine form both allow; terms of the form are no larger than the box is wide."""
    spread = place.spread(form.moves)
    size = torch.cat([side.abs().reshape(-1) for side in (*box, form.center, spread)])
    slack = 10 * ROUNDING * size[size.isfinite()].max() if size.numel() else 0.0
    lower = torch.maximum(box.lower, form.center - spread - slack)
    upper = torch.minimum(box.upper, form.center + spread + slack)
    return Box(torch.minimum(lower, upper), torch.maximum(lower, upper))


def _sums(operator: AffineOperator, args: Sequence[Box]) -> Box:
    """Return A+ and A- times the ends by their signs, plus the bias."""
    zeros = [torch.zeros_like(box.lower) for box in args]
    bias = operator.forward(*zeros)
    if not bias.is_floating_point():
        return operator.bounds(*args)
    slack = ROUNDING * bias.abs().amax() * (bias != 0) if bias.numel() else bias
    parts = [(s.clamp(min=0), -s.clamp(max=0)) for box in args for s in box]
    none = torch.zeros_like(bias)
    sums = []
    for part in operator.split():
        ends = [[parts[2 * i + side][sign] for i in range(len(args))] for side in (0, 1) for sign in (0, 1)]
        sums.append([none if part is None else part.linear(*end) for end in ends])
    (low_up, low_down, high_up, high_down), (low_up_, low_down_, high_up_, high_down_) = sums
    terms = sum(box.lower.numel() for box in args)
    rise, fall = bias.clamp(min=0), -bias.clamp(max=0)
    lower = outward(low_up + high_down_ + rise, low_down + high_up_ + fall, terms) - slack
    upper = -outward(high_down + low_up_ + fall, high_up + low_down_ + rise, terms) + slack
    return Box(lower, upper)


def _image(operator: Operator, args: Sequence[Box]) -> Box:
    """Return the declared image, widened for rounding, but not beyond the image of all of space."""
    image = operator.bounds(*args)
    if operator.family in ("maximum", "order"):
        return image  # entries of the arguments
    if isinstance(operator, PiecewiseElementwise) and not any(torch.as_tensor(c).any() for c in operator.intercepts):
        return Box(image.lower - 4 * UNIT * image.lower.abs(), image.upper + 4 * UNIT * image.upper.abs())
    sides = [side.double().abs().reshape(-1) for box in (image, *args) for side in box]
    size = torch.cat(sides)
    slack = ROUNDING * size[size.isfinite()].max() if bool(size.isfinite().any()) else 0.0
    whole = operator.bounds(*(Box.everything(tuple(box.shape)) for box in args))
    return Box(torch.maximum(image.lower - slack, whole.lower), torch.minimum(image.upper + slack, whole.upper))
