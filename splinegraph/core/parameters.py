"""Parameters of operators: the user's own tensors, or expressions of them, cast only when they are used.

An operator's field holds a tensor, or an `Expression`: a small tree of torch calls over tensors (weight
norm, a class token repeated over the batch). A `Context` turns fields into tensors of one dtype, device
and batch size. It copies nothing that already fits.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor

__all__ = ["BATCH", "BatchSize", "Context", "Expression", "leaves"]

T = TypeVar("T")


class BatchSize:
    """Stands for the number of samples in an expression; see `BATCH`."""

    def __repr__(self) -> str:
        return "B"


BATCH = BatchSize()


@dataclass(frozen=True, eq=False)
class Expression:
    """A torch call whose arguments are tensors, expressions, the batch size or plain values."""

    function: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        inner = ", ".join(_brief(a) for a in self.args)
        return f"{getattr(self.function, '__name__', str(self.function))}({inner})"


def _brief(value: Any) -> str:
    return f"tensor{tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)


def leaves(value: Any) -> Iterator[Tensor]:
    """Yield the tensors in a field, an expression, an operator or a nested container of them."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Expression):
        yield from leaves(value.args)
        yield from leaves(value.kwargs)
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from leaves(item)
    elif isinstance(value, dict):
        yield from leaves(list(value.values()))
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for item in dataclasses.fields(value):
            yield from leaves(getattr(value, item.name))


def depends_on_batch(value: Any) -> bool:
    """Return whether a field or expression needs the batch size."""
    if isinstance(value, BatchSize):
        return True
    if isinstance(value, Expression):
        return depends_on_batch(value.args) or depends_on_batch(value.kwargs)
    if isinstance(value, (tuple, list)):
        return any(depends_on_batch(item) for item in value)
    if isinstance(value, dict):
        return any(depends_on_batch(item) for item in value.values())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return any(depends_on_batch(getattr(value, f.name)) for f in dataclasses.fields(value))
    return False


def has_expressions(value: Any) -> bool:
    """Return whether a field or operator holds an expression."""
    if isinstance(value, Expression | BatchSize):
        return True
    if isinstance(value, (tuple, list)):
        return any(has_expressions(item) for item in value)
    if isinstance(value, dict):
        return any(has_expressions(item) for item in value.values())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return any(has_expressions(getattr(value, f.name)) for f in dataclasses.fields(value))
    return False


class Context:
    """The dtype, device and batch size in which operators are evaluated.

    Parameters
    ----------
    dtype : torch.dtype or None
        Floating type of all parameters; None leaves each as it is.
    device : torch.device or None
        None leaves each where it is.
    batch : int or None
        Number of samples, for expressions that need it.
    """

    def __init__(
        self, dtype: torch.dtype | None = None, device: torch.device | None = None, batch: int | None = None
    ) -> None:
        self.dtype, self.device, self.batch = dtype, device, batch
        self._memo: dict[int, Any] = {}

    def resolve(self, operator: T) -> T:
        """Return the operator with its parameters as tensors of this context (itself if nothing changes)."""
        changes = {}
        for item in dataclasses.fields(operator):  # type: ignore[arg-type]
            value = getattr(operator, item.name)
            resolved = self.value(value)
            if resolved is not value:
                changes[item.name] = resolved
        return dataclasses.replace(operator, **changes) if changes else operator  # type: ignore[type-var]

    def value(self, value: Any) -> Any:
        """Return `value` with expressions evaluated and tensors cast; the same object if nothing changes."""
        if isinstance(value, Tensor):
            return self._cast(value)
        if isinstance(value, Expression):
            if id(value) not in self._memo:
                args, kwargs = self.value(value.args), self.value(value.kwargs)
                self._memo[id(value)] = self._cast(value.function(*args, **self._retarget(kwargs)))
            return self._memo[id(value)]
        if isinstance(value, BatchSize):
            if self.batch is None:
                raise ValueError("this expression needs the batch size")
            return self.batch
        if isinstance(value, (tuple, list)):
            items = [self.value(item) for item in value]
            unchanged = all(a is b for a, b in zip(items, value, strict=True))
            return value if unchanged else type(value)(items)
        if isinstance(value, dict):
            items_ = {key: self.value(item) for key, item in value.items()}
            return value if all(items_[key] is value[key] for key in value) else items_
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return self.resolve(value)
        return value

    def _cast(self, value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        dtype = self.dtype if value.is_floating_point() and self.dtype is not None else value.dtype
        device = self.device if self.device is not None else value.device
        return value if value.dtype == dtype and value.device == device else value.to(device, dtype)

    def _retarget(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Make factory calls (zeros, arange) produce this context's dtype and device."""
        kwargs = dict(kwargs)
        dtype = kwargs.get("dtype")
        if self.dtype is not None and isinstance(dtype, torch.dtype) and dtype.is_floating_point:
            kwargs["dtype"] = self.dtype
        if self.device is not None and "device" in kwargs:
            kwargs["device"] = self.device
        return kwargs
