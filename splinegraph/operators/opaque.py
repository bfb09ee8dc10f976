"""Calls that have no operator of their own: they run as they are, and are named in every result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from splinegraph.core.operator import Operator, Piece
from splinegraph.core.values import Box
from splinegraph.errors import UnsupportedOperatorError
from splinegraph.operators.registry import Call, Value

__all__ = ["Hole", "Opaque", "opaque_call"]


@dataclass(frozen=True)
class Hole:
    """Stands for a live argument in the template of a call."""

    index: int


@dataclass(frozen=True, eq=False)
class Opaque(Operator):
    """Any torch call; of several results, the one at `index`.

    Nothing is known of it but how to run it, and its tangent by torch.func. Integers and truth values
    have the tangent zero, the only one that they can have.

    Parameters
    ----------
    function : callable
    args, kwargs : tuple and dict
        What to call it with: a `Hole` for each live argument, constants elsewhere; may be nested.
    target : str
        Name of the call, such as 'aten.special_erfcx.default'.
    index : int or None
    floating : bool
        Whether the result is floating or complex, so that it can have a tangent.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...] = (Hole(0),)
    kwargs: dict[str, Any] = field(default_factory=dict)
    target: str = ""
    index: int | None = None
    floating: bool = True
    family = "opaque"
    continuous = False

    def __reduce__(self) -> tuple[Any, ...]:
        # torch's own calls do not pickle: store their name
        own = isinstance(self.function, torch._ops.OpOverload)
        function = str(self.function) if own else self.function
        return _unpickle, (function, self.args, self.kwargs, self.target, self.index, self.floating)

    @property
    def label(self) -> str:
        return f"Opaque({self.target or getattr(self.function, '__name__', 'call')})"

    def forward(self, *xs: Tensor) -> Tensor:
        dtype = next((x.dtype.to_real() for x in xs if _moves(x)), None)
        kwargs = {k: _retype(_fill(v, xs), dtype) for k, v in self.kwargs.items()}
        result = self.function(*_fill(self.args, xs), **kwargs)
        if isinstance(result, tuple | list):
            result = result[self.index or 0]
        # the graph runs in one floating type, whatever type the call asked for
        if dtype is None or not _moves(result):
            return result  # type: ignore[no-any-return]
        value: Tensor = result.to(dtype.to_complex() if result.is_complex() else dtype)
        return value

    def linearize(self, *xs: Tensor) -> Piece:
        if not self.floating or not any(map(_moves, xs)):
            return _StillPiece(self.forward(*xs), tuple(x.shape for x in xs))
        with torch.enable_grad():  # where torch knows no derivative, torch.func gives zeros and no error
            value = self.forward(*(x.detach().requires_grad_(_moves(x)) for x in xs))
        if not value.requires_grad:
            raise self.without_tangent("torch has no derivative for it")
        return _JacobianPiece(self, xs)

    def without_tangent(self, why: str) -> UnsupportedOperatorError:
        """Return the error for a call that cannot be linearized."""
        remedy = "register a lowering for it, or cut the graph with graph.between"
        return UnsupportedOperatorError(f"{self.label} has no tangent", why=why, remedy=remedy)

    def bounds(self, *boxes: Box) -> Box:
        """Return the whole space."""
        like = boxes[0].lower
        value = self.forward(*(torch.zeros_like(box.lower) for box in boxes))
        return Box.everything(tuple(value.shape), like.dtype)


def _unpickle(function: Any, *rest: Any) -> Opaque:
    if isinstance(function, str):
        space, packet, overload = function.split(".")
        function = getattr(getattr(getattr(torch.ops, space), packet), overload)
    return Opaque(function, *rest)


@dataclass(frozen=True, eq=False)
class _StillPiece(Piece):
    """x -> value, whatever x."""

    value: Tensor
    shapes: tuple[torch.Size, ...]
    exact = False

    def apply(self, *xs: Tensor) -> Tensor:
        return self.value

    def tangent(self, *vs: Tensor) -> Tensor:
        leading = vs[0].shape[: vs[0].dim() - len(self.shapes[0])]
        return vs[0].new_zeros(()).expand(*leading, *self.value.shape)

    def adjoint(self, u: Tensor) -> tuple[Tensor | None, ...]:
        return (None,) * len(self.shapes)


