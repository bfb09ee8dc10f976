"""A small graph as symbolic expressions of its inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from splinegraph.core.exact.formulas import Expressions
from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.operator import Operator
from splinegraph.core.walk import walk
from splinegraph.errors import SplineGraphError, require_whole

if TYPE_CHECKING:
    import sympy

__all__ = ["MOST_TERMS", "SymbolicGraph", "to_sympy"]

MOST_TERMS = 20_000
"""Parts of an expression beyond which nobody reads it, and sympy takes minutes."""

LETTERS = "xyzuvw"
"""Of the inputs, if there are so few."""


@dataclass(frozen=True, eq=False)
class SymbolicGraph:
    """The outputs of a network as expressions; a sequence of them.

    Parameters
    ----------
    symbols : tuple of sympy.Symbol
        Entries of the inputs, flattened: x0, x1, ... of the first, y0, y1, ... of the second input.
    outputs : tuple of sympy.Expr
        Entries of the outputs, flattened.
    """

    symbols: tuple[sympy.Symbol, ...]
    outputs: tuple[sympy.Expr, ...]

    def __len__(self) -> int:
        return len(self.outputs)

    def __getitem__(self, i: int) -> sympy.Expr:
        return self.outputs[i]

    def __iter__(self) -> Iterator[sympy.Expr]:
        return iter(self.outputs)

    def lambdify(self) -> Callable[..., Any]:
        """Return the outputs as one numpy function of all symbols: a list of arrays."""
        import sympy

        return sympy.lambdify(self.symbols, list(self.outputs), cse=True)  # type: ignore[no-any-return]


def to_sympy(graph: SplineGraph, *, limit: int = MOST_TERMS) -> SymbolicGraph:
    """Return the outputs of a small network as sympy expressions of its inputs.

    Parameters
    ----------
    limit : int
        Parts (symbols, numbers and operations) that one value of the network may have when it is written out.

    Returns
    -------
    SymbolicGraph

    Raises
    ------
    SplineGraphError
        If an expression has more than `limit` parts, or the graph more parameters and values.
    UnsupportedOperatorError
        If a node has no symbolic form.

    Notes
    -----
    Weights are the rational numbers that the floats stand for (see `ExactGraph` for the constants that are
    rounded). Piecewise affine operators become Max, Min, Abs and Piecewise; smooth ones functions of sympy.
    Expressions grow with the number of paths through the network: for a few dozen units.

    Examples
    --------
    >>> import torch, splinegraph as sg
    >>> graph = sg.trace(torch.nn.Hardtanh(-1, 2).eval(), torch.zeros(1, 1))
    >>> to_sympy(graph)[0]
    Min(2, Max(-1, x0))
    """
    import sympy

    require_whole("limit", limit, 0)
    # each is a part of some output, unless nothing depends on it: no need to write out half of a large network
    least = sum(t.numel() for t in graph.parameters()) + sum(int(np.prod(n.shape)) for n in graph.operators)
    if least > limit:
        raise SplineGraphError(
            f"{graph.name} is too large to be written out", why=f"it has {least} parameters and values, limit={limit}",
            remedy="cut out a part with graph.between, or use exact_point",
        )  # fmt: skip
    sizes: dict[Any, int] = {}
    inputs = []
    for k, name in enumerate(graph.inputs):
        stem = LETTERS[k] if len(graph.inputs) <= len(LETTERS) else f"x{k}_"
        shape = graph[name].shape
        array = np.empty(int(np.prod(shape, dtype=np.int64)), dtype=object)
        array[:] = [sympy.Symbol(f"{stem}{i}", real=True) for i in range(len(array))]
        inputs.append(array.reshape(shape))

    def visit(node: Node, operator: Operator, args: tuple[Expressions, ...]) -> Expressions:
        value: Expressions = operator.symbolic(*args)
        most = max((_size(entry, sizes) for entry in value.reshape(-1).tolist()), default=0)
        if most > limit:
            raise SplineGraphError(
                f"an expression of {most} parts is too long to be written out", where=node.where,
                remedy=f"cut the graph with graph.between, use exact_point, or raise limit={limit}",
            )  # fmt: skip
        return value

    with torch.no_grad():
        operators = graph.resolved(torch.float64, torch.device("cpu"), 1)
        outputs, _ = walk(graph, inputs, visit, operators=operators)
    return SymbolicGraph(
        tuple(s for array in inputs for s in array.reshape(-1).tolist()),
        tuple(e for array in outputs for e in array.reshape(-1).tolist()),
    )


def _size(expression: Any, known: dict[Any, int]) -> int:
    """Return the parts of an expression written out; shared parts count each time, and are looked at once."""
    stack = [expression]
    while stack:
        top = stack[-1]
        waiting = [a for a in top.args if a not in known]
        if waiting:
            stack += waiting
        else:
            known[stack.pop()] = 1 + sum(known[a] for a in top.args)
    return known[expression]
