"""A whole graph at rational points, exactly: its value, its codes, its affine map."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from splinegraph.core.exact.dyadic import Dyadic, Integers, transposed
from splinegraph.core.exact.pieces import ExactPiece, chosen, read
from splinegraph.core.exact.points import as_fractions, common, rational
from splinegraph.core.exact.switches import around, code_at, guess, tied
from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.operator import Operator, SplineOperator
from splinegraph.core.switching import Switching
from splinegraph.core.walk import walk, walk_back
from splinegraph.errors import ShapeError, UnsupportedOperatorError

__all__ = ["ExactGraph", "ExactMap", "ExactPoint", "evaluate_exact"]


class ExactGraph:
    """A piecewise affine graph in exact arithmetic, for several points with the same parameters.

    Parameters
    ----------
    graph : SplineGraph

    Raises
    ------
    UnsupportedOperatorError
        If a node is not piecewise affine.

    Notes
    -----
    Every parameter is a float, so a dyadic rational; all sums and products are of integers. The matrix of an
    affine operator is read off unit vectors, which float arithmetic maps without rounding where an entry is one
    weight. Constants made from several parameters are rounded once, to float64: the scale of batch norm, 1/n of
    an average, the weights of an interpolation. Cost: one product of integers per weight and point.
    """

    def __init__(self, graph: SplineGraph) -> None:
        if graph.obstacles:
            node = graph.obstacles[0]
            raise UnsupportedOperatorError(
                f"{node.op.label} has no exact rational values", where=node.where, why="it is not piecewise affine",
                remedy="cut the graph before it with graph.between, or approximate it by a spline",
            )  # fmt: skip
        self.graph = graph
        with torch.no_grad():
            self.operators: Mapping[str, Operator] = graph.resolved(torch.float64, torch.device("cpu"), 1)
        self._affine: dict[str, ExactPiece] = {}
        self._listed: dict[str, Switching | None] = {}

    def at(self, *x: Any) -> ExactPoint:
        """Return what holds at one point; see `evaluate_exact` for what a point is."""
        columns, one = common(as_fractions(self.graph, x))
        pieces: dict[str, ExactPiece] = {}
        codes: dict[str, Tensor] = {}

        def visit(node: Node, operator: Operator, args: tuple[Dyadic, ...]) -> Dyadic:
            code = self._code(node, operator, args, one)
            if code is not None:
                codes[node.name] = code
            pieces[node.name] = self.piece(node, operator, code)
            return pieces[node.name].apply(args, np.array([one], dtype=object))

        outputs = self.walk(columns, visit)
        return ExactPoint(self, tuple(columns), one, outputs, pieces, codes)

    def walk(
        self, inputs: Sequence[Dyadic], rule: Callable[[Node, Operator, tuple[Dyadic, ...]], Dyadic]
    ) -> tuple[Dyadic, ...]:
        """Push tables through the graph."""
        with torch.no_grad():
            return walk(self.graph, inputs, rule, operators=self.operators)[0]

    def shapes(self, node: Node) -> list[tuple[int, ...]]:
        """Return the shapes of a node's arguments at batch size one."""
        return [self.graph[name].shape for name in node.args]

    def piece(self, node: Node, operator: Operator, code: Tensor | None) -> ExactPiece:
        """Return the piece that a code of one sample names; None for an operator that never switches."""
        shapes = self.shapes(node)
        assert isinstance(operator, SplineOperator)
        if code is None:
            if node.name not in self._affine:
                zeros = [torch.zeros(shape, dtype=torch.float64) for shape in shapes]
                self._affine[node.name] = read(operator.linearize(*zeros), shapes)
            return self._affine[node.name]
        switching = self._switching(node, operator)
        if switching is None:
            return read(operator.piece(code, shapes), shapes)
        return chosen(switching, code.reshape(-1).tolist(), shapes)

    def tied(self, node: Node, operator: Operator, code: Tensor, args: Sequence[Dyadic], one: int) -> Tensor:
        """Return which units of a node are on a boundary; see `switches.tied`."""
        assert isinstance(operator, SplineOperator)
        return tied(operator, self._switching(node, operator), code, self.shapes(node), args, one)

    def _switching(self, node: Node, operator: SplineOperator) -> Switching | None:
        if node.name not in self._listed:
            self._listed[node.name] = operator.switching(self.shapes(node))
        return self._listed[node.name]

    def _code(self, node: Node, operator: Operator, args: Sequence[Dyadic], one: int) -> Tensor | None:
        shapes = self.shapes(node)
        assert isinstance(operator, SplineOperator)
        if operator.alphabet(shapes) == 1:
            return None
        switching = self._switching(node, operator) or around(operator, shapes, args, one)
        if switching is None:
            return guess(operator, shapes, args, one)
        return torch.tensor(code_at(switching, args, one), dtype=torch.int64).reshape(node.shape)


