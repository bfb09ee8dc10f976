"""A property that is worked out once and survives `dataclasses.replace`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

__all__ = ["kept"]

T = TypeVar("T")


class kept(Generic[T]):
    """Keep a property in the owner's `_cache`, which copies of the owner share."""

    def __init__(self, function: Callable[[Any], T]) -> None:
        self.function, self.__doc__ = function, function.__doc__

    @overload
    def __get__(self, owner: None, kind: type) -> kept[T]: ...
    @overload
    def __get__(self, owner: Any, kind: type) -> T: ...

    def __get__(self, owner: Any, kind: type) -> kept[T] | T:
        if owner is None:
            return self
        name = self.function.__name__
        if name not in owner._cache:
            owner._cache[name] = self.function(owner)
        value: T = owner._cache[name]
        return value
