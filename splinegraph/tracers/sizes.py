"""Symbolic sizes of an exported program: numbers, multiples of the batch size, and what constants decide."""

from __future__ import annotations

import operator as python_operator
from collections.abc import Sequence
from typing import Any

import torch
from torch.fx.experimental.symbolic_shapes import free_unbacked_symbols

from splinegraph.core.parameters import BATCH, Expression
from splinegraph.errors import BatchError

__all__ = ["SymbolicSizes", "Unbatchable", "is_open", "size_text"]


class Unbatchable(BatchError):
    """The batch axis cannot be followed; the graph must run one sample at a time."""


class SymbolicSizes:
    """Reads the sizes of a program.

    Parameters
    ----------
    batched : bool
        Whether the batch size is symbolic in the exported program.
    """

    def __init__(self, *, batched: bool) -> None:
        self.batched = batched
        self._learned: dict[Any, int] = {}

    def learn(self, sizes: Sequence[Any], numbers: Sequence[int]) -> None:
        """Note sizes that export left open, because a constant decides them: how many a mask leaves, say."""
        if len(sizes) == len(numbers):
            for size, number in zip(sizes, numbers, strict=True):
                if is_open(size) and size.node.expr.is_symbol:
                    self._learned.setdefault(size.node.expr, int(number))

    def number(self, size: torch.SymInt) -> int | None:
        """Return a size that constants decide, None if the batch size or an input does."""
        expression = size.node.expr.subs(self._learned) if self._learned else size.node.expr
        return int(expression) if expression.is_Integer else None

    def size(self, symbol: torch.SymInt) -> Any:
        """Return a symbolic size as a multiple of the batch size, or as a number."""
        if (number := self.number(symbol)) is not None:
            return number
        factor = self.factor(symbol)
        if factor is None:
            raise Unbatchable("a size is no multiple of the batch size", why=str(symbol))
        return BATCH if factor == 1 else Expression(python_operator.mul, (factor, BATCH))

    def factor(self, size: Any) -> int | None:
        """Return k if `size` is k times the batch size, 0 if it is a plain number, None otherwise."""
        if isinstance(size, int):
            return 0
        if free_unbacked_symbols(size):
            return None if self.number(size) is None else 0
        expression = size.node.expr
        symbols = list(expression.free_symbols)
        if not symbols:
            return 0
        if len(symbols) > 1 or not self.batched:
            return None
        (symbol,) = symbols
        k = expression.coeff(symbol)
        return int(k) if k.is_Integer and k > 0 and expression == k * symbol else None

    def sizes(self, shape: Sequence[Any]) -> tuple[int, ...]:
        """Return a symbolic shape at batch size 1."""
        factors = [self.factor(n) for n in shape]
        if None in factors:
            why = "is no multiple of the batch size" if self.batched else "depends on the data"
            raise Unbatchable(f"the size of a value {why}", why=f"it has shape {size_text(shape)}")
        numbers = [n if isinstance(n, int) else self.number(n) for n in shape]
        return tuple(int(n or 0) if k == 0 else int(k or 1) for n, k in zip(numbers, factors, strict=True))


def is_open(size: Any) -> bool:
    """Return whether export left a size open, as it depends on values."""
    return isinstance(size, torch.SymInt) and bool(free_unbacked_symbols(size))


def size_text(shape: Sequence[Any]) -> str:
    """Return a shape for people."""
    return "×".join(map(str, shape))
