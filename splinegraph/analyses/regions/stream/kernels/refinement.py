"""Cutting one polygon by all units that are undecided on it: depth-first, a few leaves at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.regions.kernels.jit import inner, outer, part
from splinegraph.analyses.regions.stream.kernels.decisions import (
    difference,
    past,
    slack,
    taking_part,
    winner,
)
from splinegraph.analyses.regions.stream.kernels.polygons import clip, middle, values

__all__ = ["FULL", "refine"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Codes = NDArray[np.int32]
Flags = NDArray[np.bool_]

PENDING, LEAVES, LOST = range(3)
"""Places in `count`."""

DONE, FULL, NARROW = range(3)
"""How `refine` ends: as asked, without room for more polygons, or without room for leaves or to work in."""


@part
def _imbalance(forms: Floats, ids: Ints, corners: Floats, ends: Floats, form: Floats) -> float:
    """Return how far off the polygon's middle a unit switches; small is good."""
    x, y = middle(corners)
    if len(ends):
        value, nearest = forms[0, 0] + forms[0, 1] * x + forms[0, 2] * y, np.inf
        for j in range(len(ends)):
            nearest = min(nearest, abs(value - ends[j]))
        score: float = nearest / (abs(forms[0, 1]) + abs(forms[0, 2]) + 1e-300)
        return score
    first = second = -np.inf
    best = 0
    for p in range(len(ids)):
        if ids[p] >= 0:
            value = forms[p, 0] + forms[p, 1] * x + forms[p, 2] * y
            if value > first:
                first, second, best = value, first, p
            elif value > second:
                second = value
    gap: float = (first - second) / (abs(forms[best, 1]) + abs(forms[best, 2]) + 1e-300)
    return gap


@part
def _pick(
    forms: Floats,
    ids: Ints,
    ahead: Ints,
    ends: Floats,
    closed: Flags,
    corners: Floats,
    codes: Codes,
    form: Floats,
    entrants: Ints,
) -> int:
    """Decide what one can on the polygon; return the unit to cut it by, -1 if none is left."""
    chosen, least = -1, np.inf
    for k in range(len(codes)):
        if codes[k] >= 0:
            continue
        if len(ends):
            codes[k] = past(forms[k, 0, 0], forms[k, 0, 1], forms[k, 0, 2], corners, ends, closed)
        elif taking_part(ids, ahead, codes, k, entrants):
            codes[k] = winner(forms[k], entrants, corners, form)
        else:
            continue
        if codes[k] < 0:
            score = _imbalance(forms[k], entrants, corners, ends, form)
            if chosen < 0 or score < least:
                chosen, least = k, score
    return chosen


@inner
def _copy(corners: Floats, count: int, out: Floats) -> None:
    """Write the first `count` corners into `out`."""
    for i in range(count):
        out[i, 0], out[i, 1] = corners[i, 0], corners[i, 1]


@inner
def _keep(form: Floats, tolerance: float, loop: Floats, count: int, h: Floats, room: Floats) -> int:
    """Cut the first `count` corners of a loop down to where the form is >= 0, in place; return their number."""
    values(form, loop[:count], h)
    n = clip(loop[:count], h, tolerance, room)
    _copy(room, n, loop)
    return n


@part
def _strips(
    form: Floats, corners: Floats, ends: Floats, out: Floats, sizes: Ints, h: Floats, room: Floats, turned: Floats
) -> None:
    """Write the part of the polygon on each piece of a unit with breakpoints."""
    for piece in range(len(ends) + 1):
        count = len(corners)
        _copy(corners, count, out[piece])
        for side in range(2):
            end = piece - 1 + side
            if 0 <= end < len(ends) and count:
                sign = 1.0 - 2.0 * side
                turned[0] = sign * (form[0] - ends[end])
                turned[1], turned[2] = sign * form[1], sign * form[2]
                tolerance = slack(turned[0], turned[1], turned[2], abs(ends[end]))
                count = _keep(turned, tolerance, out[piece], count, h, room)
        sizes[piece] = count


@part
def _against(forms: Floats, p: int, q: int, loop: Floats, count: int, h: Floats, room: Floats, form: Floats) -> int:
    """Cut a loop down to where place p beats place q; return its number of corners."""
    tolerance = difference(forms, p, q, form)
    values(form, loop[:count], h)
    lo, hi = np.inf, -np.inf
    for i in range(count):
        lo, hi = min(lo, h[i]), max(hi, h[i])
    if hi <= tolerance:
        return count if lo >= -tolerance and p < q else 0
    return count if lo >= -tolerance else _keep(form, tolerance, loop, count, h, room)


