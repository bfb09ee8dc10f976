"""Cutting one polygon by all units that are undecided on it: depth-first, a few leaves at a time."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from splinegraph.analyses.regions.stream.kernels.decisions import (
    difference,
    past,
    slack,
    taking_part,
    winner,
)
from splinegraph.analyses.regions.stream.kernels.polygons import clip, middle, values

__all__ = ["refine"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Codes = NDArray[np.int32]
Flags = NDArray[np.bool_]


@njit(cache=True)
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


@njit(cache=True)
def _pick(forms: Floats, ids: Ints, ahead: Ints, ends: Floats, closed: Flags, corners: Floats, codes: Codes) -> int:
    """Decide what one can on the polygon; return the unit to cut it by, -1 if none is left."""
    chosen, least = -1, np.inf
    form, part = np.empty(3), np.empty(ids.shape[1], np.int64)
    for k in range(len(codes)):
        if codes[k] >= 0:
            continue
        if len(ends):
            codes[k] = past(forms[k, 0, 0], forms[k, 0, 1], forms[k, 0, 2], corners, ends, closed)
        elif taking_part(ids, ahead, codes, k, part):
            codes[k] = winner(forms[k], part, corners, form)
        else:
            continue
        if codes[k] < 0:
            score = _imbalance(forms[k], part, corners, ends, form)
            if chosen < 0 or score < least:
                chosen, least = k, score
    return chosen


@njit(cache=True)
def _copy(corners: Floats, count: int, out: Floats, start: int) -> None:
    """Write the first `count` corners into `out`, from row `start` on."""
    for i in range(count):
        out[start + i, 0], out[start + i, 1] = corners[i, 0], corners[i, 1]


@njit(cache=True)
def _keep(form: Floats, tolerance: float, loop: Floats, count: int, h: Floats, room: Floats) -> int:
    """Cut the first `count` corners of a loop down to where the form is >= 0, in place; return their number."""
    values(form, loop[:count], h)
    n = clip(loop[:count], h, tolerance, room)
    _copy(room, n, loop, 0)
    return n


@njit(cache=True)
def _strips(form: Floats, corners: Floats, ends: Floats, out: Floats, sizes: Ints) -> None:
    """Write the part of the polygon on each piece of a unit with breakpoints."""
    room, h, turned = np.empty((out.shape[1], 2)), np.empty(out.shape[1]), np.empty(3)
    for piece in range(len(ends) + 1):
        count = len(corners)
        _copy(corners, count, out[piece], 0)
        for side in range(2):
            end = piece - 1 + side
            if 0 <= end < len(ends) and count:
                sign = 1.0 - 2.0 * side
                turned[0] = sign * (form[0] - ends[end])
                turned[1], turned[2] = sign * form[1], sign * form[2]
                tolerance = slack(turned[0], turned[1], turned[2], abs(ends[end]))
                count = _keep(turned, tolerance, out[piece], count, h, room)
        sizes[piece] = count


@njit(cache=True)
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


@njit(cache=True)
def _realms(forms: Floats, ids: Ints, corners: Floats, out: Floats, sizes: Ints) -> None:
    """Write the part of the polygon where each place wins; equals count for the lower place."""
    room, h, form = np.empty((out.shape[1], 2)), np.empty(out.shape[1]), np.empty(3)
    for p in range(len(ids)):
        count = len(corners) if ids[p] >= 0 else 0
        _copy(corners, count, out[p], 0)
        for q in range(len(ids)):
            if q != p and ids[q] >= 0 and count:
                count = _against(forms, p, q, out[p], count, h, room, form)
        sizes[p] = count


@njit(cache=True)
def _wider(array: Floats, rows: int) -> Floats:
    """Return the numbers with room for at least `rows` corners."""
    if rows <= len(array):
        return array
    wider = np.empty((max(rows, 2 * len(array)), 2))
    _copy(array, len(array), wider, 0)
    return wider


@njit(cache=True)
def _longer(starts: Ints, codes: Codes, rows: int) -> tuple[Ints, Codes]:
    """Return both with room for at least `rows` polygons."""
    if rows <= len(codes):
        return starts, codes
    room = max(rows, 2 * len(codes))
    more_starts, more_codes = np.empty(room + 1, np.int64), np.empty((room, codes.shape[1]), np.int32)
    for i in range(len(codes)):
        for k in range(codes.shape[1]):
            more_codes[i, k] = codes[i, k]
    for i in range(len(starts)):
        more_starts[i] = starts[i]
    return more_starts, more_codes


@njit(cache=True)
def _push(
    loop: Floats, row: Codes, count: int, corners: Floats, starts: Ints, codes: Codes
) -> tuple[Floats, Ints, Codes]:
    """Put a polygon behind `count` others."""
    begin = starts[count]
    corners = _wider(corners, begin + len(loop))
    starts, codes = _longer(starts, codes, count + 1)
    _copy(loop, len(loop), corners, begin)
    starts[count + 1] = begin + len(loop)
    for k in range(len(row)):
        codes[count, k] = row[k]
    return corners, starts, codes


@njit(cache=True)
def _cut(
    forms: Floats, ids: Ints, ahead: Ints, ends: Floats, loop: Floats, row: Codes, k: int
) -> tuple[Floats, Ints, int]:
    """Return the parts of a polygon on each piece of unit k, their numbers of corners, and how many are not empty."""
    pieces = len(ends) + 1 if len(ends) else ids.shape[1]
    out, sizes = np.empty((pieces, len(loop) + pieces + 2, 2)), np.zeros(pieces, np.int64)
    if len(ends):
        _strips(forms[k, 0], loop, ends, out, sizes)
    else:
        part = np.empty(ids.shape[1], np.int64)
        taking_part(ids, ahead, row, k, part)
        _realms(forms[k], part, loop, out, sizes)
    alive, last = 0, 0
    for piece in range(pieces):
        if sizes[piece]:
            alive, last = alive + 1, piece
    if alive == 1:  # what is cut off is too thin to see
        sizes[last] = len(loop)
        _copy(loop, len(loop), out[last], 0)
    return out, sizes, alive


@njit(cache=True)
def refine(
    forms: Floats,
    ids: Ints,
    ahead: Ints,
    ends: Floats,
    closed: Flags,
    corners: Floats,
    starts: Ints,
    codes: Codes,
    most: int,
) -> tuple[Floats, Ints, Codes, Floats, Ints, Codes, int]:
    """Cut polygons until `most` leaves are found, the last polygon first.

    Parameters
    ----------
    forms : (K, width, 3)
        Of the K undecided units; width 1 and `ends` given for breakpoints, `ends` empty for contests.
    ids, ahead : (K, width), (K,)
        What the places hold (negative: nothing), and the undecided unit ahead of each or -1.
    ends, closed : (k,)
    corners, starts, codes : (H, 2), (P + 1,), (P, K)
        The polygons, and what is known of each; -1 for undecided.

    Returns
    -------
    The same three for the leaves, then for what is left, and how many polygons were lost to rounding.
    """
    found, found_starts = np.empty((64, 2)), np.zeros(9, np.int64)
    found_codes = np.empty((8, codes.shape[1]), np.int32)
    leaves, pending, lost = 0, len(codes), 0
    while pending and leaves < most:
        pending -= 1
        loop, row = corners[starts[pending] : starts[pending + 1]].copy(), codes[pending].copy()
        k = _pick(forms, ids, ahead, ends, closed, loop, row)
        if k < 0:
            found, found_starts, found_codes = _push(loop, row, leaves, found, found_starts, found_codes)
            leaves += 1
            continue
        out, sizes, alive = _cut(forms, ids, ahead, ends, loop, row, k)
        lost += alive == 0
        for piece in range(len(sizes) - 1, -1, -1):
            if sizes[piece]:
                row[k] = piece
                corners, starts, codes = _push(out[piece, : sizes[piece]], row, pending, corners, starts, codes)
                pending += 1
    left = starts[pending]
    return (
        found[: found_starts[leaves]], found_starts[: leaves + 1], found_codes[:leaves],
        corners[:left], starts[: pending + 1], codes[:pending], lost,
    )  # fmt: skip
