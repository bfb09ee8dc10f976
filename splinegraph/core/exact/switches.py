"""Which piece each unit is on, decided on exact numbers."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from splinegraph.core.exact.dyadic import Dyadic, Integers, Sparse, dyadic
from splinegraph.core.exact.pieces import intercepts
from splinegraph.core.operator import Conditions, Shapes, SplineOperator
from splinegraph.core.switching import Breaks, Contest, Switching
from splinegraph.core.values import Box
from splinegraph.errors import UnsupportedOperatorError

__all__ = ["around", "code_at", "guess", "margins", "tied"]


def around(operator: SplineOperator, shapes: Shapes, args: Sequence[Dyadic], one: int) -> Switching | None:
    """Return how the units of an operator without a finite list switch near a point; None if unknown."""
    floats = nearest(args, one, shapes)
    if not all(bool(x.isfinite().all()) for x in floats):
        return None
    return operator.switching(shapes, [Box(x.floor() - 1, x.ceil() + 1) for x in floats])


def code_at(switching: Switching, args: Sequence[Dyadic], one: int) -> list[int]:
    """Return the code of every unit at a point.

    Parameters
    ----------
    args : sequence of Dyadic
        The arguments, flattened, the point in column 0.
    one : int
        What the numbers of the point are to be divided by.
    """
    shift = max(arg.shift for arg in args)
    values = [v for arg in args for v in arg.raised(shift)[:, 0].tolist()]
    if isinstance(switching, Breaks):
        return _past(switching, values, one << shift)
    return _winners(switching, values, [len(arg.numbers) for arg in args])


def _past(breaks: Breaks, values: list[int], one: int) -> list[int]:
    """Return how many breakpoints are to the left of each value."""
    ends = dyadic(breaks.breakpoints)
    levels, fine = [int(end) * one for end in ends.numbers], 1 << ends.shift
    open_left = [not closed for closed in breaks.closed_left.tolist()]
    codes = []
    for value in values:
        start, stop = bisect.bisect_left(levels, value * fine), bisect.bisect_right(levels, value * fine)
        codes.append(breaks.first + start + sum(open_left[start:stop]))
    return codes


def _winners(contest: Contest, values: list[int], sizes: Sequence[int]) -> list[int]:
    """Return the place of the best entry that takes part in each unit, the lowest of equals."""
    table, after = contest.columns(sizes).tolist(), contest.after.tolist()
    sign = 1 if contest.largest else -1
    codes: list[int] = []
    won: list[int] = []
    for row, ahead in zip(table, after, strict=True):
        out = set()
        while ahead >= 0:
            out.add(won[ahead])
            ahead = after[ahead]
        best = -1
        for place, entry in enumerate(row):
            if entry >= 0 and entry not in out and (best < 0 or sign * values[entry] > sign * values[row[best]]):
                best = place
        codes.append(best)
        won.append(row[best])
    return codes


def margins(conditions: Conditions, args: Sequence[Dyadic], unit: Integers) -> Dyadic:
    """Return h - G x for tables of arguments with one column per point or direction, shape (rows, columns).

    `unit` holds by what h is multiplied in each column; see `ExactPiece.apply`.
    """
    shift = max(arg.shift for arg in args)
    table = Dyadic(np.concatenate([arg.raised(shift) for arg in args]), shift)
    column = conditions.position.numpy() + _starts(args)[conditions.argument.numpy()]
    shape = len(conditions), len(table.numbers)
    rows = Sparse.of(conditions.row.numpy(), column, dyadic(-conditions.coefficient), shape) @ table
    h = dyadic(conditions.rhs[:, None])
    return rows + Dyadic(h.numbers * unit[None], h.shift)


def tied(
    operator: SplineOperator,
    switching: Switching | None,
    code: Tensor,
    shapes: Shapes,
    args: Sequence[Dyadic],
    one: int,
) -> Tensor:
    """Return which units are on a boundary of their cells: bool, of the code's shape.

    `args` have a second column, how they move in a generic direction: a condition that holds with equality and
    does not move is no boundary, nor is a breakpoint where nothing bends.
    """
    conditions = operator.conditions(code, shapes)
    slack = margins(conditions, args, np.array([one, 0], dtype=object)).numbers
    met = torch.from_numpy((slack[:, 0] == 0) & (slack[:, 1] != 0))
    if isinstance(switching, Breaks):  # one entry a row, with coefficient 1 at the upper end of a piece
        upper = torch.zeros(len(conditions), dtype=torch.bool)
        upper[conditions.row] = conditions.coefficient > 0
        place = code.reshape(-1)[conditions.unit].long() - switching.first
        bent = torch.from_numpy(_bends(switching))
        met &= bent[torch.where(upper, place, place - 1), conditions.unit if bent.shape[1] > 1 else 0]
    found = torch.zeros(code.numel(), dtype=torch.bool)
    found[conditions.unit[met]] = True
    return found.reshape(code.shape)


def _bends(breaks: Breaks) -> NDArray[np.bool_]:
    """Return at which breakpoints (and for which units, if they differ) the pieces on both sides are not the same."""
    levels = intercepts(breaks).numbers
    slopes = breaks.slopes[:, : levels.shape[1]].numpy()
    return np.asarray((np.diff(slopes, axis=0) != 0) | (levels[1:] != levels[:-1]))


def guess(operator: SplineOperator, shapes: Shapes, args: Sequence[Dyadic], one: int) -> Tensor:
    """Return the code of an operator that lists no switches: from floats or from ranks, if its conditions hold.

    Raises
    ------
    UnsupportedOperatorError
        If the point is on a boundary where the operator jumps, and floats do not show on which side.
    """
    exact = [Fraction(v, one << arg.shift) for arg in args for v in arg.numbers[:, 0].tolist()]
    floats = torch.cat([x.reshape(-1) for x in nearest(args, one, shapes)])
    above = torch.tensor([(v > f) - (v < f) for f, v in zip(floats.tolist(), exact, strict=True)])
    up = torch.where(above > 0, floats.nextafter(torch.full_like(floats, math.inf)), floats)
    down = torch.where(above < 0, floats.nextafter(torch.full_like(floats, -math.inf)), floats)
    order = {v: float(k) for k, v in enumerate(sorted(set(exact)))}
    ranks = torch.tensor([order[v] for v in exact], dtype=torch.float64)
    sizes = [len(arg.numbers) for arg in args]
    for values in (floats, up, down, ranks):
        points = [part.reshape(tuple(s)) for part, s in zip(values.split(sizes), shapes, strict=True)]
        code = operator.code(*points)
        conditions = operator.conditions(code, shapes)
        slack = margins(conditions, args, np.array([one], dtype=object)).numbers[:, 0]
        row, count = conditions.row, len(conditions)
        if values is ranks:  # which keep ties of entries with each other
            total = torch.zeros(count, dtype=torch.float64).index_add(0, row, conditions.coefficient)
            open_ = (total != 0) | (conditions.rhs != 0)
        else:  # a comparison of floats rounds nothing
            entry = conditions.position + torch.from_numpy(_starts(args))[conditions.argument]
            open_ = torch.zeros(count).index_add(0, row, (above[entry] != 0).float()) > 0
        if (slack >= 0).all() and (operator.continuous or not (open_.numpy() & (slack == 0)).any()):
            return code
    raise UnsupportedOperatorError(
        f"the piece of {operator.label} cannot be decided exactly",
        why="the point is on or next to a boundary, where it jumps",
        remedy="choose another point",
    )


def _starts(args: Sequence[Dyadic]) -> NDArray[np.int64]:
    """Return where each argument begins when they are put one behind the other."""
    return np.cumsum([0, *(len(arg.numbers) for arg in args[:-1])])


def nearest(args: Sequence[Dyadic], one: int, shapes: Shapes) -> list[Tensor]:
    """Return exact arguments to the nearest float64."""
    return [
        torch.tensor([_float(Fraction(int(v), one << arg.shift)) for v in arg.numbers[:, 0]], dtype=torch.float64)
        .reshape(tuple(shape))
        for arg, shape in zip(args, shapes, strict=True)
    ]  # fmt: skip


def _float(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.copysign(math.inf, value)
