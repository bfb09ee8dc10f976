"""What Python code says of its model's input: `input_shape`, `example_input`, `example_input_array`."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from splinegraph.errors import TargetError
from splinegraph.tracers.loading.naming import a_few, line_of, reason

__all__ = ["as_arguments", "declared", "takes"]

EXAMPLES = ("example_input", "example_input_array")

Shapes = tuple[tuple[int | None, ...], ...]


def declared(model: nn.Module, namespace: Mapping[str, Any], name: str) -> tuple[Shapes | None, tuple[Any, ...] | None]:
    """Return the shapes of the inputs, without the batch, and the example arguments, where they are given.

    The module's own come before those of the file.

    Raises
    ------
    TargetError
        If the file gives something else under these names.
    """
    shapes = _shapes(_attribute(model, "input_shape"))
    if shapes is None and namespace.get("input_shape") is not None:
        shapes = _shapes(namespace["input_shape"])
        if shapes is None:
            raise TargetError(
                f"`input_shape` in {name} is {namespace['input_shape']!r}"[:300],
                remedy="set it to the shape of one input, such as (1, 28, 28)",
            )
    for key in EXAMPLES:
        own = _attribute(model, key)
        if own is not None and not callable(own):
            return shapes, as_arguments(own, model, f"`{key}` of the model in {name}")
    for key in EXAMPLES:
        if namespace.get(key) is not None:
            return shapes, as_arguments(_called(namespace[key], key, name), model, f"`{key}` in {name}")
    return shapes, None


def _attribute(model: nn.Module, name: str) -> Any:
    try:
        return getattr(model, name, None)
    except Exception:  # noqa: BLE001  # a property that is not ready tells nothing
        return None


def _called(value: Any, key: str, name: str) -> Any:
    if not callable(value):
        return value
    try:
        return value()
    except Exception as error:
        raise TargetError(f"{key}() in {name} fails", where=line_of(error), why=reason(error)) from error


def _shapes(given: Any) -> Shapes | None:
    """Read one shape, a single size, or a shape per input."""
    items = (given,) if isinstance(given, int) else given
    if not isinstance(items, tuple | list) or not items:
        return None
    if all(isinstance(item, tuple | list) for item in items):
        found = [_shape(item) for item in items]
        return tuple(shape for shape in found if shape is not None) if None not in found else None
    shape = _shape(items)
    return None if shape is None else (shape,)


def _shape(items: Any) -> tuple[int | None, ...] | None:
    good = all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in items)
    return tuple(items) if good else None


def as_arguments(value: Any, model: Any, what: str) -> tuple[Any, ...]:
    """Return the positional arguments of a call: of one tensor, of several, or of a dictionary by name.

    Raises
    ------
    TargetError
        If it holds no tensors, or names that the model's `forward` does not take.
    """
    if isinstance(value, Mapping) and isinstance(model, nn.Module):
        return _positional(value, model, what)
    items = tuple(value) if isinstance(value, tuple | list) else (value,)
    found = tuple(torch.from_numpy(x) if isinstance(x, np.ndarray) and x.dtype.kind in "buif" else x for x in items)
    if not any(isinstance(x, Tensor) for x in found):
        raise TargetError(
            f"{what} is a {type(value).__name__} without tensors", remedy="set it to a tensor, batch first"
        )
    return found


def takes(model: Any, names: Iterable[str]) -> bool:
    """Return whether the model has arguments of these names."""
    return isinstance(model, nn.Module) and set(names) <= set(inspect.signature(model.forward).parameters)


def _positional(value: Mapping[str, Any], model: nn.Module, what: str) -> tuple[Any, ...]:
    try:
        bound = inspect.signature(model.forward).bind(**value)
    except TypeError as error:
        raise TargetError(
            f"{what} does not fit `forward`", why=str(error), remedy="use the names of its arguments"
        ) from error
    bound.apply_defaults()
    beyond = [name for name in bound.kwargs if name in value]
    if beyond:
        raise TargetError(
            f"{what} has arguments by keyword alone ({a_few(beyond)})", remedy="let `forward` take them by position"
        )
    last = max(i for i, name in enumerate(bound.arguments) if name in value) if value else -1
    return as_arguments(bound.args[: last + 1], model, what)
