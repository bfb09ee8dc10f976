"""Affine maps, layers and expressions as LaTeX."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from splinegraph.core.exact.dyadic import Sparse
from splinegraph.core.exact.evaluation import ExactMap, ExactPoint
from splinegraph.core.exact.pieces import intercepts, read
from splinegraph.core.exact.symbolic import LETTERS, SymbolicGraph
from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.operator import Operator, SplineOperator
from splinegraph.core.switching import Breaks
from splinegraph.errors import ShapeError, SplineGraphError, UnsupportedOperatorError

__all__ = ["latex"]

SHORT = 100
"""Denominators up to which a fraction is written as one."""


def latex(thing: Any, node: str | None = None, *, digits: int | None = 4, most: int = 6) -> str:
    r"""Return a local map, a layer, a whole graph or an expression as LaTeX, without dollar signs.

    Parameters
    ----------
    thing : AffineMap of one sample, ExactPoint, ExactMap, SymbolicGraph, SplineGraph, or a matrix or vector
        Inputs and values of several axes are flattened.
    node : str, optional
        Of a SplineGraph: the name of the node to write down; without it, one line per node.
    digits : int or None
        Significant digits; None for exact fractions.
    most : int
        Rows and columns of a matrix that are written; dots stand for the others.

    Raises
    ------
    SplineGraphError
        If `thing` is none of these, or a batch.

    Examples
    --------
    >>> import torch
    >>> print(latex(torch.tensor([[1.0, 0.25], [-1e-6, 3.0]])))
    \begin{pmatrix} 1 & 0.25 \\ -1 \cdot 10^{-6} & 3 \end{pmatrix}
    """
    write = _Writer(digits, most)
    if isinstance(thing, SplineGraph):
        return _graph(thing, node, write)
    if isinstance(thing, SymbolicGraph):
        texts = [write.expression(value) for value in thing]
        return texts[0] if len(texts) == 1 else r"\begin{pmatrix} " + r" \\ ".join(texts) + r" \end{pmatrix}"
    if isinstance(thing, ExactPoint):
        thing = thing.affine_map()
    if isinstance(thing, ExactMap):
        return _map(thing.A, thing.b, write)
    if hasattr(thing, "dense"):
        if len(thing) != 1:
            raise ShapeError(f"the map holds {len(thing)} samples", remedy="take that of one: affine_map(graph, x[:1])")
        A, b = thing.dense()
        return _map(tuple(a[0] for a in A) if isinstance(A, tuple) else A[0], b[0], write)
    if isinstance(thing, Tensor | np.ndarray | list | tuple):
        return write.matrix(_entries(thing))
    raise SplineGraphError(f"a {type(thing).__name__} has no LaTeX form", remedy="give a map, a graph or a matrix")


class _Writer:
    """Numbers and matrices to some digits."""

    def __init__(self, digits: int | None, most: int) -> None:
        if most < 3 or (digits is not None and digits < 1):
            raise SplineGraphError(f"digits={digits}, most={most}", remedy="give at least 1 digit, and 3 rows")
        self.digits, self.most = digits, most

    def number(self, value: Any) -> str:
        if self.digits is None:
            exact = Fraction(value)
            sign, size = "-" if exact < 0 else "", abs(exact)
            whole = size.denominator == 1
            return sign + (f"{size.numerator}" if whole else rf"\frac{{{size.numerator}}}{{{size.denominator}}}")
        mantissa, _, power = f"{float(value):.{self.digits}g}".partition("e")
        mantissa = r"\infty".join(mantissa.split("inf"))
        return rf"{mantissa} \cdot 10^{{{int(power)}}}" if power else mantissa

    def matrix(self, values: NDArray[Any]) -> str:
        """Return a vector as a column, a table of more axes with all but the first flattened."""
        table = values.reshape(-1, 1) if values.ndim < 2 else values.reshape(len(values), -1)
        return self._grid(table.shape, lambda row, column: table[row, column])

    def sparse(self, part: Sparse) -> str:
        """Return a sparse matrix."""
        places = zip(part.row.tolist(), part.column.tolist(), strict=True)
        entry = dict(zip(places, part.weight.tolist(), strict=True))
        return self._grid(part.shape, lambda row, column: Fraction(entry.get((row, column), 0), 1 << part.shift))

    def _grid(self, shape: tuple[int, ...], entry: Callable[[int, int], Any]) -> str:
        rows, columns = (self._kept(n) for n in shape)
        lines = [
            [
                (r"\cdots" if c is None else self.number(entry(r, c))) if r is not None
                else r"\ddots" if c is None else r"\vdots"
                for c in columns
            ]
            for r in rows
        ]  # fmt: skip
        return r"\begin{pmatrix} " + r" \\ ".join(" & ".join(line) for line in lines) + r" \end{pmatrix}"

    def _kept(self, count: int) -> list[int | None]:
        """Return the places to write; None stands for those left out."""
        return [*range(count)] if count <= self.most else [*range(self.most - 2), None, count - 1]

    def expression(self, value: Any) -> str:
        """Return an expression; numbers that are no short fractions to the digits wanted."""
        import sympy

        long = {r for r in value.atoms(sympy.Rational) if r.q > SHORT} if self.digits is not None else set()
        return str(sympy.latex(value.xreplace({r: sympy.Float(r, self.digits) for r in long})))


def _entries(values: Any) -> NDArray[Any]:
    return values.detach().double().cpu().numpy() if isinstance(values, Tensor) else np.array(values, dtype=object)


def _map(A: Any, b: Any, write: _Writer) -> str:
    parts = A if isinstance(A, tuple) else (A,)
    rows = math.prod(b.shape)
    names = [LETTERS[k] if len(parts) <= len(LETTERS) else f"x_{{{k}}}" for k in range(len(parts))]
    terms = [write.matrix(_entries(a).reshape(rows, -1)) + f" {x}" for a, x in zip(parts, names, strict=True)]
    return f"f({', '.join(names)}) = " + " + ".join([*terms, write.matrix(_entries(b).reshape(-1))])


def _graph(graph: SplineGraph, name: str | None, write: _Writer) -> str:
    names = {n.name: f"h_{{{k}}}" for k, n in enumerate(graph.operators, start=1)}
    for k, x in enumerate(graph.inputs):
        names[x] = LETTERS[k] if len(graph.inputs) <= len(LETTERS) else f"x_{{{k}}}"
    with torch.no_grad():
        operators = graph.resolved(torch.float64, torch.device("cpu"), 1)
        if name is not None:
            return _line(graph, graph[name], operators[graph[name].name], names, write)
        lines = [
            _line(graph, n, operators[n.name], names, write).replace("=", "&=", 1) + rf" && \text{{{_plain(n.name)}}}"
            for n in graph.operators
        ]
    return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"


def _line(graph: SplineGraph, node: Node, operator: Operator, names: dict[str, str], write: _Writer) -> str:
    args, shapes = [names[a] for a in node.args], [graph[a].shape for a in node.args]
    if isinstance(operator, SplineOperator) and operator.alphabet(shapes) == 1:
        right = _affine(operator, shapes, args, write)
    else:
        right = (
            _formula(operator, shapes, args, write) or rf"\operatorname{{{_plain(operator.label)}}}({', '.join(args)})"
        )
    return f"{names[node.name]} = {right}"


def _affine(operator: SplineOperator, shapes: Sequence[tuple[int, ...]], args: Sequence[str], write: _Writer) -> str:
    piece = read(operator.linearize(*(torch.zeros(shape, dtype=torch.float64) for shape in shapes)), shapes)
    terms = [_product(part, arg, write) for part, arg in zip(piece.parts, args, strict=True) if len(part.row)]
    if piece.constant.numbers.any() or not terms:
        terms.append(write.matrix(np.array(piece.constant.fractions(), dtype=object)))
    return " + ".join(terms).replace("+ -", "- ")


def _product(part: Sparse, arg: str, write: _Writer) -> str:
    """Return a matrix times an argument; a multiple of the identity as a number."""
    size = part.shape[0]
    diagonal = part.shape == (size, size) and np.array_equal(part.row, np.arange(size))
    if diagonal and np.array_equal(part.row, part.column) and (part.weight == part.weight[0]).all():
        factor = Fraction(part.weight[0], 1 << part.shift)
        return arg if factor == 1 else f"-{arg}" if factor == -1 else f"{write.number(factor)} {arg}"
    return f"{write.sparse(part)} {arg}"


def _formula(operator: Operator, shapes: Sequence[tuple[int, ...]], args: Sequence[str], write: _Writer) -> str | None:
    """Return what an elementwise operator does to every entry; None for others, and where entries differ."""
    import sympy

    if len(args) != 1:
        return None
    if isinstance(operator, SplineOperator):
        switching = operator.switching(shapes)
        if not isinstance(switching, Breaks) or intercepts(switching).numbers.shape[1] != 1:
            return None
    elif operator.family != "smooth":
        return None
    entry = np.array([sympy.Symbol(args[0], real=True)], dtype=object).reshape((1,) * len(shapes[0]))
    try:
        (value,) = operator.symbolic(entry).reshape(-1).tolist()
    except UnsupportedOperatorError:
        return None
    return write.expression(value)


def _plain(label: str) -> str:
    return label.replace("_", r"\_")
