"""The table from torch calls to operators, and the list of all operators.

A lowering is a function ``build(call, *args, **kwargs)`` that takes the arguments of the torch call by
the names and defaults of its schema. Live arguments (those that depend on a differentiated input) are
`Value` objects, all others are plain values, tensors or expressions of the parameters.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol, TypeVar

import torch

from splinegraph.core.layout import BatchLayout
from splinegraph.core.operator import Operator
from splinegraph.core.parameters import Expression

__all__ = ["LOWERINGS", "Call", "Value", "all_operators", "constant", "lowers", "negative"]


@dataclass(frozen=True, eq=False)
class Value:
    """The result of a node, as a lowering sees it.

    Parameters
    ----------
    name : str
        Name of the node.
    shape : tuple of int
        Shape at batch size 1.
    dtype : torch.dtype
    layout : BatchLayout or None
    """

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype = torch.float32
    layout: BatchLayout | None = BatchLayout()

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)


class Call(Protocol):
    """One torch call that is being lowered."""

    target: str
    """Name of the call, such as 'aten.relu.default'."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the result at batch size 1; of the first one if there are several."""

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of all results at batch size 1."""

    dtype: torch.dtype
    """Dtype of the (first) result."""

    training: bool
    """Whether the graph is traced to train the model: dropout and batch statistics stay what they are."""

    @property
    def dtypes(self) -> tuple[torch.dtype, ...]:
        """Dtypes of all results."""

    def emit(self, operator: Operator, *args: Value, shape: Sequence[int] | None = None) -> Value:
        """Add a node; `shape` (at batch size 1) defaults to that of the call's result."""

    def opaque(self) -> Any:
        """Return the call as an opaque node, where a lowering finds nothing better to say."""

    def reshape(self, x: Value, shape: Sequence[int] | None = None, batch_axis: int | None = None) -> Value:
        """Add a node that reshapes `x` (default: to the shape of the call's result).

        `batch_axis` says where the batch ends up, if axes of size one leave that open.
        """

    @property
    def sizes(self) -> tuple[Any, ...]:
        """Shape of the (first) result as it runs: `BATCH` or a multiple of it where the batch is."""

    def full(self, number: float) -> Any:
        """Return a constant with the shape and dtype of the call's result, full of one number."""

    def keeps(self, x: Value) -> bool:
        """Return whether the result has the shape of `x`, with the batch on the same axis."""

    def note(self, text: str) -> None:
        """Tell the user something about the trace, once."""

    def fixed(self, value: Any) -> torch.Tensor | None:
        """Return the value of a constant that depends neither on an input nor on the batch size."""

    def at(self, value: Any, batch: int) -> Any:
        """Return the value of a constant at some batch size."""

    def shape_of(self, value: Any) -> tuple[int, ...]:
        """Return the shape at batch size 1 of a live value, a tensor, an expression or a number."""

    def rank(self, value: Any) -> int:
        """Return the number of axes."""

    def broadcast(self, shape: Sequence[int], value: Any) -> tuple[int, ...]:
        """Return the shape of an elementwise operation of `shape` with `value`."""

    def operator_of(self, value: Value) -> Operator | None:
        """Return the operator that computes `value`, or None if it is an input."""

    def args_of(self, value: Value) -> tuple[Value, ...]:
        """Return what that operator reads."""


Builder = Callable[..., Any]
F = TypeVar("F", bound=Callable[..., Any])

LOWERINGS: dict[str, Builder] = {}


def lowers(*targets: str) -> Callable[[F], F]:
    """Register a lowering for torch calls such as 'aten.relu.default'.

    Decorates a builder, or a one-argument operator class whose fields follow the call's schema: then the
    call becomes one node of that class.
    """

    def register(item: F) -> F:
        for target in targets:
            if target in LOWERINGS:
                raise ValueError(f"{target} has two lowerings")
            LOWERINGS[target] = _from_class(item) if inspect.isclass(item) else item
        return item

    return register


def _from_class(cls: type) -> Builder:
    """Return a builder that passes the call's settings on to the fields of `cls`."""
    names = [f.name for f in fields(cls)]

    def build(call: Call, x: Value, *args: Any, **kwargs: Any) -> Value:
        return call.emit(cls(*args[: len(names)], **{k: v for k, v in kwargs.items() if k in names}), x)

    return build


def constant(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return an expression of parameters: evaluated when the operator is used, in its dtype."""
    return Expression(function, args, kwargs)


def negative(dim: int, ndim: int) -> int:
    """Return an axis counted from the end, so that leading axes do not matter."""
    return dim if dim < 0 else dim - ndim


def all_operators() -> list[type[Operator]]:
    """Return every operator class of this package that can be instantiated."""
    found: set[type[Operator]] = set()
    todo = [Operator]
    while todo:
        for cls in todo.pop().__subclasses__():
            todo.append(cls)
            if not inspect.isabstract(cls) and cls.__module__.startswith("splinegraph."):
                found.add(cls)
    return sorted(found, key=lambda cls: cls.__qualname__)
