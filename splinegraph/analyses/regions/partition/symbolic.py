"""A small partition as exact symbolic expressions."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from splinegraph.analyses.regions.partition.exact import ExactCell, exact_cells
from splinegraph.errors import SplineGraphError

if TYPE_CHECKING:
    import sympy

    from splinegraph.analyses.regions.partition.partition import Partition

__all__ = ["SymbolicCell", "to_sympy"]

MOST_CELLS = 1000
"""Cells beyond which nobody reads the result."""


class SymbolicCell(NamedTuple):
    """f = A t + b where all `inequalities` hold, `symbols` being the coordinates t; everything is rational.

    Inequalities that others imply are left out, as far as floating point tells: what stays implies what is
    true of the cell, and no row is changed.
    """

    symbols: tuple[sympy.Symbol, ...]
    A: sympy.Matrix
    b: sympy.Matrix
    inequalities: tuple[Any, ...]


def to_sympy(partition: Partition) -> Any:
    """Return the network on the domain, exactly, as expressions in the chart's coordinates.

    Returns
    -------
    list of sympy.Piecewise, one per output entry
        For D = 1, in the symbol t, closed on the left of each piece.
    list of SymbolicCell, one per cell
        Otherwise, in the symbols t0, t1, ...

    Raises
    ------
    SplineGraphError
        If there are more than `MOST_CELLS` cells.

    Notes
    -----
    Coefficients are those of the float weights as rational numbers, not those of `affine_maps`.
    """
    if len(partition) > MOST_CELLS:
        raise SplineGraphError(
            f"{len(partition)} cells are too many to be written out",
            remedy=f"choose a smaller domain, with at most {MOST_CELLS}",
        )
    cells = list(exact_cells(partition, range(len(partition))))
    return _pieces(partition, cells) if partition.dim == 1 else _cells(partition, cells)


def _rational(value: Fraction) -> Any:
    import sympy

    return sympy.Rational(value.numerator, value.denominator)


def _pieces(partition: Partition, cells: list[ExactCell]) -> list[Any]:
    """Return one Piecewise per output; pieces that follow each other with the same map are one."""
    import sympy

    t = sympy.Symbol("t", real=True)
    order = np.argsort(partition.points[:, 0], kind="stable")
    spans = [(*_interval(cells[i]), cells[i]) for i in order]
    found = []
    for out in range(len(cells[0].b) if cells else 0):
        merged: list[tuple[Fraction, Fraction, Fraction, Fraction]] = []
        for low, high, cell in spans:
            slope, start = cell.A[out][0], cell.b[out]
            if merged and merged[-1][2:] == (slope, start) and merged[-1][1] == low:
                low = merged.pop()[0]
            merged.append((low, high, slope, start))
        pieces = [
            (_rational(slope) * t + _rational(start), sympy.And(t >= _rational(low), t <= _rational(high)))
            for low, high, slope, start in merged
        ]
        found.append(sympy.Piecewise(*pieces))
    return found


def _interval(cell: ExactCell) -> tuple[Fraction, Fraction]:
    """Return both ends of a cell for D = 1."""
    ends = [(row[0], rhs / row[0]) for row, rhs in zip(cell.G, cell.h, strict=True)]
    return max(end for slope, end in ends if slope < 0), min(end for slope, end in ends if slope > 0)


def _cells(partition: Partition, cells: list[ExactCell]) -> list[SymbolicCell]:
    import sympy

    symbols = tuple(sympy.Symbol(f"t{k}", real=True) for k in range(partition.dim))
    result = []
    for i, cell in enumerate(cells):
        shape = (len(cell.b), partition.dim)
        A = sympy.Matrix(*shape, [_rational(c) for row in cell.A for c in row])
        b = sympy.Matrix(shape[0], 1, [_rational(c) for c in cell.b])
        rows = _needed(partition, cell, i)
        inequalities = tuple(
            sympy.Le(sum((_rational(c) * s for c, s in zip(cell.G[r], symbols, strict=True)), sympy.S.Zero),
                     _rational(cell.h[r]), evaluate=False)
            for r in rows
        )  # fmt: skip
        result.append(SymbolicCell(symbols, A, b, inequalities))
    return result


def _needed(partition: Partition, cell: ExactCell, i: int) -> list[int]:
    """Return the rows that are facets, each plane once; all rows of a cell too thin to tell."""
    from splinegraph.analyses.regions.geometry.facets import facets
    from splinegraph.analyses.regions.geometry.polytopes import Polytopes

    if partition.dim == 0:
        return []
    scale = [max(abs(c) for c in row) for row in cell.G]
    G = np.array([[float(c / s) for c in row] for row, s in zip(cell.G, scale, strict=True)])
    h = np.array([float(r / s) for r, s in zip(cell.h, scale, strict=True)])
    polytope = Polytopes.of(G, h, size=float(partition.extent.max()), unit=np.arange(len(h)))
    found = facets(polytope, partition.points[i : i + 1])
    rows = [int(r) for r in polytope.unit[found.row]]
    return rows if len(rows) > partition.dim and math.isfinite(float(found.sizes[0])) else list(range(len(h)))
