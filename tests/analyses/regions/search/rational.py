"""Whether a cell has an interior, decided over the rational numbers: no rounding, and no code of the search."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.packing import unpack
from splinegraph.analyses.regions.search import tables as at
from splinegraph.analyses.regions.search.program import Program

__all__ = ["exact_cell"]

Form = list[Fraction]
"""The D coefficients of an affine form, and its constant."""


class _Empty(Exception):
    """A condition that holds nowhere."""


def exact_cell(program: Program, packed: NDArray[np.uint8]) -> tuple[Fraction, ...] | None:
    """Return a point in the interior of the cell that a code names, exactly; None if it has no interior.

    Parameters
    ----------
    program : Program
        Its numbers are taken for what they are: rationals with a power of two below.
    packed : array of uint8, shape (bytes,)

    Returns
    -------
    tuple of Fraction, of length D, or None

    Notes
    -----
    One linear program in D + 1 variables by the simplex method with Bland's rule. Rationals grow with depth and with
    every pivot: for small networks, and for the few cells of larger ones that are in doubt.
    """
    try:
        rows = list(_conditions(program, np.ascontiguousarray(packed)))
    except _Empty:
        return None
    lower, upper = _exact(program.lower), _exact(program.upper)
    for g, h in zip(program.G, program.h, strict=True):
        rows.append([*(-v for v in _exact(g)), Fraction(float(h))])
    solid = [row for row in rows if any(row[:-1])]
    if any(row[-1] < 0 for row in rows if not any(row[:-1])):
        return None
    return _interior(solid, lower, upper)


def _exact(values: NDArray[np.float64] | Sequence[float]) -> list[Fraction]:
    return [Fraction(float(v)) for v in values]


def _conditions(program: Program, packed: NDArray[np.uint8]) -> Iterator[Form]:
    """Yield the forms that are nonnegative on the cell, node by node."""
    net = program.tables
    values: list[list[Form]] = []
    for n, layer in enumerate(program.layers):
        codes = unpack(packed[None, layer.start : layer.stop], layer.units, layer.bits, layer.dtype)[0].tolist()
        forms = _forms(program, n, values)
        if net.node[n, at.KIND] == at.BREAKS:
            yield from _breaks(program, n, forms, codes)
            values.append(_pieces(program, n, forms, codes))
        else:
            yield from _contests(program, n, forms, codes)
            values.append([forms[_members(program, n, u)[code]] for u, code in enumerate(codes)])


def _forms(program: Program, n: int, values: Sequence[Sequence[Form]]) -> list[Form]:
    """Return the pre-activations of a node."""
    net, dim = program.tables, program.dim
    row = net.node[n]
    pre, count = int(row[at.PRE]), int(row[at.PRES])
    forms = [_exact(net.base[: dim + 1, pre + i]) for i in range(count)]
    for b in range(row[at.BLOCK], row[at.BLOCK] + row[at.BLOCKS]):
        source = values[net.block[b, at.FROM]]
        for unit, i, weight in _entries(program, b, len(source), count):
            factor = Fraction(weight)
            forms[i] = [f + factor * v for f, v in zip(forms[i], source[unit], strict=True)]
    return forms


def _entries(program: Program, b: int, units: int, count: int) -> Iterator[tuple[int, int, float]]:
    """Yield (unit, pre-activation, weight) of a block."""
    net = program.tables
    _, dense, data, start = (int(v) for v in net.block[b])
    for unit in range(units):
        if dense:
            part = net.data[data + unit * count : data + (unit + 1) * count]
            yield from ((unit, i, float(w)) for i, w in enumerate(part) if w)
        else:
            for e in range(net.links[start + unit], net.links[start + unit + 1]):
                yield unit, int(net.links[start + units + 1 + e]), float(net.data[data + e])


def _breaks(program: Program, n: int, forms: Sequence[Form], codes: Sequence[int]) -> Iterator[Form]:
    net, row = program.tables, program.tables.node[n]
    ends = _exact(net.data[row[at.BREAK] : row[at.BREAK] + row[at.BREAKPOINTS]])
    closed = net.links[row[at.CLOSED] : row[at.CLOSED] + row[at.BREAKPOINTS]]
    for form, code in zip(forms, codes, strict=True):
        piece = code - int(row[at.FIRST])
        if not 0 <= piece <= len(ends):
            raise _Empty
        for j, sign in ((piece - 1, 1), (piece, -1)):
            if 0 <= j < len(ends):
                margin = [*(sign * v for v in form[:-1]), sign * (form[-1] - ends[j])]
                if not any(margin) and (sign > 0) == bool(closed[j]):
                    raise _Empty
                yield margin


def _pieces(program: Program, n: int, forms: Sequence[Form], codes: Sequence[int]) -> list[Form]:
    net, row = program.tables, program.tables.node[n]
    found = []
    for u, (form, code) in enumerate(zip(forms, codes, strict=True)):
        place = (code - int(row[at.FIRST])) * int(row[at.UNITS]) + u
        slope = Fraction(float(net.data[row[at.SLOPE] + place]))
        value = [slope * v for v in form]
        value[-1] += Fraction(float(net.data[row[at.INTERCEPT] + place]))
        found.append(value)
    return found


def _members(program: Program, n: int, u: int) -> list[int]:
    row = program.tables.node[n]
    start, width = int(row[at.MEMBER]), int(row[at.WIDTH])
    return [int(v) for v in program.tables.links[start + u * width : start + (u + 1) * width]]


def _contests(program: Program, n: int, forms: Sequence[Form], codes: Sequence[int]) -> Iterator[Form]:
    row = program.tables.node[n]
    sign = int(row[at.SIGN])
    for u, winner in enumerate(codes):
        members, out, v = _members(program, n, u), set(), int(program.tables.links[row[at.AFTER] + u])
        while v >= 0:
            out.add(codes[v])
            v = int(program.tables.links[row[at.AFTER] + v])
        if winner in out or not 0 <= winner < len(members) or members[winner] < 0:
            raise _Empty
        for place, member in enumerate(members):
            if member < 0 or place == winner or place in out:
                continue
            margin = [sign * (a - b) for a, b in zip(forms[members[winner]], forms[member], strict=True)]
            if not any(margin) and place < winner:
                raise _Empty
            yield margin


def _interior(rows: Sequence[Form], lower: Form, upper: Form) -> tuple[Fraction, ...] | None:
    """Return a point of the box where all forms are positive, by raising the least of them, or None."""
    dim = len(lower)
    if not rows:
        return tuple((a + b) / 2 for a, b in zip(lower, upper, strict=True))
    at_corner = [
        [*row[:-1], row[-1] + sum((g * t for g, t in zip(row, lower, strict=False)), Fraction(0))] for row in rows
    ]
    least = min(range(len(rows)), key=lambda i: at_corner[i][-1])
    lead = at_corner[least]
    # variables: t - lower, and the slack of the least form; s = lead - slack; the other slacks are form - s
    goal = [*lead[:-1], Fraction(-1), lead[-1]]
    slacks = [
        [*(a - b for a, b in zip(row[:-1], lead[:-1], strict=True)), Fraction(1), row[-1] - lead[-1]]
        for i, row in enumerate(at_corner)
        if i != least
    ]
    sides = [[*(Fraction(-int(i == d)) for i in range(dim)), Fraction(0), upper[d] - lower[d]] for d in range(dim)]
    coordinates = [[*(Fraction(int(i == d)) for i in range(dim)), Fraction(0), lower[d]] for d in range(dim)]
    slacks += sides + [[*(Fraction(int(i == d)) for i in range(dim + 1)), Fraction(0)] for d in range(dim + 1)]
    return _raise(goal, slacks, coordinates)


def _value(form: Form, point: Form) -> Fraction:
    return sum((g * t for g, t in zip(form[:-1], point, strict=True)), form[-1])


def _raise(goal: Form, slacks: list[Form], coordinates: list[Form]) -> tuple[Fraction, ...] | None:
    """Return the coordinates once the goal is positive, or None at a maximum that is not; by Bland's rule."""
    size = len(goal) - 1
    names = [len(slacks) - size + q for q in range(size)]
    while goal[-1] <= 0:
        choice = [q for q in range(size) if goal[q] > 0]
        if not choice:
            return None
        k = min(choice, key=lambda q: names[q])
        stops = [(row[-1] / -row[k], i) for i, row in enumerate(slacks) if row[k] < 0]
        if not stops:  # the least form grows for ever
            return None
        r = min(stops)[1]
        lead, names[k] = list(slacks[r]), r
        for form in (goal, *slacks, *coordinates):
            factor = form[k] / lead[k]
            if factor:
                form[:] = [f - factor * v for f, v in zip(form, lead, strict=True)]
                form[k] = factor
    return tuple(c[-1] for c in coordinates)
