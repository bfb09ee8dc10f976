"""Which piece a unit is on over a whole polygon, if it is on one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.regions.kernels.jit import inner, outer
from splinegraph.analyses.regions.stream.kernels.polygons import middle
from splinegraph.analyses.regions.tolerances import ON_BOUNDARY

__all__ = ["difference", "past", "settle_breaks", "settle_contests", "slack", "taking_part", "winner"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Codes = NDArray[np.int32]
Flags = NDArray[np.bool_]

ROUNDING = 1e-15
"""A few rounding units: the error of a difference, relative to the two terms."""


@inner
def slack(c: float, x: float, y: float, terms: float) -> float:
    """Return below which |c + x s + y t| counts as zero, for (s, t) in [-1, 1]^2."""
    return ON_BOUNDARY * (abs(c) + abs(x) + abs(y)) + ROUNDING * terms


@inner
def difference(forms: Floats, i: int, j: int, out: Floats) -> float:
    """Write form i minus form j and return its slack."""
    terms = 0.0
    for d in range(3):
        out[d] = forms[i, d] - forms[j, d]
        terms += abs(forms[i, d]) + abs(forms[j, d])
    return slack(out[0], out[1], out[2], terms)


@inner
def _range(c: float, x: float, y: float, corners: Floats) -> tuple[float, float]:
    """Return the smallest and the largest value of a form at the corners."""
    lo, hi = np.inf, -np.inf
    for i in range(len(corners)):
        value = c + x * corners[i, 0] + y * corners[i, 1]
        lo, hi = min(lo, value), max(hi, value)
    return lo, hi


@inner
def past(c: float, x: float, y: float, corners: Floats, ends: Floats, closed: Flags) -> int:
    """Return how many breakpoints lie left of a form on the polygon; -1 if it crosses one.

    A form that stays at a breakpoint is on the piece that the breakpoint belongs to.
    """
    lo, hi = _range(c, x, y, corners)
    count = 0
    for j in range(len(ends)):
        b = ends[j]
        tolerance = slack(c - b, x, y, abs(b))
        if lo < b - tolerance:
            if hi > b + tolerance:
                return -1
        elif hi > b + tolerance or not closed[j]:
            count += 1
    return count


@inner
def winner(forms: Floats, ids: Ints, corners: Floats, form: Floats) -> int:
    """Return the place of the largest of some forms on the polygon; -1 if another is larger somewhere.

    Places with a negative id do not take part. Of forms that agree on the polygon the lowest place wins.
    `form` is room for three numbers.
    """
    best, top = -1, -np.inf
    x, y = middle(corners)
    for p in range(len(ids)):
        value = forms[p, 0] + forms[p, 1] * x + forms[p, 2] * y
        if ids[p] >= 0 and (best < 0 or value > top):
            best, top = p, value
    lowest = best
    for p in range(len(ids)):
        if ids[p] < 0 or p == best:
            continue
        tolerance = difference(forms, best, p, form)
        lo, hi = _range(form[0], form[1], form[2], corners)
        if lo < -tolerance:
            return -1
        if hi <= tolerance and p < lowest:
            lowest = p
    return lowest


@outer
def settle_breaks(
    rows: Floats, row_of: Ints, corners: Floats, offsets: Ints, ends: Floats, closed: Flags, codes: Codes
) -> None:
    """Write the code of every unit on every polygon, -1 where it is not one code.

    Polygon i lies where the units have the forms ``rows[row_of[i]]``, shape (3, units).
    """
    for i in range(len(row_of)):
        loop, r = corners[offsets[i] : offsets[i + 1]], row_of[i]
        for u in range(rows.shape[2]):
            codes[i, u] = past(rows[r, 0, u], rows[r, 1, u], rows[r, 2, u], loop, ends, closed)


@inner
def taking_part(ids: Ints, ahead: Ints, codes: Codes, u: int, out: Ints) -> bool:
    """Write the ids of unit u, -1 for those that won ahead of it; return whether all of these are known."""
    for p in range(len(out)):
        out[p] = ids[u, p]
    a = ahead[u]
    while a >= 0:
        if codes[a] < 0:
            return False
        for p in range(len(out)):
            if ids[u, p] == ids[a, codes[a]]:
                out[p] = -1
        a = ahead[a]
    return True


def settle_contests(
    rows: Floats, row_of: Ints, corners: Floats, offsets: Ints, position: Ints, after: Ints, codes: Codes
) -> None:
    """Write the winner of every unit on every polygon, -1 where there are several."""
    width = position.shape[1]
    room = np.empty((width, 3)), np.empty(3), np.empty(width, dtype=np.int64)
    _settle_contests(rows, row_of, corners, offsets, position, after, codes, *room)


@outer
def _settle_contests(
    rows: Floats,
    row_of: Ints,
    corners: Floats,
    offsets: Ints,
    position: Ints,
    after: Ints,
    codes: Codes,
    forms: Floats,
    form: Floats,
    ids: Ints,
) -> None:
    for i in range(len(row_of)):
        loop, r = corners[offsets[i] : offsets[i + 1]], row_of[i]
        for u in range(len(position)):
            if not taking_part(position, after, codes[i], u, ids):
                codes[i, u] = -1
                continue
            for p in range(len(ids)):
                if ids[p] >= 0:
                    for d in range(3):
                        forms[p, d] = rows[r, d, ids[p]]
            codes[i, u] = winner(forms, ids, loop, form)
