"""The table of ONNX operators, and a node as the operators see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

__all__ = ["OPERATORS", "STATIC", "Node", "Operator", "operator", "static"]

F = TypeVar("F", bound=Callable[..., Any])

DOMAINS = {"ai.onnx": ""}
"""Other spellings of a domain."""


@dataclass(frozen=True, eq=False)
class Node:
    """One node of the file.

    Parameters
    ----------
    op_type, domain, name : str
    version : int
        The operator set of its domain.
    attributes : mapping
        Numbers, texts, tuples of those, and arrays.
    outputs : int
        How many results it has.
    wanted : frozenset of int
        Which of its results are used.
    constants : frozenset of int
        Which of its inputs are stored in the file.
    fixed_batch : int, optional
        The batch size that the file was written for, where it names one.
    shape : tuple of int, optional
        The shape of its first input at that batch size.
    sequence_first : bool
        Whether the batch is the second axis where a reshape leaves that open.
    """

    op_type: str
    domain: str
    name: str
    version: int
    attributes: Mapping[str, Any] = field(default_factory=dict)
    outputs: int = 1
    wanted: frozenset[int] = frozenset({0})
    constants: frozenset[int] = frozenset()
    fixed_batch: int | None = None
    shape: tuple[int, ...] | None = None
    sequence_first: bool = False

    def get(self, name: str, default: Any = None) -> Any:
        """Return an attribute."""
        return self.attributes.get(name, default)

    def ints(self, name: str, default: Any = None) -> list[int] | None:
        """Return an attribute that is a list of integers, None where it is absent and has no default."""
        found = self.attributes.get(name, default)
        return None if found is None else [int(n) for n in found]


@dataclass(frozen=True)
class Operator:
    """How an operator is computed.

    Parameters
    ----------
    function : callable
        Takes the node and its inputs: tensors, or None for absent ones.
    static : frozenset of int
        Inputs that are handed over as they are: static arrays stay arrays. -1 for all.
    scalars : bool
        Whether static inputs of one entry become Python numbers.
    """

    function: Callable[..., Any]
    static: frozenset[int]
    scalars: bool

    def keeps_static(self, slot: int) -> bool:
        """Return whether an input is handed over as it is."""
        return -1 in self.static or slot in self.static


OPERATORS: dict[tuple[str, str], Operator] = {}
"""Domain and operator type to what computes it."""

STATIC: dict[str, Callable[..., Any]] = {}
"""Operators of the default domain that compute sizes, on static arrays."""


def operator(*names: str, static: tuple[int, ...] = (), scalars: bool = False, domain: str = "") -> Callable[[F], F]:
    """Register what computes an operator.

    Parameters
    ----------
    names : str
        Operator types.
    static : tuple of int
        Inputs that stay static arrays where they are; -1 for all.
    scalars : bool
        Turn static inputs of one entry into Python numbers.
    domain : str
    """

    def register(function: F) -> F:
        for name in names:
            OPERATORS[domain, name] = Operator(function, frozenset(static), scalars)
        return function

    return register


def static(*names: str) -> Callable[[F], F]:
    """Register what computes an operator where all its inputs are static arrays."""

    def register(function: F) -> F:
        for name in names:
            STATIC[name] = function
        return function

    return register
