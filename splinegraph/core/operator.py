"""The contract of an operator: what every node of a graph must be able to answer.

An operator is a small frozen object. It sees whole batches: its arguments carry a batch axis somewhere
and it never needs to know where. Facts that it does not know it leaves unknown; it never guesses.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from splinegraph.core.switching import Switching
from splinegraph.core.values import Box, Curvature, Monotonicity
from splinegraph.errors import UnsupportedOperatorError

__all__ = ["Conditions", "Operator", "Piece", "Shapes", "SplineOperator"]

Shapes = Sequence[Sequence[int]]
"""The shapes of an operator's arguments, batch axis included."""

Boxes = Sequence[Box]


class Piece(abc.ABC):
    """The affine map x -> A x + b that an operator applies near a point.

    `tangent` and `adjoint` take any number of leading axes, over which the piece broadcasts: a piece
    for a batch of shape (B, *out) takes u of shape (K, B, *out). All three can be differentiated once
    more (by the parameters, say) without differentiating a derivative.
    """

    exact: bool = True
    """True if the operator *is* this map on a whole cell, False if it is only the tangent at a point."""

    @abc.abstractmethod
    def apply(self, *xs: Tensor) -> Tensor:
        """Return A x + b, summed over the arguments; shapes as in `Operator.forward`."""

    @abc.abstractmethod
    def tangent(self, *vs: Tensor) -> Tensor:
        """Return A v, summed over the arguments; v of shape (*leading, *argument)."""

    @abc.abstractmethod
    def adjoint(self, u: Tensor) -> tuple[Tensor | None, ...]:
        """Return A^T u, one per argument; u of shape (*leading, *output).

        None stands for zero, where the argument is no floating point value.
        """


@dataclass(frozen=True, eq=False)
class Conditions:
    """Sparse rows of G x <= h: the cell of a code in an operator's own input space.

    Entry e of the sparse matrix says G[row[e], (argument[e], position[e])] = coefficient[e], where
    `position` indexes the flattened argument. Row r belongs to the unit `unit[r]` of the flattened code.

    Parameters
    ----------
    row, argument, position : Tensor of shape (entries,), int64
    coefficient : Tensor of shape (entries,)
    rhs : Tensor of shape (rows,)
    unit : Tensor of shape (rows,), int64
    """

    row: Tensor
    argument: Tensor
    position: Tensor
    coefficient: Tensor
    rhs: Tensor
    unit: Tensor

    @classmethod
    def none(cls, dtype: torch.dtype = torch.float64) -> Conditions:
        """Return no condition at all: the cell is the whole space."""
        index, value = torch.empty(0, dtype=torch.int64), torch.empty(0, dtype=dtype)
        return cls(index, index, index, value, value, index)

    def __len__(self) -> int:
        return len(self.rhs)

    def margins(self, *xs: Tensor) -> Tensor:
        """Return h - G x, shape (rows,); the cell is where all are >= 0."""
        total = self.rhs.clone()
        for i, x in enumerate(xs):
            mine = self.argument == i
            values = x if x.is_floating_point() else x.to(self.rhs)
            products = values.reshape(-1)[self.position[mine]] * self.coefficient[mine].to(values)
            total = total.to(values).index_add(0, self.row[mine], -products)
        return total


