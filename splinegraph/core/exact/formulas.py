"""What an operator computes, as sympy expressions of its arguments: derived from its piece or its switches."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import fields
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from splinegraph.core.exact.dyadic import Integers, Sparse, dyadic, fractions
from splinegraph.core.exact.pieces import intercepts, read
from splinegraph.core.switching import Breaks, Contest
from splinegraph.errors import SplineGraphError, UnsupportedOperatorError

if TYPE_CHECKING:
    from splinegraph.core.operator import SplineOperator

__all__ = ["Expressions", "choice", "from_switches", "from_text", "rational", "truth"]

Expressions = NDArray[np.object_]
"""Of sympy expressions."""

MOST_SUBSETS = 10_000
"""Minima that an order statistic may be the maximum of."""


def rational(value: Fraction) -> Any:
    """Return a fraction as a sympy number."""
    import sympy

    return sympy.Rational(value.numerator, value.denominator)


def from_text(formula: str, operator: Any, x: Expressions) -> Expressions:
    """Return a formula of `x` for every entry; other names in it are fields of the operator."""
    import sympy

    settings = {f.name: getattr(operator, f.name) for f in fields(operator)}
    numbers = {name: rational(Fraction(v)) for name, v in settings.items() if isinstance(v, int | float)}
    symbol = sympy.Dummy("x", real=True)
    known = {"x": symbol, **numbers}
    expression = sympy.sympify(formula, locals=known, rational=True)
    return entrywise(lambda entry: expression.subs(symbol, entry), x)


def entrywise(function: Callable[[Any], Any], x: Expressions) -> Expressions:
    """Return a function of every entry."""
    found = np.empty(x.shape, dtype=object)
    for place, entry in np.ndenumerate(x):
        found[place] = function(entry)
    return found


def truth(kind: str, left: Any, right: Any) -> Expressions:
    """Return 1 where a comparison (gt, ge, lt, le, eq or ne) holds, else 0; tensors and numbers stand for constants."""
    import sympy

    relation = {"gt": sympy.Gt, "ge": sympy.Ge, "lt": sympy.Lt, "le": sympy.Le, "eq": sympy.Eq, "ne": sympy.Ne}[kind]
    return _together(lambda a, b: sympy.Piecewise((1, relation(a, b)), (0, True)), left, right)


def choice(condition: Any, if_true: Any, if_false: Any) -> Expressions:
    """Return the second argument where the first is above 1/2, else the third."""
    import sympy

    half = sympy.Rational(1, 2)
    return _together(lambda c, a, b: sympy.Piecewise((a, sympy.Gt(c, half)), (b, True)), condition, if_true, if_false)


def _together(function: Callable[..., Any], *args: Any) -> Expressions:
    """Return a function of the entries of arguments that broadcast."""
    arrays = [a if isinstance(a, np.ndarray) else _constant(a) for a in args]
    shape = np.broadcast_shapes(*(a.shape for a in arrays))
    flat = [np.broadcast_to(a, shape).reshape(-1).tolist() for a in arrays]
    return _array([function(*entries) for entries in zip(*flat, strict=True)]).reshape(shape)


def _constant(value: Any) -> Expressions:
    plain = value.tolist() if isinstance(value, torch.Tensor) else value
    return entrywise(lambda v: rational(Fraction(v)), np.array(plain, dtype=object))


def from_switches(operator: SplineOperator, xs: Sequence[Expressions]) -> Expressions:
    """Return what a piecewise affine operator computes: sums, maxima, minima, cases.

    Raises
    ------
    UnsupportedOperatorError
        If its switches cannot be listed.
    """
    shapes = [x.shape for x in xs]
    zeros = [torch.zeros(shape, dtype=torch.float64) for shape in shapes]
    shape = tuple(operator.forward(*zeros).shape)
    if operator.alphabet(shapes) == 1:
        piece = read(operator.linearize(*zeros), shapes)
        constants = fractions(piece.constant.numbers[:, 0], 1 << piece.constant.shift)
        return _sums(piece.parts, constants, xs).reshape(shape)
    switching = operator.switching(shapes)
    flat = [x.reshape(-1) for x in xs]
    if isinstance(switching, Breaks):
        return _univariate(switching, flat[0]).reshape(shape)
    if isinstance(switching, Contest):
        return _best(switching, flat).reshape(shape)
    raise UnsupportedOperatorError(f"{operator.label} has no symbolic form", why="its switches cannot be listed")


def _sums(parts: Sequence[Sparse], constants: Integers, xs: Sequence[Expressions]) -> Expressions:
    """Return A x + b."""
    import sympy

    terms: list[list[Any]] = [[rational(c)] for c in constants.tolist()]
    for part, x in zip(parts, xs, strict=True):
        entries, weights = x.reshape(-1), fractions(part.weight, 1 << part.shift)
        for row, column, weight in zip(part.row.tolist(), part.column.tolist(), weights.tolist(), strict=True):
            terms[row].append(rational(weight) * entries[column])
    return _array([sympy.Add(*row) for row in terms])


def _univariate(breaks: Breaks, x: Expressions) -> Expressions:
    """Return the case that each entry is in."""
    levels, slopes = intercepts(breaks), dyadic(breaks.slopes)
    ends = [rational(Fraction(b)) for b in breaks.breakpoints.tolist()]
    found = []
    for u, entry in enumerate(x.tolist()):
        column = fractions(levels.numbers[:, u if levels.numbers.shape[1] > 1 else 0], 1 << levels.shift)
        steep = fractions(slopes.numbers[:, u], 1 << slopes.shift).tolist()
        lines = [rational(s) * entry + rational(c) for s, c in zip(steep, column.tolist(), strict=True)]
        short = _extremum(steep, lines, entry, ends) if breaks.continuous else None
        found.append(_cases(lines, entry, ends, breaks.closed_left.tolist()) if short is None else short)
    return _array(found)


def _extremum(slopes: Sequence[Fraction], lines: Sequence[Any], x: Any, ends: Sequence[Any]) -> Any | None:
    """Return a continuous function as a maximum or minimum of its lines, or one of each; None if it is neither."""
    import sympy

    steps = [b - a for a, b in itertools.pairwise(slopes)]
    if list(slopes) == [-1, 1] and ends == [0]:
        return sympy.Abs(x)
    if all(step >= 0 for step in steps):
        return _largest(lines)
    if all(step <= 0 for step in steps):
        return _smallest(lines)
    # of three lines, the last is on the right side of the first one where the first one counts
    if len(lines) == 3 and steps[0] > 0 and slopes[2] <= slopes[0]:
        return _smallest([_largest(lines[:2]), lines[2]])
    if len(lines) == 3 and steps[0] < 0 and slopes[2] >= slopes[0]:
        return _largest([_smallest(lines[:2]), lines[2]])
    return None


def _cases(lines: Sequence[Any], x: Any, ends: Sequence[Any], closed_left: Sequence[bool]) -> Any:
    import sympy

    conditions = [sympy.Le(x, b) if left else sympy.Lt(x, b) for b, left in zip(ends, closed_left, strict=True)]
    return sympy.Piecewise(*zip(lines, [*conditions, True], strict=True))


def _best(contest: Contest, xs: Sequence[Expressions]) -> Expressions:
    """Return the largest entry of each unit; in a ranking the largest of the minima of so many entries."""
    entries, table = np.concatenate(xs), contest.columns([len(x) for x in xs]).tolist()
    outer, inner = (_largest, _smallest) if contest.largest else (_smallest, _largest)
    found = []
    for row, rank in zip(table, contest.ranks.tolist(), strict=True):
        members = [entries[e] for e in row if e >= 0]
        if math.comb(len(members), rank + 1) > MOST_SUBSETS:
            raise SplineGraphError(
                f"entry {rank + 1} in order of {len(members)} has no short formula", remedy="use exact_point"
            )
        subsets = itertools.combinations(members, rank + 1)
        found.append(outer([inner(some) for some in subsets]) if rank else outer(members))
    return _array(found)


def _largest(values: Sequence[Any]) -> Any:
    import sympy

    return _folded(sympy.Max, values)


def _smallest(values: Sequence[Any]) -> Any:
    import sympy

    return _folded(sympy.Min, values)


def _folded(function: Any, values: Sequence[Any]) -> Any:
    """Return the maximum or minimum without sympy's own search for arguments that never count: it takes minutes."""
    different = list(dict.fromkeys(values))
    numbers = [v for v in different if v.is_number]
    others = [v for v in different if not v.is_number]
    args = [*([function(*numbers)] if numbers else []), *others]
    return args[0] if len(args) == 1 else function(*args, evaluate=False)


def _array(values: Sequence[Any]) -> Expressions:
    found = np.empty(len(values), dtype=object)
    found[:] = values
    return found
