"""Whether a polytope has an interior, decided over the rationals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from splinegraph.errors import DomainError, ShapeError

__all__ = ["ExactBall", "exact_feasible"]


@dataclass(frozen=True)
class ExactBall:
    """A ball in a polytope {t : G t <= h}, in exact numbers; true if it has an interior.

    Parameters
    ----------
    point : tuple of Fraction
        A point inside if the radius is positive; one of the polytope if it is zero.
    radius : Fraction
        Of a ball around the point that lies in the polytope: positive, zero if it has points but no interior,
        negative if it is empty.
    """

    point: tuple[Fraction, ...]
    radius: Fraction

    def __bool__(self) -> bool:
        return self.radius > 0

    @property
    def empty(self) -> bool:
        """Whether no point satisfies all inequalities."""
        return self.radius < 0


def exact_feasible(G: Any, h: Any, *, start: Sequence[Any] | None = None, largest: bool = False) -> ExactBall:
    """Return whether {t : G t <= h} has an interior, with a point as witness.

    Parameters
    ----------
    G : array or nested sequence of shape (m, D)
        Numbers that are rational: floats (each stands for its exact value), ints, Fractions.
    h : array or sequence of shape (m,)
    start : sequence of D numbers, optional
        Where to begin: a point inside is its own proof.
    largest : bool
        Go on to a ball that cannot grow, in place of any. The norms of rows are rounded up to integers (after
        clearing denominators), so it is not quite the largest.

    Returns
    -------
    ExactBall

    Raises
    ------
    ShapeError
        If the shapes do not fit.
    DomainError
        If a number is NaN or infinite.

    Notes
    -----
    The simplex method with Bland's rule, which cannot cycle, on integers with one common denominator: the entries
    stay minors of the matrix, so they have about D times as many digits as the input. Some milliseconds for tens of
    rows in a few dimensions.

    References
    ----------
    .. [1] J. Edmonds, "Systems of distinct representatives and linear algebra", 1967 (integer pivoting).
    .. [2] R. Bland, "New finite pivoting rules for the simplex method", 1977.

    Examples
    --------
    >>> found = exact_feasible([[1, 0], [-1, 0], [0, 1], [0, -1]], [1e-300, 0, 1, 0])
    >>> bool(found), found.radius > 0
    (True, True)
    >>> bool(exact_feasible([[1.0], [-1.0]], [0.1, -0.1])), exact_feasible([[1.0], [-1.0]], [0.1, -0.2]).empty
    (False, True)
    """
    rows = [[_exact(v) for v in row] for row in G]
    rhs = [_exact(v) for v in h]
    dim = len(rows[0]) if rows else len(start or ())
    if len(rows) != len(rhs) or any(len(row) != dim for row in rows):
        raise ShapeError(f"{len(rows)} rows of {dim} coefficients, {len(rhs)} right-hand sides")
    at = [Fraction(0)] * dim if start is None else [_exact(v) for v in start]
    if len(at) != dim:
        raise ShapeError(f"a start of {len(at)} coordinates in {dim} dimensions")
    integers = []
    for row, b in zip(rows, rhs, strict=True):
        slack = b - sum((g * t for g, t in zip(row, at, strict=True)), Fraction(0))
        if any(row):
            integers.append(_cleared([*row, slack]))
        elif slack < 0:  # 0 t <= a negative number
            return ExactBall(tuple(at), slack)
    if not integers:
        return ExactBall(tuple(at), Fraction(1))
    step, radius = _Dictionary(integers, dim).grow(largest)
    return ExactBall(tuple(a + s for a, s in zip(at, step, strict=True)), radius)


def _exact(value: Any) -> Fraction:
    try:
        return value if isinstance(value, Fraction) else Fraction(value.item() if hasattr(value, "item") else value)
    except (ValueError, OverflowError):
        raise DomainError(f"the inequalities hold {value}", remedy="give finite numbers") from None


def _cleared(row: list[Fraction]) -> list[int]:
    """Return a row times the least positive number that makes it one of integers."""
    scale = math.lcm(*(v.denominator for v in row))
    integers = [int(v * scale) for v in row]
    common = math.gcd(*integers)
    return [v // common for v in integers]


class _Dictionary:
    """Integer columns over a common denominator: the coordinates, the radius, and the slack of each row.

    Rows 0 .. dim of the table belong to the variables that are zero at the vertex, row dim + 1 is the vertex.
    """

    def __init__(self, rows: list[list[int]], dim: int) -> None:
        self.n, self.denominator = dim + 1, 1
        self.table = [[int(q == d) for d in range(dim + 1)] for q in range(dim + 2)]
        self.names = [-1 - q for q in range(dim + 1)]  # of the variables: below zero while they are free
        for *g, s in rows:
            norm = math.isqrt(sum(v * v for v in g) - 1) + 1  # rounded up
            for q, value in enumerate((*(-v for v in g), -norm, s)):
                self.table[q].append(value)

    def grow(self, largest: bool) -> tuple[list[Fraction], Fraction]:
        """Return center and radius of a ball as large as possible, or just positive."""
        n, radius = self.n, self.n - 1
        slacks, speeds = self.table[n], self.table[radius]
        nearest = n
        for i in range(n + 1, len(slacks)):
            if slacks[i] * speeds[nearest] > slacks[nearest] * speeds[i]:  # speeds are negative
                nearest = i
        self.pivot(radius, nearest)
        while largest or self.table[n][radius] <= 0:
            k = self.entering(radius)
            if k is None:
                break
            r = self.leaving(k)
            if r is None:  # grows for ever: one step of length one
                ray = self.table[k]
                far = Fraction(1 + max(0, -self.table[n][radius]), ray[radius])
                vertex = [Fraction(v) + far * s for v, s in zip(self.table[n], ray, strict=True)]
                return [v / self.denominator for v in vertex[:radius]], vertex[radius] / self.denominator
            self.pivot(k, r)
        found = [Fraction(v, self.denominator) for v in self.table[n][:n]]
        return found[:radius], found[radius]

    def entering(self, goal: int) -> int | None:
        """Return the variable of the smallest name that raises the goal; a free one that should fall is turned."""
        able = [q for q in range(self.n) if self.table[q][goal] > 0 or (self.names[q] < 0 and self.table[q][goal] < 0)]
        if not able:
            return None
        k = min(able, key=lambda q: self.names[q])
        if self.table[k][goal] < 0:
            self.table[k] = [-v for v in self.table[k]]
        return k

    def leaving(self, k: int) -> int | None:
        """Return the slack that vanishes first as variable k grows, the first one of equals."""
        values, speeds, found = self.table[self.n], self.table[k], None
        for i in range(self.n, len(values)):
            if speeds[i] < 0 and (found is None or values[i] * speeds[found] > values[found] * speeds[i]):
                found = i
        return found

    def pivot(self, k: int, r: int) -> None:
        """Exchange variable k with the slack in column r; all divisions are without remainder."""
        pivot, old, chosen = self.table[k][r], self.denominator, self.table[k]
        sign = 1 if pivot > 0 else -1
        for q, row in enumerate(self.table):
            if q != k:
                factor = row[r]
                self.table[q] = [sign * ((v * pivot - factor * c) // old) for v, c in zip(row, chosen, strict=True)]
        self.table[k] = [sign * c for c in chosen]
        self.denominator, self.names[k] = sign * pivot, r