@part
def _realms(
    forms: Floats, ids: Ints, corners: Floats, out: Floats, sizes: Ints, h: Floats, room: Floats, form: Floats
) -> None:
    """Write the part of the polygon where each place wins; equals count for the lower place."""
    for p in range(len(ids)):
        count = len(corners) if ids[p] >= 0 else 0
        _copy(corners, count, out[p])
        for q in range(len(ids)):
            if q != p and ids[q] >= 0 and count:
                count = _against(forms, p, q, out[p], count, h, room, form)
        sizes[p] = count


@part
def _cut(
    forms: Floats,
    ids: Ints,
    ahead: Ints,
    ends: Floats,
    loop: Floats,
    row: Codes,
    k: int,
    out: Floats,
    sizes: Ints,
    h: Floats,
    room: Floats,
    form: Floats,
    entrants: Ints,
) -> int:
    """Write the parts of a polygon on each piece of unit k; return how many are not empty."""
    if len(ends):
        _strips(forms[k, 0], loop, ends, out, sizes, h, room, form)
    else:
        taking_part(ids, ahead, row, k, entrants)
        _realms(forms[k], entrants, loop, out, sizes, h, room, form)
    alive, last = 0, 0
    for piece in range(len(sizes)):
        if sizes[piece]:
            alive, last = alive + 1, piece
    if alive == 1:  # what is cut off is too thin to see
        sizes[last] = len(loop)
        _copy(loop, len(loop), out[last])
    return alive


@inner
def _push(loop: Floats, size: int, row: Codes, count: int, corners: Floats, starts: Ints, codes: Codes) -> int:
    """Put a polygon behind `count` others; return how many there are."""
    begin = starts[count]
    _copy(loop, size, corners[begin:])
    starts[count + 1] = begin + size
    for k in range(len(row)):
        codes[count, k] = row[k]
    return count + 1


@outer
def refine(
    forms: Floats,
    ids: Ints,
    ahead: Ints,
    ends: Floats,
    closed: Flags,
    corners: Floats,
    starts: Ints,
    codes: Codes,
    found: Floats,
    found_starts: Ints,
    found_codes: Codes,
    out: Floats,
    sizes: Ints,
    space: Floats,
    heights: Floats,
    form: Floats,
    entrants: Ints,
    row: Codes,
    count: Ints,
    most: int,
) -> int:
    """Cut polygons until `most` leaves are found, the last polygon first, or until there is too little room.

    Parameters
    ----------
    forms : (K, width, 3)
        Of the K undecided units; width 1 and `ends` given for breakpoints, `ends` empty for contests.
    ids, ahead : (K, width), (K,)
        What the places hold (negative: nothing), and the undecided unit ahead of each or -1.
    ends, closed : (k,)
    corners, starts, codes : (H, 2), (P + 1,), (P, K)
        The polygons, and what is known of each; -1 for undecided.
    found, found_starts, found_codes : (H, 2), (L + 1,), (L, K)
        Get the leaves.
    out, sizes, space, heights, form, entrants, row
        Room, in shapes (pieces, m, 2), (pieces,), (2, m, 2), (m,), (3,), (width,), (K,).
    count : (3,)
        How many polygons are left, how many leaves were found, and how many polygons were lost to rounding.
    """
    pieces, m = len(sizes), len(heights)
    while count[PENDING] and count[LEAVES] < most:
        last = count[PENDING] - 1
        begin, size = starts[last], starts[last + 1] - starts[last]
        wide, leaves = size + pieces + 2, count[LEAVES]
        if begin + pieces * wide > len(corners) or last + pieces > len(codes):
            return FULL
        if wide > m or found_starts[leaves] + size > len(found) or leaves == len(found_codes):
            return NARROW
        loop = space[0][:size]
        _copy(corners[begin:], size, loop)
        for k in range(len(row)):
            row[k] = codes[last, k]
        count[PENDING] = last
        k = _pick(forms, ids, ahead, ends, closed, loop, row, form, entrants)
        if k < 0:
            count[LEAVES] = _push(loop, size, row, leaves, found, found_starts, found_codes)
            continue
        alive = _cut(forms, ids, ahead, ends, loop, row, k, out, sizes, heights, space[1], form, entrants)
        count[LOST] += alive == 0
        for piece in range(pieces - 1, -1, -1):
            if sizes[piece]:
                row[k] = piece
                count[PENDING] = _push(out[piece], sizes[piece], row, count[PENDING], corners, starts, codes)
    return DONE