class Operator(abc.ABC):
    """One node's function. Subclasses are frozen dataclasses, abstract or final.

    Fields may hold the user's own parameters; nothing is copied and nothing is written after
    construction.
    """

    family: ClassVar[str]
    """affine, spline, maximum, order, smooth, bilinear, normalizing, discontinuous or opaque."""

    piecewise_affine: ClassVar[bool] = False
    continuous: ClassVar[bool] = True
    differentiable: ClassVar[bool] = True
    """Whether `linearize` has an answer (almost) everywhere."""

    @property
    def label(self) -> str:
        """Short name with the settings that matter, for people."""
        return type(self).__name__

    @abc.abstractmethod
    def forward(self, *xs: Tensor) -> Tensor:
        """Return the value: the reference semantics."""

    @abc.abstractmethod
    def linearize(self, *xs: Tensor) -> Piece:
        """Return the affine piece at xs; the tangent map if the operator is not piecewise affine."""

    def value_and_piece(self, *xs: Tensor) -> tuple[Tensor, Piece]:
        """Return `forward` and `linearize` in one pass; override where they share work."""
        return self.forward(*xs), self.linearize(*xs)

    def symbolic(self, *xs: Any) -> Any:
        """Return the value as an array of sympy expressions, of arguments that are such arrays, at batch size one."""
        raise UnsupportedOperatorError(
            f"{self.label} has no symbolic form", remedy="cut the graph before it with graph.between"
        )

    # What is known of the operator. The defaults claim nothing.

    def bounds(self, *boxes: Box) -> Box:
        """Return a box that contains the image of the product of `boxes`."""
        shape = torch.broadcast_shapes(*(box.shape for box in boxes))
        return Box.everything(tuple(shape), boxes[0].lower.dtype)

    def lipschitz(self, norm: float = 2, arg: int = 0, on: Boxes | None = None, shapes: Shapes | None = None) -> float:
        """Return an upper bound of the Lipschitz constant in one argument, `norm` on both sides.

        `norm` is 1, 2 or inf; `on` holds one box per argument; `shapes` is used where the constant
        depends on the size of the argument.
        """
        return math.inf

    def curvature(self, on: Boxes | None = None) -> Tensor:
        """Return `Curvature` flags per unit, joint in all arguments (int8, broadcasts to the output)."""
        return Curvature.UNKNOWN.tensor()

    def monotonicity(self, arg: int = 0, on: Boxes | None = None) -> Tensor:
        """Return `Monotonicity` flags per unit in one argument (int8, broadcasts to the output)."""
        return Monotonicity.UNKNOWN.tensor()

    @property
    def order_axis(self) -> int | None:
        """Axis along which the values stand in the order of the only argument, as in a softmax; None: none is known."""
        return None

    def join(self, constants: Sequence[float], norm: float = 2) -> float:
        """Return the Lipschitz constant of the whole from those of its arguments.

        Argument i moves by at most ``constants[i]`` when the common input moves by 1 and the operator
        is 1-Lipschitz in each; the triangle inequality gives the sum.
        """
        return float(sum(constants))


class SplineOperator(Operator):
    """An operator that is piecewise affine: a code names the piece of every unit."""

    piecewise_affine = True
    coupled: ClassVar[bool] = False
    """Whether the units of one fibre share their conditions, so that none can switch alone."""

    @abc.abstractmethod
    def alphabet(self, shapes: Shapes) -> int:
        """Return how many codes one unit can have; 1 if the operator never switches, 0 if unbounded."""

    @abc.abstractmethod
    def code(self, *xs: Tensor) -> Tensor:
        """Return the piece that each unit is on: integers of the output's shape; empty if it never switches.

        A tie goes to the piece left of a breakpoint and to the lowest index of a window.
        """

    @abc.abstractmethod
    def piece(self, code: Tensor, shapes: Shapes) -> Piece:
        """Return the piece that `code` names, for arguments of the given shapes."""

    @abc.abstractmethod
    def conditions(self, code: Tensor, shapes: Shapes) -> Conditions:
        """Return the inequalities of the code's cell in the operator's own input space."""

    @abc.abstractmethod
    def pieces(self, unit: int, shapes: Shapes) -> Tensor:
        """Return the codes that one unit (flat index into the code) can have."""

    @abc.abstractmethod
    def ties(self, xs: Sequence[Tensor], vs: Sequence[Tensor], slack: Tensor) -> Tensor:
        """Return which units lie on a boundary between pieces that differ along the tangents `vs`.

        Two candidates tie if they are within `slack` of each other (one value per sample, broadcasts
        to the arguments). Returns bool of the code's shape.
        """

    def switching(self, shapes: Shapes, on: Boxes | None = None) -> Switching | None:
        """Return how the units switch, as data; None if that cannot be said.

        Parameters
        ----------
        shapes : shapes of the arguments at batch size one
        on : boxes of those shapes, optional
            Bounds of the arguments; needed where there are infinitely many pieces.
        """
        return None

    def symbolic(self, *xs: Any) -> Any:
        """Return sums, maxima, minima and cases, as the switches say."""
        from splinegraph.core.exact.formulas import from_switches

        return from_switches(self, xs)

    def switch(self, *xs: Tensor) -> tuple[Tensor, Tensor]:
        """Return value and code in one pass; override where they share work."""
        return self.forward(*xs), self.code(*xs)

    def linearize(self, *xs: Tensor) -> Piece:
        """Return the piece of the code at xs."""
        return self.piece(self.code(*xs), [x.shape for x in xs])

    def value_and_piece(self, *xs: Tensor) -> tuple[Tensor, Piece]:
        """Return the value and the piece of its code."""
        value, code = self.switch(*xs)
        return value, self.piece(code, [x.shape for x in xs])
