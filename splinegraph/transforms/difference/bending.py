"""Elementwise splines of differences."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from fractions import Fraction

import torch
from torch import Tensor

from splinegraph.core.exact.pieces import intercepts
from splinegraph.core.graph import Node
from splinegraph.core.switching import Breaks
from splinegraph.core.values import Box
from splinegraph.operators.maximum import Maximum
from splinegraph.transforms.difference.building import Builder, Coefficient, Sums, Terms, Triple
from splinegraph.transforms.difference.columns import ConvexColumn, Line, halves, in_two

__all__ = ["bent", "straight"]

ZERO = ConvexColumn(((Fraction(0), Fraction(0)),))


def bent(builder: Builder, node: Node, breaks: Breaks, box: Box, x: Triple, rest: Tensor) -> Sums:
    """Return an elementwise spline of x for some of its entries, the others are zero.

    Parameters
    ----------
    builder : Builder
    node : Node
    breaks : Breaks
        The spline.
    box : Box
        Where its argument is.
    x : Triple
        Its argument.
    rest : Tensor of bool
        The entries.
    """
    pairs = _columns(breaks, box)
    keep = rest.reshape(-1).tolist()
    upper, lower = ([pair[i] if kept else ZERO for pair, kept in zip(pairs, keep, strict=True)] for i in (0, 1))
    return _convex(builder, node, upper, x) - _convex(builder, node, lower, x)


def straight(breaks: Breaks, box: Box) -> tuple[Tensor, Tensor, Tensor] | None:
    """Return slopes and values at zero, as sums of two, of units that are on one line where their argument is.

    None if one bends, or if the values are no such sums.
    """
    columns = [upper for upper, _ in _columns(breaks, box)]
    if any(column.bends or not column.offsets_exact for column in columns):
        return None
    return _floats([c.lines[0][0] for c in columns]), *_in_two([c.lines[0][1] for c in columns])


def _columns(breaks: Breaks, box: Box) -> list[tuple[ConvexColumn, ConvexColumn]]:
    """Return both halves of each unit's function, on the pieces that its range meets."""
    ends = [Fraction(b) for b in breaks.breakpoints.tolist()]
    known: dict[object, tuple[ConvexColumn, ConvexColumn]] = {}
    found = []
    levels = intercepts(breaks).fractions()
    rows = zip(
        breaks.slopes.T.tolist(), itertools.cycle(zip(*levels, strict=True)),
        box.lower.reshape(-1).tolist(), box.upper.reshape(-1).tolist(), strict=False,
    )  # fmt: skip
    for slopes, values, low, high in rows:
        first = sum(b <= low for b in breaks.breakpoints.tolist())
        last = max(first, len(ends) - sum(b >= high for b in breaks.breakpoints.tolist()))
        key = (tuple(slopes), values, first, last)
        if key not in known:
            lines = [(Fraction(p), c) for p, c in zip(slopes, values, strict=True)]
            known[key] = halves(lines[first : last + 1], ends[first:last])
        found.append(known[key])
    return found


def _convex(builder: Builder, node: Node, columns: Sequence[ConvexColumn], x: Triple) -> Sums:
    """Return a convex function of x, one column per entry."""
    if all(column == ZERO for column in columns):
        return Sums()
    most = max(len(column.lines) for column in columns)
    padded = [column.lines + (column.lines[-1],) * (most - len(column.lines)) for column in columns]
    slopes = [_floats([lines[k][0] for lines in padded]) for k in range(most)]
    offsets = [_in_two([lines[k][1] for lines in padded]) for k in range(most)]
    bends = torch.tensor([column.bends for column in columns])
    if most == 2 and not all(column.exact for column in columns):
        pieces, taken = _loose(slopes, x)
        exact = all(
            column.offsets_exact and all(Fraction(float(p)) == p for p, _ in column.lines) for column in columns
        )
    else:
        pieces, taken = _tight(columns, padded, x)
        exact = all(column.exact for column in columns)
    values = [
        _piece(builder, node, terms + _terms(p * bends, x.line), c)
        for terms, p, c in zip(pieces, slopes, offsets, strict=True)
    ]
    largest = values[0]
    for value in values[1:]:
        largest = builder.emit(node, "largest", Maximum(), largest, value)
    return Sums([(1.0, largest)], taken, _terms(slopes[0] * ~bends, x.line), exact)


def _tight(columns: Sequence[ConvexColumn], padded: Sequence[tuple[Line, ...]], x: Triple) -> tuple[list[Terms], Terms]:
    """Return the terms of each piece and those taken off, see `ConvexColumn`."""
    pieces = []
    for k in range(len(padded[0])):
        with_g = _floats([lines[k][0] + c.fall for lines, c in zip(padded, columns, strict=True)])
        with_h = _floats([c.rise - lines[k][0] for lines, c in zip(padded, columns, strict=True)])
        pieces.append(_terms(with_g, x.g) + _terms(with_h, x.h))
    fall, rise = _floats([c.fall for c in columns]), _floats([c.rise for c in columns])
    return pieces, _terms(fall, x.g) + _terms(rise, x.h)


def _loose(slopes: Sequence[Tensor], x: Triple) -> tuple[list[Terms], Terms]:
    """Return the same of two pieces with slopes for factors, where differences of slopes would be rounded."""
    on = [_terms(p.clamp(min=0), x.g) + _terms((-p).clamp(min=0), x.h) for p in slopes]
    off = [_terms((-p).clamp(min=0), x.g) + _terms(p.clamp(min=0), x.h) for p in slopes]
    return [on[0] + off[1], on[1] + off[0]], off[0] + off[1]


def _piece(builder: Builder, node: Node, terms: Terms, offsets: tuple[Tensor, Tensor]) -> str:
    name = builder.sum(node, "piece", terms) or builder.zero(node.args[0])
    for offset in offsets:
        name = builder.shifted(node, "piece", name, offset)
    return name


def _terms(factor: Coefficient, name: str | None) -> Terms:
    return [] if name is None else [(factor, name)]


def _floats(values: Sequence[Fraction]) -> Tensor:
    return torch.tensor([float(v) for v in values], dtype=torch.float64)


def _in_two(values: Sequence[Fraction]) -> tuple[Tensor, Tensor]:
    """Return the values as sums of two floats."""
    high, low = zip(*map(in_two, values), strict=True)
    return torch.tensor(high, dtype=torch.float64), torch.tensor(low, dtype=torch.float64)