class ExactMap(NamedTuple):
    """x -> A x + b as arrays of `Fraction`: A of shape (*out, *in), a tuple if there are several inputs; b (*out,)."""

    A: Any
    b: Integers


@dataclass(frozen=True, eq=False)
class ExactPoint:
    """A graph at one rational point; made by `ExactGraph.at` or `SplineGraph.exact_point`.

    Parameters
    ----------
    network : ExactGraph
    inputs, outputs : tuple of Dyadic
        One column each, still to be divided by `one`.
    one : int
    pieces : mapping from node name to ExactPiece
    codes : mapping from node name to integer Tensor
        Of the switching nodes, shaped as at batch size one; a tie goes as `SplineOperator.code` says.
    """

    network: ExactGraph
    inputs: tuple[Dyadic, ...]
    one: int
    outputs: tuple[Dyadic, ...]
    pieces: Mapping[str, ExactPiece]
    codes: Mapping[str, Tensor]

    @property
    def value(self) -> Any:
        """The output as an array of `Fraction`; a tuple of them if there are several outputs."""
        shapes = self.network.graph.output_shapes
        found = [rational(y, self.one, s) for y, s in zip(self.outputs, shapes, strict=True)]
        return found[0] if len(found) == 1 else tuple(found)

    @functools.cached_property
    def ties(self) -> dict[str, Tensor]:
        """Which units of each switching node are on a boundary between pieces, bool, shaped as their codes.

        Only if the pieces, or the tied candidates, differ as functions of the input: one tangent in a random
        integer direction tells, wrongly with probability below 1e-15.
        """
        draw = random.Random(0)
        found: dict[str, Tensor] = {}

        def visit(node: Node, operator: Operator, args: tuple[Dyadic, ...]) -> Dyadic:
            if node.name in self.codes:
                found[node.name] = self.network.tied(node, operator, self.codes[node.name], args, self.one)
            return self.pieces[node.name].apply(args, np.array([self.one, 0], dtype=object))

        columns = []
        for x in self.inputs:
            way = np.array([[draw.randrange(1, 2**53)] for _ in x.numbers], dtype=object)
            columns.append(Dyadic(np.concatenate([x.numbers, way.reshape(-1, 1)], axis=1), x.shift))
        self.network.walk(columns, visit)
        return found

    @property
    def boundary(self) -> bool:
        """Whether the point is on a boundary between cells."""
        return any(bool(tied.any()) for tied in self.ties.values())

    def affine_map(self) -> ExactMap:
        """Return the affine map of the cell that the codes name; for a graph with one output.

        Raises
        ------
        ShapeError
            If there are several outputs.
        """
        graph = self.network.graph
        if len(self.outputs) > 1:
            raise ShapeError(f"{graph.name} has {len(self.outputs)} outputs", remedy="choose one with graph.output(i)")
        (y,), (shape,) = self.outputs, graph.output_shapes
        unit = Dyadic(np.array(np.eye(len(y.numbers), dtype=int), dtype=object), 0)
        back = walk_back(graph, [unit], lambda node, u: self.pieces[node.name].adjoint(u), add=Dyadic.__add__)
        found, b = [], y
        for name, x, g in zip(graph.inputs, self.inputs, back, strict=True):
            rows = Dyadic(np.zeros((len(y.numbers), len(x.numbers)), dtype=object), 0) if g is None else transposed(g)
            found.append(rational(rows, 1, (*shape, *graph[name].shape[1:])))
            b = b + Dyadic(-(rows.numbers @ x.numbers), rows.shift + x.shift)
        return ExactMap(found[0] if len(found) == 1 else tuple(found), rational(b, self.one, shape))


def evaluate_exact(graph: SplineGraph, *x: Any) -> Any:
    """Return the exact value of a piecewise affine graph at one rational point.

    Parameters
    ----------
    x : one per input of the graph, each of the shape of one sample, without batch axis
        Tensors, arrays or nested lists of `Fraction`, integers, or floats, which stand for their exact values.

    Returns
    -------
    ndarray of Fraction, of the output's shape (a tuple of them if there are several outputs)

    Raises
    ------
    UnsupportedOperatorError
        If a node is not piecewise affine, or jumps where its piece cannot be told.
    ShapeError, DomainError
        If the point does not fit, or is not finite.

    Notes
    -----
    The value of the function with the float parameters as they are stored; see `ExactGraph` for the constants
    that are rounded, and to evaluate one graph at many points.

    Examples
    --------
    >>> from fractions import Fraction
    >>> import torch, splinegraph as sg
    >>> graph = sg.trace(torch.nn.LeakyReLU(0.25).eval(), torch.zeros(1, 2))
    >>> evaluate_exact(graph, [Fraction(-1, 3), 3]).tolist()
    [Fraction(-1, 12), Fraction(3, 1)]
    """
    return ExactGraph(graph).at(*x).value
