"""Integers over one power of two: tables of them, and sparse matrices that multiply them. Nothing is rounded."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from splinegraph.errors import SplineGraphError

__all__ = ["Dyadic", "Integers", "Sparse", "dyadic", "fractions", "transposed"]

BITS = 53
"""Of a float64's significand."""

CHUNK = 2**19
"""Products of integers that are held at once."""

Integers = NDArray[np.object_]
"""Python integers, of any size."""


class Dyadic(NamedTuple):
    """Numbers ``numbers / 2**shift``, the numerators being Python integers."""

    numbers: Integers
    shift: int

    def fractions(self) -> list[Any]:
        """Return the numbers as nested lists of `Fraction`."""
        return fractions(self.numbers, 1 << self.shift).tolist()  # type: ignore[no-any-return]

    def raised(self, shift: int) -> Integers:
        """Return the numerators over a larger power of two."""
        return self.numbers * (1 << (shift - self.shift)) if shift > self.shift else self.numbers

    def __add__(self, other: Dyadic) -> Dyadic:  # type: ignore[override]  # no tuple is to be made longer
        shift = max(self.shift, other.shift)
        return Dyadic(self.raised(shift) + other.raised(shift), shift)


def fractions(numbers: Integers, one: int) -> Integers:
    """Return integers divided by `one`, as an array of `Fraction`."""
    found = np.empty(numbers.shape, dtype=object)
    for place, value in np.ndenumerate(numbers):
        found[place] = Fraction(int(value), one)
    return found


def transposed(table: Dyadic) -> Dyadic:
    """Return the table with rows and columns exchanged."""
    return Dyadic(table.numbers.T, table.shift)


def dyadic(values: Tensor) -> Dyadic:
    """Return floats as integers over a power of two, exactly.

    Raises
    ------
    SplineGraphError
        If one is infinite or NaN.
    """
    floats = np.asarray(values.detach().double().numpy())
    if not np.isfinite(floats).all():
        raise SplineGraphError("no exact arithmetic with infinity or NaN", remedy="choose finite weights and constants")
    fraction, power = np.frexp(floats)
    whole = (fraction * 2.0**BITS).astype(np.int64)
    # without trailing zeros: products of selections and of powers of two stay as short as their factors
    spare = np.frexp((whole & -whole).astype(np.float64))[1] - 1
    whole = np.where(whole == 0, 0, whole >> np.maximum(spare, 0))
    down = np.where(whole == 0, 0, BITS - power.astype(np.int64) - spare)
    shift = max(int(down.max(initial=0)), 0)
    return Dyadic(np.asarray(whole.astype(object) << (shift - down).astype(object), dtype=object), shift)


class Sparse(NamedTuple):
    """A matrix of the given shape: ``weight[e] / 2**shift`` at ``(row[e], column[e])``, rows in increasing order."""

    row: NDArray[np.int64]
    column: NDArray[np.int64]
    weight: Integers
    shift: int
    shape: tuple[int, int]

    @classmethod
    def of(cls, row: NDArray[np.int64], column: NDArray[np.int64], weight: Dyadic, shape: tuple[int, int]) -> Sparse:
        """Return the matrix of entries in any order."""
        order = np.argsort(row, kind="stable")
        return cls(row[order], column[order], weight.numbers[order], weight.shift, shape)

    @classmethod
    def read(cls, dense: Iterator[tuple[int, Tensor]], shape: tuple[int, int]) -> Sparse:
        """Return the matrix whose transpose is given in blocks of rows: (first row, block)."""
        rows, columns, floats = [], [], []
        for start, block in dense:
            column, row = torch.nonzero(block, as_tuple=True)
            rows.append(row)
            columns.append(column + start)
            floats.append(block[column, row])
        none = torch.empty(0, dtype=torch.int64)
        entries = torch.cat(floats) if floats else torch.empty(0, dtype=torch.float64)
        row, column = (torch.cat(part) if part else none for part in (rows, columns))
        return cls.of(row.numpy(), column.numpy(), dyadic(entries), shape)

    @property
    def transpose(self) -> Sparse:
        """The transposed matrix."""
        return Sparse.of(self.column, self.row, Dyadic(self.weight, self.shift), (self.shape[1], self.shape[0]))

    def __matmul__(self, other: Dyadic) -> Dyadic:
        """Return the product with a table of shape (columns, width)."""
        found = np.zeros((self.shape[0], other.numbers.shape[1]), dtype=object)
        step = max(1, CHUNK // max(other.numbers.shape[1], 1))
        for start in range(0, len(self.row), step):
            row, column = self.row[start : start + step], self.column[start : start + step]
            products = self.weight[start : start + step, None] * other.numbers[column]
            first = np.flatnonzero(np.diff(row, prepend=-1))
            found[row[first]] += np.add.reduceat(products, first, axis=0)
        return Dyadic(found, self.shift + other.shift)