class _JacobianPiece(Piece):
    """The tangent of a call at a point, by torch.func; leading axes are looped over."""

    exact = False

    def __init__(self, operator: Opaque, xs: Sequence[Tensor]) -> None:
        self._operator, self._xs = operator, tuple(xs)
        self._moving = [i for i, x in enumerate(xs) if _moves(x)]

    def apply(self, *xs: Tensor) -> Tensor:
        steps = [x - y if i in self._moving else y for i, (x, y) in enumerate(zip(xs, self._xs, strict=True))]
        return self._operator.forward(*self._xs) + self.tangent(*steps)

    def tangent(self, *vs: Tensor) -> Tensor:
        leading = vs[0].shape[: vs[0].dim() - self._xs[0].dim()]
        rows = [vs[i].reshape(-1, *self._xs[i].shape) for i in self._moving]
        images = [self._jvp(row) for row in zip(*rows, strict=True)]
        return torch.stack(images).reshape(*leading, *images[0].shape)

    def adjoint(self, u: Tensor) -> tuple[Tensor, ...]:
        value, pull = self._checked(torch.func.vjp, self._function, *self._primals)
        leading = u.shape[: u.dim() - value.dim()]
        rows = [self._checked(pull, row) for row in u.reshape(-1, *value.shape)]
        found = dict(zip(self._moving, zip(*rows, strict=True), strict=True))
        return tuple(  # walk_back takes None for the zero of an integer argument
            torch.stack(found[i]).reshape(*leading, *x.shape) if i in found else None  # type: ignore[misc]
            for i, x in enumerate(self._xs)
        )

    @property
    def _primals(self) -> tuple[Tensor, ...]:
        return tuple(self._xs[i] for i in self._moving)

    def _function(self, *moving: Tensor) -> Tensor:
        xs = list(self._xs)
        for i, x in zip(self._moving, moving, strict=True):
            xs[i] = x
        return self._operator.forward(*xs)

    def _jvp(self, row: tuple[Tensor, ...]) -> Tensor:
        image: Tensor
        if "scatter_reduce" in self._operator.label:  # whose forward mode says zero for products
            return self._jvp_without_forward_mode(row)
        try:
            image = torch.func.jvp(self._function, self._primals, row)[1]
        except (NotImplementedError, RuntimeError):
            image = self._jvp_without_forward_mode(row)
        return image

    def _jvp_without_forward_mode(self, row: tuple[Tensor, ...]) -> Tensor:
        """Return A v as the derivative of u -> A^T u or, where there is none, one row of A at a time."""
        value, pull = self._checked(torch.func.vjp, self._function, *self._primals)
        image: Tensor
        try:
            (image,) = torch.func.vjp(pull, torch.zeros_like(value))[1](row)
        except (NotImplementedError, RuntimeError):
            units = torch.eye(value.numel(), dtype=value.dtype, device=value.device).reshape(-1, *value.shape)
            pulled = (zip(self._checked(pull, u), row, strict=True) for u in units)
            image = torch.stack([sum((g * v).sum() for g, v in pairs) for pairs in pulled]).reshape(value.shape)
        return image

    def _checked(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call into torch.func; say which call has no derivative."""
        try:
            return function(*args)
        except (NotImplementedError, RuntimeError) as error:
            raise self._operator.without_tangent(str(error).split("\n")[0]) from error


def _moves(x: Tensor) -> bool:
    """Return whether a value can have a tangent."""
    return x.is_floating_point() or x.is_complex()


def _fill(tree: Any, xs: Sequence[Tensor]) -> Any:
    """Return the template with tensors in its holes."""
    if isinstance(tree, Hole):
        return xs[tree.index]
    if isinstance(tree, tuple | list):
        return type(tree)(_fill(item, xs) for item in tree)
    if isinstance(tree, Mapping):
        return {key: _fill(item, xs) for key, item in tree.items()}
    return tree


def _retype(value: Any, dtype: torch.dtype | None) -> Any:
    """Return a floating type that the call asks for as that of the graph."""
    return dtype if isinstance(value, torch.dtype) and value.is_floating_point and dtype is not None else value


def _continuous(dtype: torch.dtype) -> bool:
    return dtype.is_floating_point or dtype.is_complex


def opaque_call(
    call: Call, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Value | tuple[Value, ...]:
    """Emit a call as it is: one node per result."""
    live: dict[str, Value] = {}

    def template(tree: Any) -> Any:
        if isinstance(tree, Value):
            live.setdefault(tree.name, tree)
            return Hole(list(live).index(tree.name))
        if isinstance(tree, tuple | list):
            return type(tree)(template(item) for item in tree)
        if isinstance(tree, Mapping):
            return {key: template(item) for key, item in tree.items()}
        return tree

    fixed, named = tuple(template(a) for a in args), {key: template(item) for key, item in kwargs.items()}
    if len(call.shapes) == 1:
        operator = Opaque(function, fixed, named, call.target, None, _continuous(call.dtype))
        return call.emit(operator, *live.values())
    return tuple(
        call.emit(Opaque(function, fixed, named, call.target, i, _continuous(dtype)), *live.values(), shape=shape)
        for i, (shape, dtype) in enumerate(zip(call.shapes, call.dtypes, strict=True))
    )
